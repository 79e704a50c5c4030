"""imgproxy's own environment variables start a service that answers as imgproxy did."""

from __future__ import annotations

import io
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from transform_service import Served

from s3img.errors import ConfigError
from s3img.pictures.result_names import SourceFacts
from s3img.service import create_app
from s3img.service.access import Grant
from s3img.service.caching import cache_control
from s3img.service.imgproxy.proxy_answers import passing_age
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


PATH = "/_/w:40/plain/local:///cat.jpg"
MODERN = "image/avif,image/webp,*/*"


def kind_of(served: Served, path: str, **headers: str) -> str:
    answer = served.ask(path, **headers)
    return answer.headers["Content-Type"] if answer.status_code == 200 else str(answer.status_code)


def test_formats_are_enforced_where_imgproxy_is_told_to(start: Starter, folder: Path) -> None:
    frames = [Image.new("RGB", (20, 10), color) for color in ("red", "green")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=50)
    served = start(S3IMG_INSECURE="1", IMGPROXY_ENFORCE_AVIF="1", IMGPROXY_ENFORCE_WEBP="true")
    path = "/_/w:40/f:png/plain/local:///cat.jpg"
    assert kind_of(served, path, Accept=MODERN) == "image/avif"
    assert kind_of(served, path, Accept="image/webp") == "image/webp"
    assert kind_of(served, path) == "image/png"
    assert served.ask(path).headers["Vary"] == "Accept"
    moving = served.ask("/_/w:4/f:gif/plain/local:///moving.gif", Accept=MODERN)
    assert moving.headers["Content-Type"] == "image/avif"
    assert getattr(Image.open(io.BytesIO(moving.data)), "n_frames", 1) == 2


def test_first_preferred_format_that_fits_is_written(start: Starter, folder: Path) -> None:
    frames = [Image.new("RGB", (20, 10), color) for color in ("red", "green")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=50)
    Image.new("RGBA", (9, 9), (1, 2, 3, 4)).save(folder / "clear.tiff")
    served = start(S3IMG_INSECURE="1", IMGPROXY_PREFERRED_FORMATS="jpg,webp,jxl")
    kinds = {"cat.jpg": "jpeg", "moving.gif": "webp", "clear.tiff": "webp"}
    for name, kind in kinds.items():
        assert kind_of(served, f"/_/w:4/plain/local:///{name}") == f"image/{kind}"


def test_secret_is_a_bearer_token(start: Starter) -> None:
    served = start(S3IMG_INSECURE="1", IMGPROXY_SECRET="s3cret-ü")
    sent = "Bearer s3cret-ü".encode().decode("latin-1")
    assert kind_of(served, PATH, Authorization=sent) == "image/jpeg"
    for wrong in ("", "s3cret-ü", "Bearer s3cret", "Basic s3cret"):
        answer = served.ask(PATH, Authorization=wrong.encode().decode("latin-1"))
        assert answer.status_code == 403
        assert "s3cret" not in answer.text
    assert "s3cret" not in repr(served.config)


def test_sources_are_limited_to_patterns(start: Starter) -> None:
    served = start(S3IMG_INSECURE="1", IMGPROXY_ALLOWED_SOURCES="s3://x/, local:///i*/")
    assert served.status("/_/w:40/plain/local:///img/cat.jpg") == (200, "")
    assert served.status(PATH) == (404, "ENOENT")
    assert served.status("/info/_/plain/local:///cat.jpg") == (404, "ENOENT")
    mark = "wm:1/wmu:bG9jYWw6Ly8vZG90LnBuZw"
    assert served.status(f"/_/{mark}/plain/local:///img/cat.jpg") == (404, "ENOENT")


def test_hints_of_the_client_take_the_place_of_width_and_density(start: Starter) -> None:
    served = start(S3IMG_INSECURE="1", IMGPROXY_ENABLE_CLIENT_HINTS="true")
    hints = {"Sec_CH_DPR": "2", "Sec_CH_Width": "200"}
    sizes = {"": (200, 150), "w:40/": (80, 60), "w:40/dpr:3/": (120, 90), "dpr:1.5/": (200, 150)}
    for options, size in sizes.items():
        answer = served.ask(f"/_/{options}plain/local:///cat.jpg", **hints)
        assert Image.open(io.BytesIO(answer.data)).size == size
        assert answer.headers["Vary"] == "Sec-CH-DPR, Sec-CH-Width"
        assert answer.headers["Accept-CH"] == "Sec-CH-DPR, Sec-CH-Width"
    assert Image.open(io.BytesIO(served.ask(PATH).data)).size == (40, 30)


def test_defaults_of_encoders_and_of_the_search_for_a_quality_are_options(start: Starter) -> None:
    served = start(
        S3IMG_INSECURE="1",
        IMGPROXY_JPEG_PROGRESSIVE="true",
        IMGPROXY_JPEG_NO_SUBSAMPLE="1",
        IMGPROXY_PNG_QUANTIZE="true",
        IMGPROXY_PNG_QUANTIZATION_COLORS="8",
        IMGPROXY_WEBP_COMPRESSION="lossless",
        IMGPROXY_AVIF_SUBSAMPLE="off",
        IMGPROXY_UNSHARP_MASKING_MODE="always",
        IMGPROXY_AUTOQUALITY_METHOD="dssim",
        IMGPROXY_AUTOQUALITY_MIN="60",
        IMGPROXY_AUTOQUALITY_FORMAT_MIN="jpg=50, avif=40",
        IMGPROXY_STRIP_METADATA_DPI="72.0",
    )
    settings = served.config.imgproxy
    assert settings is not None
    options = settings.grammar().parse("/plain/s3://b/k").options
    assert (
        str(options) == "ush:always:1:24/jpgo:1:1/pngo:0:1:8/webpo:lossless/avifo:off/aq:dssim:0.02:60:0:0.002/dpi:72"
    )
    assert settings.autoquality_format_min == {"jpeg": 50, "avif": 40}
    assert Image.open(io.BytesIO(served.ask(PATH).data)).info["progressive"]


def test_presets_and_options_of_info_are_those_of_the_variables(start: Starter) -> None:
    variables = {"IMGPROXY_INFO_PRESETS": "default=exif:0/iptc:0,small=s:0/f:0", "IMGPROXY_ALLOWED_INFO_OPTIONS": "pr"}
    served = start(S3IMG_INSECURE="1", **variables)
    assert served.ask("/info/_/pr:small/plain/local:///cat.jpg").get_json() == {
        "width": 400,
        "height": 300,
        "orientation": 1,
    }
    assert served.status("/info/_/d:0/plain/local:///cat.jpg") == (400, "EINVAL")
    only = start(S3IMG_INSECURE="1", **variables, IMGPROXY_INFO_ONLY_PRESETS="true")
    assert only.ask("/info/_/small/plain/local:///cat.jpg").get_json()["width"] == 400
    assert only.status("/info/_/large/plain/local:///cat.jpg") == (400, "EINVAL")


def test_age_of_the_source_is_passed_on_where_imgproxy_is_told_to(start: Starter) -> None:
    facts = SourceFacts(etag="x", size=1, modified=datetime.now(UTC), cache_control="public, max-age=200000")
    config = start(S3IMG_INSECURE="1", IMGPROXY_CACHE_CONTROL_PASSTHROUGH="true").config
    assert config.imgproxy is not None
    assert config.imgproxy.cache_control_passthrough
    for service, age in ((passing_age(config.service, facts), 200_000), (config.service, 86_400)):
        found = cache_control(service, facts, Grant(), pinned=False, fallback=False, private=False, now=0)
        assert found == f"public, max-age={age}"


def test_buster_is_part_of_every_entity_tag(start: Starter) -> None:
    for path in (PATH, "/info/_/plain/local:///cat.jpg"):
        tags = {
            start(S3IMG_INSECURE="1", IMGPROXY_ETAG_BUSTER=text).ask(path).headers["ETag"] for text in ("", "a", "b")
        }
        assert len(tags) == 3


def test_switch_that_says_what_is_so_anyway_is_not_named(start: Starter, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        start(**KEYS, IMGPROXY_USE_ETAG="true", IMGPROXY_PNG_INTERLACED="false", IMGPROXY_USE_GCS="0")
        assert not [record for record in caplog.records if "IMGPROXY" in record.getMessage()]
        start(**KEYS, IMGPROXY_USE_ETAG="false", IMGPROXY_PNG_INTERLACED="true")
    assert "IMGPROXY_PNG_INTERLACED, IMGPROXY_USE_ETAG" in caplog.text


def test_health_is_told_where_imgproxy_tells_it(start: Starter) -> None:
    served = start(**KEYS, IMGPROXY_PATH_PREFIX="/pics", IMGPROXY_HEALTH_CHECK_PATH="/up")
    for path in ("/pics/health", "/pics/up", "/healthz"):
        assert served.status(path) == (200, "")
    assert served.ask("/pics/health/x").status_code == 403


def test_limit_of_0_that_means_none_leaves_ours(start: Starter) -> None:
    config = start(**KEYS, IMGPROXY_REQUESTS_QUEUE_SIZE="0", IMGPROXY_MAX_SRC_FILE_SIZE="0").config
    assert (config.service.queue, config.limits.input_bytes) == (64, 100_000_000)


def test_buckets_have_to_be_named(start: Starter) -> None:
    start.usual.pop("IMGPROXY_LOCAL_FILESYSTEM_ROOT")
    with pytest.raises(ConfigError, match="IMGPROXY_S3_ALLOWED_BUCKETS"):
        start(**KEYS, IMGPROXY_USE_S3="true")
    assert start(**KEYS, IMGPROXY_USE_S3="true", S3IMG_BUCKET="s3://photos").config.bucket == "s3://photos"
