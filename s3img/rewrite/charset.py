"""Which encoding a document is in: the HTML standard's sniffing, and the Encoding standard's labels."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from s3img.rewrite.html.tokens import ATTRIBUTE, UP_TO_META

# Labels that Python does not know or takes for another encoding (https://encoding.spec.whatwg.org/#names-and-labels).
_LABELS = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16",
    "utf-16-be": "unicodefffe",
    "iso8859-6": "csiso88596e csiso88596i iso-8859-6-e iso-8859-6-i",
    "iso8859-7": "sun_eu_greek",
    "iso8859-8": "csiso88598e iso-8859-8-e visual csiso88598i iso-8859-8-i logical",
    "iso8859-15": "csisolatin9",
    "koi8-r": "koi koi8",
    "koi8-u": "koi8-ru",
    "mac-roman": "csmacintosh mac x-mac-roman",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp1252": "ansi_x3.4-1968 ascii cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1"
    " iso_8859-1:1987 l1 latin1 us-ascii x-user-defined",
    "cp1254": "csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk",
    "big5hkscs": "big5 cn-big5 csbig5 x-x-big5",
    "euc_jp": "cseucpkdfmtjapanese x-euc-jp",
    "cp932": "csshiftjis shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601"
    " windows-949",
    "": "csiso2022kr hz-gb-2312 iso-2022-cn iso-2022-cn-ext iso-2022-kr replacement",
}
_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
_SHORT = re.compile(r"iso8859(\d{1,2})|x-(cp125\d)")
_ENCODINGS = frozenset(("utf-8", "utf-16-le", "utf-16-be", "koi8-r", "koi8-u", "mac-roman", "mac-cyrillic")) | {
    *(f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
    *(f"cp{page}" for page in (866, 874, 932, 949, *range(1250, 1259))),
    *("gb18030", "big5hkscs", "euc_jp", "iso2022_jp"),
}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF16_LE, "utf-16-le"))
_SNIFFED = 1024  # bytes in which an author's declaration counts
_META = re.compile(rb"<meta(?:%b)*+" % ATTRIBUTE.pattern, re.IGNORECASE)
_CONTENT = re.compile(rb"charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:\"([^\"]*)\"|'([^']*)'|([^\t\n\f\r ;\"'][^\t\n\f\r ;]*))")
_AT_CHARSET = re.compile(rb'@charset "([^"]*)";')


@lru_cache(maxsize=256)
def codec(label: str) -> str | None:
    """Return Python's codec for a label of the Encoding standard, ``""`` for those never decoded, None if unknown."""
    key = label.strip("\t\n\f\r ").lower()
    if key in _CODECS:
        return _CODECS[key]
    if short := _SHORT.fullmatch(key):
        key = f"iso8859-{short[1]}" if short[1] else short[2]
    try:
        name = codecs.lookup(key).name
    except (LookupError, ValueError):
        return None
    return name if name in _ENCODINGS else None


def sniff(data: bytes, *, given: str | None = None, css: bool = False) -> str:
    """Return the codec of a document: byte order mark, given label, its own declaration, UTF-8 (in this order)."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    found = codec(given) if given else None
    if found is None and css:
        rule = _AT_CHARSET.match(data, 0, _SNIFFED)
        found = _declared(rule[1]) if rule else None
    elif found is None:
        found = prescan(data[:_SNIFFED])
    return "utf-8" if found is None else found


def _declared(label: bytes) -> str | None:
    """Return the codec of a label in the document itself, which can't be UTF-16 if it could be read."""
    found = codec(label.decode("latin-1"))
    return "utf-8" if found in ("utf-16-le", "utf-16-be") else found


def prescan(head: bytes) -> str | None:
    """Return the codec that a ``<meta>`` declares (https://html.spec.whatwg.org/#prescan-a-byte-stream…)."""
    at = 0
    while (skipped := UP_TO_META.match(head, at)) and (meta := _META.match(head, skipped.end())):
        found = _declared_by(meta[0])
        if found is not None:
            return found
        at = meta.end()
    return None


@lru_cache(maxsize=64)  # the pages of a site declare it alike
def _declared_by(meta: bytes) -> str | None:
    """Return the codec that the attributes of a ``<meta>`` declare."""
    attributes: dict[bytes, bytes] = {}
    for attribute in ATTRIBUTE.finditer(meta, len(b"<meta")):
        group = attribute.lastindex or 1
        attributes.setdefault(attribute[1].lower(), attribute[group].lower() if group > 1 else b"")
    label = attributes.get(b"charset")
    if label is None and attributes.get(b"http-equiv") == b"content-type":
        content = _CONTENT.search(attributes.get(b"content", b""))
        label = content[content.lastindex or 0] if content else None
    return None if label is None else _declared(label)
