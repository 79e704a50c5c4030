"""Addresses of imgproxy: what its own parser read from them, its errors, and the form in which options are written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.errors import RequestError, S3ImgError, TransformError
from s3img.imgproxy import OptionGrammar, Pipeline, ProcessingOptions
from s3img.imgproxy.option_grammar import LONG_NAMES, repaired
from s3img.imgproxy.output_options import OUTPUT_OPTIONS
from s3img.imgproxy.pipeline_options import PIPELINE_OPTIONS
from s3img.imgproxy.processing_options import FORMATS, Gravity

VECTORS = json.loads((Path(__file__).parent.parent / "data/imgproxy/imgproxy-grammar.json").read_text())["vectors"]
GRAMMAR = OptionGrammar(presets={"thumb": "rs:fill:64:64/q:60", "loop": "pr:loop/w:7", "outer": "pr:thumb/h:9"})
STRICTER = {"/dpr:NaN", "/dpr:Inf", "/rot:-90"}
"""Addresses that imgproxy takes and then fails on."""
GOOD = [v for v in VECTORS if v["status"] == 200 and "/enc/" not in v["path"]]
GOOD = [v for v in GOOD if "/" + v["path"].split("/")[1] not in STRICTER]
BAD = [v for v in VECTORS if v not in GOOD and "/enc/" not in v["path"]]


def options_of(text: str, **settings: Any) -> ProcessingOptions:
    grammar = OptionGrammar(**{"presets": GRAMMAR.presets, **settings})
    return grammar.parse(f"/{text}/plain/s3://b/k.png").options


def measured(options: ProcessingOptions) -> dict[str, Any]:
    """Return the options under the names that imgproxy's vectors have for them."""
    pipeline = options.pipelines[0]
    found: dict[str, Any] = {}
    for struct in (pipeline, options):
        for name in struct.__struct_fields__:
            value = getattr(struct, name)
            if value != getattr(type(struct)(), name) and name != "pipelines":
                found[{"min_width": "min-width", "min_height": "min-height"}.get(name, name)] = value
    nested = {"extend": "enabled gravity", "gravity": "type x y", "watermark": "opacity position x y scale"}
    nested |= {"trim": "threshold color", "padding": "top right bottom left", "crop": "width height"}
    for name, fields in nested.items():
        value = found.pop(name, None)
        for field in fields.split() if value else ():
            part = getattr(value, field)
            key = f"{name}.{ {'x': 'x_offset', 'y': 'y_offset'}.get(field, field) }"
            if field == "gravity":
                if part != Gravity():
                    found |= {f"{key}.type": part.type, f"{key}.x_offset": part.x, f"{key}.y_offset": part.y}
            elif part != getattr(type(value)(), field) or field == "type":
                found[key] = part
    flips = {f"flip.{side}": found.pop(f"flip_{side}", None) for side in ("horizontal", "vertical")}
    found |= {f"format_quality.{name}": quality for name, quality in found.pop("format_quality", ())}
    return found | {name: True for name, value in flips.items() if value}


def expected(vector: dict[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in vector.get("options", {}).items() if name != "used_presets"}
    for name, value in found.items():
        if isinstance(value, dict):
            found[name] = (value["R"], value["G"], value["B"])
    if "filename" in found:  # imgproxy leaves it percent-encoded
        found["filename"] = found["filename"].replace("%20", " ")
    defaults = {"strip_metadata": True, "quality": 0, "watermark.position": "ce"}
    return {name: value for name, value in found.items() if defaults.get(name) != value or name not in defaults}


@pytest.mark.parametrize("vector", GOOD, ids=lambda v: v["path"])
def test_address_is_read_as_imgproxy_reads_it(vector: dict[str, Any]) -> None:
    request = GRAMMAR.parse(repaired(vector["path"]))
    assert request.source == vector["source_url"]
    assert measured(request.options) == expected(vector)


@pytest.mark.parametrize("vector", BAD, ids=lambda v: v["path"])
def test_bad_address_is_refused_and_the_option_named(vector: dict[str, Any]) -> None:
    with pytest.raises(S3ImgError) as caught:
        GRAMMAR.parse(repaired(vector["path"]))
    assert 400 <= caught.value.status < 500
    if isinstance(caught.value, TransformError):
        name = vector["path"].split("/")[1].partition(":")[0]
        assert name in str(caught.value) or "extension" in str(caught.value)


@pytest.mark.parametrize("name", [*PIPELINE_OPTIONS, *OUTPUT_OPTIONS])
def test_short_names_mean_the_same(name: str) -> None:
    arguments = {
        "resize": "fill:3:4:1",
        "size": "3:4",
        "resizing_type": "auto",
        "gravity": "noea:1:2",
        "crop": "0.5:4:so",
        "trim": "10:fff:1:1",
        "padding": "1:2",
        "rotate": "90",
        "flip": "1:1",
        "background": "1:2:3",
        "watermark": "0.5:re:3:4:0.2",
        "extend": "1:no:3:4",
        "extend_aspect_ratio": "1",
        "watermark_url": "YS5wbmc",
        "hashsum": f"md5:{'0a' * 16}",
        "fallback_image_url": "YS5wbmc",
        "resizing_algorithm": "cubic",
        "pages": "3",
        "style": "cmVjdHtmaWxsOnJlZH0",
        "color_profile": "Display%20P3",
        "bypass_cache": "0",
        "cache_tags": "a:b%3Ac",
        "autoquality": "dssim:0.01:50:90:0.001",
        "png_options": "0:1:16",
        "webp_options": "lossless",
        "avif_options": "off",
        "watermark_text": "QWRh",
        "watermark_size": "20:30",
        "watermark_rotate": "-45.5",
        "unsharp_masking": "always:2:30",
        "blur_areas": "3:0:0.1:0.5:0.5",
        "progressive_blur": "3:left:0.2:0.8",
        "auto_rotate": "0",
        "strip_metadata": "0",
        "keep_copyright": "0",
        "strip_color_profile": "0",
        "format_quality": "webp:3:avif:4",
        "format": "webp",
        "skip_processing": "gif:png",
        "filename": "YS9i:1",
        "expires": "99",
        "adjust": "10:1.5:2",
        "brightness": "-20",
        "contrast": "1.5",
        "saturation": "0",
        "background_alpha": "0.5",
        "monochrome": "0.5:ff0000",
        "duotone": "0.5:001122:ffeecc",
        "colorize": "0.5:00ff00:1",
        "gradient": "0.5:00f:left:0.2:0.8",
        "crop_aspect_ratio": "1.5:1",
    }
    allowed = {"allow_security_options": True}
    long = options_of(f"{name}:{arguments.get(name, '1')}", **allowed)
    for spelling in (one for one, long_name in LONG_NAMES.items() if long_name == name):
        assert options_of(f"{spelling}:{arguments.get(name, '1')}", **allowed) == long
    assert options_of(str(long) or "w:0", **allowed) == long


def test_later_options_win_and_what_is_left_out_stays() -> None:
    assert options_of("rs:fill:30:40:1/w:50").pipelines[0] == Pipeline(
        resizing_type="fill", width=50, height=40, enlarge=True
    )
    assert options_of("g:no:3:4/g:so").pipelines[0].gravity == Gravity("so", 3, 4)
    assert options_of("g:no:3:4/g:sm").pipelines[0].gravity == Gravity("sm")


def test_presets_nest_and_one_within_itself_is_passed_over() -> None:
    assert options_of("pr:outer").pipelines[0] == Pipeline(resizing_type="fill", width=64, height=9)
    assert options_of("pr:loop").pipelines[0].width == 7


def test_preset_called_default_comes_before_everything() -> None:
    presets = {"default": "w:7/h:8"}
    assert options_of("h:9", presets=presets).pipelines[0] == Pipeline(width=7, height=9)


def test_presets_alone_are_the_first_segment() -> None:
    grammar = OptionGrammar(presets=GRAMMAR.presets, only_presets=True)
    request = grammar.parse("/thumb:outer/plain/s3://b/k.png")
    assert request.presets_only
    assert request.options.pipelines[0].height == 9
    with pytest.raises(TransformError, match="w"):
        grammar.parse("/w:3/plain/s3://b/k.png")


def test_option_that_is_not_allowed_is_named_but_presets_may_have_it() -> None:
    allowed = frozenset({"preset", "width"})
    assert options_of("w:3/pr:thumb", allowed_options=allowed).quality == 60
    with pytest.raises(TransformError, match=r"^h: "):
        options_of("h:3", allowed_options=allowed)


@pytest.mark.parametrize("option", ["msr:1", "msfs:1", "maf:1", "mafr:1", "mrd:1"])
def test_limits_are_set_by_addresses_where_that_is_allowed_only(option: str) -> None:
    assert str(options_of(option, allow_security_options=True)) == option
    with pytest.raises(TransformError, match=option.partition(":")[0]):
        options_of(option)


@pytest.mark.parametrize(
    "option", ["crop_objects:face", "c_obj:1", "co:face", "vts:3", "dd:1", "g:obj:face", "c:9:9:objw:face:2"]
)
def test_option_that_needs_a_model_or_video_is_named(option: str) -> None:
    with pytest.raises(TransformError, match=option.partition(":")[0]):
        options_of(option)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("/plain/s3:/b/k.png", "s3://b/k.png"),
        ("/w%3A3/plain/local:/k.png", "local:///k.png"),
        ("//aHR0cDovL2V4/YW1wbGU", "http://example"),
        ("/plain/s3://b/a%2540b%3Fc.png", "s3://b/a%40b?c.png"),
    ],
)
def test_source_is_read_whatever_proxies_did_to_it(path: str, source: str) -> None:
    assert GRAMMAR.parse(repaired(path)).source == source


def test_file_name_behind_a_source_in_base64_is_dropped() -> None:
    grammar = OptionGrammar(base64_url_includes_filename=True)
    assert grammar.parse("/w:3/czM6Ly9i/L2sucG5n/cat.png").source == "s3://b/k.png"


def test_base_url_and_replacements_complete_a_source() -> None:
    replaced = ((re.compile("^shop://([^/]*)"), r"s3://b/shop/\g<1>"),)
    grammar = OptionGrammar(base_url="s3://b/", url_replacements=replaced)
    assert grammar.parse("/plain/k.png").source == "s3://b/k.png"
    assert grammar.parse("/plain/shop://k.png").source == "s3://b/shop/k.png"
    assert grammar.parse("/plain/s3://b/k.png").source == "s3://b/k.png"


@pytest.mark.parametrize("path", ["/plain/a%zz", "/plain/%ff", "/w:1/$$$", "/a.b.c", "/fit/300/300/sm/0/aaaa", "/"])
def test_source_that_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(RequestError):
        GRAMMAR.parse(repaired(path))


_NAMES = st.sampled_from(sorted(LONG_NAMES))
_ARGUMENTS = st.one_of(
    st.integers(-5, 5000).map(str),
    st.floats(-10, 10).map(str),
    st.sampled_from(["", "1", "t", "sm", "fp", "re", "soea", "fill", "ff0000", "1e300", "-", "💥", "%00", *FORMATS]),
    st.text(st.characters(exclude_characters="/:"), max_size=12),
)
_OPTIONS = st.builds(lambda name, args: ":".join([name, *args]), _NAMES, st.lists(_ARGUMENTS, max_size=9))


@given(st.lists(_OPTIONS, max_size=4), st.sampled_from(["plain/s3://b/k", "czM6Ly9iL2s", "enc/ab", "", "plain/%"]))
def test_any_address_is_read_or_refused_and_what_is_read_is_written_again(options: list[str], source: str) -> None:
    grammar = OptionGrammar(presets=GRAMMAR.presets, allow_security_options=True)
    try:
        found = grammar.parse(repaired("/".join(["", *options, source]))).options
    except S3ImgError as error:
        assert 400 <= error.status < 500  # noqa: PT017 - either is right
        return
    written = str(found)
    again = grammar.parse("/".join(["", *([written] if written else []), "plain/x"])).options
    assert again.pipelines == found.pipelines
    assert str(again) == str(found)


@pytest.mark.parametrize(
    "option",
    [
        "hs:crc:00", "hs:md5", "hs:md5:xyz", "hs:md5:00:00", "hs:md5:" + "0" * 31, "ct:a%0Ab", "ct:a%2Cb", "ct:a%20b", "ct:%C3%A9",
        "ct:" + "a" * 1025, "fiu:%3F", "pg:-1", "pg:x", "aq:psnr", "aq:dssim:-1", "aq:size:1:0:101", "jpgo:1:1:1:1:1:9",
        "pngo:0:1:1", "pngo:0:1:257", "webpo:best", "webpo:lossy:1:text:1", "avifo:maybe", "ra:lanczos4", "pgs:0", "pgs:1001",
        "st:" + "a" * 9000, "cp:..%2Fetc", "cp:a%2Fb", "bc:1", "hs:md5:" + "0" * 32 + "/raw:1",
    ],
)  # fmt: skip
def test_option_of_pro_with_a_bad_argument_is_named(option: str) -> None:
    with pytest.raises(TransformError) as caught:
        options_of(option)
    name = option.partition(":")[0]
    assert str(caught.value).startswith((f"{name}:", "hashsum:"))


def test_arguments_that_are_left_out_stay_as_a_preset_has_them() -> None:
    presets = {"red": "mc:1:ff0000/gr:0.5:0f0:left/aq:dssim:0.01:50"}
    found = options_of("pr:red/mc:0.5/gr:1/aq:size", presets=presets)
    assert (found.pipelines[0].monochrome.opacity, found.pipelines[0].monochrome.color) == (0.5, (255, 0, 0))
    assert (found.pipelines[0].gradient.color, found.pipelines[0].gradient.angle) == ((0, 255, 0), 90)
    assert (found.auto_quality.method, found.auto_quality.target, found.auto_quality.least) == ("size", 0.01, 50)


def test_watermark_has_two_more_arguments_that_mean_nothing() -> None:
    assert options_of("wm:0.5:re:3:4:0.2:0.3:90") == options_of("wm:0.5:re:3:4:0.2")
    with pytest.raises(TransformError, match="8 arguments"):
        options_of("wm:0.5:re:3:4:0.2:0.3:90:1")


def test_best_format_is_the_one_that_the_client_takes() -> None:
    assert options_of("f:png/f:best").format == ""
    assert GRAMMAR.parse("/f:png/plain/s3://b/k.png@best").options.format == ""


def test_style_may_be_written_as_it_is() -> None:
    css = "rect{fill:red;stroke:#00f}"
    assert options_of("st:rect%7Bfill:red;stroke:%2300f%7D").style == css
    assert options_of("stl:rect{fill:red;stroke:%2300f}").style == css


def test_pipelines_are_counted_but_not_those_of_presets() -> None:
    presets = {"two": "w:9/-/w:8"}
    assert len(options_of("w:3/-/pr:two", presets=presets, max_chained_pipelines=2).pipelines) == 3
    with pytest.raises(TransformError, match=r"^-: 3 pipelines"):
        options_of("w:3/-/w:2/-/w:1", max_chained_pipelines=2)
