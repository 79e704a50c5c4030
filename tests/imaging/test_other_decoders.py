"""Pictures that browsers do not show and s3img can read: JPEG 2000, and HEIC with its user's own pillow-heif.

pillow-heif is not installed for the tests, because its wheels bring GPL code: a stand-in gives px as it does, upright.
"""

from __future__ import annotations

import io
import struct
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from s3img import Config, Images
from s3img.errors import ImageError, ImageTooLarge, UnsupportedImage
from s3img.imaging import ImageInfo, probe, render
from s3img.limits import Limits
from s3img.transform import Transform

HEIC = Path(__file__).parents[1] / "data" / "heic"
SIZES = {"plain": (64, 48), "turned": (48, 64), "alpha": (64, 48)}
RED, BLUE = (200, 30, 40), (20, 60, 200)


@pytest.fixture
def pillow_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install pillow-heif, or what stands in for it."""
    if find_spec("pillow_heif"):
        return

    class HeifImageFile(Image.Image):
        def __new__(cls, fp: Any) -> Any:
            data = fp.read()
            name = next(name for name in SIZES if (HEIC / f"{name}.heic").read_bytes() == data)
            return (
                Image.new("RGBA", SIZES[name], (*RED, 128)) if name == "alpha" else Image.new("RGB", SIZES[name], RED)
            )

    module: Any = ModuleType("pillow_heif")
    module.__spec__ = ModuleSpec("pillow_heif", None)
    module.HeifImageFile = HeifImageFile
    monkeypatch.setitem(sys.modules, "pillow_heif", module)


def jp2(*, codestream_only: bool = False, mode: str = "RGB") -> bytes:
    image = Image.new("RGB", (64, 48), RED)
    image.paste(BLUE, (32, 0, 64, 48))
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, "JPEG2000", no_jp2=codestream_only)
    return buffer.getvalue()


@pytest.mark.parametrize("codestream_only", [False, True])
@pytest.mark.parametrize(("mode", "alpha"), [("RGB", False), ("RGBA", True), ("L", False)])
def test_jpeg_2000_is_rendered(make: Any, mode: str, alpha: object, *, codestream_only: bool) -> None:
    source = jp2(codestream_only=codestream_only, mode=mode)
    assert probe(source) == ImageInfo("jp2", 64, 48, alpha=bool(alpha))
    picture = make.decode(render(source, Transform.parse("w-32,f-png")).data).convert("RGB")
    if mode != "L":
        assert picture.getpixel((4, 4)) == pytest.approx(RED, abs=4)
        assert picture.getpixel((28, 4)) == pytest.approx(BLUE, abs=4)


def test_jpeg_2000_is_as_large_as_its_codestream_says() -> None:
    source = jp2()
    size = source.index(b"\xff\x4f\xff\x51") + 8
    with pytest.raises(ImageTooLarge):
        probe(source[:size] + struct.pack(">LL", 60_000, 60_000) + source[size + 8 :])
    smaller = source.replace(struct.pack(">LL", 48, 64), struct.pack(">LL", 8, 8), 1)  # the box that frames it
    with pytest.raises(ImageError, match="two sizes"):
        render(smaller, Transform.parse("w-5,f-png"))


@pytest.mark.parametrize("end", [20, 60, 90, 100])
def test_jpeg_2000_that_is_cut_short_is_an_image_error(end: int) -> None:
    with pytest.raises(ImageError):
        render(jp2()[:end], Transform.parse("w-5,f-png"))


@pytest.mark.usefixtures("pillow_heif")
@pytest.mark.parametrize(("name", "orientation"), [("plain", 1), ("turned", 6), ("alpha", 1)])
def test_heic_is_read_with_the_users_own_pillow_heif(make: Any, name: str, orientation: int) -> None:
    path = HEIC / f"{name}.heic"
    assert probe(path) == ImageInfo("heic", *SIZES[name], alpha=name == "alpha", orientation=orientation)
    result = render(path, Transform.parse("w-24,f-png"))
    picture = make.decode(result.data).convert("RGBA")
    assert (result.width, result.height) == (24, round(24 * SIZES[name][1] / SIZES[name][0]))
    assert picture.getpixel((4, 4)) == pytest.approx((*RED, 128 if name == "alpha" else 255), abs=12)


@pytest.mark.usefixtures("pillow_heif")
def test_heic_above_a_limit_is_refused_by_its_header() -> None:
    with pytest.raises(ImageTooLarge):
        probe(HEIC / "plain.heic", limits=Limits(input_pixels=64 * 48 - 1))


@pytest.mark.skipif(bool(find_spec("pillow_heif")), reason="pillow-heif is installed")
def test_heic_without_a_decoder_names_it() -> None:
    with pytest.raises(UnsupportedImage, match="pillow-heif"):
        probe(HEIC / "plain.heic")


@pytest.mark.usefixtures("pillow_heif")
def test_site_shows_heic_and_jpeg_2000_in_formats_of_browsers(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "a.heic").write_bytes((HEIC / "plain.heic").read_bytes())
    (site / "b.jp2").write_bytes(jp2())
    (site / "index.html").write_text('<img src="a.heic" alt=""><img src="b.jp2" alt="">')
    result = Images(Config(cache_dir=str(tmp_path / "cache"), formats=("webp",))).publish(site)
    assert (result.exit_code, result.problems) == (0, ())
    assert (site / "index.html").read_text().count('type="image/webp" srcset="assets/_s3img/') == 2
