"""The main job into buckets: a folder, moto, and SeaweedFS, which checks signatures."""

from __future__ import annotations

import io
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from sites import SVG, photo

from s3img import Config, Images, S3ImgError
from s3img.errors import CredentialsError

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket
    from sites import Site

    from s3img.publish.result import PublishResult


class Publisher:
    """Publish a site into a bucket of a test server."""

    def __init__(self, bucket: TestBucket, cache_dir: str, **settings: object) -> None:
        self.bucket = bucket
        self.environ = {
            "S3IMG_ACCESS_KEY_ID": bucket.server.access_key,
            "S3IMG_SECRET_ACCESS_KEY": bucket.server.secret_key,
        }
        values: dict[str, object] = {
            "bucket": f"{bucket.address}/docs",
            "endpoint_url": bucket.server.endpoint_url,
            "public_url": f"{bucket.public_url}/docs",
            "region": "us-east-1",
            "widths": (160, 320),
            "formats": ("webp",),
            "cache_dir": cache_dir,
            "workers": 8,
        }
        self.config = Config(**{**values, **settings})  # type: ignore[arg-type]

    def __call__(self, site: Site, **options: bool) -> PublishResult:
        return Images(self.config, environ=self.environ).publish(site.root, **options)  # type: ignore[arg-type]


@pytest.fixture(params=["moto_bucket", "seaweedfs_bucket"])
def publish(request: pytest.FixtureRequest, cache_dir: str) -> Publisher:
    return Publisher(request.getfixturevalue(request.param), cache_dir)


@pytest.fixture
def strict(seaweedfs_bucket: TestBucket, cache_dir: str) -> Publisher:
    return Publisher(seaweedfs_bucket, cache_dir)


def build(site: Site) -> None:
    site.add("img/cät & dog #1.jpg", photo(640, 420))
    site.add("a.svg", SVG)
    site.add("favicon.ico", _icon())
    site.add("theme.css", "body { background: url('a.svg') }")
    site.page(
        "index.html",
        '<link rel="icon" href="favicon.ico"><meta property="og:image" content="img/c%C3%A4t%20&amp;%20dog%20%231.jpg">'
        '<a href="img/c%C3%A4t%20&amp;%20dog%20%231.jpg"><img src="img/c%C3%A4t%20&amp;%20dog%20%231.jpg" alt=""></a>'
        '<img src="a.svg" alt=""><a href="index.html">x</a>',
    )


def _icon() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, "ICO")
    return buffer.getvalue()


def urls(text: str, front: str) -> set[str]:
    return {found.replace("&amp;", "&") for found in re.findall(re.escape(front) + r"[^\s\"',)]+", text)}


def fetch(url: str) -> tuple[bytes, dict[str, str]]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read(), {name.lower(): value for name, value in answer.headers.items()}


def test_every_reference_can_be_fetched_and_decoded(site: Site, publish: Publisher) -> None:
    build(site)
    result = publish(site)
    assert (result.exit_code, result.problems, result.failed) == (0, (), ())
    found = urls(site.text("index.html") + site.text("theme.css"), publish.config.base_url)
    assert len(found) == 7  # two widths in two formats, and three originals
    for url in found:
        data, headers = fetch(url)
        assert headers["cache-control"] == "public, max-age=31536000, immutable"
        if url.endswith(".svg"):
            assert (data, headers["content-type"]) == (SVG, "image/svg+xml")
        else:
            Image.open(io.BytesIO(data)).load()


def test_second_run_sends_nothing(site: Site, publish: Publisher) -> None:
    build(site)
    publish(site)
    before = site.snapshot()
    result = publish(site)
    assert (result.requests, result.pages_changed, site.snapshot()) == ({}, 0, before)


def test_rebuilt_site_lists_once_and_puts_nothing(site: Site, publish: Publisher) -> None:
    build(site)
    publish(site)
    before = site.snapshot()
    shutil.rmtree(site.root)
    build(site)
    result = publish(site)
    assert (result.requests, result.rendered) == ({"list": 1}, 0)
    assert site.snapshot() == before


def test_rebuilt_site_without_cache_renders_only_what_was_dropped(
    site: Site, strict: Publisher, cache_dir: str
) -> None:
    build(site)
    strict(site)
    before = site.snapshot()
    shutil.rmtree(site.root)
    shutil.rmtree(cache_dir)
    build(site)
    result = strict(site)
    assert result.requests == {"list": 1}
    assert site.snapshot() == before


def test_failed_upload_keeps_pages_off_that_image(site: Site, seaweedfs_bucket: TestBucket, cache_dir: str) -> None:
    build(site)
    publisher = Publisher(seaweedfs_bucket, cache_dir)
    publisher.environ["S3IMG_SECRET_ACCESS_KEY"] = "wrong" * 8
    before = site.snapshot()
    with pytest.raises(S3ImgError) as caught:
        publisher(site)
    assert caught.value.exit_code == 4
    assert "wrong" * 8 not in str(caught.value)
    assert site.snapshot() == before


def test_one_failed_object_leaves_the_rest_published(
    site: Site, strict: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Take one rendered file away between rendering and upload, as a full disk or a cleaner would."""
    site.add("cat.jpg", photo(640, 420))
    site.add("dog.jpg", photo(640, 420, seed=5))
    site.page("index.html", '<img src="cat.jpg" alt=""><img src="dog.jpg" alt="">')
    from s3img.publish import site as pipeline

    original = pipeline.SitePublisher._put

    def put(self: pipeline.SitePublisher, survey: object) -> None:
        victim = next(v for image in survey.images() for v in image.ladder.variants if v.asset.path == "dog.jpg")  # type: ignore[attr-defined]
        self._renderer.path(victim).write_bytes(b"changed")
        original(self, survey)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline.SitePublisher, "_put", put)
    result = strict(site)
    text = site.text("index.html")
    assert '<img src="dog.jpg" alt="">' in text
    assert strict.config.base_url in text
    assert len(result.failed) == 1
    assert result.exit_code != 0


def test_missing_credentials_fall_back_to_the_site(site: Site, strict: Publisher) -> None:
    build(site)
    strict.environ.clear()
    result = strict(site)
    assert (result.exit_code, result.target) == (0, "")
    assert [problem.severity for problem in result.problems] == ["note"]
    assert "assets/_s3img/" in site.text("index.html")


def test_missing_credentials_are_an_error_when_upload_is_required(site: Site, strict: Publisher) -> None:
    build(site)
    strict.environ.clear()
    with pytest.raises(CredentialsError, match="No credentials"):
        strict(site, require_upload=True)


def test_remove_local_deletes_only_what_pages_have_left(
    site: Site, seaweedfs_bucket: TestBucket, cache_dir: str
) -> None:
    for name in ("gone.jpg", "kept.jpg", "unused.jpg"):
        site.add(name, photo(400, 300))
    off = '<!-- s3img:off --><img src="kept.jpg" alt=""><!-- s3img:on -->'
    site.page("index.html", f'<img src="gone.jpg" alt=""><img src="kept.jpg" alt="">{off}')
    publisher = Publisher(seaweedfs_bucket, cache_dir, remove_local=True)
    result = publisher(site)
    assert result.removed == 1
    assert sorted(file.name for file in site.root.glob("*.jpg")) == ["kept.jpg", "unused.jpg"]
    assert any(
        info.key.endswith("gone.jpg") or "/gone." in f"/{info.key}" for info in seaweedfs_bucket.bucket.list("docs/")
    )


def test_directory_bucket_with_public_url(site: Site, tmp_path: Path, cache_dir: str) -> None:
    build(site)
    folder = tmp_path / "store"
    config = Config(bucket=folder.as_uri(), public_url="https://i.example.com", widths=(160,), cache_dir=cache_dir)
    assert Images(config).publish(site.root).exit_code == 0
    found = urls(site.text("index.html"), "https://i.example.com/")
    assert found
    for url in found:
        path = urllib.request.url2pathname(url.removeprefix("https://i.example.com/"))
        assert (folder / path).is_file()


def test_no_secret_is_shown_anywhere(site: Site, strict: Publisher, caplog: pytest.LogCaptureFixture) -> None:
    build(site)
    caplog.set_level(logging.INFO)
    result = strict(site)
    shown = caplog.text + repr(result) + str(result) + "".join(map(str, site.snapshot().values()))
    assert strict.environ["S3IMG_SECRET_ACCESS_KEY"] not in shown
    assert strict.environ["S3IMG_ACCESS_KEY_ID"] not in shown


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_run_leaves_whole_pages_and_the_next_completes(
    site: Site, strict: Publisher, how: signal.Signals
) -> None:
    for number in range(12):
        site.add(f"{number}.jpg", photo(500, 300, seed=number))
        site.page(f"{number}.html", f'<img src="{number}.jpg" alt="">')
    before = site.snapshot()
    config = strict.config
    environ = {
        **os.environ,
        **strict.environ,
        "S3IMG_WIDTHS": "160 320",
        "S3IMG_FORMATS": "webp",
        "S3IMG_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "s3img", "publish", str(site.root), "--bucket", config.bucket]
    command += ["--endpoint-url", config.endpoint_url, "--public-url", config.public_url, "--workers", "2"]
    environ["S3IMG_CACHE_DIR"] = config.cache_dir
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(strict.bucket.bucket.list("docs/")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in ({130} if how is signal.SIGINT else {-how}) | {0}, errors
    assert b"Traceback" not in errors
    for number in range(12):
        page = (site.root / f"{number}.html").read_bytes()
        assert page == before[f"{number}.html"] or page.endswith(b"</html>\n")
        for url in urls(page.decode(), config.base_url):
            fetch(url)
    assert strict(site).exit_code == 0
    for number in range(12):
        assert config.base_url in site.text(f"{number}.html")


def test_feeds_sitemaps_manifests_and_json_ld_point_at_the_bucket(site: Site, strict: Publisher) -> None:
    site.add("cat.jpg", photo(300, 200))
    home = "https://example.com/cat.jpg"
    site.add(
        "feed.xml",
        f'<rss version="2.0"><channel><item><enclosure url="{home}" length="1" type="image/jpeg"/></item></channel></rss>',
    )
    image = 'xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"'
    site.add(
        "sitemap.xml", f"<urlset {image}><url><image:image><image:loc>{home}</image:loc></image:image></url></urlset>"
    )
    site.add("site.webmanifest", '{"icons": [{"src": "cat.jpg", "sizes": "300x200"}]}')
    site.page("index.html", '<script type="application/ld+json">{"@type": "Article", "image": "/cat.jpg"}</script>')
    publisher = Publisher(strict.bucket, strict.config.cache_dir, site_url="https://example.com/")
    result = publisher(site)
    assert (result.problems, result.pages_changed) == ((), 4)
    for name in ("feed.xml", "sitemap.xml", "site.webmanifest", "index.html"):
        (url,) = urls(site.text(name).replace("<", '"').replace(">", '"'), publisher.config.base_url)
        assert fetch(url)[0] == (site.root / "cat.jpg").read_bytes()


def test_two_builds_at_once_share_bucket_and_cache(site: Site, strict: Publisher, tmp_path: Path) -> None:
    for number in range(6):
        site.add(f"{number}.jpg", photo(300, 200, seed=number))
        site.page(f"{number}.html", f'<img src="{number}.jpg" alt="">')
    other = type(site)(tmp_path / "other")
    shutil.copytree(site.root, other.root)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(strict, [site, other])
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert site.snapshot() == other.snapshot()
    for url in urls("".join(map(str, site.snapshot().values())), strict.config.base_url):
        fetch(url)


def test_markdown_source_points_at_the_bucket(site: Site, strict: Publisher) -> None:
    from markdown_it import MarkdownIt

    data = site.add("img/cat.jpg", photo(300, 200)).read_bytes()
    text = "# Cat\n\n![A cat](img/cat.jpg)\n\n    ![code](img/cat.jpg)\n\n![gone](img/dog.jpg)\n"
    readme = site.add("README.md", text)
    images = Images(strict.config, environ=strict.environ)
    result = images.publish_sources([readme], root=site.root, render=MarkdownIt("commonmark").render)
    (url,) = urls(site.text("README.md"), strict.config.base_url)
    assert fetch(url)[0] == data
    assert site.text("README.md") == text.replace("![A cat](img/cat.jpg)", f"![A cat]({url})")
    assert [str(problem) for problem in result.problems] == [
        "README.md:7:9: image 'img/dog.jpg' does not exist: did you mean 'img/cat.jpg'?"
    ]
    again = images.publish_sources([readme], root=site.root, render=MarkdownIt("commonmark").render)
    assert (again.pages_changed, again.uploaded) == (0, 0)


def test_markdown_outside_the_root_is_refused(site: Site, strict: Publisher, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("x")
    with pytest.raises(S3ImgError, match="lies outside"):
        Images(strict.config, environ=strict.environ).publish_sources(
            [tmp_path / "README.md"], root=site.root, render=str
        )


def test_objects_of_sites_are_marked_as_such(site: Site, strict: Publisher) -> None:
    """The clean-up of folder syncs must not take them: no lock names them."""
    build(site)
    strict(site)
    listed = list(strict.bucket.bucket.list("docs/"))
    assert listed
    assert {tuple((strict.bucket.bucket.head(info.key).metadata or {}).items()) for info in listed} == {
        (("s3img", "site"),)
    }  # type: ignore[union-attr]
