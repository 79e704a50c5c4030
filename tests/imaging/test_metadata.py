"""Nothing of a photographer's metadata leaves, unless it is asked for; position never does."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageChops, PngImagePlugin

from s3img.imaging import render
from s3img.transform import Transform

SECRET = b"Secret Camera"
FORMATS = ["jpeg", "png", "webp", "avif", "gif"]


@pytest.fixture(scope="module")
def exif() -> bytes:
    exif = Image.Exif()
    exif[0x0110] = SECRET.decode()
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0), 29: "2026:01:01"}
    return exif.tobytes()


def source(make: Any, name: str, exif: bytes) -> bytes:
    picture = make.quadrants(64, 48)
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    extra: dict[str, Any] = {
        "png": {"pnginfo": text},
        "gif": {"comment": SECRET},
        "jpeg": {"comment": SECRET, "quality": 30},
    }
    return make.encode(picture, name, exif=exif, **extra.get(name, {"quality": 20}))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", ["w-32,f-orig", "f-orig", "f-webp", "f-avif", "f-png", "f-jpg"])
def test_metadata_is_dropped(make: Any, exif: bytes, name: str, text: str) -> None:
    data = source(make, name, exif)
    assert SECRET in data
    result = render(data, Transform.parse(text)).data
    assert SECRET not in result
    assert b"2026:01:01" not in result


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "avif"])
def test_metadata_true_keeps_all_but_position(make: Any, exif: bytes, name: str) -> None:
    result = render(source(make, name, exif), Transform.parse("w-32,md-true")).data
    assert SECRET in result
    kept = make.decode(result).getexif()
    assert 0x8825 not in kept
    assert b"2026:01:01" not in result


def test_metadata_true_does_not_keep_the_orientation(make: Any) -> None:
    data = make.encode(make.quadrants(64, 48), "jpeg", exif=make.orientation_exif(6))
    result = make.decode(render(data, Transform.parse("md-true")).data)
    assert result.size == (48, 64)
    assert 0x0112 not in result.getexif()


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif", "avif"])
def test_an_unchanged_picture_is_never_larger_than_its_source(make: Any, name: str) -> None:
    noise = Image.effect_noise((96, 96), 120).convert("RGB")
    settings = {} if name in {"png", "gif"} else {"quality": 10}
    data = make.encode(noise, name, **settings)
    result = render(data, Transform.parse("q-95,f-orig"), profile="request")
    assert len(result.data) <= len(data)
    difference = ImageChops.difference(make.decode(result.data).convert("RGB"), make.decode(data).convert("RGB"))
    assert difference.getbbox() is None


def test_the_stripped_source_keeps_its_profile(make: Any) -> None:
    noise = Image.effect_noise((96, 96), 120).convert("RGB")
    data = make.encode(noise, "jpeg", quality=10, icc_profile=make.adobe_rgb, exif=make.orientation_exif(1))
    result = render(data, Transform.parse("q-95"))
    assert make.decode(result.data).info["icc_profile"] == make.adobe_rgb
    assert b"Exif" not in result.data


def test_a_second_picture_behind_the_first_is_dropped(make: Any, exif: bytes) -> None:
    data = make.animate([make.quadrants(), make.quadrants()], "mpo", quality=10, exif=exif)
    result = render(data, Transform.parse("q-95")).data
    assert result.count(b"\xff\xd8\xff") == 1
    assert SECRET not in result


def test_a_progressive_source_is_stripped_scan_by_scan(make: Any) -> None:
    noise = Image.effect_noise((96, 96), 120).convert("RGB")
    data = make.encode(noise, "jpeg", quality=10, progressive=True, comment=SECRET)
    result = render(data, Transform.parse("q-95"))
    assert len(result.data) == len(data) - len(SECRET) - 4 - 0
    assert make.decode(result.data).tobytes() == make.decode(data).tobytes()


@pytest.mark.parametrize("name", ["gif", "webp", "png"])
def test_an_unchanged_animation_keeps_frames_and_timing(make: Any, name: str) -> None:
    data = make.animate(make.moving(3), name, duration=[50, 70, 90], loop=2)
    result = make.decode(render(data, Transform.parse("f-orig")).data)
    assert (result.n_frames, result.info["loop"]) == (3, 2)


@pytest.mark.parametrize(
    ("stated", "wanted", "written"),
    [(150, "idn_mul_2", 300), (None, "idn_mul_2", 144), (150, "idn_mul_99", 1200), (150, "40", 40), (0.001, "idn", 72)],
)
def test_density_is_a_number_or_an_expression_of_the_sources(
    make: Any, stated: float | None, wanted: str, written: int
) -> None:
    out = BytesIO()
    make.quadrants(64, 48).convert("RGB").save(out, "PNG", **({"dpi": (stated, stated)} if stated else {}))
    result = Image.open(BytesIO(render(out.getvalue(), Transform.parse(f"dn-{wanted},f-png")).data))
    assert round(result.info["dpi"][0]) == written
