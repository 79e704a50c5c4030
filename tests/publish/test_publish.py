"""The main job inside a site: no bucket, real images, real files."""

from __future__ import annotations

import io
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from sites import SVG, animation, drawing, photo

from s3img import Config, Images
from s3img.config.model import Quality
from s3img.publish.page_check import broken_references

if TYPE_CHECKING:
    from pathlib import Path

    from sites import Site

    from s3img.publish.result import PublishResult

FAST = {"widths": (160, 320), "formats": ("webp",)}


def publish(site: Site, cache_dir: str, **settings: object) -> PublishResult:
    return Images(Config(**{**FAST, "cache_dir": cache_dir, **settings})).publish(site.root)  # type: ignore[arg-type]


def image(file: Path) -> Image.Image:
    return Image.open(io.BytesIO(file.read_bytes()))


@pytest.fixture(scope="session")
def small_photo() -> bytes:
    return photo(640, 420)


def test_publish_writes_picture_with_variants(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("img/cat.jpg", small_photo)
    site.page("guide/index.html", '<p><img src="../img/cat.jpg" alt="A cat" title="x > y"></p>')
    result = publish(site, cache_dir)
    text = site.text("guide/index.html")
    assert re.search(
        r'<picture class="s3img"><source type="image/webp" srcset="\.\./assets/_s3img/img/cat\.[0-9a-f]{8}\.w-160\.webp 160w, '
        r'\.\./assets/_s3img/img/cat\.[0-9a-f]{8}\.w-320\.webp 320w" sizes="[^"]+">'
        r'<img src="\.\./assets/_s3img/img/cat\.[0-9a-f]{8}\.w-320\.jpg" alt="A cat" title="x > y" srcset="[^"]+ 160w, [^"]+ 320w" '
        r'sizes="\(min-width: 640px\) 640px, 100vw" width="640" height="420"></picture>',
        text,
    )
    assert (result.images, result.variants, result.pages_changed, result.exit_code) == (1, 4, 1, 0)
    assert broken_references(site.root)[0] == []


def test_publish_writes_all_default_formats(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.page("index.html", '<img src="cat.jpg" alt="">')
    publish(site, cache_dir, formats=("avif", "webp"))
    assert re.findall(r'type="([^"]+)"', site.text("index.html")) == ["image/avif", "image/webp"]
    for file in (site.root / "assets/_s3img").glob("*.avif"):
        assert image(file).format == "AVIF"


def test_publish_twice_changes_nothing(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.add("a.svg", SVG)
    site.page(
        "index.html", '<img src="cat.jpg" alt=""><img src="a.svg" alt="" data-s3img="off"><a href="cat.jpg">x</a>'
    )
    publish(site, cache_dir)
    before = site.snapshot()
    result = publish(site, cache_dir)
    assert site.snapshot() == before
    assert (result.pages_changed, result.rendered, result.uploaded) == (0, 0, 0)


def test_publish_twice_without_cache_changes_nothing(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.page("index.html", '<img src="cat.jpg" alt=""><img src="cat.jpg" alt="" data-s3img="off">')
    publish(site, cache_dir)
    before = site.snapshot()
    shutil.rmtree(cache_dir)
    assert publish(site, cache_dir).rendered == 0
    assert site.snapshot() == before


def test_rebuilt_site_renders_nothing_again(site: Site, cache_dir: str, small_photo: bytes) -> None:
    def build() -> None:
        shutil.rmtree(site.root)
        site.add("cat.jpg", small_photo)
        site.page("index.html", '<img src="cat.jpg" alt="">')

    build()
    publish(site, cache_dir)
    before = site.snapshot()
    build()
    result = publish(site, cache_dir)
    assert (result.rendered, result.pages_changed, site.snapshot()) == (0, 1, before)


def test_every_byte_outside_images_stays(site: Site, cache_dir: str, small_photo: bytes) -> None:
    odd = b"<!DOCTYPE html>\r\n<html><head></head><BODY  class=x\tid='y'><!-- <img src=cat.jpg> -->\xff\xfe\0<p>a<br/>"
    tail = b"<pre>&lt;img src=&quot;cat.jpg&quot;&gt;</pre><script>var s='<img src=\"cat.jpg\">'</script>"
    site.add("cat.jpg", small_photo)
    site.add("index.html", odd + b"<img src=cat.jpg alt=x>" + tail)
    publish(site, cache_dir)
    data = (site.root / "index.html").read_bytes()
    link = b'<link rel="stylesheet" href="assets/_s3img/s3img.css">'
    assert link in data
    data = data.replace(link, b"")
    assert data.startswith(odd + b"<picture")
    assert data.endswith(b"</picture>" + tail)


@pytest.mark.parametrize(
    "reference",
    ["https://example.com/cat.jpg", "//cdn/cat.jpg", "data:image/gif;base64,R0", "missing.jpg", "../../secret.jpg"],
)
def test_foreign_and_missing_references_stay(site: Site, cache_dir: str, reference: str) -> None:
    page = site.page("index.html", f'<img src="{reference}" alt="">')
    before = page.read_bytes()
    assert publish(site, cache_dir).exit_code == 0
    assert page.read_bytes() == before


def test_missing_image_is_named_with_page_line_and_neighbour(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("img/castle.jpg", small_photo)
    site.page("index.html", '\n\n <img src="img/caslte.jpg" alt="">')
    (problem,) = publish(site, cache_dir).problems
    assert str(problem) == "index.html:5:12: image 'img/caslte.jpg' does not exist: did you mean 'img/castle.jpg'?"
    assert problem.severity == "warning"


def test_missing_as_error_publishes_nothing(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.page("index.html", '<img src="cat.jpg" alt=""><img src="dog.jpg" alt="">')
    before = site.snapshot()
    result = publish(site, cache_dir, missing="error")
    assert (result.exit_code, result.problems[0].severity) == (1, "error")
    assert site.snapshot() == before


def test_missing_kept_is_silent(site: Site, cache_dir: str) -> None:
    site.page("index.html", '<img src="dog.jpg" alt="">')
    assert publish(site, cache_dir, missing="keep").problems == ()


def test_widths_never_exceed_the_source(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", photo(500, 300))
    site.page("index.html", '<img src="cat.jpg" alt="">')
    publish(site, cache_dir, widths=(320, 640, 1920))
    assert set(re.findall(r"(\d+)w", site.text("index.html"))) == {"320", "500"}


def test_near_equal_widths_collapse(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", photo(700, 300))
    site.page("index.html", '<img src="cat.jpg" alt="">')
    publish(site, cache_dir, widths=(320, 640, 1920))
    assert set(re.findall(r"(\d+)w", site.text("index.html"))) == {"320", "700"}


def test_format_that_loses_is_rendered_no_further_and_not_again(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.page("index.html", '<img src="cat.jpg" alt="">')
    fresh, settings = site.text("index.html"), {"formats": ("avif", "webp"), "quality": Quality(avif=100)}
    result = publish(site, cache_dir, **settings)
    assert (result.rendered, result.variants, result.dropped) == (5, 4, 2)  # the narrow AVIF shows that it loses
    site.add("index.html", fresh)
    again = publish(site, cache_dir, **settings)
    assert (again.rendered, again.variants, again.dropped, again.pages_changed) == (0, 4, 2, 1)


def test_variant_not_smaller_than_source_is_dropped(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", _poor_jpeg())
    site.page("index.html", '<img src="cat.jpg" alt="">')
    result = publish(site, cache_dir, formats=())
    assert 'src="cat.jpg"' in site.text("index.html")
    assert result.dropped >= 1


def _poor_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(photo(300, 200))).save(buffer, "JPEG", quality=3)
    return buffer.getvalue()


def test_svg_is_published_as_it_is(site: Site, cache_dir: str) -> None:
    site.add("a.svg", SVG)
    site.page("index.html", '<img src="a.svg" alt="">')
    publish(site, cache_dir)
    assert '<img src="a.svg" alt="" width="120" height="80" class="s3img-full">' in site.text("index.html")
    assert "<picture" not in site.text("index.html")


@pytest.mark.parametrize("size", [b"", b'width="100%" height="100%"', b'style="width:100%"'])
def test_svg_without_a_size_of_its_own_gets_none(site: Site, cache_dir: str, size: bytes) -> None:
    site.add("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" %s><path d="M0 0"/></svg>' % size)
    site.page("index.html", '<img src="a.svg" alt="">')
    publish(site, cache_dir)
    assert '<img src="a.svg" alt="">' in site.text("index.html")


@pytest.mark.parametrize(
    ("author", "size"),
    [
        ('src="a.jpg" srcset="s.jpg 1x, a.jpg 2x"', 'width="320" height="210"'),
        ('src="a.jpg" srcset="s.jpg 1x, s.jpg 2x"', ""),  # half as large on a sharper screen
        ('src="a.jpg" srcset="s.jpg"', 'width="320" height="210"'),
        ('src="s.jpg" srcset="a.jpg 2x"', 'width="320" height="210"'),
        ('src="a.jpg" srcset="https://e.com/b.jpg 1x, a.jpg 2x"', ""),
    ],
)
def test_dimensions_are_those_of_the_candidate_that_is_shown(
    site: Site, cache_dir: str, small_photo: bytes, author: str, size: str
) -> None:
    site.add("a.jpg", small_photo)
    site.add("s.jpg", photo(320, 210))
    site.page("index.html", f"<img {author} alt>")
    publish(site, cache_dir)
    tag = re.search("<img[^>]*>", site.text("index.html"))
    assert tag
    assert size in tag[0]
    assert ("width=" in tag[0]) == bool(size)


def test_art_directed_picture_keeps_its_size_in_a_small_window(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("a.jpg", small_photo)
    site.page("index.html", '<picture><source media="print" srcset="a.jpg"><img src="a.jpg" alt=""></picture>')
    publish(site, cache_dir)
    assert set(re.findall(r'sizes="([^"]*)"', site.text("index.html"))) == {"640px"}


def test_width_of_a_source_is_the_one_that_its_file_is_shown_at(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("a.jpg", small_photo)
    site.page(
        "index.html", '<picture><source media="print" srcset="a.jpg" width=160><img src="a.jpg" alt=""></picture>'
    )
    publish(site, cache_dir)
    found = re.search(r'<source media="print"[^>]*>', site.text("index.html"))
    assert found
    assert 'sizes="160px"' in found[0]
    assert re.findall(r"(\d+)w[,\"]", found[0]) == ["160", "320"]


def test_sources_in_newer_types_have_the_size_of_the_authors(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("a.jpg", small_photo)
    site.page(
        "index.html",
        '<picture><source media="print" srcset="a.jpg" width=160 height="90"><img src="a.jpg" alt="" width=50></picture>',
    )
    publish(site, cache_dir)
    sources = re.findall(r"<source[^>]*>", site.text("index.html"))
    of_print = [source for source in sources if 'media="print"' in source]
    assert len(of_print) > 1
    assert [re.findall(r'(width|height)="?(\d+)', source) for source in of_print] == [
        [("width", "160"), ("height", "90")]
    ] * len(of_print)
    assert not any("width" in source for source in sources if source not in of_print)


def test_a_page_with_a_missing_image_gets_no_source_twice(site: Site, cache_dir: str) -> None:
    """The GIF itself stays beside a WebP, and looks like one that nobody has seen to."""
    site.add("a.gif", animation(400, 300))
    site.page("index.html", '<img src="a.gif" alt=""><img src="gone.gif" alt=""><img src="a.gif" alt="" width="20">')
    publish(site, cache_dir, missing="keep")
    before = site.text("index.html")
    assert before.count("<source") == 2
    publish(site, cache_dir, missing="keep")
    assert site.text("index.html") == before


def test_animation_stays_animated(site: Site, cache_dir: str) -> None:
    site.add("a.gif", animation(400, 300))
    site.page("index.html", '<img src="a.gif" alt="">')
    publish(site, cache_dir, formats=("avif", "webp"))
    files = list((site.root / "assets/_s3img").glob("a.*.webp"))
    assert files
    assert {getattr(image(file), "n_frames", 1) for file in files} == {4}
    assert "image/avif" not in site.text("index.html")


def test_alpha_survives(site: Site, cache_dir: str) -> None:
    site.add("a.png", drawing(600, 400))
    site.page("index.html", '<img src="a.png" alt="">')
    publish(site, cache_dir)
    for file in (site.root / "assets/_s3img").glob("a.*.webp"):
        assert image(file).convert("RGBA").getpixel((0, 0))[3] == 0


def test_exif_orientation_counts_for_dimensions(site: Site, cache_dir: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    site.add("cat.jpg", photo(640, 420, exif=exif))
    site.page("index.html", '<img src="cat.jpg" alt="">')
    publish(site, cache_dir)
    assert 'width="420" height="640"' in site.text("index.html")
    sizes = {image(f).size for f in (site.root / "assets/_s3img").glob("cat.*.w-320.webp")}
    assert sizes == {(320, 488)}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('width="300"', 'width="300"'),
        ('height="210"', 'width="320"'),
        ('style="height: 3em"', 'style="height: 3em"'),
        ('width="50%"', 'width="50%"'),
        ('loading="eager"', 'loading="eager"'),
        ('sizes="50vw"', 'sizes="50vw"'),
        ('class="big"', 'class="big"'),
    ],
)
def test_authors_attributes_win(site: Site, cache_dir: str, small_photo: bytes, written: str, expected: str) -> None:
    site.add("cat.jpg", small_photo)
    site.page("index.html", f'<img src="cat.jpg" alt="" {written}>')
    publish(site, cache_dir)
    name = written.partition("=")[0]
    (tag,) = re.findall(r"<img [^>]*>", site.text("index.html"))
    assert expected in tag
    assert tag.count(f" {name}=") == 1


def test_only_the_first_content_image_is_eager(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.add("a.svg", SVG)
    site.page("index.html", '<img src="a.svg" alt=""><img src="cat.jpg" alt=""><img src="cat.jpg" alt="">')
    publish(site, cache_dir)
    images = re.findall(r"<img [^>]*>", site.text("index.html"))
    assert ["loading=" in image for image in images] == [False, False, True]
    assert 'sizes="auto, (min-width: 640px) 640px, 100vw"' in images[2]


def test_words_of_the_author_are_removed(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    words = [
        'data-s3img="off"',
        "data-s3img=url",
        'data-s3img="w-300,ar-1-1"',
        'data-s3img-widths="200"',
        "data-s3img-priority",
    ]
    site.page("index.html", "".join(f'<img src="cat.jpg" alt="" {word}>' for word in words))
    result = publish(site, cache_dir)
    text = site.text("index.html")
    assert (result.problems, "data-s3img" in text) == ((), False)
    assert text.count("<picture") == 3
    assert 'width="300" height="300"' in text
    assert 'fetchpriority="high"' in text


def test_unknown_word_is_reported(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.page("index.html", '<img src="cat.jpg" alt="" data-s3img-width="200">')
    (problem,) = publish(site, cache_dir).problems
    assert "did you mean data-s3img-widths" in problem.message


def test_region_that_is_off_stays(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    page = site.page("index.html", '<!-- s3img:off --><img src="cat.jpg" alt=""><!-- s3img:on -->')
    before = page.read_bytes()
    publish(site, cache_dir)
    assert page.read_bytes() == before


def test_picture_of_the_author_is_extended(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.add("dark.jpg", photo(640, 420, seed=7))
    site.page("index.html", '<picture><source media="(x)" srcset="dark.jpg"><img src="cat.jpg" alt=""></picture>')
    publish(site, cache_dir)
    text = site.text("index.html")
    assert text.count("<picture") == 1
    kinds = re.findall(r'<source (type="image/webp"|media)', text)
    assert kinds == ['type="image/webp"', "media", 'type="image/webp"']


def test_noscript_image_keeps_its_markup(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    page = site.page("index.html", '<noscript><img src="cat.jpg" alt=""></noscript>')
    before = page.read_bytes()
    publish(site, cache_dir)
    assert page.read_bytes() == before


def test_theme_fragment_stays_last(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.page("index.html", '<img src="cat.jpg#only-dark" alt="">')
    publish(site, cache_dir)
    assert re.search(r'src="[^"]+#only-dark"', site.text("index.html"))


def test_page_served_anywhere_keeps_root_relative_form(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("img/cat.jpg", small_photo)
    site.page("404.html", '<img src="/docs/img/cat.jpg" alt="">')
    publish(site, cache_dir, site_url="https://example.com/docs/")
    assert 'src="/docs/assets/_s3img/img/cat.' in site.text("404.html")
    assert 'href="/docs/assets/_s3img/s3img.css"' in site.text("404.html")


def test_page_without_head_gets_style_sheet_before_the_image(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    site.add("index.html", '<title>x</title><p><img src="cat.jpg" alt="">')
    publish(site, cache_dir)
    assert site.text("index.html").startswith(
        '<title>x</title><p><link rel="stylesheet" href="assets/_s3img/s3img.css"><picture'
    )


def test_dry_run_writes_nothing(site: Site, cache_dir: str, small_photo: bytes, tmp_path: Path) -> None:
    site.add("cat.jpg", small_photo)
    site.page("index.html", '<img src="cat.jpg" alt="">')
    before = site.snapshot()
    result = Images(Config(cache_dir=cache_dir)).publish(site.root, dry_run=True)
    assert (site.snapshot(), result.images, (tmp_path / "cache").exists()) == (before, 1, False)


def test_file_permissions_are_kept(site: Site, cache_dir: str, small_photo: bytes) -> None:
    site.add("cat.jpg", small_photo)
    page = site.page("index.html", '<img src="cat.jpg" alt="">')
    page.chmod(0o604)
    publish(site, cache_dir)
    assert page.stat().st_mode & 0o777 == 0o604
