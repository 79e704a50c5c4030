"""Answers that depend on the client's ``Accept``: for Chrome, Firefox, Safari, curl and a client without one."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from accept_headers import CHROME, FIREFOX, SAFARI
from PIL import Image, ImageDraw
from sites import photo

if TYPE_CHECKING:
    from collections.abc import Callable

    from transform_service import Served

MODERN = {"image/avif", "image/webp"}


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph, and three pictures that AVIF makes larger: a scan of 1 bit, an icon, a small animation."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "photo.jpg").write_bytes(photo(900, 600))
    scan = Image.new("1", (700, 500), 1)
    draw = ImageDraw.Draw(scan)
    for row in range(25):
        draw.text((20, 10 + row * 19), "invoice total 12.50 date No. 4711 street" * 2, fill=0)
    scan.save(folder / "scan.png")
    icon = Image.new("P", (256, 256), 0)
    icon.putpalette([255, 255, 255, 20, 60, 160, 220, 40, 40] + [0] * 759)
    ImageDraw.Draw(icon).rectangle((60, 60, 196, 196), outline=2, width=5)
    icon.save(folder / "icon.png", optimize=True)
    frames = []
    for number in range(8):
        frame = Image.new("P", (128, 128), 0)
        frame.putpalette([255, 255, 255, 0, 0, 0, 200, 30, 30] + [0] * 759)
        ImageDraw.Draw(frame).line((64, 64, 64 + 7 * number, 20), fill=1 + number % 2, width=3)
        frames.append(frame)
    frames[0].save(folder / "wheel.gif", save_all=True, append_images=frames[1:], duration=80, loop=0)
    return folder


@pytest.fixture
def pictures(folder: Path, drawn: Path) -> Path:
    return Path(shutil.copytree(drawn, folder, dirs_exist_ok=True))


@pytest.mark.parametrize("name", ["photo.jpg", "scan.png", "icon.png", "wheel.gif"])
@pytest.mark.parametrize("transform", ["f-auto", "w-300,c-at_max"])
def test_result_is_never_larger_than_that_of_a_client_without_modern_formats(
    serve: Callable[..., Served], pictures: Path, accept: dict[str, str], name: str, transform: str
) -> None:
    served = serve(bucket=pictures.as_uri())
    plain = served.ask(f"/tr:{transform}/{name}")
    answer = served.ask(f"/tr:{transform}/{name}", **accept)
    assert answer.status_code == 200
    assert len(answer.data) <= len(plain.data)
    if transform == "f-auto":
        assert len(answer.data) <= (pictures / name).stat().st_size


@pytest.mark.parametrize("suffix", ["tif", "bmp"])
def test_scan_in_a_format_that_no_browser_shows_is_no_jpeg(
    serve: Callable[..., Served], pictures: Path, accept: dict[str, str], suffix: str
) -> None:
    with Image.open(pictures / "scan.png") as scan:
        scan.save(pictures / f"scan.{suffix}", **({"compression": "group4"} if suffix == "tif" else {}))
    served = serve(bucket=pictures.as_uri())
    answer, jpeg = served.ask(f"/tr:w-700/scan.{suffix}", **accept), served.ask(f"/tr:w-700,f-jpg/scan.{suffix}")
    assert answer.status_code == 200
    assert 5 * len(answer.data) < len(jpeg.data)


def test_photograph_is_sent_in_a_modern_format(
    serve: Callable[..., Served], pictures: Path, accept: dict[str, str]
) -> None:
    answer = serve(bucket=pictures.as_uri()).ask("/tr:w-600/photo.jpg", **accept)
    is_modern = accept.get("Accept") in {CHROME, FIREFOX, SAFARI}
    assert (answer.content_type in MODERN) == is_modern
    assert answer.content_type == "image/jpeg" or is_modern


def test_vary_names_accept_whatever_format_wins(
    serve: Callable[..., Served], pictures: Path, accept: dict[str, str]
) -> None:
    served = serve(bucket=pictures.as_uri())
    for name in ("photo.jpg", "icon.png", "logo.svg"):
        answer = served.ask(f"/tr:w-100/{name}", **accept)
        assert (answer.status_code, answer.headers["Vary"]) == (200, "Accept")
        assert served.ask(f"/tr:w-100/{name}", If_None_Match=answer.headers["ETag"], **accept).status_code == 304


def test_picture_that_is_not_rendered_passes_through(
    serve: Callable[..., Served], folder: Path, accept: dict[str, str]
) -> None:
    icon = io.BytesIO()
    Image.new("RGB", (16, 16)).save(icon, "ICO")
    (folder / "favicon.ico").write_bytes(icon.getvalue())
    served = serve()
    for name, kind in (("logo.svg", "image/svg+xml"), ("favicon.ico", "image/vnd.microsoft.icon")):
        answer = served.ask(f"/tr:w-100/{name}", **accept)
        assert (answer.status_code, answer.mimetype, answer.data) == (200, kind, (folder / name).read_bytes())


def test_default_image_that_is_not_rendered_passes_through(
    serve: Callable[..., Served], accept: dict[str, str]
) -> None:
    answer = serve().ask("/tr:w-100,di-logo.svg/missing.jpg", **accept)
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")


def test_format_that_an_author_asked_for_is_refused_for_what_is_not_rendered(
    serve: Callable[..., Served], accept: dict[str, str]
) -> None:
    assert serve().status("/tr:w-100,f-webp/logo.svg", **accept) == (415, "EFORMAT")


@pytest.mark.parametrize("path", ["/cat.jpg", "/info/cat.jpg", "/tr:w-40,f-webp/cat.jpg", "/tr:orig-true/cat.jpg"])
def test_path_without_negotiation_is_the_same_for_all(
    serve: Callable[..., Served], accept: dict[str, str], path: str
) -> None:
    served = serve()
    answer, plain = served.ask(path, **accept), served.ask(path)
    assert (answer.data, answer.headers["ETag"], "Vary" in answer.headers) == (plain.data, plain.headers["ETag"], False)
