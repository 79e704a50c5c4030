"""imgproxy's own environment variables start a service that answers as imgproxy did."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from transform_service import Served

from s3img.errors import ConfigError
from s3img.service import create_app
from s3img.signing import ImgproxySigner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3img.service import TransformService

SIGNER = ImgproxySigner(((b"\xaa\xbb", b"\xcc\xdd"),))
KEYS = {"IMGPROXY_KEY": "aabb", "IMGPROXY_SALT": "ccdd"}


class Starter:
    """Start services from variables and close them again."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.usual = {"IMGPROXY_LOCAL_FILESYSTEM_ROOT": str(folder), "S3IMG_CACHE_DIR": str(cache)}
        self.apps: list[TransformService] = []

    def __call__(self, **variables: str) -> Served:
        app = create_app({**self.usual, **variables})
        self.apps.append(app)
        return Served(app, app.config)


@pytest.fixture
def start(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Starter]:
    monkeypatch.chdir(tmp_path)
    starter = Starter(folder, tmp_path / "cache")
    yield starter
    for app in starter.apps:
        app.close()


def test_folder_and_keys_are_enough(start: Starter) -> None:
    served = start(**KEYS)
    answer = served.ask(SIGNER.sign("/rs:fill:60:40/plain/local:///cat.jpg"))
    assert Image.open(io.BytesIO(answer.data)).size == (60, 40)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert served.status("/unsafe/w:40/plain/local:///cat.jpg") == (403, "ESIGNATURE")


def test_formats_are_negotiated_where_imgproxy_is_told_to(start: Starter) -> None:
    path = SIGNER.sign("/w:200/plain/local:///cat.jpg")
    accept = "image/avif,image/webp,*/*"
    for variables, kind in (({}, "jpeg"), ({"IMGPROXY_AUTO_WEBP": "true"}, "webp")):
        answer = start(**KEYS, **variables).ask(path, Accept=accept)
        assert answer.headers["Content-Type"] == f"image/{kind}"
        assert ("Vary" in answer.headers) == bool(variables)


def test_settings_are_those_of_the_variables(start: Starter, tmp_path: Path) -> None:
    (tmp_path / "presets").write_text("# sizes\nlarge=w:900\n")
    config = start(
        **KEYS,
        IMGPROXY_PRESETS="small=rs:fill:64:64;thumb=pr:small/q:60",
        IMGPROXY_PRESETS_SEPARATOR=";",
        IMGPROXY_PRESETS_PATH=str(tmp_path / "presets"),
        IMGPROXY_SIGNATURE_SIZE="8",
        IMGPROXY_PATH_PREFIX="/pics",
        IMGPROXY_ALLOWED_PROCESSING_OPTIONS="w, h,pr",
        IMGPROXY_URL_REPLACEMENTS="shop://*=local:///${1}",
        IMGPROXY_MAX_SRC_RESOLUTION="16.8",
        IMGPROXY_MAX_RESULT_DIMENSION="900",
        IMGPROXY_TTL="60",
        IMGPROXY_QUALITY="70",
        IMGPROXY_FORMAT_QUALITY="avif=50,jxl=60",
        IMGPROXY_WORKERS="3",
    ).config
    table = config.imgproxy
    assert table is not None
    assert table.presets == {"small": "rs:fill:64:64", "thumb": "pr:small/q:60", "large": "w:900"}
    assert (table.place, table.signature_size, table.max_result_dimension) == ("/pics", 8, 900)
    assert table.allowed_options == ("w", "h", "pr")
    assert table.url_replacements == (("shop://*", "local:///${1}"),)
    assert (config.limits.input_pixels, config.limits.jpeg_pixels) == (16_800_000, 16_800_000)
    assert (config.quality.jpeg, config.quality.avif) == (70, 50)
    assert (config.service.max_age, config.service.renders) == (60, 3)


def test_buckets_that_are_allowed_are_the_origins(start: Starter) -> None:
    config = start(
        **KEYS,
        IMGPROXY_USE_S3="true",
        IMGPROXY_S3_ALLOWED_BUCKETS="photos,my.shop,secret",
        IMGPROXY_S3_DENIED_BUCKETS="secret",
        IMGPROXY_S3_ENDPOINT="https://s3.example.com",
        IMGPROXY_S3_ENDPOINT_USE_PATH_STYLE="true",
        IMGPROXY_S3_REGION="eu-west-1",
    ).config
    buckets = {name: origin.bucket for name, origin in config.origins.items()}
    assert {"photos": "s3://photos", "my-shop": "s3://my.shop"}.items() <= buckets.items()
    assert set(buckets) == {"photos", "my-shop", "local"}
    assert (config.endpoint_url, config.addressing_style, config.region) == (
        "https://s3.example.com",
        "path",
        "eu-west-1",
    )


def test_variables_of_our_own_come_first(start: Starter, tmp_path: Path) -> None:
    (tmp_path / "s3img.toml").write_text('[imgproxy]\nmount = "/ip"\npresets = {small = "w:40"}\n')
    config = start(**KEYS, IMGPROXY_TTL="60", S3IMG_SERVICE='{"max_age": 7}').config
    assert config.imgproxy is not None
    assert (config.imgproxy.mount, config.imgproxy.presets) == ("/ip", {"small": "w:40"})
    assert config.service.max_age == 7


def test_without_keys_a_service_for_everybody_has_to_be_meant(start: Starter) -> None:
    with pytest.raises(ConfigError, match="IMGPROXY_KEY"):
        start()
    assert start(S3IMG_INSECURE="1").ask("/_/w:40/plain/local:///cat.jpg").status_code == 200
    served = start(IMGPROXY_ONLY_PRESETS="true", IMGPROXY_PRESETS="small=w:40")
    assert served.ask("/_/small/plain/local:///cat.jpg").status_code == 200
    assert served.status("/_/w:40/plain/local:///cat.jpg")[0] == 400


def test_variables_without_effect_are_named_once(start: Starter, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        start(**KEYS, IMGPROXY_USE_GCS="true", IMGPROXY_PROMETHEUS_BIND=":9090")
    warnings = [record.getMessage() for record in caplog.records if "IMGPROXY" in record.getMessage()]
    assert len(warnings) == 1
    assert "IMGPROXY_PROMETHEUS_BIND, IMGPROXY_USE_GCS" in warnings[0]
    assert "IMGPROXY_KEY" not in warnings[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("MAX_RESULT_DIMENSION", "big"), ("PRESETS", "small"), ("FORMAT_QUALITY", "webp"), ("PRESETS_PATH", "/no/file")],
)
def test_bad_value_names_its_variable(start: Starter, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"IMGPROXY_{name}"):
        start(**KEYS, **{f"IMGPROXY_{name}": value})


def test_variables_are_defaults_of_options_and_the_address_comes_after_them(start: Starter) -> None:
    variables = {"IMGPROXY_STRIP_METADATA": "false", "IMGPROXY_SKIP_PROCESSING_FORMATS": "gif, png"}
    served = start(**KEYS, **variables, IMGPROXY_PRESETS="default=w:50,small=w:20")
    settings = served.config.imgproxy
    assert settings is not None
    assert settings.presets == {"default": "sm:0/skp:gif:png/w:50", "small": "w:20"}
    for options, has_exif in (("q:80", True), ("sm:1", False)):
        answer = served.ask(SIGNER.sign(f"/{options}/plain/local:///cat.jpg"))
        picture = Image.open(io.BytesIO(answer.data))
        assert (picture.width, bool(picture.getexif())) == (50, has_exif)


def test_fallback_and_watermark_are_read_from_files(start: Starter, folder: Path) -> None:
    files = {f"IMGPROXY_{name}_PATH": str(folder / "dot.png") for name in ("FALLBACK_IMAGE", "WATERMARK")}
    served = start(**KEYS, **files, IMGPROXY_FALLBACK_IMAGE_HTTP_CODE="404", IMGPROXY_FALLBACK_IMAGE_TTL="7")
    answer = served.ask(SIGNER.sign("/w:30/plain/local:///none.jpg"))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "public, max-age=7")
    assert Image.open(io.BytesIO(answer.data)).size == (30, 20)
    assert served.ask(SIGNER.sign("/w:30/wm:1/plain/local:///cat.jpg")).status_code == 200
