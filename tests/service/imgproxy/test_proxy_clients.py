"""URL builders of imgproxy, and our own: what they make is answered, signed and unsigned."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from s3img import Images
from s3img.config import Config
from s3img.errors import ConfigError, TransformError
from s3img.lock import read_lock
from s3img.urls import imgproxy_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from transform_service import Served

TESTS = Path(__file__).parents[2]
RECORDED = json.loads((TESTS / "data/imgproxy/imgproxy-clients.json").read_text())["addresses"]
SIGNED = json.loads((TESTS / "data/imgproxy/imgproxy-signing.json").read_text())["vectors"]
KEY, SALT, SOURCE = "aabb", "ccdd", "s3://bucket/img/cat.jpg"


@pytest.fixture
def check(serve: Callable[..., Served]) -> Callable[[str], None]:
    """Check that an address on http://localhost is a picture of 60x40 px, and that its signature was looked at."""
    keys = {"keys": KEY, "salts": SALT}
    services = {True: serve(imgproxy={"mount": "", **keys}, access="signed"), False: serve(imgproxy={"mount": ""})}

    def run(address: str, *, signed: bool) -> None:
        path = address.removeprefix("http://localhost")
        answer = services[signed].ask(path)
        assert answer.status_code == 200, answer.text
        assert Image.open(io.BytesIO(answer.data)).size == (60, 40)
        if signed:
            assert services[True].status(path.replace("40", "41")) == (403, "ESIGNATURE")

    return run


@pytest.mark.parametrize(("client", "address"), RECORDED, ids=[name for name, _ in RECORDED])
def test_address_of_a_builder_of_npm_is_answered(check: Callable[..., None], client: str, address: str) -> None:
    check(address, signed=" signed" in client)


@pytest.mark.nightly
def test_builders_of_npm_still_make_these_addresses(tmp_path: Path) -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs node and npm")
    (tmp_path / "package.json").write_text("{}")
    packages = ["@imgproxy/imgproxy-node@1", "imgproxy@1", "@bitpatty/imgproxy-url-builder@2"]
    command = ["npm", "install", "--no-audit", "--no-fund", *packages]
    if subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300, check=False).returncode:
        pytest.skip("needs the registry of npm")
    script = shutil.copy(TESTS / "support/imgproxy_clients.mjs", tmp_path)
    run = ["node", str(script), "http://localhost", KEY, SALT, SOURCE]
    found = subprocess.run(run, cwd=tmp_path, capture_output=True, timeout=60, check=True)
    assert json.loads(found.stdout) == RECORDED


@pytest.mark.parametrize("signed", [True, False])
def test_imgproxy_of_pypi_is_answered(check: Callable[..., None], signed: bool) -> None:  # noqa: FBT001 - a parameter
    client = pytest.importorskip("imgproxy", reason="needs imgproxy of PyPI")
    keys = {"key": KEY, "salt": SALT} if signed else {}
    image = client.ImgProxy(SOURCE, "http://localhost", resizing_type="fill", width=60, height=40, **keys)
    check(str(image), signed=signed)
    check(image("q:70", "f:webp"), signed=signed)


@pytest.mark.parametrize("source", [SOURCE, "s3://bucket/@a%b ü.jpg"])
def test_pyimgproxy_is_answered(check: Callable[..., None], folder: Path, source: str) -> None:
    client = pytest.importorskip("pyimgproxy", reason="needs pyimgproxy")
    shutil.copy(folder / "cat.jpg", folder / "@a%b ü.jpg")
    image = client.ImgProxy("http://localhost", key=KEY, salt=SALT).image(source)
    check(str(image.resize("fill", 60, 40).quality(70).url), signed=True)


def test_mkimgproxy_is_answered(check: Callable[..., None]) -> None:
    client = pytest.importorskip("mkimgproxy", reason="needs mkimgproxy")
    made = client.ImgProxy(KEY, SALT, "http://localhost").generate(SOURCE, {"rs": "fill:60:40"}, "png")
    check(made, signed=True)


@pytest.mark.parametrize("keys", [{"key": KEY, "salt": SALT}, {}], ids=["signed", "unsigned"])
@pytest.mark.parametrize("encoded", [True, False], ids=["base64", "plain"])
@pytest.mark.parametrize("name", ["img/cat.jpg", "a @%?#+,ü/b.jpg"])
def test_our_own_address_is_answered(
    check: Callable[..., None], folder: Path, keys: dict[str, str], name: str, *, encoded: bool
) -> None:
    (folder / "a @%?#+,ü").mkdir()
    shutil.copy(folder / "cat.jpg", folder / "a @%?#+,ü/b.jpg")
    source = f"local:///{name}"
    address = imgproxy_url(
        source, "rs:fill:60:40", base_url="http://localhost/", extension="webp", encoded=encoded, **keys
    )
    check(address, signed=bool(keys))


@pytest.mark.parametrize(
    "vector", [v for v in SIGNED if v["valid"] and "plain/" in v["path"] and not v["trusted"]], ids=lambda v: v["name"]
)
def test_our_own_signature_is_imgproxys(vector: dict[str, Any]) -> None:
    options, _, source = vector["path"].partition("/plain/")
    size = vector["signature_size"]
    made = imgproxy_url(source, options, key=vector["key_hex"], salt=vector["salt_hex"], signature_size=size)
    if "canonical" not in vector["name"]:
        assert made == f"/{vector['signature']}{vector['path']}"


def test_address_of_an_image_of_the_lock_is_in_imgproxys_form(tmp_path: Path, folder: Path) -> None:
    settings = {"service_url": "https://img.example.com", "bucket": "s3://photos/shop", "imgproxy": {"mount": "/ip"}}
    lock = tmp_path / "s3img.lock"
    Images(Config(bucket=(tmp_path / "bucket").as_uri())).sync(folder / "img", lock=lock)
    key = next(iter(read_lock(lock))).key
    keys = {"IMGPROXY_KEY": KEY, "IMGPROXY_SALT": SALT}
    images = Images(Config(**settings), environ=keys)  # type: ignore[arg-type] # tables
    made = images.url("pictures/img/cat.jpg", "rs:fill:60:40", lock=lock, dialect="imgproxy", expires=1_900_000_000)
    options = "rs:fill:60:40/exp:1900000000"
    assert made == imgproxy_url(
        f"s3://photos/shop/{key}", options, base_url="https://img.example.com/ip", key=KEY, salt=SALT
    )
    with pytest.raises(TransformError, match="rs"):
        images.url("pictures/img/cat.jpg", "rs:cover", lock=lock, dialect="imgproxy")
    with pytest.raises(ConfigError, match="service_url"):
        Images(Config(bucket="s3://photos")).url("pictures/img/cat.jpg", lock=lock, dialect="imgproxy")
