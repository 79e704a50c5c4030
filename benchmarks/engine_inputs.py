"""Inputs of ``engine.py``: photographs from a Debian package, and files derived from them; nothing is committed.

``lomiri-wallpapers-16.04`` (Debian 12) holds photographs as cameras wrote them, under CC BY and CC BY-SA. The sizes
that sharp's own benchmark and the issues name are made from one of them: 13 megapixels, Dragonfly by Bolly.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "lomiri-wallpapers-16.04"
PHOTO = "Dragonfly_by_Bolly.jpg"


def prepare(folder: Path) -> dict[str, Path]:
    """Return name -> file; what is missing is fetched or made first (needs ``apt-get`` and ``dpkg``)."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = folder / "usr/share/backgrounds" / PHOTO
    if not photo.exists():
        subprocess.run(["apt-get", "-q", "download", PACKAGE], cwd=folder, check=True, timeout=300)
        (package,) = folder.glob(f"{PACKAGE}_*.deb")
        subprocess.run(["dpkg", "-x", package, folder], check=True, timeout=60)
    made = {"12 MP jpeg": photo}
    for name, make in MAKERS.items():
        path = folder / name.replace(" ", "-")
        if not path.exists():
            make(photo, path)
        made[name] = path
    return made


def _scaled(photo: Path, size: tuple[int, int]) -> Image.Image:
    with Image.open(photo) as image:
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def _animation(frames: list[Image.Image], path: Path) -> None:
    indexed = [frame.quantize(256, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]
    indexed[0].save(path, "GIF", save_all=True, append_images=indexed[1:], duration=60, loop=0)


def _pan(photo: Path, path: Path) -> None:
    """Move a window of 400 x 300 px over the photograph: every px changes in every frame."""
    picture = _scaled(photo, (800, 600))
    _animation([picture.crop((6 * n, 5 * n, 6 * n + 400, 5 * n + 300)) for n in range(40)], path)


def _logo(side: int, path: Path) -> None:
    """Draw a disc with a ring, on nothing."""
    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    draw.ellipse((0, 0, side - 1, side - 1), fill=(214, 40, 57))
    draw.ellipse((side / 8, side / 8, side * 7 / 8, side * 7 / 8), outline="white", width=max(1, side // 14))
    image.save(path, "PNG")


def _drawing(photo: Path, path: Path) -> None:
    """Move flat shapes over a flat ground: a few px change."""
    del photo
    frames = []
    for number in range(40):
        frame = Image.new("RGB", (480, 360), "#f4f1de")
        draw = ImageDraw.Draw(frame)
        draw.rectangle((40, 40, 440, 90), fill="#3d405b")
        draw.ellipse((10 * number, 150, 10 * number + 90, 240), fill="#e07a5f")
        frames.append(frame)
    _animation(frames, path)


MAKERS = {
    "6 MP jpeg": lambda photo, path: _scaled(photo, (2725, 2225)).save(path, "JPEG", quality=90),
    "small jpeg": lambda photo, path: _scaled(photo, (1024, 768)).save(path, "JPEG", quality=88),
    "12 MP avif": lambda photo, path: _scaled(photo, (4000, 3000)).save(path, "AVIF", quality=65, speed=8),
    "3 MP png": lambda photo, path: _scaled(photo, (2000, 1500)).save(path, "PNG"),
    "10 MP webp": lambda photo, path: _scaled(photo, (3648, 2736)).save(path, "WEBP", quality=85),
    "pan gif": _pan,
    "drawing gif": _drawing,
    "logo": lambda _, path: _logo(400, path),
    "small logo": lambda _, path: _logo(80, path),
    "100 MP jpeg": lambda photo, path: _scaled(photo, (11536, 8652)).save(path, "JPEG", quality=85),
    "100 MP png": lambda photo, path: _scaled(photo, (11536, 8652)).save(path, "PNG", compress_level=1),
}
