"""What vouches for the bytes of a page or style sheet fits them after publishing, too; copies are copies."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from typing import TYPE_CHECKING

import brotli
import pytest
from sites import photo

from s3img import Config, Images
from s3img.publish.digests import digests_in, replaced

if TYPE_CHECKING:
    from pathlib import Path

    from sites import Site

    from s3img.publish.result import PublishResult

CSS = ".h{background:url(hero.jpg)}"
PUBLIC = "https://img.example.com"


def sri(text: bytes, algorithm: str = "sha384") -> str:
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, text).digest()).decode()}"


@pytest.fixture
def build(site: Site, cache_dir: str, tmp_path: Path) -> Site:
    site.add("hero.jpg", photo(64, 40))
    site.add("a.css", CSS.encode())
    return site


def publish(site: Site, cache_dir: str, **settings: object) -> PublishResult:
    bucket = (site.root.parent / "bucket").as_uri()
    config = Config(
        **{
            "bucket": bucket,
            "public_url": PUBLIC,
            "check_public": False,
            "cache_dir": cache_dir,
            "widths": (320,),
            **settings,
        }
    )  # type: ignore[arg-type]
    return Images(config).publish(site.root)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize(
    "write",
    [
        lambda text: f'<link rel=stylesheet href=a.css integrity="{text}">',
        lambda text: f"<link rel=stylesheet integrity={text} href=a.css>",
        lambda text: (
            f'<link rel=stylesheet href=a.css integrity="{text.replace("+", "&#43;").replace("=", "&#x3D;")}">'
        ),
        lambda text: f'<link rel=stylesheet href=a.css integrity="sha256-{"A" * 43}= {text}">',
        lambda text: (
            f'<link rel=stylesheet href=a.css integrity="{text.replace("+", "-").replace("/", "_").rstrip("=")}">'
        ),
        lambda text: '<script>css={{"i":"{}"}}</script>'.format(text.replace("/", "\\/").replace("+", "\\u002b")),
    ],
)
def test_integrity_fits_the_new_style_sheet(build: Site, cache_dir: str, algorithm: str, write: object) -> None:
    build.page("index.html", write(sri(CSS.encode(), algorithm)))  # type: ignore[operator]
    result = publish(build, cache_dir)
    assert PUBLIC in build.text("a.css")
    assert sri((build.root / "a.css").read_bytes(), algorithm) in build.text("index.html")
    assert (result.problems, result.exit_code) == ((), 0)
    before = build.snapshot()
    assert publish(build, cache_dir).pages_changed == 0
    assert build.snapshot() == before


def test_integrity_of_something_else_stays(build: Site, cache_dir: str) -> None:
    build.page("index.html", f'<script src=x.js integrity="{sri(b"other")}"></script>')
    publish(build, cache_dir)
    assert sri(b"other") in build.text("index.html")


def test_lists_of_service_workers_fit_all_changed_files(build: Site, cache_dir: str) -> None:
    page = f'<html><head></head><body><link rel=stylesheet href=a.css integrity="{sri(CSS.encode())}"><img src="hero.jpg" alt="">'
    build.page("index.html", page)
    md5 = {name: hashlib.md5((build.root / name).read_bytes()).hexdigest() for name in ("a.css", "index.html")}
    sha1 = hashlib.sha1(CSS.encode()).hexdigest()
    entries = [f'{{"url":"{name}","revision":"{digest}"}}' for name, digest in md5.items()]
    worker = f"self.__WB_MANIFEST=[{','.join(entries)}]"
    build.add("sw.js", worker.encode())
    build.add(
        "ngsw.json",
        f'{{"hashTable":{{"/a.css":"{sha1}","/sw.js":"{hashlib.sha1(worker.encode()).hexdigest()}"}}}}'.encode(),
    )
    build.add("a.css.sha256", hashlib.sha256(CSS.encode()).hexdigest().upper().encode())
    assert publish(build, cache_dir).problems == ()
    for name in ("a.css", "index.html"):
        assert hashlib.md5((build.root / name).read_bytes()).hexdigest() in build.text("sw.js")
    for name in ("a.css", "sw.js"):
        assert hashlib.sha1((build.root / name).read_bytes()).hexdigest() in build.text("ngsw.json")
    assert build.text("a.css.sha256") == hashlib.sha256((build.root / "a.css").read_bytes()).hexdigest().upper()
    before = build.snapshot()
    publish(build, cache_dir)
    assert build.snapshot() == before


def test_policy_of_a_page_allows_its_inline_style_as_it_is_now(build: Site, cache_dir: str) -> None:
    style, attribute = ".h{background:url(hero.jpg)}\r\nb{}", "background:url('hero.jpg')"
    hashes = f"'{sri(style.replace(chr(13), '').encode(), 'sha256')}' &#39;{sri(attribute.encode(), 'sha512')}&#39;"
    build.page(
        "index.html",
        f'<meta http-equiv="Content-Security-Policy" content="style-src \'unsafe-hashes\' {hashes}"><style>{style}</style><p style="{attribute}">',
    )
    assert publish(build, cache_dir).problems == ()
    text = (build.root / "index.html").read_bytes().decode()
    new_style, new_attribute = (
        re.findall(r"<style>(.*?)</style>", text, re.DOTALL)[0],
        re.findall(r'<p style="([^"]*)"', text)[0],
    )
    assert PUBLIC in new_style
    assert PUBLIC in new_attribute
    assert f"'{sri(new_style.replace(chr(13), '').encode(), 'sha256')}'" in text
    assert sri(new_attribute.encode(), "sha512") in text
    assert sri(attribute.encode(), "sha512") not in text


def test_policy_in_a_file_allows_old_and_new_inline_style(build: Site, cache_dir: str) -> None:
    style = f"{CSS} b{{}}"
    build.page("index.html", f"<style>{style}</style>")
    build.add("_headers", f"/*\n  Content-Security-Policy: style-src '{sri(style.encode(), 'sha256')}'\n".encode())
    publish(build, cache_dir)
    new = re.findall(r"<style>(.*?)</style>", build.text("index.html"))[0]
    assert f"'{sri(style.encode(), 'sha256')}' '{sri(new.encode(), 'sha256')}'" in build.text("_headers")
    before = build.snapshot()
    publish(build, cache_dir)
    assert build.snapshot() == before


def test_style_sheets_with_the_same_bytes_are_all_allowed(build: Site, cache_dir: str) -> None:
    build.add("copy/a.css", CSS.encode())  # copy/hero.jpg does not exist: this one stays as it is
    build.page("index.html", f'<link rel=stylesheet href=a.css integrity="{sri(CSS.encode())}">')
    publish(build, cache_dir, missing="keep")
    allowed = re.findall(r'integrity="([^"]*)"', build.text("index.html"))[0].split()
    assert set(allowed) == {sri((build.root / name).read_bytes()) for name in ("a.css", "copy/a.css")}


@pytest.mark.parametrize(
    ("suffix", "pack", "unpack"), [("gz", gzip.compress, gzip.decompress), ("br", brotli.compress, brotli.decompress)]
)
def test_compressed_copy_is_written_anew(
    build: Site, cache_dir: str, suffix: str, pack: object, unpack: object
) -> None:
    build.page(
        "index.html", f'<link rel=stylesheet href=a.css integrity="{sri(CSS.encode())}"><img src="hero.jpg" alt="">'
    )
    for name in ("index.html", "a.css"):
        build.add(f"{name}.{suffix}", pack((build.root / name).read_bytes()))  # type: ignore[operator]
    assert publish(build, cache_dir, remove_local=True).problems == ()
    for name in ("index.html", "a.css"):
        data = (build.root / name).read_bytes()
        assert PUBLIC.encode() in data
        assert unpack((build.root / f"{name}.{suffix}").read_bytes()) == data  # type: ignore[operator]
    assert not (build.root / "hero.jpg").exists()


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.css.gz", gzip.compress(b"other", mtime=0)), ("a.css.gz", b"damaged"), ("a.css.zst", b"(\xb5/\xfd")],
)
def test_copy_that_can_not_follow_is_named_and_keeps_its_pictures(
    build: Site, cache_dir: str, name: str, data: bytes
) -> None:
    build.add(name, data)
    build.page("index.html", '<img src="hero.jpg" alt="">')
    result = publish(build, cache_dir, remove_local=True)
    assert [(problem.page, problem.severity) for problem in result.problems if problem.code == "stale-copy"] == [
        (name, "warning")
    ]
    assert (build.root / name).read_bytes() == data
    assert (build.root / "hero.jpg").exists() == (name != "a.css.gz" or data == b"damaged")


@pytest.mark.parametrize(
    "unit", ["sha256-", "sha256-A", "A", "0", "'", "&#43;", "\\/", "%2B", "sha384-" + "A" * 64, "0f" * 16, "\\", "&"]
)
def test_digests_are_looked_for_in_steps_of_the_size(unit: str) -> None:
    assert len(list(digests_in(unit.encode() * 2000, "a.js"))) <= 2000
    assert replaced(unit.encode() * 2000, "a.js", lambda digest: []) == unit.encode() * 2000
