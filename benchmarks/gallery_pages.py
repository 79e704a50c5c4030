"""Time pages of the gallery over a bucket with a million keys, and how many keys a second a search looks at.

    python benchmarks/gallery_pages.py [--keys 1000000] [--rounds 20]

The store is a program of its own that makes the answers to ListObjectsV2 while it is asked, and counts the time that
this takes; the gallery asks it through the same client as any store. Server time is that of the whole request, from
the WSGI call to the last byte of the page.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from werkzeug.test import Client

from s3img import Config
from s3img.buckets import ObjectInfo
from s3img.gallery import Gallery
from s3img.gallery.folder_page import MatchSearch
from s3img.manage import ObjectFilter

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

DATE = "2026-01-01T00:00:00.000Z"


def listing(total: int, query: dict[str, list[str]]) -> bytes:
    """Return a page of ``total`` objects, ``i/0000000.png`` and so on, as S3 writes it."""
    prefix = query.get("prefix", [""])[0]
    after = query.get("continuation-token", query.get("start-after", [""]))[0]
    limit = int(query.get("max-keys", ["1000"])[0])
    if "delimiter" in query and not prefix:
        inner = "<CommonPrefixes><Prefix>i/</Prefix></CommonPrefixes>"
        return page_of(inner, prefix, "")
    digits = after.removeprefix("i/")[:7]
    start = int(digits) + 1 if digits.isdigit() else 0
    stop = min(total, start + limit)
    inner = "".join(
        f"<Contents><Key>i/{number:07}.png</Key><LastModified>{DATE}</LastModified><ETag>&quot;{number:032x}&quot;</ETag>"
        f"<Size>{1000 + number % 9000}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for number in range(start, stop)
    )
    return page_of(inner, prefix, f"i/{stop - 1:07}.png" if stop < total else "")


def page_of(inner: str, prefix: str, token: str) -> bytes:
    """Return the document around a page of a listing."""
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>million</Name><Prefix>{prefix}</Prefix><MaxKeys>1000</MaxKeys>"
        f"{more if token else '<IsTruncated>false</IsTruncated>'}{inner}</ListBucketResult>"
    ).encode()


def serve(total: int, answer: Connection) -> None:
    """Serve listings until the process is ended; send the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = listing(total, parse_qs(urlsplit(self.path).query, keep_blank_values=True))
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answer.send(server.server_address[1])
    server.serve_forever()


def allow(*_: object) -> bool:
    """Let everybody do everything."""
    return True


def milliseconds(call: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Return the median and the slowest of ``rounds`` calls."""
    spent = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        spent.append(1000 * (time.perf_counter() - begun))
    return statistics.median(spent), max(spent)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    here, there = multiprocessing.Pipe()
    store = multiprocessing.get_context("spawn").Process(target=serve, args=(given.keys, there), daemon=True)
    store.start()
    port = here.recv()
    os.environ |= {"S3IMG_ACCESS_KEY_ID": "k", "S3IMG_SECRET_ACCESS_KEY": "s"}
    with tempfile.TemporaryDirectory() as folder:
        config = Config(bucket="s3://million", endpoint_url=f"http://127.0.0.1:{port}", region="auto", cache_dir=folder)
        gallery = Gallery(config, authorize=allow)
        client = Client(gallery)

        def page(path: str) -> None:
            answer = client.get(path)
            assert answer.status_code == 200, answer.status
            answer.get_data()

        begun = time.perf_counter()
        page("/?prefix=i/")
        print(f"| the first page after the start | {1000 * (time.perf_counter() - begun):.0f} ms | |")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for title, path in (
            ("a folder's first page", "/?prefix=i/"),
            ("a page in its middle", f"/?prefix=i/&after=i/{given.keys // 2:07}.png"),
            ("the folders of the top, counted", "/?counts=1"),
        ):
            median, most = milliseconds(lambda path=path: page(path), given.rounds)  # type: ignore[misc] # bound as it is
            print(f"| {title} | {median:.0f} ms | slowest {most:.0f} ms |")
        wanted = ObjectFilter.of("nothing has this name")
        search = MatchSearch(gallery.bucket, "i/", wanted, allowed=allow, seconds=60)
        begun, worked = time.perf_counter(), time.process_time()
        found = sum(1 for _ in search)
        spent, worked = time.perf_counter() - begun, time.process_time() - worked
        print(f"| a search, through the store | {search.searched / spent:,.0f} keys a second | {found} found |")
        print(f"| the same, without what the store takes | {search.searched / worked:,.0f} keys a second | |")
        info = next(iter(gallery.bucket.list("i/")))
        infos = (ObjectInfo(f"i/{number:07}.png", 1, "e", info.modified) for number in range(200_000))
        begun = time.perf_counter()
        for one in infos:
            wanted.matches(one)
        print(f"| the comparison alone | {200_000 / (time.perf_counter() - begun):,.0f} keys a second | |")
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"| memory that all this took beyond the first page | {grown:.0f} MB | |")
        gallery.close()
    store.terminate()


if __name__ == "__main__":
    main()
