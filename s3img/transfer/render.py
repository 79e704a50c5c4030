"""Make what the pages need: render missing variants, then put missing objects. Nothing here looks at a page."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from s3img import imaging, transfer
from s3img.assets import Asset
from s3img.atomic import write_atomically
from s3img.cache import RENDERING_PREFIX
from s3img.errors import S3ImgError
from s3img.imaging import RenderTarget
from s3img.transfer import Upload, UploadPlan, UploadResult, claims
from s3img.transform import Transform

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from s3img.buckets import Bucket
    from s3img.cache import Cache
    from s3img.limits import Limits
    from s3img.pictures.editor import RenderInventory
    from s3img.pictures.variants import Variant
    from s3img.transfer.claims import BucketSnapshot

Progress = Callable[[str, int, int], None]
"""Report (what is being done, done so far, in all)."""

RenderFault = Callable[[Asset, str], None]
Plain = tuple[str, int, int, str, int, str]
"""A variant as values that any process understands: transform, width, height, format, quality, path."""

Job = tuple[str, str, tuple[Plain, ...], "Limits"]
"""What `render_group` takes."""

Outcome = list[tuple[int, str]]
"""Of each variant of a job: bytes, and the error that took their place."""


class Renderer:
    """Render variants into the cache, one job an image, all cores at work.

    ``executor`` (of processes or machines that share the cache, too) is left open; by default threads do the work.
    """

    def __init__(
        self, source: Callable[[Asset], Path], cache: Cache, limits: Limits, *, executor: Executor | None = None
    ) -> None:
        self._source = source
        self._cache = cache
        self._limits = limits
        self._executor = executor
        self.rendered = 0

    def path(self, variant: Variant) -> Path:
        """Return where a variant's bytes are once it is rendered."""
        return self._cache.variant(variant.identity, variant.format)

    def size(self, variant: Variant) -> int | None:
        """Return the bytes of a variant in the cache, None without one."""
        try:
            return self.path(variant).stat().st_size
        except OSError:
            return None

    def run(
        self, variants: Iterable[Variant], inventory: RenderInventory, fault: RenderFault, progress: Progress
    ) -> None:
        """Render every variant that the inventory has no size for; an image of which one fails is a failure."""
        groups: dict[str, dict[str, Variant]] = {}
        for variant in variants:
            if variant.identity not in inventory.sizes:
                groups.setdefault(variant.asset.digest, {})[variant.identity] = variant
        jobs = [list(group.values()) for group in groups.values()]
        if jobs:
            self._cache.remove_stale()
            with self._pool() as executor:
                for done, (group, outcome) in enumerate(self._outcomes(executor, jobs), 1):
                    self._record(group, outcome, inventory, fault)
                    progress("rendering", done, len(jobs))

    def _pool(self) -> AbstractContextManager[Executor]:
        if self._executor:
            return nullcontext(self._executor)
        return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="s3img-render")

    def _outcomes(self, executor: Executor, groups: list[list[Variant]]) -> Iterator[tuple[list[Variant], Outcome]]:
        """Keep a few jobs waiting, not all of them, so that an interrupt ends the run soon."""
        waiting = iter(groups)
        running: dict[Future[Outcome], list[Variant]] = {}
        window = 2 * (os.cpu_count() or 1)
        try:
            while True:
                for group in islice(waiting, window - len(running)):
                    running[_begun(executor, self._job(group))] = group
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    group = running.pop(future)
                    yield group, _outcome(future, len(group))
        finally:
            for future in running:
                future.cancel()

    def _job(self, group: list[Variant]) -> Job:
        asset = group[0].asset
        return str(self._source(asset)), asset.digest, tuple(self._plain(variant) for variant in group), self._limits

    def _plain(self, variant: Variant) -> Plain:
        """Return a variant as values that any process understands; no transform where it is just another size."""
        text = str(variant.transform) if len(variant.transform.steps) > 1 else ""
        return (
            text,
            variant.width,
            variant.height,
            variant.format,
            variant.transform.quality or 0,
            str(self.path(variant)),
        )

    def _record(self, group: list[Variant], outcome: Outcome, inventory: RenderInventory, fault: RenderFault) -> None:
        errors = [error for _, error in outcome if error]
        if errors:
            inventory.bad_sources.add(group[0].asset.digest)
            fault(group[0].asset, errors[0])
        for variant, (size, error) in zip(group, outcome, strict=True):
            if not error:
                inventory.sizes[variant.identity] = size
                self.rendered += 1


def _begun(executor: Executor, job: Job) -> Future[Outcome]:
    try:
        return executor.submit(render_group, *job)
    except BrokenExecutor as error:
        broken: Future[Outcome] = Future()
        broken.set_exception(error)
        return broken


def _outcome(future: Future[Outcome], variants: int) -> Outcome:
    error = future.exception()
    if isinstance(error, BrokenExecutor):
        return [(0, f"A worker died: {error} Look for what ended it: memory?")] * variants
    return future.result()


def render_group(source: str, digest: str, variants: tuple[Plain, ...], limits: Limits) -> Outcome:
    """Render one file to all its variants (transform, width, height, format, quality, path); errors are values.

    Nothing is rendered from bytes whose SHA-256 is not ``digest`` (hex): what is made has a name that stands for them.
    """
    data = _verified(source, digest)
    if isinstance(data, str):
        return [(0, data)] * len(variants)
    plain = [number for number, variant in enumerate(variants) if not variant[0]]
    found: dict[int, tuple[int, str]] = {}
    try:
        if plain:
            found |= zip(plain, _render_variants(data, [variants[number] for number in plain], limits), strict=True)
        for number in set(range(len(variants))) - set(plain):
            found[number] = _render_one(data, variants[number], limits)
    except OSError as error:
        message = f"The cache can't be written: {error.strerror}. Free space, or name another cache_dir."
        return [(0, message)] * len(variants)
    return [found[number] for number in range(len(variants))]


def _verified(source: str, digest: str) -> bytes | str:
    """Return a file's bytes if they are still the ones that were planned for, else what happened."""
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        return f"The file can't be read: {error.strerror}."
    if hashlib.sha256(data).hexdigest() != digest:
        return "The file was changed meanwhile. Run the command again."
    return data


def _render_variants(data: bytes, variants: list[Plain], limits: Limits) -> Outcome:
    folder = Path(variants[0][5]).parent.parent
    folder.mkdir(parents=True, exist_ok=True)
    targets = [RenderTarget(width, height, name, quality) for _, width, height, name, quality, _ in variants]
    with tempfile.TemporaryDirectory(dir=folder, prefix=RENDERING_PREFIX) as made:
        outcome = []
        for rendered, (*_, path) in zip(imaging.render_job(data, targets, made, limits), variants, strict=True):
            if not rendered.error:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(rendered.path).replace(path)
            outcome.append((rendered.bytes, rendered.error))
        return outcome


def _render_one(data: bytes, variant: Plain, limits: Limits) -> tuple[int, str]:
    text, *_, path = variant
    try:
        rendered = imaging.render(data, Transform.parse(text), limits=limits, profile="build")
    except S3ImgError as error:
        return 0, str(error)
    write_atomically(Path(path), rendered.data)
    return len(rendered.data), ""


class ObjectUploader:
    """Put objects into the bucket, each once; remember what is there."""

    def __init__(self, bucket: Bucket, workers: int, deadline: float = 0) -> None:
        self._bucket = bucket
        self._workers = workers
        self._deadline = transfer.Deadline(deadline)
        self._snapshot: BucketSnapshot | None = None
        self.uploaded: tuple[str, ...] = ()
        self.found: tuple[str, ...] = ()

    @property
    def requests(self) -> Mapping[str, int]:
        """Return the requests sent so far by operation."""
        return self._bucket.requests

    @property
    def stored(self) -> frozenset[str]:
        """Return the keys that are known to be in the bucket."""
        return frozenset(self.uploaded) | frozenset(self.found)

    def present(self) -> Mapping[str, int]:
        """Return the bytes of each object that may be relied on; asked once a run, 1,000 keys a request."""
        return self._look().present

    def claim(self, keys: Callable[[], frozenset[str]], *, site: str) -> None:
        """Keep a clean-up from deleting objects under these keys; the bucket is asked first, in case it can't be."""
        snapshot = self._look()
        self._snapshot = claims.claim(self._bucket, keys(), snapshot, site=site)

    def _look(self) -> BucketSnapshot:
        if self._snapshot is None:
            self._snapshot = claims.look(self._bucket)
        return self._snapshot

    def variant(self, key: str, variant: Variant, path: Path, size: int) -> Upload:
        """Return the upload of a rendering of ``size`` bytes; one in the bucket counts whatever encoder made it."""
        return Upload(key, path, self.present().get(key, size), variant.media_type)

    def original(self, key: str, asset: Asset, path: Path) -> Upload:
        """Return the upload of a file as it is."""
        return Upload(key, path, asset.size, asset.facts.media_type, sha256=asset.digest)

    def run(self, uploads: list[Upload], progress: Progress) -> UploadResult:
        """Put what is missing; failures are part of the result."""
        plan = transfer.plan_uploads(uploads, self.present()) if uploads else transfer.UploadPlan(())
        result = self._send(plan, progress)
        again = self._swept(plan, result)
        if again.uploads:
            result = _both(result, self._send(again, progress))
        self.uploaded = result.uploaded
        self.found = tuple(upload.key for upload in plan.present)
        return result

    def _swept(self, plan: UploadPlan, result: UploadResult) -> UploadPlan:
        """Return what was put in place of marked objects and swept away all the same."""
        revived = self._look().marked.intersection(result.uploaded) if plan.uploads else ()
        gone = claims.lost(self._bucket, sorted(revived), workers=self._workers)
        return UploadPlan(tuple(upload for upload in plan.uploads if upload.key in gone))

    def _send(self, plan: UploadPlan, progress: Progress) -> UploadResult:
        done = iter(range(1, len(plan.uploads) + 1))
        return transfer.run_uploads(
            plan,
            self._bucket,
            workers=self._workers,
            deadline=self._deadline.left(),
            progress=lambda upload, error: progress("uploading", next(done), len(plan.uploads)),  # noqa: ARG005
        )


def _both(first: UploadResult, second: UploadResult) -> UploadResult:
    """Add up two runs, the second of which sent again what the first had sent."""
    return UploadResult(
        uploaded=tuple(key for key in first.uploaded if key not in second.failed),
        failed={**first.failed, **second.failed},
        bytes=first.bytes + second.bytes,
        seconds=first.seconds + second.seconds,
    )
