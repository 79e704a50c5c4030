"""The resize seam: both resizers have one geometry, and a bad one is not trusted."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image, ImageChops

from s3img.imaging import resize as seam

MODES = ["L", "LA", "RGB", "RGBA", "CMYK"]


def picture(mode: str) -> Image.Image:
    ramp = Image.radial_gradient("L").resize((90, 70))
    bands = [
        ramp,
        ramp.rotate(180),
        ramp.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        Image.linear_gradient("L").resize((90, 70)),
    ]
    names = Image.new(mode, (1, 1)).getbands()
    return Image.merge(mode, bands[: len(names)])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("size", "box"), [((31, 17), None), ((200, 150), None), ((20, 20), (3.5, 7.25, 61.75, 66.5))])
def test_resize_agrees_with_pillow(mode: str, size: tuple[int, int], box: Any) -> None:
    image = picture(mode)
    expected = image.resize(size, Image.Resampling.LANCZOS, box=box)
    found = seam.resize(image, size, box)
    premultiplied = {"RGBA": "RGBa", "LA": "La"}.get(mode, mode)
    difference = ImageChops.difference(found.convert(premultiplied), expected.convert(premultiplied))
    assert all(band.getextrema()[1] <= 4 for band in difference.split())
    assert found.mode == mode


def test_resize_returns_the_picture_where_nothing_changes() -> None:
    image = picture("RGB")
    assert seam.resize(image, image.size) is image


def test_resize_cuts_where_the_size_stays() -> None:
    image = picture("RGB")
    assert seam.resize(image, (20, 10), (5, 6, 25, 16)).tobytes() == image.crop((5, 6, 25, 16)).tobytes()


@pytest.fixture
def fresh_seam() -> Any:
    seam.fast_resizer.cache_clear()
    yield
    seam.fast_resizer.cache_clear()


@pytest.mark.usefixtures("fresh_seam")
def test_resize_falls_back_to_pillow_without_the_fast_resizer(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError

    monkeypatch.setattr(seam, "cykooz_resizer", missing)
    assert seam.backend() == "pillow"
    assert seam.resize(picture("RGB"), (9, 7)).size == (9, 7)


@pytest.mark.usefixtures("fresh_seam")
def test_resize_does_not_trust_a_resizer_with_another_geometry(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(image: Image.Image, size: tuple[int, int], box: Any) -> Image.Image:
        return image.resize(size, Image.Resampling.LANCZOS)

    monkeypatch.setattr(seam, "cykooz_resizer", lambda: shifted)
    assert seam.backend() == "pillow"
