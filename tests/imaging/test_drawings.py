"""Graphics are not photographs: text, charts and logos keep their colours, and photographs cost no more than before."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageDraw
from sites import photo

from s3img import Config, Images
from s3img.imaging import Rendered, RenderTarget, render, render_variants
from s3img.imaging import encode as encoding_module
from s3img.imaging.encode import PHOTOGRAPH, Encoding, chroma_loss, encode, photograph_options
from s3img.transform import Transform

if TYPE_CHECKING:
    from pathlib import Path

COLOURS = [(215, 0, 40), (0, 80, 220), (0, 140, 40), (150, 0, 200), (200, 90, 0)]


def screenshot() -> Image.Image:
    image = Image.new("RGB", (300, 175), (252, 252, 250))
    draw = ImageDraw.Draw(image)
    for row in range(9):
        for word in range(4):
            text = ["def", "return", "width", "import"][(row + 3 * word) % 4]
            draw.text((10 + 70 * word, 8 + 17 * row), text, fill=COLOURS[(row + word) % 5])
    return image


def chart() -> Image.Image:
    image = Image.new("RGB", (800, 500), "white")
    draw = ImageDraw.Draw(image)
    for line, colour in enumerate(COLOURS):
        draw.line([(16 * n, 250 + 45 * line - 7 * (n * (line + 2)) % 200) for n in range(50)], fill=colour, width=5)
    return image.resize((400, 250), Image.Resampling.LANCZOS)


def saturation(image: Image.Image, where: list[int]) -> float:
    data = image.convert("RGB").tobytes()
    return sum(max(data[3 * at : 3 * at + 3]) - min(data[3 * at : 3 * at + 3]) for at in where) / len(where)


def coloured(image: Image.Image) -> list[int]:
    data = image.convert("RGB").tobytes()
    return [n for n in range(len(data) // 3) if max(data[3 * n : 3 * n + 3]) - min(data[3 * n : 3 * n + 3]) > 100]


@pytest.mark.parametrize("source", ["png", "gif", "bmp"])
@pytest.mark.parametrize("name", ["avif", "webp", "jpeg"])
@pytest.mark.parametrize("draw", [screenshot, chart])
def test_drawing_keeps_its_colours(make: Any, draw: Any, name: str, source: str) -> None:
    image = make.decode(make.encode(draw(), source)).convert("RGB")
    (variant,) = render_variants(make.encode(image, source), [RenderTarget(*image.size, name)])
    assert isinstance(variant, Rendered)
    where = coloured(image)
    assert saturation(make.decode(variant.data), where) > 0.9 * saturation(image, where)


@pytest.mark.parametrize("name", ["avif", "webp"])
def test_photograph_of_a_jpeg_has_halved_chroma(make: Any, name: str) -> None:
    image = make.decode(photo(320, 240, seed=2))
    (variant,) = render_variants(make.encode(image, "jpeg"), [RenderTarget(320, 240, name)])
    assert isinstance(variant, Rendered)
    assert variant.data == encode(make.decode(make.encode(image, "jpeg")), Encoding(name))


def test_photograph_of_a_png_stays_lossy_as_webp(make: Any) -> None:
    image = make.decode(photo(320, 240, seed=2))
    assert encode(image, Encoding("webp", lossless_source=True)) == encode(image, Encoding("webp"))


def test_flat_drawing_is_lossless_as_webp(make: Any) -> None:
    image = screenshot()
    data = encode(image, Encoding("webp", lossless_source=True))
    assert len(data) < len(encode(image, Encoding("webp")))
    assert make.decode(data).convert("RGB").tobytes() == image.tobytes()


def test_subsampling_can_be_chosen(make: Any) -> None:
    image = screenshot()
    halved = encode(image, Encoding("avif", lossless_source=True, subsampling="4:2:0"))
    full = encode(image, Encoding("avif", subsampling="4:4:4"))
    where = coloured(image)
    assert saturation(make.decode(halved), where) < 0.9 * saturation(image, where)
    assert saturation(make.decode(full), where) > 0.9 * saturation(image, where)


@pytest.mark.parametrize(("picture", "is_drawing"), [("screenshot", True), ("chart", True), ("photo", False)])
def test_loss_of_chroma_tells_drawings_from_photographs(make: Any, picture: str, *, is_drawing: bool) -> None:
    image = {"screenshot": screenshot, "chart": chart, "photo": lambda: make.decode(photo(640, 480, seed=2))}[picture]()
    assert (chroma_loss(image) > 0.12) is is_drawing


def test_grey_has_no_chroma_to_lose() -> None:
    assert chroma_loss(Image.linear_gradient("L")) == 0


def test_setting_of_subsampling_reaches_the_variants_of_a_site(make: Any, tmp_path: Path) -> None:
    source = make.encode(screenshot(), "jpeg", quality=95, subsampling=0)
    site = tmp_path / "site"
    site.mkdir()
    (site / "a.jpg").write_bytes(source)
    colours = {}
    for subsampling in ("auto", "4:4:4"):
        (site / "index.html").write_text('<img src="a.jpg" alt="">')
        config = Config(cache_dir=str(tmp_path / "cache"), formats=("avif",), widths=(300,), subsampling=subsampling)
        assert Images(config).publish(site).exit_code == 0
        name = re.findall(r"assets/_s3img/[^ ]+\.avif", (site / "index.html").read_text())[0]
        colours[subsampling] = saturation(make.decode((site / name).read_bytes()), coloured(screenshot()))
    assert colours["auto"] < 0.9 * colours["4:4:4"]


def test_transform_says_what_colour_keeps(make: Any) -> None:
    source = make.encode(screenshot(), "png")
    half, full = (make.decode(render(source, Transform.parse(f"f-jpg,cs-{cs}")).data) for cs in ("420", "444"))
    assert saturation(half, coloured(screenshot())) < 0.9 * saturation(full, coloured(screenshot()))


def avif(image: Image.Image, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "AVIF", quality=67, max_threads=1, **settings)
    return buffer.getvalue()


def test_avif_of_photographs_is_not_searched_for_flat_colours() -> None:
    image = chart().resize((160, 100))
    assert encode(image, Encoding("avif")) == avif(image, speed=6, subsampling="4:2:0", advanced=PHOTOGRAPH)
    drawn = encode(image, Encoding("avif", lossless_source=True))
    assert drawn == avif(image, speed=6, subsampling="4:4:4")
    assert drawn != avif(image, speed=6, subsampling="4:4:4", advanced=PHOTOGRAPH)
    assert encode(image, Encoding("avif", profile="request")) == avif(image, speed=9, subsampling="4:2:0")


def test_encoder_that_does_not_know_the_options_is_given_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding_module, "PHOTOGRAPH", {"no-such-option": "1"})
    photograph_options.cache_clear()
    try:
        image = chart().resize((160, 100))
        assert encode(image, Encoding("avif")) == avif(image, speed=6, subsampling="4:2:0")
    finally:
        photograph_options.cache_clear()
