"""Read the arguments of imgproxy's options: numbers, colours, texts; an error names the option it is of."""

from __future__ import annotations

import base64
import binascii
import math
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from s3img.errors import TransformError
from s3img.imgproxy.processing_options import FORMATS, Rgb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

State: TypeAlias = dict[str, Any]
"""Fields by name, as they are read: options that come later overwrite those that came before."""
Args: TypeAlias = list[str]
Handler: TypeAlias = "Callable[[str, State, Args], None]"
Reader: TypeAlias = "Callable[[str, str], object]"
"""Read one argument: the option's name as it was written, and the text."""
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{6}|[0-9A-Fa-f]{3}")
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_BASE64: Final = re.compile(r"[A-Za-z0-9_-]*")
_HUGE: Final = 10**18
_MOST: Final = 1e9
"""Numbers above are refused, and so are positive ones below its inverse: arithmetic with them would leave floats."""


def bad(name: str, text: str, expected: str) -> TransformError:
    """Return the error for an argument, which names its option."""
    article = "an" if expected[0] in "aeiou" else "a"
    return TransformError(f"{name}: {text[:80]!r} is not {article} {expected}.", token=f"{name}:{text[:80]}")


def integer(name: str, text: str, *, least: int = -_HUGE, most: int = _HUGE, what: str = "") -> int:
    """Read a whole number."""
    if not _INTEGER.fullmatch(text) or not least <= int(text) <= most:
        limits = "" if least == -_HUGE else f" from {least}" + (f" to {most}" if most < _HUGE else "")
        raise bad(name, text, what or f"whole number{limits}")
    return int(text)


def decimal(name: str, text: str, *, least: float = -_MOST, most: float = _MOST, what: str = "number") -> float:
    """Read a finite number, which imgproxy leaves unchecked: ``dpr:NaN`` fails there in the middle of the work."""
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not least <= value <= most:
        raise bad(name, text, what)
    return value


positive: Final = partial(integer, least=0)
quality: Final = partial(integer, least=0, most=100)
"""A quality, of which 0 stands for the default."""
share: Final = partial(decimal, least=0, most=1, what="number from 0 to 1")
not_negative: Final = partial(decimal, least=0, what="positive number or 0")
above_zero: Final = partial(decimal, least=1 / _MOST, what="positive number")


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
    return FORMATS[one_of(name, text, words=(*FORMATS,), what="image format")]


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


def one_of(name: str, text: str, *, words: Sequence[str], what: str = "choice") -> str:
    """Read one of some words."""
    if text not in words:
        raise bad(name, text, f"{what}: write one of {', '.join(words)}")
    return text


def at_most(name: str, args: Args, count: int) -> None:
    """Refuse more arguments than an option has."""
    if len(args) > count:
        raise TransformError(f"{name}: {len(args)} arguments; it has {count} at most.", token=name)


def singles(read: Reader, names: str) -> dict[str, Handler]:
    """Return what reads options of one argument, each of which is the field of its own name."""

    def handler(field: str) -> Handler:
        def handle(name: str, state: State, args: Args) -> None:
            at_most(name, args, 1)
            state[field] = read(name, args[0])

        return handle

    return {name: handler(name.replace("-", "_")) for name in names.split()}


def listed(name: str, state: State, args: Args, readers: Mapping[str, Reader]) -> None:
    """Read several arguments in the order of their fields; an empty one leaves what was there."""
    at_most(name, args, len(readers))
    for (field, read), text in zip(readers.items(), args, strict=False):
        if text:
            state[field] = read(name, text)


def nested(field: str, plain: msgspec.Struct, readers: Mapping[str, Reader]) -> Handler:
    """Return what reads the fields of a value in their order; those that are left out stay as a preset has them."""

    def handle(name: str, state: State, args: Args) -> None:
        changed: State = {}
        listed(name, changed, args, readers)
        state[field] = msgspec.structs.replace(state.get(field, plain), **changed)

    return handle
