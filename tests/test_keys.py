from __future__ import annotations

import posixpath
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.config import DEFAULT_KEY_TEMPLATE
from s3img.errors import ConfigError
from s3img.keys import KeyFields, KeyTemplate, variant_digest
from s3img.urls import object_url, quote_path, relative_url

DIGEST = "9f2c81aa" + "0" * 56


def key(template: str, path: str) -> str:
    return KeyTemplate.parse(template).key(KeyFields(path, DIGEST, "w-640.webp", 640, 480))


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        (DEFAULT_KEY_TEMPLATE, "img/cat.jpg", "img/cat.9f2c81aa.w-640.webp"),
        (DEFAULT_KEY_TEMPLATE, "cat.jpg", "cat.9f2c81aa.w-640.webp"),
        ("i/{{hash:16}}.{{ext}}", "img/cat.jpg", "i/9f2c81aa00000000.w-640.webp"),
        ("{{ dir }}/{{slug}}-{{hash:8}}.{{ext}}", "a/My Cat (1).jpg", "a/my-cat-1-9f2c81aa.w-640.webp"),
        ("{{dir}}/{{stem}}-{{width}}x{{height}}-{{hash:10}}.{{ext}}", "a/c.jpg", "a/c-640x480-9f2c81aa00.w-640.webp"),
    ],
)
def test_key_follows_template(template: str, path: str, expected: str) -> None:
    assert key(template, path) == expected


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{hsah:8}}/{{dir}}/{{stem}}.{{ext}}", "did you mean {{hash}}"),
        ("{{dir}}/{{stem}}.{{hash:4}}.{{ext}}", "at least 8 digits"),
        ("{{dir}}/{{stem}}.{{hash:8}}", "{{ext}} is needed"),
        ("{{hash:8}}.{{ext}}", "{{hash:16}}"),
        ("/{{dir}}/{{stem}}.{{hash:8}}.{{ext}}", "must not start with '/'"),
        ("a/../{{dir}}/{{stem}}.{{hash:8}}.{{ext}}", "'..' segment"),
        ("a//{{dir}}/{{stem}}.{{hash:8}}.{{ext}}", "empty"),
        ("{{dir}}/{{stem}}.{{hash:8}}.{{ext}}.{{year}}", "changes from run to run"),
        ("{{dir}}/{{stem.{{hash:8}}.{{ext}}", "unpaired braces"),
        ("{{dir}}/a\x01{{stem}}.{{hash:8}}.{{ext}}", "control characters"),
    ],
)
def test_template_explains_its_fault(template: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("{", r"\{").replace("/", "/")):
        KeyTemplate.parse(template)


def test_key_of_a_long_name_fits_a_file_system() -> None:
    assert len(key(DEFAULT_KEY_TEMPLATE, f"{'é' * 125}.jpg").encode()) <= 255


def test_key_too_long_is_an_error() -> None:
    with pytest.raises(ConfigError, match="longer than 1024 bytes"):
        key(DEFAULT_KEY_TEMPLATE, "/".join(["d" * 200] * 6) + "/a.jpg")


def test_key_has_no_control_characters_or_undecodable_bytes() -> None:
    assert key(DEFAULT_KEY_TEMPLATE, "a\nb\udcff\\c.jpg") == "a-b--c.9f2c81aa.w-640.webp"


def test_variant_digest_never_changes_by_itself() -> None:
    """Pin the identity: another value would render and upload every image of every user again."""
    assert variant_digest("ab" * 32, "w-640,q-82,f-webp")[:16] == "c9978d1ee2567039"


@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda t: t.strip("./") and "\0" not in t))
def test_quote_path_keeps_only_unreserved_characters(path: str) -> None:
    assert re.fullmatch(r"(?:[A-Za-z0-9/._~-]|%[0-9A-F]{2})+", quote_path(path))


def test_object_url_encodes_what_tools_split_at() -> None:
    assert (
        object_url("https://i.example.com/docs/", "a b,c+d#e.png") == "https://i.example.com/docs/a%20b%2Cc%2Bd%23e.png"
    )


@pytest.mark.parametrize(
    ("start", "expected"),
    [("", "assets/a.png"), ("guide", "../assets/a.png"), ("assets", "a.png"), ("assets/x", "../a.png")],
)
def test_relative_url_counts_from_folder(start: str, expected: str) -> None:
    assert relative_url("assets/a.png", start=start) == expected


@pytest.mark.parametrize(
    ("path", "start"), [("a/b", "a/c/d"), ("a", "a/b"), ("a/b/c", "a/b"), ("a/../b//c", "./x/"), ("a/..", "")]
)
def test_relative_url_is_what_the_library_says(path: str, start: str) -> None:
    assert relative_url(path, start=start) == posixpath.relpath(path, start or ".")
