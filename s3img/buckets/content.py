"""The bytes of a ``put``, checked while they are read."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from s3img.errors import AssetError

if TYPE_CHECKING:
    from types import TracebackType

_AGAIN = "Run the command again once nothing writes to it."


class CheckedReader:
    """Read a source once, front to back, and fail at its end when its SHA-256 is not ``sha256`` ("" checks nothing).

    A store that makes an object visible only after the last read therefore never shows bytes that were not planned.
    There is no ``seek``: s3transfer would otherwise read the file again behind the check.
    """

    def __init__(self, source: Path | bytes, sha256: str = "") -> None:
        self._path = str(source) if isinstance(source, Path) else ""
        self._file = _open(source)
        self._sha256 = sha256
        self._hash = hashlib.sha256()

    def __enter__(self) -> CheckedReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, fewer only at the end; raise `AssetError` for an unreadable or changed file."""
        try:
            data = self._file.read(size)
        except OSError as error:
            raise unreadable(self._path, error) from error
        if self._sha256:
            self._hash.update(data)
            if size < 0 or len(data) < size:
                self._check()
        return data

    def _check(self) -> None:
        if self._hash.hexdigest() != self._sha256:
            raise changed(self._path)


def changed(path: str) -> AssetError:
    """Report a file whose bytes are no longer those that were planned."""
    return AssetError(
        f"{path or 'The content'}: changed between planning and upload; not uploaded.", path=path, fix=_AGAIN
    )


def unreadable(path: str, error: OSError) -> AssetError:
    """Report a file that can't be read."""
    why = error.strerror or type(error).__name__
    return AssetError(f"{path}: can't be read: {why}.", path=path, fix="Check that it exists and may be read.")


def _open(source: Path | bytes) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        return source.open("rb")
    except OSError as error:
        raise unreadable(str(source), error) from error
