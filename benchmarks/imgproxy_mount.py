"""What a request in imgproxy's form costs against the same request as ``tr:``, paired in one process without a server.

    python benchmarks/imgproxy_mount.py --rounds 15 --requests 400

Both addresses are signed and ask one service, whose origin is a folder, for the same picture. Requests of the two kinds
alternate in blocks, and a ratio is the median over the rounds of imgproxy / ``tr:`` in the same round, in CPU time of
the process. ``304``: the client's copy is current; ``kept``: the result is on disk; ``made``: it is decoded and encoded
in this process. Prints the table of ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from sites import photo

from s3img.config import Config
from s3img.limits import Limits
from s3img.service import TransformService
from s3img.signing import ImgproxySigner, Signer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEYS = {"keys": "943b421c9eb07c83", "salts": "520f986b998545b4"}
ROWS = {"304": 20, "kept": 20, "made": 1}
"""The kinds of requests, and how many requests of each are asked for one that is made."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=400, help="of each kind and round, a twentieth for `made`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder, "pictures")
        pictures.mkdir()
        (pictures / "photo.jpg").write_bytes(photo(1200, 800))
        config = Config(
            bucket=pictures.as_uri(),
            cache_dir=str(Path(folder, "cache")),
            signing_keys="1:0123456789abcdef0123456789abcdef",
            limits=Limits(isolate=False),
            imgproxy=KEYS,  # type: ignore[arg-type] # a table
        )
        app = TransformService(config, environ={})
        try:
            print("| request | `tr:`, ms | imgproxy, ms | ratio |\n|---|---|---|---|")
            for name, share in ROWS.items():
                print(row(app, name, options.rounds, max(1, options.requests * share // 20)))
        finally:
            app.close()


def row(app: TransformService, name: str, rounds: int, requests: int) -> str:
    """Measure one kind of request."""
    ask = {"tr:": asking(app, name, native_addresses()), "imgproxy": asking(app, name, imgproxy_addresses())}
    times: dict[str, list[float]] = {kind: [] for kind in ask}
    for number in range(rounds + 1):
        for kind in sorted(ask, reverse=number % 2 == 1):  # neither of the two is always the first
            started = time.process_time()
            for _ in range(requests):
                ask[kind]()
            if number:  # the first round fills caches
                times[kind].append((time.process_time() - started) / requests * 1000)
    ratio = median(second / first for first, second in zip(times["tr:"], times["imgproxy"], strict=True))
    return f"| {name} | {median(times['tr:']):.3f} | {median(times['imgproxy']):.3f} | {ratio:.2f} |"


def native_addresses() -> Iterator[str]:
    """Yield signed addresses of ever other widths."""
    signer = Signer.of("1:0123456789abcdef0123456789abcdef")
    for width in range(200, 10_000):
        yield signer.sign(f"/tr:w-{width % 800 + 200},h-200,c-at_max,f-jpeg,q-{70 + width // 800}/photo.jpg")


def imgproxy_addresses() -> Iterator[str]:
    """Yield addresses for the same pictures in imgproxy's form."""
    key, salt = (bytes.fromhex(value) for value in KEYS.values())
    signer = ImgproxySigner(((key, salt),))
    for width in range(200, 10_000):
        options = f"rs:fit:{width % 800 + 200}:200/f:jpg/q:{70 + width // 800}"
        yield "/imgproxy" + signer.sign(f"/{options}/plain/local:///photo.jpg")


def asking(app: TransformService, name: str, addresses: Iterator[str]) -> Callable[[], object]:
    """Return a function that asks once, after the first answer where an earlier one is needed."""
    environ = request(next(addresses))
    if name == "made":
        return lambda: answer(app, request(next(addresses)), "200 OK")
    headers = answer(app, environ, "200 OK")
    if name == "304":
        environ["HTTP_IF_NONE_MATCH"] = headers["ETag"]
        return lambda: answer(app, dict(environ), "304 Not Modified")
    return lambda: answer(app, dict(environ), "200 OK")


def request(address: str) -> dict[str, Any]:
    """Return what a server hands to the application."""
    path, _, query = address.partition("?")
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "RAW_URI": address,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "HTTP_HOST": "127.0.0.1",
        "HTTP_ACCEPT": "image/avif,image/webp,*/*",
    }


def answer(app: TransformService, environ: dict[str, Any], expected: str) -> dict[str, str]:
    """Ask and read the whole answer; return its headers, and fail where its status is another one."""
    found: dict[str, Any] = {}

    def start(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], object]:
        found.update(headers, status=status)
        return lambda _: None

    body = app(environ, start)
    for _ in body:
        pass
    if close := getattr(body, "close", None):
        close()
    if found["status"] != expected:
        raise SystemExit(f"{environ['RAW_URI']}: {found['status']}")
    return found


if __name__ == "__main__":
    main()
