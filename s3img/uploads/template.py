"""Keys of uploads: what a file is called, and when and by which chance it came.

The names are S3 Image Port's, so that its templates go on working, and those of `s3img.keys`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

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
