"""The main job into buckets: a folder, moto, and SeaweedFS, which checks signatures."""

from __future__ import annotations

import io
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from publishing import Publisher, fetch, urls
from sites import SVG, photo

from s3img import Config, Images, S3ImgError
from s3img.errors import CredentialsError
from s3img.gc.clean_up import collect
from s3img.gc.rules import Rules

if TYPE_CHECKING:
    from s3_servers import TestBucket
    from sites import Site


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


def test_second_run_needs_neither_botocore_nor_pillow(site: Site, strict: Publisher) -> None:
    build(site)
    strict(site)
    check = (
        "import pickle, sys\nfrom s3img import Images\n"
        f"result = Images(pickle.loads({pickle.dumps(strict.config)!r})).publish({str(site.root)!r})\n"
        "print(result.requests, result.target, sorted({'botocore', 'PIL', 'selectolax'} & set(sys.modules)))"
    )
    environ = {**os.environ, **strict.environ}
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout == f"{{'list': 1}} {strict.config.bucket} []\n"


def test_second_run_asks_only_whether_its_claim_is_the_last(site: Site, publish: Publisher) -> None:
    build(site)
    publish(site)
    before = site.snapshot()
    result = publish(site)
    assert (result.requests, result.pages_changed, site.snapshot()) == ({"list": 1}, 0, before)


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


def test_a_run_out_of_time_keeps_its_images_in_the_site(site: Site, strict: Publisher, cache_dir: str) -> None:
    build(site)
    result = Publisher(strict.bucket, cache_dir, deadline=1e-9)(site)
    assert (result.exit_code, strict.urls(site)) == (5, set())
    assert strict(site).exit_code == 0
    assert all(fetch(url)[0] for url in strict.urls(site))


def test_one_failed_object_leaves_the_rest_published(site: Site, strict: Publisher, cache_dir: str) -> None:
    """Change a rendered file between rendering and upload, as a full disk or a cleaner would."""
    site.add("cat.jpg", photo(640, 420))
    site.add("dog.png", photo(640, 420, format="PNG"))
    site.page("index.html", '<img src="cat.jpg" alt=""><img src="dog.png" alt="">')

    def damage(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("rendering", total):
            next(Path(cache_dir, "variants").rglob("*.png")).write_bytes(b"changed")

    result = strict(site, progress=damage)
    text = site.text("index.html")
    assert '<img src="dog.png" alt="">' in text
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
    config = Config(
        bucket=folder.as_uri(),
        public_url="https://i.example.com",
        check_public=False,
        widths=(160,),
        cache_dir=cache_dir,
    )
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
    # Interrupted within an import, Python ends with the signal itself, which shells show as 130 too.
    assert process.returncode in {0, -how, 130 if how is signal.SIGINT else 0}, errors
    assert b"Traceback" not in errors
    for days in (1, 2):  # a clean-up that grants nothing
        rules, now = Rules(grace=timedelta(0), history=timedelta(0), force=True), datetime.now(UTC) + timedelta(days)
        collect(strict.open(), rules=rules, apply=True, now=now)
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
    pages = "".join(str(content) for name, content in site.snapshot().items() if name.endswith(".html"))
    for url in urls(pages, strict.config.base_url):
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
        "README.md:7:9: image 'img/dog.jpg' does not exist: add the file or remove the reference."
    ]
    again = images.publish_sources([readme], root=site.root, render=MarkdownIt("commonmark").render)
    assert (again.pages_changed, again.uploaded) == (0, 0)


def test_markdown_removes_what_killed_runs_left_beside_it(site: Site, strict: Publisher) -> None:
    readme, left = site.add("README.md", "no picture\n"), site.add(".s3img-1.tmp", "half")
    os.utime(left, (1, 1))
    Images(strict.config, environ=strict.environ).publish_sources([readme], root=site.root, render=str)
    assert not left.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="nobody may make links there")
def test_markdown_behind_a_link_is_written_and_the_link_stays_one(
    site: Site, strict: Publisher, tmp_path: Path
) -> None:
    from markdown_it import MarkdownIt

    site.add("img/cat.jpg", photo(300, 200))
    readme, link, outside = (
        site.add("docs/README.md", "![A cat](../img/cat.jpg)\n"),
        site.root / "a.md",
        site.root / "b.md",
    )
    link.symlink_to(readme)
    outside.symlink_to(tmp_path / "other.md")
    (tmp_path / "other.md").write_text("![A cat](img/cat.jpg)\n")
    images, render = Images(strict.config, environ=strict.environ), MarkdownIt("commonmark").render
    result = images.publish_sources([link, readme], root=site.root, render=render)
    assert (result.pages, result.pages_changed, link.is_symlink()) == (1, 1, True)
    assert len(urls(site.text("docs/README.md"), strict.config.base_url)) == 1
    with pytest.raises(S3ImgError, match=r"b\.md: lies outside"):
        images.publish_sources([outside], root=site.root, render=render)


def test_markdown_outside_the_root_is_refused(site: Site, strict: Publisher, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("x")
    with pytest.raises(S3ImgError, match="lies outside"):
        Images(strict.config, environ=strict.environ).publish_sources(
            [tmp_path / "README.md"], root=site.root, render=str
        )
