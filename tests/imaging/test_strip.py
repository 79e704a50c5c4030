"""Strip means strip: a marker that is planted anywhere is gone, and the picture is the same one."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image
from planted import MAKERS, SECRET, encode, exif, frames, noise, profile

from s3img.errors import ImageError
from s3img.imaging import cleaned
from s3img.imaging.strip import canonical_profile, stripped
from s3img.limits import Limits

LIMITS = Limits()
PLANTED = [pytest.param(name, data, id=f"{name}-{what}") for name, make in MAKERS.items() for what, data in make()]


@pytest.mark.parametrize(("name", "data"), PLANTED)
def test_what_is_planted_is_gone_and_the_picture_stays(name: str, data: bytes) -> None:
    before = frames(data)
    result = cleaned(data, limits=LIMITS)
    for hidden in (SECRET, SECRET[:11], zlib.compress(SECRET)[2:-4]):
        assert hidden not in result.data
    if (
        data[-18:-2] != SECRET
    ):  # a JPEG whose decoder can't tell where its pixels end is encoded anew, and loses a little
        assert frames(result.data) == before[: len(before) if name != "jpeg" else 1]  # the first picture of an MPO


@pytest.mark.parametrize(("name", "data"), PLANTED)
def test_stripping_twice_changes_nothing(name: str, data: bytes) -> None:
    result = stripped(data, name)
    assert result is None or stripped(result, name) == result


def test_a_profile_keeps_its_tags_and_nothing_else() -> None:
    known = profile()
    assert canonical_profile(known) is not None
    assert Image.open(io.BytesIO(stripped(encode(noise(), "JPEG", icc_profile=known), "jpeg") or b"")).info[
        "icc_profile"
    ] == canonical_profile(known)
    padded = bytearray(known + SECRET)
    struct.pack_into(">L", padded, 0, len(padded))
    assert SECRET not in canonical_profile(bytes(padded))


@pytest.mark.parametrize("cut", [0, 100, 131])
def test_what_is_no_profile_is_dropped(cut: int) -> None:
    assert canonical_profile(profile()[:cut]) == b""
    assert canonical_profile(b"x" * 200) == b""


def test_a_frame_that_says_that_it_is_longer_keeps_all_frames() -> None:
    stills = [Image.new("RGB", (13, 169), (n * 2, 255 - n, n)) for n in range(99)]
    data = bytearray(encode(stills[0], "WEBP", save_all=True, append_images=stills[1:], lossless=True, duration=20))
    at = data.index(b"ANMF") + 4
    struct.pack_into("<L", data, at, struct.unpack_from("<L", data, at)[0] + 1024)
    assert frames(cleaned(bytes(data), limits=LIMITS).data) == frames(bytes(data))


@pytest.mark.parametrize("block", [b"\x21\xfe\x03abc\0", b"\x21\xf9\x04\0\0\0\0\0", b"\x21\xfe\0", b"\x21\x01\0"])
def test_a_gif_may_end_in_a_short_block(block: bytes) -> None:
    data = encode(noise(), "GIF")
    assert frames(cleaned(data[:-1] + block + b";", limits=LIMITS).data) == frames(data)


@pytest.mark.parametrize("tail", [b"", b"\x21\xfe\x03abc\0", b"\x21\xfe\x03a"])
def test_a_gif_without_its_trailer_is_refused(tail: bytes) -> None:
    with pytest.raises(ImageError, match="ends early"):
        cleaned(encode(noise(), "GIF")[:-1] + tail, limits=LIMITS)


def test_an_avif_with_metadata_keeps_its_coded_picture() -> None:
    plain = encode(noise(), "AVIF", quality=40)
    result = cleaned(encode(noise(), "AVIF", quality=40, exif=exif()), limits=LIMITS)
    assert plain[plain.index(b"mdat") + 4 :][:200] != b""
    assert result.data[-300:] == stripped(plain, "avif")[-300:] or len(result.data) < len(plain) + 100  # type: ignore[index]


def test_an_avif_with_alpha_keeps_it() -> None:
    image = noise().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = encode(image, "AVIF", exif=exif())
    result = stripped(data, "avif")
    assert result is not None
    assert frames(result) == frames(data)


def test_a_stripped_picture_that_does_not_open_is_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(noise(), "PNG")
    monkeypatch.setattr("s3img.imaging.clean.stripped", lambda data, name: data[:-30])
    assert frames(cleaned(data, limits=LIMITS).data) == frames(data)


@pytest.mark.parametrize("colour", ["white", "black", "#808080", "#ff0000"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
        ("PNG", {}),
        ("AVIF", {"speed": 9}),
    ],
)
def test_flat_pictures_are_not_taken_for_ones_with_something_at_their_end(
    name: str, settings: dict[str, Any], colour: str
) -> None:
    for size in ((1, 1), (400, 300)):
        data = encode(Image.new("RGB", size, colour), name, **settings)
        assert cleaned(data, limits=LIMITS).data == stripped(data, name.lower())
