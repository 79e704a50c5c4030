"""``fo-custom`` and ``fo-face``: a box that the owner names, and what an installed detector finds."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageChops, ImageDraw

from s3img.config import Config
from s3img.errors import ConfigError, ImageError
from s3img.images import Images
from s3img.imaging.detectors import installed, load_detector
from s3img.transform import Transform
from s3img.transform.focus import DetectedFocus, FocusBox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


def made(transform: str, **settings: str) -> Image.Image:
    """Return the scene under a transform, with detectors by what they find."""
    images = Images(Config(focus_detectors=settings))
    return Image.open(io.BytesIO(images.render(SCENE, f"{transform},f-png").data)).convert("RGB")


def kept(transform: str, **settings: str) -> set[str]:
    """Return which of the three things a crop keeps."""
    picture = made(transform, **settings)
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
        "def name(picture, kind):\n"
        "    x = {'car': 520, 'cat': 0}.get(kind)\n"
        "    w, h = picture.size\n"
        "    return [] if x is None else [(x * w / 600, 0.3 * h, 80 * w / 600, 0.4 * h)]\n"
    )
    info = tmp_path / "face_finder-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: face-finder\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[s3img.focus]\nface = face_finder:find\n")
    monkeypatch.syspath_prepend(tmp_path)
    load_detector.cache_clear()
    installed.cache_clear()
    yield module
    load_detector.cache_clear()
    installed.cache_clear()
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


@pytest.mark.parametrize("text", ["", "10,20,30", "10,20,0,40", "-1,2,3,4", "1,2,3,4,5", "1.5,2,3,4", "9999999,1,1,1"])
def test_box_of_nothing_is_none(text: str) -> None:
    assert FocusBox.parse(text) is None


def test_face_is_what_a_detector_finds(detector: Path) -> None:
    assert kept("w-200,h-200,fo-face") == {"green"}
    assert kept("w-200,h-200,fo-auto") != {"green"}


def test_face_is_what_draws_attention_without_a_detector_or_a_face(detector: Path) -> None:
    usual = made("w-200,h-200,fo-auto")
    detector.write_text("def find(picture):\n    return []\n")
    assert made("w-200,h-200,fo-face") == usual
    assert made("w-200,h-200,fo-car") == usual


@pytest.mark.parametrize("body", ["1 / 0", "return [(1, 2)]", "return ['face']", "return 5"])
def test_detector_that_fails_is_an_error_that_names_it(detector: Path, body: str) -> None:
    detector.write_text(f"def find(picture):\n    {body}\n")
    with pytest.raises(ImageError, match=r"The detector 'face_finder:find' failed at fo-face"):
        made("w-200,h-200,fo-face")


def test_detector_that_can_not_be_imported_is_named(detector: Path) -> None:
    detector.write_text("import nothing_of_this_name\n")
    with pytest.raises(ImageError, match=r"The detector 'face_finder:find' can't be loaded"):
        made("w-200,h-200,fo-face")


def test_boxes_outside_of_the_picture_are_brought_to_its_edge(detector: Path) -> None:
    detector.write_text("def find(picture):\n    return [(1e9, -1e9, 10, 10)]\n")
    assert made("w-200,h-200,fo-face").size == (200, 200)


def test_boxes_that_are_no_numbers_count_as_none(detector: Path) -> None:
    usual = made("w-200,h-200,fo-auto")
    detector.write_text("def find(picture):\n    return [(float('nan'), 0, 1, 1)]\n")
    assert made("w-200,h-200,fo-face") == usual


NAMED = {"objects": "face_finder:name"}


@pytest.mark.parametrize(
    ("text", "size", "found"),
    [
        ("fo-car", (80, 80), {"green"}),
        ("fo-cat", (80, 80), {"red"}),
        ("fo-cat_car", (600, 80), {"red", "green", "checks"}),
        ("fo-car,ar-2_1", (160, 80), {"green"}),
        ("fo-car,z-0.5", (160, 160), {"green"}),
        ("fo-car,z-2", (40, 40), {"green"}),
        ("w-100,h-100,fo-car", (100, 100), {"green"}),
        ("w-50,h-50,fo-car,z-4", (50, 50), {"green"}),
        ("w-60,h-60,cm-extract,fo-cat", (60, 60), {"red"}),
        ("w-60,h-60,cm-extract,fo-cat,z-0.5", (60, 60), {"red"}),
        ("w-300:w-40,h-40,fo-car", (40, 40), {"green"}),
        ("if-w_gt_10,w-200,h-200,fo-car,if-end", (200, 200), {"green"}),
        ("t-true,w-100,h-100,fo-car", (100, 100), {"green"}),
    ],
)
def test_object_is_cut_out_or_kept(detector: Path, text: str, size: tuple[int, int], found: set[str]) -> None:
    assert made(text, **NAMED).size == size
    assert kept(text, **NAMED) == found


def test_zoom_takes_less_around_what_was_found(detector: Path) -> None:
    def share(text: str) -> float:
        picture = made(text, **NAMED)
        return sum(count for count, color in picture.getcolors(1 << 20) or () if color == (0, 255, 0)) / 10_000

    assert share("w-100,h-100,fo-car") == pytest.approx(0.16, abs=0.02)  # 80 of 200 px
    assert share("w-100,h-100,fo-car,z-2") == pytest.approx(0.64, abs=0.03)
    assert share("w-100,h-100,fo-car,z-0.1") == share("w-100,h-100,fo-car")
    assert share("w-100,h-100,fo-face") > share("w-100,h-100,fo-face,z-0.7")  # as close as twice a face


@pytest.mark.parametrize(
    "first",
    [
        "w-400,h-200,fo-right",
        "w-700,h-700,cm-pad_extract",
        "rt-90",
        "rt-30",
        "fl-h",
        "fl-h_v",
        "b-5_navy",
        "t-true",
        "w-300:rt-180,b-3_navy:w-260,h-100,fo-left:fl-v",
        "if-w_gt_10,rt-270,if-end",
        "w-200,h-200,fo-car",
    ],
)
def test_object_is_followed_through_the_steps_before(detector: Path, first: str) -> None:
    red, green, _ = made(first, **NAMED).split()
    left, _, right, _ = ImageChops.subtract(green, red).point([255 * (level > 100) for level in range(256)]).getbbox()
    found = made(f"{first}:fo-car", **NAMED)
    assert abs(found.width - (right - left)) <= 3
    middle = found.getpixel((found.width // 2, found.height // 2))
    assert middle == (0, 255, 0)


def test_object_that_a_step_has_cut_off_is_what_draws_attention(detector: Path) -> None:
    first = "w-200,h-200,fo-left"
    assert made(f"{first}:w-90,h-90,fo-car", **NAMED) == made(f"{first}:w-90,h-90,fo-auto")
    assert made(f"{first}:fo-car", **NAMED) == made(first)


def test_box_of_the_owner_is_followed_too(detector: Path) -> None:
    assert kept("w-400,h-200,fo-right:w-100,h-100,fo-custom_520_60_80_80") == {"green"}
    assert kept("fl-h:w-200,h-200,fo-custom_0_60_80_80") == {"red"}


def test_size_of_an_object_after_others_is_known_without_pixels() -> None:
    transform = Transform.parse("w-300:b-5_red:rt-90:fo-object_500_50_100_100")
    assert transform.output_size((600, 200)) == (50, 50)
    assert Transform.parse("w-300,h-200,fo-left:fo-object_500_50_100_100").output_size((600, 200)) == (300, 200)


def test_what_was_found_is_part_of_the_transform_and_of_its_size() -> None:
    asked: list[tuple[str, str]] = []

    def find(focus: object, key: str) -> FocusBox:
        asked.append((str(focus), key))
        return FocusBox(10, 20, 300, 200, "object")

    transform = Transform.parse("fo-car,l-image,i-a,w-9,h-9,fo-face,l-end").located(find)
    assert str(transform) == "fo-object_10_20_300_200,l-image,i-a,w-9,h-9,fo-object_10_20_300_200,l-end"
    assert Transform.parse(str(transform)) == transform
    assert transform.is_located
    assert transform.output_size((600, 400)) == (300, 200)
    assert sorted(asked) == [("car", ""), ("face", "a")]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("w-9,fo-car", "w-9"),
        ("w-9,h-9,c-force,fo-car,z-2", "w-9,h-9,c-force"),
        ("w-9,h-9,cm-pad_resize,fo-face", "w-9,h-9,cm-pad_resize"),
        ("w-9,h-9,z-2", "w-9,h-9"),
        ("w-9,h-9,fo-auto,z-2", "w-9,h-9,fo-auto"),
        ("z-2.0,fo-face,w-9,h-9", "w-9,h-9,fo-face,z-2"),
        ("fo-trafficLight_car_car", "fo-trafficLight_car"),
        ("w-9,h-9,fo-auto-custom_override", "w-9,h-9,fo-auto-custom_override"),
        ("fo-face_1_2_3_4,z-0.5", "fo-face_1_2_3_4,z-0.5"),
    ],
)
def test_focus_has_one_canonical_form(text: str, canonical: str) -> None:
    assert str(Transform.parse(text)) == canonical
    assert Transform.parse(canonical) == Transform.parse(text)


def test_several_kinds_are_bounded() -> None:
    assert DetectedFocus.parse("_".join(["car"] * 9)) is None
    assert DetectedFocus.parse("car_") is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"kar": "a:b"}, "did you mean car"), ({"car": "a.b"}, 'write a function as "my_faces:find"')],
)
def test_detectors_of_the_settings_are_checked(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(focus_detectors=settings)
