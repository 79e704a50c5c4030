"""Which format a picture is written in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3img.imaging.encode import encoders
from s3img.imaging.model import MEDIA_TYPES

if TYPE_CHECKING:
    from collections.abc import Collection

    from s3img.imaging.model import ImageInfo
    from s3img.steps import Format

_MODERN: Final = ("avif", "webp")
_EVERYWHERE: Final = frozenset({"jpeg", "png", "gif"})


def choose_format(wanted: Format, info: ImageInfo, accept: Collection[str] | None, *, alpha: bool) -> str:
    """Return the format for what is ``wanted``.

    ``auto`` is the most modern of what a client accepts (media types), else the source's own where every browser
    shows it, else PNG with transparency and JPEG without, GIF for an animation. Without knowledge of a client
    (None), like ``orig``, it is the source's own where that can be written.
    """
    if wanted not in {"auto", "orig"}:
        return wanted
    fitting = not (alpha and info.format == "jpeg")
    if wanted == "orig" or accept is None:
        own = info.format in encoders() and fitting
    else:
        for name in _MODERN:
            if MEDIA_TYPES[name] in accept and name in encoders():
                return name
        own = info.format in _EVERYWHERE and fitting
    return info.format if own else _plain(info, alpha=alpha)


def _plain(info: ImageInfo, *, alpha: bool) -> str:
    """Return a format that every browser shows."""
    if info.animated:
        return "gif"
    return "png" if alpha else "jpeg"
