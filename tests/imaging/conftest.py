"""Pictures made by the tests: small, exact, and free of anyone's licence."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pytest
from PIL import Image


def encode(image: Image.Image, name: str, **settings: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name.upper(), **settings)
    return buffer.getvalue()


def decode(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def orientation_exif(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def quadrants(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """Return red, green, blue and white quarters: every turn and mirror of it looks different."""
    image = Image.new("RGB", (width, height), "white")
    image.paste("red", (0, 0, width // 2, height // 2))
    image.paste("lime", (width // 2, 0, width, height // 2))
    image.paste("blue", (0, height // 2, width // 2, height))
    return image.convert(mode)


def corners(image: Image.Image) -> tuple[str, ...]:
    """Name the colours near the four corners, clockwise from the top left one."""
    rgb = image.convert("RGBA").convert("RGB")
    inset = max(2, min(rgb.size) // 8)
    right, bottom = rgb.width - 1 - inset, rgb.height - 1 - inset
    return tuple(_name(rgb.getpixel(at)) for at in ((inset, inset), (right, inset), (right, bottom), (inset, bottom)))


def _name(pixel: Any) -> str:
    names = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255), "black": (0, 0, 0)}
    return min(names, key=lambda name: sum(abs(a - b) for a, b in zip(names[name], pixel, strict=True)))


def moving(frames: int = 4, size: tuple[int, int] = (40, 30), mode: str = "RGBA") -> list[Image.Image]:
    """Return frames on which a red square walks to the right over nothing."""
    made = []
    for number in range(frames):
        frame = Image.new("RGBA", size, (0, 0, 0, 0))
        frame.paste((255, 0, 0, 255), (number * 8, 4, number * 8 + 10, 20))
        made.append(frame.convert(mode))
    return made


def animate(frames: list[Image.Image], name: str, **settings: Any) -> bytes:
    return encode(frames[0], name, save_all=True, append_images=frames[1:], **settings)


def rgb_profile(red: tuple[float, ...], green: tuple[float, ...], blue: tuple[float, ...], gamma: float) -> bytes:
    """Build a matrix profile (ICC.1:2001-04, 6.3.1.2) from colorants adapted to D50 and a gamma."""
    name = b"desc\0\0\0\0\0\0\0\x05wide\0" + bytes(78)
    curve = struct.pack(">4sLLH", b"curv", 0, 1, round(gamma * 256)) + b"\0\0"
    tags = {
        b"desc": name + bytes(-len(name) % 4),
        b"cprt": b"text\0\0\0\0free\0\0\0\0",
        b"wtpt": _xyz((0.9642, 1, 0.8249)),
    }
    tags |= {b"rXYZ": _xyz(red), b"gXYZ": _xyz(green), b"bXYZ": _xyz(blue)} | dict.fromkeys(
        (b"rTRC", b"gTRC", b"bTRC"), curve
    )
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, value in tags.items():
        table += struct.pack(">4sLL", tag, offset + len(body), len(value))
        body += value
    size = offset + len(body)
    header = struct.pack(">L4sL4s4s4s12s4s", size, b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ", bytes(12), b"acsp")
    header += bytes(28) + _xyz((0.9642, 1, 0.8249))[8:] + bytes(48)
    return header + struct.pack(">L", len(tags)) + table + body


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3l", *(round(value * 65536) for value in values))


ADOBE_RGB = rgb_profile(
    (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457), 2.19921875
)


class Make:
    """Give tests the functions above."""

    encode = staticmethod(encode)
    decode = staticmethod(decode)
    orientation_exif = staticmethod(orientation_exif)
    quadrants = staticmethod(quadrants)
    corners = staticmethod(corners)
    moving = staticmethod(moving)
    animate = staticmethod(animate)
    adobe_rgb = ADOBE_RGB


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()
