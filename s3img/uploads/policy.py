"""What an upload may be, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from s3img.errors import ConfigError

Metadata: TypeAlias = Literal["strip", "reencode", "keep"]
Conflict: TypeAlias = Literal["skip-identical", "rename", "error"]

DEFAULT_TEMPLATE = "i/{{year}}/{{month}}/{{day}}/{{ulid-dayslice}}.{{ext}}"
_KNOWN = frozenset({"jpeg", "png", "gif", "webp", "avif", "tiff", "bmp", "ico", "svg"})


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
        if unknown := sorted(map(str, self.formats - _KNOWN)):
            problems.append(f"formats: {', '.join(unknown)}: known are {', '.join(sorted(_KNOWN))}")
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
