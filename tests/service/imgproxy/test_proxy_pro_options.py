"""Options that imgproxy sells as Pro: fallbacks, tags, digests, pages, encoders and the search for a quality."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageChops, ImageFilter

from s3img.config import Config
from s3img.errors import ConfigError
from s3img.imaging import decode, probe
from s3img.imaging.color import transform_to_srgb
from s3img.imaging.decode import page_count
from s3img.imaging.profiles import PRIMARIES, profile_of, srgb_icc, srgb_to_linear
from s3img.imaging.smallest import dissimilarity
from s3img.imgproxy.processing_options import encode_text
from s3img.limits import Limits

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


@pytest.fixture
def document(folder: Path) -> str:
    """A TIFF of three pages of different sizes: red, blue, green."""
    sides = {"red": (40, 30), "blue": (20, 50), "green": (10, 10)}
    first, *others = (Image.new("RGB", size, color) for color, size in sides.items())
    first.save(folder / "document.tiff", save_all=True, append_images=others)
    return "document.tiff"


@pytest.mark.parametrize(
    ("options", "size"),
    [("pg:1", (20, 50)), ("pg:2/w:5", (5, 5)), ("pgs:2", (40, 80)), ("pg:1/pgs:9", (20, 60)), ("pgs:3/w:20", (20, 45))],
)
def test_pages_may_have_any_size_and_are_stacked(
    ask: Callable[..., TestResponse], document: str, options: str, size: tuple[int, int]
) -> None:
    assert opened(ask(f"{options}/f:png", document)).size == size


def test_stacked_pages_lie_at_the_left(ask: Callable[..., TestResponse], document: str) -> None:
    picture = opened(ask("pgs:3/f:png", document)).convert("RGBA")
    places = [(39, 29), (19, 79), (20, 79), (9, 89), (10, 89)]
    colors = [(255, 0, 0, 255), (0, 0, 255, 255), (0, 0, 0, 0), (0, 128, 0, 255), (0, 0, 0, 0)]
    assert [picture.getpixel(place) for place in places] == colors


@pytest.mark.parametrize("options", ["pg:3", "pg:3/pgs:2"])
def test_page_that_is_not_there_is_refused(ask: Callable[..., TestResponse], document: str, options: str) -> None:
    answer = ask(f"{options}/f:png", document)
    assert (answer.status_code, "has no page 3" in answer.text) == (400, True)


def test_pages_together_keep_to_the_limit(serve: Callable[..., Served], document: str) -> None:
    served = serve(imgproxy={}, limits=Limits(input_pixels=2000))
    path = f"/plain/local:///{document}"
    assert served.status(f"/imgproxy/_/pg:1/f:png{path}") == (200, "")
    assert served.status(f"/imgproxy/_/pgs:2/f:png{path}") == (413, "ELIMIT")


def test_frames_are_pages_where_nothing_moves(ask: Callable[..., TestResponse], folder: Path) -> None:
    frames = [Image.new("RGB", (20, 10), color) for color in ("red", "green", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=50)
    assert opened(ask("pgs:2/f:png", "moving.gif")).size == (20, 20)
    assert opened(ask("pgs:2/f:gif", "moving.gif")).size == (20, 10)
    assert opened(ask("pgs:2/f:gif/da:1", "moving.gif")).size == (20, 20)


def test_algorithm_of_resizing_is_heeded(ask: Callable[..., TestResponse], folder: Path) -> None:
    Image.linear_gradient("L").resize((64, 64)).point([255 * (x > 127) for x in range(256)]).save(folder / "edge.png")
    names = ("nearest", "linear", "cubic", "lanczos3")
    made = {name: opened(ask(f"rs:force:7:7/ra:{name}/f:png", "edge.png")).convert("L") for name in names}
    assert set(made["nearest"].tobytes()) == {0, 255}
    assert len({picture.tobytes() for picture in made.values()}) == len(names)
    assert ask("w:7/ra:lanczos3").headers["ETag"] == ask("w:7").headers["ETag"]


@pytest.mark.parametrize(
    ("source", "css", "styled"),
    [
        ("<svg a='>'><rect/></svg>", "rect{fill:red}", "<svg a='>'>{}rect{{fill:red}}</style><rect/></svg>"),
        ("<!-- <svg> --><s:svg xmlns:s='x'><a/></s:svg>", "a>b", "<!-- <svg> --><s:svg xmlns:s='x'>{}a&gt;b</style><a/></s:svg>"),
        ("<svg></svg>", "</style><script>", "<svg>{}&lt;/style&gt;&lt;script&gt;</style></svg>"),
        ("<svg></svg>", "ü", "<svg>{}&#252;</style></svg>"),
        ("<svg/>", "a", "<svg/>"),
    ],
)  # fmt: skip
def test_style_becomes_the_first_child_of_an_svg(
    ask: Callable[..., TestResponse], folder: Path, source: str, css: str, styled: str
) -> None:
    (folder / "drawing.svg").write_text(source)
    answer = ask(f"st:{encode_text(css)}", "drawing.svg")
    assert answer.text == styled.format('<style xmlns="http://www.w3.org/2000/svg">')
    assert "sandbox" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_style_is_written_in_the_encoding_of_the_svg(
    ask: Callable[..., TestResponse], folder: Path, encoding: str
) -> None:
    (folder / "drawing.svg").write_bytes("<!-- ö --><svg>ö</svg>".encode(encoding))
    made = ask(f"st:{encode_text('a')}", "drawing.svg").data.decode(encoding)
    assert made == '<!-- ö --><svg><style xmlns="http://www.w3.org/2000/svg">a</style>ö</svg>'


def test_colour_profile_is_embedded_and_px_converted(
    serve: Callable[..., Served], folder: Path, tmp_path: Path
) -> None:
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    wide = profile_of(PRIMARIES[12], srgb_to_linear, grey=False)
    assert wide
    (profiles / "Display P3.icc").write_bytes(wide)
    (profiles / "notes.txt").write_text("x")
    (profiles / "grey.icm").write_bytes(profile_of(PRIMARIES[1], 2.2, grey=True) or b"")
    Image.new("RGB", (8, 8), (255, 0, 0)).save(folder / "red.png")
    served = serve(imgproxy={"color_profiles_dir": str(profiles)})
    found = {}
    for name in ("srgb", "Display%20P3", "Display%20P3.icc", ""):
        option = f"cp:{name}/" if name else ""
        picture = opened(served.ask(f"/imgproxy/_/{option}f:png/plain/local:///red.png"))
        found[name] = (picture.info.get("icc_profile", b""), picture.convert("RGB").getpixel((3, 3)))
    assert found[""] == (b"", (255, 0, 0))
    assert found["srgb"] == (srgb_icc(), (255, 0, 0))
    assert found["Display%20P3"] == found["Display%20P3.icc"]
    icc, (red, green, _) = found["Display%20P3"]
    assert icc == wide
    assert red in range(225, 240)  # sRGB's red is (234, 51, 35) in Display P3
    assert green in range(40, 60)
    plain = opened(served.ask("/imgproxy/_/cp:Display%20P3/f:bmp/plain/local:///red.png"))  # which has no profiles
    assert plain.convert("RGB").getpixel((3, 3)) == (255, 0, 0)
    for unknown in ("grey", "cmyk", "notes"):
        answer = served.ask(f"/imgproxy/_/cp:{unknown}/f:png/plain/local:///red.png")
        assert (answer.status_code, "color_profile" in answer.text) == (400, True)


def test_profile_of_srgb_is_known_to_be_one() -> None:
    assert transform_to_srgb(srgb_icc(), "RGB") is None
    assert len(srgb_icc()) < 600


def test_limit_of_a_frame_is_not_one_of_all_frames(serve: Callable[..., Served], folder: Path) -> None:
    frames = [Image.new("RGB", (20, 10), color) for color in ("red", "green", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=50)
    served = serve(imgproxy={"allow_security_options": True, "max_animation_frame_resolution": 0.0001})
    path = "/plain/local:///moving.gif"
    assert served.status(f"/imgproxy/_/w:9{path}") == (413, "ELIMIT")
    assert served.status(f"/imgproxy/_/w:9/mafr:0.0003{path}") == (200, "")  # 600 px in all, 200 in each


def test_quality_is_bounded_by_format_and_looked_for_in_small_pictures(serve: Callable[..., Served]) -> None:
    usual = {"autoquality_format_min": {"jpeg": 5}, "autoquality_format_max": {"jpeg": 6}}
    path = "/imgproxy/_/f:jpg/aq:dssim:0.0001/plain/local:///cat.jpg"
    bounded = len(serve(imgproxy=usual).ask(path).data)
    plain = len(serve(imgproxy={}).ask(path).data)
    left_out = len(serve(imgproxy={**usual, "autoquality_max_resolution": 0.1}).ask(path).data)
    assert bounded < plain
    assert bounded < left_out


def test_pipelines_in_a_row_keep_to_the_limit(ask: Callable[..., TestResponse]) -> None:
    assert ask("/-/".join(["w:9"] * 20)).status_code == 200
    assert ask("/-/".join(["w:9"] * 21)).status_code == 413


def test_broken_profile_of_a_source_is_passed_over_and_one_of_the_folder_named(
    serve: Callable[..., Served], folder: Path, tmp_path: Path
) -> None:
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    wide = profile_of(PRIMARIES[12], srgb_to_linear, grey=False) or b""
    (profiles / "wide.icc").write_bytes(wide)
    grey = profile_of(PRIMARIES[1], 2.2, grey=True) or b""
    for name, broken in {"broken.png": wide[:140], "grey.png": grey}.items():
        Image.new("RGB", (8, 8), (255, 0, 0)).save(folder / name, icc_profile=broken)
        served = serve(imgproxy={"color_profiles_dir": str(profiles)})
        assert served.status(f"/imgproxy/_/scp:0/cp:wide/f:png/plain/local:///{name}") == (200, "")
    (profiles / "half.icc").write_bytes(wide[:200])
    with pytest.raises(ConfigError, match=r"half\.icc"):
        serve(imgproxy={"color_profiles_dir": str(profiles)})


def test_pages_of_a_tiff_are_counted_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.new("L", (3, 3)).save(file, "TIFF", save_all=True, append_images=[Image.new("L", (3, 3))] * 4)
    info = probe(file.getvalue())
    assert page_count(file, info) == 5
    monkeypatch.setattr(decode, "_MOST_PAGES", 3)
    assert page_count(file, info) == 3
