"""Layers of pictures and texts in a site: their files are files of the site, and part of what a variant is."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from publishing import Publisher, fetch
from sites import photo

from s3img import Config, Images

if TYPE_CHECKING:
    from s3_servers import TestBucket
    from sites import Site

    from s3img.publish.result import PublishResult

WITH_LOGO = '<img src="cat.jpg" alt="" data-s3img="w-300:l-image,i-brand@@logo.png,w-60,h-30,lx-0,ly-0,l-end">'
FONT = Path(__file__).parents[2] / "s3img/imaging/fonts/open-sans-latin-700-normal.woff2"


def publish(site: Site, cache_dir: str, **settings: object) -> PublishResult:
    values = {"widths": (160, 300), "formats": ("webp",), "cache_dir": cache_dir, **settings}
    return Images(Config(**values)).publish(site.root)  # type: ignore[arg-type]


def block(color: str, size: tuple[int, int] = (40, 20)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def widest(site: Site) -> tuple[str, Image.Image]:
    """Return the path and the pixels of what the page's ``src`` shows."""
    path = re.search(r'<img src="([^"]+)"', site.text("index.html"))
    assert path
    return path[1], Image.open(io.BytesIO((site.root / path[1]).read_bytes())).convert("RGB")


@pytest.fixture(scope="session")
def cat() -> bytes:
    return photo(640, 420)


@pytest.fixture
def logo_site(site: Site, cat: bytes) -> Site:
    site.add("cat.jpg", cat)
    site.add("brand/logo.png", block("red"))
    site.page("index.html", WITH_LOGO)
    return site


def test_layer_of_a_file_of_the_site_is_in_every_variant(logo_site: Site, cache_dir: str) -> None:
    result = publish(logo_site, cache_dir)
    path, picture = widest(logo_site)
    assert (result.problems, picture.size) == ((), (300, 197))
    red, green, blue = picture.getpixel((30, 15))  # type: ignore[misc]
    assert red > 200
    assert max(green, blue) < 60
    assert ".w-300_layers_w-300." in path


def test_changed_logo_is_another_key(logo_site: Site, cache_dir: str) -> None:
    publish(logo_site, cache_dir)
    before, _ = widest(logo_site)
    logo_site.add("brand/logo.png", block("blue"))
    logo_site.page("index.html", WITH_LOGO)
    publish(logo_site, cache_dir)
    after, picture = widest(logo_site)
    red, green, blue = picture.getpixel((30, 15))  # type: ignore[misc]
    assert before != after
    assert blue > 200
    assert max(red, green) < 60


def test_preset_and_rule_have_layers(logo_site: Site, cache_dir: str) -> None:
    logo_site.page("index.html", '<img src="cat.jpg" alt="">')
    rules = [{"match": "*.jpg", "s3img": "n-branded"}]
    publish(logo_site, cache_dir, rules=rules, presets={"branded": "l-image,i-brand@@logo.png,lx-0,ly-0,l-end"})
    assert ".layers_w-300." in widest(logo_site)[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "brand@@lgo.png",
            "layer 'brand/lgo.png': image 'brand/lgo.png' does not exist: did you mean 'brand/logo.png'",
        ),
        ("notes.png", "layer 'notes.png': image 'notes.png' can't be used."),
    ],
)
def test_missing_layer_leaves_the_picture_and_names_it(
    logo_site: Site, cache_dir: str, name: str, message: str
) -> None:
    logo_site.add("notes.png", "not a picture")
    body = WITH_LOGO.replace("brand@@logo.png", name)
    logo_site.page("index.html", body)
    before = logo_site.text("index.html")
    result = publish(logo_site, cache_dir)
    problem = next(problem for problem in result.problems if problem.code == "missing-layer")
    assert message in problem.message
    assert problem.line == 3
    assert logo_site.text("index.html") == before


def test_missing_layer_fails_a_strict_run(logo_site: Site, cache_dir: str) -> None:
    (logo_site.root / "brand/logo.png").unlink()
    assert publish(logo_site, cache_dir, missing="error").exit_code == 1


def test_damaged_layer_is_a_problem_of_its_picture(logo_site: Site, cache_dir: str) -> None:
    logo_site.add("brand/logo.png", block("red", (400, 400))[:200])
    (problem,) = publish(logo_site, cache_dir).problems
    assert (problem.page, problem.code) == ("cat.jpg", "bad-image")
    assert "Layer 'brand/logo.png'" in problem.message
    assert "<picture" not in logo_site.text("index.html")


def test_font_of_the_site_sets_a_text(site: Site, cache_dir: str, cat: bytes) -> None:
    site.add("cat.jpg", cat)
    site.add("fonts/My.woff2", FONT.read_bytes())
    text = "l-text,i-Hello,ff-fonts@@My.woff2,fs-120,co-red,bg-white,l-end"
    site.page("index.html", f'<img src="cat.jpg" alt="" data-s3img="{text}">')
    assert publish(site, cache_dir).problems == ()
    _, picture = widest(site)
    assert picture.getpixel((150, 98)) != Image.open(io.BytesIO(cat)).resize((300, 197)).getpixel((150, 98))
    site.page("index.html", f'<img src="cat.jpg" alt="" data-s3img="{text.replace("My", "Other")}">')
    (problem,) = publish(site, cache_dir).problems
    assert problem.message.startswith("font 'fonts/Other.woff2' of a layer: did you mean 'fonts/My.woff2'?")


def test_placeholder_shows_the_layer(logo_site: Site, cache_dir: str) -> None:
    logo_site.page("index.html", WITH_LOGO.replace("alt=", 'data-s3img-placeholder="lqip" alt='))
    publish(logo_site, cache_dir)
    first = re.search(r"base64,[^)]+", logo_site.text("index.html"))
    logo_site.add("brand/logo.png", block("blue"))
    logo_site.page("index.html", WITH_LOGO.replace("alt=", 'data-s3img-placeholder="lqip" alt='))
    publish(logo_site, cache_dir)
    second = re.search(r"base64,[^)]+", logo_site.text("index.html"))
    assert first
    assert second
    assert first[0] != second[0]


def test_layer_stays_on_disk_where_images_are_removed(logo_site: Site, cache_dir: str, moto_bucket: TestBucket) -> None:
    logo_site.page("index.html", f'{WITH_LOGO}<img src="brand/logo.png" alt="">')
    publisher = Publisher(moto_bucket, cache_dir, remove_local=True)
    assert publisher(logo_site).exit_code == 0
    left = {path.name for path in logo_site.root.rglob("*") if path.is_file()}
    assert ("logo.png" in left, "cat.jpg" in left) == (True, False)
    urls = [url for url in publisher.urls(logo_site) if "layers" in url and url.endswith(".jpg")]
    assert fetch(urls[0])[1]["content-type"] == "image/jpeg"


def test_focus_of_the_author_and_faces_are_part_of_a_key(site: Site, cache_dir: str, cat: bytes) -> None:
    def key(words: str) -> str:
        site.add("cat.jpg", cat)
        site.page("index.html", f'<img src="cat.jpg" alt="" {words}>')
        assert publish(site, cache_dir).problems == ()
        return widest(site)[0]

    square = 'data-s3img="w-100,h-100{}"'
    plain, auto, face = (key(square.format(words)) for words in ("", ",fo-auto", ",fo-face"))
    boxes = [key(square.format("") + f' data-s3img-focus="{left},0,9,9"') for left in (0, 600)]
    assert auto.split(".")[1] == face.split(".")[1]  # no detector is installed
    assert len({plain, auto, *boxes}) == 4


def test_face_is_looked_for_once_and_its_box_is_part_of_the_key(
    site: Site, cache_dir: str, cat: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    (tmp_path / "nose_finder.py").write_text(
        "def find(picture):\n"
        f"    with open({str(calls)!r}, 'a') as file:\n"
        "        file.write('x')\n"
        "    return [(0, 0, picture.width / 8, picture.height / 4)]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    site.add("cat.jpg", cat)
    detectors = {"face": "nose_finder:find"}
    sizes = set()
    for words in ("w-100,h-100,fo-face", "fo-face"):
        site.page("index.html", f'<img src="cat.jpg" alt="" data-s3img="{words}">')
        assert publish(site, cache_dir, focus_detectors=detectors).problems == ()
        sizes.add(re.search(r'width="(\d+)" height="(\d+)"', site.text("index.html")).groups())
    assert sizes == {("100", "100"), ("160", "210")}  # twice the face
    assert calls.read_text() == "x"
    site.page("index.html", '<img src="cat.jpg" alt="" data-s3img="w-90,h-90,fo-face">')
    (problem,) = publish(site, cache_dir, focus_detectors={"face": "nothing_of_this:name"}).problems
    assert "can't be loaded" in problem.message
    assert "cat.jpg" in problem.message


def test_name_of_a_font_is_a_file_of_the_site(site: Site, cache_dir: str, cat: bytes) -> None:
    site.add("cat.jpg", cat)
    site.add("fonts/My.woff2", FONT.read_bytes())
    body = '<img src="cat.jpg" alt="" data-s3img="l-text,i-Hello,ff-Lato,fs-99,co-red,l-end">'
    site.page("index.html", body)
    (problem,) = publish(site, cache_dir).problems
    assert "The font 'Lato' has no file here" in problem.message
    site.page("index.html", body)
    assert publish(site, cache_dir, fonts={"Lato": "fonts/My.woff2"}).problems == ()
    assert ".layers_w-300." in widest(site)[0]
