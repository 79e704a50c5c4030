"""``docs/transforms.md`` says what the code does."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from s3img.transform import Transform
from s3img.transform.parameters import PARAMETERS, Parameter

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "transforms.md").read_text("utf-8")
ROWS = re.findall(r"\| `([^`]+)` \| (\d+)x(\d+) \| (\d+)x(\d+) \|", PAGE)


def test_the_tables_are_those_of_the_code() -> None:
    generator = runpy.run_path(str(DOCS / "generate_transforms.py"))
    assert generator["page"](PAGE) == PAGE, "run: python docs/generate_transforms.py"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}x{row[2]}")
def test_every_example_gives_the_size_that_the_page_says(row: tuple[str, ...]) -> None:
    text, *numbers = row
    width, height, to_width, to_height = map(int, numbers)
    assert Transform.parse(text).output_size((width, height)) == (to_width, to_height)


def test_the_page_has_examples_of_all_rules() -> None:
    assert len(ROWS) > 30


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.key)
def test_every_parameters_example_shows_it(parameter: Parameter) -> None:
    tokens = str(Transform.parse(parameter.example)).split(",")
    assert any(token == parameter.key or token.startswith(f"{parameter.key}-") for token in tokens)
