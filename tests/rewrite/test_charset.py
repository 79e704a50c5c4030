from __future__ import annotations

import codecs

import pytest
from webencodings.labels import LABELS

from s3img.rewrite import find_references, rewrite
from s3img.rewrite.charset import codec, sniff

RENAMED = {
    "big5": "big5hkscs",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "gbk": "gb18030",
    "macintosh": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "ibm866": "cp866",
    "windows-874": "cp874",
    "iso-8859-8-i": "iso8859-8",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "x-user-defined": "cp1252",
}
REFUSED = ("replacement", "hz-gb-2312", "iso-2022-kr", "iso-2022-cn", "iso-2022-cn-ext", "csiso2022kr")


def test_labels_are_those_of_the_encoding_standard() -> None:
    for label, name in LABELS.items():
        expected = "" if label in REFUSED else codecs.lookup(RENAMED.get(name, name)).name
        assert codec(f" {label.upper()}\n") == expected, label


@pytest.mark.parametrize("label", ["", "utf-7", "idna", "rot13", "base64", "cp037", "utf-32", "nonsense", "\0"])
def test_other_labels_are_unknown(label: str) -> None:
    assert codec(label) is None


@pytest.mark.parametrize(
    ("data", "given", "expected"),
    [
        (b"", None, "utf-8"),
        (b"\xef\xbb\xbf<meta charset=koi8-r>", "koi8-r", "utf-8"),
        (b"\xff\xfe<\0", "koi8-r", "utf-16-le"),
        (b"\xfe\xff\0<", None, "utf-16-be"),
        (b"<meta charset=koi8-r>", "gbk", "gb18030"),
        (b"<meta charset=koi8-r>", "nonsense", "koi8-r"),
        (b"<META x='>' Charset = 'KOI8-R' >", None, "koi8-r"),
        (b"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>", None, "koi8-r"),
        (b"<meta content='text/html; charset=\"koi8-r\"' http-equiv=content-type>", None, "koi8-r"),
        (b"<meta content='text/html; charset=koi8-r'>", None, "utf-8"),
        (b"<!-- <meta charset=koi8-r> --><p title='<meta charset=gbk>'>", None, "utf-8"),
        (b"<!--><meta charset=koi8-r>", None, "koi8-r"),
        (b"<?<meta charset=koi8-r><meta charset=gbk>", None, "gb18030"),
        (b"<meta charset=nonsense><meta charset=koi8-r>", None, "koi8-r"),
        (b"<meta charset=utf-16>", None, "utf-8"),
        (b"<metax charset=koi8-r>", None, "utf-8"),
        (b" " * 1000 + b"<meta charset=koi8-r>", None, "koi8-r"),
        (b" " * 1010 + b"<meta charset=koi8-r>", None, "utf-8"),
    ],
)
def test_sniff_html(data: bytes, given: str | None, expected: str) -> None:
    assert sniff(data, given=given) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'@charset "koi8-r";', "koi8-r"),
        (b"@charset 'koi8-r';", "utf-8"),
        (b' @charset "koi8-r";', "utf-8"),
        (b'@charset "utf-16be";', "utf-8"),
        (b"<meta charset=koi8-r>", "utf-8"),
    ],
)
def test_sniff_css(data: bytes, expected: str) -> None:
    assert sniff(data, css=True) == expected


WIDE = {
    "shift_jis": "ソ表能十\\",
    "gbk": "乗縗\u4e57",
    "gb18030": "\u0410😀ÿ",
    "big5": "許功蓋",
    "euc-kr": "\uac02똠",
    "euc-jp": "表示",
    "iso-2022-jp": "日本語ﾊﾝ",
    "utf-8": "é日😀",
    "windows-1252": "é€",
}


@pytest.mark.parametrize("charset", WIDE)
def test_html_in_any_encoding_is_rewritten_at_the_right_place(charset: str) -> None:
    text = WIDE[charset].replace("\\", "") if charset != "iso-2022-jp" else "日本語"
    html = f'<p title="{text}">{text}<img alt="{text}" src="{text}.png"><p style="a:url({text}.gif)">{text}'
    page = html.encode(RENAMED.get(charset, charset))
    assert [r.url for r in find_references(page, charset=charset)] == [f"{text}.png", f"{text}.gif"]
    new = rewrite(page, "text/html", lambda r: "n." + r.url[-3:], charset=charset)
    expected = html.replace(f"{text}.png", "n.png").replace(f"{text}.gif", "n.gif")
    assert new.decode(RENAMED.get(charset, charset)) == expected


@pytest.mark.parametrize("charset", ["shift_jis", "gbk", "big5", "euc-kr"])
def test_css_second_bytes_are_no_syntax(charset: str) -> None:
    name = RENAMED.get(charset, charset)
    looks_like_syntax = [
        text
        for lead in range(0x81, 0xFF)
        for trail in b"\\{}@"
        if len(text := bytes((lead, trail)).decode(name, "replace")) == 1 and text != "\ufffd"
    ]
    css = "".join(f"a{{b:'{text}';c:url({text}.png)}}" for text in looks_like_syntax)
    found = find_references(css.encode(name), "text/css", charset=charset)
    assert [reference.url for reference in found] == [f"{text}.png" for text in looks_like_syntax]


@pytest.mark.parametrize("codec_name", ["utf-16-le", "utf-16-be"])
def test_utf16_is_rewritten_and_offsets_count_bytes(codec_name: str) -> None:
    html = '\ufeff😀<img alt="😀日" src="é.png"><p style="a:url(b.png)">\ud800'
    page = html.encode(codec_name, "surrogatepass") + b"\x01"
    found = find_references(page)
    assert [page[r.start : r.end].decode(codec_name) for r in found] == ["é.png", "b.png"]
    tag = found[0].tag
    assert tag is not None
    assert page[tag.start : tag.end].decode(codec_name) == '<img alt="😀日" src="é.png">'
    assert [page[a.start : a.end].decode(codec_name) for a in tag.attributes] == ["😀日", "é.png"]
    new = rewrite(page, "text/html", lambda r: f"n{r.url[0]}")
    assert new == html.replace("é.png", "né").replace("b.png", "nb").encode(codec_name, "surrogatepass") + b"\x01"


def test_refused_encodings_are_left_alone() -> None:
    page = b"<meta charset=iso-2022-kr><img src=a>"
    assert find_references(page) == []
    assert rewrite(page, "text/html", lambda _: "b") is page
