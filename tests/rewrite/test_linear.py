"""Twice the input is twice the work: counted, not timed.

Work is the bytes that searches and matches go over; a pattern that fails is taken to have read to the end.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any, SupportsIndex

import msgspec
import pytest

import s3img.rewrite
from s3img.rewrite import html
from s3img.rewrite.html import elements as html_elements
from s3img.rewrite.html.collector import Context
from s3img.rewrite.html.scan import Scanner
from s3img.rewrite.source import Source

REPEATS = 70
PARTS = (
    "<img src=a>", "<img src=a", "<img ", "<img", "<", ">", "<>", "</", "</>", "<!", "<!>", "<?", "<!--", "-->", "--", "<!-->", "<a ",
    "<a b=\"", "<a b='", '="', "='", '"', "'", "=", " ", "a", "<p style='a:url(b)'>", "<p style=\"url(", "url(", "image-set(",
    "<style>", "<style>url(</style>", "<script>", "<script><!--", "<script><!--<script>", "</script>", "<textarea>", "<title>",
    "<noscript>", "<noscript></noscript>",
    "<noscript><img src=a></noscript>",
    "<script>a</script>",
    "<!-- a -->",
    "<a href=b.c>",
    "<style>a</style>", "<noscript><img src=a>", "<svg>", "<svg><g>", "<svg><desc>", "<svg></svg>", "<svg><path/>",
    "<svg><style>url(", "</g>", "<svg><title><svg>", "<math><mi>", "<math><annotation-xml encoding=text/html><b>", "</svg>", "<![CDATA[",
    "<svg><![CDATA[", "<picture>", "</picture>", "<link rel=icon", "<meta content=a ", "<base href=a>", "<plaintext>", "&", "&amp", "a=&lt;",
    "<svg a='", "<b><svg></b>", "<svg><desc><p></desc>", "<svg><desc><b></i>", "<!-- s3img:off -->", "</p>",
)  # fmt: skip


class Work:
    done = 0


class CountingBytes(bytes):
    """Bytes that count what find and rfind go over."""

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        stop = len(self) if end is None else end
        at = super().find(sub, start, stop)
        Work.done += (at if at >= 0 else stop) - start
        return at

    def rfind(self, sub: Any, start: Any = 0, end: SupportsIndex | None = None) -> int:
        stop = len(self) if end is None else int(end)
        at = super().rfind(sub, start, stop)
        Work.done += stop - max(at, start)
        return at


class CountingPattern:
    """A pattern that counts what it goes over."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self._pattern = pattern

    def _counted(self, found: re.Match[Any] | None, start: int, end: int) -> re.Match[Any] | None:
        Work.done += (found.end() if found else end) - start + 1
        return found

    def match(self, text: Any, start: int = 0, end: int | None = None) -> re.Match[Any] | None:
        end = len(text) if end is None else end
        return self._counted(self._pattern.match(text, start, end), start, end)

    def search(self, text: Any, start: int = 0, end: int | None = None) -> re.Match[Any] | None:
        end = len(text) if end is None else end
        return self._counted(self._pattern.search(text, start, end), start, end)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pattern, name)


@pytest.fixture(scope="module")
def elements() -> html_elements.Elements:
    """Return the default elements with counting patterns."""

    def rules(some: Any) -> dict[bytes, html_elements.ElementRule]:
        return {name: msgspec.structs.replace(rule, step=CountingPattern(rule.step)) for name, rule in some.items()}

    found = html_elements.element_table((), {})
    anchor, in_picture = CountingPattern(found.anchor), CountingPattern(found.in_picture)
    return msgspec.structs.replace(
        found, anchor=anchor, in_picture=in_picture, rules=rules(found.rules), plain=rules(found.plain)
    )


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every pattern of the scanner count."""
    for info in pkgutil.walk_packages(s3img.rewrite.__path__, "s3img.rewrite."):
        if info.name.split(".")[2] not in {"html", "css", "srcset"}:
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).copy().items():
            if isinstance(value, re.Pattern):
                monkeypatch.setattr(module, name, CountingPattern(value))
            elif name == "END_TAG":
                monkeypatch.setattr(module, name, {key: CountingPattern(end) for key, end in value.items()})


def work(data: str, elements: html_elements.Elements) -> int:
    code = CountingBytes(data.encode())
    Work.done = 0
    Scanner(Source(code, code, "utf-8"), elements, Context(), []).scan(0, len(code))
    return Work.done


def test_counting_counts(elements: html_elements.Elements) -> None:
    assert work("<p>text</p>" * 100, elements) >= 1100


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "frame", ["{}", "<svg>{}", '<p title="{}', "<img alt='{}", "{}<img src=a>", "<div><svg><desc>{}", "<style>{}"]
)
def test_work_grows_with_the_input(part: str, frame: str, elements: html_elements.Elements) -> None:
    once = work(frame.format(part * REPEATS), elements)
    twice = work(frame.format(part * REPEATS * 2), elements)
    assert twice <= 2.3 * once + 1000


@pytest.mark.parametrize("first", PARTS[::3])
def test_work_grows_with_pairs(first: str, elements: html_elements.Elements) -> None:
    for second in PARTS[::2]:
        once = work(first * REPEATS + second * REPEATS, elements)
        assert work(first * REPEATS * 2 + second * REPEATS * 2, elements) <= 2.3 * once + 2000, (first, second)


def test_the_finder_uses_what_is_counted() -> None:
    source = Source(b"<img src=a>", b"<img src=a>", "utf-8")
    before = Work.done
    assert [reference.url for reference in html.find(source, (), {})] == ["a"]
    assert Work.done > before
