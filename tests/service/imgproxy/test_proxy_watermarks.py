"""Watermarks of imgproxy's addresses: by URL and as text, several, sized, turned, with a shadow, as a chessboard."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from s3img.errors import ConfigError
from s3img.imaging.watermarks import text_of
from s3img.imgproxy.processing_options import encode_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transform_service import Served

RED, WHITE = (255, 0, 0), (255, 255, 255)


@pytest.fixture
def shown(serve: Callable[..., Served], folder: Path) -> Callable[[str], Image.Image]:
    """Ask for a white picture of 60 x 40 px under options; a red mark of 10 x 6 px lies beside it."""
    Image.new("RGB", (60, 40), "white").save(folder / "white.png")
    Image.new("RGB", (10, 6), "red").save(folder / "red.png")
    served = serve(imgproxy={"watermark": "local:///red.png"})

    def ask(options: str) -> Image.Image:
        answer = served.ask(f"/imgproxy/_/{options}/f:png/plain/local:///white.png")
        assert answer.status_code == 200, answer.data
        return Image.open(io.BytesIO(answer.data)).convert("RGB")

    return ask


def painted(picture: Image.Image) -> tuple[int, int, int, int] | None:
    """Return the box of what is not white."""
    return picture.convert("L").point([255] * 255 + [0]).getbbox()


BLUE = encode_text("local:///blue.png")


@pytest.mark.parametrize(
    ("options", "box"),
    [
        ("wm:1:nowe", (0, 0, 10, 6)),
        (f"wm:1:nowe/wmu:{BLUE}", (0, 0, 4, 4)),
        ("wm:1:nowe/wms:20", (0, 0, 20, 12)),
        ("wm:1:nowe/wms:0:12", (0, 0, 20, 12)),
        ("wm:1:nowe/wms:30:12", (0, 0, 20, 12)),
        ("wm:1:nowe:0:0:0.5/wms:10:6", (0, 0, 30, 18)),
        ("wm:1:nowe/wmr:90", (0, 0, 6, 10)),
        ("wm:1:nowe/wm_rot:-90", (0, 0, 6, 10)),
        ("wm:1:soea/wms:20/wmr:180", (40, 28, 60, 40)),
        (f"wm:1:nowe/-/wm:1:soea/wmu:{BLUE}", (0, 0, 60, 40)),
        (f"wmu:{BLUE}", None),
    ],
)
def test_watermark_has_its_picture_size_and_turn(
    shown: Callable[[str], Image.Image], folder: Path, options: str, box: tuple[int, int, int, int] | None
) -> None:
    Image.new("RGB", (4, 4), "blue").save(folder / "blue.png")
    assert painted(shown(options)) == box


def test_oblique_turn_keeps_all_of_the_mark(shown: Callable[[str], Image.Image]) -> None:
    left, top, right, bottom = painted(shown("wm:1:ce/wms:20/wmr:30")) or (0, 0, 0, 0)
    assert (right - left, bottom - top) in {(23, 20), (24, 21), (23, 21), (24, 20)}


def test_shadow_lies_around_the_mark_which_stays_where_it_is(shown: Callable[[str], Image.Image]) -> None:
    plain, shaded = shown("wm:1:ce"), shown("wm:1:ce/wmsh:2")
    left, top, right, bottom = painted(plain) or (0, 0, 0, 0)
    assert shaded.crop((left, top, right, bottom)).getcolors() == [(60, RED)]
    near, far = shaded.getpixel((left - 1, 20)), shaded.getpixel((left - 5, 20))
    assert near < far < WHITE  # type: ignore[operator] # three bands


def test_chessboard_leaves_out_every_other_tile(shown: Callable[[str], Image.Image]) -> None:
    tiled, chess = shown("wm:1:re"), shown("wm:1:ch")
    assert tiled.getcolors() == [(2400, RED)]
    counts = {color: count for count, color in chess.getcolors() or ()}
    assert abs(counts[RED] - counts[WHITE]) <= 240
    for x, y in ((5, 3), (25, 15), (35, 27)):
        assert chess.getpixel((x, y)) != chess.getpixel((x + 10, y))
        assert chess.getpixel((x, y)) == chess.getpixel((x + 10, y + 6))


def test_text_is_drawn_in_place_of_a_picture(shown: Callable[[str], Image.Image]) -> None:
    plain = shown(f"wm:1:ce/wmt:{encode_text('Ada')}")
    assert min(plain.getpixel((x, y)) for x in range(60) for y in range(40)) < (60, 60, 60)  # type: ignore[type-var]
    markup = encode_text('<span color="#f00" size="30pt">Ad</span>')
    big = shown(f"wm:1:ce/wmt:{markup}")
    box, larger = painted(plain), painted(big)
    assert box
    assert larger
    assert larger[3] - larger[1] > 1.5 * (box[3] - box[1])
    assert RED in {color for _, color in big.getcolors(2400) or ()}


def test_markup_of_one_style_is_read() -> None:
    found = text_of('<span foreground="#08f" size="20480"><b>a &amp; b</b></span>')
    assert (found.text, found.size, found.bold, found.italic, str(found.color)) == ("a & b", 20, True, False, "0088FF")
    assert text_of("a < b & c").text == "a < b & c"
    assert text_of('<!DOCTYPE x [<!ENTITY e "e">]>&e;').text.startswith("<!DOCTYPE")


@pytest.mark.parametrize(
    ("options", "status", "word"),
    [
        ("wm:1/wmt:A", 400, "wmt"),
        ("wm:1/wmu:%3F", 400, "wmu"),
        (f"wm:1/wmt:{encode_text('x' * 501)}", 400, "wmt"),
        (f"wm:1/wmt:{encode_text('<b>a</b><i>b</i>')}", 400, "watermark_text"),
        (f"wm:1/wmt:{encode_text('<u>a</u>')}", 400, "watermark_text"),
        ("wm:1/wmt:" + encode_text('<b color="no">a</b>'), 400, "watermark_text"),
        ("wm:1/wmt:" + encode_text('<b size="large">a</b>'), 400, "watermark_text"),
        (f"wm:1/wmu:{encode_text('https://example.com/a.png')}", 404, "watermark_url"),
        (f"wm:1/wmu:{encode_text('local:///none.png')}", 404, "none.png"),
        (f"wm:1/wmu:{encode_text('file:///etc/passwd')}", 404, "watermark_url"),
        (f"wm:1/wmu:{encode_text('data:;base64,AAAA')}", 404, "watermark_url"),
        (f"wm:1/wmu:{encode_text('local:///broken.jpg')}", 422, ""),
        ("wm:1:ce:0:0:1000", 413, "output"),
        ("wm:1/wms:100000:100000", 413, "output"),
        ("wmsh:101", 400, "wmsh"),
        ("wmr:x", 400, "wmr"),
        ("wms:1:2:3", 400, "wms"),
        (
            "/-/".join("wm:1/wmu:" + encode_text(f"local:///{number}.png") for number in range(9)),
            400,
            "watermark_url",
        ),
    ],
    ids=range(18),
)
def test_watermark_that_can_not_be_laid_is_refused(
    serve: Callable[..., Served], options: str, status: int, word: str
) -> None:
    answer = serve(imgproxy={"watermark": "local:///dot.png"}).ask(f"/imgproxy/_/{options}/plain/local:///cat.jpg")
    assert answer.status_code == status
    assert word in answer.text


def test_watermark_of_the_settings_may_be_data_or_a_file(
    serve: Callable[..., Served], tmp_path: Path, folder: Path
) -> None:
    Image.new("RGB", (60, 40), "white").save(folder / "white.png")
    file = tmp_path / "mark of ours.png"
    Image.new("RGB", (10, 6), "red").save(file)
    data = f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"
    for source in (data, file.as_uri()):
        served = serve(imgproxy={"watermark": source})
        answer = served.ask("/imgproxy/_/wm:1:nowe/f:png/plain/local:///white.png")
        assert painted(Image.open(io.BytesIO(answer.data)).convert("RGB")) == (0, 0, 10, 6)
    for source, word in (("data:;base64,%%%", "base64"), ("file:///nowhere/mark.png", "can't be read")):
        with pytest.raises(ConfigError, match=word):
            serve(imgproxy={"watermark": source})
