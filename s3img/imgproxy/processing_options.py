"""What an imgproxy address asks for, as frozen values; ``str`` writes the shortest options that mean the same."""

from __future__ import annotations

import base64
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias
from urllib.parse import quote

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Rgb: TypeAlias = tuple[int, int, int]
ResizingType: TypeAlias = Literal["fit", "fill", "fill-down", "force", "auto"]
GravityType: TypeAlias = Literal["ce", "no", "ea", "so", "we", "nowe", "noea", "sowe", "soea", "sm", "fp", "re", "ch"]

QualityMethod: TypeAlias = Literal["none", "size", "dssim"]
WebpCompression: TypeAlias = Literal["lossy", "near_lossless", "lossless"]
AvifSubsample: TypeAlias = Literal["auto", "on", "off"]
UnsharpMode: TypeAlias = Literal["auto", "none", "always"]
ResizingAlgorithm: TypeAlias = Literal["nearest", "linear", "cubic", "lanczos2", "lanczos3"]

RESIZING_TYPES: Final[tuple[ResizingType, ...]] = ("fit", "fill", "fill-down", "force", "auto")
PLACES: Final[tuple[GravityType, ...]] = ("ce", "no", "ea", "so", "we", "nowe", "noea", "sowe", "soea")
FORMATS: Final = {
    "jpeg": "jpeg",
    "jpg": "jpeg",
    **{name: name for name in ("png", "webp", "avif", "gif", "ico", "bmp", "tiff", "heic", "jxl", "svg")},
}
"""Formats by the names that addresses may give them, which are case-sensitive in imgproxy."""


def spellings(text: str) -> dict[str, list[str]]:
    """Return all spellings of options, by the first (long) one, from a text with commas between options."""
    return {words[0]: words for words in map(str.split, text.split(","))}


PIPELINE_NAMES: Final = spellings(
    """resizing_type rt, resizing_algorithm ra, width w, height h, min-width mw, min-height mh, dpr, enlarge el,
    extend ex, extend_aspect_ratio extend_ar exar, gravity g, crop c, trim t, padding pd, auto_rotate ar, rotate rot,
    blur bl, sharpen sh, pixelate pix, watermark wm, background_alpha bga, brightness br, contrast co, saturation sa,
    monochrome mc, duotone dt, unsharp_masking ush, blur_areas ba, progressive_blur pbl, colorize col, gradient gr,
    watermark_url wmu, watermark_text wmt, watermark_size wms, watermark_rotate wm_rot wmr, watermark_shadow wmsh,
    zoom z, flip fl, background bg, crop_aspect_ratio crop_ar car, resize rs, size s, adjust a"""
)
"""Options of one pass over the pixels, in the order in which they are written."""
OUTPUT_NAMES: Final = spellings(
    """jpeg_options jpgo, png_options pngo, webp_options webpo, avif_options avifo, autoquality aq, page pg, pages pgs,
    strip_metadata sm, keep_copyright kcr, strip_color_profile scp, preserve_hdr ph, enforce_thumbnail eth, quality q,
    max_bytes mb, format ext f, raw, cachebuster cb, expires exp, return_attachment att, max_src_file_size msfs,
    max_animation_frames maf, max_result_dimension mrd, dpi, disable_animation da, format_quality fq,
    skip_processing sp skp, hashsum hs, cache_tags ct, style stl st, color_profile icc cp, fallback_image_url fiu,
    filename fn, max_src_resolution msr, max_animation_frame_resolution mafr, bypass_cache bc"""
)
"""Options of the whole request; the last spelling of each is the one that is written."""


class Arguments(msgspec.Struct, frozen=True):
    """A value of several arguments; ``str`` writes those ``shown``, without defaults behind those ``needed``."""

    needed: ClassVar[int] = 99
    shown: ClassVar[int] = 99

    def __str__(self) -> str:
        values = [getattr(self, name) for name in self.__struct_fields__[: self.shown]]
        plain = type(self)()
        while len(values) > self.needed and values[-1] == getattr(plain, self.__struct_fields__[len(values) - 1]):
            values.pop()
        return join(*values)


class Gravity(msgspec.Struct, frozen=True):
    """Say what a crop keeps, or where a picture lies; offsets below 1 are shares, others px (``fp``: a point)."""

    type: GravityType = "ce"
    x: float = 0.0
    y: float = 0.0

    def __str__(self) -> str:
        return self.type if (self.x, self.y) == (0, 0) and self.type != "fp" else join(self.type, self.x, self.y)


class Extend(Arguments, frozen=True):
    """Ask for a canvas of the whole size asked for (or of its ratio), where the picture is smaller."""

    needed: ClassVar[int] = 1
    enabled: bool = False
    gravity: Gravity = Gravity()


class CropArea(Arguments, frozen=True):
    """Name the part that is taken before resizing: px, below 1 a share, 0 all; None takes the main gravity."""

    needed: ClassVar[int] = 2
    width: float = 0.0
    height: float = 0.0
    gravity: Gravity | None = None


class TrimRule(Arguments, frozen=True):
    """Cut off edges that differ from ``color`` (None: the top left px) by at most ``threshold``; None trims nothing."""

    threshold: float | None = None
    color: Rgb | None = None
    equal_hor: bool = False
    equal_ver: bool = False


class Padding(Arguments, frozen=True):
    """Add px around the picture, in the order of CSS."""

    top: int = 0
    right: int = 0
    bottom: int = 0
    left: int = 0


class Watermark(Arguments, frozen=True):
    """Lay the watermark over the picture: ``opacity`` 0 for none, ``scale`` a share of the picture (0: its own size).

    Offsets below 1 are shares of the picture; with the positions ``re`` and ``ch`` (tiles, all or as on a chessboard)
    they are the space between them. ``url`` names a picture in place of the service's own, ``text`` is drawn in place
    of either; without a scale it lies inside ``width`` and ``height`` px, turned clockwise by ``angle`` degrees.
    """

    needed: ClassVar[int] = 4
    shown: ClassVar[int] = 5
    opacity: float = 0.0
    position: GravityType = "ce"
    x: float = 0.0
    y: float = 0.0
    scale: float = 0.0
    url: str = ""
    text: str = ""
    width: int = 0
    height: int = 0
    angle: float = 0.0
    shadow: float = 0.0


class Tint(Arguments, frozen=True):
    """A colour at an opacity or intensity of 0 to 1, of which 0 does nothing; ``keep_alpha`` is for overlays."""

    needed: ClassVar[int] = 2
    opacity: float = 0.0
    color: Rgb = (0, 0, 0)
    keep_alpha: bool = False


MONOCHROME: Final = Tint(color=(0xB3, 0xB3, 0xB3))
"""Of `Pipeline.monochrome` where nothing is said."""


class UnsharpMask(Arguments, frozen=True):
    """Subtract ``weight`` of each neighbour, out of ``divider``; ``auto`` does where a picture gets smaller."""

    mode: UnsharpMode = "none"
    weight: float = 1.0
    divider: float = 24.0


class BlurredAreas(Arguments, frozen=True):
    """Blur parts of the picture: left, top, width and height of each as shares of the source, upright by its EXIF."""

    needed: ClassVar[int] = 1
    sigma: float = 0.0
    areas: tuple[tuple[float, float, float, float], ...] = ()


class BlurRamp(Arguments, frozen=True):
    """Blur more and more, from nothing at ``start`` to ``sigma`` at ``stop``: downwards, turned by ``angle``."""

    sigma: float = 0.0
    angle: float = 0.0
    start: float = 0.0
    stop: float = 1.0


class Duotone(Arguments, frozen=True):
    """Two colours that take the places of black and white, at an intensity of 0 to 1."""

    intensity: float = 0.0
    dark: Rgb = (0, 0, 0)
    light: Rgb = (255, 255, 255)


class ColorRamp(Arguments, frozen=True):
    """A colour that begins transparent at ``start`` and is complete at ``stop``: downwards, turned by ``angle``."""

    opacity: float = 0.0
    color: Rgb = (0, 0, 0)
    angle: float = 0.0
    start: float = 0.0
    stop: float = 1.0


class AutoQuality(Arguments, frozen=True):
    """Choose the quality by ``target`` bytes (``size``) or structural dissimilarity (``dssim``, within ``error``).

    ``least`` and ``most`` bound it; 0 is that of ``leasts`` and ``mosts``, by format, or the default of the format.
    Pictures of more than ``pixels`` px are left out (0: none).
    """

    shown: ClassVar[int] = 5
    method: QualityMethod = "none"
    target: float = 0.02
    least: int = 0
    most: int = 0
    error: float = 0.002
    leasts: tuple[tuple[str, int], ...] = ()
    mosts: tuple[tuple[str, int], ...] = ()
    pixels: int = 0

    def fits(self, size: tuple[int, int]) -> bool:
        """Tell whether a quality is looked for, of a picture of this size."""
        return self.method != "none" and not 0 < self.pixels < size[0] * size[1]


class JpegOptions(Arguments, frozen=True):
    """How JPEG is written; what mozjpeg alone can do (all but the first two) is read and has no effect."""

    shown: ClassVar[int] = 2
    progressive: bool = False
    no_subsample: bool = False
    trellis_quant: bool = False
    overshoot_deringing: bool = False
    optimize_scans: bool = False
    quant_table: int = 0


class PngOptions(Arguments, frozen=True):
    """How PNG is written: with ``colors`` (2 to 256) where it is quantized; ``interlaced`` has no effect."""

    interlaced: bool = False
    quantize: bool = False
    colors: int = 256


class WebpOptions(Arguments, frozen=True):
    """How WebP is written: ``near_lossless`` is lossless here; the others have no effect."""

    shown: ClassVar[int] = 1
    compression: WebpCompression = "lossy"
    smart_subsample: bool = False
    preset: str = "default"


class AvifOptions(Arguments, frozen=True):
    """Whether AVIF has colours at half the resolution; ``auto`` leaves it to the picture."""

    subsample: AvifSubsample = "auto"


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one pass over the pixels; the fields are imgproxy's options of the same names."""

    resizing_type: ResizingType = "fit"
    resizing_algorithm: ResizingAlgorithm = "lanczos3"
    width: int = 0
    height: int = 0
    min_width: int = 0
    min_height: int = 0
    zoom_width: float = 1.0
    zoom_height: float = 1.0
    dpr: float = 1.0
    enlarge: bool = False
    extend: Extend = Extend()
    extend_aspect_ratio: Extend = Extend()
    gravity: Gravity = Gravity()
    crop: CropArea = CropArea()
    trim: TrimRule = TrimRule()
    padding: Padding = Padding()
    auto_rotate: bool = True
    rotate: int = 0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    background: Rgb | None = None
    blur: float = 0.0
    sharpen: float = 0.0
    pixelate: int = 0
    watermark: Watermark = Watermark()
    background_alpha: float = 1.0
    brightness: int = 0
    contrast: float = 1.0
    saturation: float = 1.0
    monochrome: Tint = MONOCHROME
    duotone: Duotone = Duotone()
    unsharp_masking: UnsharpMask = UnsharpMask()
    blur_areas: BlurredAreas = BlurredAreas()
    progressive_blur: BlurRamp = BlurRamp()
    colorize: Tint = Tint()
    gradient: ColorRamp = ColorRamp()
    crop_aspect_ratio: float = 0.0
    crop_enlarge: bool = False

    def __str__(self) -> str:
        return "/".join([*written(self, _PIPELINE), *written(self.watermark, _WATERMARK)])

    @property
    def paints(self) -> bool:
        """Tell whether px change beyond what the geometry does to them."""
        filters = self.blur or self.sharpen or self.pixelate > 1 or self.unsharp_masking.mode == "always"
        filters = filters or self.blur_areas.sigma or self.progressive_blur.sigma
        tones = (self.brightness, self.contrast, self.saturation) != (0, 1, 1)
        layers = self.monochrome.opacity or self.duotone.intensity or self.colorize.opacity or self.gradient.opacity
        return bool(
            filters or tones or layers or self.background or self.watermark.opacity or self.trim.threshold is not None
        )


class ProcessingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Describe a rendering: one pipeline or several in a row, then how the result is written and sent.

    ``quality`` 0 is the default of the format, ``format_quality`` pairs of format and quality; ``expires`` in Unix
    seconds (0: never). ``pages`` is how many pages, from ``page`` on, are stacked. ``style`` is CSS for an SVG,
    ``color_profile`` the name of the profile of the result's colours. Limits are those of this request alone: px,
    bytes, frames; 0 leaves them to the settings.
    """

    pipelines: tuple[Pipeline, ...] = (Pipeline(),)
    strip_metadata: bool = True
    keep_copyright: bool = True
    strip_color_profile: bool = True
    preserve_hdr: bool = False
    enforce_thumbnail: bool = False
    quality: int = 0
    format_quality: tuple[tuple[str, int], ...] = ()
    max_bytes: int = 0
    format: str = ""
    skip_processing: tuple[str, ...] = ()
    raw: bool = False
    cachebuster: str = ""
    expires: int = 0
    filename: str = ""
    return_attachment: bool = False
    max_src_resolution: int = 0
    max_src_file_size: int = 0
    max_animation_frames: int = 0
    max_animation_frame_resolution: int = 0
    max_result_dimension: int = 0
    dpi: int = 0
    disable_animation: bool = False
    page: int = 0
    pages: int = 1
    style: str = ""
    color_profile: str = ""
    hashsum: tuple[str, str] = ("", "")
    fallback_image_url: str = ""
    cache_tags: tuple[str, ...] = ()
    auto_quality: AutoQuality = AutoQuality()
    jpeg_options: JpegOptions = JpegOptions()
    png_options: PngOptions = PngOptions()
    webp_options: WebpOptions = WebpOptions()
    avif_options: AvifOptions = AvifOptions()

    @property
    def rendering(self) -> ProcessingOptions:
        """Return the options without those that change no byte of the result."""
        nothing = ProcessingOptions()
        fields = ("raw", "expires", "filename", "return_attachment", "fallback_image_url", "cache_tags")
        return msgspec.structs.replace(self, **{name: getattr(nothing, name) for name in fields})

    @property
    def watermark_urls(self) -> frozenset[str]:
        """Return the URLs of the pictures that are laid over this one; "" for the service's own."""
        marks = (pipeline.watermark for pipeline in self.pipelines)
        return frozenset(mark.url for mark in marks if mark.opacity and not mark.text)

    @property
    def has_encoder_options(self) -> bool:
        """Tell whether more than a quality is asked of an encoder."""
        nothing = ProcessingOptions()
        names = ("auto_quality", "jpeg_options", "png_options", "webp_options", "avif_options")
        return any(getattr(self, name) != getattr(nothing, name) for name in names)

    def quality_of(self, name: str) -> int:
        """Return the quality asked for of a format, 0 for its default."""
        return self.quality or dict(self.format_quality).get(name, 0)

    def __str__(self) -> str:
        pipelines = [*map(str, self.pipelines)]
        own = written(self, _OUTPUT)
        return "/-/".join([*pipelines[:-1], "/".join(filter(None, [pipelines[-1], *own]))])


def join(*values: object) -> str:
    """Write arguments."""
    return ":".join(map(write, values))


def write(value: object) -> str:
    """Write one argument: booleans as 1 and 0, numbers as short as they are exact, colours as hexadecimal digits."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        # Three whole numbers are a colour; all other tuples are arguments.
        is_color = len(value) == 3 and all(isinstance(one, int) for one in value)
        return "{:02x}{:02x}{:02x}".format(*value) if is_color else join(*value)
    return number(value) if isinstance(value, float) else "" if value is None else str(value)


def number(value: float) -> str:
    """Write a number without a needless fraction."""
    return str(int(value)) if value == int(value) else repr(value)


def encode_text(text: str) -> str:
    """Write a text as URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


_FIELDS: Final = {
    "zoom": ("zoom_width", "zoom_height"),
    "flip": ("flip_horizontal", "flip_vertical"),
    "crop_aspect_ratio": ("crop_aspect_ratio", "crop_enlarge"),
    "watermark_url": ("url",),
    "watermark_text": ("text",),
    "watermark_size": ("width", "height"),
    "watermark_rotate": ("angle",),
    "watermark_shadow": ("shadow",),
    "autoquality": ("auto_quality",),
}
"""The fields of options that are not one field of the option's own name."""
_WRITERS: Final[dict[str, Callable[[Any], str]]] = {
    "watermark_url": encode_text,
    "watermark_text": encode_text,
    "style": encode_text,
    "fallback_image_url": encode_text,
    "filename": lambda name: f"{encode_text(name)}:1",  # in base64, because a name may have any character
    "color_profile": lambda name: quote(name, safe=""),
    "cache_tags": lambda tags: join(*(quote(tag, safe="") for tag in tags)),
    "max_src_resolution": lambda pixels: number(pixels / 1_000_000),
    "max_animation_frame_resolution": lambda pixels: number(pixels / 1_000_000),
}
Row: TypeAlias = "tuple[str, Callable[[Any], Any], Any, Callable[[Any], str]]"
"""The name that is written, what takes the value out of a struct, its default, and what writes it."""


def rows_of(plain: msgspec.Struct, names: Mapping[str, list[str]]) -> list[Row]:
    """Return what is needed to write the options of a struct, of which ``plain`` has all defaults."""
    rows: list[Row] = []
    for long, words in names.items():
        fields = _FIELDS.get(long, (long.replace("-", "_"),))
        if {*fields} <= {*plain.__struct_fields__}:
            get = attrgetter(*fields)
            rows.append((words[-1], get, get(plain), _WRITERS.get(long, write)))
    return rows


def written(value: msgspec.Struct, rows: Iterable[Row]) -> Iterator[str]:
    """Yield the options that are not at their defaults."""
    for name, get, plain, writer in rows:
        if (found := get(value)) != plain:
            yield f"{name}:{writer(found)}"


_MARKS: Final = {name: words for name, words in PIPELINE_NAMES.items() if name.startswith("watermark_")}
_PIPELINE: Final = rows_of(Pipeline(), {name: words for name, words in PIPELINE_NAMES.items() if name not in _MARKS})
_WATERMARK: Final = rows_of(Watermark(), _MARKS)
_OUTPUT: Final = rows_of(ProcessingOptions(), OUTPUT_NAMES)
