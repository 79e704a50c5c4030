"""An ICO that is stored shows what was sent, and holds nothing else."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import IcoImagePlugin
from planted import encode, noise

from s3img.errors import ImageError, ImageTooLarge
from s3img.imaging import cleaned
from s3img.limits import Limits

LIMITS = Limits()
SIZES = [(16, 16), (32, 32), (48, 48)]


def icon(bitmap_format: str = "png") -> bytes:
    return encode(noise().resize((48, 48)).convert("RGBA"), "ICO", sizes=SIZES, bitmap_format=bitmap_format)


def pictures(data: bytes) -> dict[tuple[int, int], bytes]:
    opened = IcoImagePlugin.IcoFile(io.BytesIO(data))
    return {size: opened.getimage(size).convert("RGBA").tobytes() for size in opened.sizes()}


def with_entry(data: bytes, number: int, size: int, start: int) -> bytes:
    at = 6 + 16 * number + 8
    return data[:at] + struct.pack("<LL", size, start) + data[at + 8 :]


@pytest.mark.parametrize("kind", ["png", "bmp"])
def test_icon_keeps_every_picture(kind: str) -> None:
    data = icon(kind)
    clean = cleaned(data, limits=LIMITS)
    assert pictures(clean.data) == pictures(data)
    assert len(pictures(clean.data)) == len(SIZES)
    assert cleaned(clean.data, limits=LIMITS) == clean


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_icon_of_few_colours_keeps_its_pixels(mode: str) -> None:
    image = noise().resize((32, 32)).convert("L" if mode == "L" else "RGB").convert(mode)
    data = encode(image, "ICO", sizes=[(32, 32)], bitmap_format="bmp")
    assert pictures(cleaned(data, limits=LIMITS).data) == pictures(data)


@pytest.mark.parametrize("kind", ["png", "bmp"])
def test_icon_that_is_cut_short_is_refused(kind: str) -> None:
    data = icon(kind)
    for end in (10, 30, len(data) // 2, len(data) - 1):
        with pytest.raises(ImageError):
            cleaned(data[:end], limits=LIMITS)


def test_icon_whose_entries_share_bytes_is_refused() -> None:
    """A small file of many entries would become a large one."""
    png = encode(noise(), "PNG")
    count = 5_000
    start = 6 + 16 * count
    entry = struct.pack("<BBBBHHLL", 40, 30, 0, 0, 1, 32, len(png), start)
    with pytest.raises(ImageError, match="overlap"):
        cleaned(struct.pack("<HHH", 0, 1, count) + entry * count + png, limits=LIMITS)


@pytest.mark.parametrize(("size", "start"), [(2**32 - 1, 22), (10, 2**32 - 1), (0, 0), (40, 6)])
def test_icon_with_made_up_places_is_refused(size: int, start: int) -> None:
    with pytest.raises(ImageError):
        cleaned(with_entry(icon(), 0, size, start), limits=LIMITS)


def test_pictures_of_an_icon_have_one_limit_together() -> None:
    with pytest.raises(ImageTooLarge):
        cleaned(icon(), limits=Limits(input_pixels=3000))


@pytest.mark.parametrize(
    ("at", "value"), [(4, 2**31), (8, 2**31), (8, 0), (14, 7), (16, 3), (32, 2**31)]
)  # width, height twice, depth, compression, colours
def test_icon_with_a_bitmap_of_made_up_numbers_is_refused(at: int, value: int) -> None:
    data = icon("bmp")
    start = int.from_bytes(data[18:22], "little") + at
    width = "<H" if at == 14 else "<L"
    changed = data[:start] + struct.pack(width, value) + data[start + struct.calcsize(width) :]
    with pytest.raises(ImageError):
        cleaned(changed, limits=LIMITS)
