"""The service as it is deployed: gunicorn or granian with four workers, a store, nginx as a cache in front; all real."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from PIL import Image
from s3_servers import S3Server, free_ports, new_bucket
from wsgi_servers import Answer, running_granian, running_gunicorn, send

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples" / "service"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
AVIF = "image/avif,image/webp,image/apng,*/*;q=0.8"
WEBP = "image/webp,*/*"
ODD = "caf\u00e9 100%+a%2Fb;c.jpg"


@dataclass(frozen=True)
class Deployed:
    port: int
    log: Path
    process: subprocess.Popen[bytes]
    cache_port: int = 0

    def ask(self, target: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return send(self.cache_port or self.port, target, headers=named)

    def reached(self, target: str) -> int:
        """Count the requests that the service itself has seen."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return sum(line.get("target") == target for line in lines)


@pytest.fixture(scope="module")
def settings(seaweedfs: S3Server, picture_bytes: bytes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    bucket = new_bucket(seaweedfs)
    for key in ("cat.jpg", "two.jpg", ODD):
        bucket.bucket.put(key, picture_bytes, media_type="image/jpeg")
    noise = io.BytesIO()
    Image.frombytes("RGB", (1600, 1200), os.urandom(1600 * 1200 * 3)).save(noise, "JPEG")
    bucket.bucket.put("noise.jpg", noise.getvalue(), media_type="image/jpeg")
    return {
        "S3IMG_BUCKET": bucket.address,
        "S3IMG_ENDPOINT_URL": seaweedfs.endpoint_url,
        "S3IMG_ACCESS_KEY_ID": seaweedfs.access_key,
        "S3IMG_SECRET_ACCESS_KEY": seaweedfs.secret_key,
        "S3IMG_ACCESS": "open",
        "S3IMG_INSECURE": "1",
        "S3IMG_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
    }


@contextmanager
def example(
    server: str, settings: dict[str, str], *, workers: int, log: Path | None = None
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run a server with the settings of its example."""
    if server == "gunicorn":
        options = ("-c", str(EXAMPLES / "gunicorn.conf.py"))
        with running_gunicorn({**settings, "WEB_CONCURRENCY": str(workers)}, *options, log=log) as found:
            yield found
    else:
        lines = (EXAMPLES / "granian.env").read_text().splitlines()
        said = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
        with running_granian({**settings, **said, "GRANIAN_WORKERS": str(workers)}, log=log) as found:
            yield found


@pytest.fixture(scope="module", params=["gunicorn", "granian"])
def service(
    request: pytest.FixtureRequest, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("service")
    own = {**settings, "S3IMG_CACHE_DIR": str(folder / "cache")}
    with example(request.param, own, workers=4, log=folder / "log") as (port, process):
        yield Deployed(port, folder / "log", process)


@pytest.fixture(scope="module")
def cached(service: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Put nginx in front, with the example's own settings and other places."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    (port,) = free_ports(1)
    text = (EXAMPLES / "nginx.conf").read_text()
    places = {
        "/run/nginx.pid": f"{folder}/pid",
        "/var/log/nginx": str(folder),
        "/var/cache/nginx/s3img": f"{folder}/cache",
        "127.0.0.1:8000": f"127.0.0.1:{service.port}",
        "listen 8080": f"listen 127.0.0.1:{port}",
        "events {}": "events {}\ndaemon off;\n" + ("user root;\n" if os.geteuid() == 0 else ""),
        "http {\n": "http {\n" + "".join(f"{name}_temp_path {folder}/{name};\n" for name in TEMPORARY),
    }
    for old, new in places.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "nginx.conf").write_text(text)
    process = subprocess.Popen([NGINX, "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"])
    try:
        _wait(port, process)
        yield Deployed(service.port, service.log, service.process, port)
    finally:
        process.terminate()
        process.wait(30)


TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        try:
            send(port, "/healthz")
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("nginx does not start")


def test_workers_answer_alike(service: Deployed) -> None:
    answers = [service.ask("/tr:w-80/cat.jpg") for _ in range(24)]
    assert {(answer.status, answer.headers["ETag"], answer.body) for answer in answers} == {
        (200, answers[0].headers["ETag"], answers[0].body)
    }


def test_cache_answers_all_but_the_first_of_each_class(cached: Deployed) -> None:
    target = "/tr:w-90/cat.jpg"
    spellings = [
        AVIF,
        AVIF,
        "image/avif,*/*",
        WEBP,
        "image/avif;q=0,image/webp",
        "image/webp;q=0.9",
        "*/*",
        "image/png",
    ]
    answers = [cached.ask(target, Accept=accept) for accept in spellings * 5]
    types = [answer.headers["Content-Type"] for answer in answers[:8]]
    assert types[0] == types[1] in {"image/avif", "image/webp"}, "the smaller one of what such browsers take"
    assert types[3:] == ["image/webp"] * 3 + ["image/jpeg"] * 2
    assert {answer.headers["Vary"] for answer in answers} == {"Accept"}
    assert cached.reached(target) == 3


def test_cache_asks_once_for_many_at_once(cached: Deployed) -> None:
    target = "/tr:w-91/cat.jpg"
    threads = [threading.Thread(target=cached.ask, args=(target,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert cached.reached(target) == 1


def test_cache_answers_conditional_requests(cached: Deployed) -> None:
    first = cached.ask("/tr:w-92/cat.jpg")
    again = cached.ask("/tr:w-92/cat.jpg", If_None_Match=first.headers["ETag"])
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert cached.reached("/tr:w-92/cat.jpg") == 1


def test_cache_answers_ranges(cached: Deployed, picture_bytes: bytes) -> None:
    parts = [cached.ask("/two.jpg", Range=said) for said in ("bytes=0-99", "bytes=100-199", "bytes=-10")]
    assert [part.status for part in parts] == [206, 206, 206]
    assert [part.body for part in parts] == [picture_bytes[:100], picture_bytes[100:200], picture_bytes[-10:]]
    assert cached.reached("/two.jpg") == 1


@pytest.mark.parametrize("prefix", ["/", "/tr:orig-true/"])
def test_odd_key_survives_the_proxy(cached: Deployed, picture_bytes: bytes, prefix: str) -> None:
    assert cached.ask(prefix + quote(ODD)).body == picture_bytes


def test_failures_are_not_cached(cached: Deployed) -> None:
    assert [cached.ask("/missing.jpg").headers.get("X-Cache-Status") for _ in range(2)] == ["MISS", "MISS"]


@pytest.mark.parametrize(("server", "width"), [("gunicorn", 1500), ("granian", 1501)])
def test_requests_under_way_are_finished_on_sigterm(settings: dict[str, str], server: str, width: int) -> None:
    answers: list[Answer] = []
    with example(server, settings, workers=1) as (port, process):
        thread = threading.Thread(target=lambda: answers.append(send(port, f"/tr:w-{width},f-avif/noise.jpg")))
        thread.start()
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        thread.join(60)
        assert process.wait(60) == 0
    assert [(answer.status, answer.headers["Content-Type"]) for answer in answers] == [(200, "image/avif")]
