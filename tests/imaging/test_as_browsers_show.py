"""Pixels are those that a browser shows: each source is drawn on Chromium's canvas and held beside ours."""

from __future__ import annotations

import base64
import io
import random
import shutil
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageChops, ImageStat
from pngs import P3, SRGB, chunk, gamma, gif, packed, png
from sites import photo

from s3img.imaging import Rendered, RenderTarget, probe, render_variants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

SIZE = (96, 64)
PICTURE = Image.open(io.BytesIO(photo(*SIZE, seed=3))).convert("RGB")
GREY = PICTURE.convert("L")

DRAW = """async source => {
  const image = new Image(); image.src = source; await image.decode();
  const canvas = document.createElement("canvas"); canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d"); context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data; let text = "";
  for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
  return [canvas.width, canvas.height, btoa(text)];
}"""


def rows(image: Image.Image) -> list[bytes]:
    return [image.crop((0, y, image.width, y + 1)).tobytes() for y in range(image.height)]


def rgb(extra: bytes) -> bytes:
    return png(SIZE, 8, 2, rows(PICTURE), extra)


def cicp(primaries: int, transfer: int, *rest: int) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, *(rest or (0, 1))]))


def keyed_grey(depth: int) -> bytes:
    top, rand = (1 << depth) - 1, random.Random(1)
    inside = [[(x - 20) ** 2 + (y - 20) ** 2 < 150 for x in range(40)] for y in range(40)]
    values = [[rand.randrange(top) if is_inside else top for is_inside in row] for row in inside]
    return png((40, 40), depth, 0, [packed(row, depth) for row in values], chunk(b"tRNS", struct.pack(">H", top)))


def keyed_deep(low: int) -> bytes:
    """Two halves that differ from the key in their lower bytes: one by nothing, or by little."""
    key = (0x1234, 0x5678, 0x9A00)
    row = b"".join(struct.pack(">3H", *key[:2], 0x9A00 + (low if x < 20 else 0x35)) for x in range(40))
    return png((40, 40), 16, 2, [row] * 40, chunk(b"tRNS", struct.pack(">3H", *key)))


def animated_png(*, hidden: bool, frames: int) -> bytes:
    noise = Image.effect_noise(SIZE, 90)
    dark = noise.point(lambda value: value // 8)
    colours = [(noise, dark, dark), (dark, noise, dark), (dark, dark, noise)]
    pictures = [Image.merge("RGB", bands) for bands in colours[: frames + hidden]]
    buffer = io.BytesIO()
    settings: dict[str, Any] = {"save_all": True, "append_images": pictures[1:], "default_image": hidden}
    pictures[0].save(buffer, "PNG", duration=60_000, **settings)
    return buffer.getvalue()


def avif(primaries: int, transfer: int) -> bytes:
    """Write other code points into the nclx property of an AVIF."""
    buffer = io.BytesIO()
    PICTURE.save(buffer, "AVIF", quality=90)
    data = buffer.getvalue()
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def noise(side: int, seed: int = 0) -> Image.Image:
    rand = random.Random(seed)
    return Image.frombytes("L", (side, side), rand.randbytes(side * side)).convert("P")


SOURCES = {
    **{f"gamma {value}": rgb(gamma(value)) for value in (100_000, 55_556, 45_455, 40_000)},
    "gamma and chromaticities of sRGB": rgb(gamma(45_455) + SRGB),
    "gamma and chromaticities of P3": rgb(gamma(55_556) + P3),
    "chromaticities alone": rgb(P3),
    "sRGB goes before gamma": rgb(chunk(b"sRGB", b"\0") + gamma(100_000) + P3),
    "grey with gamma": png(SIZE, 8, 0, rows(GREY), gamma(60_000)),
    "grey and alpha of 16 bits with gamma": png(
        (256, 1), 16, 4, [b"".join(struct.pack(">HH", 257 * x, 65535 - 64 * x) for x in range(256))], gamma(60_000)
    ),
    **{
        f"cICP {p}-{t}": rgb(cicp(p, t))
        for p, t in ((1, 13), (12, 13), (9, 13), (9, 1), (12, 8), (1, 4), (22, 13), (2, 2))
    },
    "cICP goes before gamma": rgb(gamma(100_000) + cicp(12, 13)),
    "cICP in the narrow range": rgb(cicp(12, 13, 0, 0)),
    **{f"grey of {depth} bits with a key": keyed_grey(depth) for depth in (1, 2, 4, 8, 16)},
    "48 bits that are the key": keyed_deep(0),
    "48 bits beside the key": keyed_deep(0x34),
    "hidden default image, one frame": animated_png(hidden=True, frames=1),
    "hidden default image, two frames": animated_png(hidden=True, frames=2),
    "default image is the first frame": animated_png(hidden=False, frames=2),
    "GIF larger than its frame": gif(60, (noise(40), 0, 0)),
    "GIF with a frame in the middle": gif(60, (noise(20), 20, 20)),
    "GIF with a frame beyond the screen": gif(30, (noise(40), 10, 5)),
    "GIF without a screen": gif(0, (noise(40), 0, 0)),
    "GIF with a later frame beyond the screen": gif(40, (noise(40), 0, 0), (noise(50, 1), 0, 0)),
    **{f"AVIF {p}-{t}": avif(p, t) for p, t in ((1, 13), (1, 1), (12, 13), (9, 14), (2, 2))},
}


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page()
    page.set_content("<p>")
    yield page
    page.close()


def shown(page: Page, source: bytes) -> Image.Image:
    address = f"data:{probe(source).media_type};base64,{base64.b64encode(source).decode()}"
    width, height, pixels = page.evaluate(DRAW, address)
    return Image.frombytes("RGBA", (width, height), base64.b64decode(pixels))


def rendered(source: bytes) -> Image.Image:
    info = probe(source)
    (outcome,) = render_variants(source, [RenderTarget(info.width, info.height, "png")])
    assert isinstance(outcome, Rendered)
    return Image.open(io.BytesIO(outcome.data)).convert("RGBA")


def difference(one: Image.Image, other: Image.Image) -> tuple[int, float]:
    """Return the largest and the mean difference, where colour under no alpha has no meaning."""
    bands = ImageChops.difference(one.convert("RGBa"), other.convert("RGBa"))
    return max(high for _, high in bands.getextrema()), max(ImageStat.Stat(bands).mean)


@pytest.mark.parametrize("name", SOURCES)
def test_pixels_are_those_that_chromium_shows(page: Page, name: str) -> None:
    expected, found = shown(page, SOURCES[name]), rendered(SOURCES[name])
    assert found.size == expected.size
    most, mean = difference(found, expected)
    assert most <= 10
    assert mean <= 1.5


@pytest.mark.parametrize("transfer", [16, 18])
def test_grey_of_hdr_is_as_bright_as_chromium_shows_it(page: Page, transfer: int) -> None:
    ramp = png((256, 1), 8, 2, [bytes(x for x in range(256) for _ in "rgb")], cicp(9, transfer))
    most, _ = difference(rendered(ramp), shown(page, ramp))
    assert most <= 5


def test_what_is_stated_changes_the_pixels(page: Page) -> None:
    plain = rendered(rgb(b""))
    for name in ("gamma 100000", "gamma and chromaticities of P3", "cICP 12-13"):
        assert difference(plain, rendered(SOURCES[name]))[1] > 2


INVALID = {"invalid-palette.png", "invalid-trunc.png", "invalid-zlib.png", "invalid-noend.png", "invalid-crc32.png"}
"""Damaged on purpose, as `video-001.progressive.truncated.jpeg`: browsers show what there is, s3img refuses them."""


@pytest.fixture(scope="module")
def suite() -> list[Path]:
    """Return the test images that Go brings: PngSuite, and JPEG and GIF of every kind."""
    go = shutil.which("go")
    root = subprocess.check_output([go, "env", "GOROOT"], text=True, timeout=60).strip() if go else ""
    found = [path for path in Path(root, "src/image").rglob("*.*") if path.suffix in {".png", ".gif", ".jpeg"}]
    found = sorted(path for path in found if path.name not in INVALID and "truncated" not in path.name)
    if not root or len(found) < 70:
        pytest.skip("Go's test images are not here")
    return found


def unlike(page: Page, paths: list[Path]) -> dict[str, object]:
    """Return the images that Chromium shows in another way, with the largest and the mean difference."""
    found: dict[str, object] = {}
    for path in paths:
        data = path.read_bytes()
        expected, ours = shown(page, data), rendered(data)
        most, mean = difference(expected, ours) if expected.size == ours.size else (256, 256.0)
        if most > 10 or mean > 1.5:
            found[path.name] = (most, mean)
    return found


def test_png_suite_is_shown_as_by_chromium(page: Page, suite: list[Path]) -> None:
    assert unlike(page, [path for path in suite if path.parent.name == "pngsuite"][::3]) == {}


@pytest.mark.nightly
def test_images_of_every_kind_are_shown_as_by_chromium(page: Page, suite: list[Path]) -> None:
    assert unlike(page, suite) == {}
