"""Addresses and pictures from a lock alone: what a template asks for, and nothing asked of anybody."""

from __future__ import annotations

import html
import os
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sites import Site, photo

from s3img import Config, Images
from s3img.config import Quality
from s3img.errors import AssetError, ConfigError, LockError, TransformError
from s3img.lock import Lock, LockedVariants, LockEntry, VariantSettings, recipe, write_lock
from s3img.pictures.catalog import Catalog, CatalogFile
from s3img.signing import Signer

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = Config(public_url="https://img.example.com/app", widths=(320, 640), formats=("avif", "webp"))
BASE = "https://img.example.com/app"
SERVICE = {"service_url": "https://example.com/img", "signing_keys": "k:a-secret-of-some-length"}
ALL = (("avif", (320, 640)), ("webp", (320, 640)), ("jpeg", (320, 640)))


def settings(**changes: Any) -> Config:
    return Config(public_url=BASE, **{"widths": (320, 640), "formats": ("avif", "webp"), **changes})


def entry(path: str, *formats: tuple[str, tuple[int, ...]], config: Config = CONFIG, **facts: Any) -> LockEntry:
    values = {"sha256": "a" * 64, "size": 99_999, "width": 1000, "height": 500, "media_type": "image/jpeg"}
    variants = LockedVariants(recipe(config), formats) if formats else None
    return LockEntry(path, **{**values, **facts}, key=f"{path}.orig", variants=variants)


def catalog(*entries: LockEntry, config: Config = CONFIG) -> Catalog:
    return Catalog(Lock.of(entries, settings=VariantSettings.of(config)), config)


CAT = entry("static/cat.jpg", *ALL)
PLAIN = entry("static/plain.jpg")


def test_address_without_a_transform_is_the_originals() -> None:
    assert (
        catalog(entry("static/my cät,1.jpg")).url("static/my cät,1.jpg") == f"{BASE}/static/my%20c%C3%A4t%2C1.jpg.orig"
    )


@pytest.mark.parametrize(
    ("transform", "ext"),
    [
        ("w-320", "jpg"),
        ("w-320,f-jpeg", "jpg"),
        ("w-320,q-80", "jpg"),
        ("w-640,f-avif", "avif"),
        ("w-320,f-webp,q-82", "webp"),
    ],
)
def test_transform_that_is_a_variant_is_its_object(transform: str, ext: str) -> None:
    url = catalog(CAT).url("static/cat.jpg", transform)
    assert re.fullmatch(rf"{BASE}/static/cat\.[0-9a-f]{{8}}\.w-(320|640)\.{ext}", url)


@pytest.mark.parametrize(
    "transform", ["w-321", "w-320,q-50", "w-320,f-png", "w-320,rt-90", "h-320", "w-320:w-320,h-10"]
)
def test_other_transforms_are_the_services(transform: str) -> None:
    url = catalog(CAT, config=settings(**SERVICE)).url("static/cat.jpg", transform)
    target = url.removeprefix("https://example.com/img")
    assert target.startswith("/tr:")
    assert Signer.of(SERVICE["signing_keys"]).verify(target, now=0).expires == 0


def test_signed_address_may_expire() -> None:
    url = catalog(CAT, config=settings(**SERVICE)).url("static/cat.jpg", "w-111", expires=2_000_000_000)
    assert Signer.of(SERVICE["signing_keys"]).verify(url.removeprefix("https://example.com/img"), now=1).expires


def test_address_is_plain_without_keys() -> None:
    config = settings(service_url="https://example.com/img/")
    assert catalog(CAT, config=config).url("static/cat.jpg", "w-300,h-300") == (
        "https://example.com/img/tr:w-300,h-300/static/cat.jpg.orig"
    )


def test_transform_without_a_service_says_what_to_set() -> None:
    with pytest.raises(ConfigError, match=r"service_url: is needed for 'w-300'.* or take one of w-"):
        catalog(CAT).url("static/cat.jpg", "w-300")
    with pytest.raises(TransformError):
        catalog(CAT).url("static/cat.jpg", "nonsense")


@pytest.mark.parametrize(("name", "near"), [("static/cta.jpg", "static/cat.jpg"), ("Cat.JPG", "static/cat.jpg")])
def test_unknown_name_is_an_error_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(AssetError, match=f"Did you mean '{near}'") as caught:
        catalog(CAT).url(name)
    assert caught.value.path == name


def test_catalog_needs_to_know_where_images_are() -> None:
    with pytest.raises(ConfigError, match="bucket: is needed"):
        Catalog(Lock(), Config())


@pytest.mark.slow
def test_picture_is_the_one_that_publishing_writes(tmp_path: Path, cache_dir: str) -> None:
    """Golden: the same image through ``sync --variants`` and a template, and through ``publish`` of a built site."""
    site = Site(tmp_path / "site")
    site.add("static/cat.jpg", photo(700, 500))
    site.page("index.html", '<img src="static/first.jpg" alt=""><img src="static/cat.jpg" alt="A &quot;cat&quot;">')
    site.add("static/first.jpg", photo(700, 500, seed=2))
    config = settings(bucket=(tmp_path / "store").as_uri(), cache_dir=cache_dir, variants=True)
    images = Images(config, environ={})
    images.sync(site.root / "static", lock=site.root / "s3img.lock")
    made = images.picture("static/cat.jpg", alt='A "cat"', lock=site.root / "s3img.lock").html()
    images.publish(site.root)
    published = re.findall(r"<picture.*?</picture>", site.text("index.html"), re.DOTALL)[1]
    assert _attributes(made) == _attributes(published)


def _attributes(markup: str) -> list[set[tuple[str, str]]]:
    return [
        {(name, html.unescape(value)) for name, value in re.findall(r'([a-z]+)="([^"]*)"', tag)}
        for tag in re.findall(r"<[^>]+>", markup)
    ]


def test_picture_has_its_parts() -> None:
    picture = catalog(CAT).picture("static/cat.jpg", alt="")
    assert picture.url.endswith("w-640.jpg")
    assert picture.size == (1000, 500)
    assert picture.srcset().count("w, ") == 1
    assert picture.srcset("avif").split()[1::2] == ["320w,", "640w"]
    assert picture.srcset("png") == ""
    assert picture.sizes == "auto, (min-width: 1000px) 1000px, 100vw"
    assert picture.html() == str(picture) == picture.__html__()


@pytest.mark.parametrize(
    ("options", "widths"),
    [
        ({"width": 150}, ["320w"]),
        ({"width": 200}, ["320w,", "640w"]),
        ({"widths": [100]}, ["320w"]),
        ({"widths": [400, 5000]}, ["640w"]),
        ({"layout": "none"}, ["640w"]),
        ({"layout": "fixed", "width": 320}, ["1x,", "2x"]),
        ({"layout": "full"}, ["320w,", "640w"]),
    ],
)
def test_request_takes_the_nearest_that_is_there(options: dict[str, Any], widths: list[str]) -> None:
    picture = catalog(CAT).picture("static/cat.jpg", alt="", **options)
    assert picture.srcset("webp").split()[1::2] == widths


def test_formats_may_be_fewer() -> None:
    picture = catalog(CAT).picture("static/cat.jpg", alt="", formats=["webp"])
    assert (picture.srcset("avif"), picture.srcset("webp") != "") == ("", True)


def test_original_is_the_widest_where_its_rendering_was_larger() -> None:
    picture = catalog(entry("a.jpg", ("webp", (320, 640)), ("jpeg", (320,)))).picture("a.jpg", alt="")
    assert picture.url == f"{BASE}/a.jpg.orig"
    assert picture.srcset() == f"{picture.srcset().partition(' ')[0]} 320w, {BASE}/a.jpg.orig 1000w"


@pytest.mark.parametrize("config", [settings(quality=Quality(avif=1)), settings(key_template="{{hash}}.{{ext}}")])
def test_renderings_of_other_settings_are_not_shown(config: Config) -> None:
    lock = Lock.of([CAT], settings=VariantSettings.of(CONFIG))
    picture = Catalog(lock, config).picture("static/cat.jpg", alt="")
    assert (picture.url, picture.srcset("avif")) == (f"{BASE}/static/cat.jpg.orig", "")
    assert picture.size == (1000, 500)


def test_image_without_variants_comes_from_the_service() -> None:
    picture = catalog(PLAIN, config=settings(**SERVICE)).picture("static/plain.jpg", alt="")
    candidates = picture.srcset("avif").split()[::2]
    assert len(candidates) == 2
    for url in [*candidates, picture.url]:
        assert "," not in url
        assert Signer.of(SERVICE["signing_keys"]).verify(url.removeprefix("https://example.com/img"), now=0)


def test_transform_of_a_picture_is_the_services() -> None:
    picture = catalog(CAT, config=settings(**SERVICE)).picture("static/cat.jpg", alt="", transform="ar-1-1,w-400")
    assert picture.size == (400, 400)
    assert all(urlsplit(url).netloc == "example.com" for url in picture.srcset("webp").split()[::2])
    with pytest.raises(ConfigError, match="service_url"):
        catalog(CAT).picture("static/cat.jpg", alt="", transform="ar-1-1,w-400")


@pytest.mark.parametrize(
    "options",
    [{"layout": "wide"}, {"widths": [0]}, {"widths": ["x"]}, {"formats": ["jxl"]}, {"attributes": {"on x": ""}}],
)
def test_request_that_means_nothing_is_an_error(options: dict[str, Any]) -> None:
    with pytest.raises((ConfigError, AssetError)):
        catalog(CAT).picture("static/cat.jpg", alt="", **options)


TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))


@given(alt=TEXTS, class_=TEXTS, title=TEXTS)
def test_any_text_stays_inside_its_attribute(alt: str, class_: str, title: str) -> None:
    markup = catalog(CAT).picture("static/cat.jpg", alt=alt, class_=class_, attributes={"title": title}).html()
    image = re.search(r"<img[^<>]*>", markup)
    assert image is not None
    found = dict(re.findall(r' ([a-z]+)="([^"]*)"', image[0]))
    assert html.unescape(found["alt"]) == alt or "\r" in alt
    assert markup.count("<") == 5


def test_thousand_pictures_ask_nobody_and_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [entry(f"static/{number}.jpg", *ALL, sha256=f"{number:064x}") for number in range(1000)]
    found = catalog(*entries)
    for name in ("socket", "create_connection"):
        monkeypatch.setattr(socket, name, _refuse)
    started = time.process_time()
    made = [found.picture(e.path, alt="").html() for e in entries]
    assert (len({*made}), time.process_time() - started < 5) == (1000, True)


def _refuse(*arguments: Any, **options: Any) -> None:
    raise AssertionError("a page asked the network")


def test_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "s3img.lock"
    write_lock(path, Lock.of([PLAIN]))
    file = CatalogFile(path, CONFIG)
    first = file.current()
    assert file.current() is first
    write_lock(path, Lock.of([PLAIN, CAT]))
    assert "static/cat.jpg" in file.current().lock
    path.unlink()
    with pytest.raises(LockError, match="does not exist"):
        file.current()
    assert len(CatalogFile(path, CONFIG, missing_ok=True).current().lock) == 0


def test_images_answer_from_the_lock(tmp_path: Path) -> None:
    write_lock(tmp_path / "s3img.lock", Lock.of([CAT]))
    images = Images(CONFIG)
    assert images.url("static/cat.jpg", lock=tmp_path / "s3img.lock") == f"{BASE}/static/cat.jpg.orig"
    picture = images.picture("static/cat.jpg", alt="A cat", lock=tmp_path / "s3img.lock")
    assert picture.html().startswith('<picture class="s3img"><source type="image/avif" srcset="')
    os.utime(tmp_path / "s3img.lock", (1, 1))
    assert images.catalog(tmp_path / "s3img.lock").entry("static/cat.jpg") == CAT


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3img.pictures.catalog._MOST", 10)
    found = catalog(PLAIN, config=settings(**SERVICE))
    for width in range(1, 100):
        assert found.picture("static/plain.jpg", alt="", width=width).srcset("webp")
    assert len(found.lookup._found) <= 11


@pytest.mark.slow
def test_threads_share_a_catalog() -> None:
    found = catalog(*(entry(f"{number}.jpg", *ALL) for number in range(50)))
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: found.picture(f"{n % 50}.jpg", alt="").html(), range(400)))
    assert made[:50] * 8 == made


def test_layer_that_the_lock_names_is_the_object_of_that_picture() -> None:
    found = catalog(CAT, entry("brand/logo.png"), config=settings(service_url="https://example.com/img"))
    layer = "l-image,i-brand@@logo.png,l-text,i-Hi,ff-fonts@@a.ttf,l-end,l-end"
    transform = f"w-300,{layer}:if-w_gt_9,l-image,i-brand@@logo.png,l-end,if-end"
    url = found.url("static/cat.jpg", transform)
    assert url.count("i-brand@@logo.png.orig") == 2
    assert "ff-fonts@@a.ttf" in url  # the lock names no fonts: it is a key
    picture = str(found.picture("static/cat.jpg", alt="", transform="w-300,l-image,i-brand@@logo.png,l-end"))
    assert "i-brand@@logo.png.orig" in picture
