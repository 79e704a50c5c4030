"""Addresses of the site's own bucket that authors paste, as after `s3img upload`, become responsive on publish."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from sites import SVG, photo

from s3img import Config, Images
from s3img.buckets import open_configured
from s3img.uploads import Uploader

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket
    from sites import Site

    from s3img.publish.result import PublishResult

PUBLIC = "https://img.example.com/docs"
CAT = photo(640, 420)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "bucket"


@pytest.fixture
def config(folder: Path, cache_dir: str) -> Config:
    return Config(
        bucket=folder.as_uri(),
        public_url=PUBLIC,
        cache_dir=cache_dir,
        widths=(160, 320),
        formats=("webp",),
        check_public=False,
    )


def publish(site: Site, config: Config, **settings: Any) -> PublishResult:
    return Images(config).publish(site.root, **settings)


def upload(config: Config, data: bytes = CAT, name: str = "cat.jpg") -> str:
    return Uploader(open_configured(config, {}), config).save(data, filename=name).url


def test_pasted_address_becomes_responsive(site: Site, config: Config, folder: Path) -> None:
    url = upload(config)
    site.page("blog/index.html", f'<head></head><p><img src="{url}" alt="A cat"></p>')
    before = {path for path in folder.rglob("*.jpg") if ".w-" not in path.name}
    assert publish(site, config).exit_code == 0
    text = site.text("blog/index.html")
    stem = re.escape(url.removesuffix(".jpg"))
    assert re.search(rf'<source type="image/webp" srcset="{stem}\.[0-9a-f]{{8}}\.w-160\.webp 160w, ', text)
    assert 'width="640" height="420"' in text
    assert '<link rel="stylesheet" href="../assets/_s3img/s3img.css">' in text
    assert {path for path in folder.rglob("*.jpg") if ".w-" not in path.name} == before  # no second original
    for address in re.findall(rf"{PUBLIC}/([^ ,\"]+)", text):
        assert (folder / address).is_file()


def test_a_second_run_changes_nothing(site: Site, config: Config) -> None:
    site.page("index.html", f'<img src="{upload(config)}" alt=""><img src="gone.jpg" alt="">')
    publish(site, config)
    text = site.text("index.html")
    for _ in range(2):  # the missing image makes it a page that is read in every run
        assert publish(site, config).pages_changed == 0
    assert site.text("index.html") == text


def test_site_that_is_built_anew_renders_nothing_again(site: Site, config: Config) -> None:
    page = f'<img src="{upload(config)}" alt="">'
    site.page("index.html", page)
    publish(site, config)
    text = site.text("index.html")
    site.page("index.html", page)
    result = publish(site, config)
    assert (result.rendered, result.uploaded, site.text("index.html")) == (0, 0, text)


@pytest.mark.parametrize(
    "tag",
    [
        '<img src="{url}" srcset="{url} 2x" alt="">',
        '<picture><img src="{url}" alt=""></picture>',
        '<img src="{url}?v=2" alt="">',
        '<a href="{url}">x</a>',
        '<img src="https://other.example.com/cat.jpg" alt="">',
        '<img src="https://img.example.com/docs/.s3img/x.jpg" alt="">',
    ],
)
def test_what_an_author_finished_stays(site: Site, config: Config, tag: str) -> None:
    site.page("index.html", tag.format(url=upload(config)))
    page = site.text("index.html")
    assert publish(site, config).problems == ()
    assert site.text("index.html") == page


def test_words_for_the_image_count(site: Site, config: Config) -> None:
    url = upload(config)
    site.page("index.html", f'<img src="{url}" alt="" data-s3img="off"><img src="{url}" alt="" data-s3img="w-80">')
    publish(site, config)
    text = site.text("index.html")
    assert f'<img src="{url}" alt="">' in text
    assert 'width="80"' in text


def test_svg_keeps_its_address(site: Site, config: Config, folder: Path) -> None:
    (folder / "logo.svg").parent.mkdir(parents=True, exist_ok=True)
    (folder / "logo.svg").write_bytes(SVG)
    site.page("index.html", f'<img src="{PUBLIC}/logo.svg" alt="">')
    assert publish(site, config).exit_code == 0
    assert f'<img src="{PUBLIC}/logo.svg" alt="" width="120" height="80"' in site.text("index.html")


@pytest.mark.parametrize("name", ["gone.jpg", "bad.jpg", "..%2F..%2Fgone.jpg"])
def test_image_that_the_bucket_does_not_give_is_named(site: Site, config: Config, folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "bad.jpg").write_bytes(b"GIF89a")
    site.page("index.html", f'<img src="{PUBLIC}/{name}" alt="">')
    page = site.text("index.html")
    result = publish(site, config)
    assert [(problem.page, problem.severity) for problem in result.problems] == [("index.html", "warning")]
    assert site.text("index.html") == page


def test_file_of_the_site_under_the_same_name_is_another_image(site: Site, config: Config, folder: Path) -> None:
    (folder / "img").mkdir(parents=True)
    (folder / "img/cat.jpg").write_bytes(CAT)
    site.add("img/cat.jpg", photo(500, 300, seed=9))
    site.page("index.html", f'<img src="img/cat.jpg" alt="local"><img src="{PUBLIC}/img/cat.jpg" alt="pasted">')
    assert publish(site, config).exit_code == 0
    text = site.text("index.html")
    assert 'alt="local" srcset' in text
    assert 'width="500" height="300"' in text
    assert 'width="640" height="420"' in text
    assert (folder / "img/cat.jpg").read_bytes() == CAT


def test_pasted_address_of_s3_becomes_responsive(site: Site, cache_dir: str, seaweedfs_bucket: TestBucket) -> None:
    server = seaweedfs_bucket.server
    settings = Config(
        bucket=f"{seaweedfs_bucket.address}/docs",
        endpoint_url=server.endpoint_url,
        public_url=f"{seaweedfs_bucket.public_url}/docs",
        cache_dir=cache_dir,
        widths=(160,),
        formats=("webp",),
    )
    keys = {"S3IMG_ACCESS_KEY_ID": server.access_key, "S3IMG_SECRET_ACCESS_KEY": server.secret_key}
    url = Uploader(open_configured(settings, keys), settings).save(CAT, filename="cat.jpg").url
    site.page("index.html", f'<img src="{url}" alt=""><img src="{settings.public_url}/gone.jpg" alt="">')
    result = Images(settings, environ=keys).publish(site.root)
    assert [(problem.code, "gone.jpg" in problem.message) for problem in result.problems] == [("bucket-image", True)]
    assert re.search(r'<source type="image/webp" srcset="http[^ ]+\.w-160\.webp 160w"', site.text("index.html"))
