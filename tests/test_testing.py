from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from sites import photo

from s3img.testing import NetworkUsed, network_blocked, temporary_store

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]


def test_store_holds_what_is_synced(tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static/cat.jpg").write_bytes(photo(60, 40))
    with temporary_store() as store:
        images = store.images(cache_dir=str(tmp_path / "cache"))
        assert images.sync(tmp_path / "static", lock=tmp_path / "s3img.lock").uploaded == 1
        key = store.keys()[0]
        assert key in store
        assert f"{store.public_url}/{key}" in store
        assert "other.jpg" not in store
    assert not store.folder.exists()


def test_blocked_network_refuses_connections() -> None:
    with network_blocked(), pytest.raises(NetworkUsed, match=r"192\.0\.2\.1"):
        socket.create_connection(("192.0.2.1", 80))
    with network_blocked(), pytest.raises(NetworkUsed), socket.socket() as plain:
        plain.connect(("127.0.0.1", 9))


def test_network_is_back_afterwards() -> None:
    with network_blocked():
        pass
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        assert client.getpeername() == server.getsockname()


def test_fixtures_work_in_a_users_suite(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["s3img.testing"]')
    pytester.makepyfile("""
        def test_it(s3img_store, no_network):
            s3img_store.bucket.put("a.txt", b"a", media_type="text/plain")
            assert s3img_store.keys() == ["a.txt"]
    """)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_configuration_takes_further_settings() -> None:
    with temporary_store() as store:
        assert store.config(widths=(10,)).widths == (10,)
