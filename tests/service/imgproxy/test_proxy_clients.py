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
BUILT = [(name, address) for name, address in RECORDED if "signed" in name]
"""The same picture by every builder, signed and unsigned, its source in every form."""
OPTIONS = [(name, address) for name, address in RECORDED if "signed" not in name]
"""Every option that a builder knows, one in each address."""
KEY, SALT, SOURCE = "aabb", "ccdd", "s3://bucket/img/cat.jpg"
SOURCE_KEY = "1eb5b0e971ad7f45324c1bb15c947cb207c43152fa5c6c7f35c4f36e0c18e0f1"
REFUSED = (
    *("blur_detections", "crop_objects", "draw_detections", "objects_position", "video_thumbnail_", "bypass_cache"),
    *("blurDetections", "drawDetections", "videoThumbnail", "info classify", "info detect_objects"),
)
"""Options that need a model or video, and the one that passes over results."""


@pytest.fixture
def check(serve: Callable[..., Served]) -> Callable[[str], None]:
    """Check that an address on http://localhost is a picture of 60x40 px, and that its signature was looked at."""
    keys = {"keys": KEY, "salts": SALT}
    usual = {"mount": "", "encryption_key": SOURCE_KEY}
    services = {True: serve(imgproxy={**usual, **keys}, access="signed"), False: serve(imgproxy=usual)}

    def run(address: str, *, signed: bool) -> None:
        path = address.removeprefix("http://localhost")
        answer = services[signed].ask(path)
        assert answer.status_code == 200, answer.text
        assert Image.open(io.BytesIO(answer.data)).size == (60, 40)
        if signed:
            assert services[True].status(path.replace("40", "41")) == (403, "ESIGNATURE")

    return run


@pytest.mark.parametrize(("client", "address"), BUILT, ids=[name for name, _ in BUILT])
def test_address_of_a_builder_of_npm_is_answered(check: Callable[..., None], client: str, address: str) -> None:
    check(address, signed=" signed" in client)


@pytest.mark.slow
@pytest.mark.parametrize("client", ["@imgproxy/imgproxy-node", "imgproxy", "@bitpatty/imgproxy-url-builder"])
def test_every_option_of_a_builder_of_npm_is_answered(serve: Callable[..., Served], client: str) -> None:
    settings = {
        "keys": KEY,
        "salts": SALT,
        "presets": {"small": "w:60", "sharp": "sh:1"},
        "watermark": "local:///dot.png",
    }
    served = serve(access="signed", imgproxy={"mount": "", "allow_security_options": True, **settings})
    addresses = [one for one in OPTIONS if one[0].startswith(f"{client} ")]
    assert len(addresses) >= 20
    unexpected = []
    for name, address in addresses:
        answer = served.ask(address.removeprefix("http://localhost"))
        option = name.removeprefix(f"{client} ")
        expected = 400 if option.startswith(REFUSED) else 422 if option == "hashsum" and "md5" in address else 200
        if answer.status_code != expected:
            unexpected.append((name, answer.status_code, answer.headers["S3img-Error"]))
    assert not unexpected


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
    run = ["node", str(script), "http://localhost", KEY, SALT, SOURCE, SOURCE_KEY]
    found = subprocess.run(run, cwd=tmp_path, capture_output=True, timeout=60, check=True)
    assert json.loads(found.stdout) == RECORDED


@pytest.mark.parametrize("signed", [True, False])
def test_imgproxy_of_pypi_is_answered(check: Callable[..., None], signed: bool) -> None:  # noqa: FBT001 - a parameter
    client = pytest.importorskip("imgproxy", reason="needs imgproxy of PyPI")
    keys = {"key": KEY, "salt": SALT} if signed else {}
    image = client.ImgProxy(SOURCE, "http://localhost", resizing_type="fill", width=60, height=40, **keys)
    check(str(image), signed=signed)
    check(image("q:70", "f:webp"), signed=signed)


OF_PYIMGPROXY = {
    "resize": {"resizing_type": "fill", "width": 60, "height": 40, "enlarge": True, "extend": True},
    "size": {"width": 60, "height": 40},
    "resizing_type": {"resizing_type": "force"},
    "resizing_algorithm": {"resizing_algorithm": "linear"},
    "width": {"width": 60},
    "height": {"height": 60},
    "min_width": {"width": 60},
    "min_height": {"height": 60},
    "zoom": {"x": 0.5, "y": 2},
    "dpr": {"dpr": 1.5},
    "enlarge": {"enlarge": True},
    "extend": {"extend": True},
    "extend_aspect_ratio": {"extend": True},
    "trim": {"threshold": 10},
    "padding": {"top": 1, "right": 2, "bottom": 3, "left": 4},
    "auto_rotate": {"auto_rotate": True},
    "rotate": {"angle": 90},
    "background": {"hex_color": "ff0000"},
    "background_alpha": {"alpha": 0.5},
    "adjust": {"brightness": 5, "contrast": 1.5, "saturation": 2},
    "brightness": {"brightness": -5},
    "contrast": {"contrast": 0.5},
    "saturation": {"saturation": 0.5},
    "blur": {"sigma": 1.5},
    "sharpen": {"sigma": 1.5},
    "pixelate": {"size": 3},
    "unsharp_masking": {"mode": "always", "weight": 1.5, "divider": 20},
    "strip_metadata": {"strip_metadata": True},
    "keep_copyright": {"keep_copyright": True},
    "strip_color_profile": {"strip_color_profile": True},
    "enforce_thumbnail": {"enforce_thumbnail": True},
    "quality": {"quality": 70},
    "format": {"extension": "webp"},
    "page": {"page": 0},
    "pages": {"pages": 2},
    "disable_animation": {"disable": True},
    "raw": {"raw": True},
    "cachebuster": {"string": "abc"},
    "return_attachment": {"return_attachment": True},
}
"""Methods of pyimgproxy with their arguments; those that are left out have no body there, or need a model."""


@pytest.mark.slow
def test_every_option_of_pyimgproxy_is_answered(serve: Callable[..., Served]) -> None:
    client = pytest.importorskip("pyimgproxy", reason="needs pyimgproxy")
    served = serve(access="signed", imgproxy={"mount": "", "keys": KEY, "salts": SALT})
    for method, arguments in OF_PYIMGPROXY.items():
        image = client.ImgProxy("http://localhost", key=KEY, salt=SALT).image(SOURCE)
        address = getattr(image, method)(**arguments).url
        assert served.status(address.removeprefix("http://localhost")) == (200, ""), address
    image = client.ImgProxy("http://localhost", key=KEY, salt=SALT).image(SOURCE)
    address = image.blur_detections(3, ["face"]).url
    assert served.status(address.removeprefix("http://localhost")) == (400, "EINVAL")


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
