from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.errors import NotServed, RequestError, RequestTooLarge
from s3img.service.request_parsing import parse_request
from s3img.signing import canonical
from s3img.urls import quote_path


@pytest.mark.parametrize(
    ("target", "steps", "key"),
    [
        ("/cat.jpg", None, "cat.jpg"),
        ("/tr:w-300,h-300/cat.jpg", "w-300,h-300", "cat.jpg"),
        ("/tr:w-300:rt-90/a/cat.jpg", "w-300:rt-90", "a/cat.jpg"),
        ("/a/b/tr:w-300/c/cat.jpg", "w-300", "a/b/c/cat.jpg"),
        ("/a/tr:w-3/tr:w-4/cat.jpg", "w-3", "a/tr:w-4/cat.jpg"),
        ("/tr%3Aw-300%2Ch-2/cat.jpg", "w-300,h-2", "cat.jpg"),
        ("/%74r:w-300/cat.jpg", "w-300", "cat.jpg"),
        ("/tr:/cat.jpg", "", "cat.jpg"),
        ("/cat.jpg?tr=w-300,h-2", "w-300,h-2", "cat.jpg"),
        ("/cat.jpg?v=3&tr=w-300%2Ch-2&utm=x", "w-300,h-2", "cat.jpg"),
        ("/tr:w-3/100%25.jpg", "w-3", "100%.jpg"),
        ("/tr:w-3/a%2520b.jpg", "w-3", "a%20b.jpg"),
        ("/a+b%2Bc.jpg", None, "a+b+c.jpg"),
        ("/a%2Fb.jpg", None, "a/b.jpg"),
        ("/a;v=1,2.jpg", None, "a;v=1,2.jpg"),
        ("/caf%C3%A9.jpg", None, "caf\u00e9.jpg"),
        ("/cafe%CC%81.jpg", None, "cafe\u0301.jpg"),
        ("/%F0%9F%90%88%20.jpg", None, "\U0001f408 .jpg"),
        ("//a//b.jpg", None, "/a//b.jpg"),
        ("/.hidden/.cat.jpg", None, ".hidden/.cat.jpg"),
        ("/a..b/...jpg", None, "a..b/...jpg"),
        ("/ik-seo/img/cat/a-nice-cat.jpg", None, "img/cat.jpg"),
        ("/ik-seo/tr:w-3/cat/nice.webp", "w-3", "cat.webp"),
        ("/tr:w-3/ik-seo/cat/nice", "w-3", "cat"),
        ("/informal/cat.jpg", None, "informal/cat.jpg"),
        ("/tr:w-3/info/cat.jpg", "w-3", "info/cat.jpg"),
        ("/a/moving.gif/ik-thumbnail.jpg", "f-jpg", "a/moving.gif"),
        ("/tr:w-3/moving.gif/ik-thumbnail.jpg", "w-3:f-jpg", "moving.gif"),
        ("/ik-thumbnail.jpg", None, "ik-thumbnail.jpg"),
    ],
)
def test_address_names_steps_and_key(target: str, steps: str | None, key: str) -> None:
    asked = parse_request(canonical(target))
    assert (asked.steps, asked.key) == (steps, key)


@pytest.mark.parametrize(
    ("target", "origin", "key", "version"),
    [
        ("/s3://shop/img/cat.jpg", "shop", "img/cat.jpg", ""),
        ("/s3:/shop/img/cat.jpg", "shop", "img/cat.jpg", ""),
        ("/tr:w-3/s3://shop/cat.jpg?versionId=a%2Fb+c", "shop", "cat.jpg", "a/b+c"),
        ("/cat.jpg?versionId=null", "", "cat.jpg", "null"),
        ("/cat.jpg?ik-obj-version=9sTu&updatedAt=1737", "", "cat.jpg", "9sTu"),
    ],
)
def test_address_names_origin_and_version(target: str, origin: str, key: str, version: str) -> None:
    asked = parse_request(canonical(target))
    assert (asked.origin, asked.key, asked.version) == (origin, key, version)


def test_info_is_a_kind_of_its_own() -> None:
    asked = parse_request("/info/img/cat.jpg")
    assert (asked.kind, asked.key) == ("info", "img/cat.jpg")


@pytest.mark.parametrize(
    ("query", "attachment"),
    [
        ("", None),
        ("ik-attachment=true", ""),
        ("ik-attachment=false", None),
        ("ik-attachment-filename=a+b%2Bc.jpg", "a b+c.jpg"),
        ("ik-attachment=true&ik-attachment-filename=x.jpg", "x.jpg"),
        ("ik-attachment=false&ik-attachment-filename=x.jpg", None),
    ],
)
def test_attachment_is_asked_for(query: str, attachment: str | None) -> None:
    assert parse_request(canonical(f"/cat.jpg?{query}")).attachment == attachment


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/", NotServed),
        ("/img/", NotServed),
        ("/tr:w-3", NotServed),
        ("/tr:w-3/", NotServed),
        ("/ik-seo/cat.jpg", NotServed),
        ("/.s3img/results/a", NotServed),
        ("/a/%2Es3img/results/a", NotServed),
        ("/a%2F.s3img%2Fb", NotServed),
        ("/../cat.jpg", RequestError),
        ("/a/%2e%2E/cat.jpg", RequestError),
        ("/a%2F..%2Fcat.jpg", RequestError),
        ("/./cat.jpg", RequestError),
        ("/tr:w-3/../cat.jpg", RequestError),
        ("/cat%00.jpg", RequestError),
        ("/caf%E9.jpg", RequestError),
        ("/tr:w-3/cat.jpg?tr=w-4", RequestError),
        ("/cat.jpg?tr=w-3&tr=w-4", RequestError),
        ("/cat.jpg?ik-attachment=maybe", RequestError),
        (f"/{'a' * 1025}", RequestTooLarge),
    ],
)
def test_address_that_names_nothing_is_refused(target: str, error: type[RequestError]) -> None:
    with pytest.raises(error):
        parse_request(canonical(target))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40))
def test_every_key_round_trips(name: str) -> None:
    key = f"k/{name}x"
    if {".", "..", ".s3img"}.isdisjoint(key.split("/")) and not any(s.startswith("tr:") for s in key.split("/")):
        assert parse_request(canonical(f"/{quote_path(key)}")).key == key
