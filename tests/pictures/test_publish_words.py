"""What authors and rules say about single images: placeholders, and words by path."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from sites import SVG, Site, drawing, photo

from s3img import Config, Images
from s3img.config import Rule
from s3img.config.load import load
from s3img.errors import ConfigError
from s3img.pictures.directives import read

if TYPE_CHECKING:
    from pathlib import Path

    from s3img.publish.result import PublishResult

CAT = photo(640, 420)
FAST = {"widths": (160, 320), "formats": ("webp",)}


def publish(site: Site, cache_dir: str, **settings: object) -> PublishResult:
    return Images(Config(**{**FAST, "cache_dir": cache_dir, **settings})).publish(site.root)  # type: ignore[arg-type]


def style(site: Site) -> str:
    return "".join(re.findall(r'style="([^"]*)"', site.text("index.html")))


def test_color_shows_while_the_image_loads(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", CAT)
    site.page("index.html", '<img src="cat.jpg" alt="" data-s3img-placeholder="color">')
    assert publish(site, cache_dir).problems == ()
    assert re.fullmatch("background-color:#[0-9a-f]{6}", style(site))
    assert "data-s3img" not in site.text("index.html")


def test_tiny_picture_shows_while_the_image_loads(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", CAT)
    site.page("index.html", '<img src="cat.jpg" alt="" data-s3img-placeholder="lqip">')
    publish(site, cache_dir)
    found = re.fullmatch(r"background:url\(data:image/webp;base64,([\w+/=]+)\) center/cover no-repeat", style(site))
    assert found
    assert len(found[1]) < 600


def test_style_of_the_author_stays(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", CAT)
    site.page("index.html", '<img src="cat.jpg" alt="" style="border: 0; " data-s3img-placeholder="color">')
    publish(site, cache_dir)
    assert re.fullmatch("border: 0;background-color:#[0-9a-f]{6}", style(site))


@pytest.mark.parametrize(("name", "data"), [("a.svg", SVG), ("a.png", drawing(400, 300))])
def test_what_may_be_transparent_gets_no_placeholder(site: Site, cache_dir: str, name: str, data: bytes) -> None:
    site.add(name, data)
    site.page("index.html", f'<img src="{name}" alt="" data-s3img-placeholder="color">')
    assert publish(site, cache_dir).problems == ()
    assert (style(site), "data-s3img" in site.text("index.html")) == ("", False)


def _moving_webp() -> bytes:
    frames = [Image.new("RGB", (400, 300), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], duration=100)
    return buffer.getvalue()


def test_animation_gets_the_color_of_its_first_frame(site: Site, cache_dir: str) -> None:
    site.add("a.webp", _moving_webp())
    site.page("index.html", '<img src="a.webp" alt="" data-s3img-placeholder="lqip">')
    publish(site, cache_dir)
    assert style(site) == "background-color:#ff0000"


def test_rebuilt_site_gets_the_same_placeholders(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", CAT)
    page = '<img src="cat.jpg" alt="" data-s3img-placeholder="lqip">'
    site.page("index.html", page)
    publish(site, cache_dir)
    before = site.snapshot()
    site.page("index.html", page)
    assert publish(site, cache_dir).rendered == 0
    assert site.snapshot() == before


def test_unknown_placeholder_is_reported(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", CAT)
    site.page("index.html", '<img src="cat.jpg" alt="" data-s3img-placeholder="blur">')
    (problem,) = publish(site, cache_dir).problems
    assert "data-s3img-placeholder='blur': write one of none, color, lqip" in problem.message


RULES = [
    {"match": "img/**", "widths": [200], "placeholder": "color"},
    {"match": "img/icons/*", "layout": "fixed", "formats": ["webp"]},
    {"match": "**/logo.*", "s3img": "off"},
    {"match": "thumbs/?.jpg", "s3img": "w-100,ar-1-1"},
]


@pytest.mark.parametrize(
    ("path", "widths", "layout", "formats", "mode"),
    [
        ("img/cat.jpg", (200,), "constrained", (), "picture"),
        ("img/deep/er/cat.jpg", (200,), "constrained", (), "picture"),
        ("img/icons/cat.png", (200,), "fixed", ("webp",), "picture"),
        ("img/icons/deep/cat.png", (200,), "constrained", (), "picture"),
        ("logo.png", (), "constrained", (), "off"),
        ("img/logo.png", (), "constrained", (), "off"),
        ("other/img/cat.jpg", (), "constrained", (), "picture"),
        ("thumbs/ab.jpg", (), "constrained", (), "picture"),
    ],
)
def test_rules_go_by_path(path: str, widths: tuple[int, ...], layout: str, formats: tuple[str, ...], mode: str) -> None:
    said = read({}, Config(rules=RULES), path=path)  # type: ignore[arg-type]
    assert (said.request.widths, said.request.layout, said.request.formats, said.mode) == (
        widths,
        layout,
        formats,
        mode,
    )


def test_words_of_the_author_win_over_rules() -> None:
    config = Config(rules=RULES)  # type: ignore[arg-type]
    said = read({"data-s3img-widths": "300", "data-s3img-placeholder": "none"}, config, path="img/cat.jpg")
    assert (said.request.widths, said.placeholder) == ((300,), "none")
    assert read({"data-s3img": "url"}, config, path="logo.png").mode == "url"


def test_rules_are_applied_to_pages(site: Site, cache_dir: str) -> None:
    site.add("img/cat.jpg", CAT)
    site.add("img/logo.jpg", CAT)
    site.add("thumbs/a.jpg", CAT)
    site.page(
        "index.html", '<img src="img/cat.jpg" alt=""><img src="img/logo.jpg" alt=""><img src="thumbs/a.jpg" alt="">'
    )
    publish(site, cache_dir, rules=RULES)
    text = site.text("index.html")
    assert '<img src="img/logo.jpg" alt="">' in text
    assert set(re.findall(r" (\d+)w", text)) == {"200", "100"}
    assert 'width="100" height="100"' in text
    assert "background-color:#" in text


def test_source_elements_follow_rules(site: Site, cache_dir: str) -> None:
    site.add("img/cat.jpg", CAT)
    site.page("index.html", '<picture><source media="x" srcset="img/cat.jpg"><img src="img/cat.jpg" alt=""></picture>')
    publish(site, cache_dir, rules=[{"match": "img/**", "s3img": "off"}])
    assert '<source media="x" srcset="img/cat.jpg"><img src="img/cat.jpg" alt="">' in site.text("index.html")


def test_rules_are_read_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "s3img.toml").write_text('[[rules]]\nmatch = "a/**"\nlayout = "fixed"\n')
    assert load(folder=tmp_path, environ={}).rules == (Rule(match="a/**", layout="fixed"),)
    given = {"S3IMG_RULES": '[{"match": "b/*", "widths": [100]}]'}
    assert load(folder=tmp_path, environ=given).rules == (Rule(match="b/*", widths=(100,)),)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"match": ""}, "rules.1: match = '': write a path of the site"),
        ({"match": "/img/*"}, "rules.1: match = '/img/*'"),
        ({"match": "a", "widths": [0]}, "rules.1: widths: name px"),
        ({"match": "a", "s3img": "w-x"}, "rules.1: s3img: "),
        ({"match": "a", "layout": "wide"}, "rules: layout of entry 1: 'wide' is not a choice"),
        ({"match": "a", "width": 3}, "rules: entry 1: unknown setting width, did you mean widths?"),
        ({}, "rules: entry 1: match is missing"),
    ],
)
def test_bad_rule_is_refused(rule: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        Config(rules=[rule])  # type: ignore[arg-type, list-item]


def test_focus_is_what_crops_of_an_image_keep() -> None:
    def transform(settings: Config, **words: str) -> str:
        return str(
            read(
                {f"data-s3img{name}": value for name, value in words.items()}, settings, path="a.jpg"
            ).request.transform
        )

    usual = Config()
    assert transform(usual, **{"": "w-9,h-9", "-focus": "1,2,3,4"}) == "w-9,h-9,fo-custom_1_2_3_4"
    assert transform(usual, **{"": "w-9,h-9,fo-custom", "-focus": "1, 2, 3, 4"}) == "w-9,h-9,fo-custom_1_2_3_4"
    assert transform(usual, **{"": "w-9,h-9,fo-left", "-focus": "1,2,3,4"}) == "w-9,h-9,fo-left"
    assert transform(usual, **{"": "w-9", "-focus": "1,2,3,4"}) == "w-9"
    by_path = Config(rules=({"match": "*.jpg", "s3img": "ar-1-1", "focus": "1,2,3,4"},))  # type: ignore[arg-type]
    assert transform(by_path) == "ar-1-1,fo-custom_1_2_3_4"


def test_focus_that_is_not_a_box_is_a_fault() -> None:
    for text in ("left", "1,2,3", "1,2,0,4", ""):
        (fault,) = read({"data-s3img-focus": text}, Config()).faults
        assert "LEFT,TOP,WIDTH,HEIGHT" in fault
    with pytest.raises(ConfigError, match=r"rules\.1: focus = 'left'"):
        Config(rules=({"match": "*.jpg", "focus": "left"},))  # type: ignore[arg-type]
