"""Keys of uploads: what a file is called, and when and by which chance it came.

The names are S3 Image Port's, so that its templates go on working, and those of `s3img.keys`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from s3img import keys
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

_KNOWN = (*keys.PLACEHOLDERS, *sorted(keys.PER_UPLOAD))

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

DEFAULT_TEMPLATE = "i/{{year}}/{{month}}/{{day}}/{{ulid-dayslice}}.{{ext}}"
"""Of programs that take uploads: each is an object of its own, so that whoever sent it may delete it."""

AUTHORS_TEMPLATE = "i/{{hash:32}}.{{ext}}"
"""Of the command line: the same picture has the same address, however often an author uploads it."""

_RANDOM_BITS = 80

_ULID_LENGTH = 26


@dataclass(frozen=True, slots=True)
class UploadFields:
    """Say what an upload's key may be made of: its file's facts, when it came (UTC), and 80 random bits."""

    file: keys.KeyFields
    when: datetime
    entropy: int

    def values(self) -> dict[str, str]:
        """Return the text of each placeholder that an upload's key may have."""
        milliseconds = int(self.when.timestamp() * 1000)
        name = ulid(milliseconds, self.entropy)
        # Ten characters that sort by the time of day, and four random ones: short, and unique within a folder of a day.
        day_slice = f"{name[4:10]}-{name[-4:]}".lower()
        return keys.values_of(self.file) | {
            "year": f"{self.when:%Y}",
            "month": f"{self.when:%m}",
            "day": f"{self.when:%d}",
            "hour": f"{self.when:%H}",
            "minute": f"{self.when:%M}",
            "second": f"{self.when:%S}",
            "timestamp": str(milliseconds),
            "ulid": name,
            "ulid-dayslice": day_slice,
            "random": day_slice,
            "uuid": str(uuid.UUID(int=self.entropy << 48 & (1 << 128) - 1, version=4)),
        }


@dataclass(frozen=True, slots=True)
class UploadTemplate:
    """Turn an upload into a key; the text form is ``i/{{year}}/{{month}}/{{day}}/{{ulid-dayslice}}.{{ext}}``."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check a template; raise ConfigError naming each bad placeholder, its position and the nearest valid one."""
        problems = [found for match in keys.TOKEN.finditer(text) if (found := keys.unknown_placeholder(match, _KNOWN))]
        problems += keys.path_problems(text)
        if not text.strip():
            problems.append("a key must not be empty: write {{ulid}}.{{ext}}")
        if problems:
            raise ConfigError(problems)
        return cls(text)

    def __str__(self) -> str:
        return self.text

    def key(self, fields: UploadFields) -> str:
        """Return the key; raise ConfigError for one that is longer than 1,024 bytes or has an empty name."""
        values = fields.values()
        empty = [match[1] for match in keys.TOKEN.finditer(self.text) if match[1] != "dir" and not values[match[1]]]
        if empty:
            raise ConfigError([f"{{{{{empty[0]}}}}} is empty for {fields.file.path!r}: use {{{{ulid}}}}"])
        key = keys.fill(self.text, values, name=fields.file.path)
        if keys.is_reserved(key):
            raise ConfigError(
                [f"the key {key!r} lies below {keys.OWN_FOLDER}, which is s3img's own: choose another folder"]
            )
        return key


def ulid(milliseconds: int, entropy: int) -> str:
    """Return a ULID: 48 bits of Unix time in ms and 80 random ones, in Crockford's base 32 (ulid/spec)."""
    number = (milliseconds << _RANDOM_BITS) | entropy % (1 << _RANDOM_BITS)
    return "".join(_CROCKFORD[(number >> 5 * place) & 31] for place in reversed(range(_ULID_LENGTH)))
