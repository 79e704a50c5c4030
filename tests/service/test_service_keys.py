"""Keys that other services get wrong, through every server a Python application runs under."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from s3_servers import S3Server, new_bucket
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from wsgi_servers import SERVERS, running, send

from s3img.config import Config
from s3img.service import TransformService
from s3img.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = "k1:first-secret"
SIGNER = Signer.of(KEYS)
NAMES = [
    "plain.jpg",
    "with blank.jpg",
    "100%.jpg",
    "a%20b.jpg",
    "a%2Fb.jpg",
    "a%252Fb.jpg",
    "a+b.jpg",
    "a;b=c.jpg",
    "a,b:c.jpg",
    "a&b=c.jpg",
    "a?b#c.jpg",
    "caf\u00e9.jpg",
    "cafe\u0301.jpg",
    "\U0001f408.jpg",
    "\u65e5\u672c.jpg",
    "quote'\"<>`.jpg",
    "back\\slash.jpg",
    "brackets[]{}|^.jpg",
    "~tilde!$(*)@.jpg",
    ".hidden",
    "folder/.hidden/two..dots.jpg",
    "double//slash.jpg",
    " .jpg",
    "tr-w-300.jpg",
    "n\u00fcll\u200b.jpg",
]


def as_sent(name: str) -> dict[str, bytes]:
    """Spell a key as clients do: everything encoded, as little as a URL needs, or even less."""
    strict = quote(name, safe="/").encode()
    return {
        "strict": strict,
        "slashes": quote(name, safe="").encode(),
        "lower": bytes(strict).replace(b"%C3%A9", b"%c3%a9"),
        "lenient": quote(name, safe="/!$&'()*+,;=:@[]").encode(),
        "careless": quote(name, safe="/!$&'()*+,;=:@[]\"<>`{}|^\\").encode(),
    }


@pytest.fixture(scope="module")
def settings(moto_server: S3Server) -> dict[str, str]:
    bucket = new_bucket(moto_server)
    for name in NAMES:
        bucket.bucket.put(name, name.encode(), media_type="text/plain")
    return {
        "S3IMG_BUCKET": bucket.address,
        "S3IMG_ENDPOINT_URL": moto_server.endpoint_url,
        "S3IMG_REGION": "us-east-1",
        "S3IMG_ACCESS_KEY_ID": moto_server.access_key,
        "S3IMG_SECRET_ACCESS_KEY": moto_server.secret_key,
        "S3IMG_SIGNING_KEYS": KEYS,
        "S3IMG_SERVICE": '{"cache_bytes": 0}',
    }


@pytest.fixture(scope="module")
def app(settings: dict[str, str]) -> Iterator[TransformService]:
    config = Config(
        bucket=settings["S3IMG_BUCKET"],
        endpoint_url=settings["S3IMG_ENDPOINT_URL"],
        region="us-east-1",
        signing_keys=KEYS,
        service={"cache_bytes": 0},
    )
    service = TransformService(config, environ=settings)
    yield service
    service.close()


@pytest.fixture(scope="module", params=[*SERVERS, "granian"])
def server(
    request: pytest.FixtureRequest, app: TransformService, settings: dict[str, str]
) -> Iterator[tuple[str, int]]:
    with running(request.param, app, settings) as port:
        yield request.param, port


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_every_spelling_of_a_key_is_understood_and_signed(server: tuple[str, int], name: str) -> None:
    for way, spelling in as_sent(name).items():
        signed = SIGNER.sign("/tr:orig-true,q-80/" + quote(name, safe="/")).partition("?")[2]
        if way == "slashes" and "/" in name:  # another address by design: it is signed as it is sent
            continue
        answer = send(server[1], b"/tr:orig-true%2Cq-80/" + spelling + b"?" + signed.encode())
        if server[0] == "granian" and b"<" in spelling:  # which no address may hold
            assert answer.status == 400
            continue
        assert (way, answer.status, answer.body) == (way, 200, name.encode())


def test_encoded_slash_signs_as_it_is_sent(settings: dict[str, str], app: TransformService) -> None:
    with running("waitress", app, settings) as found:
        answer = send(found, SIGNER.sign("/folder%2F.hidden%2Ftwo..dots.jpg"))
    assert answer.body == b"folder/.hidden/two..dots.jpg"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/caf\xe9.jpg", 403),
        (b"/caf%E9.jpg", 400),
        (b"/%zz.jpg", 403),
        (b"/a%", 403),
        (b"/../plain.jpg", 400),
        (b"//plain.jpg", 403),
        (b"/" + b"a" * 8200, 413),
    ],
)
def test_odd_target_gets_a_documented_answer(
    settings: dict[str, str], app: TransformService, target: bytes, status: int
) -> None:
    with running("werkzeug", app, settings) as found:
        assert send(found, target).status == status


@pytest.mark.parametrize("server", ["waitress", "werkzeug", "wsgiref"])
@pytest.mark.parametrize("mount", ["/img", "/a b/\u00e9"])
def test_mounted_service_reads_what_is_below_its_mount(
    settings: dict[str, str], app: TransformService, server: str, mount: str
) -> None:
    with running(server, DispatcherMiddleware(_nothing, {mount.encode().decode("latin-1"): app}), settings) as found:
        answer = send(found, quote(mount) + SIGNER.sign("/a%2520b.jpg"))
    assert answer.body == b"a%20b.jpg"


def test_absolute_target_is_understood(settings: dict[str, str], app: TransformService) -> None:
    with running("waitress", app, settings) as found:
        assert send(found, "http://localhost" + SIGNER.sign("/plain.jpg")).body == b"plain.jpg"


def _nothing(environ: object, start_response: object) -> list[bytes]:
    raise AssertionError
