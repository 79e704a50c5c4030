"""Origins of a service: on the service's store with its credentials, or wholly on their own; never a mixture."""

from __future__ import annotations

from typing import Any

import pytest

from s3img.buckets import AccessKey
from s3img.buckets.origin_options import origin_options
from s3img.config import Config
from s3img.errors import ConfigError

ENVIRON = {
    "S3IMG_ACCESS_KEY_ID": "id",
    "S3IMG_SECRET_ACCESS_KEY": "secret",
    "SHOP_ACCESS_KEY_ID": "shop",
    "SHOP_SECRET_ACCESS_KEY": "s",
}
KEY, SHOP = AccessKey("id", "secret"), AccessKey("shop", "s")
STORE, OTHER = "https://s3.example.com", "https://s3.example.org"


def options(settings: dict[str, Any], origins: dict[str, dict[str, Any]], environ: dict[str, str] | None = None) -> Any:
    named = {name: {"bucket": "s3://pics", **origin} for name, origin in origins.items()}
    return origin_options(Config(**settings, origins=named), ENVIRON | (environ or {}))


@pytest.mark.parametrize(
    ("settings", "origin", "found"),
    [
        ({"endpoint_url": STORE, "region": "r"}, {}, (STORE, "r", KEY)),
        ({"endpoint_url": STORE, "region": "r"}, {"region": "x"}, (STORE, "x", KEY)),
        ({"endpoint_url": STORE, "region": "r"}, {"endpoint_url": f"{STORE}/"}, (f"{STORE}/", "r", KEY)),
        ({"endpoint_url": STORE}, {"endpoint_url": OTHER, "credentials": "SHOP"}, (OTHER, "", SHOP)),
        ({"endpoint_url": STORE}, {"endpoint_url": OTHER, "anonymous": True}, (OTHER, "", None)),
        ({"endpoint_url": STORE}, {"provider": "aws", "region": "eu-west-1", "credentials": "SHOP"}, ("https://s3.eu-west-1.amazonaws.com", "eu-west-1", SHOP)),
        ({"endpoint_url": STORE}, {"provider": "b2", "region": "us-west-004", "credentials": "SHOP"}, ("https://s3.us-west-004.backblazeb2.com", "us-west-004", SHOP)),
        ({"region": "eu-west-1"}, {}, ("", "eu-west-1", KEY)),
        ({"region": "eu-west-1"}, {"region": "eu-west-3"}, ("", "eu-west-3", KEY)),
        ({"bucket": "s3://own"}, {"credentials": "SHOP"}, ("", "", SHOP)),
        ({"bucket": "s3://own", "region": "eu-west-1"}, {"endpoint_url": "https://s3.eu-west-3.amazonaws.com"}, ("https://s3.eu-west-3.amazonaws.com", "eu-west-3", KEY)),
        ({"provider": "spaces", "region": "fra1"}, {"region": "ams3"}, ("https://ams3.digitaloceanspaces.com", "ams3", KEY)),
        ({}, {"endpoint_url": STORE}, (STORE, "", KEY)),
    ],
)  # fmt: skip
def test_origin_is_reached_as_one_whole(
    settings: dict[str, Any], origin: dict[str, Any], found: tuple[str, str, AccessKey | None]
) -> None:
    made = options(settings, {"a": origin})["a"]
    assert (made.endpoint_url, made.region, made.access_key) == found


@pytest.mark.parametrize(
    ("settings", "origins", "environ", "problem"),
    [
        ({"endpoint_url": STORE}, {"a": {"endpoint_url": OTHER}}, {}, f"{OTHER} would get the credentials of {STORE}"),
        ({"bucket": "s3://own"}, {"a": {"endpoint_url": OTHER}}, {}, f"{OTHER} would get the credentials of AWS"),
        ({}, {"a": {"endpoint_url": STORE}, "b": {"endpoint_url": OTHER}}, {}, f"{OTHER} would get the credentials of {STORE}"),
        ({}, {"a": {"endpoint_url": STORE}, "b": {}}, {}, f"AWS would get the credentials of {STORE}"),
        ({"endpoint_url": STORE}, {"a": {"credentials": "SHOP"}}, {}, "is needed, because it is asked with credentials of its own"),
        ({"endpoint_url": STORE}, {"a": {"anonymous": True}}, {}, "is needed, because it is asked without credentials"),
        ({}, {"a": {"credentials": "SHOP"}}, {"AWS_ENDPOINT_URL": STORE}, "is needed"),
        ({}, {"a": {"endpoint_url": OTHER}}, {"AWS_ENDPOINT_URL_S3": STORE}, f"{OTHER} would get the credentials of {STORE}"),
        ({"provider": "r2", "account": "0123456789abcdef"}, {"a": {"provider": "r2", "account": "fedcba9876543210"}}, {}, "would get the credentials"),
    ],
)  # fmt: skip
def test_origin_that_would_get_credentials_of_another_store_is_refused(
    settings: dict[str, Any], origins: dict[str, Any], environ: dict[str, str], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        options(settings, origins, environ)
    assert problem in str(caught.value)
    assert all(text.startswith("origins.") for text in caught.value.problems)


def test_every_setting_of_the_service_is_inherited() -> None:
    settings = {
        "endpoint_url": STORE,
        "aws_profile": "p",
        "role_arn": "arn:x",
        "external_id": "e",
        "addressing_style": "virtual",
    }
    made = options(settings, {"a": {}})["a"]
    assert (made.profile, made.role_arn, made.external_id, made.addressing_style) == ("p", "arn:x", "e", "virtual")


def test_folder_has_no_options(tmp_path: Any) -> None:
    assert options({}, {"a": {"bucket": tmp_path.as_uri()}}) == {}


@pytest.mark.parametrize(
    ("origin", "problem"),
    [
        ({"provider": "b3"}, "'b3' is unknown"),
        ({"provider": "b2"}, "origins.a.region: is needed"),
        ({"provider": "aws"}, "origins.a.region: is needed"),
        ({"account": "x"}, "origins.a.account: has no effect"),
    ],
)
def test_provider_of_an_origin_is_checked(origin: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        options({}, {"a": origin})


@pytest.mark.parametrize("names", [("SECRET_ACCESS_KEY",), ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")])
def test_credentials_of_blanks_are_none_and_never_those_of_the_service(names: tuple[str, ...]) -> None:
    blank = {f"SHOP_{name}": " \n" for name in names}
    with pytest.raises(ConfigError) as caught:
        options({"endpoint_url": STORE}, {"shop": {"endpoint_url": OTHER, "credentials": "SHOP"}}, blank)
    assert all(f"SHOP_{name}" in caught.value.problems[0] for name in names)
