"""Which uploads are taken, what becomes of them, and what their senders are told."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from s3img import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

Metadata: TypeAlias = Literal["strip", "reencode", "keep"]

Conflict: TypeAlias = Literal["skip-identical", "rename", "error"]

ConvertedFormat: TypeAlias = Literal["", "jpeg", "png", "webp", "avif"]

_KNOWN_FORMATS = frozenset({"jpeg", "png", "gif", "webp", "avif", "tiff", "bmp", "ico", "svg"})


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPolicy:
    """Say which pictures are taken and how they are stored.

    ``formats`` by what the bytes are; SVG is not among the default ones, because it may hold scripts. ``max_bytes`` and
    ``max_pixels`` are checked before a pixel is decoded. ``metadata``: ``strip`` takes EXIF, GPS and comments out
    without touching pixels (a picture that lies on its side is turned and encoded anew), ``reencode`` always encodes
    anew, ``keep`` stores the bytes as they came. ``max_side`` px scales larger pictures down; ``convert`` is the format
    that pictures of another one are stored in (animations only as WebP, SVG never). ``conflict`` says what
    happens when the key is taken: the same bytes count as stored (others are an error), a free name, or an error.
    ``tolerant`` takes JPEGs that lack nothing but their end marker.
    """

    formats: frozenset[str] = frozenset({"jpeg", "png", "gif", "webp", "avif"})
    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    max_side: int = 0
    convert: ConvertedFormat = ""
    metadata: Metadata = "strip"
    conflict: Conflict = "skip-identical"
    variants: bool = False
    tolerant: bool = False

    def __post_init__(self) -> None:
        problems = []
        if isinstance(self.formats, str) or not isinstance(self.formats, Iterable):
            raise errors.ConfigError([f"formats: {self.formats!r} is not a list of formats"])
        object.__setattr__(self, "formats", frozenset(self.formats))  # a list does as well
        if not self.formats:
            problems.append("formats: name at least one")
        if unknown := sorted(map(str, self.formats - _KNOWN_FORMATS)):
            problems.append(f"formats: {', '.join(unknown)}: known are {', '.join(sorted(_KNOWN_FORMATS))}")
        if min(self.max_bytes, self.max_pixels) < 1 or self.max_side < 0:
            problems.append("max_bytes, max_pixels: name numbers above 0; max_side: 0 or px")
        for name, words in (("metadata", Metadata), ("conflict", Conflict), ("convert", ConvertedFormat)):
            if (value := getattr(self, name)) not in get_args(words):
                problems.append(f"{name}: {value!r} is not one of {', '.join(filter(None, get_args(words)))}")
        if problems:
            raise errors.ConfigError(problems)


@contextmanager
def explained_to_visitors(filename: str, policy: UploadPolicy) -> Iterator[None]:
    """Give each error a text for the person who sent a file: what is wrong with it and what is accepted.

    That person can change neither the settings nor the program, so the error's own message is not for them.
    """
    try:
        yield
    except errors.S3ImgError as error:
        error.visitor = visitor_text(error, filename, policy)
        raise


def visitor_text(error: errors.S3ImgError, filename: str, policy: UploadPolicy) -> str:
    """Return what to tell the sender of a file."""
    name = f"“{filename[:80]}”" if filename else "The file"
    if isinstance(error, errors.UnsupportedImage):
        *others, last = sorted("WebP" if name == "webp" else name.upper() for name in policy.formats)
        accepted = f"{', '.join(others)} or {last}" if others else last
        what = " is a HEIC picture and" if "HEIC" in error.message else ""
        return f"{name}{what} can't be used. Please choose a picture in one of these formats: {accepted}."
    if isinstance(error, errors.ImageTooLarge):
        size = f"{policy.max_bytes / 1e6:.3g} MB" if policy.max_bytes >= 1e6 else f"{policy.max_bytes / 1e3:.3g} kB"
        pixels = f"{policy.max_pixels / 1e6:.3g} megapixels"
        most = dict.fromkeys(("max_bytes", "input_bytes"), size)
        most |= dict.fromkeys(("input_pixels", "jpeg_pixels", "frame_pixels"), pixels)
        if error.limit in most:
            return f"{name} is too large. Please choose a picture of at most {most[error.limit]}."
        return f"{name} takes too long to read. Please save it again with another program."
    if isinstance(error, errors.ImageError):
        return f"{name} is damaged or incomplete. Please save or download it again."
    if isinstance(error, errors.KeyTaken):
        return f"There is already another picture of this name. Please give {name} another name."
    return f"{name} could not be saved. Please try again later."
