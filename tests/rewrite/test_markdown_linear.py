from __future__ import annotations

import sys
from typing import Any

import pytest

from s3img.rewrite import find_references

UNITS = [
    "![",
    "[",
    "]",
    "![](",
    "[a](b ",
    "[a](b '",
    "](<",
    "![a][",
    "[a]: b\n",
    "`",
    "` `` ",
    "\\(",
    "$$ ",
    "$a ",
    "<!--",
]
UNITS += [
    "<?",
    "<a b='",
    "> ",
    "- ",
    "1. a\n",
    "| a | b |\n|-|-|\n",
    "```\n",
    "$$\n",
    "<div>\n",
    "!!! a\n    ",
    "(((",
    "a\n",
]
UNITS += ["a\n", "[![a](b)](c)", "![a]", "\t- ", "- a\n\n", "> - ", "[^1]: ", "---\n", "<b>", "[a](b)", "\\", "&amp;"]
BEFORE = ["", "![a](", "- " * 100, "> " * 100, "[a]: b\n\n", "---\na: b\n"]


def steps(text: str) -> int:
    """Count the calls, of Python and of C functions, that finding takes."""
    count = 0

    def step(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(step)
    try:
        find_references(text, "text/markdown", optional=["markdown link", "front matter image"])
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("unit", UNITS)
def test_markdown_of_twice_the_size_takes_about_twice_the_steps(unit: str, before: str) -> None:
    once = steps(before + unit * 200)
    assert steps(before + unit * 400) <= 2.2 * once + 200


def test_markdown_lines_cost_no_more_than_the_containers_that_are_kept() -> None:
    assert steps("- " * 2000 + "\n" * 1000) <= 100 * 3000
