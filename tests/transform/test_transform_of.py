"""Long names, as keyword arguments."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from s3img.errors import TransformError
from s3img.transform import Transform
from s3img.transform.parameters import BY_NAME
from s3img.transform.transform import TransformOptions


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, ""),
        ({"width": 300, "height": 200, "crop": "at_max", "format": "webp"}, "w-300,h-200,c-at_max,f-webp"),
        ({"width": 300, "height": None, "quality": None}, "w-300"),
        ({"width": 0.4}, "w-0.4"),
        ({"width": Fraction(1, 3)}, "w-0.333333"),
        ({"width": "iw_div_2", "dpr": 2.5}, "w-iw_div_2,dpr-2.5"),
        ({"width": 300, "aspect_ratio": Fraction(16, 9)}, "w-300,ar-16-9"),
        ({"width": 300, "aspect_ratio": (4, 3)}, "w-300,ar-4-3"),
        ({"width": 300, "height": 200, "crop": "pad_resize", "focus": "top"}, "w-300,h-200,cm-pad_resize,fo-top"),
        ({"width": 30, "height": 20, "crop": "extract", "x": -5, "yc": 9}, "w-30,h-20,cm-extract,x-N5,yc-9"),
        ({"rotate": -40, "flip": "h", "trim": True, "opacity": 50}, "t-true,fl-h,rt-320,o-50"),
        ({"grayscale": True, "contrast": True, "sharpen": True, "unsharp": True},
         "e-grayscale,e-contrast,e-sharpen,e-usm"),
        ({"grayscale": False, "contrast": False, "sharpen": False, "unsharp": False}, ""),
        ({"blur": 3, "sharpen": 20, "unsharp": (1, 2, 0.5, 0.01)}, "bl-3,e-sharpen-20,e-usm-1-2-0.5-0.01"),
        ({"border": (5, "red"), "radius": (1, 2, "max", 4)}, "b-5_FF0000,r-1_2_max_4"),
        ({"border": "5_red", "radius": "max", "background": "pink"}, "b-5_FF0000,r-max,bg-FFC0CB"),
        ({"format": "jpg", "lossless": True, "progressive": False, "metadata": True, "density": 300},
         "f-jpeg,lo-true,pr-false,md-true,dn-300"),
        ({"color_profile": True, "default_image": "a b/c,d.jpg"}, "cp-true,di-a%20b@@c%2Cd.jpg"),
        ({"original": True, "width": 3}, "orig-true"),
    ],
)  # fmt: skip
def test_of_writes_what_the_text_says(options: Any, text: str) -> None:
    assert str(Transform.of(**options)) == text


@pytest.mark.parametrize(
    ("options", "token"),
    [
        ({"widht": 300}, "widht"),
        ({"width": 0}, "width"),
        ({"width": -5}, "width"),
        ({"width": float("nan")}, "width"),
        ({"width": float("inf")}, "width"),
        ({"width": 10**400}, "width"),
        ({"width": True}, "width"),
        ({"width": (3, 4)}, "width"),
        ({"width": "300,h-200"}, "width"),
        ({"unsharp": (1, 2)}, "unsharp"),
        ({"lossless": 1}, "lossless"),
        ({"background": object()}, "background"),
        ({"default_image": "../x"}, "default_image"),
        ({"grayscale": 2}, "grayscale"),
    ],
)
def test_of_refuses_what_the_text_could_not_say(options: Any, token: str) -> None:
    with pytest.raises(TransformError) as caught:
        Transform.of(**options)
    assert caught.value.token == token


def test_of_suggests_the_nearest_name() -> None:
    with pytest.raises(TransformError, match="width"):
        Transform.of(widht=300)  # type: ignore[call-arg]  # the mistake under test


def test_of_merges_a_preset() -> None:
    transform = Transform.of(preset="thumb", presets={"thumb": "w-100,f-webp"}, width=200)
    assert str(transform) == "w-200,f-webp"


def test_of_has_a_name_for_every_parameter() -> None:
    assert set(TransformOptions.__annotations__) == set(BY_NAME)


def test_format_and_quality_are_those_of_the_result() -> None:
    transform = Transform.parse("w-300,f-jpg,q-50:q-60")
    assert (transform.format, transform.quality) == ("jpeg", 60)
    assert (Transform().format, Transform().quality) == ("auto", None)
