from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from accept_headers import CLIENTS
from PIL import Image
from transform_service import NOW, Served

from s3img.config import Config
from s3img.service import TransformService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def picture_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("picture") / "cat.jpg"
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0xA431] = "serial-number"
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
    Image.radial_gradient("L").resize((400, 300)).convert("RGB").save(path, exif=exif)
    return path.read_bytes()


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS)
def accept(request: pytest.FixtureRequest) -> dict[str, str]:
    """The header ``Accept`` of each kind of client, for every path whose answer depends on it."""
    return {"Accept": request.param} if request.param else {}


@pytest.fixture
def folder(tmp_path: Path, picture_bytes: bytes) -> Path:
    """A folder that serves as a bucket."""
    pictures = tmp_path / "pictures"
    (pictures / "img").mkdir(parents=True)
    (pictures / "cat.jpg").write_bytes(picture_bytes)
    (pictures / "img" / "cat.jpg").write_bytes(picture_bytes)
    Image.new("RGBA", (60, 40), (255, 0, 0, 128)).save(pictures / "dot.png")
    (pictures / "broken.jpg").write_bytes(picture_bytes[:2000])
    (pictures / "notes.txt").write_text("0123456789")
    (pictures / "page.html").write_text("<script>alert(1)</script>")
    (pictures / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="4" height="3"/>')
    return pictures


@pytest.fixture
def serve(folder: Path, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Make services of the folder, or of whatever the settings say."""
    made: list[TransformService] = []

    def new(*, environ: dict[str, str] | None = None, **settings: Any) -> Served:
        usual = {"bucket": folder.as_uri(), "access": "open", "cache_dir": str(tmp_path / "cache")}
        config = Config(**{**usual, **settings})
        made.append(TransformService(config, environ=environ or {}, clock=lambda: NOW))
        return Served(made[-1], config)

    yield new
    for app in made:
        app.close()
