"""Several machines with the service over one bucket: each result is made at most once a machine, and a balancer helps."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import s3_servers
from accept_headers import CLIENTS
from s3_servers import S3Server, free_ports, new_bucket
from sites import photo
from werkzeug.test import Client
from wsgi_servers import running_gunicorn, send

from s3img import Config
from s3img.imaging.isolation import tasks
from s3img.limits import Limits
from s3img.service import TransformService
from s3img.service.caching import modern_formats
from s3img.service.engine import engine as engine_module
from s3img.service.engine import result_stores

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples" / "fleet"
NGINX, HAPROXY = (shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin") for name in ("nginx", "haproxy"))


def test_each_machine_renders_a_result_at_most_once(
    seaweedfs: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines, which share a bucket and no disk, are asked for the same at once, and once more later."""
    monkeypatch.setattr(result_stores, "PATIENCE", 60.0)
    made: list[int] = []

    def render_drawn(*arguments: Any, **keywords: Any) -> Any:
        made.append(1)
        return tasks.draw_request(*arguments, **keywords)

    monkeypatch.setattr(engine_module, "draw_request", render_drawn)
    bucket = new_bucket(seaweedfs)
    bucket.bucket.put("cat.jpg", photo(200, 150), media_type="image/jpeg")
    environ = {"S3IMG_ACCESS_KEY_ID": seaweedfs.access_key, "S3IMG_SECRET_ACCESS_KEY": seaweedfs.secret_key}
    settings: dict[str, Any] = {
        "bucket": bucket.address,
        "endpoint_url": bucket.options.endpoint_url,
        "addressing_style": "path",
        "region": "us-east-1",
        "access": "open",
        "limits": Limits(isolate=False),
    }
    machines = [TransformService(Config(**settings, cache_dir=str(tmp_path / name)), environ=environ) for name in "ab"]
    ask = "/tr:w-64,f-webp/cat.jpg"
    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda machine: Client(machine).get(ask), machines * 4)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.data for answer in answers}) == 1
    assert 1 <= len(made) <= 2
    for machine in machines:
        machine.close()
    made.clear()
    third = TransformService(Config(**settings, cache_dir=str(tmp_path / "c")), environ=environ)
    assert Client(third).get(ask).data == answers[0].data
    third.close()
    assert made == []
    assert len([*bucket.bucket.list(".s3img/results/")]) == 1


@pytest.mark.parametrize(("lease", "most"), [(0, 2), (60, 1)])
def test_processes_render_once_each_or_once_in_all(seaweedfs: S3Server, tmp_path: Path, lease: int, most: int) -> None:
    """Two machines are two processes with a cache each; both are asked for six sizes at the same moment."""
    bucket = new_bucket(seaweedfs)
    bucket.bucket.put("cat.jpg", photo(200, 150), media_type="image/jpeg")
    environ = {
        "S3IMG_ACCESS_KEY_ID": seaweedfs.access_key,
        "S3IMG_SECRET_ACCESS_KEY": seaweedfs.secret_key,
        "S3IMG_BUCKET": bucket.address,
        "S3IMG_ENDPOINT_URL": bucket.options.endpoint_url,
        "S3IMG_ADDRESSING_STYLE": "path",
        "S3IMG_REGION": "us-east-1",
        "S3IMG_ACCESS": "open",
        "S3IMG_INSECURE": "1",
        "S3IMG_SERVICE": json.dumps({"server_timing": True, "lease": lease, "seconds": 300}),
        "PYTHONPATH": str(Path(s3_servers.__file__).parent),
    }
    with contextlib.ExitStack() as stack:
        ports = [
            stack.enter_context(
                running_gunicorn(
                    {**environ, "S3IMG_CACHE_DIR": str(tmp_path / name)},
                    "--threads=8",
                    app="patient_service:create_app()",
                )
            )[0]
            for name in "ab"
        ]
        asked = [(port, f"/tr:w-{width},f-webp/cat.jpg") for width in range(30, 90, 10) for port in ports]
        with ThreadPoolExecutor(len(asked)) as pool:
            answers = [*zip(asked, pool.map(lambda one: send(*one), asked), strict=True)]
    assert {answer.status for _, answer in answers} == {200}
    made = Counter(path for (_, path), answer in answers if "render" in answer.headers["Server-Timing"])
    assert len(made) == 6
    assert max(made.values()) <= most
    assert all((tmp_path / name / "service").is_dir() for name in "ab")
    assert len([*bucket.bucket.list(".s3img/results/")]) == 6
    assert [*bucket.bucket.list(".s3img/leases/")] == []


def test_readiness_ends_while_a_machine_is_drained(tmp_path: Path) -> None:
    drain = tmp_path / "drain"
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "cat.jpg").write_bytes(photo(60, 40))
    config = Config(
        bucket=(tmp_path / "pictures").as_uri(),
        cache_dir=str(tmp_path / "cache"),
        access="open",
        service={"drain_file": str(drain)},
    )
    service = TransformService(config)
    client = Client(service)
    assert client.get("/readyz").status_code == 200
    drain.touch()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert client.get("/healthz").status_code == 200
    assert client.get("/tr:orig-true/cat.jpg").status_code == 200
    drain.unlink()
    assert client.get("/readyz").status_code == 200
    service.close()


class Machine(BaseHTTPRequestHandler):
    """Answer with the number of the machine, or that it is ``full``."""

    full = 0

    def do_GET(self) -> None:
        port = self.server.server_port  # type: ignore[attr-defined]
        is_full = port == self.full and self.path != "/readyz"
        self.send_response(503 if is_full else 200)
        self.end_headers()
        self.wfile.write(b"0" if is_full else str(port).encode())

    def log_message(self, *_: Any) -> None:
        pass


def set_up_nginx(folder: Path, port: int, machines: list[int]) -> list[str]:
    """Write the example's file for this machine, and return the command."""
    places = {
        "/run/nginx.pid": f"{folder}/pid",
        "/var/log/nginx": str(folder),
        "listen 8080": f"listen 127.0.0.1:{port}",
        "worker_processes auto": "daemon off; master_process off",
    }
    write_example("nginx.conf", folder, machines, places)
    return [str(NGINX), "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]


def set_up_haproxy(folder: Path, port: int, machines: list[int]) -> list[str]:
    """Do the same for HAProxy."""
    write_example("haproxy.cfg", folder, machines, {"bind :8080": f"bind 127.0.0.1:{port}"})
    return [str(HAPROXY), "-db", "-f", f"{folder}/haproxy.cfg"]


def write_example(name: str, folder: Path, machines: list[int], places: dict[str, str]) -> None:
    text = (EXAMPLES / name).read_text()
    for number, port in enumerate(machines, 11):
        places[f"10.0.0.{number}:8000"] = f"127.0.0.1:{port}"
    for one, other in places.items():
        assert one in text
        text = text.replace(one, other)
    (folder / name).write_text(text)


@pytest.fixture(params=["nginx", "haproxy"])
def balancer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Run the balancer of an example in front of two machines that say which one they are."""
    program, set_up = {"nginx": (NGINX, set_up_nginx), "haproxy": (HAPROXY, set_up_haproxy)}[request.param]
    if program is None:
        pytest.skip(f"{request.param} is not installed")
    with contextlib.ExitStack() as stack:
        servers = [ThreadingHTTPServer(("127.0.0.1", 0), Machine) for _ in range(2)]
        for server in servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
        (port,) = free_ports(1)
        process = subprocess.Popen(set_up(tmp_path, port, [server.server_port for server in servers]))
        stack.callback(process.wait, 30)
        stack.callback(process.kill)
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            with contextlib.suppress(OSError):
                get(url, "/")
                break
            assert process.poll() is None
            time.sleep(0.1)
        yield url


def get(url: str, path: str) -> str:
    with urllib.request.urlopen(url + path, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def test_balancer_sends_all_sizes_of_a_picture_to_one_machine(balancer: str) -> None:
    forms = ("/tr:w-{}/2026/{}.jpg", "/2026/{1}.jpg?tr=w-{0}", "/tr:w-{},f-webp/2026/{}.jpg?ik-s=abc")
    machines = [
        {get(balancer, form.format(width, number)) for form in forms for width in (100, 200)} for number in range(24)
    ]
    assert {len(found) for found in machines} == {1}
    assert len(set.union(*machines)) == 2


def test_machine_that_is_full_passes_a_request_on(balancer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "full", int(get(balancer, "/tr:w-100/a.jpg")))
    assert int(get(balancer, "/tr:w-200/a.jpg")) not in {0, Machine.full}


ACCEPTS = (
    *filter(None, CLIENTS.values()),
    "image/webp",
    "image/avif;q=0,image/webp",
    "image/webp;q=0.0, */*",
    "TEXT/HTML",
)


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_edge_sends_the_class_of_each_browser() -> None:
    """The service takes it for what the browser itself has sent."""
    asked = json.dumps(
        [{"request": {"headers": {"accept": {"value": one}}}} for one in ACCEPTS] + [{"request": {"headers": {}}}]
    )
    program = (EXAMPLES / "cloudfront.js").read_text() + f"console.log(JSON.stringify({asked}.map(handler)))"
    done = subprocess.run(["node", "-e", program], check=True, capture_output=True, text=True)
    *found, without = (request["headers"]["accept"]["value"] for request in json.loads(done.stdout))
    assert without == "*/*"
    assert len({*found}) == 3
    for sent, normal in zip(ACCEPTS, found, strict=True):
        wanted = modern_formats(sent)
        # A browser that takes AVIF takes WebP as well: the class is that of the best it has named.
        assert ("image/avif" in modern_formats(normal)) == ("image/avif" in wanted)
        assert bool(modern_formats(normal)) == bool(wanted)
