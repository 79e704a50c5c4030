"""Facts about pictures under imgproxy's names, below ``/info``."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from s3img.imaging.picture_summary import blurhash, perceptual_hash
from s3img.signing import ImgproxySigner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transform_service import Served

SIGNER = ImgproxySigner(((b"\xaa\xbb", b"\xcc\xdd"),))


@pytest.fixture
def facts(serve: Callable[..., Served]) -> Callable[[str], dict[str, Any]]:
    """Ask an open service; the path begins after the signature."""
    served = serve(imgproxy={})
    return lambda path: served.ask(f"/imgproxy/info/_{path}").get_json()


def test_facts_by_default(facts: Callable[[str], dict[str, Any]], picture_bytes: bytes) -> None:
    found = facts("/plain/local:///cat.jpg")
    assert found.pop("exif")
    assert found == {
        "size": len(picture_bytes),
        "format": "jpeg",
        "mime_type": "image/jpeg",
        "width": 400,
        "height": 300,
        "orientation": 1,
    }


def test_facts_are_chosen_by_options(facts: Callable[[str], dict[str, Any]], picture_bytes: bytes) -> None:
    none = "/s:0/f:0/d:0/exif:0"
    assert facts(f"{none}/plain/local:///cat.jpg") == {}
    found = facts(f"{none}/pn:1/a:1/avg:1/p:3/bh:4:3/th:1/phash:1/chs:md5:sha256/plain/local:///cat.jpg")
    assert found["pages_number"] == 1
    assert found["alpha"] is False
    assert set(found["average"]) == {"R", "G", "B", "A"}
    assert 1 <= len(found["palette"]) <= 3
    assert len(found["blurhash"]) == 6 + 2 * (4 * 3 - 1)
    assert found["thumb_hash"] == found["thumb_hash"].upper()
    assert len(found["perceptual_hash"]) == 16
    assert found["hashsums"]["md5"] == hashlib.md5(picture_bytes, usedforsecurity=False).hexdigest()
    assert found["hashsums"]["sha256"] == hashlib.sha256(picture_bytes).hexdigest()


def test_colours_of_one_colour(facts: Callable[[str], dict[str, Any]], folder: Path) -> None:
    Image.new("RGB", (300, 200), (200, 40, 40)).save(folder / "red.png")
    found = facts("/avg:1/p:8/bh:1:1/plain/local:///red.png")
    assert found["average"] == {"R": 200, "G": 40, "B": 40, "A": 255}
    assert found["palette"] == [{"R": 200, "G": 40, "B": 40, "A": 255}]
    assert facts("/plain/local:///logo.svg")["format"] == "svg"


def test_similar_pictures_have_similar_hashes() -> None:
    picture = Image.radial_gradient("L").crop((0, 0, 160, 256)).convert("RGBA")
    picture.paste((0, 0, 0), (20, 30, 70, 200))
    picture.paste((255, 255, 255), (90, 10, 150, 60))
    similar = picture.resize((80, 128))
    other = picture.transpose(Image.Transpose.ROTATE_90)
    first = perceptual_hash(picture)
    assert (first ^ perceptual_hash(similar)).bit_count() <= 6
    assert (first ^ perceptual_hash(other)).bit_count() >= 16


def test_blurhash_is_that_of_its_specification() -> None:
    assert blurhash(Image.new("RGB", (8, 8), "black"), (1, 1)) == "000000"
    assert blurhash(Image.new("RGB", (8, 8), "white"), (1, 1)) == "00TSUA"


@pytest.mark.parametrize(
    "option", ["do:1", "classify:1", "video_meta:1", "iptc:1", "bh:1", "p:999", "chs:crc", "nope:1"]
)
def test_fact_that_is_not_offered_is_named(serve: Callable[..., Served], option: str) -> None:
    answer = serve(imgproxy={}).ask(f"/imgproxy/info/_/{option}/plain/local:///cat.jpg")
    assert answer.status_code == 400
    assert option.partition(":")[0] in answer.text


def test_facts_need_the_signature_and_expire(serve: Callable[..., Served]) -> None:
    served = serve(access="signed", imgproxy={"keys": "aabb", "salts": "ccdd"})
    path = "/s:1/plain/local:///cat.jpg"
    answer = served.ask(f"/imgproxy/info{SIGNER.sign(path)}")
    assert answer.headers["Content-Type"] == "application/json"
    assert served.ask(f"/imgproxy/info{SIGNER.sign(path)}", If_None_Match=answer.headers["ETag"]).status_code == 304
    assert served.status(f"/imgproxy/info/_{path}") == (403, "ESIGNATURE")
    assert served.status(f"/imgproxy/info{SIGNER.sign('/exp:5/plain/local:///cat.jpg')}") == (410, "EEXPIRED")
    named = serve(access="named", imgproxy={"presets": {"a": "w:1"}})
    assert named.status(f"/imgproxy/info/_{path}") == (403, "ESIGNATURE")
