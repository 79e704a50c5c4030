"""The mount of imgproxy's addresses over HTTP: who may ask, for what, and how it is answered."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from PIL.JpegImagePlugin import get_sampling
from transform_service import NOW

from s3img.config import Config
from s3img.config.load import explain, load
from s3img.errors import ConfigError, NotServed, SignatureError
from s3img.service import TransformService
from s3img.service.imgproxy.proxy_sources import OriginNames
from s3img.signing import ImgproxySigner

if TYPE_CHECKING:
    from collections.abc import Callable

    from transform_service import Served
    from werkzeug.test import TestResponse

SIGNED = json.loads((Path(__file__).parents[2] / "data/imgproxy/imgproxy-signing.json").read_text())["vectors"]
KEYS = {"keys": "aabb", "salts": "ccdd"}
SIGNER = ImgproxySigner(((b"\xaa\xbb", b"\xcc\xdd"),))


@pytest.fixture
def ask(serve: Callable[..., Served]) -> Callable[..., TestResponse]:
    """Ask an open service; the path begins after the signature."""
    served = serve(imgproxy={"allow_security_options": True})
    return lambda path, method="GET", **headers: served.ask(f"/imgproxy/_{path}", method, **headers)


def size_of(answer: TestResponse) -> tuple[int, int]:
    assert answer.status_code == 200, answer.data
    return Image.open(io.BytesIO(answer.data)).size


@pytest.mark.parametrize("vector", SIGNED, ids=lambda v: v["name"])
def test_signature_holds_where_imgproxys_does(vector: dict[str, Any]) -> None:
    pairs = zip(map(bytes.fromhex, vector["keys_hex"]), map(bytes.fromhex, vector["salts_hex"]), strict=True)
    signer = ImgproxySigner(tuple(pairs), vector["signature_size"], frozenset(vector["trusted"]))
    if vector["valid"]:
        signer.check(vector["signature"], vector["path"])
    else:
        with pytest.raises(SignatureError):
            signer.check(vector["signature"], vector["path"])
    if vector["valid"] and "trusted" not in vector["name"] and "canonical" not in vector["name"]:
        assert signer.sign(vector["path"]) == f"/{vector['signature']}{vector['path']}"


@pytest.mark.parametrize(
    "spelling",
    ["{}=", "{}==more", "{}!!!!", "!!!!{}", "{} ", "{}\n"],
    ids=["padding", "text behind padding", "junk behind", "junk before", "blank", "line end"],
)
def test_signature_has_no_other_spellings(spelling: str) -> None:
    signature = SIGNER.sign("/w:3/plain/a.jpg").split("/")[1]
    SIGNER.check(signature, "/w:3/plain/a.jpg")
    with pytest.raises(SignatureError):
        SIGNER.check(spelling.format(signature), "/w:3/plain/a.jpg")


def test_signature_in_the_other_alphabet_of_base64_is_refused() -> None:
    paths = (f"/w:{width}/plain/a.jpg" for width in range(1, 100))
    path, signature = next((path, text) for path in paths if {"-", "_"} & {*(text := SIGNER.sign(path).split("/")[1])})
    with pytest.raises(SignatureError):
        SIGNER.check(signature.replace("-", "+").replace("_", "/"), path)


@pytest.mark.parametrize("vector", [v for v in SIGNED if "s3://" in v["path"]], ids=lambda v: v["name"])
def test_signed_address_is_served_or_refused(serve: Callable[..., Served], vector: dict[str, Any]) -> None:
    settings = {"keys": vector["keys_hex"], "salts": vector["salts_hex"], "signature_size": vector["signature_size"]}
    served = serve(imgproxy={"mount": "/ip", "trusted_signatures": vector["trusted"], **settings}, access="signed")
    found = served.status(f"/ip{vector['request_uri']}")
    assert found == ((404, "ENOENT") if vector["valid"] else (403, "ESIGNATURE"))


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("plain/s3://bucket/cat.jpg", 200),
        ("plain/local:///img/cat.jpg", 200),
        ("plain/s3:/bucket/cat.jpg", 200),
        ("czM6Ly9i/dWNrZXQv/Y2F0Lmpw/Zw", 200),
        ("/czM6Ly9idWNrZXQvY2F0LmpwZw", 200),
        ("czM6Ly9idWNrZXQvY2F0LmpwZw.png", 200),
        ("plain/s3://other/cat.jpg", 404),
        ("plain/s3://bucket/none.jpg", 404),
        ("plain/http://127.0.0.1/cat.jpg", 404),
        ("plain/gs://bucket/cat.jpg", 404),
        ("plain/abs://bucket/cat.jpg", 404),
        ("plain/swift://bucket/cat.jpg", 404),
        ("plain/cat.jpg", 404),
        ("plain/s3://bucket/../cat.jpg", 400),
        ("plain/s3://bucket/broken.jpg", 422),
        ("plain/s3://bucket/notes.txt", 415),
    ],
)
def test_source_is_served_by_the_origin_it_names(ask: Callable[..., TestResponse], source: str, status: int) -> None:
    assert ask(f"/w:40/{source}").status_code == status


@pytest.mark.parametrize("scheme", ["http", "https", "gs", "abs", "swift"])
def test_refused_source_is_named(ask: Callable[..., TestResponse], scheme: str) -> None:
    assert f"{scheme}://" in ask(f"/w:1/plain/{scheme}://host/cat.jpg").text


def test_bucket_and_prefix_of_an_origin_are_found_by_name(tmp_path: Path) -> None:
    origins = {"shop": {"bucket": "s3://photos/shop"}, "all": {"bucket": "s3://photos"}}
    app = TransformService(Config(origins=origins, access="open", imgproxy={}, cache_dir=str(tmp_path)), environ={})
    mount = app._mount
    assert mount is not None
    asked = ["s3://photos/shop/a.jpg", "s3://photos/b.jpg", "s3://shop/c.jpg", "s3://photos/shop/d.jpg%3Fv1"]
    found = [mount.read(f"/_/plain/{source}", now=NOW).parsed for source in asked]
    assert [(one.origin, one.key, one.version) for one in found] == [
        ("shop", "a.jpg", ""),
        ("all", "b.jpg", ""),
        ("shop", "c.jpg", ""),
        ("shop", "d.jpg", "v1"),
    ]
    app.close()


@pytest.mark.parametrize(
    ("settings", "source", "found"),
    [
        ({"bucket": "s3://photos"}, "s3://photos/a.jpg", "a.jpg"),
        ({"bucket": "s3://photos/shop"}, "s3://photos/shop/a.jpg", "a.jpg"),
        ({"bucket": "s3://photos/shop"}, "s3://photos/a.jpg", None),
        ({"bucket": "s3://photos"}, "s3://other/a.jpg", None),
        ({"bucket": "s3://photos"}, "s3://bucket/a.jpg", None),
        ({"bucket": "s3://photos"}, "s3://PHOTOS/a.jpg", None),
        ({"origins": {"shop": {"bucket": "s3://photos"}}}, "s3://photos/a.jpg", "a.jpg"),
        ({"origins": {"shop": {"bucket": "s3://photos"}}}, "s3://shop/a.jpg", "a.jpg"),
        ({"origins": {"shop": {"bucket": "s3://photos"}}}, "s3://bucket/a.jpg", None),
        ({"origins": {"photos": {"bucket": "s3://photos/shop"}}}, "s3://photos/shop/a.jpg", "a.jpg"),
        ({"origins": {"photos": {"bucket": "s3://photos/shop"}}}, "s3://photos/a.jpg", None),
    ],
)
def test_one_origin_is_found_by_its_own_bucket_or_name_only(
    settings: dict[str, Any], source: str, found: str | None
) -> None:
    names = OriginNames(Config(**settings))
    if found is None:
        with pytest.raises(NotServed, match=r"its bucket|No origin"):
            names.locate(source)
    else:
        assert names.locate(source) == (names.names[0], found, "")


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ("rs:fit:100:100", (100, 75)),
        ("rs:fill:50:50/g:sm", (50, 50)),
        ("rs:fill:50:50/rot:90/fl:1", (50, 50)),
        ("c:100:50:no/w:50", (50, 25)),
        ("w:100/rot:90", (100, 133)),
        ("rs:fit:100:100/ex:1/pd:10", (120, 120)),
        ("w:40/dpr:2", (80, 60)),
        ("w:100/bl:2/sh:1/pix:5/bg:ff0000", (100, 75)),
        ("mrd:50/w:100", (50, 38)),
        ("rs:fit:200:200/-/c:50:50", (50, 50)),
    ],
)
def test_options_have_their_effect(ask: Callable[..., TestResponse], options: str, size: tuple[int, int]) -> None:
    assert size_of(ask(f"/{options}/plain/local:///cat.jpg")) == size


def test_every_format_that_is_written_has_its_media_type(ask: Callable[..., TestResponse]) -> None:
    for name in ("jpeg", "png", "webp", "avif", "gif"):
        answer = ask(f"/w:40/f:{name}/plain/local:///cat.jpg")
        assert answer.headers["Content-Type"] == f"image/{name}"
        assert "Vary" not in answer.headers


def test_format_is_negotiated_where_the_address_names_none(
    ask: Callable[..., TestResponse], accept: dict[str, str]
) -> None:
    answer = ask("/w:200/plain/local:///cat.jpg", **accept)
    asked = accept.get("Accept", "")
    kinds = {f"image/{name}" for name in ("avif", "webp") if f"image/{name}" in asked} | {"image/jpeg"}
    assert answer.headers["Content-Type"] in kinds
    assert answer.headers["Vary"] == "Accept"


def test_quality_of_nought_is_heeded(ask: Callable[..., TestResponse]) -> None:
    answer = ask("/w:200/plain/local:///cat.jpg", Accept="image/avif;q=0,image/webp;q=0")
    assert answer.headers["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize("path", ["/imgproxy/_/w:60/f:jpg/plain/local:///cat.jpg", "/tr:w-60,f-jpg/cat.jpg"])
def test_subsampling_of_the_settings_is_heeded(serve: Callable[..., Served], path: str) -> None:
    answers = [serve(imgproxy={}, subsampling=setting).ask(path) for setting in ("4:4:4", "4:2:0")]
    assert [get_sampling(Image.open(io.BytesIO(answer.data))) for answer in answers] == [0, 2]
    assert answers[0].headers["ETag"] != answers[1].headers["ETag"]


def test_copy_of_the_client_is_confirmed_and_head_is_true(ask: Callable[..., TestResponse]) -> None:
    path = "/w:60/plain/local:///cat.jpg"
    first = ask(path)
    head = ask(path, "HEAD")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["ETag"] == first.headers["ETag"]
    assert head.headers["Content-Length"] == str(len(first.data))
    again = ask(path, If_None_Match=first.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")
    assert ask("/w:61/plain/local:///cat.jpg").headers["ETag"] != first.headers["ETag"]


def test_equal_options_share_a_result(ask: Callable[..., TestResponse]) -> None:
    spellings = ("rs:fill:60:60/q:70", "quality:70/resize:fill:60/height:60", "q:70/g:ce/rs:fill/s:60:60:0")
    tags = {ask(f"/{options}/plain/local:///cat.jpg").headers["ETag"] for options in spellings}
    assert len(tags) == 1


def test_result_keeps_to_the_bytes_asked_for(ask: Callable[..., TestResponse]) -> None:
    whole, small = ask("/f:jpg/plain/local:///cat.jpg"), ask("/f:jpg/mb:2500/plain/local:///cat.jpg")
    assert len(small.data) <= 2500 < len(whole.data)


def test_names_and_attachments_are_in_the_header(ask: Callable[..., TestResponse]) -> None:
    named = ask("/w:40/f:png/fn:my%20cat/plain/local:///cat.jpg")
    assert named.headers["Content-Disposition"] == 'inline; filename="my cat.png"'
    attached = ask("/w:40/fn:YQ:1/att:1/plain/local:///cat.jpg")
    assert attached.headers["Content-Disposition"].startswith("attachment; filename=a")


def test_source_is_sent_as_it_is(ask: Callable[..., TestResponse], picture_bytes: bytes) -> None:
    assert ask("/raw:1/plain/local:///cat.jpg@png").data == picture_bytes
    assert ask("/skp:jpg/w:3/plain/local:///cat.jpg").data == picture_bytes
    assert ask("/raw:1/plain/local:///cat.jpg", Range="bytes=0-9").data == picture_bytes[:10]


def test_metadata_stays_where_it_is_asked_for_and_position_never(ask: Callable[..., TestResponse]) -> None:
    exif = Image.open(io.BytesIO(ask("/w:40/sm:0/f:jpg/plain/local:///cat.jpg").data)).getexif()
    assert exif[0x010F] == "Maker"
    assert 0x8825 not in exif
    assert not Image.open(io.BytesIO(ask("/w:40/f:jpg/plain/local:///cat.jpg").data)).getexif()


def test_copyright_stays_unless_it_is_taken_away(ask: Callable[..., TestResponse], folder: Path) -> None:
    exif = Image.Exif()
    exif[0x8298], exif[0x010F] = "(c) Ada", "Maker"
    Image.new("RGB", (80, 60)).save(folder / "ours.jpg", exif=exif)
    for options, kept in (("w:40", {0x8298: "(c) Ada"}), ("w:40/kcr:0", {})):
        answer = ask(f"/{options}/plain/local:///ours.jpg")
        assert dict(Image.open(io.BytesIO(answer.data)).getexif()) == kept


def test_expiry_is_410_and_bounds_what_caches_keep(ask: Callable[..., TestResponse]) -> None:
    assert ask(f"/exp:{int(NOW) - 1}/plain/local:///cat.jpg").status_code == 410
    answer = ask(f"/exp:{int(NOW) + 60}/plain/local:///cat.jpg")
    assert answer.headers["Cache-Control"] == "public, max-age=60"


@pytest.mark.parametrize("access", ["signed", "open", "named"])
def test_with_keys_nothing_is_served_unsigned(serve: Callable[..., Served], access: str) -> None:
    served = serve(access=access, imgproxy=KEYS)
    path = "/w:40/plain/local:///cat.jpg"
    assert served.ask(f"/imgproxy{SIGNER.sign(path)}").status_code == 200
    assert served.status(f"/imgproxy/unsafe{path}") == (403, "ESIGNATURE")
    assert served.ask(f"/imgproxy{SIGNER.sign(path)}?cache=1").status_code == 200
    assert served.status(f"/imgproxy{SIGNER.sign(path)}x") == (403, "ESIGNATURE")


def test_keys_are_rotated_by_naming_both(serve: Callable[..., Served]) -> None:
    served = serve(access="signed", imgproxy={"keys": "11,aabb", "salts": "22,ccdd"})
    assert served.ask(f"/imgproxy{SIGNER.sign('/w:40/plain/local:///cat.jpg')}").status_code == 200


def test_keys_are_read_from_imgproxys_variables(serve: Callable[..., Served]) -> None:
    environ = {"IMGPROXY_KEY": "aabb", "IMGPROXY_SALT": "ccdd"}
    served = serve(access="signed", imgproxy={}, environ=environ)
    assert served.ask(f"/imgproxy{SIGNER.sign('/w:40/plain/local:///cat.jpg')}").status_code == 200
    with pytest.raises(ConfigError, match="IMGPROXY_SALT"):
        serve(access="signed", imgproxy={}, environ={"IMGPROXY_KEY": "aabb"})


def test_option_in_place_of_the_signature_is_explained(serve: Callable[..., Served]) -> None:
    answer = serve(imgproxy={}).ask("/imgproxy/w:40/plain/local:///cat.jpg")
    assert answer.status_code == 403
    assert "signature" in answer.text


def test_without_keys_presets_alone_are_served_under_named_access(serve: Callable[..., Served]) -> None:
    served = serve(access="named", imgproxy={"presets": {"small": "w:40"}})
    assert size_of(served.ask("/imgproxy/_/pr:small/cb:1/plain/local:///cat.jpg")) == (40, 30)
    for options in ("w:40", "pr:small/w:50", "raw:1", "pr:small/raw:1"):
        assert served.status(f"/imgproxy/_/{options}/plain/local:///cat.jpg") == (403, "ESIGNATURE")


def test_signed_access_without_keys_is_refused_at_the_start(serve: Callable[..., Served]) -> None:
    with pytest.raises(ConfigError, match="IMGPROXY_KEY"):
        serve(access="signed", imgproxy={})


def test_mount_at_the_root_and_below_a_prefix(serve: Callable[..., Served]) -> None:
    assert size_of(serve(imgproxy={"mount": ""}).ask("/_/w:40/plain/local:///cat.jpg")) == (40, 30)
    served = serve(imgproxy={"mount": "", "path_prefix": "/pics"})
    assert size_of(served.ask("/pics/_/w:40/plain/local:///cat.jpg")) == (40, 30)
    assert size_of(served.ask("/tr:w-50/cat.jpg")) == (50, 38)


def test_encrypted_source_is_opened(serve: Callable[..., Served]) -> None:
    from cryptography.hazmat.primitives import padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    from s3img.imgproxy.processing_options import encode_text
    from s3img.service.imgproxy.proxy_sources import decrypt_source

    # The example of imgproxy's documentation.
    key = bytes.fromhex("1eb5b0e971ad7f45324c1bb15c947cb207c43152fa5c6c7f35c4f36e0c18e0f1")
    token = "p5VjorNdhs7mRRw8gA9TWoRlGci3l1kuzqN43UQlRaRIQ0qtBKW3qFABIsx-ZRz_cVc8iVTYbhsNsxNBL1BHaQ"
    assert decrypt_source(token, key) == "http://example.com/images/curiosity.jpg"

    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    data = encryptor.update(padder.update(b"local:///cat.jpg") + padder.finalize()) + encryptor.finalize()
    import base64

    ours = base64.urlsafe_b64encode(bytes(16) + data).rstrip(b"=").decode()
    served = serve(imgproxy={"encryption_key": key.hex()})
    cut = f"{ours[:16]}/{ours[16:]}"
    assert size_of(served.ask(f"/imgproxy/_/w:40/enc/{cut}")) == (40, 30)
    for wrong in ("abcd", ours[:-2] + "AA", encode_text("x" * 32)):
        assert served.status(f"/imgproxy/_/w:40/enc/{wrong}") == (400, "EREQUEST")
    assert serve(imgproxy={}).status(f"/imgproxy/_/w:40/enc/{ours}") == (400, "EREQUEST")


def test_problems_of_the_table_are_all_named_and_secrets_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(imgproxy={"mount": "a b", "keys": "xyz1", "signature_size": 40, "allowed_options": ["nope"]})
    for place in ("mount", "keys", "salts", "signature_size", "allowed_options"):
        assert f"imgproxy.{place}" in str(caught.value)
    assert "xyz1" not in str(caught.value)
    config = Config(imgproxy={**KEYS, "trusted_signatures": ["dev-word"], "encryption_key": "0" * 32})
    assert not any(secret in repr(config) for secret in ("aabb", "ccdd", "dev-word", "0" * 32))
    variable = json.dumps({**KEYS, "mount": "/ip"})
    shown = next(
        one for one in explain(environ={"S3IMG_IMGPROXY": variable}, folder=tmp_path) if one.name == "imgproxy"
    )
    assert shown.value["mount"] == "/ip"
    assert "aabb" not in str(shown)


def test_keys_in_a_file_are_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "s3img.toml").write_text('[imgproxy]\nmount = "/ip"\npresets = {small = "w:40"}\n')
    settings = load(folder=tmp_path, environ={}).imgproxy
    assert settings is not None
    assert (settings.mount, settings.presets) == ("/ip", {"small": "w:40"})
    (tmp_path / "s3img.toml").write_text('[imgproxy]\nkeys = "aabb"\nsalts = "ccdd"\n')
    with pytest.raises(ConfigError, match="IMGPROXY_KEY"):
        load(folder=tmp_path, environ={})


def test_further_formats_are_written(ask: Callable[..., TestResponse]) -> None:
    for name, kind in (("bmp", "bmp"), ("tiff", "tiff"), ("ico", "vnd.microsoft.icon")):
        answer = ask(f"/f:{name}/plain/local:///cat.jpg")
        assert answer.headers["Content-Type"] == f"image/{kind}"
        assert size_of(answer) == ((256, 192) if name == "ico" else (400, 300))


@pytest.mark.parametrize(
    ("options", "red"),
    [
        ("wm:1:nowe:5:5", {(10, 10), (24, 24)}),
        ("wm:1:soea", {(395, 295)}),
        ("wm:1:ce:0.1", {(240, 150)}),
        ("wm:1:re", {(200, 150), (0, 0), (399, 299)}),
        ("wm:1:re:30:30", {(200, 150), (250, 200)}),
        ("wm:1:ce:0:0:1", {(200, 150), (60, 10)}),
    ],
)
def test_watermark_lies_where_it_is_asked_for(
    serve: Callable[..., Served], folder: Path, options: str, red: set[tuple[int, int]]
) -> None:
    Image.new("RGB", (20, 20), "red").save(folder / "mark.png")
    served = serve(imgproxy={"watermark": "local:///mark.png"})
    answer = served.ask(f"/imgproxy/_/{options}/f:png/plain/local:///cat.jpg")
    picture = Image.open(io.BytesIO(answer.data)).convert("RGB")
    assert {at for at in red if picture.getpixel(at) == (255, 0, 0)} == red
    if "re" not in options:
        assert picture.getpixel((5, 295)) != (255, 0, 0)


def test_watermark_is_faded_and_part_of_the_result_s_identity(serve: Callable[..., Served], folder: Path) -> None:
    Image.new("RGB", (400, 300), "white").save(folder / "mark.png")
    Image.new("RGB", (400, 300), "black").save(folder / "black.png")
    tags = set()
    for strength, level in ((1.0, 128), (0.5, 64)):
        served = serve(imgproxy={"watermark": "local:///mark.png", "watermark_opacity": strength})
        answer = served.ask("/imgproxy/_/wm:0.5/plain/local:///black.png")
        value = Image.open(io.BytesIO(answer.data)).convert("L").getpixel((9, 9))
        assert abs(value - level) <= 1  # type: ignore[operator] # one band
        tags.add(answer.headers["ETag"])
    assert len(tags) == 2
    assert serve(imgproxy={}).status("/imgproxy/_/wm:0.5/plain/local:///black.png") == (400, "EREQUEST")


GREY, RED = (128, 128, 128), (200, 40, 40)


@pytest.mark.parametrize(
    ("options", "pixel", "result"),
    [
        ("br:20", GREY, (148, 148, 148)),
        ("br:-255", RED, (0, 0, 0)),
        ("co:2", (140, 100, 128), (152, 72, 128)),
        ("sa:0", RED, (88, 88, 88)),
        ("a:20:1:0", RED, (108, 108, 108)),
        ("mc:1:ff0000", (0, 0, 0), (0, 0, 0)),
        ("mc:1:ff0000", GREY, (255, 1, 1)),
        ("dt:1:102030:f0e0d0", (0, 0, 0), (16, 32, 48)),
        ("dt:1:102030:f0e0d0", (255, 255, 255), (240, 224, 208)),
        ("dt:0.5:000000:000000", (200, 200, 200), (100, 100, 100)),
        ("col:1:00ff00", RED, (0, 255, 0)),
        ("col:0.5", (200, 200, 200), (100, 100, 100)),
    ],
)
def test_colours_are_changed(
    ask: Callable[..., TestResponse], folder: Path, options: str, pixel: tuple[int, ...], result: tuple[int, ...]
) -> None:
    Image.new("RGB", (20, 20), pixel).save(folder / "plain.png")
    answer = ask(f"/{options}/f:png/plain/local:///plain.png")
    found = Image.open(io.BytesIO(answer.data)).convert("RGB").getpixel((10, 10))
    assert isinstance(found, tuple)
    assert all(abs(one - other) <= 2 for one, other in zip(found, result, strict=True)), found


@pytest.mark.parametrize(
    ("direction", "clear", "full"),
    [
        ("down", (50, 0), (50, 79)),
        ("0", (50, 0), (50, 79)),
        ("up", (50, 79), (50, 0)),
        ("left", (99, 40), (0, 40)),
        ("90", (99, 40), (0, 40)),
        ("right", (0, 40), (99, 40)),
        ("45", (99, 0), (0, 79)),
        ("down:0.4:0.6", (50, 28), (50, 52)),
    ],
)
def test_gradient_goes_from_clear_to_its_colour(
    ask: Callable[..., TestResponse], folder: Path, direction: str, clear: tuple[int, int], full: tuple[int, int]
) -> None:
    Image.new("RGB", (100, 80), "white").save(folder / "white.png")
    picture = Image.open(io.BytesIO(ask(f"/gr:1:000:{direction}/f:png/plain/local:///white.png").data)).convert("L")
    levels = picture.getpixel(clear), picture.getpixel(full)
    assert levels[0] >= 250, levels  # type: ignore[operator] # one band
    assert levels[1] <= 5, levels  # type: ignore[operator] # one band


def test_transparency_stays_or_is_covered_as_asked(ask: Callable[..., TestResponse]) -> None:
    def alpha(options: str) -> object:
        picture = Image.open(io.BytesIO(ask(f"/{options}/f:png/plain/local:///dot.png").data)).convert("RGBA")
        return picture.getpixel((5, 5))[3]  # type: ignore[index] # four bands

    assert alpha("br:5") == 128
    assert alpha("col:1:fff") == 255
    assert alpha("col:1:fff:1") == 128
    assert alpha("bg:fff") == 255
    assert alpha("bg:fff/bga:0.5") in range(188, 196)


def test_density_is_written_and_animations_stop_where_asked(ask: Callable[..., TestResponse], folder: Path) -> None:
    answer = ask("/dpi:300/f:png/plain/local:///cat.jpg")
    assert round(Image.open(io.BytesIO(answer.data)).info["dpi"][0]) == 300
    frames = [Image.new("RGB", (20, 10), color) for color in ("red", "green", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=50)
    for options, count in (("w:10", 3), ("w:10/da:1", 1), ("w:10/maf:2", 2)):
        found = Image.open(io.BytesIO(ask(f"/{options}/plain/local:///moving.gif").data))
        assert getattr(found, "n_frames", 1) == count
