"""A JPEG that lacks nothing but its end marker is whole; one that lacks px is not."""

from __future__ import annotations

from typing import Any

import pytest
from sites import photo

from s3img.errors import ImageError
from s3img.imaging import Rendered, RenderTarget, cleaned, render, render_variants
from s3img.imaging.probing import lacks_end_marker
from s3img.limits import Limits
from s3img.transform import Transform

SMALL = Transform.parse("w-50,f-png")


@pytest.fixture(params=["baseline", "progressive"])
def whole(request: pytest.FixtureRequest, make: Any) -> bytes:
    picture = make.decode(photo(320, 200, seed=1))
    return make.encode(picture, "jpeg", progressive=request.param == "progressive")


@pytest.mark.parametrize("lost", [1, 2])
def test_jpeg_without_its_end_marker_is_whole(whole: bytes, lost: int) -> None:
    assert render(whole[:-lost], SMALL).data == render(whole, SMALL).data
    (variant,) = render_variants(whole[:-lost], [RenderTarget(50, 31, "png")])
    assert isinstance(variant, Rendered)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95, 0.99])
def test_jpeg_that_lacks_px_is_refused(whole: bytes, share: float) -> None:
    with pytest.raises(ImageError, match="truncated"):
        render(whole[: int(share * len(whole))], SMALL)


def test_message_names_the_setting(whole: bytes) -> None:
    with pytest.raises(ImageError, match="end marker") as caught:
        render(whole[:-2], SMALL, limits=Limits(tolerant=False))
    assert "limits.tolerant" in str(caught.value)


def test_upload_of_it_is_taken_only_where_the_policy_says_so(whole: bytes) -> None:
    with pytest.raises(ImageError, match="end marker"):
        cleaned(whole[:-2], limits=Limits(tolerant=False))
    assert cleaned(whole[:-2], limits=Limits()).data.endswith(b"\xff\xd9")


@pytest.mark.parametrize("tail", [b"", b"\0" * 9_000, b"\0" * 9_000 + b"\xff\xda" + b"x" * 5_000])
def test_end_marker_is_looked_for_behind_the_px(whole: bytes, tail: bytes) -> None:
    assert not lacks_end_marker(whole + tail)
    assert lacks_end_marker(whole[:-2] + tail)


def test_end_marker_of_a_thumbnail_is_none_of_the_picture(whole: bytes) -> None:
    thumbnail = b"\xff\xe1" + (len(whole) + 2).to_bytes(2) + whole
    assert lacks_end_marker(b"\xff\xd8" + thumbnail + whole[2:-2])
    assert not lacks_end_marker(b"\xff\xd8" + thumbnail + whole[2:])
