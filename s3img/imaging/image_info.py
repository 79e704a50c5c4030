"""Values of the image engine; nothing here needs Pillow."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from s3img.assets import ImageFacts
from s3img.errors import DigestMismatch

MEDIA_TYPES: Final = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "tiff": "image/tiff",
    "bmp": "image/bmp",
    "heic": "image/heic",
    "jp2": "image/jp2",
    "ico": "image/vnd.microsoft.icon",
    "svg": "image/svg+xml",
}
"""Media type of each format that ``probe`` knows."""

FORMATS: Final = {media_type: name for name, media_type in MEDIA_TYPES.items()}
"""Format of each media type."""

SUFFIXES: Final = {"jpeg": "jpg", "tiff": "tif"}
"""File name suffixes that differ from the format's name."""

PUBLISHED_AS_IS: Final = frozenset({"svg", "ico"})
"""Formats that are recognised and measured, and never rendered."""


class ImageInfo(msgspec.Struct, frozen=True):
    """What an image's header says: ``width`` and ``height`` are the px of the upright picture.

    ``orientation`` is the EXIF value (1 to 8) under which the pixels are stored, ``frames`` above 1 an animation.
    An SVG that states no size has 0 x 0. ``canvas`` is what decoding takes, in px, where that is more: frames of a GIF
    may reach beyond what is shown. ``buffered`` are the bytes that the decoder of a JPEG of several scans keeps of the
    whole picture; 0 where px can be scaled down as they come. ``few_colors`` is a TIFF or BMP of one bit or a palette.
    """

    format: str
    width: int
    height: int
    frames: int = 1
    alpha: bool = False
    orientation: int = 1
    canvas: tuple[int, int] = (0, 0)
    buffered: int = 0
    few_colors: bool = False

    @property
    def media_type(self) -> str:
        """Return the media type, found from the bytes."""
        return MEDIA_TYPES[self.format]

    @property
    def animated(self) -> bool:
        """Tell whether there is more than one frame."""
        return self.frames > 1

    @property
    def is_lossless(self) -> bool:
        """Tell whether the format keeps every px, so that the picture may be a drawing."""
        return self.format in {"png", "gif", "bmp"} or self.few_colors

    @property
    def renderable(self) -> bool:
        """Tell whether ``render`` takes this format as a source."""
        return self.format not in PUBLISHED_AS_IS

    @property
    def facts(self) -> ImageFacts:
        """Return what markup, plans and the cache need of it."""
        return ImageFacts(self.media_type, self.width, self.height, animated=self.animated, alpha=self.alpha)

    @property
    def stored_size(self) -> tuple[int, int]:
        """Return width and height of the pixels as stored, before they are turned upright."""
        return upright((self.width, self.height), self.orientation)


class Rendered(msgspec.Struct, frozen=True):
    """One result: encoded bytes, their media type and their size in px."""

    data: bytes
    media_type: str
    width: int
    height: int


class RenderTarget(msgspec.Struct, frozen=True):
    """What to render a source to: px, format (``jpeg png gif webp avif``), quality (0: the default's).

    ``subsampling`` of colour is ``444``, ``420`` or "": chosen by the source.
    """

    width: int
    height: int
    format: str
    quality: int = 0
    subsampling: str = ""


def upright(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Exchange the sides of ``size`` if EXIF ``orientation`` lays the picture on its side."""
    return (size[1], size[0]) if orientation >= 5 else size


def check_digest(data: bytes, expected: tuple[str, str]) -> None:
    """Raise DigestMismatch for a source without the digest ``expected``: name and hexadecimal digits, "" for any."""
    kind, digest = expected
    if kind and hashlib.new(kind, data).hexdigest() != digest:
        raise DigestMismatch(
            f"hashsum: the source has another {kind} than the address names.",
            fix="Write the digest of the source as it is now, or leave hashsum out.",
        )
