"""A document as the finders see it: ASCII as it is, one filler byte for every byte or character that is not."""

from __future__ import annotations

import codecs
import re
from urllib.parse import quote

import msgspec

_ASCII = "".join(map(chr, range(128)))
# characters whose second byte may look like ASCII, and the shifted stretches of ISO-2022-JP
_WIDE = {
    "cp932": re.compile(rb"(?:[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc])+"),
    "gb18030": re.compile(rb"(?:[\x81-\xfe](?:[\x30-\x39][\x81-\xfe][\x30-\x39]|[\x40-\x7e\x80-\xfe]))+"),
    "big5hkscs": re.compile(rb"(?:[\x81-\xfe][\x40-\x7e\xa1-\xfe])+"),
    "cp949": re.compile(rb"(?:[\x81-\xfe][\x41-\x5a\x61-\x7a\x81-\xfe])+"),
    "iso2022_jp": re.compile(rb"\x1b(?:\$[@B]|\(I)(?:[^\x1b]|\x1b(?!\([BJ]))*(?:\x1b\([BJ])?|\x1b\([BJ]"),
}


def fill_characters(error: UnicodeError) -> tuple[bytes, int]:
    """Stand for each character that is not ASCII by one byte, so that offsets stay."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return b"\xff" * (error.end - error.start), error.end


codecs.register_error("s3img.fill", fill_characters)


class Source(msgspec.Struct, frozen=True, gc=False):
    """Text to search: ``code`` has the length of ``data`` and holds its ASCII characters at their offsets.

    ``charset`` is the codec of bytes, ``""`` for str; for UTF-16, which is searched as str, the codec it came in.
    """

    data: bytes | str
    code: bytes
    charset: str

    def text(self, start: int, end: int) -> str:
        """Return a stretch as text; bytes that can't be decoded become U+FFFD, as in a browser."""
        if isinstance(self.data, str):
            return self.data[start:end]
        return self.data[start:end].decode(self.charset, "replace")

    def url(self, text: str) -> bytes | str:
        """Return an encoded URL as data; what the charset can't hold is percent-encoded as UTF-8."""
        if isinstance(self.data, str):
            return text
        try:
            return text.encode(self.charset)
        except UnicodeEncodeError:
            return quote(text, safe=_ASCII, errors="replace").encode("ascii")

    def markup(self, text: str) -> bytes | str:
        """Return markup as data; what the charset can't hold becomes a character reference."""
        return text if isinstance(self.data, str) else text.encode(self.charset, "xmlcharrefreplace")


def from_text(text: str, charset: str = "") -> Source:
    """Return the source of a string; every offset counts characters."""
    return Source(text, text.encode("latin-1", "s3img.fill"), charset)


def from_bytes(data: bytes, charset: str) -> Source:
    """Return the source of bytes in an encoding that contains ASCII, or in ISO-2022-JP."""
    wide = _WIDE.get(charset)
    if wide is None or (data.isascii() and b"\x1b" not in data):
        return Source(data, data, charset)
    return Source(data, wide.sub(lambda found: b"\xff" * len(found[0]), data), charset)
