"""Read the arguments of imgproxy's options: numbers, colours, texts; an error names the option it is of."""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from s3img.errors import TransformError
from s3img.imgproxy.processing_options import FORMATS, Pipeline, Rgb

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

State: TypeAlias = dict[str, Any]
"""Fields by name, as they are read: options that come later overwrite those that came before."""
Args: TypeAlias = list[str]
Handler: TypeAlias = "Callable[[str, State, Args], None]"
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{6}|[0-9A-Fa-f]{3}")
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_BASE64: Final = re.compile(r"[A-Za-z0-9_-]*")
_MOST: Final = 1e9
"""Numbers above are refused, and so are positive ones below its inverse: arithmetic with them would leave floats."""


def bad(name: str, text: str, expected: str) -> TransformError:
    """Return the error for an argument, which names its option."""
    article = "an" if expected[0] in "aeiou" else "a"
    return TransformError(f"{name}: {text[:80]!r} is not {article} {expected}.", token=f"{name}:{text[:80]}")


def integer(name: str, text: str, *, least: int = -(10**18), most: int = 10**18, what: str = "integer") -> int:
    """Read a whole number."""
    if not _INTEGER.fullmatch(text) or not least <= int(text) <= most:
        raise bad(name, text, what)
    return int(text)


def positive(name: str, text: str) -> int:
    """Read a whole number that is not negative."""
    return integer(name, text, least=0, what="positive integer or 0")


def decimal(name: str, text: str, *, least: float = -_MOST, most: float = _MOST, what: str = "number") -> float:
    """Read a finite number, which imgproxy leaves unchecked: ``dpr:NaN`` fails there in the middle of the work."""
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not least <= value <= most:
        raise bad(name, text, what)
    return value


def share(name: str, text: str) -> float:
    """Read a number from 0 to 1."""
    return decimal(name, text, least=0, most=1, what="number from 0 to 1")


def not_negative(name: str, text: str) -> float:
    """Read a number that is not negative."""
    return decimal(name, text, least=0, what="positive number or 0")


def above_zero(name: str, text: str) -> float:
    """Read a positive number."""
    return decimal(name, text, least=1 / _MOST, what="positive number")


def is_true(text: str) -> bool:
    """Read a boolean as Go's ``strconv.ParseBool``; anything else is false, as imgproxy has it."""
    return text in _TRUE


def boolean(name: str, text: str) -> bool:  # noqa: ARG001 - readers have one signature
    """Read a boolean."""
    return is_true(text)


def color(name: str, text: str) -> Rgb:
    """Read three or six hexadecimal digits."""
    if not _HEX.fullmatch(text):
        raise bad(name, text, "hex-encoded colour")
    full = text if len(text) == 6 else "".join(digit * 2 for digit in text)
    return int(full[:2], 16), int(full[2:4], 16), int(full[4:], 16)


def image_format(name: str, text: str) -> str:
    """Read the name of a format that results may have."""
    if text not in FORMATS:
        raise bad(name, text, f"image format: choose one of {', '.join(FORMATS)}")
    return FORMATS[text]


def megapixels(name: str, text: str) -> int:
    """Read millions of px."""
    return int(not_negative(name, text) * 1_000_000)


def base64_text(name: str, text: str) -> str:
    """Read a text from URL-safe base64."""
    try:
        return decode_base64(text).decode()
    except ValueError as error:
        raise bad(name, text, "URL-safe base64 of UTF-8") from error


def decode_base64(text: str) -> bytes:
    """Decode URL-safe base64 whose padding may be missing; raise ValueError for anything else."""
    plain = text.rstrip("=")
    if not _BASE64.fullmatch(plain):
        raise ValueError("a character outside of the URL-safe alphabet")
    try:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error as error:
        raise ValueError("a length that base64 does not have") from error


def text_argument(name: str, text: str) -> str:  # noqa: ARG001 - readers have one signature
    """Read any text."""
    return text


def one_of(name: str, text: str, *, words: Sequence[str]) -> str:
    """Read one of some words."""
    if text not in words:
        raise bad(name, text, f"choice: write {', '.join(words)}")
    return text


def at_most(name: str, args: Args, count: int) -> None:
    """Refuse more arguments than an option has."""
    if len(args) > count:
        raise TransformError(f"{name}: {len(args)} arguments; it has {count} at most.", token=name)


def split_options(segments: list[str], separator: str) -> tuple[list[tuple[str, Args]], list[str]]:
    """Take options off the front of an address: the first segment without an argument begins the source."""
    options: list[tuple[str, Args]] = []
    for at, segment in enumerate(segments):
        name, *args = segment.split(separator)
        if not args and segment != "-":
            return options, segments[at:]
        options.append((name, args))
    return options, []


def simple(key: str, read: Callable[[str, str], object], name: str, state: State, args: Args) -> None:
    """Read an option of one argument."""
    at_most(name, args, 1)
    state[key] = read(name, args[0])


def listed(keys: Sequence[tuple[str, Callable[[str, str], object]]], name: str, state: State, args: Args) -> None:
    """Read several arguments; an empty one leaves what was there."""
    at_most(name, args, len(keys))
    for (key, read), text in zip(keys, args, strict=False):
        if text:
            state[key] = read(name, text)


def nested(key: str, kind: type[Any], readers: Sequence[Callable[[str, str], object]]) -> Handler:
    """Return what reads the fields of a value in their order; those that are left out stay as a preset has them."""

    def read(name: str, state: State, args: Args) -> None:
        at_most(name, args, len(readers))
        fields = zip(kind.__struct_fields__, readers, args, strict=False)
        before = state.get(key) or getattr(Pipeline(), key, None) or kind()
        state[key] = msgspec.structs.replace(before, **{field: one(name, text) for field, one, text in fields if text})

    return read
