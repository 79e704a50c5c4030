"""Render one source under one transform: probe, refuse, decode, run the steps; then encode."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from s3img.errors import UnsupportedImage
from s3img.imaging.animation import Animation, encode_animation, keeps_animation, load_animation
from s3img.imaging.chain import Chain, changes
from s3img.imaging.color import has_alpha
from s3img.imaging.decode import OVERSAMPLING, RenderDeadline, decode, pillow_errors
from s3img.imaging.encode import DEFAULT_QUALITY, Encoding, check_encoder, encode, encoders, kept_exif
from s3img.imaging.image_info import MEDIA_TYPES, ImageInfo, Rendered
from s3img.imaging.probing import located, opened, probe, too_large
from s3img.imaging.strip import stripped
from s3img.limits import Limits
from s3img.transform.geometry import Hints, plans

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import BinaryIO

    from PIL import Image

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
    if wanted == "auto" and accept is not None:
        for name in _MODERN:
            if MEDIA_TYPES[name] in accept and name in encoders():
                return name
        writable: Collection[str] = _EVERYWHERE
    else:
        writable = encoders()
    if info.format in writable and not (alpha and info.format == "jpeg"):
        return info.format
    if info.animated:
        return "gif"
    return "png" if alpha else "jpeg"


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
            whole = Rendered(fp.read(), info.media_type, info.width, info.height)
            return Drawn(whole, Encoding(info.format))
        if not info.renderable:
            raise UnsupportedImage(f"{info.format.upper()} is published as it is and never rendered.")
        if len(transform.steps) > limits.steps:
            raise too_large("steps", f"The transform has {len(transform.steps)} steps", limits.steps)
        request = RenderRequest(info, transform, profile, accept, limits, quality or {}, hints or Hints())
        return request.run(fp)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture or animation that is still to be written, which happens when it is encoded.

    ``source`` is what the result must not be larger than, where that matters. An original that was asked for as it is
    is a `Rendered` already.
    """

    picture: Image.Image | Animation | Rendered
    encoding: Encoding
    source: bytes = b""

    @property
    def format(self) -> str:
        """Return the format that it is written in."""
        return self.encoding.format

    @property
    def memory(self) -> int:
        """Return the bytes that it takes until it is encoded: Pillow has four for a px."""
        if isinstance(self.picture, Rendered):
            return len(self.picture.data)
        frames = len(self.picture.frames) if isinstance(self.picture, Animation) else 1
        return 4 * math.prod(self.picture.size) * frames + len(self.source)

    def encode(self) -> Rendered:
        """Return the result; raise ``ImageError`` where the encoder fails."""
        if isinstance(self.picture, Rendered):
            return self.picture
        if isinstance(self.picture, Animation):
            data = encode_animation(self.picture, self.encoding)
        else:
            data = encode(self.picture, self.encoding)
        if self.source:
            source = stripped(self.source, self.format)
            data = source if source and len(source) < len(data) else data
        return Rendered(data, MEDIA_TYPES[self.format], *self.picture.size)


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """What one render was asked for: a source's header, the transform, and how to write the result."""

    info: ImageInfo
    transform: Transform
    profile: Profile
    accept: Collection[str] | None
    limits: Limits
    quality: Mapping[str, int]
    hints: Hints

    def run(self, fp: BinaryIO) -> Drawn:
        """Refuse what is above a limit, then decode and run the steps."""
        info, output, steps = self.info, self.transform.output, self.transform.steps
        size = info.width, info.height
        planned = plans(size, steps, hints=self.hints, limits=self.limits)
        deadline = RenderDeadline(self.limits.seconds)
        target = choose_format(output.format, info, self.accept, alpha=info.alpha)
        picture: Image.Image | Animation
        if keeps_animation(info, target):
            chain = Chain(steps, size, self.hints, self.limits, deadline)
            encoding = self.encoding(target)
            picture = load_animation(fp, info, chain.run, limits=self.limits, deadline=deadline)
        else:
            keep = bool(output.color_profile or output.metadata)
            chain = Chain(steps, size, self.hints, self.limits, deadline, keep)
            decoded = decode(fp, info, chain.decoded_size(OVERSAMPLING[self.profile]))
            deadline.check()
            with pillow_errors(f"The {info.format.upper()} can't be transformed"):
                picture = chain.run(decoded)
            deadline.check()
            # Only now is it known whether any px is transparent, and whether the profile still fits the mode.
            target = choose_format(output.format, info, self.accept, alpha=has_alpha(picture))
            icc = decoded.profile if chain.keeps_profile(decoded) and picture.mode in {"RGB", "RGBA"} else None
            exif = kept_exif(decoded.exif) if output.metadata else b""
            encoding = self.encoding(target, icc=icc or b"", exif=exif)
        is_same = encoding.format == info.format and picture.size == info.stored_size and info.orientation == 1
        pairs = zip(steps, planned, strict=True)
        if not is_same or output.metadata or any(changes(step, plan, alpha=info.alpha) for step, plan in pairs):
            return Drawn(picture, encoding)
        fp.seek(0)
        return Drawn(picture, encoding, fp.read())

    def encoding(self, name: str, *, icc: bytes = b"", exif: bytes = b"") -> Encoding:
        """Return how to write the format ``name``; raise ``UnsupportedImage`` for one that can't be written."""
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
