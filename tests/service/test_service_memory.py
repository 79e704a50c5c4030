"""What the service remembers of requests is bounded in bytes, whatever is asked for."""

from __future__ import annotations

import logging
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from s3img.errors import RequestTooLarge
from s3img.service.factory import log_to_stderr
from s3img.service.log import LOGGER
from s3img.service.request_parsing import parse_request, remember_short

if TYPE_CHECKING:
    from collections.abc import Callable

    from transform_service import Served

    from s3img.service import TransformService

LONG = "x" * 7_500


def send(app: TransformService, query: str, accept: str) -> None:
    """Ask without a client, which remembers addresses itself."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/nope.jpg", "QUERY_STRING": query, "HTTP_ACCEPT": accept}
    statuses: list[str] = []
    app(environ, lambda status, *_: statuses.append(status))  # type: ignore[arg-type,return-value] # writes nothing
    assert statuses == ["404 Not Found"]


@pytest.mark.slow
def test_long_addresses_are_not_remembered(serve: Callable[..., Served], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, LOGGER.name)
    app = serve().app
    send(app, "", "")
    tracemalloc.start()
    try:
        for number in range(300):
            send(app, f"{number}={LONG}", f"image/{number}-{LONG}")
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 100 * len(LONG)  # of 600 texts of this size


def test_short_texts_are_read_once() -> None:
    seen: list[str] = []
    read = remember_short(seen.append)
    for text in ("a", "a", "b" * 1_100, "b" * 1_100):
        read(text)
    assert seen == ["a", "b" * 1_100, "b" * 1_100]


def test_version_has_a_bound() -> None:
    with pytest.raises(RequestTooLarge, match="1024 bytes"):
        parse_request(f"/cat.jpg?versionId={'x' * 1025}")


def test_level_of_the_log_is_the_host_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOGGER, "propagate", False)
    monkeypatch.setattr(LOGGER, "handlers", [])
    monkeypatch.setattr(LOGGER, "level", logging.WARNING)
    log_to_stderr()
    assert (len(LOGGER.handlers), LOGGER.level) == (1, logging.WARNING)
