"""Keys of uploads: what a file is called, and when and by which chance it came.

The names are S3 Image Port's, so that its templates go on working, and those of `s3img.keys`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from s3img.errors import ConfigError
from s3img.keys import PER_UPLOAD, PLACEHOLDERS, TOKEN, KeyFields, fill, path_problems, unknown_placeholder, values_of

if TYPE_CHECKING:
    from datetime import datetime

_KNOWN = (*PLACEHOLDERS, *sorted(PER_UPLOAD))

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

_RANDOM_BITS = 80

_ULID_LENGTH = 26


@dataclass(frozen=True, slots=True)
class UploadFields:
    """Say what an upload's key may be made of: its file's facts, when it came (UTC), and 80 random bits."""

    file: KeyFields
    when: datetime
    entropy: int


@dataclass(frozen=True, slots=True)
class UploadTemplate:
    """Turn an upload into a key; the text form is ``i/{{year}}/{{month}}/{{day}}/{{ulid-dayslice}}.{{ext}}``."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check a template; raise ConfigError naming each bad placeholder, its position and the nearest valid one."""
        problems = [found for match in TOKEN.finditer(text) if (found := unknown_placeholder(match, _KNOWN))]
        problems += path_problems(text)
        if not text.strip():
            problems.append("a key must not be empty: write {{ulid}}.{{ext}}")
        if problems:
            raise ConfigError(problems)
        return cls(text)

    def __str__(self) -> str:
        return self.text

    def key(self, fields: UploadFields) -> str:
        """Return the key; raise ConfigError for one that is longer than 1,024 bytes or has an empty name."""
        values = values_of(fields.file) | _moment(fields)
        empty = [match[1] for match in TOKEN.finditer(self.text) if match[1] != "dir" and not values[match[1]]]
        if empty:
            raise ConfigError([f"{{{{{empty[0]}}}}} is empty for {fields.file.path!r}: use {{{{ulid}}}}"])
        return fill(self.text, values, name=fields.file.path)


def ulid(milliseconds: int, entropy: int) -> str:
    """Return a ULID: 48 bits of Unix time in ms and 80 random ones, in Crockford's base 32 (ulid/spec)."""
    number = (milliseconds << _RANDOM_BITS) | entropy % (1 << _RANDOM_BITS)
    return "".join(_CROCKFORD[(number >> 5 * place) & 31] for place in reversed(range(_ULID_LENGTH)))


def _moment(fields: UploadFields) -> dict[str, str]:
    when = fields.when
    milliseconds = int(when.timestamp() * 1000)
    name = ulid(milliseconds, fields.entropy)
    day_slice = f"{name[4:10]}-{name[-4:]}".lower()
    return {
        "year": f"{when:%Y}",
        "month": f"{when:%m}",
        "day": f"{when:%d}",
        "hour": f"{when:%H}",
        "minute": f"{when:%M}",
        "second": f"{when:%S}",
        "timestamp": str(milliseconds),
        "ulid": name,
        "ulid-dayslice": day_slice,
        "random": day_slice,
        "uuid": str(uuid.UUID(int=fields.entropy << 48 & (1 << 128) - 1, version=4)),
    }


Metadata: TypeAlias = Literal["strip", "reencode", "keep"]

Conflict: TypeAlias = Literal["skip-identical", "rename", "error"]

DEFAULT_TEMPLATE = "i/{{year}}/{{month}}/{{day}}/{{ulid-dayslice}}.{{ext}}"

_KNOWN_FORMATS = frozenset({"jpeg", "png", "gif", "webp", "avif", "tiff", "bmp", "ico", "svg"})


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPolicy:
    """Say which pictures are taken and how they are stored.

    ``formats`` by what the bytes are; SVG is not among the default ones, because it may hold scripts. ``max_bytes`` and
    ``max_pixels`` are checked before a pixel is decoded. ``metadata``: ``strip`` takes EXIF, GPS and comments out
    without touching pixels (a picture that lies on its side is turned and encoded anew), ``reencode`` always encodes
    anew, ``keep`` stores the bytes as they came. ``max_side`` px scales larger pictures down. ``conflict`` says what
    happens when the key is taken: the same bytes count as stored (others are an error), a free name, or an error.
    """

    formats: frozenset[str] = frozenset({"jpeg", "png", "gif", "webp", "avif"})
    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    max_side: int = 0
    metadata: Metadata = "strip"
    conflict: Conflict = "skip-identical"
    variants: bool = False

    def __post_init__(self) -> None:
        problems = []
        object.__setattr__(self, "formats", _names(self.formats))  # a list does as well
        if not self.formats:
            problems.append("formats: name at least one")
        if unknown := sorted(map(str, self.formats - _KNOWN_FORMATS)):
            problems.append(f"formats: {', '.join(unknown)}: known are {', '.join(sorted(_KNOWN_FORMATS))}")
        if min(self.max_bytes, self.max_pixels) < 1 or self.max_side < 0:
            problems.append("max_bytes, max_pixels: name numbers above 0; max_side: 0 or px")
        if self.metadata not in {"strip", "reencode", "keep"}:
            problems.append(f"metadata: {self.metadata!r} is none of strip, reencode, keep")
        if self.conflict not in {"skip-identical", "rename", "error"}:
            problems.append(f"conflict: {self.conflict!r} is none of skip-identical, rename, error")
        if problems:
            raise ConfigError(problems)


def _names(formats: object) -> frozenset[str]:
    if isinstance(formats, str) or not isinstance(formats, Iterable):
        raise ConfigError([f"formats: {formats!r} is no list of formats"])
    return frozenset(formats)
