"""What counts as used: a file whose name occurs anywhere in the site, in any spelling, stays."""

from __future__ import annotations

import gzip
import unicodedata
from typing import TYPE_CHECKING

import brotli
import pytest
from sites import photo

from s3img import Config, Images
from s3img.assets import AssetRoot
from s3img.publish.site_text import NamedFiles, unused

if TYPE_CHECKING:
    from pathlib import Path

    from sites import Site

PUBLIC = "https://img.example.com"
NAME = "img/größe & (1) 'x'.jpg"


def named(text: str, *paths: str) -> set[str]:
    return set(NamedFiles(paths, PUBLIC).in_text(text))


@pytest.mark.parametrize(
    "text",
    [
        "show(\"img/größe & (1) 'x'.jpg\")",
        "img/gr%C3%B6%C3%9Fe%20%26%20%281%29%20%27x%27.jpg",
        "https://any.example/img/gr%C3%B6%C3%9Fe%20&amp;%20(1)%20'x'.jpg#top",
        '{"a":"img\\/gr\\u00f6\\u00dfe \\u0026 (1) \\u0027x\\u0027.jpg"}',
        r"img/gr\xf6\xdfe & (1) \'x\'\.jpg",
        r"url(img/gr\f6 \df e\20\26\20\28 1\29\20\27x\27.jpg)",
        "<iframe srcdoc=\"&lt;img src=&quot;img/gr&amp;ouml;&amp;szlig;e &amp;amp; (1) 'x'.jpg&quot;&gt;\">",
        "?image=img%252Fgr%25C3%25B6%25C3%259Fe%2520%2526%2520(1)%2520'x'.jpg",
        "&#x69;mg/gr&#246;&#xDF;e &#38; (1) &apos;x&#39;&period;jpg",
        "data-x=\"{&quot;src&quot;:&quot;img\\/gr\\u00f6\\u00dfe%20%26%20(1)%20'x'.jpg&quot;}\"",
        "SHOW(\"IMG/GRÖSSE & (1) 'X'.JPG\")",
        unicodedata.normalize("NFD", "größe & (1) 'x'.jpg"),
        "größe & (1) 'x'.jpg?v=2",
        "größe & (1) 'x'.jpg@2x",
        "?image=img/gr%C3%B6%C3%9Fe+%26+(1)+'x'.jpg",
        "<object data=\"img/größe\n\t & (1) 'x'.jpg\">",
    ],
)
def test_name_is_found_in_every_spelling(text: str) -> None:
    assert named(text, NAME) == {NAME}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bobcat.jpg",
        "cat.jpgs",
        "my-cat.jpg",
        "x.cat.jpg",
        "cat.png",
        f"{PUBLIC}/img/cat.jpg",
        f'srcset="{PUBLIC}/img/cat.jpg 1x,{PUBLIC}/a/cat.jpg 2x"',
        "the cat and its jpg",
    ],
)
def test_other_names_and_public_addresses_do_not_count(text: str) -> None:
    assert named(text, "img/cat.jpg") == set()


def test_files_of_one_name_in_several_folders_are_all_used() -> None:
    assert named("cat.jpg", "a/cat.jpg", "b/cat.jpg", "b/dog.jpg") == {"a/cat.jpg", "b/cat.jpg"}


@pytest.mark.parametrize(
    "file",
    "app.js search.json feed.json pic.svg page.php t.twig data.yml .htaccess _redirects sw.js robots.txt a.html noext".split(),
)
def test_text_file_of_any_kind_keeps_what_it_names(tmp_path: Path, file: str) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"x")
    (tmp_path / file).write_text("a cat.jpg b")
    free, (note,) = unused(["cat.jpg"], AssetRoot(tmp_path), PUBLIC)
    assert (free, note.severity, note.page) == (set(), "note", "cat.jpg")
    assert file in note.message


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("a.html.gz", gzip.compress(b"cat.jpg", mtime=0)),
        ("pic.svgz", gzip.compress(b"<image href='cat.jpg'/>", mtime=0)),
        ("a.html.br", brotli.compress(b"cat.jpg")),
        ("a.html.br", b"damaged"),
        ("u16.html", "cat.jpg".encode("utf-16")),
        ("latin.html", "Größe cat.jpg".encode("latin-1")),
    ],
)
def test_compressed_and_encoded_text_keeps_what_it_may_name(tmp_path: Path, file: str, data: bytes) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"x")
    (tmp_path / file).write_bytes(data)
    assert unused(["cat.jpg"], AssetRoot(tmp_path), PUBLIC)[0] == set()


def test_binary_files_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"x")
    (tmp_path / "a.bin").write_bytes(b"\0 cat.jpg")
    (tmp_path / "other.png").write_bytes(b"cat.jpg")
    assert unused(["cat.jpg"], AssetRoot(tmp_path), PUBLIC) == ({"cat.jpg"}, [])


def test_file_that_a_link_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"x")
    (tmp_path / "latest.jpg").symlink_to("cat.jpg")
    free, (note,) = unused(["cat.jpg"], AssetRoot(tmp_path), PUBLIC)
    assert free == set()
    assert "latest.jpg" in note.message


def test_remove_local_says_which_files_stay(site: Site, cache_dir: str, tmp_path: Path) -> None:
    for name in ("used.jpg", "free.jpg"):
        site.add(f"img/{name}", photo(64, 40))
    site.page("index.html", '<img src="img/used.jpg" alt=""><img src="img/free.jpg" alt="">')
    site.add("app.js", b'show("img/used.jpg")')
    config = Config(
        bucket=(tmp_path / "bucket").as_uri(),
        public_url=PUBLIC,
        check_public=False,
        remove_local=True,
        cache_dir=cache_dir,
        widths=(320,),
    )
    result = Images(config).publish(site.root)
    assert [path.name for path in (site.root / "img").iterdir()] == ["used.jpg"]
    assert [str(problem) for problem in result.problems] == ["img/used.jpg: stays in the site: app.js still names it."]
    assert (result.removed, result.exit_code) == (1, 0)


@pytest.mark.parametrize(
    "unit", ["%25", "&amp;", "\\\\", "&#38;", "\\u005c", "cat.jpg", ".jpg", "%", "&", "\\", "&am", "\\u{5c}"]
)
def test_looking_for_names_takes_steps_in_proportion(unit: str) -> None:
    steps = [sum(1 for _ in _readings(unit * size)) for size in (1000, 2000)]
    assert max(steps) <= 16
    lengths = [sum(map(len, _readings(unit * size))) for size in (1000, 2000)]
    assert lengths[1] <= 2.1 * lengths[0] + 100


def _readings(text: str) -> list[str]:
    return list(NamedFiles(["cat.jpg"], PUBLIC).readings(text))
