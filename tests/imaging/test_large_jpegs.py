"""A JPEG is scaled down while it is decoded: what telephones take is no more work than a smaller picture."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from s3img.errors import ImageTooLarge
from s3img.imaging import Rendered, RenderTarget, average_color, probe, render, render_variants
from s3img.limits import Limits
from s3img.transform import Transform

PHONES = {"108 MP": (12_000, 9_000), "200 MP": (16_320, 12_240)}


def grey_jpeg(width: int, height: int, *, scans: int = 1) -> bytes:
    """Write a JPEG of one grey: in its Huffman tables a bit 0 says that nothing changes, so its blocks are zero bytes."""
    blocks = -(-width // 8) * -(-height // 8)
    table = bytes([1, *bytes(15), 0])
    parts = [
        (0xDB, bytes([0]) + bytes([1] * 64)),
        (0xC2 if scans > 1 else 0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"),
        (0xC4, b"\0" + table + b"\x10" + table),
    ]
    header = b"".join(struct.pack(">BBH", 255, code, len(body) + 2) + body for code, body in parts)
    if scans == 1:
        return b"\xff\xd8" + header + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + bytes(blocks // 4 + 1) + b"\xff\xd9"
    first = b"\xff\xda\0\x08\1\1\0\0\0\0" + bytes(blocks // 8 + 1)
    rest = b"".join(b"\xff\xda\0\x08\1\1\0" + bytes([n, n, 0]) + bytes(blocks // 8 + 1) for n in range(1, scans))
    return b"\xff\xd8" + header + first + rest + b"\xff\xd9"


@pytest.mark.parametrize("phone", PHONES)
def test_picture_of_a_phone_is_rendered_by_default(make: Any, phone: str) -> None:
    source = grey_jpeg(*PHONES[phone])
    (variant,) = render_variants(source, [RenderTarget(320, 240, "webp")])
    assert isinstance(variant, Rendered)
    assert make.decode(variant.data).convert("L").getpixel((160, 120)) == pytest.approx(128, abs=1)
    assert average_color(source) == "#888888"  # of sixteen levels


def test_jpeg_above_the_limit_for_jpegs_is_refused_by_its_header() -> None:
    with pytest.raises(ImageTooLarge) as caught:
        probe(grey_jpeg(16, 16).replace(struct.pack(">HH", 16, 16), struct.pack(">HH", 40_000, 40_000)))
    assert caught.value.limit == "jpeg_pixels"


def test_jpeg_that_would_be_decoded_at_full_size_is_refused() -> None:
    limits = Limits(input_pixels=40_000)
    source = grey_jpeg(400, 300)
    assert render(source, Transform.parse("w-50,f-png"), limits=limits).width == 50
    with pytest.raises(ImageTooLarge, match=r"decoded at 400 x 300 px") as caught:
        render(source, Transform.parse("w-300,f-png"), limits=limits)
    assert caught.value.limit == "input_pixels"


def test_progressive_jpeg_counts_what_its_decoder_keeps() -> None:
    source = grey_jpeg(400, 300, scans=2)
    assert probe(source).buffered == 2 * 400 * 300
    assert probe(source, limits=Limits(input_pixels=60_000)).width == 400
    with pytest.raises(ImageTooLarge, match="progressive") as caught:
        probe(source, limits=Limits(input_pixels=59_999))
    assert caught.value.limit == "input_pixels"


@pytest.mark.parametrize(("subsampling", "samples"), [("4:4:4", 3), ("4:2:2", 2), ("4:2:0", 1.5)])
def test_samples_of_a_progressive_jpeg_follow_from_its_subsampling(make: Any, subsampling: str, samples: float) -> None:
    source = make.encode(make.quadrants(64, 48), "jpeg", progressive=True, subsampling=subsampling)
    assert probe(source).buffered == 2 * samples * 64 * 48


def test_a_build_decodes_a_jpeg_at_half_its_size_where_one_and_a_half_of_the_result_is_left() -> None:
    source, limits = grey_jpeg(1600, 1200), Limits(input_pixels=800 * 600)
    render_variants(source, [RenderTarget(530, 398, "webp")], limits=limits)
    with pytest.raises(ImageTooLarge, match="1600 x 1200"):
        render_variants(source, [RenderTarget(536, 402, "webp")], limits=limits)
