"""Run real code in every order in which its requests can reach one store.

What an actor does next follows from the answers that it has had. So an actor is run with the answers of one past until
it sends a request that has no answer yet; that request is remembered, and all orders in which the actor has had the same
answers share it. Orders that lead to the same store, with every actor having had the same answers, have the same future
and are followed once.
"""

from __future__ import annotations

import hashlib
import io
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3img.buckets import ObjectInfo, OpenObject
from s3img.errors import ObjectNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from s3img.buckets import Bucket
    from s3img.buckets.protocol import UnfinishedUpload

START = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Request:
    """What an actor asks for; ``key`` is a prefix of a list, and all the keys of a deletion with commas between."""

    action: str
    key: str
    data: bytes = b""
    metadata: tuple[tuple[str, str], ...] = ()


class _UnansweredError(BaseException):
    """Ends a run of an actor at a request that has no answer yet; no code under test handles it."""


@dataclass
class Store:
    """Objects with their bytes, time and metadata; its clock moves a minute with each write."""

    objects: dict[str, tuple[bytes, datetime, dict[str, str]]] = field(default_factory=dict)
    writes: int = 0

    def put(self, key: str, data: bytes, metadata: Mapping[str, str], modified: datetime | None = None) -> None:
        self.writes += 1
        self.objects[key] = (data, modified or START + timedelta(minutes=self.writes), dict(metadata))

    def info(self, key: str) -> ObjectInfo:
        data, modified, metadata = self.objects[key]
        return ObjectInfo(key, len(data), hashlib.sha256(data).hexdigest(), modified, metadata)

    def copy(self) -> Store:
        return Store(dict(self.objects), self.writes)

    def answer(self, request: Request) -> Any:
        """Do a request, and return what the actor gets to see."""
        key = request.key
        if request.action == "list":
            return tuple(self.info(known) for known in sorted(self.objects) if known.startswith(key))
        if request.action == "put":
            return self.put(key, request.data, dict(request.metadata))
        if request.action == "delete":
            return [self.objects.pop(doomed, None) for doomed in key.split(",")] and None
        if key not in self.objects:
            return None
        return self.info(key) if request.action == "head" else (self.info(key), self.objects[key][0])


class AnsweredBucket:
    """A bucket whose answers ``answer`` gives."""

    def __init__(self, answer: Callable[[Request], Any]) -> None:
        self._answer = answer
        self.name = "memory"
        self.requests: dict[str, int] = {}

    def has_credentials(self) -> bool:
        return True

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return iter(self._answer(Request("list", prefix)))

    def put(self, key: str, source: Path | bytes, *, metadata: Mapping[str, str] | None = None, **_: Any) -> None:
        data = source.read_bytes() if isinstance(source, Path) else source
        self._answer(Request("put", key, data, tuple((metadata or {}).items())))

    def get(self, key: str) -> bytes:
        return self.open(key).read()

    def open(self, key: str) -> OpenObject:
        found = self._answer(Request("get", key))
        if found is None:
            raise ObjectNotFound(key)
        return OpenObject(found[0], io.BytesIO(found[1]), nullcontext)

    def head(self, key: str) -> ObjectInfo | None:
        found: ObjectInfo | None = self._answer(Request("head", key))
        return found

    def delete(self, keys: Iterable[str]) -> None:
        if doomed := [*keys]:
            self._answer(Request("delete", ",".join(doomed)))

    def unfinished(self, prefix: str = "") -> Sequence[UnfinishedUpload]:
        return ()


def bucket_of(store: Store) -> Bucket:
    """Open a store for somebody who is alone with it."""
    return AnsweredBucket(store.answer)  # type: ignore[return-value] # reads and writes what the tests need


@dataclass
class Moment:
    """Where an actor is after some answers: the request that comes next, None at its end, and where each answer leads."""

    answers: tuple[Any, ...]
    request: Request | None
    after: dict[str, Moment] = field(default_factory=dict)


class Script:
    """What an actor does, found out by running it with the answers of each past."""

    def __init__(self, actor: Callable[[Any], object]) -> None:
        self._actor = actor
        self.start = Moment((), self._next_request(()))

    def after(self, moment: Moment, answer: Any) -> Moment:
        known = repr(answer)
        if known not in moment.after:
            answers = (*moment.answers, answer)
            moment.after[known] = Moment(answers, self._next_request(answers))
        return moment.after[known]

    def _next_request(self, answers: tuple[Any, ...]) -> Request | None:
        given, unanswered = iter(answers), []

        def answer(request: Request) -> Any:
            for one in given:
                return one
            unanswered.append(request)
            raise _UnansweredError

        try:
            self._actor(AnsweredBucket(answer))
        except _UnansweredError:
            return unanswered[0]  # code that tidies up on its way out may have sent more
        assert not unanswered
        return None


@dataclass(frozen=True)
class Ending:
    """One order to its end: who sent which request, in order, and the store it led to."""

    trace: tuple[tuple[str, str, str], ...]
    store: Store


def every_ending(
    store: Callable[[], Store], actors: Mapping[str, Callable[[Any], object]], *, joined: Iterable[str] = ()
) -> Iterator[Ending]:
    """Yield how each order ends; an order is the sequence of the actors' requests.

    Requests whose action is in ``joined`` follow the one before them of the same actor at once.
    """
    scripts, together = {name: Script(actor) for name, actor in actors.items()}, frozenset(joined)
    pending = [(store(), {name: script.start for name, script in scripts.items()}, Ending((), Store()).trace)]
    known: set[tuple[Any, ...]] = set()
    while pending:
        now, moments, trace = pending.pop()
        state = (repr(sorted(now.objects.items())), *map(id, moments.values()))  # scripts keep every moment
        if state in known:
            continue
        known.add(state)
        waiting = [name for name, moment in moments.items() if moment.request]
        if not waiting:
            yield Ending(trace, now)
        for name in reversed(waiting):  # what the first actor does first is followed first
            following, moment, steps = now.copy(), moments[name], trace
            while (request := moment.request) and (moment is moments[name] or request.action in together):
                steps = (*steps, (name, request.action, request.key))
                moment = scripts[name].after(moment, following.answer(request))
            pending.append((following, {**moments, name: moment}, steps))
