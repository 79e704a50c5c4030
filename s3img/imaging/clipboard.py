"""The picture in the clipboard of this machine, as a file."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

from PIL import Image, ImageGrab

from s3img.errors import AssetError


def clipboard_picture() -> bytes:
    """Return the picture that was copied last, as PNG, or the file that was where the clipboard names one.

    On Linux ``wl-paste`` or ``xclip`` is asked. Raise AssetError where there is no picture, or no program to ask.
    """
    try:
        found = ImageGrab.grabclipboard()
    except NotImplementedError:
        raise unreadable(
            "no program of this machine reads it", "Install wl-clipboard or xclip, or name a file."
        ) from None
    except (OSError, ValueError, subprocess.SubprocessError) as error:  # what Pillow and the programs raise
        raise unreadable(f"its content can't be read: {error}", "Copy the picture again, or name a file.") from error
    if isinstance(found, list):  # files that were copied in a file manager, on Windows
        try:
            return Path(found[0]).read_bytes()
        except (OSError, IndexError) as error:
            raise unreadable("the file that it names can't be read", "Name the file.") from error
    if not isinstance(found, Image.Image):
        raise unreadable("it holds no picture", "Copy one first: a picture, not a link to one.")
    written = io.BytesIO()
    found.save(written, "png")
    return written.getvalue()


def unreadable(why: str, fix: str) -> AssetError:
    """Report a clipboard that gives no picture."""
    return AssetError(f"The clipboard: {why}.", path="clipboard", fix=fix)
