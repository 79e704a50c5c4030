"""Filters of imgproxy's options: sharpening, unsharp masking, blur of a part."""

from __future__ import annotations

import pytest
from PIL import Image, ImageStat

from s3img.imaging import filters
from s3img.imgproxy.processing_options import BlurRamp, UnsharpMask


def edge() -> Image.Image:
    picture = Image.new("RGB", (40, 20), (80, 90, 100))
    picture.paste((160, 170, 180), (20, 0, 40, 20))
    return picture


def spread(picture: Image.Image, box: tuple[int, int, int, int]) -> float:
    return ImageStat.Stat(picture.convert("L").crop(box)).stddev[0]


@pytest.mark.parametrize(
    ("difference", "gain"),
    [(0, 0), (5, 0), (-5, 0), (2.55 * 3, 2.55 * 3), (-2.55 * 3, -2.55 * 3), (100, 25.5), (-100, -51)],
)
def test_sharpened_level_is_that_of_libvips_defaults(difference: float, gain: float) -> None:
    assert filters.sharpened_level(difference) == pytest.approx(gain)


def test_sharpening_makes_an_edge_steeper_and_leaves_even_px() -> None:
    sharp = filters.sharpen_by_sigma(edge(), 1.0)
    light, dark = sharp.getpixel((20, 10)), sharp.getpixel((19, 10))
    assert light > (170, 180, 190)  # type: ignore[operator] # three bands
    assert dark < (60, 70, 80)  # type: ignore[operator] # three bands
    assert spread(sharp, (0, 0, 12, 20)) == 0


def test_unsharp_masking_subtracts_the_neighbours() -> None:
    found = filters.mask_sharply(edge().convert("L"), UnsharpMask("always", 1.0, 24.0)).getpixel((20, 10))
    light, dark = edge().convert("L").getpixel((20, 10)), edge().convert("L").getpixel((19, 10))
    assert found == round((32 * light - 5 * light - 3 * dark) / 24)  # type: ignore[operator] # one band


def test_blur_keeps_to_its_boxes() -> None:
    picture = filters.blur_boxes(edge(), [(10, -5, 30, 10), (100, 100, 120, 120)], 3.0)
    assert picture.crop((0, 10, 40, 20)).tobytes() == edge().crop((0, 10, 40, 20)).tobytes()
    assert spread(picture, (19, 0, 21, 10)) < spread(edge(), (19, 0, 21, 10)) / 2


@pytest.mark.parametrize(("angle", "sharp", "soft"), [(0, 0, 19), (180, 19, 0)])
def test_progressive_blur_grows_along_its_line(angle: float, sharp: int, soft: int) -> None:
    picture = filters.blur_along(edge(), BlurRamp(4.0, angle))
    contrasts = [spread(picture, (18, row, 22, row + 1)) for row in (sharp, soft)]
    assert contrasts[0] > 3 * contrasts[1]
    assert contrasts[0] == pytest.approx(spread(edge(), (18, 0, 22, 1)), rel=0.1)


def test_transparency_stays_when_colours_are_sharpened() -> None:
    picture = edge().convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    for changed in (filters.sharpen_by_sigma(picture, 1.0), filters.mask_sharply(picture, UnsharpMask("always"))):
        assert changed.getchannel("A").tobytes() == picture.getchannel("A").tobytes()
