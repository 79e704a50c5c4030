"""One source, many sizes and formats: decode once, derive each level from the next larger one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from s3img.atomic import write_atomically
from s3img.errors import ImageError, S3ImgError
from s3img.imaging.animation import Animation, encode_animation, keeps_animation, load_animation
from s3img.imaging.decode import RenderDeadline, decode, picture, pillow_errors
from s3img.imaging.encode import Encoding, encode
from s3img.imaging.image_info import MEDIA_TYPES, SUFFIXES, ImageInfo, Rendered, RenderTarget
from s3img.imaging.probing import located, opened, probe, too_large
from s3img.imaging.resize import resize
from s3img.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO, TypeAlias

    from PIL import Image

    from s3img.imaging.decode import Decoded
    from s3img.imaging.probing import ImageSource

    Outcome: TypeAlias = Rendered | ImageError
    Size: TypeAlias = tuple[int, int]
    Numbered: TypeAlias = list[tuple[int, RenderTarget]]

T = TypeVar("T")

_OVERSAMPLING = 2  # JPEG is decoded at twice the largest level at least: SSIM .999 instead of .99


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """Tell what became of one target of a job: ``error`` is empty where ``path`` holds the result."""

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
    outcomes = dict(_outcomes(source, targets, limits or Limits()))
    return [outcomes[index] for index in range(len(targets))]


def render_job(
    source: ImageSource, targets: Sequence[RenderTarget], out_dir: str, limits: Limits
) -> list[RenderedFile]:
    """Render ``source`` to every target, into files of ``out_dir`` that appear complete or not at all.

    Takes and returns plain values and raises no ``S3ImgError``, for pools of threads or processes.
    """
    files = {}
    try:
        for index, outcome in _outcomes(source, targets, limits):
            files[index] = _write(index, outcome, Path(out_dir))
    except S3ImgError as error:
        return [RenderedFile(index, error=str(error)) for index in range(len(targets))]
    return [files[index] for index in range(len(targets))]


def _write(index: int, outcome: Outcome, folder: Path) -> RenderedFile:
    """Store one result under a name made from its index and format."""
    if isinstance(outcome, ImageError):
        return RenderedFile(index, error=str(outcome))
    name = next(name for name, media_type in MEDIA_TYPES.items() if media_type == outcome.media_type)
    path = folder / f"{index}.{SUFFIXES.get(name, name)}"
    write_atomically(path, outcome.data)
    return RenderedFile(index, str(path), len(outcome.data), outcome.media_type, outcome.width, outcome.height)


def _outcomes(source: ImageSource, targets: Sequence[RenderTarget], limits: Limits) -> Iterator[tuple[int, Outcome]]:
    """Yield index and outcome of each target, the largest picture first."""
    info = probe(source, limits=limits)
    numbered = list(enumerate(targets))
    refused = {index: error for index, target in numbered if (error := _refusal(target, limits))}
    yield from refused.items()
    accepted = [(index, target) for index, target in numbered if index not in refused]
    moving = [pair for pair in accepted if keeps_animation(info, pair[1].format)]
    still = [pair for pair in accepted if not keeps_animation(info, pair[1].format)]
    with opened(source) as fp, located(source):
        if still:
            yield from _still(fp, info, still, limits)
        if moving:
            yield from _moving(fp, info, moving, limits)


def _refusal(target: RenderTarget, limits: Limits) -> ImageError | None:
    """Return the error for a target of no px or above a limit, before a px of it is allocated."""
    width, height = target.width, target.height
    text = f"A picture of {width} x {height} px is asked for"
    if min(width, height) < 1:
        return ImageError(f"{text}; the smallest is 1 x 1.")
    if max(width, height) > limits.output_side:
        return too_large("output_side", text, limits.output_side)
    if width * height > limits.output_pixels:
        return too_large("output_pixels", text, limits.output_pixels)
    return None


def _still(fp: BinaryIO, info: ImageInfo, numbered: Numbered, limits: Limits) -> Iterator[tuple[int, Outcome]]:
    """Yield the outcomes of still targets: one decode, Lanczos from level to level."""
    deadline = RenderDeadline(limits.seconds)
    levels = _levels(numbered)
    size = levels[0][0]
    decoded = decode(fp, info, (_OVERSAMPLING * size[0], _OVERSAMPLING * size[1]))
    deadline.check()
    with pillow_errors(f"The {info.format.upper()} can't be converted"):
        level = _top(decoded, size)
    for size, members in levels:
        with pillow_errors("The picture can't be scaled"):
            level = resize(level, size)
        for index, target in members:
            yield index, _attempt(_encoded, level, target)


def _top(decoded: Decoded, size: Size) -> Image.Image:
    """Return the largest level: scaled, in sRGB, upright."""
    return picture(decoded, (0, 0, *decoded.source), size)


def _encoded(picture: Image.Image, target: RenderTarget) -> Rendered:
    data = encode(picture, Encoding(target.format, target.quality))
    return Rendered(data, MEDIA_TYPES[target.format], *picture.size)


def _moving(fp: BinaryIO, info: ImageInfo, numbered: Numbered, limits: Limits) -> Iterator[tuple[int, Outcome]]:
    """Yield the outcomes of animated targets; the frames of one level at a time are held."""
    levels = _levels(numbered)
    animation = load_animation(
        fp, info, partial(_top, size=levels[0][0]), limits=limits, deadline=RenderDeadline(limits.seconds)
    )
    for size, members in levels:
        animation = animation.map(partial(resize, size=size))
        for index, target in members:
            yield index, _attempt(_encoded_animation, animation, target)


def _encoded_animation(animation: Animation, target: RenderTarget) -> Rendered:
    data = encode_animation(animation, Encoding(target.format, target.quality))
    return Rendered(data, MEDIA_TYPES[target.format], *animation.size)


def _attempt(encoded: Callable[[T, RenderTarget], Rendered], picture: T, target: RenderTarget) -> Outcome:
    """Return what ``encoded`` returns, or the error it raises."""
    try:
        return encoded(picture, target)
    except ImageError as error:
        return error


def _levels(numbered: Numbered) -> list[tuple[Size, Numbered]]:
    """Group targets by size, the largest first."""
    levels: dict[Size, Numbered] = {}
    for index, target in numbered:
        levels.setdefault((target.width, target.height), []).append((index, target))
    return sorted(levels.items(), key=lambda level: level[0][0] * level[0][1], reverse=True)
