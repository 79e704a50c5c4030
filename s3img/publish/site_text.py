"""The text files of a site, of whatever kind: scripts, data, templates, server settings, compressed copies."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from s3img import codings
from s3img.assets import OWN_FOLDER
from s3img.rewrite.charset import sniff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.assets import AssetRoot

MOST_UNPACKED = 64_000_000
"""Bytes that a compressed text may become; beyond that it is not looked into."""

_BINARY = frozenset(
    (
        *(".apng", ".avif", ".bmp", ".cur", ".gif", ".heic", ".heif", ".ico", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
        *(".jxl", ".png", ".psd", ".tif", ".tiff", ".webp", ".avi", ".flac", ".m4a", ".m4v", ".mov", ".mp3", ".mp4"),
        *(".mpeg", ".mpg", ".ogg", ".ogv", ".opus", ".wav", ".webm", ".eot", ".otf", ".ttf", ".woff", ".woff2"),
        *(".7z", ".bz2", ".jar", ".rar", ".tar", ".tgz", ".whl", ".xz", ".zip", ".docx", ".epub", ".pdf", ".pptx"),
        *(".exe", ".so", ".wasm", ".xlsx"),
    )
)
PACKED = {".gz": "gzip", ".br": "br", ".zst": "zstd"}
"""The content coding of a compressed copy, by the end of its name."""

_BEGINNING = 4096  # bytes in which a binary file has a zero byte
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def text_files(root: AssetRoot) -> Iterator[tuple[str, bytes | None]]:
    """Yield (path, text) of every file that may be text, as it is on disk now; None where it can't be read.

    Files that s3img wrote, and links to other files of the site, are left out. Compressed text comes unpacked.
    """
    for path in sorted(root.files):
        suffix = path[path.rfind(".") :].lower()
        if suffix in _BINARY or path in root.links or path.startswith(OWN_FOLDER + "/"):
            continue
        try:
            data: bytes | None = root.file(path).read_bytes()
        except OSError:
            data = None
        coding = "gzip" if suffix == ".svgz" else PACKED.get(suffix)
        if data is not None and coding:
            data = codings.decoded(data, coding, MOST_UNPACKED) if codings.is_known(coding) else None
        if data is None or data.startswith(_UTF16) or b"\0" not in data[:_BEGINNING]:
            yield path, data


def decode_text(data: bytes) -> str:
    """Return a file's text: UTF-8, or else what its byte order mark or its own declaration says."""
    if not data.startswith(_UTF16):
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
    codec = sniff(data)
    return data.decode("cp1252" if codec in ("", "utf-8") else codec, "replace")
