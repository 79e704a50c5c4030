"""Small sites made of real images, for tests."""

from __future__ import annotations

import functools
import io
import random
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from pathlib import Path


def photo(width: int, height: int, *, seed: int = 1, format: str = "JPEG", **options: object) -> bytes:  # noqa: A002
    """Return a picture that compresses like a photograph: smooth areas, edges and some noise."""
    if not options:
        return _plain_photo(width, height, seed, format)
    return _encoded(_pixels(width, height, seed), format, **options)


def _encoded(image: Image.Image, format: str, **options: object) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    image.save(buffer, format, **({"quality": 92} if format == "JPEG" else {}), **options)
    return buffer.getvalue()


@functools.lru_cache(maxsize=200)
def _plain_photo(width: int, height: int, seed: int, format: str) -> bytes:  # noqa: A002
    return _encoded(_pixels(width, height, seed), format)


@functools.cache  # half a second for a large one, and the same for all who ask
def _pixels(width: int, height: int, seed: int) -> Image.Image:
    rng = random.Random(seed)
    small = Image.new("RGB", (16, 12))
    small.putdata([tuple(rng.randrange(256) for _ in range(3)) for _ in range(16 * 12)])
    image = small.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(30):
        x, y = rng.randrange(width), rng.randrange(height)
        draw.ellipse((x, y, x + width // 12, y + height // 12), fill=tuple(rng.randrange(256) for _ in range(3)))
    noise = Image.frombytes("L", (width, height), rng.randbytes(width * height)).convert("RGB")
    return Image.blend(image, noise, 0.06)


@functools.cache
def drawing(width: int, height: int) -> bytes:
    """Return a PNG with an alpha channel."""
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((0, 0, width - 1, height - 1), fill=(200, 40, 40, 160))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@functools.cache
def animation(width: int, height: int, frames: int = 4) -> bytes:
    """Return an endless GIF."""
    pictures = []
    for number in range(frames):
        picture = Image.new("RGB", (width, height), (30, 60, 90))
        ImageDraw.Draw(picture).rectangle((number * 10, 10, number * 10 + 40, 50), fill=(250, 200, 0))
        pictures.append(picture)
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=100, loop=0)
    return buffer.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="120" height="80" viewBox="0 0 120 80"><rect width="120" height="80" fill="teal"/></svg>'


class Site:
    """Hold a folder that a generator could have built."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, path: str, content: str | bytes) -> Path:
        """Write a file of the site."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def page(self, path: str, body: str) -> Path:
        """Write a page around a body."""
        return self.add(path, f"<!doctype html>\n<html><head><title>T</title></head>\n<body>{body}</body></html>\n")

    def text(self, path: str) -> str:
        """Return a file's text."""
        return (self.root / path).read_text()

    def snapshot(self) -> dict[str, bytes]:
        """Return all files."""
        return {str(f.relative_to(self.root)): f.read_bytes() for f in sorted(self.root.rglob("*")) if f.is_file()}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return an empty site."""
    (tmp_path / "site").mkdir()
    return Site(tmp_path / "site")


@pytest.fixture(scope="session")
def photo_bytes() -> bytes:
    """Return a JPEG of 1400 x 900 px."""
    return photo(1400, 900)
