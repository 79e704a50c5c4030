"""Run real code in every order in which its requests can reach one store.

Each actor runs in its own thread and stops before each request; a scheduler lets one of them go on at a time. Orders
that lead to the same store, with every actor having seen the same answers, have the same future and are followed once.
"""

from __future__ import annotations

import hashlib
import io
import threading
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3img.buckets import ObjectInfo, OpenObject
from s3img.errors import ObjectNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

START = datetime(2026, 3, 1, tzinfo=UTC)


class _Abandoned(BaseException):
    """Ends the threads of an order that is not followed further."""


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


class Gate:
    """Hold one actor at its next request until it is let go."""

    def __init__(self) -> None:
        self.go, self.parked = threading.Semaphore(0), threading.Semaphore(0)
        self.is_done = self.is_abandoned = False
        self.failure: BaseException | None = None
        self.seen: list[tuple[Any, ...]] = []

    def pass_through(self) -> None:
        if self.is_abandoned:
            raise _Abandoned
        self.parked.release()
        if not self.go.acquire(timeout=30) or self.is_abandoned:
            raise _Abandoned


class SteppedBucket:
    """The store as one actor sees it; operations in ``joined`` belong to the request before them."""

    def __init__(self, store: Store, gate: Gate, joined: frozenset[str]) -> None:
        self._store, self._gate, self._joined = store, gate, joined
        self.name = "memory"
        self.requests: dict[str, int] = {}

    def has_credentials(self) -> bool:
        return True

    def _step(self, action: str, key: str, answer: Callable[[], Any]) -> Any:
        if action not in self._joined:
            self._gate.pass_through()
        result = answer()
        self._gate.seen.append((action, key, repr(result)))
        return result

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        def answer() -> list[ObjectInfo]:
            return [self._store.info(key) for key in sorted(self._store.objects) if key.startswith(prefix)]

        return iter(self._step("list", prefix, answer))

    def put(self, key: str, source: Path | bytes, *, metadata: Mapping[str, str] | None = None, **_: Any) -> None:
        data = source.read_bytes() if isinstance(source, Path) else source
        self._step("put", key, lambda: self._store.put(key, data, metadata or {}))

    def get(self, key: str) -> bytes:
        return self.open(key).read()

    def open(self, key: str) -> OpenObject:
        def answer() -> tuple[ObjectInfo, bytes] | None:
            return (self._store.info(key), self._store.objects[key][0]) if key in self._store.objects else None

        found = self._step("get", key, answer)
        if found is None:
            raise ObjectNotFound(key)
        return OpenObject(found[0], io.BytesIO(found[1]), nullcontext)

    def head(self, key: str) -> ObjectInfo | None:
        found: ObjectInfo | None = self._step(
            "head", key, lambda: self._store.info(key) if key in self._store.objects else None
        )
        return found

    def delete(self, keys: Iterable[str]) -> None:
        doomed = [*keys]
        if doomed:
            self._step("delete", ",".join(doomed), lambda: [self._store.objects.pop(key, None) for key in doomed])


@dataclass(frozen=True)
class Ending:
    """One order to its end: who sent which request, in order, and the store it led to."""

    trace: tuple[tuple[str, str, str], ...]
    store: Store


class Run:
    """One order, step by step."""

    def __init__(self, store: Store, actors: Mapping[str, Callable[[Any], object]], joined: frozenset[str]) -> None:
        self.store = store
        self.trace: list[tuple[str, str, str]] = []
        self.gates = {name: Gate() for name in actors}
        self.threads = []
        for name, actor in actors.items():
            bucket = SteppedBucket(store, self.gates[name], joined)
            self.threads.append(threading.Thread(target=self._act, args=(actor, bucket, self.gates[name]), daemon=True))
            self.threads[-1].start()
            self._wait(name)

    @staticmethod
    def _act(actor: Callable[[Any], object], bucket: SteppedBucket, gate: Gate) -> None:
        try:
            actor(bucket)
        except _Abandoned:
            pass
        except BaseException as error:
            gate.failure = error
        gate.is_done = True
        gate.parked.release()

    def _wait(self, name: str) -> None:
        assert self.gates[name].parked.acquire(timeout=30)
        if self.gates[name].failure:
            raise AssertionError(name) from self.gates[name].failure

    def step(self, name: str) -> None:
        gate = self.gates[name]
        before = len(gate.seen)
        gate.go.release()
        self._wait(name)
        self.trace += [(name, action, key) for action, key, _ in gate.seen[before:]]

    def waiting(self) -> list[str]:
        return [name for name, gate in self.gates.items() if not gate.is_done]

    def state(self) -> tuple[Any, ...]:
        return repr(sorted(self.store.objects.items())), *(tuple(gate.seen) for gate in self.gates.values())

    def abandon(self) -> None:
        for gate in self.gates.values():
            gate.is_abandoned = True
            gate.go.release()
        for thread in self.threads:
            thread.join(30)


def every_ending(
    store: Callable[[], Store], actors: Mapping[str, Callable[[Any], object]], *, joined: Iterable[str] = ()
) -> Iterator[Ending]:
    """Yield how each order ends; an order is the sequence of the actors' requests."""
    pending: list[tuple[str, ...]] = [()]
    known: set[tuple[Any, ...]] = set()
    while pending:
        order = pending.pop()
        run = Run(store(), actors, frozenset(joined))
        try:
            for name in order:
                run.step(name)
            while (state := run.state()) not in known:
                known.add(state)
                if not (choices := run.waiting()):
                    yield Ending(tuple(run.trace), run.store)
                    break
                pending += [(*order, name) for name in choices[1:]]
                order = (*order, choices[0])
                run.step(choices[0])
        finally:
            run.abandon()
