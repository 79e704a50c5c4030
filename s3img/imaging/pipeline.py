"""Render one source under one transform: probe, refuse, decode, run the steps; then encode."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from s3img.errors import UnsupportedImage
from s3img.imaging.animation import encode_animation, keeps_animation, load_animation
from s3img.imaging.chain import Chain, changes
from s3img.imaging.color import has_alpha
from s3img.imaging.decode import RenderDeadline, decode, pillow_errors
from s3img.imaging.encode import DEFAULT_QUALITY, Encoding, check_encoder, encode, encoders, kept_exif
from s3img.imaging.image_info import MEDIA_TYPES, ImageInfo, Rendered
from s3img.imaging.probing import located, opened, probe, too_large
from s3img.imaging.strip import stripped
from s3img.limits import Limits
from s3img.transform.geometry import Hints, plans

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import BinaryIO

    from s3img.imaging.encode import Profile
    from s3img.imaging.probing import ImageSource
    from s3img.transform import Transform
    from s3img.transform.steps import OutputFormat

_MODERN: Final = ("avif", "webp")

_EVERYWHERE: Final = frozenset({"jpeg", "png", "gif"})


def choose_format(wanted: OutputFormat, info: ImageInfo, accept: Collection[str] | None, *, alpha: bool) -> str:
    """Return the format for what is ``wanted``.

    ``auto`` is the most modern of what a client accepts (media types), else the source's own where every browser
    shows it, else PNG with transparency and JPEG without, GIF for an animation. Without knowledge of a client
    (None), like ``orig``, it is the source's own where that can be written.
    """
    if wanted not in {"auto", "orig"}:
        return wanted
    fitting = not (alpha and info.format == "jpeg")
    if wanted == "orig" or accept is None:
        own = info.format in encoders() and fitting
    else:
        for name in _MODERN:
            if MEDIA_TYPES[name] in accept and name in encoders():
                return name
        own = info.format in _EVERYWHERE and fitting
    return info.format if own else _plain(info, alpha=alpha)


def _plain(info: ImageInfo, *, alpha: bool) -> str:
    """Return a format that every browser shows."""
    if info.animated:
        return "gif"
    return "png" if alpha else "jpeg"


_OVERSAMPLING: Final = {"build": 2.0, "request": 1.2}
"""How much larger than asked for a JPEG is decoded at least: libvips' likeness, or sharp's at its speed."""


def render(
    source: ImageSource,
    transform: Transform,
    *,
    profile: Profile = "build",
    accept: Collection[str] | None = None,
    limits: Limits | None = None,
    quality: Mapping[str, int] | None = None,
    hints: Hints | None = None,
) -> Rendered:
    """Render an image as ``transform`` says.

    ``profile`` trades time for bytes (``build``) or answers quickly (``request``); ``accept`` holds the media types
    a client takes, for ``f-auto`` (None: unknown); ``quality`` replaces defaults by format.

    Where format and size stay and no step changes a pixel, the result is never larger than the source: it is then
    the source's own encoding with its metadata taken out.

    Raises what ``probe`` raises, ``TransformError`` where the transform does not fit this picture, ``ImageTooLarge``
    for a result above a limit, before a pixel is allocated, ``ImageError`` for truncated or corrupt pixels.
    """
    drawn = draw(source, transform, profile=profile, accept=accept, limits=limits, quality=quality, hints=hints)
    with located(source):
        return drawn.encode()


def draw(
    source: ImageSource,
    transform: Transform,
    *,
    profile: Profile = "build",
    accept: Collection[str] | None = None,
    limits: Limits | None = None,
    quality: Mapping[str, int] | None = None,
    hints: Hints | None = None,
) -> Drawn:
    """Do all that ``render`` does but encode, for callers that bound the two apart; raise the same."""
    limits = limits or Limits()
    info = probe(source, limits=limits)
    with opened(source) as fp, located(source):
        if transform.output.original:
            fp.seek(0)
            return Drawn(info.format, (info.width, info.height), partial(bytes, fp.read()))
        if not info.renderable:
            raise UnsupportedImage(f"{info.format.upper()} is published as it is and never rendered.")
        if len(transform.steps) > limits.steps:
            raise too_large("steps", f"The transform has {len(transform.steps)} steps", limits.steps)
        work = _Work(info, transform, profile, accept, limits, quality or {}, hints or Hints())
        return work.run(fp)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Hold a picture of ``size`` px that is still to be written in ``format``, which happens when it is encoded.

    ``pixels`` counts those of all frames. ``source`` is what the result must not be larger than, where that matters.
    """

    format: str
    size: tuple[int, int]
    write: Callable[[], bytes]
    pixels: int = 0
    source: bytes = b""

    @property
    def memory(self) -> int:
        """Return the bytes that it takes until it is encoded: Pillow has four for a px."""
        return 4 * self.pixels + len(self.source)

    def encode(self) -> Rendered:
        """Return the result; raise ``ImageError`` where the encoder fails."""
        data = self.write()
        if self.source:
            source = stripped(self.source, self.format)
            data = source if source and len(source) < len(data) else data
        return Rendered(data, MEDIA_TYPES[self.format], *self.size)


@dataclass(frozen=True, slots=True)
class _Work:
    """Hold what one render was asked for."""

    info: ImageInfo
    transform: Transform
    profile: Profile
    accept: Collection[str] | None
    limits: Limits
    quality: Mapping[str, int]
    hints: Hints

    def run(self, fp: BinaryIO) -> Drawn:
        """Refuse what is above a limit, then decode and run the steps."""
        size = self.info.width, self.info.height
        steps = self.transform.steps
        planned = plans(size, steps, hints=self.hints, limits=self.limits)
        deadline = RenderDeadline(self.limits.seconds)
        moving = keeps_animation(self.info, self._format(alpha=self.info.alpha))
        keep = (self.transform.output.color_profile or self.transform.output.metadata) and not moving
        chain = Chain(steps, size, self.hints, self.limits, deadline, keep)
        drawn = self._moving(fp, chain) if moving else self._still(fp, chain)
        pairs = zip(steps, planned, strict=True)
        if any(changes(step, result, alpha=self.info.alpha) for step, result in pairs):
            return drawn
        return self._no_larger(fp, drawn)

    def _format(self, *, alpha: bool) -> str:
        return choose_format(self.transform.output.format, self.info, self.accept, alpha=alpha)

    def _still(self, fp: BinaryIO, chain: Chain) -> Drawn:
        decoded = decode(fp, self.info, chain.decoded_size(_OVERSAMPLING[self.profile]))
        chain.deadline.check()
        with pillow_errors(f"The {self.info.format.upper()} can't be transformed"):
            picture = chain.run(decoded)
        chain.deadline.check()
        icc = decoded.profile if chain.keeps(decoded) and picture.mode in {"RGB", "RGBA"} else None
        exif = kept_exif(decoded.exif) if self.transform.output.metadata else b""
        encoding = self._encoding(self._format(alpha=has_alpha(picture)), icc=icc or b"", exif=exif)
        return Drawn(encoding.format, picture.size, partial(encode, picture, encoding), math.prod(picture.size))

    def _moving(self, fp: BinaryIO, chain: Chain) -> Drawn:
        encoding = self._encoding(self._format(alpha=self.info.alpha))
        animation = load_animation(fp, self.info, chain.run, limits=self.limits, deadline=chain.deadline)
        pixels = math.prod(animation.size) * len(animation.frames)
        return Drawn(encoding.format, animation.size, partial(encode_animation, animation, encoding), pixels)

    def _encoding(self, name: str, *, icc: bytes = b"", exif: bytes = b"") -> Encoding:
        check_encoder(name)
        output = self.transform.output
        return Encoding(
            format=name,
            quality=output.quality or self.quality.get(name) or DEFAULT_QUALITY.get(name, 0),
            profile=self.profile,
            lossless=output.lossless,
            progressive=bool(output.progressive),
            icc=icc,
            exif=exif,
            dpi=output.density or 0,
        )

    def _no_larger(self, fp: BinaryIO, drawn: Drawn) -> Drawn:
        """Have the source without its metadata taken where format and size are the same and it is smaller."""
        same = drawn.format == self.info.format and drawn.size == self.info.stored_size
        if not same or self.info.orientation != 1 or self.transform.output.metadata:
            return drawn
        fp.seek(0)
        return replace(drawn, source=fp.read())
