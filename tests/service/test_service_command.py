from __future__ import annotations

import re
import socket
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path

import pytest
from werkzeug.test import Client

from s3img.config.load import load
from s3img.errors import ConfigError
from s3img.service import create_app
from s3img.service.app import client_is_gone

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
TESTS = Path(__file__).parents[1]


def test_app_is_made_from_the_environment(folder: Path, tmp_path: Path) -> None:
    environ = {
        "S3IMG_BUCKET": folder.as_uri(),
        "S3IMG_ACCESS": "named",
        "S3IMG_PRESETS": '{"small": "w-9"}',
        "S3IMG_CACHE_DIR": str(tmp_path),
        "S3IMG_SERVICE": '{"max_age": 5, "cors_origins": ["*"]}',
    }
    app = create_app(environ)
    answer = Client(app).get("/tr:n-small/cat.jpg")
    app.close()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=5")


@pytest.mark.parametrize("consent", ["", "0", "no"])
def test_open_service_is_refused_without_consent(folder: Path, consent: str) -> None:
    with pytest.raises(ConfigError, match="--insecure or S3IMG_INSECURE=1"):
        create_app({"S3IMG_BUCKET": folder.as_uri(), "S3IMG_ACCESS": "open", "S3IMG_INSECURE": consent})


def test_open_endpoint_is_refused_without_consent(folder: Path) -> None:
    endpoints = '{"web": {"origins": ["all"], "access": "open"}}'
    origins = f'{{"all": {{"bucket": "{folder.as_uri()}"}}}}'
    with pytest.raises(ConfigError, match=r"endpoints\.web\.access"):
        create_app({"S3IMG_ORIGINS": origins, "S3IMG_ENDPOINTS": endpoints, "S3IMG_SIGNING_KEYS": "k:s"})


def test_open_service_starts_with_consent(folder: Path, tmp_path: Path) -> None:
    environ = {"S3IMG_BUCKET": folder.as_uri(), "S3IMG_ACCESS": "open", "S3IMG_CACHE_DIR": str(tmp_path)}
    app = create_app({**environ, "S3IMG_INSECURE": "1"})
    assert Client(app).get("/tr:w-9/cat.jpg").status_code == 200
    app.close()


def test_signing_keys_in_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s3img.toml").write_text('signing_keys = "k1:hunter2"')
    with pytest.raises(ConfigError, match="S3IMG_SIGNING_KEYS") as caught:
        load(folder=tmp_path, environ={})
    assert "hunter2" not in str(caught.value)


def test_command_serves_a_folder(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "s3img", "serve", "--port=0", "--access=open", "--insecure"]
    environ = {"S3IMG_BUCKET": folder.as_uri(), "S3IMG_CACHE_DIR": str(tmp_path / "c"), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stderr is not None
    with process.stderr:
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        try:
            assert found, line
            with urllib.request.urlopen(f"{found[0]}/tr:w-9,f-png/cat.jpg") as answer:
                assert answer.headers["Content-Type"] == "image/png"
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [(["--access=open"], "--insecure", 3), ([], "S3IMG_SIGNING_KEYS", 3), (["--access=shut"], "signed", 2)],
)
def test_command_explains_what_is_missing(tmp_path: Path, arguments: list[str], words: str, code: int) -> None:
    command = [sys.executable, "-m", "s3img", "serve", f"--bucket={tmp_path.as_uri()}", *arguments]
    environ = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environ)
    assert (done.returncode, words in done.stderr) == (code, True)


def test_every_threat_names_tests_that_exist() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").partition("| threat |")[2].splitlines()
    rows = [row for row in table if row.startswith("| ") and not row.startswith("| ---")]
    written = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    existing = set(re.findall(r"^def (test_\w+)", written, re.MULTILINE))
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row.rpartition("|")[0].rpartition("|")[2]))
        assert named, row
        assert named <= existing, named - existing
    assert len(rows) > 15


def test_client_that_has_left_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        is_gone = partial(client_is_gone, {"gunicorn.socket": ours})
        assert not is_gone()
        theirs.send(b"x")
        assert not is_gone()
        ours.recv(1)
        theirs.close()
        assert is_gone()
    assert client_is_gone({"waitress.client_disconnected": lambda: True})
    assert not client_is_gone({})
