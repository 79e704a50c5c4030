"""From the text of a transform to one mapping of fields a step; every fault names its token and offset."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import unquote

from s3img.errors import TransformError
from s3img.transform.kinds import closest
from s3img.transform.parameters import BY_KEY, BY_NAME, PARAMETERS, PRESET, REFUSED, REFUSED_VALUES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from s3img.limits import Limits

Fields: TypeAlias = dict[str, Any]
"""Values by the long names of parameters."""

MAX_TEXT: Final = 8_192
_PREFIX = re.compile(r"tr(?::|%3A)|\??tr=", re.IGNORECASE)
_LITERAL = re.compile(r"([,:])")
_COLONS: Final = frozenset({":", "%3A", "%3a"})
_ENCODED = re.compile(r"(%2C|%3A)", re.IGNORECASE)
_RATIO_BEGIN = re.compile(r"ar-[0-9.]+")
_RATIO_END = re.compile(r"[0-9.]+")


class Token(NamedTuple):
    """One ``key-value`` and where it begins in the text as given."""

    text: str
    position: int


def read(text: str, *, presets: Mapping[str, str], limits: Limits) -> list[Fields]:
    """Read a whole chain; raise TransformError for the first token that can't be understood."""
    if not isinstance(text, str):
        raise TransformError(f"A transform is text, not {type(text).__name__}.")
    if len(text) > MAX_TEXT:
        raise TransformError(f"A transform of {len(text)} characters is too long; {MAX_TEXT} are allowed.")
    steps: list[Fields] = []
    for tokens in _split(text):
        steps += _read_step(tokens, presets)
        if len(steps) > limits.steps:
            raise _fault(tokens[0], f"is step {len(steps)}; limits.steps is {limits.steps}")
    return steps


def read_preset(name: str, fields: Fields, *, presets: Mapping[str, str]) -> list[Fields]:
    """Read what ``n-name`` stands for, with ``fields`` in the same step."""
    token = Token(f"{PRESET}-{name}", 0)
    return _merge(_read_preset(token, presets), fields, token)


def _split(text: str) -> Iterator[list[Token]]:
    """Split at ``:`` into steps and at ``,`` into tokens; leave out empty ones.

    Separators may be percent-encoded all together; where one is literal, encoded ones belong to a value.
    """
    prefix = _PREFIX.match(text)
    position = prefix.end() if prefix else 0
    separator = _LITERAL if _LITERAL.search(text, position) else _ENCODED
    step: list[Token] = []
    for word, mark in _join_ratios(separator.split(text[position:])):
        if word:
            step.append(Token(word, position))
        if step and (mark in _COLONS or not mark):
            yield step
            step = []
        position += len(word) + len(mark)


def _join_ratios(parts: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each word and the mark that ends it; join ``ar-4`` ``:`` ``3``, which is one word."""
    parts.append("")
    index = 0
    while index < len(parts):
        word, mark = parts[index], parts[index + 1]
        if mark in _COLONS and _RATIO_BEGIN.fullmatch(word) and _RATIO_END.fullmatch(parts[index + 2]):
            word, mark = word + mark + parts[index + 2], parts[index + 3]
            index += 2
        yield word, mark
        index += 2


def _read_step(tokens: list[Token], presets: Mapping[str, str]) -> list[Fields]:
    """Read the tokens between two ``:``; a preset may stand for several steps."""
    found: dict[str, Any] = {}
    for encoded in tokens:
        token = encoded
        if "%" in encoded.text:
            try:
                token = encoded._replace(text=unquote(encoded.text, errors="strict"))
            except UnicodeDecodeError:
                raise _fault(encoded, "is not UTF-8 when percent-decoded") from None
        key = _key(token.text)
        if key in found:
            raise _fault(token, f"gives {key} a second time in one step; separate steps with ':'")
        found[key] = _read_preset(token, presets) if key == PRESET else _value(key, token)
    fields = {row.name: found[row.key] for row in PARAMETERS if row.key in found}
    return _merge(found.get(PRESET, []), fields, tokens[0])


def _merge(preset: list[Fields], fields: Fields, token: Token) -> list[Fields]:
    """Let what is written in a step replace what its preset says."""
    if len(preset) <= 1:
        return [dict(*preset) | fields]
    if fields:
        raise _fault(token, "stands in one step with a preset of several; separate them with ':'")
    return preset


def _key(text: str) -> str:
    if text in BY_KEY:
        return text
    begin = text.find("-", 2) if text.startswith("e-") else text.find("-")
    return text if begin < 0 else text[:begin]


def _value(key: str, token: Token) -> object:
    parameter = BY_KEY.get(key)
    text = token.text[len(key) + 1 :]
    if parameter is None:
        if key in REFUSED:
            raise _fault(token, f"asks for {REFUSED[key]}, which s3img does not do")
        near = closest(key, [*BY_KEY, *BY_NAME])
        known = BY_KEY.get(near) or BY_NAME.get(near)
        suggestion = "" if known is None else f"{known.key}-{text}" if text else known.key
        raise _fault(token, "is not a known parameter", suggestion)
    value = parameter.kind.read(text)
    if value is not None and token.text != f"{key}-":
        return value
    if text.startswith(REFUSED_VALUES.get(key, ())):
        raise _fault(token, "is a value of ImageKit that s3img does not do")
    near = parameter.kind.near(text)
    raise _fault(token, f"needs another value: {parameter.kind.words}", f"{key}-{near}" if near else "")


def _read_preset(token: Token, presets: Mapping[str, str]) -> list[Fields]:
    """Read what a preset stands for; it can't name another one."""
    name = token.text[len(PRESET) + 1 :]
    if name not in presets:
        near = closest(name, presets)
        raise _fault(token, "names no preset of the configuration", f"{PRESET}-{near}" if near else "")
    try:
        return [step for tokens in _split(presets[name]) for step in _read_step(tokens, {})]
    except TransformError as error:
        raise _fault(token, f"stands for {presets[name]!r}, which is not understood: {error}") from None


def _fault(token: Token, problem: str, suggestion: str = "") -> TransformError:
    shown = token.text if len(token.text) <= 60 else f"{token.text[:60]}…"
    return TransformError(
        f"{shown!r} at {token.position} {problem}.", token=token.text, position=token.position, suggestion=suggestion
    )
