"""Render missing variants into the cache. Nothing here looks at a page or at the bucket."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from s3img import imaging
from s3img.assets import Asset
from s3img.atomic import write_atomically
from s3img.cache import RENDERING_PREFIX
from s3img.errors import S3ImgError, unexpected
from s3img.imaging import RenderTarget
from s3img.pictures.format_comparison import NOT_SMALLER, FormatComparison
from s3img.transfer.executors import OpenExecutor, TaskRunner, open_executor
from s3img.transfer.plan import Upload
from s3img.transfer.workers import submit
from s3img.transform import Transform

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from s3img.cache import Cache
    from s3img.limits import Limits
    from s3img.pictures.editor import RenderInventory
    from s3img.pictures.variants import Variant, VariantSet
    from s3img.transfer.plan import Progress

RenderFault = Callable[[Asset, str], None]
"""Report an image that could not be rendered, and why."""

PlainInput = tuple[str, str, str]
"""What a layer is made of: its name in the transform, path, digest."""

Plain = tuple[str, int, int, str, int, str, tuple[PlainInput, ...], str]
"""A variant as values for any process: transform, width, height, format, quality, subsampling, layers, path."""

CACHE_UNWRITABLE = "The cache can't be written"
"""How the error of each image begins where it is not the image's fault."""

Outcome = list[tuple[int, str]]
"""Of each variant of a job: bytes, and the error that took their place; `NOT_SMALLER` where it need not be made."""


class Renderer:
    """Render variants into the cache, one job an image, all cores at work.

    ``executor`` is a name that `open_executor` knows, or one that is open (of processes or machines that share the
    cache, too) and is left so.
    """

    def __init__(
        self, source: Callable[[Asset], Path], cache: Cache, limits: Limits, *, executor: Executor | str = "threads"
    ) -> None:
        self._source = source
        self._cache = cache
        self._limits = limits
        self._executor = executor
        self.rendered = 0

    def path(self, variant: Variant) -> Path:
        """Return where a variant's bytes are once it is rendered."""
        return self._cache.variant(variant.identity, variant.format)

    def known_sizes(self, variants: Iterable[Variant], present: Mapping[str, int]) -> dict[str, int]:
        """Return the bytes, by identity, of variants that need not be rendered: in the bucket, or in the cache.

        ``present`` are the bucket's objects. One picture may be wanted under several keys: then it has to be there
        under each, or it is needed from the cache.
        """
        sizes: dict[str, int | None] = {}
        for variant in variants:
            if sizes.get(variant.identity, 0) is not None:
                size = present.get(variant.key)
                sizes[variant.identity] = self._cached_size(variant) if size is None else size
        return {identity: size for identity, size in sizes.items() if size is not None}

    def _cached_size(self, variant: Variant) -> int | None:
        try:
            return self.path(variant).stat().st_size or None  # of no bytes where the power failed: no image has none
        except OSError:
            return None

    def upload(self, variant: Variant, inventory: RenderInventory, present: Mapping[str, int]) -> Upload:
        """Return the upload of a rendering; one that is in the bucket counts whatever encoder made it."""
        size = present.get(variant.key, inventory.sizes[variant.identity])
        return Upload(variant.key, self.path(variant), size, variant.media_type)

    def run(
        self,
        variants: Iterable[Variant],
        inventory: RenderInventory,
        fault: RenderFault,
        progress: Progress,
        *,
        sets: Iterable[VariantSet] = (),
    ) -> None:
        """Render every variant that the inventory has no size for; an image of which one fails is a failure.

        Those that belong to ``sets`` are left out as soon as no set of the image needs them to know what to offer.
        """
        comparisons: dict[str, tuple[FormatComparison, ...]] = {}  # by digest
        for one in sets:
            if comparison := FormatComparison.of(one, inventory.sizes):
                digest = one.variants[0].asset.digest
                comparisons[digest] = (*comparisons.get(digest, ()), comparison)
        groups: dict[str, dict[str, Variant]] = {}
        for variant in variants:
            if variant.identity not in inventory.sizes:
                groups.setdefault(variant.asset.digest, {})[variant.identity] = variant
        if not groups:
            return
        self._cache.remove_stale()
        # The largest first: one that came last would keep a single core busy while the others have nothing to do.
        ordered = sorted(groups.values(), key=lambda group: -sum(v.width * v.height for v in group.values()))
        executor = self._executor
        if isinstance(executor, str):
            opened = open_executor(executor)
        else:
            opened = OpenExecutor(lambda: executor, workers=os.cpu_count() or 1, is_own=False)
        with opened as pool:
            runner = TaskRunner(pool, partial(self._submit, pool, comparisons))
            ended = runner.run(([*group.values()] for group in ordered), partial(_render_alone, runner))
            for done, (group, outcome) in enumerate(ended, 1):
                errors = [error for _, error in outcome if error]
                if errors:
                    inventory.bad_sources.add(group[0].asset.digest)
                    fault(group[0].asset, errors[0])
                made = {v.identity: size for v, (size, error) in zip(group, outcome, strict=True) if not error}
                inventory.sizes |= made
                self.rendered += sum(size < NOT_SMALLER for size in made.values())
                progress("rendering", done, len(groups))

    def _submit(
        self, pool: OpenExecutor, comparisons: Mapping[str, tuple[FormatComparison, ...]], variants: list[Variant]
    ) -> Future[Outcome]:
        asset, plain = variants[0].asset, tuple(map(self._plain, variants))
        others = comparisons.get(asset.digest, ())
        return submit(pool.executor, render_group, str(self._source(asset)), asset.digest, plain, self._limits, others)

    def _plain(self, variant: Variant) -> Plain:
        """Return a variant as values that any process understands; no transform where it is just another size."""
        text = str(variant.transform) if len(variant.transform.steps) > 1 else ""
        w, h, name, quality, colour = msgspec.structs.astuple(render_target(variant))
        inputs = tuple((key, str(self._source(asset)), asset.digest) for key, asset in variant.inputs)
        return text, w, h, name, quality, colour, inputs, str(self.path(variant))


def _render_alone(runner: TaskRunner[list[Variant], Outcome], variants: list[Variant], deaths: int) -> Outcome:
    text = "Every worker that rendered it died: most often the system ran out of memory. Lower limits.input_pixels."
    return runner.alone(variants, deaths) or [(0, text)] * len(variants)


def render_target(variant: Variant) -> RenderTarget:
    """Return what a variant that is another size of its picture asks of the engine."""
    quality, colour = variant.transform.quality or 0, variant.transform.output.subsampling or ""
    return RenderTarget(variant.width, variant.height, variant.format, quality, colour)


def render_group(
    source: str,
    digest: str,
    variants: tuple[Plain, ...],
    limits: Limits,
    comparisons: tuple[FormatComparison, ...] = (),
) -> Outcome:
    """Render one file to its variants, each with the path of its result; errors are values.

    Those of ``comparisons`` are rendered only where one of these asks for them.

    Nothing is rendered from bytes whose SHA-256 is not ``digest`` (hex): what is made has a name that stands for them.
    One file never ends a run: what a decoder raises that nobody foresaw is the error of that file alone.
    """
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        return [(0, f"The file can't be read: {error.strerror}.")] * len(variants)
    if hashlib.sha256(data).hexdigest() != digest:
        return [(0, "The file was changed meanwhile. Run the command again.")] * len(variants)
    sizes = [number for number, variant in enumerate(variants) if not variant[0]]
    found: dict[int, tuple[int, str]] = {}
    try:
        if sizes:
            outcome = _render_sizes(data, [variants[number] for number in sizes], limits, comparisons)
            found |= zip(sizes, outcome, strict=True)
        for number in set(range(len(variants))) - set(sizes):
            text, *_, inputs, path = variants[number]
            found[number] = _render_transform(data, text, inputs, Path(path), limits)
    except OSError as error:
        message = f"{CACHE_UNWRITABLE}: {error.strerror}. Free space, or name another cache_dir."
        return [(0, message)] * len(variants)
    except Exception as error:
        return [(0, f"It met {unexpected(error)}")] * len(variants)
    return [found[number] for number in range(len(variants))]


def _render_sizes(
    data: bytes, variants: list[Plain], limits: Limits, comparisons: tuple[FormatComparison, ...]
) -> Outcome:
    """Render the variants that are other sizes of one picture, the smaller ones from the larger."""
    identities = [Path(path).stem for *_, path in variants]
    compared = {identity for one in comparisons for found in one.formats.values() for _, identity in found}
    required = [number for number, identity in enumerate(identities) if identity not in compared]

    def order(made: Mapping[int, int]) -> int | None:
        if missing := [number for number in required if number not in made]:
            return missing[0]
        sizes = {identities[number]: size for number, size in made.items()}
        following = (identity for one in comparisons if (identity := one.next_variant(sizes)))
        return next(map(identities.index, following), None)

    folder = Path(variants[0][-1]).parent.parent
    folder.mkdir(parents=True, exist_ok=True)
    targets = [RenderTarget(w, h, name, quality, colour) for _, w, h, name, quality, colour, _, _ in variants]
    with tempfile.TemporaryDirectory(dir=folder, prefix=RENDERING_PREFIX) as made:
        outcome = []
        files = imaging.render_job(data, targets, made, limits, order=order if comparisons else None)
        for rendered, (*_, path) in zip(files, variants, strict=True):
            if rendered.path:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(rendered.path).replace(path)
            outcome.append((rendered.bytes if rendered.path else NOT_SMALLER, rendered.error))
        return outcome


def _render_transform(
    data: bytes, transform: str, inputs: Iterable[PlainInput], path: Path, limits: Limits
) -> tuple[int, str]:
    layers = {}
    for key, file, digest in inputs:
        try:
            layers[key] = Path(file).read_bytes()
        except OSError as error:
            return 0, f"Layer {key!r} can't be read: {error.strerror}."
        if hashlib.sha256(layers[key]).hexdigest() != digest:
            return 0, f"Layer {key!r} was changed meanwhile. Run the command again."
    try:
        parsed = Transform.parse(transform, limits=limits)
        rendered = imaging.render(data, parsed, limits=limits, profile="build", inputs=layers)
    except S3ImgError as error:
        return 0, str(error)
    write_atomically(path, rendered.data)
    return len(rendered.data), ""
