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


PROFILES = '[profiles.blog]\nbucket = "{blog}"\npublic_url = "https://blog.example"\n'


def app_with_profiles(folder: Path, text: str) -> Flask:
    made = Flask(__name__, root_path=str(folder), instance_path=str(folder / "instance"))
    made.config.update(
        SECRET_KEY="k" * 32, S3IMG_BUCKET=(folder / "own").as_uri(), S3IMG_PUBLIC_URL="https://x.example"
    )
    (folder / "s3img.toml").write_text(text.format(blog=(folder / "blog").as_uri(), own=(folder / "own").as_uri()))
    return made


def test_gallery_shows_the_buckets_of_profiles_each_with_its_own_rights(tmp_path: Path) -> None:
    app = app_with_profiles(tmp_path, PROFILES)
    for name in ("own", "blog"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (40, 30), "red").save(tmp_path / name / f"{name}.png")
    blog: set[str] = set()
    register(
        app,
        gallery="/images",
        authorize={"": lambda action, key, environ: True, "blog": lambda action, key, environ: action in blog},
    )
    client = app.test_client()
    page = client.get("/images/").text
    assert ("own.png" in page, "blog.png" in page, 'href="/images/@blog/"' in page) == (True, False, True)
    assert client.get("/images/@blog/").status_code == 403
    blog.add("view")
    page = client.get("/images/@blog/").text
    assert ("own.png" in page, "blog.png" in page) == (False, True)
    assert "https://blog.example/blog.png" in client.get("/images/@blog/object?key=blog.png").text


@pytest.mark.parametrize(
    ("text", "profile", "problem"),
    [
        (PROFILES, "blgo", "has no table"),
        ('[profiles.blog]\nbucket = "{own}"\n', "blog", "the same bucket"),
        ('[profiles.blog]\nbuket = "{blog}"\n', "blog", "unknown setting"),
    ],
)
def test_profile_that_can_not_be_shown_is_told_at_the_start(
    tmp_path: Path, text: str, profile: str, problem: str
) -> None:
    app = app_with_profiles(tmp_path, text)
    with pytest.raises(ConfigError, match=problem):
        register(app, gallery="/images", authorize={"": allowed, profile: allowed})
    assert "s3img" not in app.extensions


def test_bucket_in_the_environment_is_not_shown_as_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_with_profiles(tmp_path, PROFILES)
    monkeypatch.setenv("S3IMG_BUCKET", (tmp_path / "third").as_uri())
    with pytest.raises(ConfigError, match="S3IMG_BUCKET in the environment"):
        register(app, gallery="/images", authorize={"": allowed, "blog": allowed})


@pytest.mark.parametrize("path", ["/", "//", "/a b", "/bilder-\u00e4", "/<name>", "/%41"])
def test_gallery_needs_a_path_of_plain_characters(tmp_path: Path, path: str) -> None:
    made = Flask(__name__, root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    with pytest.raises(ConfigError, match=r"gallery: .* is not a path"):
        register(made, gallery=path, authorize=allowed)
    assert "s3img" not in made.extensions
