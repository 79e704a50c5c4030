"""What is wrong with the type of a setting, in words of settings files: msgspec's messages name types of Python."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from s3img.errors import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}
_FORMS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    ("Expected `(.+?)`, got `(.+?)`", lambda found: f"must be {_words(found[1])}, and is {_words(found[2])}"),
    ("Object missing required field `(.+?)`", lambda found: f"{found[1]} is missing"),
    ("Invalid enum value (.+)", lambda found: f"{found[1]} is not a choice"),
)
_PLACE = re.compile(r" - at `\$(.*)`$")
_PARTS = re.compile(r"\[[^\]]*\]|[^.\[]+")


def type_problem(error: msgspec.ValidationError, kind: Any) -> str:  # noqa: ANN401 - the type is data here
    """Say what is wrong with a value that should have been of ``kind``, and where in it."""
    text = str(error)
    place = _PLACE.search(text)
    where = " of ".join(map(_part, reversed(_PARTS.findall(place[1])))) if place else ""
    text = _PLACE.sub("", text)
    if unknown := re.fullmatch("Object contains unknown field `(.*)`", text):
        text = _unknown(unknown[1], sorted({*_field_names(kind)}))
    for form, words in _FORMS:
        if found := re.fullmatch(form, text):
            text = words(found)
    known = [choice for choice in _choices(kind) if isinstance(choice, str)] if "is not a choice" in text else []
    return (f"{where}: " if where else "") + text + (f": write one of {', '.join(known)}" if known else "")


def _part(part: str) -> str:
    if part == "[...]":  # of an entry of a table, msgspec does not say the name
        return "an entry"
    return f"entry {int(part[1:-1]) + 1}" if part[:1] == "[" else part


def _words(types: str) -> str:
    names = [name for name in types.split(" | ") if name != "null"] or ["null"]
    return " or ".join(_WORDS.get(name, name) for name in names)


def _unknown(name: str, known: list[str]) -> str:
    near = closest(name, known)
    return f"unknown setting {name}" + (f", did you mean {near}?" if near else f": known are {', '.join(known)}")


def _field_names(kind: Any) -> Iterator[str]:  # noqa: ANN401 - the type is data here
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from kind.__struct_fields__
    for part in get_args(kind):
        yield from _field_names(part)


def _choices(kind: Any) -> Iterator[Any]:  # noqa: ANN401 - the type is data here
    for part in get_args(kind):
        if isinstance(part, str):
            yield part
        else:
            yield from _choices(part)
