"""Inputs with browser-verified answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s3img.rewrite import Reference, Stream, find_references, rewrite
from s3img.rewrite.srcset import parse

DATA = Path(__file__).parent.parent / "data" / "rewrite"
TRICKY = json.loads((DATA / "html-tricky.json").read_text(encoding="utf-8"))["cases"]
SRCSET = json.loads((DATA / "srcset-cases.json").read_text(encoding="utf-8"))["cases"]
PAGES = [(case["html"], case["html"].encode("utf-8", "surrogatepass")) for case in TRICKY]
ELEMENTS = ("img", "source", "video", "input", "image", "feimage")


def ids(cases: list[dict[str, Any]]) -> list[str]:
    return [str(number) for number in range(len(cases))]


def urls(references: list[Reference]) -> set[str]:
    return {reference.url for reference in references}


@pytest.mark.parametrize("case", TRICKY, ids=ids(TRICKY))
def test_find_references_agrees_with_browser(case: dict[str, Any]) -> None:
    found = find_references(case["html"].encode("utf-8", "surrogatepass"), charset="utf-8")
    assert {*case["must"], *case.get("noscript", ())} <= urls(found)
    if "harmless_if_reported" not in case:
        assert not urls(found) & set(case["must_not"])
    if "exact" in case and "harmless_if_reported" not in case:
        assert {found.url for found in found if found.kind.split()[0] in ELEMENTS} == set(case["must"])
    if "base" in case:
        assert found[-1].base == case["base"]


def test_find_references_in_text_agrees_with_bytes() -> None:
    for html, data in PAGES:
        in_bytes, in_text = find_references(data, charset="utf-8"), find_references(html)
        assert [(r.kind, r.base) for r in in_text] == [(r.kind, r.base) for r in in_bytes]
        raw = [html[r.start : r.end].encode("utf-8", "surrogatepass") for r in in_text]
        assert raw == [data[r.start : r.end] for r in in_bytes]


def test_optional_backgrounds_are_found_on_request() -> None:
    case = next(case for case in TRICKY if "optional" in case)
    kinds = ("body background", "table background", "td background")
    assert [r.url for r in find_references(case["html"], optional=kinds)] == case["optional"]


def test_rewritten_page_holds_the_new_urls_at_the_old_places() -> None:
    for _, data in PAGES:
        before = find_references(data, charset="utf-8")
        new = rewrite(data, "text/html", lambda r: f"n/{ord(r.url[0])}&'", charset="utf-8")
        after = find_references(new, charset="utf-8")
        assert [(r.url, r.kind) for r in after] == [(f"n/{ord(r.url[0])}&'", r.kind) for r in before], data


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_stream_equals_whole_document(size: int) -> None:
    for _, data in PAGES:
        stream = Stream(lambda r: f"n/{r.kind}")
        out = [stream.feed(data[at : at + size]) for at in range(0, len(data), size)]
        whole = rewrite(data, "text/html", lambda r: f"n/{r.kind}", charset="utf-8")
        assert b"".join((*out, stream.finish())) == whole, data


@pytest.mark.parametrize("case", SRCSET, ids=ids(SRCSET))
def test_srcset_parse_follows_the_standard(case: dict[str, Any]) -> None:
    found = [{"url": c.url, "w": c.width, "x": c.density, "h": c.height} for c in parse(case["srcset"])]
    assert [{key: value for key, value in c.items() if value is not None} for c in found] == case["candidates"]


def test_srcset_number_may_have_any_leading_zeros() -> None:
    (candidate,) = parse(f"a.jpg {'0' * 5000}640w")
    assert candidate.width == 640


def test_srcset_number_beyond_all_screens_is_no_candidate() -> None:
    assert parse(f"a.jpg {'9' * 5000}w, b.jpg 2x")[0].url == "b.jpg"
