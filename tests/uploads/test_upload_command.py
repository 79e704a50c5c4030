from __future__ import annotations

import errno
import io
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from sites import photo

from s3img.cli import main
from s3img.doctor.fetch import is_in_own_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "My [cat].jpg").write_bytes(photo(60, 40))
    (tmp_path / "empty").mkdir()
    return tmp_path / "bucket"


def run(store: Path, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["upload", *arguments, "--bucket", store.as_uri(), "--public-url", "https://img.example.com"])
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("url", "https://img.example.com/u/My%20%5Bcat%5D.jpg"),
        ("key", "u/My [cat].jpg"),
        ("markdown", r"![My \[cat\]](https://img.example.com/u/My%20%5Bcat%5D.jpg)"),
        ("html", '<img src="https://img.example.com/u/My%20%5Bcat%5D.jpg" width="60" height="40" alt="My [cat]">'),
        ("rst", ".. image:: https://img.example.com/u/My%20%5Bcat%5D.jpg"),
        ("asciidoc", "image::https://img.example.com/u/My%20%5Bcat%5D.jpg[]"),
        ("bbcode", "[img]https://img.example.com/u/My%20%5Bcat%5D.jpg[/img]"),
        ("{name}|{width}x{height}|{key}", "My [cat].jpg|60x40|u/My [cat].jpg"),
    ],
)
def test_upload_prints_where_it_is(store: Path, capsys: Any, form: str, expected: str) -> None:
    assert run(store, "My [cat].jpg", "--template", "u/{{stem}}.{{ext}}", "--format", form) == 0
    assert capsys.readouterr().out == f"{expected}\n"
    assert (store / "u/My [cat].jpg").is_file()


def test_upload_twice_prints_the_same_address(store: Path, capsys: Any) -> None:
    for _ in range(2):
        assert run(store, "My [cat].jpg") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


def test_upload_with_variants_prints_the_whole_picture(store: Path, capsys: Any) -> None:
    (store.parent / "large.jpg").write_bytes(photo(400, 250))
    assert run(store, "large.jpg", "--variants", "--format", "html") == 0
    out = capsys.readouterr().out
    assert out.startswith("<picture")
    assert "srcset=" in out
    assert 'alt="large"' in out


def test_upload_takes_standard_input(store: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(photo(60, 40, format="PNG"))))
    assert run(store, "-", "--json") == 0
    saved = json.loads(capsys.readouterr().out)
    assert (saved["media_type"], saved["width"]) == ("image/png", 60)
    assert (store / saved["key"]).is_file()


def test_upload_of_several_names_the_one_that_is_no_picture(store: Path, capsys: Any) -> None:
    (store.parent / "bad.jpg").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert run(store, "My [cat].jpg", "bad.jpg") == 1
    assert "bad.jpg: The file is a Git LFS pointer" in capsys.readouterr().err


@pytest.fixture
def album(store: Path) -> Path:
    album = store.parent / "album"
    for name in ("b.JPG", "a.png", "day/c.webp", ".hidden.png", ".git/d.png"):
        (album / name).parent.mkdir(parents=True, exist_ok=True)
        form = {"G": "JPEG", "p": "WEBP"}.get(name[-1], "PNG")
        (album / name).write_bytes(photo(60, 40, format=form))
    (album / "notes.txt").write_text("notes")
    (album / "folder.png").mkdir()
    return album


def test_upload_of_a_folder_puts_its_pictures_below_their_folders(store: Path, album: Path, capsys: Any) -> None:
    template = ("--folder", "trip/", "--template", "{{dir}}/{{stem}}.{{ext}}", "--format", "key")
    assert run(store, str(album), *template) == 0
    assert capsys.readouterr().out.split() == ["trip/a.png", "trip/b.jpg", "trip/day/c.webp"]
    assert run(store, str(album), "My [cat].jpg", *template) == 0  # again, with another one: the same addresses
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_damaged_picture_keeps_no_other_of_its_folder_out(store: Path, album: Path, capsys: Any) -> None:
    (album / "a.png").write_bytes(b"no picture")
    assert run(store, "album", "--format", "{name}") == 1
    out, err = capsys.readouterr()
    assert out.split() == ["b.JPG", "c.webp"]
    assert "Error: album/a.png: " in err


def test_link_that_leads_out_of_a_folder_is_left_out(store: Path, album: Path, capsys: Any) -> None:
    try:
        (album / "out.jpg").symlink_to(store.parent / "My [cat].jpg")
        (album / "in.png").symlink_to("a.png")
    except OSError:
        pytest.skip("this system lets nobody make links")
    assert run(store, "album", "--format", "{name}") == 0
    out, err = capsys.readouterr()
    assert out.split() == ["a.png", "b.JPG", "c.webp", "in.png"]
    assert err == "Left out: album/out.jpg: leads out of album.\n"


def test_file_that_cannot_be_read_keeps_no_other_of_its_folder_out(
    store: Path, album: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refuse(file: Path, *arguments: Any, **options: Any) -> Any:
        if file.name == "a.png":
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(file, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    assert run(store, "album", "--format", "{name}") == 1
    out, err = capsys.readouterr()
    assert out.split() == ["b.JPG", "c.webp"]
    assert err == "Error: album/a.png: can't be read: Permission denied. Name a picture.\n"


def test_key_that_is_taken_keeps_no_other_of_its_folder_out(store: Path, album: Path, capsys: Any) -> None:
    (album / "a.jpg").write_bytes(photo(50, 40))
    assert run(store, "album", "--template", "{{height}}{{ext}}", "--format", "key") == 1
    out, err = capsys.readouterr()
    assert out.split() == ["40jpg", "40png", "40webp"]
    assert "Error: album/b.JPG: " in err


def test_pictures_of_a_folder_that_are_not_taken_are_named(store: Path, album: Path, capsys: Any) -> None:
    for name in ("logo.svg", "day/phone.HEIC", "scan.tif", ".x.svg"):
        (album / name).write_bytes(b"x")
    assert run(store, "album", "--format", "{name}") == 0
    out, err = capsys.readouterr()
    assert out.split() == ["a.png", "b.JPG", "c.webp"]
    assert "Left out: album/logo.svg: SVG is not taken." in err
    assert "Left out: album/day/phone.HEIC: HEIC is not taken." in err
    assert "album: left out 1 HEIC, 1 SVG, 1 TIFF; uploads take AVIF, GIF, JPEG, PNG, WEBP." in err
    assert ".x.svg" not in err


def test_folder_of_nothing_but_other_pictures_says_what_they_are(store: Path, capsys: Any) -> None:
    (store.parent / "empty/logo.svg").write_bytes(b"x")
    assert run(store, "empty") == 1
    assert "empty: left out 1 SVG" in capsys.readouterr().err


def test_address_of_the_web_is_fetched(store: Path, serve: Callable[..., str], tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/a b.jpg").write_bytes(photo(60, 40))
    url = serve(tmp_path / "web")
    assert run(store, f"{url}a%20b.jpg", "--template", "u/{{stem}}.{{ext}}", "--format", "key") == 0
    assert capsys.readouterr().out == "u/a b.jpg\n"
    assert run(store, f"{url}none.jpg") == 1
    assert "none.jpg: can't be fetched: the answer is 404" in capsys.readouterr().err


def test_address_that_does_not_answer_is_told_without_its_password(store: Path, capsys: Any) -> None:
    assert run(store, "http://me:secret-word@127.0.0.1:9/a.jpg") == 1
    err = capsys.readouterr().err
    assert "can't be fetched" in err
    assert "secret-word" not in err


@pytest.fixture
def clipboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of wl-paste, which gives what is in the file."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/wl-paste"
    program.write_text(f"#!/bin/sh\nexec cat '{tmp_path}/clipboard'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    return tmp_path / "clipboard"


@pytest.mark.skipif(sys.platform != "linux", reason="the stand-in is a program of Linux")
def test_picture_in_the_clipboard_is_put(store: Path, clipboard: Path, capsys: Any) -> None:
    clipboard.write_bytes(photo(60, 40, format="PNG"))
    assert run(store, "--clipboard", "--format", "{name} {width}x{height}") == 0
    assert capsys.readouterr().out == "clipboard.png 60x40\n"
    clipboard.write_bytes(b"no picture")
    assert run(store, "--clipboard") == 1
    assert "The clipboard: its content can't be read" in capsys.readouterr().err


def test_clipboard_is_left_alone_unless_it_is_named(store: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("PATH", "")
    assert run(store, "My [cat].jpg", "--clipboard-free") == 0
    assert run(store, "--clipboard-free") == 2
    assert "Name a FILE" in capsys.readouterr().err


@pytest.mark.parametrize(("form", "media_type"), [("webp", "WEBP"), ("png", "PNG"), ("jpeg", "JPEG")])
def test_pictures_are_converted(store: Path, capsys: Any, form: str, media_type: str) -> None:
    assert run(store, "My [cat].jpg", "--convert", form, "--template", "c.{{ext}}", "--format", "key") == 0
    with Image.open(store / capsys.readouterr().out.strip()) as image:
        assert (image.format, image.size) == (media_type, (60, 40))


def test_templates_of_the_settings_have_names(store: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("S3IMG_UPLOAD_TEMPLATES", '{"blog": "blog/{{slug}}.{{ext}}"}')
    monkeypatch.setenv("S3IMG_LINK_TEMPLATES", '{"figure": "<{url}|{width}>"}')
    assert run(store, "My [cat].jpg", "--template", "blog", "--format", "figure") == 0
    assert capsys.readouterr().out == "<https://img.example.com/blog/my-cat.jpg|60>\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("none.jpg",), 1, "none.jpg: can't be read"),
        (("empty",), 1, "empty: holds no picture. Name a folder with AVIF, "),
        (("My [cat].jpg", "--template", "{{yaer}}"), 3, "did you mean {{year}}"),
        (("My [cat].jpg", "--max-side", "-1"), 3, "max_side"),
        (("My [cat].jpg", "--format", "textile"), 3, "'textile' is not one of url, markdown, html, rst"),
        (("My [cat].jpg", "--format", "{url} {alt}"), 3, "{alt} is not known in '{url} {alt}'"),
    ],
)
def test_upload_explains_what_is_wrong(store: Path, capsys: Any, arguments: Any, code: int, words: str) -> None:
    assert run(store, *arguments) == code
    assert words in capsys.readouterr().err
    assert not [path for path in store.rglob("*") if path.is_file()]


def test_source_without_an_end_is_read_up_to_its_limit(
    store: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3IMG_LIMITS", '{"input_bytes": 5000}')
    assert run(store, "/dev/zero") == 1
    with Path("/dev/zero").open("rb") as zeros:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(zeros))
        assert run(store, "-") == 1
    assert capsys.readouterr().err.count("The upload has more than 5000 bytes") == 2


class Redirecting(BaseHTTPRequestHandler):
    """Send everybody to the address in the query."""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", self.path.partition("?")[2])
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def redirecting() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/a.jpg?"
        server.shutdown()


def test_redirect_into_the_own_network_is_not_followed(
    store: Path, redirecting: str, serve: Callable[..., str], capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stands for one of the public network, which must not learn what is behind this machine."""
    (store.parent / "web").mkdir()
    (store.parent / "web/a.jpg").write_bytes(photo(60, 40))
    inside = f"{serve(store.parent / 'web')}a.jpg"
    assert run(store, f"{redirecting}{inside}") == 0  # from one's own network to one's own network
    monkeypatch.setattr("s3img.doctor.fetch.is_in_own_network", lambda url: url.startswith("http://127."))
    assert run(store, f"{redirecting}{inside}") == 1
    assert "leads to an address of this machine's own network" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["http://[", "file:///etc/passwd", "ftp://127.0.0.1/a", "", "//[/a"])
def test_redirect_to_nothing_that_can_be_fetched_is_told(
    store: Path, redirecting: str, capsys: Any, target: str
) -> None:
    assert run(store, f"{redirecting}{target}") == 1
    assert "can't be fetched" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://[", "http://[::1", "https://a..b/c.jpg", "http://a b/c.jpg"])
def test_address_that_is_none_is_told(store: Path, capsys: Any, url: str) -> None:
    assert run(store, url) == 1
    assert "can't be fetched" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "is_inside"),
    [
        ("http://127.0.0.1/", True),
        ("http://[::1]:80/", True),
        ("http://[::ffff:127.0.0.1]/", True),
        ("http://169.254.169.254/latest/meta-data/", True),
        ("http://10.1.2.3/", True),
        ("http://0.0.0.0/", True),
        ("http://2130706433/", True),
        ("http://localhost/", True),
        ("https://93.184.215.14/a.jpg", False),
        ("http://[/", False),
    ],
)
def test_own_network_is_told_by_its_address(url: str, *, is_inside: bool) -> None:
    assert is_in_own_network(url) is is_inside


def test_upload_of_no_name_is_not_all_of_this_folder(
    store: Path, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty" / "private.jpg").write_bytes(photo(60, 40))
    monkeypatch.chdir(tmp_path / "empty")
    assert run(store, "") == 2
    assert "write . for this folder" in capsys.readouterr().err
