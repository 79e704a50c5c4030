"""Twice the input is twice the work in every other scanner: style sheets, srcset, XML, JSON, front matter, policies, marks, digests.

Counted, not timed: what patterns go over (one that fails is taken to have read to its end), and calls.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from s3img import csp
from s3img.publish import digests, generators, site_text
from s3img.rewrite import charset, css, find_references, json, quoting, srcset
from s3img.rewrite.markdown import front_matter
from s3img.rewrite.xml import feeds, spans

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = (csp, digests, generators, site_text, charset, css, json, quoting, srcset, front_matter, feeds, spans)


class Count:
    work = 0


class Counting:
    """A pattern that counts what it goes over."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self._pattern = pattern

    def match(self, text: Any, start: int = 0, end: int = sys.maxsize) -> Any:
        found = self._pattern.match(text, start, end)
        self._count(text, found, start, end)
        return found

    def search(self, text: Any, start: int = 0, end: int = sys.maxsize) -> Any:
        found = self._pattern.search(text, start, end)
        self._count(text, found, start, end)
        return found

    def finditer(self, text: Any, start: int = 0, end: int = sys.maxsize) -> Any:
        while (found := self.search(text, start, end)) is not None:
            yield found
            start = max(found.end(), start + (found.end() == found.start()))
            if start > len(text):
                return

    def findall(self, text: Any, start: int = 0, end: int = sys.maxsize) -> Any:
        Count.work += min(end, len(text)) - start
        return self._pattern.findall(text, start, end)

    def _count(self, text: Any, found: Any, start: int, end: int) -> None:
        Count.work += (found.end() if found else min(end, len(text))) - start + 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pattern, name)


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in MODULES:
        for name, value in vars(module).copy().items():
            if isinstance(value, re.Pattern):
                monkeypatch.setattr(module, name, Counting(value))


def find(media_type: str, around: str = "{}") -> Callable[[str], object]:
    return lambda text: find_references(
        around.replace("{}", text).encode(), media_type, optional=["front matter image", "script json-ld"]
    )


SCANNERS: dict[str, tuple[Callable[[str], object], str]] = {
    "css": (find("text/css"), "url( url(a) url('a url(\\ image-set( image-set('a' /* */ @import @import'a @font-face{ \" ' \\ ( ) { } ; url(a\\ image-set(url("),
    "srcset": (srcset.parse, "a, a ,, a\t1x, a\t(1x a\t1w\t1h a\t9 ( ) ((( a\t-1x a\t1e9x, \t a\t0000"),
    "feed": (
        find("application/rss+xml", "<rss>{}</rss>"),
        "<a> <a </a> <a/> <![CDATA[ ]]> <!-- --> <? ?> <! <!DOCTYPE[ xmlns:a=\" xmlns: xmlns:a= & &lt; &#9; <url> <description> <logo> <a\tb=\" \" ' <content\ttype=\"html\">",
    ),
    "feed texts": (find("application/rss+xml", "<rss><description>{}</description></rss>"), "&lt; &lt;img &amp;lt; <![CDATA[a]]> <![CDATA[<img]]> <!---- <a/> &quot; &#60; ]]> a <img\tsrc=\"a\"/>"),
    "sitemap": (find("application/xml", "<urlset>{}</urlset>"), "<image:image> <image:loc> <image:loc>a</image:loc> </image:loc> <loc> image xmlns:i=\"a\" xmlns:image= <!-- <?a <![CDATA["),
    "json": (find("application/ld+json"), "[ { \" \\ {\"image\": {\"image\":\"a\"}, [\"a\"], , : 1 ] } \"a\" {\"@type\":\"ImageObject\",\"url\":"),
    "json arrays": (find("application/ld+json", '{"image":[{}"z"]}'), '"a", {"url":"a"}, {"@type":"ImageObject","url":"a"}, {"image":"a"}, {"image":{"image":"a"}}, 1, null, [], {}, ["a"], "\\u0041", {"@type":["a","b"]},'),
    "front matter": (find("text/markdown", "---\na: b\n{}\n---\n"), "image:\ta\n image: image:\t\"a\n image:\t\"\\ image:\t'a -\t \t # \" image:\ta# cover: ---x\n thumbnail:\ta\n"),
    "charset": (find("text/html"), "<meta <meta\tcharset= <meta\tcontent=charset= <!-- charset= charset=\" > < = \" '"),
    "policy": (lambda text: csp.allows(csp.in_page(text.encode()), "https://a.example/", own=""), "<meta <meta\thttp-equiv=content-security-policy <meta\thttp-equiv=content-security-policy\tcontent=\"a\"> content=\" ecurity- img-src ; a: * 'self' a:99999999 , <meta\thttp-equiv=\"content-security-policy\"\tcontent='img-src\ta'>"),
    "marks": (lambda text: generators.generator_of(f"{text} generator __nuxt __next_f".encode()), "<a <a\tid= <script> <script <meta\tname=generator <meta <meta\tname=generator> id=__next __next_f generator \" ' = <a\tid=__nux content="),
    "digests": (lambda text: digests.replaced(text.encode(), "a.js", lambda digest: []) and list(digests.digests_in(text.encode(), "a.js")), "sha256- sha256-A A 0 ' &#43; \\/ %2B 0f \\ & sha384- sha512-AAAAAAAA '&#39;sha256-"),
    "styles": (lambda text: digests.style_elements(text.encode()) + digests.style_attributes(text.encode()), "<style> <style </style> </style <style>a</style> style= \tstyle=\" \tstyle='url( \tstyle=\"url(a)\" url( \" '"),
    "names": (lambda text: list(site_text.NamedFiles(["a/cat.jpg", "b"], "https://a.example").in_text(text)), "cat.jpg .jpg % %25 & &amp; \\ \\\\ \\u005c https://a.example/ b cat .jpgcat &#9; \\x41"),
}  # fmt: skip
CASES = [(name, unit.replace("\t", " ")) for name, (_, units) in SCANNERS.items() for unit in units.split(" ") if unit]


def work(name: str, text: str) -> int:
    """Count what patterns go over, and calls of functions."""
    Count.work = 0

    def step(_frame: Any, event: str, _argument: Any) -> None:
        Count.work += event in ("call", "c_call")

    sys.setprofile(step)
    try:
        SCANNERS[name][0](text)
    finally:
        sys.setprofile(None)
    return Count.work


@pytest.mark.parametrize(("name", "unit"), CASES)
def test_twice_the_input_is_twice_the_work(name: str, unit: str) -> None:
    once, twice = (work(name, unit * size) for size in (300, 600))
    assert twice <= 2.3 * once + 2000


@pytest.mark.parametrize("name", SCANNERS)
def test_each_scanner_is_tried_with_ten_patterns_or_more(name: str) -> None:
    assert sum(case[0] == name for case in CASES) >= 10


def test_counting_counts() -> None:
    assert work("css", "a{}" * 100) >= 300


@pytest.mark.parametrize(
    ("media_type", "text"),
    [
        ("text/html", f'<img srcset="a {"0" * 5000}1w, b {"9" * 5000}w">'),
        ("text/html", f'<img src="a&#{"9" * 5000};&#x{"f" * 5000};">'),
        ("text/css", f"a{{background:url(\\{'0' * 5000}41)}}"),
        ("application/ld+json", f'{{"image":"a","n":{"9" * 5000}}}'),
        ("application/rss+xml", f"<rss><image><url>a&#{'9' * 5000};&#x{'f' * 5000};</url></image></rss>"),
        ("text/markdown", f"![a](b&#{'9' * 5000};)"),
    ],
)
def test_numbers_of_thousands_of_digits_are_no_error(media_type: str, text: str) -> None:
    find_references(text, media_type, optional=["script json-ld"])
    find_references(text.encode(), media_type)


def test_candidate_with_a_very_long_number_has_that_number_or_is_none() -> None:
    assert [found.width for found in srcset.parse(f"a {'0' * 5000}1w")] == [1]
    assert srcset.parse(f"a {'9' * 5000}w") == []
