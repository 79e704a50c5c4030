"""``s3img healthcheck`` asks a service that runs, one that is full, one that is not there."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from s3_servers import free_ports
from werkzeug.serving import make_server

from s3img.cli import main
from s3img.service.factory import QuietHandler

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def answering(statuses: dict[str, str]) -> Iterator[str]:
    """Serve these statuses by path."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(statuses.get(environ["PATH_INFO"], "404 Not Found"), [])
        return [b""]

    server = make_server("127.0.0.1", 0, app, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def check(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["healthcheck", *arguments])
    return int(stopped.value.code or 0)


def test_healthcheck_asks_the_right_path() -> None:
    with answering({"/healthz": "200 OK", "/readyz": "503 Busy", "/img/healthz": "200 OK"}) as address:
        assert check(address) == 0
        assert check(f"{address}/img/") == 0
        assert check(address, "--ready") == 1
        assert check(f"{address}/else") == 1


def test_healthcheck_asks_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with answering({"/healthz": "200 OK"}) as address:
        assert check(address) == 0


def test_healthcheck_fails_where_nothing_listens(capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = free_ports(1)
    assert check(f"http://127.0.0.1:{port}") == 1
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["https://x", "127.0.0.1:8000", "http://", "http://x:99999"])
def test_healthcheck_refuses_other_addresses(address: str) -> None:
    assert check(address) == 2


@pytest.mark.parametrize("address", ["http://[::1", "http://127.0.0.1:99999", "ftp://127.0.0.1"])
def test_what_is_no_address_is_refused(capsys: pytest.CaptureFixture[str], address: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["healthcheck", address])
    assert ended.value.code == 2
    assert address in capsys.readouterr().err


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/b\u00fccher", f"http://{'a' * 64}.example"])
def test_an_address_that_can_not_be_sent_does_not_answer(capsys: pytest.CaptureFixture[str], address: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["healthcheck", address])
    assert ended.value.code == 1
    assert "does not answer" in capsys.readouterr().err


def test_a_time_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["healthcheck", "--timeout", "-1"])
    assert ended.value.code == 2
    assert "--timeout" in capsys.readouterr().err
