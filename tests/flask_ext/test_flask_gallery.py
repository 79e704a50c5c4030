"""The gallery as part of an app: behind its login, and nowhere without one."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session
from flask_s3img import register
from flask_wtf import CSRFProtect
from PIL import Image

from s3img.errors import ConfigError


def allowed(action: str, key: str, environ: dict[str, Any]) -> bool:
    return session.get("user") == "ann" and action != "delete"


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    made = Flask(__name__, root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    made.config.update(
        SECRET_KEY="k" * 32, S3IMG_BUCKET=(tmp_path / "bucket").as_uri(), S3IMG_PUBLIC_URL="https://x.example"
    )
    CSRFProtect(made)
    register(made, gallery="/images", authorize=allowed)

    @made.get("/login")
    def login() -> str:
        session["user"] = "ann"
        return "in"

    return made


def test_gallery_of_an_app_asks_for_its_login(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/images/").status_code == 403
    client.get("/login")
    page = client.get("/images/")
    assert page.status_code == 200
    token = re.search(r'name="token" value="([^"]+)"', page.text)
    assert token
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(file, "png")
    file.seek(0)
    form = {"token": token[1], "files": (file, "a.png")}
    answer = client.post("/images/upload?prefix=", data=form, headers={"Origin": "http://localhost"})
    assert answer.status_code == 200
    key = re.search(r"key=([^\"]+)", answer.text)
    assert key
    assert client.get(f"/images/object?key={key[1]}").status_code == 200
    assert client.get(f"/images/thumb?key={key[1]}&w=240").mimetype.startswith("image/")
    removal = {"token": token[1], "key": key[1]}
    assert client.post("/images/remove", data=removal, headers={"Origin": "http://localhost"}).status_code == 403


def test_gallery_without_authorize_is_refused(tmp_path: Path) -> None:
    made = Flask(__name__, root_path=str(tmp_path))
    with pytest.raises(ConfigError, match="authorize"):
        register(made, gallery="/images")
    assert "s3img" not in made.extensions


def test_gallery_of_the_example_is_behind_its_login(tmp_path: Path) -> None:
    example = tmp_path / "example"
    ignore = shutil.ignore_patterns("s3img.lock", "instance", "__pycache__")
    shutil.copytree(Path(__file__).parents[2] / "examples/flask_app", example, ignore=ignore)
    script = (
        "from gallery import create_app\n"
        "client = create_app().test_client()\n"
        "print(client.get('/images/').status_code)\n"
        "print(client.post('/login', data={'password': 'wrong'}).status_code, client.get('/images/').status_code)\n"
        "print(client.post('/login', data={'password': 'open sesame'}).status_code, client.get('/images/').status_code)\n"
    )
    environ = {
        **os.environ,
        "EDITORS_PASSWORD": "open sesame",
        "GALLERY_INSTANCE": str(example / "instance"),
        "S3IMG_CACHE_DIR": str(example / "cache"),
    }
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=example,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert found.stdout.split() == ["403", "200", "403", "302", "200"]
