"""The pipeline of a built site: survey its pages, render, put what is missing, then rewrite page by page.

Everything a page will point at is in its place before the page is replaced, so a visitor never meets a reference
that leads nowhere, and a run that stops half-way leaves each page either old or new.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from s3img.atomic import write_atomically
from s3img.cache import stat_of
from s3img.errors import REPORT, AccessDenied, BucketError, ObjectNotFound, S3ImgError, unexpected
from s3img.keys import KeyTemplate
from s3img.pictures.choices import Image, Strip
from s3img.pictures.editor import Editor, RenderInventory
from s3img.pictures.format_comparison import not_needed
from s3img.pictures.placement import InsideSite, PublicAddress
from s3img.publish import settled
from s3img.publish.digests import SiteDigests
from s3img.publish.files import record_keys
from s3img.publish.library import NO_END_MARKER, PublicObjects
from s3img.publish.page_styles import SiteStyles
from s3img.publish.page_writer import PageWriter
from s3img.publish.placeholders import Placeholders
from s3img.publish.result import POLICY, FormatRow, Problem, PublishResult
from s3img.publish.site_survey import SiteSurvey, Surveyor
from s3img.publish.site_text import unused
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
    from s3img.publish.library import LockedOriginals
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
        self._styles = SiteStyles(files.root, config, self._placement, files.state)
        self._writer = PageWriter(files, self._editor, self._styles)
        self._renderer = Renderer(self._source, cache, config.limits, executor=config.executor)
        self._placeholders = Placeholders(self._source, cache, config.limits)
        self._delivery = Delivery(lambda: bucket, workers=config.workers, deadline=config.deadline, progress=progress)

    def run(self, *, dry_run: bool = False, notes: Iterable[Problem] = ()) -> PublishResult:
        """Publish; with ``dry_run`` only say what there is to do. Raise S3ImgError; most problems are in the result."""
        start = time.perf_counter()
        survey = self.survey_pages(dry_run=dry_run)
        survey.problems += [*notes, *self._files.elsewhere(self._address.base_url if self._address else "")]
        changed, removed = 0, 0
        if not any(problem.severity == "error" for problem in survey.problems):
            if not (dry_run or self._address):
                self.restore_originals(survey)
            self.deliver(survey, dry_run=dry_run)
            if not dry_run and self.is_public(survey):
                with contextlib.closing(self._files):
                    changed = self.rewrite(survey)
                removed = self.remove_local(survey)
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

    def survey_pages(self, *, dry_run: bool) -> SiteSurvey:
        """Read the pages; once more where an image that is not on disk turned out to be animated."""

        def read() -> SiteSurvey:
            surveyor = Surveyor(
                self._files,
                self._config,
                public_url=self._address.base_url if self._address else "",
                dimensions_only=self._dimensions_only,
                originals=self._originals,
                styles=self._styles,
            )
            return surveyor.run()

        survey = read()
        if self._originals and not dry_run and self._originals.learn(survey.images(), lambda: self._delivery.present):
            survey = read()
        return survey

    def _source(self, asset: Asset) -> Path:
        """Return where an image's bytes are."""
        if self._originals and asset in self._originals:
            return self._originals.file(asset)
        return self._root.file(asset.path)

    def restore_originals(self, survey: SiteSurvey) -> None:
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
        unreachable = self.fetch(survey, absent.values())
        self._inventory.unreachable |= unreachable
        for path, asset in absent.items():
            if asset.digest not in unreachable:
                write_atomically(self._root.file(path), self._source(asset).read_bytes())
                self._site_bytes += asset.size

    def deliver(self, survey: SiteSurvey, *, dry_run: bool) -> None:
        """Render and put everything that the pages need."""
        if not dry_run and self._address:
            self.claim(survey, self._address)
        present = self._delivery.present if survey.needs_objects(self._placement) else {}
        sets = [image.variants for image in survey.images()]
        variants = [variant for one in sets for variant in one.variants]
        self._inventory.sizes |= self._renderer.known_sizes(variants, present)
        self._inventory.sizes |= not_needed(sets, self._inventory.sizes)
        if not dry_run:
            self.render(survey, variants)
            self.make_placeholders(survey)
            self.upload(survey)

    def claim(self, survey: SiteSurvey, address: PublicAddress) -> None:
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

    def render(self, survey: SiteSurvey, variants: Iterable[Variant]) -> None:
        """Render the variants whose size nobody knows yet; a picture that fails is a problem of the survey."""

        def fault(asset: Asset, message: str) -> None:
            text = f"{message.removeprefix(asset.path + ': ')} Its references stay as they are."
            if not message.startswith(CACHE_UNWRITABLE):
                code = "unexpected" if REPORT in message else "bad-image"
                survey.problems.append(Problem(asset.path, 0, 0, code, text))
            elif not self._inventory.exit_code:  # the same for every image, so once
                survey.problems.append(Problem("", 0, 0, "cache", message, "error"))
                self._inventory.exit_code = BucketError.exit_code

        missing = [variant for variant in variants if variant.identity not in self._inventory.sizes]
        sources = {variant: [variant.asset, *(asset for _, asset in variant.inputs)] for variant in missing}
        self.fetch(survey, [asset for assets in sources.values() for asset in assets])
        bad = self._inventory.bad_sources
        usable = [variant for variant, assets in sources.items() if bad.isdisjoint(asset.digest for asset in assets)]
        sets = [image.variants for image in survey.images()]
        self._renderer.run(usable, self._inventory, fault, self._progress, sets=sets)

    def make_placeholders(self, survey: SiteSurvey) -> None:
        """Make what shows while images load, where somebody asked for it."""
        missing = self._placeholders.missing(survey.images())
        if missing:
            inputs = [asset for image in missing.values() for _, asset in image.variants.inputs]
            unreachable = self.fetch(survey, [*(image.asset for image in missing.values()), *inputs])
            usable = {name: image for name, image in missing.items() if image.digests.isdisjoint(unreachable)}
            self._placeholders.make(usable)
        self._inventory.placeholders = self._placeholders.styles(survey.images())

    def fetch(self, survey: SiteSurvey, assets: Iterable[Asset]) -> Set[str]:
        """Bring the bytes of images that are not on disk; return the digests of those that can't be had."""
        failures = self._originals.fetch(assets) if self._originals else {}
        severity = POLICY[self._config.missing] or "note"
        for digest, (path, error) in failures.items():
            if digest not in self._inventory.bad_sources:
                text = f"is not on disk, and can't be had from the bucket: {error} Its references stay as they are."
                survey.problems.append(Problem(path, 0, 0, "unreachable", text, severity))
        self._inventory.bad_sources |= failures.keys()
        return failures.keys()

    def upload(self, survey: SiteSurvey) -> None:
        """Put what the pages will point at and the bucket lacks."""
        variants, originals = self.wanted_objects(survey)
        present = self._delivery.present if originals or variants else {}
        lacking = [asset for key, asset in originals.items() if present.get(key) != asset.size]
        if unreachable := self.fetch(survey, lacking):
            # Pictures that can't be had keep their references, and with them other pictures of a page may fall out.
            self._inventory.unreachable |= unreachable
            variants, originals = self.wanted_objects(survey)
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

    def wanted_objects(self, survey: SiteSurvey) -> tuple[dict[str, Variant], dict[str, Asset]]:
        """Return what has to be in the bucket, by key: variants, and images as they are."""
        variants: dict[str, Variant] = {}
        originals: dict[str, Asset] = {}
        for choice in survey.choices():
            if self._editor.is_possible(choice):
                wanted, linked = self._editor.needs(choice)
                variants |= {variant.key: variant for variant in wanted}
                originals |= self._editor.original_keys(linked)
        return variants, originals

    def is_public(self, survey: SiteSurvey) -> bool:
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

    def rewrite(self, survey: SiteSurvey) -> int:
        """Replace the pages and return how many changed."""
        changed = 0
        digests = SiteDigests(self._files, survey.digests)
        for done, (path, plan) in enumerate(survey.plans.items(), 1):
            is_whole = path not in survey.faulty and all(map(self._editor.is_possible, plan.choices.values()))
            try:
                changed += self._writer.write(path, plan, digests, is_whole=is_whole)
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

    def remove_local(self, survey: SiteSurvey) -> int:
        """Delete the local files that every page has left for the bucket, where the settings ask for it."""
        if not (self._config.remove_local and self._address):
            return 0
        stored = self._delivery.uploaded | self._delivery.found
        # A layer's picture is in the bucket only as part of others, so nothing there could stand for its file.
        kept = survey.kept | {asset.path for image in survey.images() for _, asset in image.variants.inputs}
        moved: set[str] = set()
        for path, plan in survey.plans.items():
            for choice in plan.choices.values():
                if not isinstance(choice, Strip) and not choice.asset.key:
                    is_stored = self._address.original_key(choice.asset) in stored
                    (moved if is_stored and path in survey.settled else kept).add(choice.asset.path)
        free, notes = unused(moved - kept, self._root, self._config.base_url)
        survey.problems += notes
        removed = 0
        for path in free:
            with contextlib.suppress(OSError):
                # Only what is still what was uploaded: a file that somebody has replaced since is in no bucket.
                if stat_of(self._root.file(path)) == self._root.files[path]:
                    self._root.file(path).unlink()
                    removed += 1
        return removed


def summarise(
    survey: SiteSurvey, editor: Editor, inventory: RenderInventory, delivery: Delivery, *, dry_run: bool
) -> PublishResult:
    """Return the result of a run, as far as it follows from what was surveyed and put."""
    used: dict[str, Variant] = {}
    every: dict[str, Variant] = {}
    originals: dict[str, int] = {}
    replaced: dict[str, int] = {}
    for choice in survey.choices():
        if not isinstance(choice, Strip):
            originals[choice.asset.path] = choice.asset.size
        if isinstance(choice, Image) and editor.is_possible(choice):
            wanted, _ = editor.needs(choice)
            used |= {variant.identity: variant for variant in wanted}
            every |= {variant.identity: variant for variant in choice.variants.variants}
            if wanted:
                replaced[choice.asset.path] = inventory.sizes[widest(wanted, choice.asset).identity]
    failed = {problem.page for problem in survey.problems if problem.code != NO_END_MARKER}
    rows: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])  # format -> number, bytes, number of those left out
    for identity, variant in every.items():
        row = rows[variant.format]
        if identity in used:
            row[0] += 1
            row[1] += inventory.sizes[identity]
        else:
            row[2] += 1
    return PublishResult(
        target="",
        pages=survey.pages,
        images=len(originals),
        variants=len(every if dry_run else used),
        bytes_before=sum(originals[path] for path in replaced),
        bytes_after=sum(replaced.values()),
        rendered=len(every.keys() - inventory.sizes.keys()),
        uploaded=len(delivery.uploaded),
        present=len(delivery.found),
        dropped=0 if dry_run else len(every) - len(used),
        requests=dict(delivery.requests),
        formats=tuple(FormatRow(name, *row) for name, row in sorted(rows.items())),
        # Where rendering has found that px are missing, too, the note about a JPEG's end says nothing more.
        problems=tuple(sorted(p for p in survey.problems if p.code != NO_END_MARKER or p.page not in failed)),
        failed=tuple(sorted(inventory.failed_keys)),
        exit_code=exit_code(survey, inventory),
        dry_run=dry_run,
    )


def widest(variants: list[Variant], asset: Asset) -> Variant:
    """Return the widest variant of the format that browsers are offered first."""
    first = variants[0].format
    return max((v for v in variants if v.format == first and v.asset == asset), key=lambda v: v.width)


def exit_code(survey: SiteSurvey, inventory: RenderInventory) -> int:
    """Return 0, 1 for findings under the policy in force, or what the first failed upload stands for."""
    if inventory.exit_code:
        return inventory.exit_code
    # What nobody foresaw does not keep the rest from being published, and is not a success.
    return int(any(problem.severity == "error" or problem.code == "unexpected" for problem in survey.problems))
