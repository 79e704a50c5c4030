"""Input that is broken, hostile or just odd: the site works, the message names the file, nothing is lost."""

from __future__ import annotations

import os
import re
import struct
import unicodedata
import zlib
from typing import TYPE_CHECKING

import pytest
from sites import photo

from s3img import Config, Images, S3ImgError
from s3img.publish.page_check import broken_references

if TYPE_CHECKING:
    from pathlib import Path

    from sites import Site

    from s3img.publish.result import PublishResult

GOOD = photo(400, 260)


def publish(site: Site, cache_dir: str, **settings: object) -> PublishResult:
    config = Config(**{"widths": (160,), "formats": ("webp",), "cache_dir": cache_dir, **settings})  # type: ignore[arg-type]
    return Images(config).publish(site.root)


def bomb() -> bytes:
    """Return a PNG of a few bytes that claims 50,000 x 50,000 px."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.jpg", b"", "empty"),
        ("text.jpg", b"this is not an image", "not an image|no image"),
        ("truncated.jpg", GOOD[: len(GOOD) // 2], "truncated|incomplete|corrupt"),
        ("corrupt.png", b"\x89PNG\r\n\x1a\n" + b"\xff" * 100, "corrupt|damaged|PNG"),
        ("bomb.png", bomb(), "limit"),
        ("page.jpg", b"<!doctype html><title>x</title>", "image"),
    ],
)
def test_image_that_cannot_be_used_stays_and_is_named(
    site: Site, cache_dir: str, name: str, data: bytes, words: str
) -> None:
    site.add(name, data)
    site.add("good.jpg", GOOD)
    site.page("index.html", f'<img src="{name}" alt="bad"><img src="good.jpg" alt="good">')
    result = publish(site, cache_dir)
    assert (result.exit_code, result.pages_changed) == (0, 1)
    (problem,) = result.problems
    assert problem.page == name
    assert re.search(words, problem.message), problem.message
    assert f'<img src="{name}" alt="bad">' in site.text("index.html")
    assert site.text("index.html").count("<picture") == 1
    assert (site.root / name).read_bytes() == data


def test_image_with_wrong_suffix_is_published_by_its_bytes(site: Site, cache_dir: str) -> None:
    site.add("cat.png", GOOD)
    site.page("index.html", '<img src="cat.png" alt="">')
    assert publish(site, cache_dir).problems == ()
    assert re.search(r'src="assets/_s3img/cat\.\w+\.w-160\.jpg"', site.text("index.html"))


@pytest.mark.parametrize(
    "name",
    [
        "a b.jpg",
        "100%.jpg",
        "a+b.jpg",
        "a#b.jpg",
        "a?b.jpg",
        "a'b.jpg",
        'a"b.jpg',
        "a&b.jpg",
        "a,b.jpg",
        "😺.jpg",
        "é.jpg",
    ]
    + [
        unicodedata.normalize("NFD", "é.jpg"),
        "x" * 251 + ".jpg",
        "é" * 125 + ".jpg",
        "%2f.jpg",
        "a;b=c@d!.jpg",
        "~-_.jpg",
    ],
)
def test_odd_name_is_published_and_can_be_fetched(site: Site, cache_dir: str, name: str) -> None:
    from s3img.urls import quote_path

    site.add(f"img/{name}", GOOD)
    site.page("index.html", f'<img src="img/{quote_path(name)}" alt="">')
    result = publish(site, cache_dir)
    assert (result.problems, result.pages_changed) == ((), 1)
    broken, checked = broken_references(site.root)
    assert (broken, checked > 1) == ([], True)


def test_name_that_is_no_utf8_is_published(site: Site, cache_dir: str) -> None:
    path = os.fsencode(site.root) + b"/caf\xe9.jpg"
    with open(path, "wb") as file:  # noqa: PTH123 - pathlib takes no bytes
        file.write(GOOD)
    site.page("index.html", '<img src="caf%E9.jpg" alt="">')
    assert publish(site, cache_dir).problems == ()
    assert broken_references(site.root)[0] == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_are_named(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", GOOD).chmod(0)
    site.page("a.html", '<img src="cat.jpg" alt="">')
    site.page("b.html", "x").chmod(0)
    pages = {problem.page for problem in publish(site, cache_dir).problems}
    assert pages == {"cat.jpg", "b.html"}


@pytest.mark.parametrize(
    ("head", "encoding"),
    [("", "utf-8"), ('<meta charset="iso-8859-1">', "latin-1"), ('<meta charset="shift_jis">', "shift_jis")],
)
def test_declared_encoding_is_kept(site: Site, cache_dir: str, head: str, encoding: str) -> None:
    word = "日本" if encoding == "shift_jis" else "é"
    site.add(f"{word}.jpg", GOOD)
    site.add("index.html", f'<html><head>{head}</head><p>{word}<img src="{word}.jpg" alt="{word}">'.encode(encoding))
    assert publish(site, cache_dir).pages_changed == 1
    text = (site.root / "index.html").read_bytes().decode(encoding)
    assert f'alt="{word}"' in text
    assert "<picture" in text


@pytest.mark.parametrize("mark", ["utf-16", "utf-8-sig"])
def test_byte_order_mark_decides(site: Site, cache_dir: str, mark: str) -> None:
    site.add("cat.jpg", GOOD)
    site.add("index.html", '<html><head></head><p>é<img src="cat.jpg" alt="">'.encode(mark))
    assert publish(site, cache_dir).pages_changed == 1
    text = (site.root / "index.html").read_bytes().decode(mark)
    assert text.startswith("<html><head>")
    assert "<picture" in text
    assert broken_references(site.root)[0] == []


def test_empty_page_stays(site: Site, cache_dir: str) -> None:
    page = site.add("index.html", b"")
    assert publish(site, cache_dir).pages_changed == 0
    assert page.read_bytes() == b""


@pytest.mark.slow
def test_large_page_is_rewritten(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", GOOD)
    filler = "<p class='a'>" + "word " * 200 + "</p>\n"
    site.page("index.html", '<img src="cat.jpg" alt="">' + filler * 50_000)
    assert (site.root / "index.html").stat().st_size > 50_000_000
    assert publish(site, cache_dir).pages_changed == 1


def test_site_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(S3ImgError, match="is not a folder"):
        Images(Config(cache_dir=str(tmp_path))).publish(tmp_path / "nowhere")


def test_unwritable_cache_is_an_error_that_says_so(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    site.add("cat.jpg", GOOD)
    page = site.page("index.html", '<img src="cat.jpg" alt="">')
    before = page.read_bytes()
    result = publish(site, str(tmp_path / "file" / "cache"))
    assert "cache" in result.problems[0].message
    assert page.read_bytes() == before


def test_page_changed_meanwhile_is_not_overwritten(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", GOOD)
    page = site.page("index.html", '<img src="cat.jpg" alt="">')

    def edit(stage: str, done: int, total: int) -> None:
        if stage == "rendering":
            page.write_text("<p>edited")

    config = Config(widths=(160,), formats=("webp",), cache_dir=cache_dir)
    with pytest.raises(S3ImgError, match=r"index\.html: was changed"):
        Images(config).publish(site.root, progress=edit)
    assert page.read_text() == "<p>edited"


def test_image_that_cannot_be_used_is_named_in_every_run(site: Site, cache_dir: str) -> None:
    site.add("bad.jpg", b"GIF89a")
    for page in ("a.html", "b.html"):
        site.page(page, '<img src="bad.jpg" alt="">')
    for _ in range(2):
        assert [problem.page for problem in publish(site, cache_dir).problems] == ["bad.jpg"]
    site.add("bad.jpg", GOOD)
    assert publish(site, cache_dir).pages_changed == 2


def test_jpeg_without_its_end_marker_is_published_with_a_note(site: Site, cache_dir: str) -> None:
    site.add("cut.jpg", GOOD[:-2])
    site.add("half.jpg", GOOD[: len(GOOD) // 2])
    site.page("index.html", '<img src="cut.jpg" alt=""><img src="half.jpg" alt="">')
    problems = publish(site, cache_dir).problems
    assert [(problem.page, problem.severity) for problem in problems] == [("cut.jpg", "note"), ("half.jpg", "warning")]
    assert "end marker" in problems[0].message
    assert site.text("index.html").count("<picture") == 1
