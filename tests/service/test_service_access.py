from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from transform_service import NOW

from s3img.config import Config
from s3img.errors import ConfigError
from s3img.pictures.catalog import ServiceUrls
from s3img.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from transform_service import Served

KEYS = "k1:first-secret k2:second-secret"
SIGNER = Signer.of(KEYS)
PRESETS = {"small": "w-50,h-50", "original": "orig-true"}


def test_signed_service_serves_signed_addresses(serve: Callable[..., Served]) -> None:
    served = serve(access="signed", signing_keys=KEYS)
    paths = ["/tr:w-9/cat.jpg", "/cat.jpg", "/cat.jpg?tr=w-9&v=2", "/info/cat.jpg", "/a/../cat.jpg"]
    assert [served.status(SIGNER.sign(path))[0] for path in paths] == [200, 200, 200, 200, 400]


@pytest.mark.parametrize(
    "path", ["/tr:w-9/cat.jpg", "/cat.jpg", "/info/cat.jpg", "/missing.jpg", "/tr:n-small/cat.jpg"]
)
def test_signed_service_refuses_all_others(serve: Callable[..., Served], path: str) -> None:
    served = serve(access="signed", signing_keys=KEYS, presets=PRESETS)
    assert served.status(path) == (403, "ESIGNATURE")


def test_comma_may_be_encoded_in_a_signed_address(serve: Callable[..., Served]) -> None:
    served = serve(access="signed", signing_keys=KEYS)
    signed = SIGNER.sign("/tr:w-9,h-9/cat.jpg")
    assert served.ask(signed.replace(",", "%2C")).headers["ETag"] == served.ask(signed).headers["ETag"]


def test_changed_address_is_refused(serve: Callable[..., Served]) -> None:
    served = serve(access="signed", signing_keys=KEYS)
    assert served.status(SIGNER.sign("/tr:w-9/cat.jpg").replace("w-9", "w-8")) == (403, "ESIGNATURE")


def test_expired_address_is_gone(serve: Callable[..., Served]) -> None:
    served = serve(access="signed", signing_keys=KEYS)
    assert served.status(SIGNER.sign("/cat.jpg", expires=int(NOW))) == (410, "EEXPIRED")


def test_answer_is_kept_no_longer_than_its_signature(serve: Callable[..., Served]) -> None:
    served = serve(access="signed", signing_keys=KEYS, service={"stale_while_revalidate": 60})
    answer = served.ask(SIGNER.sign("/cat.jpg", expires=int(NOW) + 90))
    assert answer.headers["Cache-Control"] == "public, max-age=90"


@pytest.mark.parametrize("access", ["signed", "named", "open"])
def test_wrong_signature_is_refused_in_every_mode(serve: Callable[..., Served], access: str) -> None:
    served = serve(access=access, signing_keys=KEYS)
    assert served.status(f"/cat.jpg?sig=1.k1.0.{'A' * 43}") == (403, "ESIGNATURE")


def test_older_key_is_accepted(serve: Callable[..., Served]) -> None:
    served = serve(access="signed", signing_keys=KEYS)
    assert served.status(Signer.of("k2:second-secret").sign("/cat.jpg"))[0] == 200


def test_signed_service_needs_keys(serve: Callable[..., Served]) -> None:
    with pytest.raises(ConfigError, match="S3IMG_SIGNING_KEYS"):
        serve(access="signed")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tr:n-small/cat.jpg", 200),
        ("/cat.jpg?tr=n-small", 200),
        ("/tr:n%2Dsmall/cat.jpg", 200),
        ("/cat.jpg", 200),
        ("/tr:n-nothing/cat.jpg", 400),
        ("/tr:w-50,h-50/cat.jpg", 403),
        ("/tr:n-small,q-3/cat.jpg", 403),
        ("/tr:n-small:n-small/cat.jpg", 403),
        ("/tr:/cat.jpg", 403),
        ("/tr:n-small:/cat.jpg", 403),
        ("/info/cat.jpg", 403),
        ("/cat.jpg?versionId=1", 403),
    ],
)
def test_named_service_serves_presets_and_originals(serve: Callable[..., Served], path: str, status: int) -> None:
    assert serve(access="named", presets=PRESETS).status(path)[0] == status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tr:w-300,h-200/cat.jpg", 200),
        ("/tr:h-200,w-300/cat.jpg", 200),
        ("/tr:h-200,w-300,f-webp/cat.jpg", 200),
        ("/tr:w-640,f-webp/cat.jpg", 200),
        ("/tr:n-small/cat.jpg", 200),
        ("/tr:w-640/cat.jpg", 403),
        ("/tr:w-640,f-avif/cat.jpg", 403),
        ("/tr:w-301,h-200/cat.jpg", 403),
        ("/tr:w-300,h-200,q-3/cat.jpg", 403),
        ("/tr:w-300,h-200,di-dot.png/cat.jpg", 403),
    ],
)
def test_list_of_sizes_bounds_the_variants(serve: Callable[..., Served], path: str, status: int) -> None:
    served = serve(access="sizes", allowed=("w-300,h-200", "w-640,f-webp"), presets=PRESETS)
    assert served.status(path)[0] == status


def test_signature_lifts_what_a_mode_forbids(serve: Callable[..., Served]) -> None:
    served = serve(access="named", signing_keys=KEYS)
    assert served.status(SIGNER.sign("/tr:w-9/cat.jpg"))[0] == 200


def test_open_service_serves_everything(serve: Callable[..., Served]) -> None:
    served = serve(access="open")
    assert [served.status(path)[0] for path in ("/tr:w-9/cat.jpg", "/info/cat.jpg")] == [200, 200]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"access": "sizes"}, "allowed"),
        ({"allowed": ("w-0",)}, "w-0"),
        ({"signing_keys": "hunter2"}, "ID:SECRET"),
        ({"service_url": "img.example.com"}, "https://"),
        ({"origins": {"Shop": {"bucket": "s3://shop"}}}, "lower case"),
        ({"origins": {"info": {"bucket": "s3://shop"}}}, "can't be a name"),
        ({"origins": {"shop": {"bucket": "shop"}}}, "s3://NAME"),
        ({"origins": {"shop": {"bucket": "s3://shop", "accessKey": "x"}}}, "accessKey"),
        ({"origins": {"shop": {"bucket": "s3://shop", "endpoint_url": "store"}}}, "https://"),
        ({"origins": {"shop": {"bucket": "s3://shop", "credentials": "AKIA-1"}}}, "SHOP_ACCESS_KEY_ID"),
        ({"origins": {"shop": {"bucket": "s3://shop", "credentials": "A", "anonymous": True}}}, "exclude"),
        ({"endpoints": {"shop": {"origins": ["nowhere"]}}}, "not among the origins"),
        ({"endpoints": {"shop": {"origins": []}}}, "at least one"),
        ({"service": {"metrics_path": "metrics"}}, "/metrics"),
        ({"service": {"cors_origins": ["example.com"]}}, "https://www"),
        ({"service": {"fetches": 0}}, "1 or more"),
        ({"service": {"max_age": -1}}, "0 or more"),
        ({"service": {"results": "bucket"}}, "s3://NAME"),
        ({"service": {"maxage": 1}}, "maxage"),
    ],
)
def test_settings_are_explained(serve: Callable[..., Served], settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        serve(**settings)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_signing_keys_are_not_shown(serve: Callable[..., Served]) -> None:
    assert "first-secret" not in repr(serve(signing_keys=KEYS).config)


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        ("https://img.example.com", "web"),
        ("https://IMG.example.com:8443/", "web"),
        ("https://other.example.com/img/web/", "web"),
        ("https://other.example.com/blog", "blog"),
        ("https://other.example.com/img", ""),
        ("", ""),
    ],
)
def test_public_address_tells_the_endpoint(url: str, audience: str) -> None:
    endpoints = {"web": {"origins": ["a"], "hosts": ["img.example.com"]}, "blog": {"origins": ["a"]}}
    config = Config(origins={"a": {"bucket": "s3://some-bucket"}}, endpoints=endpoints, service_url=url)
    assert config.service_audience == audience


@pytest.mark.parametrize("key", ["cat.jpg", "img/cat.jpg"])
@pytest.mark.parametrize("in_srcset", [False, True])
def test_addresses_that_the_catalog_writes_are_served(
    serve: Callable[..., Served], key: str, *, in_srcset: bool
) -> None:
    served = serve(access="signed", signing_keys=KEYS, service_url="https://img.example.com")
    urls = ServiceUrls.of(served.config)
    assert urls is not None
    address = urls.url(key, "w-30,h-20:rt-90", in_srcset=in_srcset).removeprefix("https://img.example.com")
    assert served.status(address)[0] == 200
