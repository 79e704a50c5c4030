from __future__ import annotations

import sys
from pathlib import Path

import pytest
import tinycss2
from hypothesis import given, settings
from hypothesis import strategies as st

from s3img.rewrite import find_references, rewrite

PACKAGES = [Path(entry) for entry in sys.path if entry.endswith("site-packages")]
SHEETS = sorted(sheet for root in PACKAGES for sheet in root.rglob("*.css"))


@pytest.mark.parametrize(
    ("css", "urls"),
    [
        ("a{b:url(c.png)}", ["c.png"]),
        ("a{b:URL( 'c.png' )}", ["c.png"]),
        ('a{b:url("c\\"d.png")}', ['c"d.png']),
        ("a{b:url(c\\20 d.png)}", ["c d.png"]),
        ("a{b:url(c d.png)} e{f:url(g)}", ["g"]),
        ("a{b:url(c(n) d)} e{f:url(g)}", ["g"]),
        ("a{b:url('c\n url(d)", ["d"]),
        ("a{b:url('c", ["c"]),
        ("a{b:url(c", ["c"]),
        ("a{b:-url(n) xurl(n) éurl(n)}", []),
        ("a{b:'url(n)' /* url(n) */ url(c)}", ["c"]),
        ("a{b:url()} c{d:url('')} e{f:url(#g)}", []),
        ("@import url(n); @import 'n'; @namespace url(n); a{b:url(c)}", ["c"]),
        ("@font-face{src:url(n)} a{b:url(c)}", ["c"]),
        ("@font-facex{src:url(c)}", ["c"]),
        ("@media print{a{b:url(c)}}", ["c"]),
        ('a{b:image-set("c" 1x, "d" type("n") 2x, url(e) 3x)}', ["c", "d", "e"]),
        ("a{b:-webkit-image-set(url(c) 1x, url('d') 2x)} e{f:'n'}", ["c", "d"]),
        ('a{b:image-set(linear-gradient("n"), "c")}', ["c"]),
        ("a{--x:url(c)}", ["c"]),
        ("a{b:\\url(n)}", []),
    ],
)
def test_style_sheet_urls(css: str, urls: list[str]) -> None:
    assert [reference.url for reference in find_references(css, "text/css")] == urls
    assert [reference.url for reference in find_references(css.encode(), "text/css")] == urls


def oracle(css: str) -> list[str]:
    """Return the URLs by tinycss2: of url() everywhere but in @import, @namespace and @font-face, no fragments."""
    found: list[str] = []

    def walk(nodes: list[tinycss2.ast.Node] | None) -> None:
        for node in nodes or ():
            if node.type == "url":
                found.append(node.value)
            elif node.type == "function" and node.lower_name == "url":
                found.extend(part.value for part in node.arguments if part.type == "string")
            elif node.type == "function" and node.lower_name.endswith("image-set"):
                found.extend(part.value for part in node.arguments if part.type == "string")
                walk(node.arguments)
            elif node.type == "function":
                walk(node.arguments)
            elif node.type == "at-rule" and node.lower_at_keyword in ("import", "namespace", "font-face", "charset"):
                continue
            elif node.type in ("qualified-rule", "at-rule"):
                walk(node.prelude)
                walk(node.content if node.type == "qualified-rule" else tinycss2.parse_rule_list(node.content or []))
            elif node.type.endswith("block"):
                walk(node.content)

    walk(tinycss2.parse_stylesheet(css))
    return [url for url in map(str.strip, found) if url and not url.startswith("#")]


def test_installed_style_sheets_exist() -> None:
    assert len(SHEETS) >= 10


@pytest.mark.parametrize("sheet", SHEETS, ids=[sheet.name for sheet in SHEETS])
def test_real_style_sheet_agrees_with_tinycss2(sheet: Path) -> None:
    css = sheet.read_text(encoding="utf-8")
    assert [reference.url for reference in find_references(css, "text/css")] == oracle(css)


TOKENS = st.sampled_from(
    ["a", "{", "}", "(", ")", "url(", "image-set(", '"', "'", "\\", "/*", "*/", "\n", " ", ",", "x.png", "type(", "é"]
)


@settings(deadline=None)
@given(st.lists(TOKENS, max_size=30).map("".join))
def test_any_style_sheet_keeps_all_but_the_spans(css: str) -> None:
    spans = [(r.start, r.end) for r in find_references(css, "text/css")]
    new = rewrite(css, "text/css", lambda _: "N")
    assert len(find_references(new, "text/css")) == len(spans)
    shift = at = 0
    for start, end in spans:
        assert new[at + shift : start + shift] == css[at:start]
        size = 3 if new.startswith('"N"', start + shift) else 1
        shift, at = shift + size - (end - start), end
    assert new[at + shift :] == css[at:]
