from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img import address
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


@pytest.mark.parametrize(
    ("text", "bucket", "key", "version"),
    [
        ("s3://pics/cat.jpg", "pics", "cat.jpg", ""),
        ("s3://pics/a/b c.jpg", "pics", "a/b c.jpg", ""),
        ("s3://pics/a%20b%2Fc%3F.jpg", "pics", "a b/c?.jpg", ""),
        ("s3://pics/a+b#c.jpg", "pics", "a+b#c.jpg", ""),
        ("s3://pics/100%.jpg", "pics", "100%.jpg", ""),
        ("s3://pics//a", "pics", "/a", ""),
        ("s3://pics/cat.jpg?versionId=3/L4kqtJ%2BlcpXro", "pics", "cat.jpg", "3/L4kqtJ+lcpXro"),
        ("s3://pics/cat.jpg?versionId=null", "pics", "cat.jpg", "null"),
    ],
)
def test_an_objects_address_is_read(text: str, bucket: str, key: str, version: str) -> None:
    assert address.ObjectAddress.parse(text) == address.ObjectAddress(bucket, key, version)


@pytest.mark.parametrize(
    "text",
    [
        *("", "cat.jpg", "s3://pics", "s3://pics/", "s3://p/cat.jpg", "https://pics/cat.jpg", "file:///a/cat.jpg"),
        *("s3://pics/../cat.jpg", "s3://pics/a/%2E%2E/b", "s3://pics/%FF.jpg", "s3://pics/" + "x" * 1025),
        *("s3://pics/a?v=1", "s3://pics/a?versionId=", "s3://pics/a?versionId=1&x=2", "s3://user:hunter2@pics/a"),
    ],
)
def test_no_other_text_is_an_objects_address(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        address.ObjectAddress.parse(text)
    assert "hunter2" not in str(caught.value)


@given(key=st.text(min_size=1, max_size=40), version=st.text(max_size=40))
def test_an_objects_address_comes_back_from_its_text(key: str, version: str) -> None:
    try:
        text = str(address.ObjectAddress("pics", key, version))
        parsed = address.ObjectAddress.parse(text)
    except (ConfigError, UnicodeEncodeError):
        assert any(part in {".", ".."} for part in key.split("/")) or "\\ud" in ascii(key + version)
        return
    assert (parsed.key, parsed.version, str(parsed)) == (key, version, text)
