"""What a result keeps of its source's metadata, when it is asked to."""

from __future__ import annotations

from typing import Final

from PIL import Image

_ORIENTATION: Final = 0x0112  # the pixels are upright by then
_GPS: Final = 0x8825


def kept_exif(data: bytes | None) -> bytes:
    """Return EXIF without position and orientation, empty where it can't be read; thumbnails go, too."""
    if not data:
        return b""
    try:
        exif = Image.Exif()
        exif.load(data)
        for tag in (_ORIENTATION, _GPS):
            exif.pop(tag, None)
        return exif.tobytes()
    except Exception:
        return b""
