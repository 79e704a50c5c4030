"""What an imgproxy address asks for, as frozen values; ``str`` writes the shortest options that mean the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import quote

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

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


class Gravity(msgspec.Struct, frozen=True):
    """Say what a crop keeps, or where a picture lies; offsets below 1 are shares, others px (``fp``: a point)."""

    type: GravityType = "ce"
    x: float = 0.0
    y: float = 0.0

    def __str__(self) -> str:
        return self.type if (self.x, self.y) == (0, 0) and self.type != "fp" else join(self.type, self.x, self.y)


class Extend(msgspec.Struct, frozen=True):
    """Ask for a canvas of the whole size asked for (or of its ratio), where the picture is smaller."""

    enabled: bool = False
    gravity: Gravity = Gravity()

    def __str__(self) -> str:
        return join(self.enabled, *([] if self.gravity == Gravity() else [self.gravity]))


class CropArea(msgspec.Struct, frozen=True):
    """Name the part that is taken before resizing: px, below 1 a share, 0 all; None takes the main gravity."""

    width: float = 0.0
    height: float = 0.0
    gravity: Gravity | None = None

    def __str__(self) -> str:
        return join(self.width, self.height, *([] if self.gravity is None else [self.gravity]))


class TrimRule(msgspec.Struct, frozen=True):
    """Cut off edges that differ from ``color`` (None: the top left px) by at most ``threshold``; None trims nothing."""

    threshold: float | None = None
    color: Rgb | None = None
    equal_hor: bool = False
    equal_ver: bool = False

    def __str__(self) -> str:
        threshold = "" if self.threshold is None else self.threshold
        return join(threshold, "" if self.color is None else hex_of(self.color), self.equal_hor, self.equal_ver)


class Padding(msgspec.Struct, frozen=True):
    """Add px around the picture, in the order of CSS."""

    top: int = 0
    right: int = 0
    bottom: int = 0
    left: int = 0

    def __str__(self) -> str:
        return join(self.top, self.right, self.bottom, self.left)


class Watermark(msgspec.Struct, frozen=True):
    """Lay the watermark over the picture: ``opacity`` 0 for none, ``scale`` a share of the picture (0: its own size).

    Offsets below 1 are shares of the picture; with the positions ``re`` and ``ch`` (tiles, all or as on a chessboard)
    they are the space between them. ``url`` names a picture in place of the service's own, ``text`` is drawn in place
    of either; without a scale it lies inside ``width`` and ``height`` px, turned clockwise by ``angle`` degrees.
    """

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

    def __str__(self) -> str:
        return join(self.opacity, self.position, self.x, self.y, *([self.scale] if self.scale else []))


class Tint(msgspec.Struct, frozen=True):
    """A colour at an opacity or intensity of 0 to 1, of which 0 does nothing; ``keep_alpha`` is for overlays."""

    opacity: float = 0.0
    color: Rgb = (0, 0, 0)
    keep_alpha: bool = False

    def __str__(self) -> str:
        return join(self.opacity, hex_of(self.color), *([1] if self.keep_alpha else []))


class UnsharpMask(msgspec.Struct, frozen=True):
    """Subtract ``weight`` of each neighbour, out of ``divider``; ``auto`` does where a picture gets smaller."""

    mode: UnsharpMode = "none"
    weight: float = 1.0
    divider: float = 24.0

    def __str__(self) -> str:
        return join(self.mode, self.weight, self.divider)


class BlurredAreas(msgspec.Struct, frozen=True):
    """Blur parts of the picture: left, top, width and height of each as shares of the source, upright by its EXIF."""

    sigma: float = 0.0
    areas: tuple[tuple[float, float, float, float], ...] = ()

    def __str__(self) -> str:
        return join(self.sigma, *(side for area in self.areas for side in area))


class BlurRamp(msgspec.Struct, frozen=True):
    """Blur more and more, from nothing at ``start`` to ``sigma`` at ``stop``: downwards, turned by ``angle``."""

    sigma: float = 0.0
    angle: float = 0.0
    start: float = 0.0
    stop: float = 1.0

    def __str__(self) -> str:
        return join(self.sigma, self.angle, self.start, self.stop)


class Duotone(msgspec.Struct, frozen=True):
    """Two colours that take the places of black and white, at an intensity of 0 to 1."""

    intensity: float = 0.0
    dark: Rgb = (0, 0, 0)
    light: Rgb = (255, 255, 255)

    def __str__(self) -> str:
        return join(self.intensity, hex_of(self.dark), hex_of(self.light))


class ColorRamp(msgspec.Struct, frozen=True):
    """A colour that begins transparent at ``start`` and is complete at ``stop``: downwards, turned by ``angle``."""

    opacity: float = 0.0
    color: Rgb = (0, 0, 0)
    angle: float = 0.0
    start: float = 0.0
    stop: float = 1.0

    def __str__(self) -> str:
        return join(self.opacity, hex_of(self.color), self.angle, self.start, self.stop)


class AutoQuality(msgspec.Struct, frozen=True):
    """Choose the quality by ``target`` bytes (``size``) or structural dissimilarity (``dssim``, within ``error``).

    ``least`` and ``most`` bound it; 0 is that of ``leasts`` and ``mosts``, by format, or the default of the format.
    Pictures of more than ``pixels`` px are left out (0: none).
    """

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

    def __str__(self) -> str:
        return join(self.method, self.target, self.least, self.most, self.error)


class JpegOptions(msgspec.Struct, frozen=True):
    """How JPEG is written; what mozjpeg alone can do (all but the first two) is read and has no effect."""

    progressive: bool = False
    no_subsample: bool = False
    trellis_quant: bool = False
    overshoot_deringing: bool = False
    optimize_scans: bool = False
    quant_table: int = 0

    def __str__(self) -> str:
        return join(self.progressive, self.no_subsample)


class PngOptions(msgspec.Struct, frozen=True):
    """How PNG is written: with ``colors`` (2 to 256) where it is quantized; ``interlaced`` has no effect."""

    interlaced: bool = False
    quantize: bool = False
    colors: int = 256

    def __str__(self) -> str:
        return join(self.interlaced, self.quantize, self.colors)


class WebpOptions(msgspec.Struct, frozen=True):
    """How WebP is written: ``near_lossless`` is lossless here; the others have no effect."""

    compression: WebpCompression = "lossy"
    smart_subsample: bool = False
    preset: str = "default"

    def __str__(self) -> str:
        return join(self.compression)


class AvifOptions(msgspec.Struct, frozen=True):
    """Whether AVIF has colours at half the resolution; ``auto`` leaves it to the picture."""

    subsample: AvifSubsample = "auto"

    def __str__(self) -> str:
        return self.subsample


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
    monochrome: Tint = Tint(color=(0xB3, 0xB3, 0xB3))
    duotone: Duotone = Duotone()
    unsharp_masking: UnsharpMask = UnsharpMask()
    blur_areas: BlurredAreas = BlurredAreas()
    progressive_blur: BlurRamp = BlurRamp()
    colorize: Tint = Tint()
    gradient: ColorRamp = ColorRamp()
    crop_aspect_ratio: float = 0.0
    crop_enlarge: bool = False

    def __str__(self) -> str:
        return "/".join(f"{name}:{value}" for name, value in self.options())

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

    def options(self) -> Iterator[tuple[str, str]]:
        """Yield name and arguments of each option that is not at its default."""
        for name, field in _PIPELINE_NAMES.items():
            value = getattr(self, field)
            if value != getattr(_PLAIN, field):
                yield name, write(value)
        yield from self._mark_options()
        if (self.zoom_width, self.zoom_height) != (1, 1):
            yield "z", join(self.zoom_width, self.zoom_height)
        if self.flip_horizontal or self.flip_vertical:
            yield "fl", join(self.flip_horizontal, self.flip_vertical)
        if self.background:
            yield "bg", hex_of(self.background)
        if self.crop_aspect_ratio:
            yield "car", join(self.crop_aspect_ratio, self.crop_enlarge)

    def _mark_options(self) -> Iterator[tuple[str, str]]:
        mark = self.watermark
        if mark.url:
            yield "wmu", encode_text(mark.url)
        if mark.text:
            yield "wmt", encode_text(mark.text)
        if mark.width or mark.height:
            yield "wms", join(mark.width, mark.height)
        if mark.angle:
            yield "wmr", write(mark.angle)
        if mark.shadow:
            yield "wmsh", write(mark.shadow)


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
        return any(getattr(self, name) != getattr(_NOTHING, name) for name in _ENCODER_NAMES.values())

    def quality_of(self, name: str) -> int:
        """Return the quality asked for of a format, 0 for its default."""
        return self.quality or dict(self.format_quality).get(name, 0)

    def __str__(self) -> str:
        return "/-/".join([*map(str, self.pipelines[:-1]), "/".join([*_texts(self.pipelines[-1]), *self._own()])])

    def _own(self) -> Iterator[str]:
        for name, field in _OUTPUT_NAMES.items():
            value = getattr(self, field)
            if value != getattr(_NOTHING, field):
                yield f"{name}:{write(value)}"
        lists = {
            "fq": [part for pair in self.format_quality for part in pair],
            "skp": self.skip_processing,
            "hs": self.hashsum if any(self.hashsum) else (),
            "ct": [quote(tag, safe="") for tag in self.cache_tags],
        }
        yield from (f"{name}:{join(*parts)}" for name, parts in lists.items() if parts)
        if self.style:
            yield f"st:{encode_text(self.style)}"
        if self.color_profile:
            yield f"cp:{quote(self.color_profile, safe='')}"
        if self.fallback_image_url:
            yield f"fiu:{encode_text(self.fallback_image_url)}"
        if self.filename:  # in base64, because a name may have any character
            yield f"fn:{encode_text(self.filename)}:1"
        for name, pixels in (("msr", self.max_src_resolution), ("mafr", self.max_animation_frame_resolution)):
            if pixels:
                yield f"{name}:{number(pixels / 1_000_000)}"


def _texts(pipeline: Pipeline) -> Iterator[str]:
    return (f"{name}:{value}" for name, value in pipeline.options())


def join(*values: object) -> str:
    """Write arguments."""
    return ":".join(map(write, values))


def write(value: object) -> str:
    """Write one argument: booleans as 1 and 0, numbers as short as they are exact."""
    if isinstance(value, bool):
        return str(int(value))
    return number(value) if isinstance(value, float) else str(value)


def number(value: float) -> str:
    """Write a number without a needless fraction."""
    return str(int(value)) if value == int(value) else repr(value)


def hex_of(color: Rgb) -> str:
    """Write a colour as six hexadecimal digits."""
    return "{:02x}{:02x}{:02x}".format(*color)


def encode_text(text: str) -> str:
    """Write a text as URL-safe base64 without padding."""
    import base64

    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


_PIPELINE_NAMES: Final = {
    "rt": "resizing_type",
    "ra": "resizing_algorithm",
    "w": "width",
    "h": "height",
    "mw": "min_width",
    "mh": "min_height",
    "dpr": "dpr",
    "el": "enlarge",
    "ex": "extend",
    "exar": "extend_aspect_ratio",
    "g": "gravity",
    "c": "crop",
    "t": "trim",
    "pd": "padding",
    "ar": "auto_rotate",
    "rot": "rotate",
    "bl": "blur",
    "sh": "sharpen",
    "pix": "pixelate",
    "wm": "watermark",
    "bga": "background_alpha",
    "br": "brightness",
    "co": "contrast",
    "sa": "saturation",
    "mc": "monochrome",
    "dt": "duotone",
    "ush": "unsharp_masking",
    "ba": "blur_areas",
    "pbl": "progressive_blur",
    "col": "colorize",
    "gr": "gradient",
}
_ENCODER_NAMES: Final = {
    "jpgo": "jpeg_options",
    "pngo": "png_options",
    "webpo": "webp_options",
    "avifo": "avif_options",
    "aq": "auto_quality",
}
_OUTPUT_NAMES: Final = {
    **_ENCODER_NAMES,
    "pg": "page",
    "pgs": "pages",
    "sm": "strip_metadata",
    "kcr": "keep_copyright",
    "scp": "strip_color_profile",
    "ph": "preserve_hdr",
    "eth": "enforce_thumbnail",
    "q": "quality",
    "mb": "max_bytes",
    "f": "format",
    "raw": "raw",
    "cb": "cachebuster",
    "exp": "expires",
    "att": "return_attachment",
    "msfs": "max_src_file_size",
    "maf": "max_animation_frames",
    "mrd": "max_result_dimension",
    "dpi": "dpi",
    "da": "disable_animation",
}
_PLAIN: Final = Pipeline()
_NOTHING: Final = ProcessingOptions()
