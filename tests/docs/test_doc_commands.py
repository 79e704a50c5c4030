"""Every command in the documents is one that the program has, with options that it has."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import click
import pytest

from s3img.cli import group

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^ *```\w.*?^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(?<!`)`(s3img [^`\n]+)`(?!`)")
COMMAND = re.compile(r"(?:^|[\s/;|&\"(])s3img +([a-z][\w-]*(?: .*)?)$")


def commands(text: str) -> list[tuple[int, str]]:
    """Return line numbers and what stands behind ``s3img`` in blocks of commands and in code of the text."""
    found = [(text.count("\n", 0, code.start()) + 1, code[1].removeprefix("s3img ")) for code in CODE.finditer(text)]
    for fence in FENCE.finditer(text):
        first = text.count("\n", 0, fence.start()) + 1
        language = fence[0].lstrip("` ").split("\n")[0]
        if not language.startswith(("console", "sh", "bash", "yaml", "json")):
            continue
        for number, line in enumerate(fence[0].replace("\\\n", " ").split("\n")):
            parts = (
                COMMAND.search(part.split(" #")[0])
                for part in re.split(r"&&|;|\|\| ", line)
                if "pip install" not in part
            )
            found += [(first + number, match[1]) for match in parts if match]
    return found


def wrong(command: str) -> str:
    """Return what the program would not understand, or nothing."""
    try:
        words = shlex.split(command)
    except ValueError:  # a sentence with an apostrophe
        words = command.split()
    context, place = click.Context(group, info_name="s3img"), group
    while words and isinstance(place, click.Group) and not words[0].startswith("-") and not words[0].isupper():
        name = words.pop(0)
        found = place.get_command(context, name)
        if found is None:
            return f"there is no command {name!r}"
        place, context = found, click.Context(found, info_name=name, parent=context)
    known = {option for parameter in place.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"--help", "-h"}
    used = [word.partition("=")[0].rstrip(",.") for word in words if re.match(r"--?[a-z]", word)]
    unknown = [f"{place.name} has no {option}" for option in used if option not in known]
    values = dict(itertools.pairwise(words))
    for parameter in place.params:
        if isinstance(parameter.type, click.Choice):
            given = {values[option].rstrip(",.") for option in parameter.opts if option in values}
            unknown += [f"{value} is not a choice of {parameter.name}" for value in given - set(parameter.type.choices)]
    return ", ".join(unknown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_of_a_page_are_those_of_the_program(page: Path) -> None:
    text = page.read_text("utf-8")
    assert [
        f"line {line}: s3img {command}: {fault}" for line, command in commands(text) if (fault := wrong(command))
    ] == []


@pytest.mark.parametrize("command", ["publsh site", "publish site --bukket x", "config inport x", "ls --sort cuteness"])
def test_wrong_command_is_found(command: str) -> None:
    assert wrong(command)
