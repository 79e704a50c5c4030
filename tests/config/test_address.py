from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.config import address
from s3img.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("s3://my-images", "s3://my-images"),
        (" s3://my-images/docs/ ", "s3://my-images/docs"),
        ("file:///srv/images", "file:///srv/images"),
        ("file:/srv/images", "file:///srv/images"),
        ("file://localhost/srv/a%20b", "file:///srv/a%20b"),
        ("file:///srv/a#b?c", "file:///srv/a%23b%3Fc"),
    ],
)
def test_parse_reads_what_people_write(text: str, canonical: str) -> None:
    assert str(address.parse(text)) == canonical
    assert address.parse(canonical) == address.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "my-images",
        "s3:/my-images",
        "s3://",
        "s3://b",
        "s3://my images",
        "https://x",
        "file://host/a",
        "file:///",
        "file:a",
    ],
)
def test_parse_refuses_other_texts_and_says_the_forms(text: str) -> None:
    with pytest.raises(ConfigError, match=r"s3://NAME/PREFIX|three slashes"):
        address.parse(text)


def test_parse_does_not_repeat_a_secret() -> None:
    with pytest.raises(ConfigError) as caught:
        address.parse("s3://AKIAEXAMPLE:hunter2secret@my-images")
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_parse_raises_nothing_but_config_errors(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert address.parse(str(address.parse(text))) == address.parse(text)


def test_default_public_url_of_a_virtual_only_store() -> None:
    where = address.parse("s3://pics/docs")
    url = address.default_public_url(
        where, endpoint_url="https://oss-cn.aliyuncs.com", region="", addressing_style="auto"
    )
    assert url == "https://pics.oss-cn.aliyuncs.com/docs"
