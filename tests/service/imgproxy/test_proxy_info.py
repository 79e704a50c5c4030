"""Facts about pictures under imgproxy's names, below ``/info``."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from s3img.config import Config
from s3img.errors import ConfigError
from s3img.imaging.embedded_metadata import xmp_properties
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
    "option", ["do:1", "classify:1", "op:ce", "c:x", "hs:crc:0", "bh:1", "p:999", "chs:crc", "nope:1"]
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


PACKET = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" photoshop:DateCreated="2016-09-11" photoshop:City="Kyiv" exif:GPSLatitude="50,27N">
<dc:creator><rdf:Seq><rdf:li>Ada</rdf:li><rdf:li>Grace</rdf:li></rdf:Seq></dc:creator>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">A cat</rdf:li></rdf:Alt></dc:title>
<dc:source rdf:parseType="Resource"><dc:a>b</dc:a></dc:source>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


def records(*sets: tuple[int, bytes]) -> bytes:
    """Return a JPEG's segment with IPTC data sets of record 2."""
    data = b"".join(b"\x1c\x02" + bytes([number]) + len(text).to_bytes(2) + text for number, text in sets)
    block = b"8BIM\x04\x04\0\0" + len(data).to_bytes(4) + data + b"\0" * (len(data) % 2)
    body = b"Photoshop 3.0\0" + block
    return b"\xff\xed" + (len(body) + 2).to_bytes(2) + body


def test_iptc_and_xmp_are_told_without_places(facts: Callable[[str], dict[str, Any]], folder: Path) -> None:
    Image.new("RGB", (20, 10)).save(folder / "told.jpg", xmp=PACKET.encode())
    data = (folder / "told.jpg").read_bytes()
    sets = records((5, b"Spider"), (25, b"one"), (25, "zw\u00f6lf".encode()), (90, b"Kyiv"), (116, b"caf\xe9"))
    (folder / "told.jpg").write_bytes(data[:2] + sets + data[2:])
    found = facts("/plain/local:///told.jpg")
    assert found["iptc"] == {"Name": "Spider", "Keywords": ["one", "zw\u00f6lf"], "Copyright Notice": "caf\u00e9"}
    assert found["xmp"] == {
        "photoshop": {"DateCreated": "2016-09-11"},
        "dc": {"creator": ["Ada", "Grace"], "title": "A cat"},
    }
    assert not {"iptc", "xmp"} & facts("/iptc:0/xmp:0/plain/local:///told.jpg").keys()


@pytest.mark.parametrize("packet", [b"<a", b"", b"<!DOCTYPE x [<!ENTITY e 'e'>]><x>&e;</x>", b"\xff\xfe", b"<x/>"])
def test_broken_xmp_is_passed_over(packet: bytes) -> None:
    assert xmp_properties(packet) == {}


def test_samples_are_told_in_the_words_of_libvips(facts: Callable[[str], dict[str, Any]], folder: Path) -> None:
    for mode, words in {
        "RGB": ("srgb", 3, "uchar"),
        "RGBA": ("srgb", 4, "uchar"),
        "L": ("b-w", 1, "uchar"),
        "P": ("srgb", 3, "uchar"),
        "I;16": ("b-w", 1, "ushort"),
    }.items():
        Image.new(mode, (8, 8)).save(folder / "one.png")
        (folder / "one.png").rename(folder / f"{mode[0]}{len(mode)}.png")
        found = facts(f"/s:0/f:0/d:0/exif:0/cs:1/b:1/sf:1/plain/local:///{mode[0]}{len(mode)}.png")
        assert tuple(found[name] for name in ("colorspace", "bands", "sample_format")) == words, mode
    Image.new("CMYK", (8, 8)).save(folder / "print.jpg")
    assert facts("/cs:1/b:1/plain/local:///print.jpg")["colorspace"] == "cmyk"


@pytest.mark.parametrize(
    ("option", "crop"),
    [
        ("c:100:150", (0.3775, 0.25, 0.25, 0.5)),
        ("c:0.5:0.5:nowe", (0.0, 0.0, 0.5, 0.5)),
        ("c:100:60:soea", (0.75, 0.8, 0.25, 0.2)),
        ("g:soea/c:100:60", (0.75, 0.8, 0.25, 0.2)),
        ("c:1000:1000:sm", (0.0, 0.0, 1.0, 1.0)),
    ],
)
def test_crop_is_told_in_shares(
    facts: Callable[[str], dict[str, Any]], option: str, crop: tuple[float, float, float, float]
) -> None:
    found = facts(f"/{option}/plain/local:///cat.jpg")["crop"]
    wanted = dict(zip(("left", "top", "width", "height"), crop, strict=True))
    assert found == pytest.approx(wanted, abs=0.004)


def test_smart_crop_holds_what_draws_attention(facts: Callable[[str], dict[str, Any]], folder: Path) -> None:
    picture = Image.new("RGB", (400, 100), "white")
    picture.paste((200, 0, 0), (300, 20, 340, 80))
    picture.save(folder / "spot.png")
    found = facts("/c:100:100:sm/plain/local:///spot.png")["crop"]
    assert found["left"] <= 0.75
    assert found["left"] + found["width"] >= 0.85


def test_dominant_colours_are_those_of_the_picture(facts: Callable[[str], dict[str, Any]], folder: Path) -> None:
    picture = Image.new("RGB", (90, 30), (220, 40, 40))
    picture.paste((110, 130, 120), (30, 0, 60, 30))
    picture.paste((20, 20, 90), (60, 0, 90, 30))
    picture.save(folder / "three.png")
    found = facts("/dc:1/plain/local:///three.png")["dominant_colors"]
    assert {name: tuple(color.values()) for name, color in found.items()} == {
        "vibrant": pytest.approx((220, 40, 40), abs=12),
        "muted": pytest.approx((110, 130, 120), abs=12),
        "dark_vibrant": pytest.approx((20, 20, 90), abs=12),
    }
    every = facts("/dc:1:1/plain/local:///three.png")["dominant_colors"]
    assert set(every) == {f"{light}{kind}" for light in ("", "light_", "dark_") for kind in ("vibrant", "muted")}
    assert sum(every["light_muted"].values()) > sum(every["muted"].values()) > sum(every["dark_muted"].values())


def test_info_of_another_source_than_meant_is_refused(serve: Callable[..., Served], picture_bytes: bytes) -> None:
    served = serve(imgproxy={})
    digest = hashlib.sha256(picture_bytes).hexdigest()
    assert served.ask(f"/imgproxy/info/_/hs:sha256:{digest}/plain/local:///cat.jpg").status_code == 200
    assert served.status(f"/imgproxy/info/_/hs:sha256:{'0' * 64}/plain/local:///cat.jpg") == (422, "EHASH")


def test_exif_has_names_for_people_or_canonical_ones(facts: Callable[[str], dict[str, Any]], folder: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0131] = "Maker", "Camera 1.0"
    exif.get_ifd(0x8769).update({0x9003: "2020:01:02 03:04:05", 0x829D: 2.8, 0xA431: "serial", 0xA408: 1})
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
    Image.new("RGB", (9, 9)).save(folder / "photo.jpg", exif=exif)
    path = "/plain/local:///photo.jpg"
    values = ["Maker", "Camera 1.0", 2.8, "2020:01:02 03:04:05", 1]
    people = ["Manufacturer", "Software", "F-Number", "Date and Time (Original)", "Contrast"]
    canonical = ["Make", "Software", "FNumber", "DateTimeOriginal", "Contrast"]
    for option, names in (("", people), ("/exif:1:0", people), ("/exif:1:1", canonical)):
        assert facts(option + path)["exif"] == dict(zip(names, values, strict=True))


def test_pages_of_any_size_are_counted_and_looked_at(facts: Callable[[str], dict[str, Any]], folder: Path) -> None:
    first, second = Image.new("RGB", (40, 30), "red"), Image.new("RGB", (20, 50), "blue")
    first.save(folder / "document.tiff", save_all=True, append_images=[second])
    found = facts("/pn:1/pg:1/avg:1/plain/local:///document.tiff")
    assert (found["pages_number"], found["average"]) == (2, {"R": 0, "G": 0, "B": 255, "A": 255})


def test_transparency_is_weighed_and_looked_for_as_asked(facts: Callable[[str], dict[str, Any]], folder: Path) -> None:
    picture = Image.new("RGBA", (20, 20), (0, 0, 0, 255))
    picture.save(folder / "opaque.png")
    picture.paste((200, 100, 50, 0), (0, 0, 10, 20))
    picture.save(folder / "half.png")
    assert facts("/avg:1/plain/local:///half.png")["average"]["R"] == 0
    assert facts("/avg:1:0/plain/local:///half.png")["average"] == {"R": 100, "G": 50, "B": 25, "A": 128}
    found = [facts(f"/a:1{check}/plain/local:///opaque.png")["alpha"] for check in ("", ":1")]
    assert found == [True, False]


def test_info_has_presets_tags_and_limits(serve: Callable[..., Served]) -> None:
    settings = {"info_presets": {"default": "exif:0", "outer": "pr:loop/s:0", "loop": "pr:outer/f:0"}}
    served = serve(imgproxy={**settings, "allow_security_options": True})
    path = "/plain/local:///cat.jpg"
    assert served.ask(f"/imgproxy/info/_/pr:outer{path}").get_json() == {"width": 400, "height": 300, "orientation": 1}
    assert served.ask(f"/imgproxy/info/_/ct:a:b{path}").headers["Cache-Tag"] == "a,b"
    assert served.status(f"/imgproxy/info/_/msr:0.1{path}") == (413, "ELIMIT")
    assert served.status(f"/imgproxy/info/_/pr:none{path}") == (400, "EINVAL")
    assert serve(imgproxy={}).status(f"/imgproxy/info/_/msr:100{path}") == (400, "EINVAL")


def test_presets_alone_may_ask_for_facts_without_a_key(serve: Callable[..., Served]) -> None:
    served = serve(access="named", imgproxy={"info_presets": {"small": "exif:0"}})
    assert served.status("/imgproxy/info/_/pr:small/plain/local:///cat.jpg") == (200, "")
    assert served.status("/imgproxy/info/_/d:1/plain/local:///cat.jpg") == (403, "ESIGNATURE")


@pytest.mark.parametrize(
    ("field", "value"),
    [("info_presets", {"bad": "w:9"}), ("allowed_info_options", ["w"]), ("info_only_presets", True)],
)
def test_setting_of_info_that_can_not_be_is_named(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"imgproxy.{field}"):
        Config(imgproxy={field: value})  # type: ignore[arg-type] # a table
