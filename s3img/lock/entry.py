"""One line of a lock."""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote_to_bytes

import msgspec

from s3img.keys import KeyFields, variant_digest
from s3img.lock.locked_variants import LockedVariants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.keys import KeyTemplate

_FIELD = rb"[!-\xff]++"
LINE = (
    rb"(%b) [0-9a-f]{64} (?:0|[1-9]\d{0,17}) (?:0|[1-9]\d{0,8})x(?:0|[1-9]\d{0,8}) [!-.0-~]++/[!-~]++ %b"
    rb" (?:#[0-9a-f]{6}|-)(?: [0-9a-f]{8}:[!-~]++)?+" % (_FIELD, _FIELD)
)
"""What a line looks like in UTF-8; group 1 is its path. The order of its variants is looked at when they are parsed."""

_LINE = re.compile(LINE)
_ESCAPED = re.compile(
    '[\x00-\x20"#%\\\\\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff]'
)
"""What a line's fields can't show: blanks, line ends, controls, marks without a width, bytes that are not UTF-8.

The set is written out, because Python's own idea of what is printable changes with each Unicode version.
"""
_parsed_variants = lru_cache(maxsize=1024)(LockedVariants.parse)  # most pictures of a lock share theirs
_EXTENSIONS = {"jpeg": "jpg"}
"""Where a format's name is not what its files end in."""

_NO_KEYS: Mapping[tuple[str, int], str] = MappingProxyType({})


class LockEntry(msgspec.Struct, frozen=True):
    """One line of a lock: a path below the lock's folder, its content (sha256, hex), bytes, upright px, and its key.

    ``placeholder`` is a colour (``#rrggbb``) to show while the image loads, "" where none is known; ``variants`` names
    the renderings in the bucket, None where none were made.
    """

    path: str
    sha256: str
    size: int
    width: int
    height: int
    media_type: str
    key: str
    placeholder: str = ""
    variants: LockedVariants | None = None

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read one line; raise ValueError for anything but seven or eight whole fields."""
        if not _LINE.fullmatch(line.encode("utf-8", "surrogatepass")):
            raise ValueError(f"{line[:60]!r} is damaged")
        return cls.of_fields(*line.split(" "))

    @classmethod
    def of_fields(
        cls, path: str, digest: str, size: str, pixels: str, media_type: str, key: str, placeholder: str, *variants: str
    ) -> Self:
        """Read the fields of a line that is known to be whole; raise ValueError for variants that are not."""
        width, _, height = pixels.partition("x")
        return cls(
            unescape_field(path),
            digest,
            int(size),
            int(width),
            int(height),
            media_type,
            unescape_field(key),
            "" if placeholder == "-" else placeholder,
            _parsed_variants(*variants) if variants else None,
        )

    def __str__(self) -> str:
        return (
            f"{escape_field(self.path)} {self.sha256} {self.size} {self.width}x{self.height} {self.media_type}"
            f" {escape_field(self.key)} {self.placeholder or '-'}{f' {self.variants}' if self.variants else ''}"
        )

    def variant_keys(self, template: KeyTemplate) -> Mapping[tuple[str, int], str]:
        """Return the keys of the renderings that the line names, by format and width: those that publishing gives."""
        return _variant_keys(self, self.variants, template) if self.variants and self.width else _NO_KEYS

    def height_at(self, width: int) -> int:
        """Return the height in px of the whole picture at a width."""
        return max(1, (2 * self.height * width + self.width) // (2 * self.width))


@lru_cache(maxsize=4096)
def _variant_keys(entry: LockEntry, variants: LockedVariants, template: KeyTemplate) -> Mapping[tuple[str, int], str]:
    """Work the keys out; every use of a lock asks for them several times."""
    pairs = [(name, width) for name, widths in variants.formats for width in widths]
    return MappingProxyType({pair: _variant_key(entry, variants, template, *pair) for pair in pairs})


def _variant_key(entry: LockEntry, variants: LockedVariants, template: KeyTemplate, name: str, width: int) -> str:
    quality = variants.quality(name)
    subsampling = variants.subsampling(name)
    text = f"w-{width},f-{name}" + (f",q-{quality}" if quality else "") + (f",cs-{subsampling}" if subsampling else "")
    digest = variant_digest(entry.sha256, text, version=variants.version)
    ext = f"w-{width}.{_EXTENSIONS.get(name, name)}"
    return template.key(KeyFields(entry.path, digest, ext, width, entry.height_at(width)))


def escape_field(text: str) -> str:
    """Percent-encode what a field can't show; names that are not UTF-8 keep their bytes."""
    return _ESCAPED.sub(lambda match: "".join(f"%{byte:02X}" for byte in _bytes(match[0])), text)


def unescape_field(text: str) -> str:
    """Take the escaping of a field off; the opposite of `escape_field`."""
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape") if "%" in text else text


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
