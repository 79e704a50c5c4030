"""Drawings against photographs: bytes and colour error of AVIF and WebP as s3img writes them from lossless sources.

    python benchmarks/drawings.py            # the table of docs/benchmarks.md

The pictures are drawn here, so that anybody gets the same. Each is written in full width and in half of it, with what
s3img does for a lossless source, and as it does for photographs (4:2:0, WebP always lossy). The error is CIE76's ΔE
against the px that were encoded: its mean over the px that have colour (saturation above 60), and the bytes.
"""

from __future__ import annotations

import io
import math
import random

from PIL import Image, ImageDraw, ImageFilter

from s3img.imaging.encode import Encoding, encode
from s3img.imaging.resize import resize

COLOURS = [(215, 0, 40), (0, 80, 220), (0, 140, 40), (150, 0, 200), (200, 90, 0), (40, 40, 40)]
WORDS = ["def", "return", "picture", "class", "0x3f", "import", "width", "self.key"]


def screenshot() -> Image.Image:
    image = Image.new("RGB", (1200, 700), (252, 252, 250))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 1200, 40), fill=(36, 41, 47))
    draw.rectangle((0, 40, 220, 700), fill=(240, 242, 245))
    for row in range(38):
        x = 240
        for word in range(11):
            text = WORDS[(row * 7 + word * 3) % 8]
            draw.text((x, 52 + row * 17), text, fill=COLOURS[(row + word) % 6])
            x += 8 * len(text) + 12
    return image


def chart() -> Image.Image:
    image = Image.new("RGB", (3200, 2000), "white")
    draw = ImageDraw.Draw(image)
    for line in range(6):
        points = [(100 + 30 * n, 1000 + 700 * math.sin(n / (7 + 3 * line) + line)) for n in range(100)]
        draw.line(points, fill=COLOURS[line], width=8)
    return image.resize((800, 500), Image.Resampling.LANCZOS)  # antialiased


def logo() -> Image.Image:
    image = Image.new("RGB", (2400, 2400), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((200, 200, 2200, 2200), fill=(227, 0, 15))
    draw.polygon([(1200, 500), (1800, 1700), (600, 1700)], fill=(255, 204, 0))
    return image.resize((600, 600), Image.Resampling.LANCZOS)


def pixel_art() -> Image.Image:
    rand = random.Random(1)
    image = Image.new("RGB", (64, 64))
    image.putdata([COLOURS[rand.randrange(6)] for _ in range(64 * 64)])
    return image.resize((512, 512), Image.Resampling.NEAREST)


def photograph() -> Image.Image:
    """Smooth noise stands for a photograph: no edge, no flat part."""
    rand = random.Random(1)
    bands = [Image.frombytes("L", (60, 40), rand.randbytes(2400)) for _ in "RGB"]
    picture = Image.merge("RGB", bands).resize((960, 640), Image.Resampling.BICUBIC)
    grain = Image.merge("RGB", [Image.frombytes("L", (960, 640), rand.randbytes(960 * 640)) for _ in "RGB"])
    return Image.blend(picture, grain.filter(ImageFilter.GaussianBlur(1)), 0.12)


def error(one: Image.Image, data: bytes) -> float:
    """Return the mean ΔE over the px that have colour."""
    with Image.open(io.BytesIO(data)) as opened:
        other = opened.convert("RGB")
    total = count = 0.0
    first, second = one.tobytes(), other.tobytes()
    for at in range(0, len(first), 3):
        a, b = first[at : at + 3], second[at : at + 3]
        if max(a) - min(a) > 60:
            total += math.dist(lab(a), lab(b))
            count += 1
    return total / count if count else 0.0


def lab(rgb: bytes) -> tuple[float, float, float]:
    red, green, blue = (LINEAR[value] for value in rgb)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


LINEAR = [v / 255 / 12.92 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in range(256)]


def main() -> None:
    print("| picture | px | PNG | format | as a photograph: bytes, ΔE | s3img: bytes, ΔE |")
    print("| --- | --- | --- | --- | --- | --- |")
    for make in (screenshot, chart, logo, pixel_art, photograph):
        whole = make()
        for share in (1, 2):
            image = resize(whole, (whole.width // share, whole.height // share))
            plain = len(encode(image, Encoding("png")))
            for name in ("avif", "webp"):
                before = encode(image, Encoding(name))
                after = encode(image, Encoding(name, lossless_source=True))
                row = f"{make.__name__.replace('_', ' ')} | {image.width} x {image.height} | {plain:,} | {name.upper()}"
                figures = " | ".join(f"{len(data):,}, {error(image, data):.1f}" for data in (before, after))
                print(f"| {row} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
