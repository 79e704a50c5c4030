"""``s3img url``: addresses from the lock, without a request and without what renders."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from sites import photo

from s3img import Config, Images
from s3img.cli import main
from s3img.errors import ConfigError
from s3img.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = "first:" + "ab" * 32
SETTINGS = """
public_url = "https://img.example.com"
widths = [160, 320]
formats = ["webp"]
cache_dir = "../cache"
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with a synced image that has renderings and no longer a file; it is the current folder."""
    root = tmp_path / "app"
    (root / "img").mkdir(parents=True)
    (root / "img/my cat.jpg").write_bytes(photo(480, 320))
    (root / "s3img.toml").write_text(f'bucket = "{(tmp_path / "store").as_uri()}"\n{SETTINGS}')
    monkeypatch.chdir(root)
    with pytest.raises(SystemExit, match="0"):
        main(["sync", "img", "--variants"])
    (root / "img/my cat.jpg").unlink()
    return root


@pytest.fixture
def url(app: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(["url", *arguments])
        shown = capsys.readouterr()
        return int(stopped.value.code or 0), shown.out.strip(), shown.err

    return command


def test_url_of_an_image_is_where_its_object_is(url: Any, app: Path) -> None:
    code, out, err = url("img/my cat.jpg")
    assert (code, err, urlsplit(out).netloc) == (0, "", "img.example.com")
    assert (app.parent / "store" / "img" / Path(out).name.replace("%20", " ")).read_bytes() == photo(480, 320)


def test_url_of_a_rendering_is_that_of_its_object(url: Any) -> None:
    code, out, _ = url("img/my cat.jpg", "w-160,f-webp")
    assert (code, out.endswith(".w-160.webp")) == (0, True)


def test_url_of_any_other_transform_is_one_of_the_service(url: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3IMG_SERVICE_URL", "https://media.example.com")
    monkeypatch.setenv("S3IMG_SIGNING_KEYS", KEYS)
    for arguments, least, most in ([], 0, 0), (["--expires", "2h"], time.time() + 7190, time.time() + 7210):
        code, out, _ = url("img/my cat.jpg", "w-33", *arguments)
        assert (code, out.startswith("https://media.example.com/tr:w-33/img/my%20cat.")) == (0, True)
        verified = Signer.of(KEYS).verify(out.removeprefix("https://media.example.com"), now=time.time())
        assert least <= verified.expires <= most


@pytest.mark.parametrize("name", ["my cat.jpg", "../img/my cat.jpg"])
def test_url_takes_a_path_as_seen_from_this_folder(name: str, url: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = url("img/my cat.jpg")
    monkeypatch.chdir("img")
    assert url(name, "--config", "../s3img.toml") == expected
    assert url("img/my cat.jpg", "--config", "../s3img.toml") == expected


def test_url_as_markdown_and_html(url: Any) -> None:
    _, address, _ = url("img/my cat.jpg")
    assert url("img/my cat.jpg", "--format", "markdown", "--alt", "a [cat]\n")[1] == rf"![a \[cat\]]({address})"
    picture = url("img/my cat.jpg", "--format", "html", "--alt", 'a "cat"')[1]
    assert picture.startswith('<picture class="s3img"><source ')
    assert 'alt="a &quot;cat&quot;"' in picture
    assert 'width="480" height="320"' in picture


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["img/my cta.jpg"], 1, "Did you mean 'img/my cat.jpg'?"),
        (["img/my cat.jpg", "w-x"], 2, "w-x"),
        (["img/my cat.jpg", "w-33"], 3, "service"),
        (["img/my cat.jpg", "--lock", "none.lock"], 3, "none.lock: does not exist."),
        (["img/my cat.jpg", "--expires", "soon"], 2, "write 7d, 12h or 30m"),
        (["img/my cat.jpg", "--expires", "1h", "--format", "html"], 2, "a <picture> has many addresses"),
        (["img/my cat.jpg", "w-160", "--expires", "2h"], 3, "only signed addresses of the service end"),
    ],
)
def test_url_says_what_is_wrong(url: Any, arguments: list[str], code: int, message: str) -> None:
    found, out, err = url(*arguments)
    assert (found, out) == (code, "")
    assert message in err


@pytest.mark.parametrize("lock", [True, False])
def test_url_of_a_picture_in_no_lock_names_the_command_that_signs(url: Any, app: Path, *, lock: bool) -> None:
    if not lock:
        (app / "s3img.lock").unlink()
    code, out, err = url("uploads/my cat.jpg", "w-300")
    assert (code, out) == (1 if lock else 3, "")
    assert "picture that is only in the bucket: s3img sign '/tr:w-300/uploads/my cat.jpg'" in " ".join(err.split())


def test_url_loads_neither_pillow_nor_boto3(app: Path) -> None:
    script = (
        "import sys\nfrom s3img.cli import main\n"
        "try:\n    main(['url', 'img/my cat.jpg', 'w-160,f-webp'])\n"
        "except SystemExit:\n    print(sorted({'PIL', 'boto3', 'botocore', 'obstore', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=app, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "[]"


def test_url_is_what_the_library_says(url: Any, app: Path) -> None:
    config = Config(bucket=(app.parent / "store").as_uri(), public_url="https://img.example.com")
    assert url("img/my cat.jpg")[1] == Images(config).url("img/my cat.jpg", lock=app / "s3img.lock")


def test_address_in_imagekits_form_is_one_of_the_service(app: Path) -> None:
    settings = {"public_url": "https://img.example.com", "service_url": "https://s.example.com"}
    images = Images(Config(**settings, imagekit_private_key="new old"))
    url = images.url("img/my cat.jpg", "w-40,h-30", dialect="imagekit", expires=1_800_000_000)
    assert url.startswith("https://s.example.com/")
    assert "?tr=w-40,h-30&ik-t=1800000000&ik-s=" in url
    with pytest.raises(ConfigError, match="service_url"):
        Images(Config(public_url="https://img.example.com")).url("img/my cat.jpg", dialect="imagekit")
