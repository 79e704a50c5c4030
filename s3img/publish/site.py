"""The pipeline of a built site: survey its pages, render, put what is missing, then rewrite page by page.

Everything a page will point at is in its place before the page is replaced, so a visitor never meets a reference
that leads nowhere, and a run that stops half-way leaves each page either old or new.
"""

from __future__ import annotations

import contextlib
import posixpath
import time
from typing import TYPE_CHECKING

from s3img.assets import OWN_FOLDER, Asset, AssetRoot
from s3img.atomic import write_atomically
from s3img.cache import Cache, is_settled, stat_of
from s3img.errors import AssetError
from s3img.keys import KeyTemplate
from s3img.markup import STYLE_SHEET
from s3img.publish.choices import Strip
from s3img.publish.edits import Editor, Placement, Shelf
from s3img.publish.manifest import PageManifest
from s3img.publish.pages import PageWriter
from s3img.publish.result import Problem, PublishResult
from s3img.publish.stage import Progress, Renderer, Uploader
from s3img.publish.summary import summarise
from s3img.publish.survey import MEDIA_TYPES, Survey, Surveyor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from s3img.buckets import Bucket
    from s3img.config import Config
    from s3img.ladder import Variant
    from s3img.sync import Upload

STYLE_PATH = f"{OWN_FOLDER}/s3img.css"
_STALE = 3600  # seconds after which a temporary file belongs to no running build


class SitePublisher:
    """Publish one built site; ``bucket`` is where objects go, ``base_url`` its public address, "" inside the site."""

    def __init__(
        self,
        root: Path,
        config: Config,
        *,
        bucket: Bucket,
        base_url: str,
        cache: Cache,
        progress: Progress,
        dimensions_only: bool = False,
    ) -> None:
        if not root.is_dir():
            raise AssetError(f"{root}: is no folder.", path=str(root), fix="Name the folder of a built site.")
        self._config = config
        self._dimensions_only = dimensions_only
        self._bucket = bucket
        self._cache = cache
        self._progress = progress
        self._root = AssetRoot(root, site_url=config.site_url)
        self._state = cache.load_state(root)
        self._manifest = PageManifest(root)
        self._surveyor = Surveyor(self._root, self._state, self._manifest, config, dimensions_only=dimensions_only)
        self._placement = Placement(KeyTemplate.parse(config.key_template), base_url)
        self._shelf = Shelf()
        self._editor = Editor(config, self._placement, self._shelf)
        self._renderer = Renderer(self._root, cache, config.limits)
        self._uploader = Uploader(bucket, config.workers)

    def run(self, *, dry_run: bool = False, notes: Iterable[Problem] = ()) -> PublishResult:
        """Publish; with ``dry_run`` only say what there is to do. Raise S3ImgError; most problems are in the result."""
        start = time.perf_counter()
        survey = self._surveyor.run()
        survey.problems += notes
        changed, removed = 0, 0
        has_errors = any(problem.severity == "error" for problem in survey.problems)
        if survey.choices and not has_errors:
            self._stock(survey, dry_run=dry_run)
            if not dry_run:
                changed = self._rewrite(survey)
                removed = self._remove(survey)
        if not dry_run:
            self._save(survey)
        return summarise(
            survey, self._editor, self._shelf, self._uploader,
            target=self._bucket.name if self._placement.base_url else "",
            changed=changed, removed=removed, rendered=self._renderer.rendered, dry_run=dry_run,
            seconds=time.perf_counter() - start,
        )  # fmt: skip

    def _stock(self, survey: Survey, *, dry_run: bool) -> None:
        """Render and put everything that the pages need."""
        present = self._uploader.present() if survey.needs_objects(self._placement) else {}
        variants = [variant for image in survey.images() for variant in image.ladder.variants]
        self._take_stock(variants, present)
        if dry_run:
            return

        def fault(asset: Asset, message: str) -> None:
            text = f"{message.removeprefix(asset.path + ': ')} Its references stay as they are."
            survey.problems.append(Problem(asset.path, 0, 0, "bad-image", text))

        self._renderer.run(variants, self._shelf, fault, self._progress)
        self._put(survey)

    def _take_stock(self, variants: Iterable[Variant], present: Mapping[str, int]) -> None:
        """Note the variants whose bytes are known and need not be made: in the bucket under every key, or cached."""
        sizes: dict[str, int | None] = {}
        for variant in variants:
            if sizes.get(variant.identity, 0) is not None:
                size = present.get(variant.key(self._placement.template))
                sizes[variant.identity] = self._renderer.size(variant) if size is None else size
        self._shelf.sizes |= {identity: size for identity, size in sizes.items() if size is not None}

    def _put(self, survey: Survey) -> None:
        variants: dict[str, Variant] = {}
        originals: dict[str, Asset] = {}
        for choice in survey.every():
            if self._editor.is_possible(choice):
                wanted, linked = self._editor.keys(choice)
                variants |= {variant.key(self._placement.template): variant for variant in wanted}
                originals |= {key: asset for asset in linked if (key := self._placement.original(asset))}
        uploads = [self._upload(key, variant) for key, variant in variants.items()]
        uploads += [self._uploader.original(key, a, self._root.file(a.path)) for key, a in originals.items()]
        result = self._uploader.run(uploads, self._progress)
        self._shelf.exit_code = result.exit_code
        self._shelf.failed_keys |= result.failed.keys()
        for error in {str(error): error for error in result.failed.values()}.values():
            survey.problems.append(Problem("", 0, 0, "upload", str(error), "error"))

    def _upload(self, key: str, variant: Variant) -> Upload:
        path = self._renderer.path(variant)
        return self._uploader.variant(key, variant, path, self._shelf.sizes[variant.identity])

    def _rewrite(self, survey: Survey) -> int:
        writer = PageWriter(self._surveyor, self._editor, STYLE_PATH)
        changed = 0
        for done, (path, choices) in enumerate(survey.choices.items(), 1):
            is_whole = path not in survey.faulty and all(map(self._editor.is_possible, choices))
            data = self._surveyor.read(path)
            if data is None:
                continue
            media_type = MEDIA_TYPES[posixpath.splitext(path)[1].lower()]
            new = writer.rewrite(path, data, media_type, is_whole=is_whole)
            if new is not data:
                self._replace(path, new, is_whole=is_whole)
                changed += 1
            if is_whole:
                survey.settled.add(path)
            self._progress("rewriting", done, len(survey.choices))
        return changed

    def _replace(self, path: str, data: bytes, *, is_whole: bool) -> None:
        file = self._root.file(path)
        try:
            style = self._root.file(STYLE_PATH)
            if STYLE_PATH.encode() in data and not style.exists():
                write_atomically(style, STYLE_SHEET.encode())
            if is_whole and not self._dimensions_only:
                self._manifest.add(path, data)
            write_atomically(file, data)
        except OSError as error:
            raise AssetError(
                f"{path}: can't be written: {error.strerror}.", path=path, fix="Free or unlock it."
            ) from error

    def _remove(self, survey: Survey) -> int:
        """Delete the local files that every page has left for the bucket, where the settings ask for it."""
        if not (self._config.remove_local and self._placement.base_url):
            return 0
        kept = set(survey.kept)
        moved: dict[str, Asset] = {}
        for path, choices in survey.choices.items():
            for choice in choices:
                if isinstance(choice, Strip):
                    continue
                moved[choice.asset.path] = choice.asset
                if path not in survey.settled or self._placement.original(choice.asset) not in self._uploader.stored:
                    kept.add(choice.asset.path)
        removed = 0
        for path in moved.keys() - kept:
            file = self._root.file(path)
            with contextlib.suppress(OSError):
                if stat_of(file) == self._root.files[path]:
                    file.unlink()
                    removed += 1
        return removed

    def _save(self, survey: Survey) -> None:
        """Keep what was found out for the next run, and clear what a killed one left."""
        with contextlib.suppress(OSError):
            self._manifest.save()
        self._state.settings = self._surveyor.fingerprint()
        self._state.settled = {}
        for path in survey.settled:
            with contextlib.suppress(OSError):
                stat = stat_of(self._root.file(path))
                if is_settled(stat):
                    self._state.settled[path] = stat
        self._state.digests = {p: known for p, known in self._state.digests.items() if p in self._root.files}
        self._cache.save_state(self._root.root, self._state)
        for leftover in self._root.leftovers:
            with contextlib.suppress(OSError):
                if time.time() - leftover.stat().st_mtime > _STALE:
                    leftover.unlink()
