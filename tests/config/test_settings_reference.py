"""``docs/configuration.md`` lists the settings that there are, with their kinds and defaults."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from s3img.config import Config

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "configuration.md").read_text("utf-8")


def test_tables_are_those_of_the_code() -> None:
    generator = runpy.run_path(str(DOCS / "generate_settings.py"))
    assert generator["page"](PAGE) == PAGE, "run: python docs/generate_settings.py"


def test_anchor_of_a_setting_occurs_once() -> None:
    anchors = re.findall(r'<a id="([^"]+)">', PAGE)
    assert len(anchors) == len(set(anchors))
    assert {*Config.__struct_fields__} - {*anchors} == {"limits", "service"}  # which have a section each


@pytest.mark.parametrize("name", ["limits", "service"])
def test_setting_without_a_meaning_is_noticed(name: str) -> None:
    generator = runpy.run_path(str(DOCS / "generate_settings.py"))
    meanings = generator[name.upper()]
    meanings.popitem()
    with pytest.raises(KeyError):
        generator["page"](PAGE)
