"""Options that imgproxy sells as Pro: fallbacks, tags, digests, pages, encoders and the search for a quality."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageChops, ImageFilter

from s3img.config import Config
from s3img.errors import ConfigError
from s3img.imaging.auto_quality import dissimilarity
from s3img.imgproxy.processing_options import encode_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transform_service import Served
    from werkzeug.test import TestResponse


@pytest.fixture
def ask(serve: Callable[..., Served]) -> Callable[..., TestResponse]:
    """Ask an open service for a picture under options."""
    served = serve(imgproxy={})
    return lambda options, name="cat.jpg", **headers: served.ask(
        f"/imgproxy/_/{options}/plain/local:///{name}", **headers
    )


def opened(answer: TestResponse) -> Image.Image:
    assert answer.status_code == 200, answer.data
    return Image.open(io.BytesIO(answer.data))


FIU = f"fiu:{encode_text('local:///dot.png')}"


def test_fallback_takes_the_place_of_a_missing_source(ask: Callable[..., TestResponse]) -> None:
    answer = ask(f"w:20/{FIU}", "none.jpg")
    assert opened(answer).size == (20, 13)
    assert answer.headers["S3img-Fallback"] == "fallback-image"
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert ask(f"w:20/{FIU}", "none.jpg", If_None_Match=answer.headers["ETag"]).status_code == 304
    there = ask(f"w:20/{FIU}")
    assert "S3img-Fallback" not in there.headers
    assert there.headers["ETag"] == ask("w:20").headers["ETag"]


def test_fallback_is_not_for_what_can_not_be_decoded_or_understood(ask: Callable[..., TestResponse]) -> None:
    assert ask(f"w:20/{FIU}", "broken.jpg").status_code == 422
    assert ask(f"w:x/{FIU}", "none.jpg").status_code == 400
    missing = ask(f"w:20/fiu:{encode_text('local:///nothing.png')}", "none.jpg")
    assert missing.status_code == 404
    assert "none.jpg" in missing.text or "nothing" not in missing.text
    assert ask(f"w:20/fiu:{encode_text('https://example.com/a.png')}").status_code == 404


@pytest.mark.parametrize(
    ("settings", "status", "keep"),
    [
        ({}, 200, "public, max-age=60"),
        ({"fallback_image_http_code": 0}, 404, "public, max-age=60"),
        ({"fallback_image_http_code": 410, "fallback_image_ttl": 5}, 410, "public, max-age=5"),
    ],
)
def test_fallback_of_the_settings_has_its_status_and_time(
    serve: Callable[..., Served], folder: Path, settings: dict[str, Any], status: int, keep: str
) -> None:
    served = serve(imgproxy={"fallback_image": (folder / "dot.png").as_uri(), **settings})
    path = "/imgproxy/_/w:20/plain/local:///none.jpg"
    answer = served.ask(path)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (status, keep)
    assert Image.open(io.BytesIO(answer.data)).size == (20, 13)
    again = served.ask(path, If_None_Match=answer.headers["ETag"])
    assert again.status_code == (304 if status == 200 else status)


def test_fallback_that_no_origin_has_is_named_at_the_start(serve: Callable[..., Served]) -> None:
    with pytest.raises(ConfigError, match="fallback_image"):
        serve(imgproxy={"fallback_image": "https://example.com/a.png"})
    with pytest.raises(ConfigError, match="fallback_image_http_code"):
        Config(imgproxy={"fallback_image_http_code": 99})
    with pytest.raises(ConfigError, match="fallback_image_ttl"):
        Config(imgproxy={"fallback_image_ttl": -1})


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("all", {"Cache-Tag", "x-amz-meta-cache-tag"}),
        ("cloudflare", {"Cache-Tag"}),
        ("cloudfront", {"x-amz-meta-cache-tag"}),
        ("none", set()),
    ],
)
def test_tags_stand_in_the_headers_of_the_cdn(serve: Callable[..., Served], kind: str, names: set[str]) -> None:
    served = serve(imgproxy={"cache_tags_format": kind})
    path = "/imgproxy/_/ct:cats:a%2Fb:cats/w:40/plain/local:///cat.jpg"
    answer = served.ask(path)
    found = {name for name in ("Cache-Tag", "x-amz-meta-cache-tag") if name in answer.headers}
    assert found == names
    assert {answer.headers[name] for name in found} <= {"cats,a/b"}
    assert served.ask(path.replace("ct:cats:a%2Fb:cats/", "")).headers["ETag"] == answer.headers["ETag"]


def test_source_with_another_digest_is_refused(ask: Callable[..., TestResponse], picture_bytes: bytes) -> None:
    for kind in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(kind, picture_bytes).hexdigest()
        assert ask(f"w:20/hs:{kind}:{digest.upper()}").status_code == 200
        wrong = ask(f"w:20/hs:{kind}:{'0' * len(digest)}")
        assert wrong.status_code == 422
        assert wrong.text.startswith(f"EHASH: hashsum: the source has another {kind} than the address names.")
    assert ask("w:20/hs:none").status_code == 200


def test_page_of_an_animation_or_tiff_is_chosen(ask: Callable[..., TestResponse], folder: Path) -> None:
    colors = ["red", "lime", "blue"]
    frames = [Image.new("RGB", (20, 10), color) for color in colors]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=50)
    frames[0].save(folder / "pages.tiff", save_all=True, append_images=frames[1:])
    for name in ("moving.gif", "pages.tiff"):
        for number, color in enumerate(colors):
            picture = opened(ask(f"pg:{number}/f:png", name)).convert("RGB")
            assert picture.getcolors() == [(200, Image.new("RGB", (1, 1), color).getpixel((0, 0)))]
        missing = ask("pg:3/f:png", name)
        assert missing.status_code == 400
        assert "page 3" in missing.text
    assert getattr(opened(ask("pg:1/f:gif", "moving.gif")), "n_frames", 1) == 3
    assert getattr(opened(ask("pg:1/f:gif/da:1", "moving.gif")), "n_frames", 1) == 1


def test_page_of_another_size_is_refused(ask: Callable[..., TestResponse], folder: Path) -> None:
    Image.new("L", (20, 10)).save(folder / "two.tiff", save_all=True, append_images=[Image.new("L", (9, 9))])
    assert ask("pg:1/f:png", "two.tiff").status_code == 415


def sampling(answer: TestResponse) -> list[tuple[int, int]]:
    return [layer[1:3] for layer in opened(answer).layer]  # type: ignore[attr-defined] # of a JPEG


def test_options_of_encoders_have_their_effect(ask: Callable[..., TestResponse]) -> None:
    assert sampling(ask("w:80/f:jpg"))[0] == (2, 2)
    assert sampling(ask("w:80/f:jpg/jpgo:0:1"))[0] == (1, 1)
    assert "progressive" in opened(ask("w:80/f:jpg/jpgo:1")).info
    assert len(opened(ask("w:80/f:png/pngo:0:1:8")).convert("RGB").getcolors(4096) or ()) <= 8
    exact = opened(ask("w:80/f:png")).convert("RGB")
    assert not ImageChops.difference(exact, opened(ask("w:80/f:webp/webpo:lossless")).convert("RGB")).getbbox()
    assert ImageChops.difference(exact, opened(ask("w:80/f:webp")).convert("RGB")).getbbox()
    half, full, auto = (ask(f"f:avif/avifo:{kind}").data for kind in ("on", "off", "auto"))
    assert half == auto != full


def test_quality_is_found_by_size(ask: Callable[..., TestResponse]) -> None:
    plain = {quality: len(ask(f"f:jpg/q:{quality}").data) for quality in (20, 40, 60)}
    found = len(ask(f"f:jpg/aq:size:{plain[40]}:10:90").data)
    assert plain[20] < found <= plain[40]
    assert len(ask("f:jpg/aq:size:1:20:60").data) == plain[20]
    assert len(ask("f:jpg/aq:size:10000000:20:60").data) == plain[60]


def test_quality_is_found_by_similarity(ask: Callable[..., TestResponse]) -> None:
    exact = opened(ask("f:png"))
    target = dissimilarity(exact, opened(ask("f:jpg/q:40")))
    for method in ("dssim", "ml"):
        found = ask(f"f:jpg/aq:{method}:{target}:10:90:0")
        assert dissimilarity(exact, opened(found)) <= target
        assert len(found.data) <= len(ask("f:jpg/q:40").data)
    assert ask("f:png/aq:dssim").data == ask("f:png").data


def test_dissimilarity_is_nothing_for_a_copy_and_grows_with_blur() -> None:
    picture = Image.radial_gradient("L").resize((100, 60)).point([255 * (level // 20 % 2) for level in range(256)])
    blurred = [dissimilarity(picture, picture.filter(ImageFilter.GaussianBlur(sigma))) for sigma in (0, 1, 3)]
    assert blurred[0] == pytest.approx(0, abs=1e-6)
    assert blurred[0] < blurred[1] < blurred[2] < 1
