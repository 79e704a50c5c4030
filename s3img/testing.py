"""For tests of programs that use s3img: a store in a folder, and a block on the network.

As a pytest plug-in: ``pytest_plugins = ["s3img.testing"]`` in ``conftest.py`` gives the fixtures ``s3img_store`` and
``no_network``; the functions work in any framework.
"""

from __future__ import annotations

import socket
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from s3img.buckets import Bucket, open_bucket
from s3img.config import Config
from s3img.images import Images

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import pytest
except ImportError:  # the functions need no pytest
    pytest = None  # type: ignore[assignment] # None stands for "not installed"

PUBLIC_URL = "https://img.test"


@dataclass(frozen=True, slots=True)
class Store:
    """An empty bucket in a folder; ``address`` is the value of ``bucket``, ``public_url`` that of the same name."""

    folder: Path
    public_url: str = PUBLIC_URL

    @property
    def address(self) -> str:
        """Return the ``file://`` address."""
        return self.folder.as_uri()

    @property
    def bucket(self) -> Bucket:
        """Return the bucket, opened."""
        return open_bucket(self.address)

    def config(self, **settings: Any) -> Config:  # noqa: ANN401 - settings are of any type
        """Return a configuration that names this store, with further settings."""
        return Config(**{"bucket": self.address, "public_url": self.public_url, **settings})

    def images(self, **settings: Any) -> Images:  # noqa: ANN401 - settings are of any type
        """Return an `Images` on this store."""
        return Images(self.config(**settings), environ={})

    def keys(self) -> list[str]:
        """Return the keys of all objects, sorted."""
        return sorted(info.key for info in self.bucket.list())

    def __contains__(self, url_or_key: object) -> bool:
        """Tell whether an object is there, by its key or its public URL."""
        return str(url_or_key).removeprefix(f"{self.public_url}/") in self.keys()


class NetworkUsed(AssertionError):
    """A connection that a test did not expect; ``address`` is where it would have gone."""

    def __init__(self, address: object) -> None:
        super().__init__(f"a connection to {address!r} was attempted")
        self.address = address


@contextmanager
def temporary_store() -> Iterator[Store]:
    """Give an empty store that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="s3img-store-") as folder:
        yield Store(Path(folder))


@contextmanager
def network_blocked() -> Iterator[None]:
    """Make every connection and every name look-up raise `NetworkUsed`."""

    def connect(_: socket.socket, address: object) -> None:
        raise NetworkUsed(address)

    def look_up(host: object, *_: object, **__: object) -> None:
        raise NetworkUsed(host)

    with (
        mock.patch.object(socket.socket, "connect", connect),
        mock.patch.object(socket.socket, "connect_ex", connect),
        mock.patch.object(socket, "getaddrinfo", look_up),
    ):
        yield


if pytest is not None:

    @pytest.fixture
    def s3img_store(tmp_path: Path) -> Store:
        """Return an empty store."""
        folder = tmp_path / "s3img-store"
        folder.mkdir()
        return Store(folder)

    @pytest.fixture
    def no_network() -> Iterator[None]:
        """Block the network during a test."""
        with network_blocked():
            yield
