"""How much markup images get where a page's own style sheets or scripts see what stands around them."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from sites import SVG, photo

from s3img import Config, Images
from s3img.pictures import style_check
from s3img.pictures.style_check import PageWords, StyleCheck, class_words, script_selectors, style_parts

if TYPE_CHECKING:
    from sites import Site

FAST = {"widths": (160, 320), "formats": ("avif", "webp")}


@pytest.fixture(scope="session")
def small_photo() -> bytes:
    return photo(640, 420)


def markup(site: Site, cache_dir: str, head: str, body: str, *, start: str = "", **settings: object) -> list[str]:
    """Publish a page and return what each image came to be, in the order of the page."""
    site.page("index.html", f"<head>{head}</head><body>{body}")
    site.add("index.html", site.text("index.html").replace("<html>", start or "<html>"))
    Images(Config(**{**FAST, "cache_dir": cache_dir, **settings})).publish(site.root)  # type: ignore[arg-type]
    found = re.findall(r'(<picture class="s3img[^>]*>(?:<source[^>]*>)+)?(<img[^>]*>)', site.text("index.html"))
    return [_kind(wrapper, tag) for wrapper, tag in found]


def _kind(wrapper: str, tag: str) -> str:
    if wrapper:
        return "picture"
    if "s3img-" in tag:
        return "img" if "srcset" in tag else "size"
    return "bare" if "srcset" in tag else "keep"


@pytest.mark.parametrize(
    ("css", "body", "kinds"),
    [
        (".card img{width:9px}", '<p class="card"><img src="cat.jpg">', ["picture"]),
        (".card>img{width:9px}", '<p class="card"><img src="cat.jpg"></p><img src="cat.jpg">', ["img", "picture"]),
        (".grid>*{width:9px}", '<div class="grid"><img src="cat.jpg"></div>', ["img"]),
        ("img+em{color:red}", '<p><img src="cat.jpg"><em>a</em></p><p><img src="cat.jpg"></p>', ["img", "picture"]),
        ("img~em{color:red}", '<p><img src="cat.jpg"><b>x</b><em>a</em></p>', ["img"]),
        (".a:has(> img){color:red}", '<p class="a"><img src="cat.jpg"></p>', ["img"]),
        ("li>:last-child{margin:0}", '<ul><li>x<img src="cat.jpg"></ul>', ["img"]),
        ("img:nth-of-type(2){margin:0}", '<p><img src="cat.jpg"><img src="cat.jpg"></p>', ["img", "img"]),
        (
            "img:only-child{margin:0}",
            '<p><img src="cat.jpg"></p><p><img src="cat.jpg">x<b></b></p>',
            ["img", "picture"],
        ),
        (".n img:not([width]){width:9px}", '<p class="n"><img src="cat.jpg"></p>', ["bare"]),
        ("img[srcset]{width:9px}", '<p><img src="cat.jpg"></p>', ["keep"]),
        ("@media (width>9px){.card>img:hover{width:9px}}", '<p class="card"><img src="cat.jpg">', ["img"]),
        (".card{color:red;>img{width:9px}}", '<p class="card"><img src="cat.jpg">', ["img"]),
        (".card{&>img{width:9px}}", '<p class="card"><img src="cat.jpg">', ["img"]),
        (".card>img::after{width:9px}", '<p class="card"><img src="cat.jpg">', ["img"]),
        (".card>img{width:9px", '<p class="card"><img src="cat.jpg">', ["img"]),
        (".other>img{width:9px}", '<p class="card"><img src="cat.jpg">', ["picture"]),
        ("p picture{float:right}", '<p><img src="cat.jpg">', ["img"]),
        ("p>img:made-up(x){width:9px}", '<p><img src="cat.jpg">', ["picture"]),
        (".card>img{width:9px}", '<p class="card"><img src="cat.jpg" data-s3img-markup="picture">', ["picture"]),
    ],
)
def test_markup_is_as_much_as_style_sheets_do_not_see(
    site: Site, cache_dir: str, small_photo: bytes, css: str, body: str, kinds: list[str]
) -> None:
    site.add("cat.jpg", small_photo)
    assert markup(site, cache_dir, f"<style>{css}</style>", body) == kinds


def test_style_sheets_are_read_with_their_imports(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.add("css/main.css", b"@import url(more/own.css);")
    site.add("css/more/own.css", b'@import "../main.css"; .card > img { width: 9px }')
    head = '<link rel="preload stylesheet" href="/css/main.css"><link rel="icon" href="none.css">'
    assert markup(site, cache_dir, head, '<p class="card"><img src="cat.jpg">') == ["img"]


def test_script_that_looks_around_images_keeps_them_unwrapped(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.add("row.js", b"for (const i of document.querySelectorAll('img')) i.parentElement.className = 'row'")
    assert markup(site, cache_dir, '<script src="row.js"></script>', '<p><img src="cat.jpg"></p>') == ["img"]


@pytest.mark.parametrize(
    ("text", "selectors", "looks_around"),
    [
        ("document.querySelectorAll('p > img')", {"p > img"}, False),
        ('$("img + em").hide()', {"img + em"}, False),
        ("e.innerHTML = '<img src=\"a>b\">'", set(), False),
        ("if (e.children[0].tagName === 'IMG') e.remove()", set(), True),
        ("menu.parentNode.hidden = true", set(), False),
        ("x.parentNode('img')" + " " * 60_000, set(), False),
    ],
)
def test_script_is_searched_for_selectors(text: str, selectors: set[str], looks_around: object) -> None:
    assert script_selectors(text) == (selectors, looks_around)


@pytest.mark.parametrize(
    ("setting", "attribute", "kind"),
    [("img", "", "img"), ("picture", "", "picture"), ("img", "auto", "picture"), ("auto", "img", "img")],
)
def test_markup_is_what_settings_and_author_ask_for(
    site: Site, cache_dir: str, small_photo: bytes, setting: str, attribute: str, kind: str
) -> None:
    site.add("cat.jpg", small_photo)
    body = f'<img src="cat.jpg"{attribute and f" data-s3img-markup={attribute}"}>'
    assert markup(site, cache_dir, "", body, markup=setting) == [kind]


def test_img_markup_renders_one_modern_format(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.page("index.html", '<img src="cat.jpg" alt="">')
    Images(Config(**FAST, cache_dir=cache_dir, markup="img")).publish(site.root)  # type: ignore[arg-type]
    assert {path.suffix for path in site.root.glob("assets/_s3img/*.*")} == {".webp", ".jpg", ".css", ".sha256"}
    assert re.search(
        r'<img src="[^"]+\.jpg" alt="" srcset="[^"]+\.webp 160w, [^"]+\.webp 320w"', site.text("index.html")
    )


def test_formats_that_no_page_can_use_are_not_rendered(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.add("dog.jpg", photo(640, 420, seed=5))
    site.page("index.html", '<p class="card"><img src="cat.jpg"></p><p><img src="dog.jpg"></p>')
    css = '<link rel="stylesheet" href="own.css">'
    site.add("own.css", b".card > img { width: 9px }")
    site.add("index.html", site.text("index.html").replace("</head>", f"{css}</head>"))
    result = Images(Config(**FAST, cache_dir=cache_dir)).publish(site.root)  # type: ignore[arg-type]
    made = {path.name.partition(".")[0] + path.suffix for path in site.root.glob("assets/_s3img/*.*")}
    assert {"cat.avif", "dog.avif", "cat.webp", "dog.webp"} & made == {"dog.avif", "cat.webp", "dog.webp"}
    assert result.rendered == len([*site.root.glob("assets/_s3img/*.w-*")]) + result.dropped


def test_image_that_gets_no_source_is_checked_again(site: Site, cache_dir: str, small_photo: bytes) -> None:
    """The survey expects a wrapper; without one, the class that the style sheet sees is on the image itself."""
    coarse = io.BytesIO()  # no other format makes it smaller
    Image.open(io.BytesIO(small_photo)).save(coarse, "JPEG", quality=3)
    site.add("coarse.jpg", coarse.getvalue())
    css = "<style>p > [class] { width: 9px }</style>"
    assert markup(site, cache_dir, css, '<p><img src="coarse.jpg"></p>', formats=("webp",), widths=(640,)) == ["keep"]
    assert markup(site, cache_dir, "", '<p><img src="coarse.jpg"></p>', formats=("webp",), widths=(640,)) == ["size"]


def test_transform_is_kept_where_style_sheets_see_every_attribute(
    site: Site, cache_dir: str, small_photo: bytes
) -> None:
    site.add("cat.jpg", small_photo)
    css = "<style>img[srcset] { width: 9px }</style>"
    assert markup(site, cache_dir, css, '<p><img src="cat.jpg" data-s3img="w-400,h-200"></p>') == ["keep"]
    assert re.search(r'<img src="assets/_s3img/cat\.[^"]+\.jpg">', site.text("index.html"))


def test_page_with_unwrapped_images_is_finished(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    markup(site, cache_dir, "<style>p>img{width:9px}</style>", '<p><img src="cat.jpg">')
    text = site.text("index.html")
    again = Images(Config(**FAST, cache_dir=cache_dir)).publish(site.root)  # type: ignore[arg-type]
    assert (again.pages_changed, site.text("index.html")) == (0, text)
    assert text.count("s3img.css") == 1


def test_image_without_variants_has_no_wrapper(site: Site, cache_dir: str) -> None:
    site.add("a.svg", SVG)
    site.page("index.html", '<img src="a.svg" alt="">')
    Images(Config(**FAST, cache_dir=cache_dir)).publish(site.root)  # type: ignore[arg-type]
    assert '<img src="a.svg" alt="" width="120" height="80" class="s3img-full">' in site.text("index.html")


def test_sheet_that_is_no_css_is_no_fault() -> None:
    check = StyleCheck(lambda *_: None)
    assert check._sheet("x", "}}}{{{ @media { p>img{ } @import ; \0 \\") == {":is(:is(:is(}}}) ) ) p>img"}


@pytest.mark.parametrize(
    "attribute",
    ["class=card", "CLASS='x card'", 'class = "card"', 'class="c&#97;rd"', 'id="a"class="card"', "class=card/"],
)
def test_class_is_found_in_each_spelling(attribute: str) -> None:
    assert b"card" in class_words(f"<p {attribute}><img src=a.jpg>".encode())


def test_neighbours_with_other_styles_are_not_mixed_up(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.add("a/own.css", b".card > img { width: 9px }")
    site.add("b/own.css", b".card { width: 9px }")
    body = '<p class="card"><img src="/cat.jpg"></p>'
    for name in ("a", "b"):
        site.page(f"{name}/1.html", f'<link rel="stylesheet" href="own.css">{body}')
    site.page("b/2.html", f"<STYLE>.card > img {{ width: 9px }}</STYLE>{body}")
    site.page("b/3.html", f'<base href="/a/"><link rel="stylesheet" href="own.css">{body}')
    site.page(
        "b/4.html", f'<base href="http://["><script src="x.js"></script><link rel="stylesheet" href="own.css">{body}'
    )
    result = Images(Config(cache_dir=cache_dir, **FAST)).publish(site.root)  # type: ignore[arg-type]
    wrapped = [name for name in ("a/1", "b/1", "b/2", "b/3", "b/4") if "<picture" in site.text(f"{name}.html")]
    assert wrapped == ["b/1"]
    assert [problem for problem in result.problems if problem.code == "unexpected"] == []


@pytest.mark.parametrize(
    ("page", "parts"),
    [
        (b"<p>no style", []),
        (b"<link rel=STYLESHEET href=a.css><p>x", [b"<link rel=STYLESHEET href=a.css>"]),
        (b"<link rel=canonical href=a.html><p>x", []),
        (b'<link rel="style&#115;heet" href=a.css>', [b'<link rel="style&#115;heet" href=a.css>']),
        (b"<style>a{}</style ><p>", [b"<style>a{}</style"]),
        (b"<script>'<link>'", [b"<script>'<link>'"]),
        (b"<link rel=stylesheet", [b"<link rel=stylesheet"]),
    ],
)
def test_style_parts_are_tags_and_raw_text(page: bytes, parts: list[bytes]) -> None:
    assert style_parts(page) == parts


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        ("style-src 'sha256-p0bF+un5yUb9MBO6xRb8kPHlY2BdpHVtLiFkDrZPF64='", "bare"),
        ("default-src 'none'; img-src *", "bare"),
        ("style-src 'self'; style-src-elem 'unsafe-inline'", "bare"),
        ("default-src 'none'; img-src *; style-src 'self'", "picture"),
        ("style-src-attr 'none'; img-src *", "picture"),
        ("style-src https:", "picture"),
    ],
)
def test_page_whose_policy_blocks_our_style_sheet_needs_none(
    site: Site, cache_dir: str, small_photo: bytes, policy: str, kind: str
) -> None:
    site.add("cat.jpg", small_photo)
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    assert markup(site, cache_dir, head, '<p><img src="cat.jpg"></p>', site_url="https://example.com/") == [kind]
    assert ("s3img.css" in site.text("index.html")) is (kind == "picture")


def test_policy_does_not_keep_what_the_author_asks_for(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    head = "<meta http-equiv=Content-Security-Policy content=\"style-src 'none'\">"
    assert markup(site, cache_dir, head, '<img src="cat.jpg" data-s3img-markup="picture">') == ["picture"]


@pytest.mark.parametrize(
    ("start", "kind"), [("<html lang=de ⚡>", "bare"), ("<html amp>", "bare"), ("<html data-amp>", "picture")]
)
def test_page_of_amp_gets_no_style_sheet(site: Site, cache_dir: str, small_photo: bytes, start: str, kind: str) -> None:
    site.add("cat.jpg", small_photo)
    assert markup(site, cache_dir, "", '<img src="cat.jpg">', start=start) == [kind]
    assert ("s3img.css" in site.text("index.html")) is (kind == "picture")


@pytest.mark.parametrize(
    ("selector", "kept"),
    [
        (".card > img, .grid > img", ".card > img"),
        (".card > img,.card > em", ".card > img"),
        ("picture > source, img + source[type]", "picture > source, img + source[type]"),
        (":is(.card, .grid) > img,.x", ":is(.card, .grid) > img"),
        ("[dir=rtl] > img,[dir=ltr] > img", "[dir=ltr] > img"),
        ("[DATA-A] > p,[data-b] > p", "[DATA-A] > p"),
        ('[data-a="],.x"] > p,.x', '[data-a="],.x"] > p'),
        (r"\p > img", r"\p > img"),
        ("ul > li", ""),
        ("p:not(ul) + P, TABLE > P", "p:not(ul) + P"),
    ],
)
def test_selectors_of_a_list_that_can_find_nothing_are_left_out(selector: str, kept: str) -> None:
    page = b"<html dir=ltr><P CLASS='card' data-a='],.x'><img src=a.jpg></P>"
    assert PageWords(page).possible([selector]) == ([kept] if kept else [])


def test_value_with_character_references_is_not_missed() -> None:
    page = b"<html dir='&#114;tl'><p><img src=a.jpg>"
    assert PageWords(page).possible(["[dir=rtl] > p"]) == ["[dir=rtl] > p"]


def test_style_sheet_is_parsed_once_for_all_builds(
    site: Site, cache_dir: str, small_photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("cat.jpg", small_photo)
    site.add("theme.css", b"@import 'other.css';")
    site.add("other.css", b"p > img { width: 9px }")
    page = '<link rel="stylesheet" href="theme.css"><p><img src="cat.jpg"></p>'
    images = Images(Config(**FAST, cache_dir=cache_dir))  # type: ignore[arg-type]
    site.page("index.html", page)
    images.publish(site.root)
    first = site.text("index.html")

    def parse(text: str) -> None:
        raise AssertionError(f"parsed again: {text}")

    monkeypatch.setattr(style_check, "parse_sheet", parse)
    site.page("index.html", page)
    images.publish(site.root)
    assert "<picture" not in first
    assert site.text("index.html") == first


@pytest.mark.parametrize(
    "bomb",
    [
        "img + p{" + "& &{" * 60 + "a:b" + "}" * 61,
        "img + p{" * 3000,
        "a" + ":is(" * 3000 + "b" + ")" * 3000 + "+ c{d:e}",
        "@media x{" * 3000,
    ],
    ids=["selectors that double", "rules in rules", "brackets", "groups"],
)
def test_style_sheet_that_is_nested_without_end_is_read_as_far_as_it_is_sensible(bomb: str) -> None:
    selectors, _ = style_check.parse_sheet(f"{bomb}")
    assert sum(map(len, selectors)) < 100_000
    first, _ = style_check.parse_sheet(f"figure > img {{x: y}} {bomb}")
    assert "figure > img" in first
