from __future__ import annotations

import pytest
import yaml

from s3img.rewrite import find_references, rewrite

TYPE = "text/markdown"
KEYS = ["front matter image", "front matter cover", "front matter thumbnail"]


@pytest.mark.parametrize(
    ("text", "url", "expected"),
    [
        ("![a]( b.png 't' ){ .c }", "https://x/n.png", "![a]( https://x/n.png 't' ){ .c }"),
        ("![](<b c.png>)", "n.png", "![](<n.png>)"),
        ("![](b.png)", "n m.png", "![](n%20m.png)"),
        ("![](b.png)", "n(1).png", "![](n(1).png)"),
        ("![](b.png)", "n(1.png", "![](<n(1.png>)"),
        ("![](b.png)", "n)1(.png", "![](<n)1(.png>)"),
        ("![](<b.png>)", "n<(>.png", "![](<n%3C(%3E.png>)"),
        ("![](b.png)", "n?a=1&b=2", "![](n?a=1&b=2)"),
        ("![](b.png)", "n?a=1&copy;2&#3", "![](n?a=1&amp;copy;2&amp;#3)"),
        ("| ![](b.png) |\n|---|\n", "n|m`\\.png", "| ![](n%7Cm%60%5C.png) |\n|---|\n"),
        ("![](b.png)", "", "![](<>)"),
        ("![](b.png)", "é.png", "![](é.png)"),
        ("![a]\r\n\r\n  [a]:  b.png  't'\r\n", "n.png", "![a]\r\n\r\n  [a]:  n.png  't'\r\n"),
        ("![a]\n\n[a]: b.png", "n)(", "![a]\n\n[a]: <n)(>"),
        ("a <img src=b.png>", 'n"&', 'a <img src="n&quot;&amp;">'),
        ("![](img\\b.png)", "img/b.png", "![](img\\b.png)"),
    ],
)
def test_markdown_url_is_written_for_its_place(text: str, url: str, expected: str) -> None:
    assert rewrite(text, TYPE, lambda _: url) == expected
    assert rewrite(text.encode(), TYPE, lambda _: url) == expected.encode()


@pytest.mark.parametrize("url", ["https://x/a(b).png?c=1&amp;d=2#e", "a)b(c", "(((", "a%20b", "é&lt;", "*_~a_*"])
@pytest.mark.parametrize("text", ["![](b)", "![](<b>)", "![a]\n\n[a]: b\n", "![](b 't')"])
def test_markdown_url_is_read_back(text: str, url: str) -> None:
    new = rewrite(text, TYPE, lambda _: url)
    assert [found.url for found in find_references(new, TYPE)] == [url]


PAGE = """---
title: "![](a.png)"
image: img/a.png  # big
cover: 'b c.png'
nested:
  - thumbnail: "d\\u00e9.png"
  - image: |
      no.png
images: no.png
"image": [no.png]
cover:
---
image: no.png
"""


def test_front_matter_keys_are_found_when_asked_for() -> None:
    found = find_references(PAGE, TYPE, optional=KEYS)
    assert [(reference.kind, reference.url) for reference in found] == [
        ("front matter image", "img/a.png"),
        ("front matter cover", "b c.png"),
        ("front matter thumbnail", "dé.png"),
    ]
    assert [found.url for found in find_references(PAGE, TYPE, optional=KEYS[1:2])] == ["b c.png"]


def test_front_matter_is_left_alone_by_default() -> None:
    assert find_references(PAGE, TYPE) == []


@pytest.mark.parametrize("url", ["https://x/a.png?b=1&c=2#d", "a: b", "a #b", "é\"'.png", "- x", "a:", "true\\"])
def test_front_matter_replacement_is_yaml(url: str) -> None:
    new = rewrite(PAGE, TYPE, lambda _: url, optional=KEYS[:1])
    matter = yaml.safe_load(new.split("---\n")[1].replace('"image": [no.png]', ""))
    assert matter["image"] == url
    assert rewrite(new, TYPE, lambda _: "img/a.png", optional=KEYS[:1]).replace('"img/a.png"', "img/a.png") == PAGE


def test_front_matter_of_toml_is_found() -> None:
    text = "+++\nimage = \"a.png\"\n[params]\ncover = 'b.png' # c\n+++\n![](d.png)\n"
    assert [found.url for found in find_references(text, TYPE, optional=KEYS)] == ["a.png", "b.png", "d.png"]
