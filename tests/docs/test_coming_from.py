"""Each command of the pages for those who come from other programs is run, with a store."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from flask import Flask, render_template_string
from s3_servers import new_bucket
from sites import photo

from s3img import Config, Images
from s3img.cli import main
from s3img.config.imgproxy import ImgproxySettings
from s3img.service import TransformService
from s3img.urls import imgproxy_url

if TYPE_CHECKING:
    from s3_servers import S3Server, TestBucket

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^ *```(?P<language>\w+)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(DOCS.glob("coming-from-*.md"))
SERVERS = ("s3img serve", "s3img gallery")
"""Commands that go on until somebody ends them: what they start is made here from the same settings."""


@pytest.fixture
def bucket(moto_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestBucket:
    """A bucket and its key in the environment, with a picture; the current folder is empty but for the same one."""
    found = new_bucket(moto_server)
    monkeypatch.chdir(tmp_path)
    names = ("S3IMG_ACCESS_KEY_ID", "S3IMG_SECRET_ACCESS_KEY", "S3IMG_PUBLIC_URL")
    for name, value in zip(names, (moto_server.access_key, moto_server.secret_key, found.public_url), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("S3IMG_CACHE_DIR", str(tmp_path / "cache"))
    Path("picture.jpg").write_bytes(photo(60, 40))
    found.bucket.put("cat.jpg", photo(400, 300), media_type="image/jpeg")
    return found


def commands(name: str) -> list[str]:
    """Return the command lines of a page, with what they export taken apart."""
    text = (DOCS / f"coming-from-{name}.md").read_text("utf-8")
    blocks = (found["body"] for found in BLOCK.finditer(text) if found["language"] in {"console", "sh"})
    return [line.strip().removeprefix("$ ").strip() for block in blocks for line in block.splitlines() if line.strip()]


def run(command: str, bucket: TestBucket, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run one line of a page with this bucket in place of the page's."""
    command = re.sub(r"s3://[\w/-]+", bucket.address, command).replace(
        "https://s3.example.com", bucket.server.endpoint_url
    )
    words = shlex.split(command)
    if words[0] == "export":
        for word in words[1:]:
            monkeypatch.setenv(*word.split("=", 1))
        return 0
    assert words[0] == "s3img"
    with pytest.raises(SystemExit) as ended:
        main(words[1:])
    return int(ended.value.code or 0)


def config_of(bucket: TestBucket, **settings: Any) -> Config:
    return Config(bucket=bucket.address, endpoint_url=bucket.server.endpoint_url, access="open", **settings)


def test_there_is_a_test_for_every_page() -> None:
    tested = {name.removeprefix("test_coming_from_").replace("_", "-") for name in globals() if "coming_from_" in name}
    assert {page.stem.removeprefix("coming-from-") for page in PAGES} == tested


def test_coming_from_s3_image_port(
    bucket: TestBucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = {
        "endpoint": bucket.server.endpoint_url,
        "bucket": bucket.name,
        "region": "us-east-1",
        "accKeyId": "AKIDSECRET",
        "secretAccessKey": "HUSHHUSH",
        "forcePathStyle": True,
        "pubUrl": bucket.public_url,
        "includePath": "",
    }
    upload = {"keyTemplate": "i/{{year}}/{{ulid}}.{{ext}}", "compressionOption": None}
    profile = {"name": "blog", "data": {"s3": store, "upload": upload, "gallery": {"autoRefresh": True}}}
    Path("profile.json").write_text(json.dumps(profile))
    lines = commands("s3-image-port")
    assert lines[0] == "s3img config import profile.json"
    for line in lines:
        if not line.startswith(SERVERS):
            assert run(line, bucket, monkeypatch) == 0, (line, capsys.readouterr())
    assert re.search(rf"!\[\w*\]\({re.escape(bucket.public_url)}/\S+\)", capsys.readouterr().out)


def test_coming_from_imagekit(
    bucket: TestBucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = commands("imagekit")
    assert lines[-1] == "s3img serve"
    for line in lines[:-1]:
        assert run(line, bucket, monkeypatch) in {0, 1}, (line, capsys.readouterr())  # 1: doctor only warns
    service = TransformService(config_of(bucket))
    assert get(service, "/cat.jpg", "tr=w-30,h-30,f-png") == "200 OK"
    assert get(service, "/tr:w-30:rt-90/cat.jpg") == "200 OK"


def test_coming_from_imgproxy(bucket: TestBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = commands("imgproxy")
    assert lines[-1] == "s3img serve"
    assert [run(line, bucket, monkeypatch) for line in lines[:-1]] == [0]
    signing = {name.lower(): os.environ[f"IMGPROXY_{name}"] for name in ("KEY", "SALT")}
    address = imgproxy_url(
        f"{bucket.address}/cat.jpg", "rs:fill:30:20", base_url="https://h/imgproxy", extension="webp", **signing
    )
    mount = ImgproxySettings(mount="/imgproxy", keys=signing["key"], salts=signing["salt"])
    service = TransformService(config_of(bucket, imgproxy=mount))
    assert get(service, address.removeprefix("https://h")) == "200 OK"


def test_coming_from_flask_s3(bucket: TestBucket, tmp_path: Path) -> None:
    text = (DOCS / "coming-from-flask-s3.md").read_text("utf-8")
    blocks = {
        found["language"]: "\n".join(line[4:] for line in found["body"].splitlines()) for found in BLOCK.finditer(text)
    }
    (tmp_path / "static").mkdir()
    (tmp_path / "static/cat.jpg").write_bytes(photo(400, 300))
    app = Flask("shop", root_path=str(tmp_path))
    app.config |= {"S3IMG_BUCKET": bucket.address, "S3IMG_ENDPOINT_URL": bucket.server.endpoint_url}
    exec(blocks["python"], {"app": app})
    assert commands("flask-s3") == ["flask s3img sync"]
    for command in ("sync", "doctor"):
        done = app.test_cli_runner().invoke(args=["s3img", command])
        assert done.exit_code in {0, 1}, done.output
    with app.test_request_context():
        html = render_template_string(blocks["jinja"])
    assert html.count(f"{bucket.public_url}/static/cat.") >= 2


def test_coming_from_eleventy_image(tmp_path: Path) -> None:
    site = tmp_path / "_site"
    site.mkdir()
    (site / "cat.jpg").write_bytes(photo(900, 600))
    attributes = 'data-s3img-widths="400 800" data-s3img-formats="webp"'
    (site / "index.html").write_text(
        f'<img src="cat.jpg" alt="" {attributes}><img src="cat.jpg" alt="" data-s3img="off">'
    )
    Images(Config(cache_dir=str(tmp_path / "cache"))).publish(site)
    html = (site / "index.html").read_text()
    assert ("400w" in html, "800w" in html, "avif" in html, "data-s3img" in html) == (True, True, False, False)
    assert '<img src="cat.jpg" alt="">' in html
    assert commands("eleventy-image") == []


def get(service: TransformService, path: str, query: str = "") -> str:
    """Ask the service for a path; return the status."""
    seen: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "RAW_URI": f"{path}?{query}",
        "PATH_INFO": unquote(path),
        "QUERY_STRING": query,
        "REMOTE_ADDR": "127.0.0.1",
    }
    b"".join(service(environ, lambda status, *_: seen.append(status)))  # type: ignore[arg-type, return-value]
    return seen[0]
