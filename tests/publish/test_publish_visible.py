"""Before pages change, publish asks for one object as a visitor would."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from sites import Site, photo

from s3img import Config, Images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3img.publish.result import PublishResult


@contextmanager
def answering(**statuses: int) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Serve an address that answers each method with a status; yield it, and (method, path) of each request."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append((self.command, self.path))
            assert "Authorization" not in self.headers
            self.send_response(statuses[self.command])
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = answer  # noqa: N815 - the base class's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.fixture
def page(site: Site) -> Site:
    site.add("cat.jpg", photo(64, 48))
    site.page("index.html", '<img src="cat.jpg" alt="">')
    return site


def publish(site: Site, tmp_path: Path, public_url: str, **settings: object) -> PublishResult:
    values = {"bucket": (tmp_path / "bucket").as_uri(), "public_url": public_url, "formats": ("webp",), "widths": (32,)}
    config = Config(**values, cache_dir=str(tmp_path / "cache"), **settings)  # type: ignore[arg-type]
    return Images(config).publish(site.root)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refusal_ends_the_run_before_pages_change(status: int, page: Site, tmp_path: Path) -> None:
    before = page.text("index.html")
    with answering(GET=status) as (url, asked):
        result = publish(page, tmp_path, url)
    (problem,) = result.problems
    assert (result.exit_code, problem.code, result.pages_changed) == (1, "not-public", 0)
    assert f"{url}{asked[0][1]}" in problem.message
    assert f"HTTP {status}" in problem.message
    assert page.text("index.html") == before
    assert len(asked) == 1


def test_readable_object_is_asked_for_once_and_not_at_all_by_the_next_run(page: Site, tmp_path: Path) -> None:
    with answering(GET=200) as (url, asked):
        assert publish(page, tmp_path, url).problems == ()
        assert publish(page, tmp_path, url).problems == ()
    ((method, path),) = asked
    assert (method, (tmp_path / "bucket" / path[1:]).exists()) == ("GET", True)


def test_head_is_asked_where_get_is_refused(page: Site, tmp_path: Path) -> None:
    with answering(GET=405, HEAD=200) as (url, asked):
        result = publish(page, tmp_path, url)
    assert (result.problems, result.pages_changed, [method for method, _ in asked]) == ((), 1, ["GET", "HEAD"])


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://name.invalid"])
def test_address_that_cant_be_reached_is_a_note(url: str, page: Site, tmp_path: Path) -> None:
    result = publish(page, tmp_path, url)
    (problem,) = result.problems
    assert (result.exit_code, problem.severity, result.pages_changed) == (0, "note", 1)


def test_answer_that_tells_nothing_is_a_note(page: Site, tmp_path: Path) -> None:
    with answering(GET=503) as (url, _):
        result = publish(page, tmp_path, url)
    assert ([problem.severity for problem in result.problems], result.pages_changed) == (["note"], 1)


def test_check_can_be_turned_off(page: Site, tmp_path: Path) -> None:
    with answering(GET=403) as (url, asked):
        result = publish(page, tmp_path, url, check_public=False)
    assert (result.problems, result.pages_changed, asked) == ((), 1, [])
