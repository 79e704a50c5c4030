"""Decode still WebP with libwebp itself, and no larger than needed.

Pillow decodes every WebP through libwebp's animation decoder, which takes twice the time for the same pixels and can't
scale. Its wheels ship libwebp as a shared library, whose functions are called here by their documented C interface
(``webp/decode.h``). Where there is no such library, or it disagrees with Pillow, Pillow decodes.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib import metadata
from io import BytesIO
from typing import Any, Final, TypeAlias

from PIL import Image, ImageChops, features

from s3img.imaging.resize import REDUCING_GAP

Size: TypeAlias = tuple[int, int]

_ABI: Final = 0x0209  # of webp/decode.h; the library takes every version with the same upper byte
_COLOR_SPACES: Final = {"RGB": 0, "RGBA": 1}  # MODE_RGB, MODE_RGBA
_SYSTEM: Final = ("libwebp.so.7", "libwebp.7.dylib")
_LEAST: Final = 3
"""From how many times the wanted size on decoding smaller takes less time than decoding the whole picture."""
_TOLERANCE: Final = 12  # of 255, for means of 2 x 2 px of the self-test's picture: another filter, the same geometry


class DecoderConfig(ctypes.Structure):
    """WebPDecoderConfig: what is in the file, the buffer for px, and the options, each with room for later versions."""

    _fields_ = (
        ("input", ctypes.c_int * 10),
        ("colorspace", ctypes.c_int),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("is_external_memory", ctypes.c_int),
        ("pixels", ctypes.c_void_p),
        ("stride", ctypes.c_int),
        ("bytes", ctypes.c_size_t),
        ("rest_of_yuva", ctypes.c_byte * 56),
        ("output_padding", ctypes.c_uint32 * 4),
        ("private_memory", ctypes.c_void_p),
        ("filtering_and_cropping", ctypes.c_int * 7),
        ("use_scaling", ctypes.c_int),
        ("scaled_width", ctypes.c_int),
        ("scaled_height", ctypes.c_int),
        ("other_options", ctypes.c_int * 4),
        ("options_padding", ctypes.c_uint32 * 5),
    )


def decode_still(data: bytes, mode: str, size: Size, wanted: Size) -> Image.Image | None:
    """Return a still WebP of ``size`` px in ``mode`` (RGB or RGBA), None where Pillow has to decode it.

    An RGB picture may come smaller, but twice as large as ``wanted``. One with alpha comes whole: libwebp scales its
    colours as if all of it were opaque, which leaves fringes. None stands for damaged files, too.
    """
    library = libwebp()
    if library is None or mode not in _COLOR_SPACES:
        return None
    is_large = all(have >= _LEAST * want for have, want in zip(size, wanted, strict=True))
    scaled = (REDUCING_GAP * wanted[0], REDUCING_GAP * wanted[1]) if is_large and mode == "RGB" else None
    return decoded_by(library, data, mode, size, scaled)


def decoded_by(library: ctypes.CDLL, data: bytes, mode: str, size: Size, scaled: Size | None) -> Image.Image | None:
    """Return the px of a WebP of ``size`` px, scaled where that is asked for, None where libwebp refuses it."""
    config = DecoderConfig()
    if not library.WebPInitDecoderConfigInternal(ctypes.byref(config), _ABI):
        return None
    width, height = scaled or size
    config.use_scaling, config.scaled_width, config.scaled_height = bool(scaled), width, height
    buffer = bytearray(width * height * len(mode))
    room = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    config.colorspace, config.is_external_memory = _COLOR_SPACES[mode], 1
    config.pixels, config.stride, config.bytes = ctypes.addressof(room), width * len(mode), len(buffer)
    # It compares the size of the buffer with that of the picture before it writes.
    if library.WebPDecode(data, len(data), ctypes.byref(config)):
        return None
    return Image.frombuffer(mode, (width, height), buffer, "raw", mode, 0, 1)


@cache
def libwebp() -> ctypes.CDLL | None:
    """Return the libwebp that Pillow decodes with, None if there is none or what it makes are not Pillow's pixels."""
    for path in library_paths():
        try:
            library = ctypes.CDLL(path)
            library.WebPDecode.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p)
            library.WebPInitDecoderConfigInternal.argtypes = (ctypes.c_void_p, ctypes.c_int)
            number = library.WebPGetDecoderVersion()
            version = f"{number >> 16}.{number >> 8 & 255}.{number & 255}"
            # Another copy may lack the fixes that Pillow's has.
            if version == features.version("webp") and agrees_with_pillow(library):
                return library
        except Exception:  # noqa: S112 - whatever is wrong with it: Pillow decodes
            continue
    return None


def library_paths() -> list[str]:
    """Return where libwebp may be: in Pillow's wheel, else where the system has it."""
    files = [file for file in metadata.files("pillow") or () if file.name.startswith(("libwebp-", "libwebp."))]
    return [str(file.locate()) for file in files] or [*_SYSTEM]


def agrees_with_pillow(library: ctypes.CDLL) -> bool:
    """Compare a library with Pillow on small pictures: lossy and lossless, with and without alpha, and scaled."""
    ramp = Image.linear_gradient("L").resize((64, 48))
    bands = (ramp, ramp.transpose(Image.Transpose.ROTATE_180), Image.radial_gradient("L").resize((64, 48)), ramp)
    options: list[dict[str, Any]] = [{"quality": 80, "method": 0}, {"lossless": True, "method": 0}]
    for mode in _COLOR_SPACES:
        for option in options:
            file = BytesIO()
            Image.merge(mode, bands[: len(mode)]).save(file, "WEBP", **option)
            with Image.open(file, formats=("WEBP",)) as image:
                expected = image.convert(mode)
            whole = decoded_by(library, file.getvalue(), mode, expected.size, None)
            if whole is None or whole.tobytes() != expected.tobytes():
                return False
            if mode == "RGB":
                half = decoded_by(library, file.getvalue(), mode, expected.size, (32, 24))
                if half is None:
                    return False
                difference = ImageChops.difference(half, expected.reduce(2)).convert("L")
                if any(difference.histogram()[_TOLERANCE:]):
                    return False
    return True
