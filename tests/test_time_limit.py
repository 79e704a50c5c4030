"""A server that sends a byte now and then never meets a socket's time-out; requests end all the same."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from slow_server import slow_server

from s3img.cli.healthcheck import healthcheck_command
from s3img.doctor import fetch
from s3img.errors import Unreachable
from s3img.publish import library
from s3img.time_limit import call_within

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def trickling() -> Iterator[str]:
    """Return the address of a server that never ends its headers."""
    with slow_server(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a", pause=0.05) as url:
        yield url


def test_call_within_its_time_returns_what_it_returns() -> None:
    assert call_within(60, lambda: 42) == 42


def test_call_that_raises_is_told_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        call_within(60, lambda: 1 / 0)


def test_call_that_takes_longer_is_given_up() -> None:
    over = threading.Event()
    with pytest.raises(TimeoutError, match="no whole answer"):
        call_within(0.05, lambda: over.wait(30))
    over.set()


@pytest.mark.slow
def test_doctor_gives_up_an_answer_that_trickles(trickling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "WHOLE_SECONDS", 0.5)
    with pytest.raises(TimeoutError):
        fetch.fetch(trickling + "/")


@pytest.mark.slow
def test_public_object_that_trickles_is_not_reachable(trickling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_SECONDS", 0.5)
    with pytest.raises(Unreachable, match="no whole answer"):
        library.PublicObjects(trickling, limit=1000).check("cat.jpg")


@pytest.mark.slow
def test_healthcheck_of_a_service_that_trickles_fails(trickling: str) -> None:
    done = CliRunner().invoke(healthcheck_command, [trickling, "--timeout", "0.5"], standalone_mode=False)
    assert done.return_value == 1
