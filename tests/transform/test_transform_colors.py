"""Colours: SVG's names against an independent table, and ImageKit's digits."""

from __future__ import annotations

import pytest
from tinycss2.color3 import parse_color

from s3img.transform.colors import NAMES, Color


def channels(name: str) -> tuple[int, ...]:
    color = Color.parse(name)
    assert color is not None
    return color.rgba[:3]


def test_names_are_those_of_css() -> None:
    found = {name: channels(name) for name in NAMES}
    assert found == {name: tuple(round(255 * channel) for channel in parse_color(name)[:3]) for name in NAMES}
    assert len(found) == 147


@pytest.mark.parametrize(
    ("text", "rgba"),
    [
        ("FFF000", (255, 240, 0, 255)),
        ("fff00050", (255, 240, 0, 128)),
        ("AAAA5466", (170, 170, 84, 168)),
        ("00000000", (0, 0, 0, 0)),
        ("00000099", (0, 0, 0, 252)),
        ("Pink", (255, 192, 203, 255)),
    ],
)
def test_the_last_two_digits_are_decimal_per_cent(text: str, rgba: tuple[int, ...]) -> None:
    color = Color.parse(text)
    assert color is not None
    assert color.rgba == rgba
    assert Color.parse(str(color)) == color


@pytest.mark.parametrize("text", ["", "FFFF", "#FFF000", "FFF0000", "FFF000AA", "FFF000100", "GGG000", "transparent"])
def test_other_texts_are_no_colours(text: str) -> None:
    assert Color.parse(text) is None


def test_a_fully_opaque_colour_has_no_alpha_digits() -> None:
    assert str(Color(255, 240, 0, 100)) == "FFF000"
    assert str(Color(255, 240, 0, 7)) == "FFF00007"
