"""A folder of the file system as a bucket (``file:///folder``): plain files, nothing else.

Media type, cache header and metadata of a ``put`` have no place in a folder and are not kept.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from s3img.atomic import TEMPORARY_PREFIX, temporary_beside
from s3img.buckets.protocol import (
    IMMUTABLE,
    CheckedReader,
    ObjectInfo,
    OpenObject,
    RequestCounter,
    byte_range,
    other_etag,
    reopened,
)
from s3img.config.address import DirectoryAddress
from s3img.errors import AccessDenied, BucketError, InvalidPrefix, ObjectNotFound, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from s3img.buckets.protocol import UnfinishedUpload

_CHUNK = 1 << 20
_ABANDONED = 3600.0
"""Seconds after which a temporary file can only be what a killed run left behind."""

_PROBLEMS: dict[int, tuple[type[BucketError], str]] = {
    errno.ENOENT: (ObjectNotFound, "Check the key and the folder."),
    errno.EACCES: (AccessDenied, "Let the user who runs s3img write to this folder."),
    errno.EPERM: (AccessDenied, "Let the user who runs s3img write to this folder."),
    errno.EROFS: (AccessDenied, "Choose a folder on a file system that can be written."),
    errno.ENAMETOOLONG: (BucketError, "Shorten the file's name, or `key_template`: most file systems allow 255 bytes."),
    errno.ENOSPC: (BucketError, "Free some space and run the command again."),
    errno.EDQUOT: (BucketError, "Free some space and run the command again."),
    errno.ENOTDIR: (BucketError, "A file stands where this key needs a folder: remove it or change `key_template`."),
    errno.EEXIST: (BucketError, "A file stands where this key needs a folder: remove it or change `key_template`."),
    errno.EIO: (Unreachable, "Run the command again; if it stays, check the folder and its disk."),
    errno.EISDIR: (BucketError, "A folder stands where this key needs a file: remove it or change `key_template`."),
}


_NO_FILE = frozenset({errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})
"""What is wrong with a name that no file can have: who reads it is told that it is not there."""


_NAME_A_FOLDER = "Name a folder of the bucket, such as img/."


class DirectoryBucket:
    """Keep objects as files below ``folder``; a file is whole or not there, and no key leads outside."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._counter = RequestCounter()

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return reopened, (type(self), self._folder)

    @property
    def name(self) -> str:
        """The ``file://`` address."""
        return str(DirectoryAddress(self._folder))

    @property
    def requests(self) -> Mapping[str, int]:
        """Operations so far, by name."""
        return self._counter.totals()

    def has_credentials(self) -> bool:
        """Return True: a folder asks for none."""
        return True

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the files below the folder whose key starts with ``prefix``; links are not followed."""
        self._counter.add("list")
        parent = prefix.rpartition("/")[0]
        with self._file("list", parent) as start:
            infos = _walk(start, f"{parent}/" if parent else "")
            yield from (info for info in infos if info.key.startswith(prefix))

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        media_type: str,  # noqa: ARG002 - part of the protocol; a folder has no place for it
        cache_control: str = IMMUTABLE,  # noqa: ARG002 - likewise
        metadata: Mapping[str, str] | None = None,  # noqa: ARG002 - likewise
        headers: Mapping[str, str] | None = None,  # noqa: ARG002 - likewise
        sha256: str = "",
        only_new: bool = False,
    ) -> None:
        """Write the file beside its final name, then move it there in one step."""
        self._counter.add("put")
        with self._file("put", key) as path, CheckedReader(source, sha256) as content:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(temporary_beside(str(path)))
            try:
                with temporary.open("xb") as file:
                    while chunk := content.read(_CHUNK):
                        file.write(chunk)
                if only_new:
                    self._link(temporary, path, key)
                else:
                    temporary.replace(path)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise

    def _link(self, temporary: Path, path: Path, key: str) -> None:
        """Give a file its name unless the name is taken, also by another process at the same time."""
        try:
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                raise
            except OSError:  # FAT has no links, nor have some shares: there an empty file takes the name
                path.open("xb").close()
                try:
                    temporary.replace(path)
                except BaseException:
                    if not path.stat().st_size:  # an object without bytes would keep the name for ever
                        path.unlink()
                    raise
            else:
                temporary.unlink()
        except FileExistsError:
            message = f"{self.name}: {key!r} is there already (EEXIST)."
            fix = "Read it again before you write it."
            raise BucketError(
                message, code="EEXIST", reason="condition-failed", action="put", bucket=self.name, key=key, fix=fix
            ) from None

    def refuses_taken(self) -> bool:
        """Return True: a file system gives a name once."""
        return True

    def get(self, key: str) -> bytes:
        """Return the file's bytes."""
        with self.open(key) as found:
            return found.read()

    def open(
        self, key: str, *, version: str = "", start: int = 0, stop: int | None = None, etag: str = ""
    ) -> OpenObject:
        """Read the file; a folder keeps no versions."""
        self._counter.add("get")
        with self._file("get", key) as path, ExitStack() as stack:
            if version or not _holds(path.is_file):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            file = stack.enter_context(path.open("rb"))
            info = _info(key, os.fstat(file.fileno()))
            if etag and etag != info.etag:
                raise other_etag(self.name, key)
            start, stop = byte_range((self.name, key), info.size, start, stop)
            file.seek(start)
            stack.pop_all()
        return OpenObject(info, file, partial(self._explained, "get", key), start=start, stop=stop)

    def head(self, key: str) -> ObjectInfo | None:
        """Describe the file, or return None without one."""
        self._counter.add("head")
        with self._file("head", key) as path:
            return _info(key, path.stat()) if _holds(path.is_file) else None

    def delete(self, keys: Iterable[str]) -> None:
        """Remove these files; their folders stay."""
        for key in keys:
            self._counter.add("delete")
            with self._file("delete", key) as path, suppress(FileNotFoundError):
                if _holds(path.is_file):  # a folder of this name holds other objects
                    path.unlink()

    def unfinished(self, prefix: str = "") -> Sequence[UnfinishedUpload]:  # noqa: ARG002 - part of the protocol
        """Return none: what a killed process was writing is deleted by the next listing."""
        return ()

    def give_up(self, upload: UnfinishedUpload) -> None:
        """Do nothing: there are no uploads in parts."""

    @contextmanager
    def _file(self, action: str, key: str) -> Iterator[Path]:
        """Lend the path of a key and turn what the file system answers into our errors."""
        with self._explained(action, key):
            yield self._path(action, key) if key else self._folder

    @contextmanager
    def _explained(self, action: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            number = error.errno or 0
            kind, fix = _PROBLEMS.get(number, (BucketError, "Check the folder and its disk."))
            if action in {"get", "head"} and number in _NO_FILE:
                kind = ObjectNotFound
            if action == "list" and number in _NO_FILE:
                kind, fix = InvalidPrefix, _NAME_A_FOLDER
            code = errno.errorcode.get(number, type(error).__name__)
            message = f"{self.name}: can't {action} {key!r}: {error.strerror or type(error).__name__} ({code})."
            raise kind(message, code=code, action=action, bucket=self.name, key=key, fix=fix) from error

    def _path(self, action: str, key: str) -> Path:
        """Place a key below the folder; refuse one that could lead out of it, by its text or by a link."""
        if not all(_is_file_name(segment) for segment in key.split("/")):
            raise self._refused(action, key, "an empty segment, '.', '..' or a character that no file's name can have")
        path = self._folder.joinpath(*key.split("/"))
        if _holds(path.is_symlink) or not path.parent.resolve().is_relative_to(self._folder.resolve()):
            raise self._refused(action, key, "a symbolic link on its way")
        return path

    def _refused(self, action: str, key: str, what: str) -> BucketError:
        message = f"{self.name}: {key!r} can't be a file of this folder: it has {what}."
        fix = "Change the file's name or `key_template`."
        kind = ObjectNotFound if action in {"get", "head"} else BucketError
        if action == "list":  # what is asked for is wrong, not the store: a visitor of the gallery may write any prefix
            message = f"{self.name}: {key!r} can't be a folder below it: it has {what}."
            kind, fix = InvalidPrefix, _NAME_A_FOLDER
        return kind(message, code="InvalidKey", action=action, bucket=self.name, key=key, fix=fix)


def _walk(folder: Path, prefix: str) -> Iterator[ObjectInfo]:
    """Yield the regular files below a folder, in no order; remove temporary files that a killed run left."""
    waiting = [(str(folder), prefix)]
    while waiting:
        place, prefix = waiting.pop()
        try:
            with os.scandir(place) as scan:
                entries = [entry for entry in scan if _is_text(entry.name)]
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            key = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append((entry.path, f"{key}/"))
            elif entry.name.startswith(TEMPORARY_PREFIX) and entry.name.endswith(".tmp"):
                _sweep(entry)
            elif entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    yield _info(key, entry.stat(follow_symlinks=False))


def _is_file_name(segment: str) -> bool:
    """Tell whether a key's segment names one file on this system: no separator, no drive, nothing special."""
    return segment != ".." and "\0" not in segment and Path(segment).name == segment != "" and _is_text(segment)


def _holds(check: Callable[[], bool]) -> bool:
    """Ask something of a path; a name that is too long for a file is the name of none."""
    try:
        return check()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


def _is_text(name: str) -> bool:
    """Tell whether a file's name is UTF-8; others can't be a key."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sweep(entry: os.DirEntry[str]) -> None:
    with suppress(OSError):
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED:
            Path(entry.path).unlink()


def _info(key: str, stat: os.stat_result) -> ObjectInfo:
    etag = f"{stat.st_mtime_ns:x}-{stat.st_size:x}"
    return ObjectInfo(key, stat.st_size, etag, datetime.fromtimestamp(stat.st_mtime, UTC))
