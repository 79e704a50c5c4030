"""What a transform does to a picture, and what is written."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import pytest
from PIL import Image
from PIL.JpegImagePlugin import get_sampling
from sites import photo

from s3img import Config, Images
from s3img.errors import UnsupportedImage
from s3img.imaging import Rendered, probe, render
from s3img.transform import Transform

SIZES = [
    "w-40",
    "h-20",
    "w-40,h-40",
    "w-40,h-40,c-force",
    "w-40,h-40,c-at_max",
    "w-40,h-40,cm-pad_resize",
    "w-0.5",
    "ar-1-1,w-30",
    "w-iw_div_3",
    "w-40,h-40,fo-top_left",
    "cm-extract,w-20,h-10,fo-right",
    "w-300,h-400,cm-pad_extract",
    "rt-90",
    "rt-30,w-50",
    "b-3_FF0000",
    "w-50:rt-45:w-20,h-20",
    "dpr-2,w-30",
    "r-max,w-33",
    "fl-h_v,w-10",
    "w-41,h-23,c-at_least",
]


def run(source: bytes, text: str, **settings: Any) -> Rendered:
    return render(source, Transform.parse(text), **settings)


def picture(make: Any, source: bytes, text: str) -> Image.Image:
    return make.decode(run(source, f"{text},f-png").data).convert("RGBA")


@pytest.fixture(scope="module")
def jpeg(make: Any) -> bytes:
    return make.encode(make.quadrants(128, 96), "jpeg", quality=95, subsampling=0)


@pytest.fixture(scope="module")
def png(make: Any) -> bytes:
    return make.encode(make.quadrants(128, 96), "png")


@pytest.mark.parametrize("text", SIZES)
@pytest.mark.parametrize("orientation", [1, 6])
def test_render_has_the_size_that_geometry_says(make: Any, text: str, orientation: int) -> None:
    source = make.encode(make.quadrants(128, 96), "jpeg", exif=make.orientation_exif(orientation))
    transform = Transform.parse(text)
    info, result = probe(source), render(source, transform)
    assert (result.width, result.height) == transform.output_size((info.width, info.height))
    assert (probe(result.data).width, probe(result.data).height) == (result.width, result.height)


@pytest.mark.parametrize("profile", ["build", "request"])
@pytest.mark.parametrize(("focus", "corner"), [("top_left", "red"), ("top_right", "lime"), ("bottom_left", "blue")])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_is_placed_in_the_upright_picture(
    make: Any, profile: Any, focus: str, corner: str, orientation: int
) -> None:
    turn = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    upright = make.quadrants(256, 192)
    stored = upright if turn is None else upright.transpose(Image.Transpose(turn))
    source = make.encode(stored, "jpeg", exif=make.orientation_exif(orientation), quality=95, subsampling=0)
    cut = run(source, f"cm-extract,w-100,h-80,fo-{focus}:w-20,f-png", profile=profile)
    assert set(make.corners(make.decode(cut.data))) == {corner}


def test_a_draft_decode_puts_a_crop_where_a_full_decode_does(make: Any) -> None:
    ramp = Image.linear_gradient("L").resize((1601, 1203)).convert("RGB")
    small = picture(make, make.encode(ramp, "jpeg", quality=95), "w-61,h-97,fo-bottom")
    exact = picture(make, make.encode(ramp, "png"), "w-61,h-97,fo-bottom")
    assert all(abs(small.getpixel((30, y))[0] - exact.getpixel((30, y))[0]) <= 2 for y in range(97))


def test_padding_is_black_or_the_background(make: Any, png: bytes) -> None:
    assert picture(make, png, "w-50,h-100,cm-pad_resize").getpixel((25, 3)) == (0, 0, 0, 255)
    assert picture(make, png, "w-50,h-100,cm-pad_resize,bg-0000FF").getpixel((25, 3)) == (0, 0, 255, 255)
    assert picture(make, png, "w-50,h-100,cm-pad_resize,bg-0000FF50").getpixel((25, 3))[3] == 128


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fl-h", ("lime", "red", "blue", "white")),
        ("fl-v", ("blue", "white", "lime", "red")),
        ("fl-h_v", ("white", "blue", "red", "lime")),
        ("rt-90", ("blue", "red", "lime", "white")),
        ("rt-180", ("white", "blue", "red", "lime")),
        ("rt-N90", ("lime", "white", "blue", "red")),
    ],
)
def test_turns_and_mirrors_move_the_quarters(make: Any, jpeg: bytes, text: str, expected: tuple[str, ...]) -> None:
    assert make.corners(picture(make, jpeg, text)) == expected


def test_a_turn_by_any_angle_has_transparent_corners_and_smooth_edges(make: Any, png: bytes) -> None:
    result = picture(make, png, "rt-30")
    assert [result.getpixel(at)[3] for at in ((0, 0), (result.width - 1, 0), (0, result.height - 1))] == [0, 0, 0]
    assert len(set(result.getchannel("A").tobytes())) > 20


def test_a_turn_is_clockwise(make: Any, png: bytes) -> None:
    result = picture(make, png, "rt-10")
    top = [result.getpixel((x, 20))[:3] for x in (40, 100)]
    assert top[0][0] > 200 > top[0][1]
    assert top[1][1] > 200 > top[1][0]


def test_max_radius_cuts_a_circle(make: Any, png: bytes) -> None:
    alpha = picture(make, png, "w-80,h-80,r-max").getchannel("A")
    assert (alpha.getpixel((0, 0)), alpha.getpixel((11, 11)), alpha.getpixel((40, 0)), alpha.getpixel((12, 12))) == (
        0, alpha.getpixel((68, 68)), 255, 255,
    )  # fmt: skip
    assert abs(sum(alpha.tobytes()) / 255 - 3.14159 * 40 * 40) < 10


def test_each_corner_has_its_radius(make: Any, png: bytes) -> None:
    alpha = picture(make, png, "r-30_0_10_0").getchannel("A")
    right, bottom = alpha.width - 1, alpha.height - 1
    assert [alpha.getpixel(at) for at in ((0, 0), (right, 0), (right, bottom), (0, bottom))] == [0, 255, 0, 255]
    assert (alpha.getpixel((7, 7)), alpha.getpixel((right - 7, bottom - 7))) == (0, 255)


def test_a_border_goes_around(make: Any, png: bytes) -> None:
    result = picture(make, png, "b-4_112233")
    assert result.size == (136, 104)
    assert [result.getpixel(at) for at in ((3, 50), (132, 50))] == [(0x11, 0x22, 0x33, 255)] * 2
    assert result.getpixel((4, 4)) == (255, 0, 0, 255)


def test_opacity_multiplies_alpha(make: Any, png: bytes) -> None:
    assert picture(make, png, "o-40").getpixel((10, 10)) == (255, 0, 0, 102)


def test_grayscale_takes_the_colour_out(make: Any, png: bytes) -> None:
    assert picture(make, png, "e-grayscale").getpixel((10, 10))[:3] == (76, 76, 76)


def test_contrast_stretches_to_the_full_range(make: Any) -> None:
    flat = Image.linear_gradient("L").point(lambda value: 100 + value // 8)
    low, high = picture(make, make.encode(flat, "png"), "e-contrast").convert("L").getextrema()
    assert (low, high) == (0, 255)


def test_blur_keeps_transparent_colours_out(make: Any) -> None:
    image = Image.new("RGBA", (60, 60), (0, 255, 0, 0))
    image.paste((255, 0, 0, 255), (20, 20, 40, 40))
    pixel = picture(make, make.encode(image, "png"), "bl-5").getpixel((18, 30))
    assert (pixel[0] > 250, pixel[1] < 5, 0 < pixel[3] < 255) == (True, True, True)


def test_sharpen_makes_edges_steeper_without_halos(make: Any) -> None:
    edge = Image.new("L", (64, 64), 60)
    edge.paste(190, (32, 0, 64, 64))
    source = make.encode(edge.resize((60, 60), Image.Resampling.BICUBIC).filter(_soft()), "png")
    before = [make.decode(source).convert("L").getpixel((x, 30)) for x in range(60)]
    after = [picture(make, source, "e-sharpen").convert("L").getpixel((x, 30)) for x in range(60)]
    assert max(b - a for a, b in pairwise(after)) > max(b - a for a, b in pairwise(before))
    assert (min(before), max(before)) == (min(after), max(after))


def _soft() -> Any:
    from PIL import ImageFilter

    return ImageFilter.GaussianBlur(1)


def test_usm_sharpens(make: Any) -> None:
    soft = make.quadrants(64, 64).filter(_soft())
    source = make.encode(soft, "png")
    assert picture(make, source, "e-usm-2-2-0.8-0.024").tobytes() != soft.convert("RGBA").tobytes()


def test_trim_cuts_uniform_edges(make: Any) -> None:
    image = Image.new("RGB", (100, 80), (250, 250, 250))
    image.paste("red", (20, 10, 70, 60))
    source = make.encode(image, "png")
    assert picture(make, source, "t-true").size == (50, 50)
    assert picture(make, make.encode(Image.new("RGB", (9, 8), "red"), "png"), "t-true").size == (9, 8)


def test_trim_holds_for_all_frames_of_an_animation(make: Any) -> None:
    source = make.animate(make.moving(3), "webp", duration=[50, 60, 70], lossless=True)
    result = run(source, "t-true,f-webp")
    assert (result.width, result.height, probe(result.data).frames) == (10, 16, 3)


@pytest.mark.parametrize(
    ("source", "accept", "expected"),
    [
        ("jpeg", None, "jpeg"),
        ("jpeg", (), "jpeg"),
        ("jpeg", ("image/webp",), "webp"),
        ("jpeg", ("image/webp", "image/avif"), "avif"),
        ("png", (), "png"),
        ("webp", None, "webp"),
        ("webp", (), "jpeg"),
        ("tiff", None, "jpeg"),
        ("bmp", (), "jpeg"),
        ("gif", (), "gif"),
    ],
)
def test_auto_format_follows_what_is_accepted(make: Any, source: str, accept: Any, expected: str) -> None:
    picture = make.decode(photo(640, 480, seed=4))
    result = run(make.encode(picture, source), "w-300", accept=accept)
    assert result.media_type == f"image/{expected}" == probe(result.data).media_type


def test_auto_format_keeps_transparency(make: Any, jpeg: bytes) -> None:
    assert run(jpeg, "w-40,h-40,r-max").media_type == "image/png"
    assert run(make.encode(make.moving(1)[0], "webp"), "w-20", accept=()).media_type == "image/png"


def test_auto_format_keeps_an_animation(make: Any) -> None:
    source = make.animate(make.moving(3), "webp", duration=50)
    both = run(source, "w-20", accept=("image/avif", "image/webp"))
    none = run(source, "w-20", accept=())
    assert none.media_type == "image/gif"
    assert len(both.data) <= len(none.data)
    assert probe(both.data).frames == probe(none.data).frames == 3


def test_original_returns_the_bytes(jpeg: bytes) -> None:
    assert run(jpeg, "orig-true,w-5").data == jpeg


def test_svg_is_never_rendered() -> None:
    with pytest.raises(UnsupportedImage):
        run(b"<svg width='4' height='4'/>", "w-2")


def test_lossless_webp_keeps_every_pixel(make: Any, png: bytes) -> None:
    result = run(png, "f-webp,lo-true")
    assert make.decode(result.data).convert("RGB").tobytes() == make.quadrants(128, 96).tobytes()


@pytest.mark.parametrize("profile", ["build", "request"])
def test_jpeg_is_progressive_on_request(jpeg: bytes, profile: Any) -> None:
    sof2 = b"\xff\xc2"
    assert sof2 in run(jpeg, "w-50,pr-true", profile=profile).data
    assert sof2 not in run(jpeg, "w-50", profile=profile).data


def test_density_is_written(make: Any, png: bytes) -> None:
    assert make.decode(run(png, "w-50,dn-150,f-jpg").data).info["dpi"] == (150, 150)


def test_quality_of_the_transform_comes_before_the_configured_one(make: Any) -> None:
    source = make.encode(Image.effect_noise((128, 128), 60), "png")
    sizes = [
        len(run(source, text, quality={"jpeg": quality}).data)
        for text, quality in [("f-jpg,q-20", 90), ("f-jpg", 20), ("f-jpg", 90)]
    ]
    assert sizes[0] == sizes[1] < sizes[2]


def test_png_keeps_a_palette_where_it_loses_nothing(make: Any, png: bytes) -> None:
    assert make.decode(run(png, "fl-h").data).mode == "P"
    assert make.corners(make.decode(run(png, "fl-h").data)) == ("lime", "red", "blue", "white")


@pytest.mark.parametrize(("transform", "sampling"), [("f-jpg", 0), ("f-jpg,cs-420", 2), ("q-70", 0)])
def test_images_render_with_the_subsampling_of_the_settings(make: Any, transform: str, sampling: int) -> None:
    source = make.encode(make.quadrants(64, 48), "jpeg", quality=95, subsampling=2)
    rendered = Images(Config(subsampling="4:4:4")).render(source, transform)
    assert get_sampling(Image.open(io.BytesIO(rendered.data))) == sampling
