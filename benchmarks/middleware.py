"""What the middleware adds to a page of 50 KB: with the rewritten page kept, without, and for what is no page.

All ways take turns in one run, so that a busy machine slows all of them. The scanner's own time is that of putting
another address in place of every reference of the page (finding them alone is shown too); the bounds are 1 ms with a
kept page, and 3 times the scanner without.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3img import Config
from s3img.lock import Lock, LockedVariants, LockEntry, VariantSettings, recipe, write_lock
from s3img.middleware import RewriteMiddleware
from s3img.rewrite import OPTIONAL_KINDS, find_references, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGES = 8  # as many as 50 KB of a news page hold (160 references a MB)
BYTES = 50_000
ROUNDS = 300
CONFIG = Config(public_url="https://img.example.com/app")


def page(images: int, size: int) -> bytes:
    """Return a page like those of shops and blogs: a head, paragraphs with links, an image now and then."""
    text = '<p class="text">Words and <a href="/somewhere/else?x=1">a link</a> and more words, <b>some bold</b>.</p>\n'
    head = '<!doctype html><html><head><meta charset="utf-8"><title>T</title></head><body>\n'
    between = (size - len(head) - 110 * images) // images // len(text)
    parts = [f'<figure><img src="/static/{n}.jpg" alt="Picture {n}" class="wide"></figure>\n' for n in range(images)]
    return (head + "".join(part + text * between for part in parts) + "</body></html>").encode()


def middleware(folder: Path, app: Callable[..., Any], **options: Any) -> RewriteMiddleware:
    variants = LockedVariants(
        recipe(CONFIG), tuple((name, (320, 640, 960, 1280, 1920)) for name in ("avif", "webp", "jpeg"))
    )
    entries = [
        LockEntry(f"static/{n}.jpg", f"{n:064x}", 900_000, 3000, 2000, "image/jpeg", f"static/{n}.a.jpg", "", variants)
        for n in range(IMAGES)
    ]
    write_lock(folder / "s3img.lock", Lock.of(entries, settings=VariantSettings.of(CONFIG)))
    return RewriteMiddleware(app, CONFIG, lock=folder / "s3img.lock", **options)


def app_of(body: bytes, media_type: str) -> Callable[..., Any]:
    headers = [("Content-Type", media_type), ("Content-Length", str(len(body))), ("ETag", '"abc"')]

    def app(_: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", list(headers))
        return [body]

    return app


def request(app: Callable[..., Any]) -> int:
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/blog/post", "QUERY_STRING": "",
        "SERVER_NAME": "www.example.com", "SERVER_PORT": "443", "HTTP_HOST": "www.example.com",
        "wsgi.url_scheme": "https", "wsgi.input": BytesIO(),
    }  # fmt: skip
    body = app(environ, lambda *_: None)
    size = sum(map(len, body))
    if hasattr(body, "close"):
        body.close()
    return size


def milliseconds(act: Callable[[], object]) -> float:
    started = time.process_time_ns()
    act()
    return (time.process_time_ns() - started) / 1e6


def main() -> int:
    body = page(IMAGES, BYTES)
    html, other = app_of(body, "text/html; charset=utf-8"), app_of(body, "application/octet-stream")
    with tempfile.TemporaryDirectory() as folder:
        kept = middleware(Path(folder), html)
        fresh = middleware(Path(folder), html, cache_bytes=0)
        passing = middleware(Path(folder), other)
        ways: dict[str, Callable[[], object]] = {
            "app alone": lambda: request(html),
            "page, kept": lambda: request(kept),
            "page, made anew": lambda: request(fresh),
            "no page": lambda: request(passing),
            "scanner alone": lambda: rewrite(body, "text/html", lambda _: "/other.jpg", optional=OPTIONAL_KINDS),
            "finding alone": lambda: find_references(body, "text/html", optional=OPTIONAL_KINDS),
        }
        if min(request(kept), request(fresh)) < 2 * len(body) * 0.6 or request(passing) != len(body):
            raise SystemExit("the page was not rewritten")
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, act in ways.items():
                times[name].append(milliseconds(act))
    medians = {name: statistics.median(found) for name, found in times.items()}
    print(f"a page of {len(body):,} bytes with {IMAGES} pictures; CPU time, median of {ROUNDS}")
    for name, found in medians.items():
        print(f"{name:18}{found:9.3f} ms{sorted(times[name])[ROUNDS * 9 // 10]:9.3f} ms (p90)")
    added = {name: medians[name] - medians["app alone"] for name in ("page, kept", "page, made anew", "no page")}
    ratio, of_finding = (added["page, made anew"] / medians[name] for name in ("scanner alone", "finding alone"))
    print(f"added: {added['page, kept']:.3f} ms kept (bound 1 ms), {added['page, made anew']:.3f} ms made anew")
    print(f"made anew: {ratio:.2f} x the scanner (bound 3), {of_finding:.2f} x finding alone")
    print(f"{1000 * added['no page']:.1f} µs for what is no page")
    return int(added["page, kept"] > 1 or ratio > 3)


if __name__ == "__main__":
    sys.exit(main())
