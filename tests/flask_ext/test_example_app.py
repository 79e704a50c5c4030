"""The example gallery as a user runs it: synced, under gunicorn, in a browser; without a bucket and with one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from s3_servers import free_ports
from sites import photo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chromium import PageOpener
    from playwright.sync_api import Browser
    from s3_servers import TestBucket

EXAMPLE = Path(__file__).parents[2] / "examples" / "flask_app"
CONFIG = ["-c", "gunicorn.conf.py", "gallery:create_app()"]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("s3img.lock", "instance", "__pycache__")
    return Path(shutil.copytree(EXAMPLE, tmp_path / "example", ignore=ignore))


def environ(example: Path, **settings: str) -> dict[str, str]:
    mine = {"GALLERY_INSTANCE": str(example / "instance"), "S3IMG_CACHE_DIR": str(example / "cache")}
    cheap = {"S3IMG_WIDTHS": "320,640", "S3IMG_FORMATS": "webp"}  # AVIF of every width would take most of the time
    return {**os.environ, **mine, **cheap, **settings}


@contextmanager
def running(example: Path, variables: dict[str, str]) -> Iterator[str]:
    """Sync, start gunicorn, and give its address; it must stop in peace."""
    sync = [sys.executable, "-m", "flask", "--app", "gallery", "s3img", "sync"]
    subprocess.run(sync, cwd=example, env=variables, check=True, timeout=120)
    address = f"127.0.0.1:{free_ports(1)[0]}"
    command = [sys.executable, "-m", "gunicorn", *CONFIG]
    server = subprocess.Popen(command, cwd=example, env={**variables, "BIND": address})
    try:
        _wait_for(f"http://{address}/", server)
        yield f"http://{address}/"
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert server.poll() is None
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


def add_picture(browser: Browser, url: str, picture: Path, alt: str) -> str:
    """Upload through the form as a visitor does; return what the page then says is wrong."""
    page = browser.new_page()
    page.goto(url)
    page.set_input_files("input[type=file]", picture)
    page.fill("input[name=alt]", alt)
    with page.expect_navigation():  # a click comes back before the browser goes there
        page.click("button")
    said = page.text_content("[role=alert]") if page.locator("[role=alert]").count() else ""
    page.close()
    return said or ""


def check_gallery(open_page: PageOpener, chromium: Browser, url: str, folder: Path, store: str) -> None:
    (folder / "visitor.jpg").write_bytes(photo(1600, 1200, seed=7))
    (folder / "fake.jpg").write_bytes(b"MZ this is a program")
    assert add_picture(chromium, url, folder / "visitor.jpg", "From a visitor") == ""
    assert "one of these formats" in add_picture(chromium, url, folder / "fake.jpg", "")
    report = open_page(url)
    assert report.faults == ()
    assert report.layout_shift < 0.01
    shown = {image.alt: image for image in report.images}
    assert shown["From a visitor"].current_src.startswith(f"{url}img/")
    assert shown["From a visitor"].natural_width in {300, 600}
    assert shown["A summit at sunset"].current_src.startswith(store)
    assert "image/webp" in shown["A summit at sunset"].offered
    assert shown["The meadow again"].current_src.startswith(store)  # written as a plain <img>


def test_example_runs_without_any_account(
    example: Path, open_page: PageOpener, chromium: Browser, tmp_path: Path
) -> None:
    with running(example, environ(example)) as url:
        check_gallery(open_page, chromium, url, tmp_path, f"{url}_s3img/store/")


@pytest.mark.nightly  # without a bucket: test_example_runs_without_any_account
def test_example_runs_with_three_settings(
    example: Path, open_page: PageOpener, chromium: Browser, tmp_path: Path, seaweedfs_bucket: TestBucket
) -> None:
    bucket = seaweedfs_bucket
    settings = {
        "S3IMG_BUCKET": bucket.address,
        "S3IMG_ENDPOINT_URL": bucket.server.endpoint_url,
        "S3IMG_PUBLIC_URL": bucket.public_url,
    }
    credentials = {
        "S3IMG_ACCESS_KEY_ID": bucket.server.access_key,
        "S3IMG_SECRET_ACCESS_KEY": bucket.server.secret_key,
    }
    with running(example, environ(example, **settings, **credentials)) as url:
        check_gallery(open_page, chromium, url, tmp_path, bucket.public_url)
