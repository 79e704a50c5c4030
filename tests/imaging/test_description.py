from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from s3img.errors import ImageError, UnsupportedImage
from s3img.imaging import describe
from s3img.imaging.description import thumbhash


def pixels(width: int, height: int, *, alpha: bool) -> bytes:
    places = [(x, y) for y in range(height) for x in range(width)]
    opacity = [255 - (x * y * 13) % 200 if alpha else 255 for x, y in places]
    return bytes(
        value
        for (x, y), a in zip(places, opacity, strict=True)
        for value in ((x * 37 + y * 11) % 256, (x * x * 9 + 40) % 256, (y * 53 + x * 7) % 256, a)
    )


def saved(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, **{"format": "PNG", **options})
    return out.getvalue()


@pytest.mark.parametrize(
    ("width", "height", "alpha", "expected"),
    [
        (8, 6, False, "db170a4d902097576479878177a87866547b9f7066"),
        (6, 8, True, "d8478a34081b405a8637786629a4f6b054f6bbf757b6766a09"),
        (1, 1, False, "83b8092f1408f708888788708f7088f80888808008f7870f"),
        (9, 4, True, "18088a428c1c1067718677268f996078bd876f756a8877"),
    ],
)
def test_thumbhash_is_that_of_another_implementation(width: int, height: int, *, alpha: bool, expected: str) -> None:
    assert thumbhash(width, height, pixels(width, height, alpha=alpha)).hex() == expected  # thumbhash-python 1.0.1


def test_description_has_size_format_and_looks() -> None:
    said = describe(saved(Image.new("RGBA", (60, 40), (51, 102, 153, 200))))
    assert (said["format"], said["width"], said["height"], said["alpha"]) == ("png", 60, 40, True)
    assert (said["dominant"], said["exif"]) == ("#336699", {})
    assert len(base64.b64decode(said["thumbhash"])) > 5


def test_commonest_colour_is_dominant() -> None:
    image = Image.new("RGB", (100, 100), "#202020")
    image.paste("#cc2222", (0, 0, 100, 70))
    assert describe(saved(image))["dominant"] == "#cc2222"


def test_transparent_picture_has_a_colour() -> None:
    assert describe(saved(Image.new("RGBA", (9, 9), (255, 0, 0, 0))))["dominant"] == "#000000"


def test_exif_is_words_and_numbers_without_place() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x8298] = "Maker\nof\0 cameras", "Somebody"
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
    exif.get_ifd(0x8769).update({0x829A: (1, 250), 0x9003: "2026:01:02 03:04:05", 0xA431: "serial", 0x927C: b"notes"})
    said = describe(saved(Image.new("RGB", (9, 9)), format="JPEG", exif=exif))["exif"]
    assert said["Make"] == "Maker of cameras"
    assert (said["Copyright"], said["DateTimeOriginal"]) == ("Somebody", "2026:01:02 03:04:05")
    assert set(said) <= {"Make", "Copyright", "DateTimeOriginal", "ExposureTime"}


def test_svg_is_described_by_its_header() -> None:
    said = describe(b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="3"/>')
    assert (said["format"], said["width"], said["height"], "dominant" in said) == ("svg", 4, 3, False)


@pytest.mark.parametrize(("data", "error"), [(b"text", UnsupportedImage), (b"\x89PNG\r\n\x1a\n", ImageError)])
def test_what_is_no_image_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        describe(data)
