"""Options that can't work are refused at once; what they imply needs no request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3img.buckets import AccessKey, S3Options
from s3img.buckets.s3_options import addressing, is_aws
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from s3img.buckets import AddressingStyle


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3.example.com", "Write https://s3.example.com"),
        ("127.0.0.1:9000", "Write https://127.0.0.1:9000"),
        ("ftp://s3.example.com", "not an address"),
        ("https://", "not an address"),
        ("https:///path", "not an address"),
        ("https://host:99999", "not an address"),
        ("https://[::1", "not an address"),
        ("https://host?x=1", "not an address"),
        ("https://host#x", "not an address"),
    ],
)
def test_an_endpoint_that_is_no_address_is_refused(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match="endpoint_url") as caught:
        S3Options(endpoint_url=url)
    assert words in str(caught.value)


def test_an_endpoint_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        S3Options(endpoint_url="https://user:hunter2@s3.example.com")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "https://h", "http://localhost:9000", "https://[::1]:9", "https://h/gateway"])
def test_an_endpoint_is_accepted(url: str) -> None:
    assert S3Options(endpoint_url=url).endpoint_url == url


def test_an_unknown_addressing_style_is_refused() -> None:
    with pytest.raises(ConfigError, match="auto, virtual, path"):
        S3Options(addressing_style="vhost")  # type: ignore[arg-type] # what a configuration file may hold


@pytest.mark.parametrize(
    ("style", "endpoint", "bucket", "chosen"),
    [
        ("auto", "", "pics", "auto"),
        ("auto", "", "my.pics", "auto"),
        ("auto", "https://s3.eu-west-1.amazonaws.com", "pics", "auto"),
        ("auto", "http://127.0.0.1:9000", "pics", "path"),
        ("auto", "http://[::1]:9000", "pics", "path"),
        ("auto", "http://localhost:9000", "pics", "path"),
        ("auto", "http://minio:9000", "pics", "path"),
        ("auto", "https://s3.example.com", "pics", "path"),
        ("auto", "https://cos.ap-guangzhou.myqcloud.com", "pics-1250000000", "virtual"),
        ("auto", "https://s3.oss-cn-hangzhou.aliyuncs.com", "pics", "virtual"),
        ("auto", "https://s3.oss-cn-hangzhou.aliyuncs.com", "my.pics", "path"),
        ("virtual", "http://127.0.0.1:9000", "pics", "virtual"),
        ("path", "", "pics", "path"),
    ],
)
def test_addressing_style_is_chosen(
    style: AddressingStyle, endpoint: str, bucket: str, chosen: AddressingStyle
) -> None:
    assert addressing(style, endpoint, bucket) == chosen


@pytest.mark.parametrize(
    ("endpoint", "aws"),
    [
        ("", True),
        ("https://s3.eu-west-1.amazonaws.com", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("https://amazonaws.com.example.net", False),
        ("https://notamazonaws.com", False),
        ("https://account.r2.cloudflarestorage.com", False),
    ],
)
def test_aws_is_told_from_compatible_stores(endpoint: str, *, aws: bool) -> None:
    assert is_aws(endpoint) is aws


def test_an_access_key_comes_from_the_environment_without_its_line_break() -> None:
    environment = {"S3IMG_ACCESS_KEY_ID": "id\n", "S3IMG_SECRET_ACCESS_KEY": " secret", "S3IMG_SESSION_TOKEN": "token"}
    assert AccessKey.from_environment(environment) == AccessKey("id", "secret", "token")


@pytest.mark.parametrize("environment", [{}, {"S3IMG_ACCESS_KEY_ID": " "}, {"S3IMG_SESSION_TOKEN": "token"}])
def test_no_access_key_in_the_environment_is_none(environment: dict[str, str]) -> None:
    assert AccessKey.from_environment(environment) is None


@pytest.mark.parametrize("name", ["S3IMG_ACCESS_KEY_ID", "S3IMG_SECRET_ACCESS_KEY"])
def test_half_an_access_key_names_the_other_half(name: str) -> None:
    other = {"S3IMG_ACCESS_KEY_ID", "S3IMG_SECRET_ACCESS_KEY"} - {name}
    with pytest.raises(ConfigError, match=other.pop()):
        AccessKey.from_environment({name: "value"})
