"""Open sources with Pillow, safely: one known decoder, sizes checked before any pixel, every failure an ``ImageError``.

The decoders are called without ``Image.open``: its limit on pixels is process-global and warns from 89 MP on, both
of which are the application's business and not a library's; ``limits`` takes its place.
"""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Final, TypeAlias

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageChops,
    ImageMath,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from s3img.errors import ImageError, ImageTooLarge, S3ImgError, TransformError, UnsupportedImage
from s3img.imaging.color import is_converted, to_srgb
from s3img.imaging.image_info import upright
from s3img.imaging.libwebp import decode_still
from s3img.imaging.png_rows import decode_rows, row_reader
from s3img.imaging.probing import too_large
from s3img.imaging.probing.bmff import HEIF_DECODER
from s3img.imaging.profiles import avif_profile, png_chunks, png_profile
from s3img.imaging.resize import resize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from PIL import ImageFile

    from s3img.imaging.image_info import ImageInfo
    from s3img.imaging.resize import Box, Resampling
    from s3img.limits import Limits

    Size: TypeAlias = tuple[int, int]

DECODERS: Final[dict[str, Callable[[BinaryIO], ImageFile.ImageFile]]] = {
    "jpeg": JpegImagePlugin.jpeg_factory,
    "png": PngImagePlugin.PngImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "jp2": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "heic": lambda fp: import_module(HEIF_DECODER).HeifImageFile(fp),  # of the user's own: probe has seen it
}

_TURNED: Final = frozenset({"tiff", "heic"})
"""Formats that their decoders turn upright by themselves."""

TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings the pixels upright, by EXIF orientation (EXIF 2.32, tag Orientation); 1 needs nothing."""

OVERSAMPLING: Final = {"build": 1.5, "request": 1.2}
"""How much larger than asked for a JPEG is decoded at least: with 1.5, the SSIM at equal bytes is within .0006 of that
of a full decode, with 1.2 within .0013 (docs/benchmarks.md)."""

_CONVERSION_SCALE: Final = 2
"""Colours are converted at twice the size: at the size itself the mean error doubles (ΔE 0.42 against 0.3 of AdobeRGB
photographs), because means of another space's values are not means of sRGB's; at full size it costs 38 ns a px."""


DEFAULT_DPI: Final = 72.0
_MOST_DPI: Final = 100_000
_MOST_PAGES: Final = 10_000
_END_MARKER: Final = b"\xff\xd9"
_NOISE: Final = bytes((167 * n * n + 89 * n) % 251 for n in range(4096))  # never FF, which begins a marker

# Pillow warns of damage on stderr, in words that name neither the picture nor what to do. What matters comes as errors.
warnings.filterwarnings("ignore", module=r"PIL\.")


@contextmanager
def pillow_errors(what: str) -> Iterator[None]:
    """Turn whatever Pillow and its codecs raise into an ``ImageError`` that begins with ``what``.

    They raise OSError, ValueError, SyntaxError, RuntimeError, EOFError, NotImplementedError, struct.error and more
    on bad input, and warnings where the application has made those errors.
    """
    try:
        yield
    except S3ImgError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ImageError(f"{what}: {reason.rstrip('.')}.") from error


@contextmanager
def decoder(fp: BinaryIO, info: ImageInfo) -> Iterator[ImageFile.ImageFile]:
    """Open the decoder for what ``probe`` found; no pixel is decoded yet.

    Raises ``UnsupportedImage`` for a format that is not rendered or that this Pillow was built without, and
    ``ImageError`` where the decoder sees another size than the header states.
    """
    if info.format not in DECODERS:
        raise UnsupportedImage(f"{info.format.upper()} is published as it is and never rendered.")
    fp.seek(0)
    if info.format == "webp" and info.animated and info.alpha:
        fp = BytesIO(flag_alpha(fp.read()))
    with pillow_errors(f"The {info.format.upper()} can't be decoded"):
        image = DECODERS[info.format](fp)
        # Limits were checked for the header's size: a decoder that sees another one would pass them by.
        if image.size != ((info.width, info.height) if info.format in _TURNED else info.stored_size):
            raise ImageError(f"The {info.format.upper()} states two sizes, {info.stored_size} and {image.size} px.")
        if info.format == "png" and image.mode == "L" and isinstance(image.info.get("transparency"), int):
            # Pillow spreads greys of 2 and 4 bits over 0 to 255, and leaves the key as it is written.
            depth = png_chunks(fp).get(b"IHDR", bytes(13))[8]
            image.info["transparency"] *= 255 // ((1 << depth) - 1) if depth in {2, 4} else 1
        yield image


def flag_alpha(webp: bytes) -> bytes:
    """Set the flag for transparency in the header of an animated WebP (RFC 9649, 2.7).

    libwebp sets it only if a frame has an alpha channel, not for px that no frame covers, and Pillow then reads
    those as black where browsers show them transparent.
    """
    return webp[:20] + bytes([webp[20] | 0x10]) + webp[21:] if webp[12:16] == b"VP8X" else webp


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels as they are stored, and what is left to do to see the picture in them.

    ``extent`` is the exact width and height of the picture in px of ``image``: JPEG is scaled down while it is
    decoded, by 2, 4 or 8, and the last column and row may then be only partly covered. ``source`` is the size of the
    whole picture, upright.
    """

    image: Image.Image
    source: Size
    extent: tuple[float, float]
    orientation: int
    profile: bytes | None
    exif: bytes | None = None
    dpi: float = DEFAULT_DPI
    resampling: Resampling = "lanczos3"

    def part(self, box: Box, size: Size) -> Image.Image:
        """Return the part ``box`` of the upright picture (px of the source) scaled to ``size``, not yet upright."""
        left, top, right, bottom = box
        if self.orientation in {2, 3, 6, 7}:  # the upright x runs against a stored axis
            left, right = self.source[0] - right, self.source[0] - left
        if self.orientation in {3, 4, 7, 8}:  # the upright y does
            top, bottom = self.source[1] - bottom, self.source[1] - top
        if self.orientation >= 5:
            left, top, right, bottom = top, left, bottom, right
        stored = upright(self.source, self.orientation)
        x, y = self.extent[0] / stored[0], self.extent[1] / stored[1]
        stored_box = left * x, top * y, right * x, bottom * y
        return resize(self.image, upright(size, self.orientation), stored_box, resampling=self.resampling)

    def picture(self, box: Box, size: Size, *, keep_profile: bool = False) -> Image.Image:
        """Return the part ``box`` (px of the upright source) at ``size``, upright: L, LA, RGB or RGBA, in sRGB."""
        profile = None if keep_profile else self.profile
        if not is_converted(self.image.mode, profile):
            return self.turned(to_srgb(self.part(box, size), profile))
        there = upright((round(self.extent[0]), round(self.extent[1])), self.orientation)
        available = (
            round((box[2] - box[0]) * there[0] / self.source[0]),
            round((box[3] - box[1]) * there[1] / self.source[1]),
        )
        between = (
            max(size[0], min(_CONVERSION_SCALE * size[0], available[0])),
            max(size[1], min(_CONVERSION_SCALE * size[1], available[1])),
        )
        part = to_srgb(self.part(box, between), profile)
        return self.turned(resize(part, upright(size, self.orientation), resampling=self.resampling))

    def turned(self, image: Image.Image) -> Image.Image:
        """Return an image of stored pixels upright."""
        return image.transpose(TURNS[self.orientation]) if self.orientation in TURNS else image


def decode(
    fp: BinaryIO,
    info: ImageInfo,
    wanted: tuple[int, int],
    limits: Limits,
    *,
    page: int = 0,
    any_size: bool = False,
) -> Decoded:
    """Decode a page or frame, the first one being 0, as a viewer shows it.

    It is at least as large as ``wanted`` (px, upright) if the source is that large. A JPEG that lacks nothing but its
    end marker, which browsers show, is taken where ``limits`` are tolerant. A page may have ``any_size`` where the
    caller goes by that of the result. Raises ``ImageTooLarge`` for a JPEG, or such a page, that has to be decoded at
    more than ``input_pixels``.
    """
    try:
        return _decode(fp, info, wanted, limits, page, any_size=any_size)
    except ImageTooLarge:
        raise
    except ImageError as error:
        # The comparison decodes at full size, twice.
        is_small = info.width * info.height <= limits.input_pixels
        whole = with_end_marker(fp) if info.format == "jpeg" and is_small else None
        if whole is None:
            raise
        if not limits.tolerant:
            fix = "Save it again, or set limits.tolerant = true."
            raise ImageError("The JPEG lacks its end marker, although its picture is whole.", fix=fix) from error
        return _decode(BytesIO(whole), info, wanted, limits, page)


def with_end_marker(fp: BinaryIO) -> bytes | None:
    """Return a JPEG with the end marker that it lacks, None where more than that is missing.

    Decoders fill up what is missing and pass over what is too much. So the picture is whole if it stays as it is when
    there is noise in front of the marker: what is missing would be made from the noise.
    """
    fp.seek(0)
    data = fp.read().removesuffix(b"\xff")
    pictures = []
    for end in (_END_MARKER, _NOISE + _END_MARKER):
        try:
            image = JpegImagePlugin.JpegImageFile(BytesIO(data + end))
            image.load()
        except Exception:  # whatever the decoder says: the file is broken in another way
            return None
        pictures.append(image.tobytes())
    return data + _END_MARKER if pictures[0] == pictures[1] else None


def _decode(
    fp: BinaryIO, info: ImageInfo, wanted: tuple[int, int], limits: Limits, page: int = 0, *, any_size: bool = False
) -> Decoded:
    with decoder(fp, info) as image:
        profile = profile_in_force(fp, image)
        shown = (info.width, info.height) if info.format in _TURNED else info.stored_size
        drawn = seek(image, page, size=None if any_size else shown)
        is_other = not drawn and image.size != shown
        if is_other and image.width * image.height > limits.input_pixels:
            what = f"Page {page} has {image.width} x {image.height} px"
            raise too_large("input_pixels", what, limits.input_pixels)
        drafted = image.draft(None, upright(wanted, info.orientation)) if info.format == "jpeg" else None
        if info.format == "jpeg" and image.size[0] * image.size[1] > limits.input_pixels and not info.buffered:
            what = f"To be shown as large as asked, the JPEG is decoded at {image.size[0]} x {image.size[1]} px"
            raise too_large("input_pixels", what, limits.input_pixels)
        low = low_bytes(fp, image)
        is_first = low is None and page == first_shown(image) == 0
        fast = without_pillow(fp, info, image, upright(wanted, info.orientation)) if is_first else None
        if fast:
            pixels, (width, height) = fast
        else:
            image.load()
            pixels = resizable(image) if low is None else with_deep_key(image, low)
            width, height = drafted[1][2:] if drafted else image.size
        if drawn and drawn[0] not in {None, (0, 0, *info.stored_size)}:
            pixels = transparent_outside(pixels, drawn)
        if drawn and pixels.size != info.stored_size:  # the screen of a GIF grows in Pillow while it plays
            pixels = pixels.crop((0, 0, *info.stored_size))
            width, height = pixels.size
        return Decoded(
            image=pixels,
            source=pixels.size if is_other else (info.width, info.height),
            extent=(float(width), float(height)),
            orientation=1 if info.format in _TURNED else info.orientation,
            profile=profile,
            exif=image.info.get("exif"),
            dpi=density_of(image),
        )


def without_pillow(
    fp: BinaryIO, info: ImageInfo, image: ImageFile.ImageFile, wanted: Size
) -> tuple[Image.Image, tuple[float, float]] | None:
    """Return the px and the extent of a picture by a decoder that is faster, None where Pillow has to decode.

    The px are Pillow's, or smaller, but at least twice as many a side as ``wanted`` (as stored).
    """
    if info.format == "webp" and not info.animated:
        fp.seek(0)
        pixels = decode_still(fp.read(), image.mode, image.size, wanted)
        return (pixels, pixels.size) if pixels else None
    if isinstance(image, PngImagePlugin.PngImageFile) and row_reader():
        position = fp.tell()
        fp.seek(0)
        data = fp.read()
        fp.seek(position)
        return decode_rows(data, image, wanted, resizable)
    return None


def density_of(image: Image.Image) -> float:
    """Return the dots per inch that a source states, 72 where it states none or nonsense."""
    try:
        across = float(image.info["dpi"][0])
    except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError):
        return DEFAULT_DPI
    return across if 1 <= across <= _MOST_DPI else DEFAULT_DPI


def seek(image: ImageFile.ImageFile, page: int, *, size: Size | None) -> list[tuple[int, int, int, int] | None]:
    """Go to a page or frame, from 0; return where the frames of a GIF up to it were drawn.

    Raise ``TransformError`` where there is none, ``UnsupportedImage`` for one of another ``size`` (None: any will do).
    """
    first, count = first_shown(image), frame_count(image) if page else 1
    if page and first + page >= count:
        raise TransformError(f"The picture has no page {page}, counted from 0: it has {count - first}.")
    drawn = []
    for number in range(first, first + page + 1):  # a frame shows what those before it have left
        if number:
            image.seek(number)
        if isinstance(image, GifImagePlugin.GifImageFile):
            drawn.append(image.dispose_extent)
    # Limits were checked, and the geometry was planned, for the size of the first. The screen of a GIF grows in Pillow.
    if page and size and image.size != size and not drawn:
        raise UnsupportedImage(f"Page {page} has {image.size} px, and the first has {size}: it can't be shown here.")
    return drawn


def page_count(fp: BinaryIO, info: ImageInfo) -> int:
    """Return how many pages or frames a file has; the header of a TIFF does not tell."""
    if info.format != "tiff":
        return info.frames
    with decoder(fp, info) as image, pillow_errors("The TIFF can't be read"):
        return frame_count(image)


def frame_count(image: ImageFile.ImageFile) -> int:
    """Return how many frames an opened picture has; of a TIFF 10,000 at most, whose pages have to be walked through."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(getattr(image, "n_frames", 1))
    count = 1
    try:
        while count < _MOST_PAGES:  # a file of 100 MB could name millions of empty ones
            image.seek(count)
            count += 1
    except EOFError:
        pass
    image.seek(0)
    return count


def first_shown(image: ImageFile.ImageFile) -> int:
    """Return the number of the first frame that browsers show.

    A PNG's default image is not part of its animation unless an fcTL chunk stands before it (third edition, 4.9): it is
    for decoders that know no animations.
    """
    return int(getattr(image, "default_image", False) and getattr(image, "n_frames", 1) > 1)


def profile_in_force(fp: BinaryIO, image: ImageFile.ImageFile) -> bytes | None:
    """Return the ICC profile of a picture: the embedded one, or one for the colours that the file states in numbers."""
    embedded = image.info.get("icc_profile")
    if image.format not in {"PNG", "AVIF"}:
        return embedded
    if image.format == "AVIF":
        return avif_profile(fp, embedded)
    return png_profile(png_chunks(fp), embedded, grey=image.mode not in {"P", "RGB", "RGBA"})


def transparent_outside(image: Image.Image, boxes: Iterable[tuple[int, int, int, int] | None]) -> Image.Image:
    """Return a picture of a GIF that is transparent where none of its frames was drawn, as browsers show it."""
    drawn = Image.new("L", image.size)
    for box in boxes:
        drawn.paste(255, box)
    result = image.convert("RGBA")
    result.putalpha(ImageChops.darker(result.getchannel("A"), drawn))
    return result


def low_bytes(fp: BinaryIO, image: ImageFile.ImageFile) -> Image.Image | None:
    """Return the lower bytes of a PNG of 3 x 16 bits with a colour key, None for any other picture.

    Pillow reads the upper bytes, and the key is meant in all 16 bits (third edition, 11.3.1.1). Read as if the bytes
    were in the other order, the same file gives the rest.
    """
    if not (image.format == "PNG" and image.tile and image.tile[0].args == "RGB;16B" and "transparency" in image.info):
        return None
    position = fp.tell()
    fp.seek(0)
    second = PngImagePlugin.PngImageFile(BytesIO(fp.read()))
    fp.seek(position)
    second.tile = [tile._replace(args="RGB;16L") for tile in second.tile]
    second.load()
    return second


def with_deep_key(image: Image.Image, low: Image.Image) -> Image.Image:
    """Return a picture of upper bytes as RGBA: transparent where both bytes of each band are those of its key."""
    key = image.info.pop("transparency")
    differs = Image.new("L", image.size)
    for number, value in enumerate(key):
        for band, part in ((image.getchannel(number), value >> 8), (low.getchannel(number), value & 255)):
            differs = ImageChops.lighter(differs, band.point([255 * (level != part) for level in range(256)]))
    result = image.convert("RGB")
    result.putalpha(differs)
    return result


def resizable(image: Image.Image) -> Image.Image:
    """Return the image in a mode that can be resized: L, LA, RGB, RGBA or CMYK; colour keys become alpha."""
    if image.mode.startswith("I"):  # the upper 8 of 16 bits of grey; Pillow reads 16-bit colour as 8 bits already
        values = image.convert("I")
        grey = values.point(lambda value: value * (1 / 256)).convert("L")
        key = image.info.get("transparency")
        if isinstance(key, int):
            # All 16 bits decide: two greys may be alike in the upper eight.
            grey.putalpha(ImageMath.lambda_eval(lambda bands: (bands["v"] != key) * 255, v=values).convert("L"))
        return grey
    if image.has_transparency_data:
        return image if image.mode in {"LA", "RGBA"} else image.convert("LA" if image.mode in {"1", "L"} else "RGBA")
    if image.mode in {"L", "LA", "RGB", "RGBA", "CMYK"}:
        return image
    return image.convert("L" if image.mode in {"1", "F"} else "RGB")


@dataclass(frozen=True, slots=True)
class RenderDeadline:
    """The end of the ``seconds`` that a render may take; they begin when this is made."""

    seconds: float
    start: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise ``ImageTooLarge`` once the time is up."""
        if time.monotonic() - self.start > self.seconds:
            raise too_large("seconds", f"Rendering takes more than {self.seconds:g} s", self.seconds)
