"""Addresses that ImageKit's libraries sign: accepted with the private key, refused when wrong or expired."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from transform_service import NOW

from s3img.config import Config
from s3img.config.load import load
from s3img.errors import ConfigError, SignatureError
from s3img.signing import ImageKitSigner, Signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from transform_service import Served

VECTORS = json.loads((Path(__file__).parent.parent / "data/service/imagekit-signed.json").read_text())
KEY = "private_key"
LATER = int(NOW) + 600
KEYS = "k1:0123456789abcdef0123456789abcdef"


def below(vector: dict[str, str]) -> str:
    """Return what an official library signed: the address after its endpoint."""
    return "/" + vector["url"].removeprefix(vector["endpoint"].rstrip("/")).lstrip("/")


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["url"].startswith(v["endpoint"])], ids=lambda v: v["id"])
def test_address_of_an_official_library_holds(vector: dict[str, str]) -> None:
    assert ImageKitSigner.of(vector["key"]).read(below(vector)).key_id == "imagekit"


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["url"].startswith(v["endpoint"])], ids=lambda v: v["id"])
def test_address_is_signed_as_an_official_library_does(vector: dict[str, str]) -> None:
    plain, _, _ = below(vector).partition("ik-s=")
    plain, _, until = plain.rstrip("?&").partition("ik-t=")
    signed = ImageKitSigner.of(vector["key"]).sign(plain.rstrip("?&"), expires=int(until) if until else None)
    assert signed == below(vector)


@pytest.mark.parametrize("access", ["signed", "named", "open"])
@pytest.mark.parametrize(
    "target", ["/tr:w-30/cat.jpg", "/cat.jpg?tr=w-30", "/cat.jpg?v=2&tr=w-30", "/tr:w-30/img%2Fcat.jpg"]
)
def test_signed_address_is_served(serve: Callable[..., Served], access: str, target: str) -> None:
    served = serve(access=access, imagekit_private_key=KEY)
    signer = ImageKitSigner.of(KEY)
    for address in (signer.sign(target), signer.sign(target, expires=LATER)):
        assert served.ask(address).status_code == 200


def test_expiry_bounds_what_caches_keep(serve: Callable[..., Served]) -> None:
    answer = serve(imagekit_private_key=KEY).ask(ImageKitSigner.of(KEY).sign("/cat.jpg", expires=LATER))
    assert answer.headers["Cache-Control"] == "public, max-age=600"


@pytest.mark.parametrize("access", ["signed", "named", "open"])
def test_expired_address_is_gone(serve: Callable[..., Served], access: str) -> None:
    address = ImageKitSigner.of(KEY).sign("/cat.jpg", expires=int(NOW) - 1)
    assert serve(access=access, imagekit_private_key=KEY).status(address) == (410, "EEXPIRED")


@pytest.mark.parametrize("access", ["signed", "named", "open"])
@pytest.mark.parametrize(
    "address",
    [
        "/cat.jpg?ik-s=" + 40 * "0",
        "/cat.jpg?ik-t=1800000600&ik-s=" + 40 * "0",
        "/cat.jpg?ik-t=1800000600",
        "/cat.jpg?ik-s=",
        "/cat.jpg?ik-s=x&ik-s=y",
    ],
)
@pytest.mark.parametrize(
    "settings",
    [{"imagekit_private_key": KEY}, {"signing_keys": KEYS}, {"imagekit_private_key": KEY, "signing_keys": KEYS}],
)
def test_forged_address_is_refused(
    serve: Callable[..., Served], access: str, address: str, settings: dict[str, str]
) -> None:
    served = serve(access=access, **settings)
    assert served.status(address) == (403, "ESIGNATURE")
    assert "ik-s" in served.ask(address).text


def test_message_names_key_and_endpoint(serve: Callable[..., Served]) -> None:
    served = serve(
        bucket="",
        origins={"o": {"bucket": "file:///nowhere"}},
        endpoints={"web": {"origins": ["o"]}, "shop": {"origins": ["o"]}},
        imagekit_private_key={"web": "key-of-web", "shop": "key-of-shop"},
    )
    address = ImageKitSigner.of("key-of-shop").sign("/cat.jpg")
    answer = served.ask(f"/web{address}")
    assert answer.status_code == 403
    assert "imagekit_private_key of endpoint web" in answer.text
    assert served.status(f"/shop{address}")[0] == 404


def test_change_of_the_address_is_refused() -> None:
    signer = ImageKitSigner.of(KEY)
    signed = signer.sign("/tr:w-300/cat.jpg?v=1", expires=LATER)
    for changed in (signed.replace("w-300", "w-301"), signed.replace("v=1", "v=2"), signed + "&x=1"):
        with pytest.raises(SignatureError):
            signer.read(changed)


def test_digits_do_not_move_from_the_expiry_into_the_address() -> None:
    signer = ImageKitSigner.of("dummy-key")
    first = signer.sign("/a.jpg?v=2&tr=w-300", expires=1_700_000_300)
    mac = first.rpartition("ik-s=")[2]
    with pytest.raises(SignatureError):
        signer.read(f"/a.jpg?v=2&tr=w-&ik-t=3001700000300&ik-s={mac}")
    with pytest.raises(SignatureError):
        signer.read(f"/a.jpg?v=2&tr=w-30001&ik-t=700000300&ik-s={mac}")


def test_several_keys_are_accepted_while_they_rotate() -> None:
    assert ImageKitSigner.of("new old").read(ImageKitSigner.of("old").sign("/a.jpg")).expires == 0


def test_own_signatures_hold_beside_those_of_imagekit(serve: Callable[..., Served]) -> None:
    served = serve(access="signed", signing_keys=KEYS, imagekit_private_key=KEY)
    assert served.ask(Signer.of(KEYS).sign("/tr:w-30/cat.jpg")).status_code == 200
    assert served.ask(ImageKitSigner.of(KEY).sign("/tr:w-30/cat.jpg")).status_code == 200
    assert served.status("/tr:w-30/cat.jpg") == (403, "ESIGNATURE")


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("one", "several endpoints need a key each"),
        ({"other": "x"}, "is not among the endpoints"),
        ({"web": " "}, "is empty"),
        ({"web": "same", "shop": "same"}, "two endpoints have one key"),
    ],
)
def test_settings_that_would_mix_endpoints_up_are_refused(keys: Any, problem: str) -> None:
    endpoints = {"web": {"origins": ["o"]}, "shop": {"origins": ["o"]}}
    with pytest.raises(ConfigError, match=problem) as raised:
        Config(origins={"o": {"bucket": "file:///x"}}, endpoints=endpoints, imagekit_private_key=keys)  # type: ignore[arg-type]
    assert "same" not in str(raised.value)


def test_private_key_is_not_shown_and_refused_in_files(tmp_path: Path) -> None:
    config = load(environ={"S3IMG_IMAGEKIT_PRIVATE_KEY": KEY}, folder=tmp_path)
    assert config.imagekit_private_key == KEY
    assert KEY not in repr(config)
    (tmp_path / "s3img.toml").write_text('imagekit_private_key = "x"')
    with pytest.raises(ConfigError, match="S3IMG_IMAGEKIT_PRIVATE_KEY"):
        load(environ={}, folder=tmp_path)
