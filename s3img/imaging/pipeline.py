"""Render one source under one transform: probe, refuse, decode, run the steps; then encode."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from s3img.errors import ImageError, UnsupportedImage
from s3img.imaging.animation import Animation, keeps_animation, load_animation
from s3img.imaging.chain import Chain, changes, layer_errors, still
from s3img.imaging.color import has_alpha
from s3img.imaging.decode import OVERSAMPLING, RenderDeadline, decode, pillow_errors
from s3img.imaging.encode import DEFAULT_QUALITY, SUBSAMPLINGS, Encoding, check_encoder, encoders, kept_exif
from s3img.imaging.image_info import MEDIA_TYPES, ImageInfo, Rendered
from s3img.imaging.probing import located, opened, probe, too_large
from s3img.imaging.slack import pixel_digest, without_slack
from s3img.imaging.smallest import encode_smallest, encode_to_target, write
from s3img.imaging.strip import stripped
from s3img.limits import Limits
from s3img.transform.expressions import DENSITY_VARIABLE, MOST_DENSITY, Expression, nearest
from s3img.transform.geometry import Hints, plans
from s3img.transform.overlays import is_font_file
from s3img.transform.worthwhile import worthwhile

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import BinaryIO

    from PIL import Image

    from s3img.imaging.encode import Profile
    from s3img.imaging.probing import ImageSource
    from s3img.imgproxy.processing_options import AutoQuality
    from s3img.transform import Transform
    from s3img.transform.geometry import Plan
    from s3img.transform.steps import OutputFormat

_MODERN: Final = ("avif", "webp")

_EVERYWHERE: Final = frozenset({"jpeg", "png", "gif"})


def choose_formats(
    wanted: OutputFormat, info: ImageInfo, accept: Collection[str] | None, *, alpha: bool
) -> tuple[str, ...]:
    """Return the formats for what is ``wanted``; of several, whatever turns out smallest is taken.

    For ``auto`` these are the modern ones that a client accepts (media types), then the plain one: the source's own
    where every browser shows it, else PNG for transparency and few colours, JPEG without, GIF for an animation. Without
    knowledge of a client (None), like ``orig``, it is the source's own where that can be written.
    """
    if wanted not in {"auto", "orig"}:
        return (wanted,)
    is_negotiated = wanted == "auto" and accept is not None
    modern = [name for name in _MODERN if is_negotiated and MEDIA_TYPES[name] in (accept or ()) and name in encoders()]
    plain = "gif" if info.animated else "png" if alpha or info.few_colors else "jpeg"
    if info.format in (_EVERYWHERE if is_negotiated else encoders()) and not (alpha and info.format == "jpeg"):
        plain = info.format
    return *modern, plain


def render(
    source: ImageSource,
    transform: Transform,
    *,
    profile: Profile = "build",
    accept: Collection[str] | None = None,
    limits: Limits | None = None,
    quality: Mapping[str, int] | None = None,
    hints: Hints | None = None,
    inputs: Mapping[str, ImageSource] | None = None,
) -> Rendered:
    """Render an image as ``transform`` says.

    ``profile`` trades time for bytes (``build``) or answers quickly (``request``); ``accept`` holds the media types
    a client takes, for ``f-auto`` (None: unknown); ``quality`` replaces defaults by format; ``inputs`` are the pictures
    of the transform's layers, by the keys that it names.

    Without a format of the transform's (``f-auto``), the smallest of what the client takes is the result. Where size
    and pixels stay, it is never larger than the source: it is then the source's own encoding without metadata.

    Raises what ``probe`` raises, ``TransformError`` where the transform does not fit this picture, ``ImageTooLarge``
    for a result above a limit, before a pixel is allocated, ``ImageError`` for truncated or corrupt pixels.
    """
    drawn = draw(
        source, transform, profile=profile, accept=accept, limits=limits, quality=quality, hints=hints, inputs=inputs
    )
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
    inputs: Mapping[str, ImageSource] | None = None,
) -> Drawn:
    """Do all that ``render`` does but encode, for callers that bound the two apart; raise the same."""
    limits = limits or Limits()
    info = probe(source, limits=limits)
    with opened(source) as fp, located(source):
        if transform.output.original:
            fp.seek(0)
            return Drawn.whole(fp.read(), info)
        if not info.renderable:
            raise UnsupportedImage(f"{info.format.upper()} is published as it is and never rendered.")
        if transform.step_count > limits.steps:
            raise too_large("steps", f"The transform has {transform.step_count} steps", limits.steps)
        hints = hints or Hints()
        settled = transform.settled((info.width, info.height), hints=hints, limits=limits)
        request = RenderRequest(
            still(info, settled.page), settled, profile, accept, limits, quality or {}, hints, inputs or {}
        )
        return request.run(fp)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture or animation that is still to be written, which happens when it is encoded.

    ``encodings`` go from the most modern to the plainest; the smallest result is taken. ``source`` is used as it is,
    without metadata, where that is smaller still, and empty where it can't stand for the result. An original that was
    asked for as it is is a `Rendered` already. ``max_bytes`` (0: none) lowers the quality of what is larger, and
    ``auto_quality`` finds that of a still. ``limits`` are those of a source that is opened again.
    """

    picture: Image.Image | Animation | Rendered
    encodings: tuple[Encoding, ...]
    source: bytes = b""
    source_format: str = ""
    max_bytes: int = 0
    auto_quality: AutoQuality | None = None
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def whole(cls, data: bytes, info: ImageInfo) -> Drawn:
        """Return a source as it is, for results that are nothing else."""
        return cls(Rendered(data, info.media_type, info.width, info.height), (Encoding(info.format),))

    @property
    def format(self) -> str:
        """Return the format that is tried first, which takes the most time."""
        return self.encodings[0].format

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
        name, data = encode_smallest(self.picture, self.encodings)
        if self.auto_quality and not isinstance(self.picture, Animation):
            encoding = next(one for one in self.encodings if one.format == name)
            data = encode_to_target(self.picture, encoding, self.auto_quality) or data
        if self.max_bytes:
            encoding = next(one for one in self.encodings if one.format == name)
            data = lowered(self.picture, encoding, data, self.max_bytes)
        source = stripped(self.source, self.source_format) if self.source else None
        if source and not worthwhile({name: len(data)}, source=len(source)):
            source = self._without_slack(source)
            name, data = (self.source_format, source) if source else (name, data)
        return Rendered(data, MEDIA_TYPES[name], *self.picture.size)

    def _without_slack(self, source: bytes) -> bytes | None:
        """Return a stripped source without bytes behind its pixels, None where that is not certain.

        Nothing hides in a PNG, whose pixels are counted, and an AVIF, whose units are known, once they are stripped.
        """
        if self.source_format in {"png", "avif"}:
            return source
        try:
            info = probe(source, limits=self.limits)
            return without_slack(source, info, pixel_digest(source, info, self.limits), self.limits)
        except ImageError:
            return None


def lowered(picture: Image.Image | Animation, encoding: Encoding, data: bytes, most: int) -> bytes:
    """Lower the quality until the result ``data`` has at most ``most`` bytes, or its quality is 10 or less.

    The further away a result is, the larger the step: to a quarter, half or three quarters, as imgproxy's.
    """
    while len(data) > most and encoding.format in DEFAULT_QUALITY and encoding.effective_quality > 10:
        excess = len(data) / most
        factor = 0.25 if excess > 3 else 0.5 if excess > 1.5 else 0.75
        encoding = replace(encoding, quality=max(1, math.floor(encoding.effective_quality * factor + 0.5)))
        data = write(picture, encoding)
    return data


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
    inputs: Mapping[str, ImageSource]

    def run(self, fp: BinaryIO) -> Drawn:
        """Refuse what is above a limit, then decode and run the steps."""
        info, output, steps = self.info, self.transform.output, self.transform.steps
        size = info.width, info.height
        planned = plans(size, steps, hints=self.hints, limits=self.limits)
        self.check_inputs()
        deadline = RenderDeadline(self.limits.seconds)
        names = choose_formats(output.format, info, self.accept, alpha=info.alpha)
        picture: Image.Image | Animation
        if keeps_animation(info, names[0]):
            chain = Chain(steps, size, self.hints, self.limits, deadline, inputs=self.inputs)
            encodings = tuple(map(self.encoding, names))
            picture = load_animation(fp, info, chain.run, limits=self.limits, deadline=deadline)
        else:
            # Layers are in sRGB, and can't be laid over a picture in another space.
            keep = bool(output.color_profile or output.metadata) and not self.transform.inputs
            chain = Chain(steps, size, self.hints, self.limits, deadline, keep, self.inputs)
            needed = chain.decoded_size(OVERSAMPLING[self.profile])
            decoded = decode(fp, info, needed, self.limits, page=max(0, self.transform.page - 1))
            deadline.check()
            with pillow_errors(f"The {info.format.upper()} can't be transformed"):
                picture = chain.run(decoded)
            deadline.check()
            # Only now is it known whether any px is transparent, and whether the profile still fits the mode.
            names = choose_formats(output.format, info, self.accept, alpha=has_alpha(picture))
            icc = decoded.profile if chain.keeps_profile(decoded) and picture.mode in {"RGB", "RGBA"} else None
            exif = kept_exif(decoded.exif) if output.metadata else b""
            dpi = self.density(decoded.dpi)
            encodings = tuple(self.encoding(name, icc=icc or b"", exif=exif, dpi=dpi) for name in names)
        if not self.is_source(names, picture.size, planned):
            return Drawn(picture, encodings)
        fp.seek(0)
        return Drawn(picture, encodings, fp.read(), info.format, limits=self.limits)

    def check_inputs(self) -> None:
        """Raise ``ImageTooLarge`` where the picture and its layers together have more px than one may have."""
        if not self.transform.inputs:
            return
        total = self.info.width * self.info.height
        for key in self.transform.inputs:
            if key in self.inputs and not is_font_file(key):
                with layer_errors(key):
                    info = probe(self.inputs[key], limits=self.limits)
                total += info.width * info.height
        if total > max(self.limits.input_pixels, self.info.width * self.info.height):
            raise too_large("input_pixels", f"The picture and its layers have {total:,} px", self.limits.input_pixels)

    def is_source(self, names: Collection[str], size: tuple[int, int], planned: Sequence[Plan]) -> bool:
        """Tell whether the source without its metadata is a result, too: same pixels, a format that may be sent."""
        info = self.info
        sendable = info.format in names or (len(names) > 1 and info.format in _EVERYWHERE)
        # Dots per inch leave the pixels as they are, but the source may state others than were asked for.
        is_plain = not (self.transform.output.metadata or self.transform.output.density)
        if not sendable or not is_plain or size != info.stored_size or info.orientation != 1:
            return False
        pairs = zip(self.transform.steps, planned, strict=True)
        return not any(changes(step, plan, alpha=info.alpha) for step, plan in pairs)

    def density(self, source: float) -> int:
        """Return the dots per inch to write, 0 for none; ``source`` are the source's own."""
        wanted = self.transform.output.density or 0
        if not isinstance(wanted, Expression):
            return wanted
        return min(max(nearest(wanted.evaluate({DENSITY_VARIABLE: Fraction(source)})), 1), MOST_DENSITY)

    def encoding(self, name: str, *, icc: bytes = b"", exif: bytes = b"", dpi: int = 0) -> Encoding:
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
            dpi=dpi,
            lossless_source=self.info.is_lossless,
            subsampling=SUBSAMPLINGS[output.subsampling or ""],
        )
