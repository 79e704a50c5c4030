"""Still WebP is decoded by libwebp itself: Pillow's pixels where it is whole, nearly the same picture where it is small."""

from __future__ import annotations

import ctypes
import ctypes.util
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageStat, features

from s3img.errors import ImageError
from s3img.imaging import libwebp as seam
from s3img.imaging import probe, render
from s3img.imaging.decode import decode
from s3img.limits import Limits
from s3img.transform import Transform

has_library = pytest.mark.skipif(seam.libwebp() is None, reason="this Pillow has no shared libwebp")
EVERYTHING = (10**6, 10**6)


def photo(mode: str, size: tuple[int, int] = (301, 203)) -> Image.Image:
    """Return soft shapes with noise, transparent in places."""
    noise = Image.effect_noise(size, 60).filter(ImageFilter.GaussianBlur(1))
    ramp = Image.linear_gradient("L").resize(size)
    bands = (noise, ramp, ramp.transpose(Image.Transpose.ROTATE_180), Image.radial_gradient("L").resize(size))
    return Image.merge(mode, bands[: len(mode)])


def decoded(data: bytes, wanted: tuple[int, int] = EVERYTHING) -> Image.Image:
    return decode(BytesIO(data), probe(data), wanted, Limits()).image


@pytest.fixture
def fresh_seam() -> Any:
    seam.libwebp.cache_clear()
    yield
    seam.libwebp.cache_clear()


@has_library
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("options", [{"quality": 70}, {"lossless": True}, {"quality": 80, "exif": b"Exif\0\0"}])
def test_whole_webp_has_the_pixels_of_pillow(make: Any, mode: str, options: dict[str, Any]) -> None:
    data = make.encode(photo(mode), "webp", **options)
    assert seam.decode_still(data, mode, (301, 203), EVERYTHING) is not None
    assert decoded(data).tobytes() == make.decode(data).tobytes()


@has_library
def test_large_webp_is_decoded_at_twice_the_size_that_is_wanted(make: Any) -> None:
    data = make.encode(photo("RGB", (1200, 800)), "webp", quality=85)
    small = decoded(data, (150, 100))
    assert small.size == (300, 200)
    whole = make.decode(data).resize((150, 100), Image.Resampling.LANCZOS)
    difference = ImageChops.difference(small.resize((150, 100), Image.Resampling.LANCZOS), whole)
    assert max(ImageStat.Stat(difference).mean) < 1


@has_library
def test_webp_little_larger_than_wanted_is_decoded_whole(make: Any) -> None:
    data = make.encode(photo("RGB", (290, 200)), "webp")
    assert decoded(data, (100, 70)).size == (290, 200)


@pytest.mark.slow
@has_library
def test_webp_with_alpha_is_decoded_whole(make: Any) -> None:
    data = make.encode(photo("RGBA", (1200, 800)), "webp")
    assert decoded(data, (150, 100)).size == (1200, 800)


@has_library
def test_scaled_webp_is_cut_and_turned_as_the_whole_one(make: Any) -> None:
    picture = make.quadrants(1200, 800)
    data = make.encode(picture, "webp", exif=make.orientation_exif(6))
    turned = make.decode(render(data, Transform.parse("w-60,f-png")).data)
    assert turned.size == (60, 90)
    assert make.corners(turned) == make.corners(picture.transpose(Image.Transpose.ROTATE_270))
    cut = make.decode(render(data, Transform.parse("w-40,h-40,fo-top_left,f-png")).data)
    assert make.corners(cut)[0] == "blue"


def test_damaged_webp_is_an_error_of_pillow(make: Any) -> None:
    data = make.encode(photo("RGB"), "webp", quality=90)
    for length in (len(data) - 40, len(data) // 2):
        with pytest.raises(ImageError, match="WEBP can't be decoded"):
            render(data[:length], Transform.parse("w-90,f-png"))


@pytest.mark.usefixtures("fresh_seam")
def test_pillow_decodes_where_there_is_no_libwebp(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    monkeypatch.setattr(seam, "library_paths", list)
    data = make.encode(photo("RGB", (1200, 800)), "webp")
    assert seam.libwebp() is None
    assert decoded(data, (150, 100)).size == (1200, 800)


@pytest.mark.usefixtures("fresh_seam")
@pytest.mark.parametrize("name", ["c", "no-such-library"])
def test_another_library_is_not_trusted(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(seam, "library_paths", lambda: [ctypes.util.find_library(name) or name])
    assert seam.libwebp() is None


@has_library
@pytest.mark.usefixtures("fresh_seam")
def test_a_libwebp_of_another_version_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "version", lambda _: "1.3.1")
    assert seam.libwebp() is None


@has_library
@pytest.mark.usefixtures("fresh_seam")
def test_a_libwebp_that_makes_other_pixels_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    def inverted(library: ctypes.CDLL, *args: Any) -> Image.Image:
        image = decoded_by(library, *args)
        assert image is not None
        return ImageChops.invert(image)

    decoded_by = seam.decoded_by
    monkeypatch.setattr(seam, "decoded_by", inverted)
    assert seam.libwebp() is None
