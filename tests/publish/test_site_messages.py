"""Messages about what a page asks for: each says what the cause is and what to do next."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt
from sites import photo

from s3img import Config, Images
from s3img.errors import AssetError

if TYPE_CHECKING:
    from pathlib import Path

    from sites import Site

    from s3img.publish.result import PublishResult


def publish(site: Site, cache_dir: str, **settings: object) -> PublishResult:
    return Images(Config(**{"cache_dir": cache_dir, "widths": (320,), "formats": (), **settings})).publish(site.root)  # type: ignore[arg-type]


@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_name_in_another_unicode_form_is_said_to_be_one(site: Site, cache_dir: str, written: str, stored: str) -> None:
    site.add(unicodedata.normalize(stored, "Grüße.jpg"), photo(64, 40))  # type: ignore[arg-type]
    site.page("index.html", f'<img src="{unicodedata.normalize(written, "Grüße.jpg")}" alt="">')  # type: ignore[arg-type]
    (problem,) = publish(site, cache_dir).problems
    assert f"the page writes {written}, the file {stored}" in problem.message


def test_site_below_a_path_is_one_message_that_names_the_option(site: Site, cache_dir: str) -> None:
    site.add("img/f.png", photo(64, 40))
    for name in ("a.html", "b.html"):
        site.page(name, '<img src="/base/docs/img/f.png" alt="">')
    (problem,) = publish(site, cache_dir).problems
    assert "but 'img/f.png' does" in problem.message
    assert "--site-url https://example.com/base/docs/" in problem.message
    assert (
        "<picture" in site.text("a.html")
        or publish(site, cache_dir, site_url="https://x.org/base/docs/").pages_changed == 2
    )


@pytest.mark.parametrize(
    ("missing", "suggestion"),
    [
        ("img/catt.jpg", "did you mean 'img/cat.jpg'?"),
        ("photos/cat.jpg", "did you mean 'img/cat.jpg'?"),
        ("img/Cat.JPG", "did you mean 'img/cat.jpg'?"),
        ("img/cat.jpeg", "did you mean 'img/cat.jpg'?"),
        ("cat.webp", "did you mean 'img/cat.jpg'?"),
        ("img/dog.jpg", "add the file or remove the reference."),
        ("holiday/beach.jpg", "add the file or remove the reference."),
    ],
)
def test_only_near_names_are_suggested(site: Site, cache_dir: str, missing: str, suggestion: str) -> None:
    site.add("img/cat.jpg", photo(64, 40))
    site.page("index.html", f'<img src="{missing}" alt="">')
    (problem,) = publish(site, cache_dir).problems
    assert problem.message.endswith(suggestion)


def test_missing_image_that_a_tag_names_twice_is_told_once(site: Site, cache_dir: str) -> None:
    site.page("index.html", '<img src="none.jpg" srcset="none.jpg 1x" alt="">')
    assert len(publish(site, cache_dir).problems) == 1


def test_linked_page_is_published_once_and_stays_a_link(site: Site, cache_dir: str) -> None:
    site.add("1.0/a.jpg", photo(640, 420))
    site.page("1.0/index.html", '<img src="a.jpg" alt="">')
    (site.root / "1.0/link.html").symlink_to("index.html")
    (site.root / "other.html").symlink_to("1.0/text.txt")
    (site.root / "1.0/text.txt").write_text('<img src="1.0/a.jpg" alt="">')
    results = [publish(site, cache_dir) for _ in range(2)]
    assert [(result.exit_code, result.pages, result.pages_changed) for result in results] == [(0, 2, 2), (0, 2, 0)]
    assert (site.root / "1.0/link.html").is_symlink()
    assert (site.root / "other.html").is_symlink()
    assert "assets/_s3img/" in site.text("1.0/text.txt")


@pytest.mark.parametrize(
    ("pointer", "command"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:07\nsize 12345\n", "git lfs pull"),
        ("/annex/objects/SHA256E-s1--07.png\n", "git annex get"),
    ],
)
def test_pointer_in_place_of_a_picture_names_what_brings_it(
    site: Site, cache_dir: str, pointer: str, command: str
) -> None:
    site.add("cat.png", pointer.encode())
    site.page("index.html", '<img src="cat.png" alt="">')
    (problem,) = publish(site, cache_dir).problems
    assert command in problem.message
    assert str(problem).count("cat.png") == 1


@pytest.mark.parametrize(
    "policy", ["img-src 'self'", "default-src 'none'; style-src *", "img-src https://other.example"]
)
def test_page_whose_policy_forbids_the_bucket_stays(site: Site, cache_dir: str, tmp_path: Path, policy: str) -> None:
    site.add("cat.jpg", photo(64, 40))
    site.page("a.html", f'<meta http-equiv="Content-Security-Policy" content="{policy}"><img src="cat.jpg" alt="">')
    site.page("b.html", '<img src="cat.jpg" alt="">')
    before = site.text("a.html")
    bucket = {"bucket": (tmp_path / "b").as_uri(), "public_url": "https://img.example.com", "remove_local": True}
    result = publish(site, cache_dir, check_public=False, **bucket)
    assert [(problem.page, problem.code) for problem in result.problems] == [
        ("a.html", "policy"),
        ("cat.jpg", "kept-local"),
    ]
    assert "img-src" in result.problems[0].message
    assert site.text("a.html") == before
    assert "https://img.example.com" in site.text("b.html")


@pytest.mark.parametrize(
    "policy", ["img-src *", "img-src https://img.example.com", "script-src 'self'", "default-src https:"]
)
def test_page_whose_policy_allows_the_bucket_is_published(
    site: Site, cache_dir: str, tmp_path: Path, policy: str
) -> None:
    site.add("cat.jpg", photo(64, 40))
    site.page("a.html", f'<meta http-equiv="Content-Security-Policy" content="{policy}"><img src="cat.jpg" alt="">')
    publish(site, cache_dir, bucket=(tmp_path / "b").as_uri(), public_url="https://img.example.com")
    assert "https://img.example.com" in site.text("a.html")


def test_folder_without_pages_is_no_success_without_a_word(site: Site, cache_dir: str) -> None:
    site.add("notes.txt", b"x")
    (problem,) = publish(site, cache_dir).problems
    assert "has no pages" in problem.message


@pytest.mark.parametrize("name", ["mkdocs.yml", "hugo.toml", "_config.yml", "conf.py", "docusaurus.config.js"])
def test_source_folder_is_no_success_without_a_word(site: Site, cache_dir: str, name: str) -> None:
    site.add(name, b"x")
    site.page("theme/main.html", "<p>x</p>")
    for _ in range(2):
        (problem,) = publish(site, cache_dir).problems
        assert name in problem.message


def test_markdown_lists_what_it_leaves_and_why(site: Site, cache_dir: str, tmp_path: Path) -> None:
    site.add("docs/img/cat.jpg", photo(64, 40))
    text = (
        "![a](img/cat.jpg) ![b](https://badge.example/b.svg) ![c](img/cat.jpg){ data-s3img=off }\n"
        "![e]({{url}}/e.jpg) ![f](data:image/gif;base64,AA) ![g](https://img.example.com/done.jpg)\n"
    )
    readme = site.add("docs/README.md", text.encode())
    config = Config(bucket=(tmp_path / "b").as_uri(), public_url="https://img.example.com", cache_dir=cache_dir)
    result = Images(config).publish_sources([readme], root=site.root / "docs", render=MarkdownIt("commonmark").render)
    assert [problem.message for problem in result.problems] == [
        "'https://badge.example/b.svg' stays: it is an address elsewhere, not a file.",
        "'img/cat.jpg' stays: its author excluded it.",
        "'{{url}}/e.jpg' stays: a template has yet to fill it in.",
    ]
    assert result.exit_code == 0


def test_removing_local_files_without_a_bucket_is_said_to_do_nothing(site: Site, cache_dir: str) -> None:
    site.add("a.png", photo(64, 40))
    site.page("index.html", '<img src="a.png" alt="">')
    (problem,) = publish(site, cache_dir, remove_local=True).problems
    assert problem.severity == "note"
    assert "no effect without a bucket" in problem.message
    assert (site.root / "a.png").exists()


def test_folder_in_place_of_a_markdown_file_is_called_a_folder(tmp_path: Path, cache_dir: str) -> None:
    images = Images(Config(bucket=(tmp_path / "bucket").as_uri(), cache_dir=cache_dir))
    (tmp_path / "posts").mkdir()
    with pytest.raises(AssetError, match=r"posts: is a folder\. Name Markdown files\."):
        images.publish_sources([tmp_path / "posts"], root=tmp_path, render=MarkdownIt().render)
