"""The pipeline of a built site: survey its pages, render, put what is missing, then rewrite page by page.

Everything a page will point at is in its place before the page is replaced, so a visitor never meets a reference
that leads nowhere, and a run that stops half-way leaves each page either old or new.
"""

from __future__ import annotations

import contextlib
import errno
import time
from typing import TYPE_CHECKING

import msgspec

from s3img.atomic import write_atomically
from s3img.cache import stat_of
from s3img.errors import REPORT, AccessDenied, AssetError, BucketError, ObjectNotFound, S3ImgError, unexpected
from s3img.keys import KeyTemplate
from s3img.pictures.choices import Strip
from s3img.pictures.editor import Editor, RenderInventory
from s3img.pictures.markup import STYLE_SHEET
from s3img.pictures.placement import InsideSite, PublicAddress
from s3img.publish import retained, settled
from s3img.publish.digests import SiteDigests
from s3img.publish.files import STYLE_PATH, record_keys
from s3img.publish.page_writer import PageWriter
from s3img.publish.placeholders import Placeholders
from s3img.publish.public_originals import PublicObjects
from s3img.publish.result import POLICY, Problem, PublishResult
from s3img.publish.site_survey import SiteSurvey, Surveyor
from s3img.publish.summary import summarise
from s3img.transfer import Upload
from s3img.transfer.delivery import Delivery
from s3img.transfer.render import CACHE_UNWRITABLE, Renderer

if TYPE_CHECKING:
    from collections.abc import Iterable, Set
    from pathlib import Path

    from s3img.assets import Asset
    from s3img.buckets import Bucket
    from s3img.cache import Cache
    from s3img.config import Config
    from s3img.pictures.variants import Variant
    from s3img.publish.files import SiteFiles
    from s3img.publish.locked_originals import LockedOriginals
    from s3img.publish.site_survey import PagePlan
    from s3img.transfer.plan import Progress


class SitePublisher:
    """Publish one built site; ``bucket`` is where objects go, ``base_url`` its public address, "" inside the site.

    ``originals`` are the images that are in the bucket and not in the site.
    """

    def __init__(
        self,
        files: SiteFiles,
        config: Config,
        *,
        bucket: Bucket,
        base_url: str,
        cache: Cache,
        progress: Progress,
        originals: LockedOriginals | None = None,
        dimensions_only: bool = False,
    ) -> None:
        self._files = files
        self._root = files.root
        self._config = config
        self._dimensions_only = dimensions_only
        self._target = bucket.name if base_url else ""
        self._progress = progress
        self._originals = originals
        self._address = PublicAddress(KeyTemplate.parse(config.key_template), base_url) if base_url else None
        self._placement = self._address or InsideSite()
        self._inventory = RenderInventory()
        self._site_bytes = 0
        self._editor = Editor(config, self._placement, self._inventory)
        self._writer = PageWriter(self._root, self._editor)
        self._renderer = Renderer(self._source, cache, config.limits)
        self._placeholders = Placeholders(self._source, cache, config.limits)
        self._delivery = Delivery(lambda: bucket, workers=config.workers, deadline=config.deadline, progress=progress)

    def run(self, *, dry_run: bool = False, notes: Iterable[Problem] = ()) -> PublishResult:
        """Publish; with ``dry_run`` only say what there is to do. Raise S3ImgError; most problems are in the result."""
        start = time.perf_counter()
        survey = self._survey(dry_run=dry_run)
        survey.problems += [*notes, *self._files.elsewhere(self._address.base_url if self._address else "")]
        changed, removed = 0, 0
        if not any(problem.severity == "error" for problem in survey.problems):
            if not (dry_run or self._address):
                self._restore_originals(survey)
            self._render_and_upload(survey, dry_run=dry_run)
            if not dry_run and self._is_public(survey):
                changed = self._rewrite(survey)
                removed = self._remove(survey)
        if not dry_run:
            if self._delivery.since:  # what is gone is looked for each time, until the site is built anew
                is_gone = any(problem.code == "gone" for problem in survey.problems)
                self._files.state.confirmed = 0.0 if is_gone else self._delivery.since
            self._files.save(survey.settled)
        result = summarise(survey, self._editor, self._inventory, self._delivery, dry_run=dry_run)
        return msgspec.structs.replace(
            result,
            target=self._target,
            pages_changed=changed,
            rendered=result.rendered if dry_run else self._renderer.rendered,
            removed=removed,
            site_bytes=self._site_bytes,
            seconds=round(time.perf_counter() - start, 3),
        )

    def _survey(self, *, dry_run: bool) -> SiteSurvey:
        """Read the pages; once more where an image that is not on disk turned out to be animated."""
        survey = self._read_pages()
        if self._originals and not dry_run and self._originals.learn(survey.images(), lambda: self._delivery.present):
            survey = self._read_pages()
        return survey

    def _read_pages(self) -> SiteSurvey:
        surveyor = Surveyor(
            self._files,
            self._config,
            public_url=self._address.base_url if self._address else "",
            dimensions_only=self._dimensions_only,
            originals=self._originals,
        )
        return surveyor.run()

    def _source(self, asset: Asset) -> Path:
        """Return where an image's bytes are."""
        if self._originals and asset in self._originals:
            return self._originals.file(asset)
        return self._root.file(asset.path)

    def _restore_originals(self, survey: SiteSurvey) -> None:
        """Write what only the lock names into a site that shows its own images; links and style sheets need them."""
        absent = (
            {}
            if self._originals is None
            else {
                choice.asset.path: choice.asset
                for choice in survey.choices()
                if not isinstance(choice, Strip) and choice.asset in self._originals
            }
        )
        unreachable = self._fetch(survey, absent.values())
        self._inventory.unreachable |= unreachable
        for path, asset in absent.items():
            if asset.digest not in unreachable:
                write_atomically(self._root.file(path), self._source(asset).read_bytes())
                self._site_bytes += asset.size

    def _render_and_upload(self, survey: SiteSurvey, *, dry_run: bool) -> None:
        """Render and put everything that the pages need."""
        if not dry_run and self._address:
            self._claim(survey, self._address)
        present = self._delivery.present if survey.needs_objects(self._placement) else {}
        variants = [variant for image in survey.images() for variant in image.variants.variants]
        self._inventory.sizes |= self._renderer.known_sizes(variants, present)
        if not dry_run:
            self._render(survey, variants)
            self._hold_places(survey)
            self._put(survey)

    def _claim(self, survey: SiteSurvey, address: PublicAddress) -> None:
        """Say what the pages may point at before anything in the bucket is relied on.

        A site that was built anew and needs nothing may have needed something before.
        """
        files, is_anew = self._files, not self._files.settled
        if not (survey.needs_objects(self._placement) or (is_anew and self._config.site_url)):
            if files.settled:
                survey.problems += settled.confirm(files, self._config, self._delivery, address)
            return
        keys = {key for choice in survey.choices() for key in self._editor.possible_keys(choice)}
        keys |= address.keys_of(survey.urls)
        self._delivery.snapshot()  # before the record is written: where the bucket can't be asked, nothing was claimed
        shown = frozenset() if settled.is_fresh(files) else settled.shown_keys(files, address)
        every = record_keys(self._root.root, keys | shown, address=address.base_url, anew=is_anew)
        self._delivery.claim(every, site=self._config.site_url)
        # What the other pages need is put where it is missing.
        survey.problems += settled.hold(every - keys, shown - keys, self._delivery)

    def _render(self, survey: SiteSurvey, variants: Iterable[Variant]) -> None:
        def fault(asset: Asset, message: str) -> None:
            text = f"{message.removeprefix(asset.path + ': ')} Its references stay as they are."
            if not message.startswith(CACHE_UNWRITABLE):
                code = "unexpected" if REPORT in message else "bad-image"
                survey.problems.append(Problem(asset.path, 0, 0, code, text))
            elif not self._inventory.exit_code:  # the same for every image, so once
                survey.problems.append(Problem("", 0, 0, "cache", message, "error"))
                self._inventory.exit_code = BucketError.exit_code

        missing = [variant for variant in variants if variant.identity not in self._inventory.sizes]
        self._fetch(survey, [variant.asset for variant in missing])
        usable = [variant for variant in missing if variant.asset.digest not in self._inventory.bad_sources]
        self._renderer.run(usable, self._inventory, fault, self._progress)

    def _hold_places(self, survey: SiteSurvey) -> None:
        """Make what shows while images load, where somebody asked for it."""
        missing = self._placeholders.missing(survey.images())
        if missing:
            unreachable = self._fetch(survey, [image.asset for image in missing.values()])
            usable = {name: image for name, image in missing.items() if image.asset.digest not in unreachable}
            self._placeholders.make(usable)
        self._inventory.placeholders = self._placeholders.styles(survey.images())

    def _fetch(self, survey: SiteSurvey, assets: Iterable[Asset]) -> Set[str]:
        """Bring the bytes of images that are not on disk; return the digests of those that can't be had."""
        failures = self._originals.fetch(assets) if self._originals else {}
        severity = POLICY[self._config.missing] or "note"
        for digest, (path, error) in failures.items():
            if digest not in self._inventory.bad_sources:
                text = f"is not on disk, and can't be had from the bucket: {error} Its references stay as they are."
                survey.problems.append(Problem(path, 0, 0, "unreachable", text, severity))
        self._inventory.bad_sources |= failures.keys()
        return failures.keys()

    def _put(self, survey: SiteSurvey) -> None:
        variants, originals = self._wanted(survey)
        present = self._delivery.present if originals or variants else {}
        lacking = [asset for key, asset in originals.items() if present.get(key) != asset.size]
        if unreachable := self._fetch(survey, lacking):
            self._inventory.unreachable |= unreachable
            variants, originals = self._wanted(survey)
        uploads = [self._renderer.upload(variant, self._inventory, present) for variant in variants.values()]
        uploads += [
            Upload(key, self._source(asset), asset.size, asset.facts.media_type, sha256=asset.digest)
            for key, asset in originals.items()
        ]
        result = self._delivery.send(uploads)
        if not self._address:
            sent = self._delivery.uploaded
            self._site_bytes += sum(upload.size for upload in uploads if upload.key in sent)
        self._inventory.exit_code = self._inventory.exit_code or result.exit_code
        self._inventory.failed_keys |= result.failed.keys()
        for error in {str(error): error for error in result.failed.values()}.values():
            survey.problems.append(Problem("", 0, 0, "upload", str(error), "error"))

    def _wanted(self, survey: SiteSurvey) -> tuple[dict[str, Variant], dict[str, Asset]]:
        """Return what has to be in the bucket, by key: variants, and images as they are."""
        variants: dict[str, Variant] = {}
        originals: dict[str, Asset] = {}
        for choice in survey.choices():
            if self._editor.is_possible(choice):
                wanted, linked = self._editor.needs(choice)
                variants |= {variant.key: variant for variant in wanted}
                originals |= self._editor.original_keys(linked)
        return variants, originals

    def _is_public(self, survey: SiteSurvey) -> bool:
        """Ask for one object as a visitor would, so that no page comes to point at what nobody may read."""
        keys = self._delivery.uploaded | self._delivery.found
        base_url = self._config.base_url
        if not (self._address and self._config.check_public and keys and base_url.startswith(("http://", "https://"))):
            return True
        try:
            PublicObjects(base_url, limit=0).check(min(keys))
        except (AccessDenied, ObjectNotFound) as error:
            text = (
                f"{error} No page was changed. s3img doctor finds the cause; --no-check-public publishes all the same."
            )
            survey.problems.append(Problem("", 0, 0, "not-public", text, "error"))
            return False
        except BucketError as error:
            text = f"whether visitors can read the images could not be seen from here: {error}"
            survey.problems.append(Problem("", 0, 0, "public-unknown", text, "note"))
        return True

    def _rewrite(self, survey: SiteSurvey) -> int:
        """Replace the pages and return how many changed."""
        changed = 0
        digests = SiteDigests(self._files)
        for done, (path, plan) in enumerate(survey.plans.items(), 1):
            is_whole = path not in survey.faulty and all(map(self._editor.is_possible, plan.choices.values()))
            try:
                changed += self._rewrite_page(path, plan, digests, is_whole=is_whole)
                if is_whole:
                    survey.settled.add(path)
            except S3ImgError:
                raise
            except OSError as error:
                text = f"can't be replaced: {error.strerror}. Unlock it or free space, then run the command again."
                survey.problems.append(Problem(path, 0, 0, "unwritten", text, "error"))
                self._inventory.exit_code = self._inventory.exit_code or BucketError.exit_code
                if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
                    break  # and so it would be for every other page
            except Exception as error:  # one page never ends a run
                text = f"met {unexpected(error)} The page stays as it is."
                survey.problems.append(Problem(path, 0, 0, "unexpected", text, "error"))
            self._progress("rewriting", done, len(survey.plans))
        digests.finish(survey.settled)
        survey.problems += digests.problems
        return changed

    def _rewrite_page(self, path: str, plan: PagePlan, digests: SiteDigests, *, is_whole: bool) -> bool:
        file = self._root.file(path)
        data = file.read_bytes()
        if not plan.fits(data):
            raise AssetError(f"{path}: was changed while it was published.", path=path, fix="Run the command again.")
        new = self._writer.rewrite(path, data, plan, is_whole=is_whole)
        if new is data:
            return False
        new = digests.with_own_styles(path, data, new)
        style = self._root.file(STYLE_PATH)
        if STYLE_PATH.encode() in new and not style.exists():
            write_atomically(style, STYLE_SHEET.encode())
        self._files.write_page(path, new, is_finished=is_whole)
        digests.note(path, data, new)
        return True

    def _remove(self, survey: SiteSurvey) -> int:
        """Delete the local files that every page has left for the bucket, where the settings ask for it."""
        if not (self._config.remove_local and self._address):
            return 0
        stored = self._delivery.uploaded | self._delivery.found
        kept: set[str] = set(survey.kept)
        moved: set[str] = set()
        for path, plan in survey.plans.items():
            for choice in plan.choices.values():
                if not isinstance(choice, Strip) and not choice.asset.key:
                    is_stored = self._address.original_key(choice.asset) in stored
                    (moved if is_stored and path in survey.settled else kept).add(choice.asset.path)
        free, notes = retained.unused(moved - kept, self._root, self._config.base_url)
        survey.problems += notes
        return sum(map(self._remove_file, free))

    def _remove_file(self, path: str) -> bool:
        """Delete a file that is still what was uploaded."""
        with contextlib.suppress(OSError):
            if stat_of(self._root.file(path)) == self._root.files[path]:
                self._root.file(path).unlink()
                return True
        return False
