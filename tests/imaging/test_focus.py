"""``fo-custom`` and ``fo-face``: a box that the owner names, and what an installed detector finds."""

from __future__ import annotations

import io
import sys
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw

from s3img.errors import ImageError
from s3img.imaging import render
from s3img.imaging.detectors import load_detector
from s3img.transform import Transform
from s3img.transform.steps import FocusBox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HALF = Fraction(1, 2)


def scene() -> bytes:
    """Return a picture of 600x200 px: a red square at the left, a green one at the right, between them checks."""
    image = Image.new("RGB", (600, 200), "gray")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 60, 79, 139), fill=(255, 0, 0))
    draw.rectangle((520, 60, 599, 139), fill=(0, 255, 0))
    for x in range(260, 340, 10):
        draw.rectangle((x, 60, x + 4, 140), fill="white")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


SCENE = scene()


def kept(transform: str) -> set[str]:
    """Return which of the three things a crop keeps."""
    picture = Image.open(io.BytesIO(render(SCENE, Transform.parse(f"{transform},f-png")).data)).convert("RGB")
    colors = {color for _, color in picture.getcolors(1 << 20) or ()}
    names = {(255, 0, 0): "red", (0, 255, 0): "green", (255, 255, 255): "checks"}
    return {names[color] for color in colors if color in names}


@pytest.fixture
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a package with a detector that finds the green square, which tests may write anew."""
    module = tmp_path / "face_finder.py"
    module.write_text(
        "def find(picture):\n"
        "    assert picture.mode == 'RGB' and max(picture.size) <= 512\n"
        "    w, h = picture.size\n"
        "    return [(w * 0.88, h * 0.3, w * 0.12, h * 0.2), (w * 0.88, h * 0.5, w * 0.12, h * 0.2)]\n"
    )
    info = tmp_path / "face_finder-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: face-finder\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[s3img.focus]\nface = face_finder:find\n")
    monkeypatch.syspath_prepend(tmp_path)
    load_detector.cache_clear()
    yield module
    load_detector.cache_clear()
    sys.modules.pop("face_finder", None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("w-200,h-200,fo-custom_0_60_80_80", {"red"}),
        ("w-200,h-200,fo-custom_520_60_80_80", {"green"}),
        ("w-200,h-200,fo-custom_9999_0_1_1", {"green"}),
        ("w-200,h-200,cm-extract,fo-custom_0_60_80_80", {"red"}),
        ("w-200,h-200,fo-custom", {"checks"}),
        ("w-300:w-100,h-100,fo-custom_520_60_80_80", {"green"}),
        ("if-w_gt_10,w-200,h-200,fo-custom_0_60_80_80,if-end", {"red"}),
    ],
)
def test_crop_keeps_the_box_of_the_owner(text: str, found: set[str]) -> None:
    assert kept(text) == found


def test_box_is_part_of_the_transform() -> None:
    transform = Transform.parse("h-200,w-200,fo-custom").with_focus(lambda _: FocusBox(10, 20, 30, 40))
    assert str(transform) == "w-200,h-200,fo-custom_10_20_30_40"
    assert Transform.parse(str(transform)) == transform
    assert transform.output_size((600, 200)) == (200, 200)
    assert str(Transform.parse("w-200,fo-custom_10_20_30_40")) == "w-200"  # nothing is cut


@pytest.mark.parametrize("text", ["10,20,30,40", "10, 20, 30, 40", "10_20_30_40"])
def test_box_reads_what_metadata_say(text: str) -> None:
    box = FocusBox.parse(text)
    assert box == FocusBox(10, 20, 30, 40)
    assert box.centre((50, 80)) == (HALF, HALF)


@pytest.mark.parametrize("text", ["", "10,20,30", "10,20,0,40", "-1,2,3,4", "1,2,3,4,5", "1.5,2,3,4", "9999999,1,1,1"])
def test_box_of_nothing_is_none(text: str) -> None:
    assert FocusBox.parse(text) is None


def test_face_is_what_a_detector_finds(detector: Path) -> None:
    assert kept("w-200,h-200,fo-face") == {"green"}
    assert kept("w-200,h-200,fo-auto") != {"green"}


def test_face_is_what_draws_attention_without_a_detector_or_a_face(detector: Path) -> None:
    usual = render(SCENE, Transform.parse("w-200,h-200,fo-auto,f-png")).data
    detector.write_text("def find(picture):\n    return []\n")
    assert render(SCENE, Transform.parse("w-200,h-200,fo-face,f-png")).data == usual


@pytest.mark.parametrize("body", ["1 / 0", "return [(1, 2)]", "return ['face']", "return 5"])
def test_detector_that_fails_is_an_error_that_names_it(detector: Path, body: str) -> None:
    detector.write_text(f"def find(picture):\n    {body}\n")
    with pytest.raises(ImageError, match=r"The detector of faces failed"):
        render(SCENE, Transform.parse("w-200,h-200,fo-face"))


def test_detector_that_can_not_be_imported_is_named(detector: Path) -> None:
    detector.write_text("import nothing_of_this_name\n")
    with pytest.raises(ImageError, match=r"'face_finder:find' of s3img.focus can't be loaded"):
        render(SCENE, Transform.parse("w-200,h-200,fo-face"))


def test_boxes_outside_of_the_picture_are_brought_to_its_edge(detector: Path) -> None:
    detector.write_text("def find(picture):\n    return [(1e9, -1e9, 10, 10)]\n")
    assert kept("w-200,h-200,fo-face") == {"green"}


def test_boxes_that_are_no_numbers_count_as_none(detector: Path) -> None:
    usual = render(SCENE, Transform.parse("w-200,h-200,fo-auto,f-png")).data
    detector.write_text("def find(picture):\n    return [(float('nan'), 0, 1, 1)]\n")
    assert render(SCENE, Transform.parse("w-200,h-200,fo-face,f-png")).data == usual
