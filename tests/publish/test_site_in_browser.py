"""The example site, published and looked at in Chromium: inside itself, from disk, and from a bucket."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from chromium import PageOpener
from msgspec.structs import replace
from static_server import serving

from s3img import Config, Images

if TYPE_CHECKING:
    from collections.abc import Callable

    from chromium import PageReport, ShownImage
    from playwright.sync_api import Browser
    from s3_servers import TestBucket

EXAMPLE = Path(__file__).parents[2] / "examples" / "mkdocs_site"
CHEAP = Config(widths=(320, 640), formats=("avif",))  # most of the time goes into encoding


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("example")


@pytest.fixture(scope="session")
def built(example_folder: Path) -> Path:
    site = example_folder / "built"
    command = [sys.executable, "-m", "mkdocs", "build", "-q", "-f", str(EXAMPLE / "mkdocs.yml"), "-d", str(site)]
    subprocess.run(command, check=True, timeout=120)
    return site


@pytest.fixture(scope="session")
def published(built: Path, example_folder: Path) -> Path:
    """Return the site as it is published without a bucket."""
    site = Path(shutil.copytree(built, example_folder / "published"))
    result = Images(replace(CHEAP, cache_dir=str(example_folder / "cache"))).publish(site)
    assert (result.exit_code, result.failed) == (0, ())
    return site


@pytest.fixture(scope="session", params=[1200, 400])
def reports(
    request: pytest.FixtureRequest, published: Path, chromium: Browser, example_folder: Path
) -> list[PageReport]:
    """Return what all pages show at one width of the window, served below a path.

    A page that shifts is looked at again: an image without a size shifts it each time, a busy machine whose style
    sheets come late does not.
    """
    open_page = PageOpener(chromium, example_folder)
    with serving(published, "/some/folder/") as url:
        found = [(page, open_page(url + page, request.param)) for page in pages_of(published)]
        return [
            report if report.layout_shift < 0.01 else open_page(url + page, request.param) for page, report in found
        ]


def pages_of(site: Path) -> list[str]:
    return sorted(page.relative_to(site).as_posix() for page in site.rglob("*.html") if page.name != "404.html")


def offered_as_avif(reports: list[PageReport]) -> list[ShownImage]:
    images = [image for report in reports for image in report.images if "image/avif" in image.offered]
    assert len(images) > 10
    return images


def test_no_page_has_a_fault(reports: list[PageReport]) -> None:
    assert [report.faults for report in reports if report.faults] == []


def test_no_image_shifts_the_layout(reports: list[PageReport]) -> None:
    assert [report for report in reports if report.layout_shift >= 0.01] == []


def test_browser_chooses_avif(reports: list[PageReport]) -> None:
    assert {image.current_src.rpartition(".")[2] for image in offered_as_avif(reports)} == {"avif"}


def test_browser_chooses_a_fitting_width(reports: list[PageReport]) -> None:
    """The widths at hand are at most 2 times apart, so a picture has at most about twice what its box needs."""
    # Pictures that an author directs per screen keep the size of their file: a phone loads what it did before.
    images = [image for image in offered_as_avif(reports) if "profile-" not in image.current_src]
    assert [image for image in images if image.natural_width > max(2.1 * image.box.width, min(CHEAP.widths))] == []


def test_images_show_from_disk(published: Path, open_page: PageOpener) -> None:
    pages = pages_of(published)
    for page in ("index.html", next(page for page in pages if "/" in page)):
        report = open_page((published / page).as_uri())
        assert report.images
        assert report.broken_images == ()


def test_images_come_from_the_bucket(
    built: Path,
    example_folder: Path,
    tmp_path: Path,
    seaweedfs_bucket: TestBucket,
    open_page: PageOpener,
    serve: Callable[..., str],
) -> None:
    site = Path(shutil.copytree(built, tmp_path / "site"))
    server = seaweedfs_bucket.server
    config = replace(
        CHEAP,
        cache_dir=str(example_folder / "cache"),
        bucket=f"{seaweedfs_bucket.address}/docs",
        endpoint_url=server.endpoint_url,
        public_url=f"{seaweedfs_bucket.public_url}/docs",
    )
    keys = {"S3IMG_ACCESS_KEY_ID": server.access_key, "S3IMG_SECRET_ACCESS_KEY": server.secret_key}
    assert Images(config, environ=keys).publish(site, require_upload=True).exit_code == 0
    url = serve(site)
    reports = [open_page(url + page) for page in pages_of(site)]
    assert [report.faults for report in reports if report.faults] == []
    fronts = {image.current_src.startswith(f"{config.public_url}/") for image in offered_as_avif(reports)}
    assert fronts == {True}
