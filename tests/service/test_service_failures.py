from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from s3img import errors
from s3img.service.access import ClientLimiter
from s3img.service.failure import KINDS, kind_of, respond

if TYPE_CHECKING:
    from collections.abc import Callable

    from transform_service import Served

DOCUMENT = Path(__file__).parents[2] / "docs" / "service.md"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/tr:nonsense-3/cat.jpg", (400, "EINVAL")),
        ("/cat.jpg?ik-attachment=perhaps", (400, "EREQUEST")),
        ("/info/missing.jpg", (404, "ENOENT")),
        ("/tr:w-20000/cat.jpg", (413, "ELIMIT")),
        ("/tr:w-9/notes.txt", (415, "EFORMAT")),
        ("/info/notes.txt", (415, "EFORMAT")),
        ("/tr:w-9/broken.jpg", (422, "EIMAGE")),
    ],
)
def test_failure_has_a_stable_code(serve: Callable[..., Served], path: str, expected: tuple[int, str]) -> None:
    assert serve().status(path) == expected


def test_bad_token_is_named(serve: Callable[..., Served]) -> None:
    assert "'wdith-3'" in serve().ask("/tr:w-9,wdith-3/cat.jpg").text


def test_failure_is_text_or_json(serve: Callable[..., Served]) -> None:
    served = serve()
    text, json = (served.ask("/missing.jpg", Accept=accept) for accept in ("image/avif,*/*", "application/json"))
    assert (text.mimetype, text.text) == ("text/plain", "ENOENT: No origin has this picture.\n")
    assert json.json is not None
    assert {name: json.json["error"][name] for name in ("status", "code")} == {"status": 404, "code": "ENOENT"}
    assert json.json["error"]["request_id"] == json.headers["X-Request-ID"]


def subclasses(cls: type[Exception]) -> set[type[Exception]]:
    return {cls}.union(*(subclasses(child) for child in cls.__subclasses__()))


@pytest.mark.parametrize("cls", sorted(subclasses(errors.RequestError) | subclasses(errors.BucketError), key=str))
def test_status_is_that_of_the_error_tree(cls: type[errors.S3ImgError]) -> None:
    if not issubclass(cls, errors.AccessDenied):  # which may mean missing
        assert kind_of(cls.__new__(cls)).status == cls.status


@pytest.mark.parametrize("error", [errors.Busy("x", retry_after=7), errors.TooManyRequests("x", retry_after=7)])
def test_client_is_told_when_to_come_back(error: errors.S3ImgError) -> None:
    answer = respond(error, accept="", request_id="i")
    assert (answer.status, answer.headers["Retry-After"]) == (error.status, "7")


def test_saturated_service_says_so(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()

    def refuse(*_: Any, **__: Any) -> None:
        raise errors.Busy("full", retry_after=3)

    monkeypatch.setattr(served.app._engine, "result", refuse)
    monkeypatch.setattr(served.app._engine, "ready", refuse)
    for path in ("/tr:w-9/cat.jpg", "/readyz"):
        answer = served.ask(path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")


def test_client_has_so_many_places() -> None:
    clients = ClientLimiter(2)
    with clients.count("a"), clients.count("a"):
        with pytest.raises(errors.TooManyRequests), clients.count("a"):
            pass
        with clients.count("b"):
            pass
    with clients.count("a"):
        pass


def test_greedy_client_is_asked_to_wait(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve(service={"per_client": 1})
    entered, leave = threading.Event(), threading.Event()
    facts = served.app._engine.facts

    def slow(*arguments: Any) -> Any:
        entered.set()
        leave.wait(30)
        return facts(*arguments)

    monkeypatch.setattr(served.app._engine, "facts", slow)
    first = threading.Thread(target=served.ask, args=("/cat.jpg", "HEAD"))
    first.start()
    entered.wait(30)
    try:
        assert served.status("/tr:w-9/cat.jpg") == (429, "ERATE")
    finally:
        leave.set()
        first.join(30)
    assert served.status("/tr:w-9/cat.jpg")[0] == 200


def test_document_lists_every_status_and_code() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(E[A-Z]+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    known = {(str(kind.status), kind.code) for kind in KINDS.values()} | {("500", "EINTERNAL")}
    assert sorted(set(rows)) == sorted(known)
