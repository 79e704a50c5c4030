"""Compressed pages: rewritten inside their coding, or left alone, and never damaged."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import brotli
import pytest
from wsgi_apps import Chunks, app_of, send

from s3img.codings import decoded, encoded, is_known

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.middleware import RewriteMiddleware

    Wrap = Callable[..., RewriteMiddleware]

PAGE = b'<html><head></head><img src="/static/cat.jpg" alt="">' + b"<p>text</p>" * 50
CODINGS: dict[str, tuple[Any, Any]] = {
    "gzip": (gzip.compress, gzip.decompress),
    "x-gzip": (gzip.compress, gzip.decompress),
    "GZIP": (gzip.compress, gzip.decompress),
    "deflate": (zlib.compress, zlib.decompress),
    "br": (brotli.compress, brotli.decompress),
    "identity": (bytes, bytes),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_compressed_page_is_rewritten(wrap: Wrap, coding: str) -> None:
    compress, decompress = CODINGS[coding]
    app = app_of(compress(PAGE), Content_Encoding=coding, ETag='"abc"')
    answer = send(wrap(app))
    assert b"<picture" in decompress(answer.body)
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert answer.headers["Content-Encoding"] == coding
    assert answer.headers["ETag"] != '"abc"'


@pytest.mark.parametrize("coding", CODINGS)
def test_compressed_page_without_images_passes_byte_for_byte(wrap: Wrap, coding: str) -> None:
    body = CODINGS[coding][0](b"<p>none of ours</p>" * 30)
    app = app_of(body, Content_Encoding=coding)
    assert (send(wrap(app)).body, send(wrap(app)).headers) == (body, send(app).headers)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "gzip, br"])
def test_compressed_page_is_skipped_on_demand(wrap: Wrap, coding: str) -> None:
    body = gzip.compress(PAGE)
    assert send(wrap(app_of(body, Content_Encoding=coding), encodings="skip")).body == body


@pytest.mark.parametrize("coding", ["zstd", "compress", "gzip, br", "gzip, gzip"])
def test_unknown_coding_passes(wrap: Wrap, coding: str) -> None:
    body = zlib.compress(PAGE)
    app = app_of(body, Content_Encoding=coding)
    assert (send(wrap(app)).body, send(wrap(app)).headers) == (body, send(app).headers)


@pytest.mark.parametrize("coding", ["gzip", "br"])
@pytest.mark.parametrize("damage", ["cut", "plain", "tail", "empty"])
def test_damaged_body_passes(wrap: Wrap, coding: str, damage: str) -> None:
    whole = CODINGS[coding][0](PAGE)
    body = {"cut": whole[:-9], "plain": PAGE, "tail": whole + b"garbage", "empty": b""}[damage]
    assert send(wrap(app_of(body, Content_Encoding=coding))).body == body


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_small_body_that_grows_beyond_the_limit_passes(wrap: Wrap, coding: str) -> None:
    body = CODINGS[coding][0](PAGE + bytes(3_000_000))
    assert len(body) < 10_000
    assert send(wrap(app_of(body, Content_Encoding=coding))).body == body


def test_several_members_are_one_body() -> None:
    assert decoded(gzip.compress(b"a") + gzip.compress(b"b"), "gzip", 100) == b"ab"


@pytest.mark.parametrize("coding", ["gzip", "br", ""])
def test_limit_counts_what_comes_out(coding: str) -> None:
    data = encoded(b"x" * 1000, coding)
    assert decoded(data, coding, 1000) == b"x" * 1000
    assert decoded(data, coding, 999) is None


def test_same_body_is_compressed_to_the_same_bytes() -> None:
    assert encoded(PAGE, "gzip") == encoded(PAGE, "gzip")


def test_brotli_is_known_only_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_known("br")
    monkeypatch.setattr("s3img.codings._brotli", lambda: None)
    assert not is_known("br")
    assert is_known("gzip")


@pytest.mark.slow
@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_unpacking_takes_no_more_memory_than_the_limit(coding: str) -> None:
    bomb = encoded(bytes(100_000_000), coding)
    tracemalloc.start()
    try:
        assert decoded(bomb, coding, 1_000_000) is None
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_coding_that_is_cut_is_damaged(coding: str) -> None:
    data = encoded(PAGE * 100, coding)
    assert decoded(data[:-9], coding, 1_000_000) is None


def test_stream_that_is_compressed_passes(wrap: Wrap) -> None:
    body = gzip.compress(PAGE)
    chunks = Chunks(body[:50], body[50:])
    answer = send(wrap(app_of(chunks, Content_Encoding="gzip")))
    assert (answer.chunks, chunks.closed) == ([body[:50], body[50:]], 1)
