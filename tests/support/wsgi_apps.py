"""Small WSGI apps, locks, and a way to send one request and see all of the answer, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from s3img import Config
from s3img.lock import Lock, LockedVariants, LockEntry, VariantSettings, recipe, write_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = Config(public_url="https://img.example.com/app", widths=(320, 640), formats=("webp",))


def locked(path: str, *, variants: bool = False, digest: str = "a") -> LockEntry:
    made = LockedVariants(recipe(CONFIG), (("webp", (320, 640)), ("jpeg", (320, 640))))
    return LockEntry(path, digest * 64, 99_999, 1000, 500, "image/jpeg", f"{path}.orig", "", made if variants else None)


def make_lock(folder: Path, *entries: LockEntry) -> Path:
    write_lock(folder / "s3img.lock", Lock.of(entries, settings=VariantSettings.of(CONFIG)))
    return folder / "s3img.lock"


@dataclass
class Answer:
    """What a server sees: status, headers, chunks as they came, and how often the app's iterable was closed."""

    status: str = ""
    headers: Headers = field(default_factory=Headers)
    chunks: list[bytes] = field(default_factory=list)
    iterable: Any = None

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def text(self) -> str:
        return self.body.decode()


def send(app: Callable[..., Any], path: str = "/", *, most: int | None = None, **request: Any) -> Answer:
    """Send a request as a server does; ``most`` chunks are taken before the client goes away."""
    environ = EnvironBuilder(path, **request).get_environ()
    answer = Answer()

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        answer.status, answer.headers = status, Headers(headers)
        return answer.chunks.append

    answer.iterable = app(environ, start_response)
    try:
        for number, chunk in enumerate(answer.iterable, 1):
            assert answer.status, "the body began before the headers"
            answer.chunks.append(chunk)
            if number == most:
                break
    finally:
        if hasattr(answer.iterable, "close"):
            answer.iterable.close()
    return answer


class Chunks:
    """An app's iterable that counts how often it was asked and closed, and fails where it should."""

    def __init__(self, *chunks: bytes, fails: bool = False) -> None:
        self.chunks = list(chunks)
        self.fails = fails
        self.asked = self.closed = 0

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> bytes:
        self.asked += 1
        if self.chunks:
            return self.chunks.pop(0)
        if self.fails:
            raise RuntimeError("the app is broken")
        raise StopIteration

    def close(self) -> None:
        self.closed += 1


def app_of(
    body: Any, content_type: str = "text/html; charset=utf-8", *, status: str = "200 OK", **headers: str
) -> Callable[..., Any]:
    """Return an app that answers with one body; of bytes the length is declared."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        said = [(name.replace("_", "-"), value) for name, value in headers.items()]
        if isinstance(body, bytes) and "Content_Length" not in headers:
            said.append(("Content-Length", str(len(body))))
        start_response(status, [("Content-Type", content_type), *said])
        return [body] if isinstance(body, bytes) else body

    return app
