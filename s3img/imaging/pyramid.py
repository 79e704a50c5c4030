"""One source, many sizes and formats: decode once, derive each size from the next larger one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from s3img.atomic import write_atomically
from s3img.errors import ImageError, S3ImgError
from s3img.imaging.animation import Animation, encode_animation, keeps_animation, load_animation
from s3img.imaging.decode import OVERSAMPLING, RenderDeadline, decode, pillow_errors
from s3img.imaging.encode import SUBSAMPLINGS, Encoding, encode
from s3img.imaging.image_info import MEDIA_TYPES, SUFFIXES, ImageInfo, Rendered, RenderTarget
from s3img.imaging.probing import located, opened, probe, too_large
from s3img.imaging.resize import resize
from s3img.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import BinaryIO, TypeAlias

    from PIL import Image

    from s3img.imaging.decode import Decoded
    from s3img.imaging.probing import ImageSource

    Outcome: TypeAlias = Rendered | ImageError
    Numbered: TypeAlias = list[tuple[int, RenderTarget]]
    Order: TypeAlias = Callable[[Mapping[int, int]], int | None]
    """Return the target to make next, None at the end, from the bytes of those that are made."""


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """What became of one target of a job: ``path`` holds the result, or ``error`` says why there is none.

    Both are empty where the job's order left it out.
    """

    index: int
    path: str = ""
    bytes: int = 0
    media_type: str = ""
    width: int = 0
    height: int = 0
    error: str = ""


def render_variants(
    source: ImageSource, targets: Sequence[RenderTarget], *, limits: Limits | None = None
) -> list[Rendered | ImageError]:
    """Render one source to every target; the result has one entry for each, in their order.

    A target that fails is an ``ImageError`` in its place; a source that fails raises it. An animated source stays
    animated in GIF, WebP and AVIF, and in its own format. Targets may have any proportions; nothing is cropped.
    """
    outcomes = dict(iterate_variants(source, targets, limits or Limits()))
    return [outcomes[index] for index in range(len(targets))]


def render_job(
    source: ImageSource, targets: Sequence[RenderTarget], out_dir: str, limits: Limits, *, order: Order | None = None
) -> list[RenderedFile]:
    """Render ``source`` to every target, into files of ``out_dir`` that appear complete or not at all.

    With ``order`` stills are made in that order, and only as far as it goes. Takes and returns plain values and raises
    no ``S3ImgError``, for pools of threads or processes.
    """
    files = {}
    try:
        for index, outcome in iterate_variants(source, targets, limits, order):
            if isinstance(outcome, ImageError):
                files[index] = RenderedFile(index, error=str(outcome))
                continue
            name = targets[index].format
            path = Path(out_dir) / f"{index}.{SUFFIXES.get(name, name)}"
            write_atomically(path, outcome.data)
            size = outcome.width, outcome.height
            files[index] = RenderedFile(index, str(path), len(outcome.data), outcome.media_type, *size)
    except S3ImgError as error:
        return [RenderedFile(index, error=str(error)) for index in range(len(targets))]
    return [files.get(index) or RenderedFile(index) for index in range(len(targets))]


def iterate_variants(
    source: ImageSource, targets: Sequence[RenderTarget], limits: Limits, order: Order | None = None
) -> Iterator[tuple[int, Outcome]]:
    """Yield index and outcome of each target as it is made: stills before animations, the largest picture first.

    ``order`` replaces that order where all targets are stills; it ends with the first target that fails.
    """
    info = probe(source, limits=limits)
    still: Numbered = []
    moving: Numbered = []
    for index, target in enumerate(targets):
        if error := refusal(target, limits):
            yield index, error
        else:
            (moving if keeps_animation(info, target.format) else still).append((index, target))
    with opened(source) as fp, located(source):
        if still:
            yield from _stills(fp, info, still, limits, order if len(still) == len(targets) else None)
        if moving:
            yield from _animations(fp, info, moving, limits)


def refusal(target: RenderTarget, limits: Limits) -> ImageError | None:
    """Return the error for a target of no px or above a limit, before a px of it is allocated."""
    width, height = target.width, target.height
    text = f"A picture of {width} x {height} px is asked for"
    if min(width, height) < 1:
        return ImageError(f"{text}; the smallest is 1 x 1.", fix="")
    if max(width, height) > limits.output_side:
        return too_large("output_side", text, limits.output_side)
    if width * height > limits.output_pixels:
        return too_large("output_pixels", text, limits.output_pixels)
    return None


def _stills(
    fp: BinaryIO, info: ImageInfo, numbered: Numbered, limits: Limits, order: Order | None
) -> Iterator[tuple[int, Outcome]]:
    """Yield the outcomes of still targets: one decode, Lanczos from size to size."""
    deadline = RenderDeadline(limits.seconds)
    sizes = by_size(numbered)
    largest = next(iter(sizes))
    scale = OVERSAMPLING["build"]
    decoded = decode(fp, info, (round(scale * largest[0]), round(scale * largest[1])), limits)
    deadline.check()
    with pillow_errors(f"The {info.format.upper()} can't be converted"):
        picture = decoded.picture((0, 0, *decoded.source), largest)
    pictures: dict[int, Image.Image] = {}
    for size, members in sizes.items():
        with pillow_errors("The picture can't be scaled"):
            picture = resize(picture, size)
        for index, target in members:
            if order:
                pictures[index] = picture
            else:
                yield index, encoded(picture, info, target)
    if not order:
        return
    targets = dict(numbered)
    made: dict[int, int] = {}
    while (following := order(made)) is not None:
        outcome = encoded(pictures[following], info, targets[following])
        yield following, outcome
        if isinstance(outcome, ImageError):
            return
        made[following] = len(outcome.data)


def _animations(fp: BinaryIO, info: ImageInfo, numbered: Numbered, limits: Limits) -> Iterator[tuple[int, Outcome]]:
    """Yield the outcomes of animated targets; the frames of one size at a time are in memory."""
    sizes = by_size(numbered)
    largest = next(iter(sizes))

    def finish(decoded: Decoded) -> Image.Image:
        return decoded.picture((0, 0, *decoded.source), largest)

    animation = load_animation(fp, info, finish, limits=limits, deadline=RenderDeadline(limits.seconds))
    for size, members in sizes.items():
        animation = animation.map(partial(resize, size=size))
        for index, target in members:
            yield index, encoded(animation, info, target)


def encoded(picture: Image.Image | Animation, info: ImageInfo, target: RenderTarget) -> Outcome:
    """Return the picture in the format of a target, or the error that its encoder raises."""
    encoding = Encoding(
        target.format, target.quality, lossless_source=info.is_lossless, subsampling=SUBSAMPLINGS[target.subsampling]
    )
    try:
        data = encode_animation(picture, encoding) if isinstance(picture, Animation) else encode(picture, encoding)
    except ImageError as error:
        return error
    return Rendered(data, MEDIA_TYPES[target.format], *picture.size)


def by_size(numbered: Numbered) -> dict[tuple[int, int], Numbered]:
    """Group targets by size, the largest first."""
    sizes: dict[tuple[int, int], Numbered] = {}
    for index, target in sorted(numbered, key=lambda pair: pair[1].width * pair[1].height, reverse=True):
        sizes.setdefault((target.width, target.height), []).append((index, target))
    return sizes
