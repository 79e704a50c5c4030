"""Whatever the bytes: a result, or an ``S3ImgError``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from s3img.errors import S3ImgError
from s3img.imaging import probe, render, render_variants
from s3img.imaging.image_info import RenderTarget
from s3img.imaging.strip import stripped
from s3img.limits import Limits
from s3img.transform import Transform

LIMITS = Limits(input_pixels=200_000, frame_pixels=1_000_000)
SIGNATURES = [
    *(b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X", b"II*\0", b"MM\0*", b"BM"),
    *(b"\0\0\0\x1cftypavif\0\0\0\0mif1avif", b"\0\0\0\x1cftypavis", b"\0\0\1\0", b"<svg ", b"<?xml "),
]
NAMES = ["jpeg", "png", "gif", "webp", "avif", "tiff", "bmp"]
BOUNDED = settings(
    max_examples=2 * settings().max_examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def corpus(make: Any) -> list[bytes]:
    noise = Image.effect_noise((40, 30), 80).convert("RGB")
    stills = [make.encode(noise, name) for name in NAMES]
    oriented = [make.encode(noise, name, exif=make.orientation_exif(6)) for name in ("jpeg", "png", "webp", "avif")]
    moving = [make.animate(make.moving(3), name, duration=50) for name in ("gif", "png", "webp", "avif")]
    modes = [make.encode(noise.convert(mode), "png") for mode in ("1", "L", "LA", "P", "RGBA")]
    return stills + oriented + moving + modes


def damaged(data: Any, corpus: list[bytes]) -> bytearray:
    """Draw one of the images with up to eight bytes changed."""
    image = bytearray(data.draw(st.sampled_from(corpus)))
    change = st.tuples(st.integers(0, len(image) - 1), st.integers(0, 255))
    for position, value in data.draw(st.lists(change, max_size=8)):
        image[position] = value
    return image


@BOUNDED
@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_probe_survives_random_bytes(signature: bytes, rest: bytes) -> None:
    with suppress(S3ImgError):
        probe(signature + rest, limits=LIMITS)


@BOUNDED
@given(st.data())
def test_render_survives_damaged_images(corpus: list[bytes], data: Any) -> None:
    image = bytearray(data.draw(st.sampled_from(corpus)))
    for position, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(image) - 1), st.integers(0, 255)), max_size=8)
    ):
        image[position] = value
    cut = bytes(image[: data.draw(st.integers(0, len(image)) | st.just(len(image)))])
    with suppress(S3ImgError):
        info = probe(cut, limits=LIMITS)
        assert info.width > 0
        render(cut, Transform.parse("w-16,h-16"), profile="request", limits=LIMITS)


@BOUNDED
@given(st.data())
def test_stripping_survives_damaged_images(corpus: list[bytes], data: Any) -> None:
    image = bytearray(data.draw(st.sampled_from(corpus)))
    for position, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(image) - 1), st.integers(0, 255)), max_size=8)
    ):
        image[position] = value
    for name in ("jpeg", "png", "gif", "webp", "avif"):
        result = stripped(bytes(image), name)
        assert result is None or len(result) <= len(image) + 8


@BOUNDED
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from(["jpeg", "png", "webp", "gif"]))
def test_variants_make_any_small_size(corpus: list[bytes], width: int, height: int, name: str) -> None:
    (outcome,) = render_variants(corpus[0], [RenderTarget(width, height, name)])
    info = probe(outcome.data)  # type: ignore[union-attr]
    assert (info.width, info.height) == (width, height)
