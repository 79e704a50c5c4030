"""The engine: answers from what is near, and makes what is not, once for all who ask."""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, TypeVar

from s3img.errors import S3ImgError
from s3img.limits import Limits
from s3img.service.engine.cache_entry import Entry, EntryHeader
from s3img.service.engine.disk import DiskCache
from s3img.service.engine.flights import Flights, ProcessLocks
from s3img.service.engine.identity import Recipe, entity_tag, source_name
from s3img.service.engine.lanes import Encoders, Gate, Lane, Room
from s3img.service.engine.make import Outcome, Task, Workshop, draw
from s3img.service.engine.memory import MemoryCache
from s3img.service.engine.metrics import Meter, NoMeter, PrometheusMeter, Stopwatch
from s3img.service.engine.originals import Originals
from s3img.service.engine.requests import Budget, EngineOptions, Facts, Inspect, Original, RenderJob, Result, SourceRef
from s3img.service.engine.sources import Sources
from s3img.service.engine.stores import ResultPlace, Stores
from s3img.service.engine.target import ResultBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3img.buckets import Bucket
    from s3img.imaging import Drawn
    from s3img.service.engine.make import Shared

_Kind = TypeVar("_Kind", Lane, Gate)
_RECIPES: Final = 1024
"""Transforms that are remembered with what follows from them."""


class Engine:
    """Answer jobs; safe to share between threads, and to make before a fork.

    ``origin`` opens the bucket of an origin by its name (called often: it should remember); ``target`` is the bucket
    for results; ``quality`` replaces encoder defaults by format; ``shared`` finds results that a site's build makes.
    """

    def __init__(
        self,
        origin: Callable[[str], Bucket],
        options: EngineOptions | None = None,
        *,
        target: Bucket | None = None,
        limits: Limits | None = None,
        quality: Mapping[str, int] | None = None,
        shared: Shared | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        options = options or EngineOptions()
        limits = limits or Limits()
        quality = dict(quality or {})
        disk = DiskCache(options.cache_folder, limit=options.cache_bytes) if options.cache_folder else None
        self._draw = partial(draw, limits=limits, quality=quality)
        self._recipe = lru_cache(maxsize=_RECIPES)(partial(Recipe.of, quality=quality))
        self._fetching = _places(Lane, "fetch", options.fetches, options)
        self._rendering = _places(Lane, "render", options.renders, options)
        self._encoders = _encoders(options)
        self._storing = _places(Lane, "target", options.stores, options)
        results = ResultBucket(target, limits) if target else None
        self._stores = Stores(MemoryCache(options.memory_bytes), disk, results, self._storing)
        self._sources = Sources(origin, options, self._fetching, disk, clock)
        self._originals = Originals(origin, self._sources, self._fetching)
        self._flights: Flights[Outcome] = Flights()
        self._meter: Meter = NoMeter()
        self._shop = Workshop(
            origin=origin,
            sources=self._sources,
            stores=self._stores,
            fetching=self._fetching,
            rendering=self._rendering,
            encoders=self._encoders,
            holding=_places(Gate, "hold the source", options.fetches + options.renders, options),
            locks=ProcessLocks(disk.folder / "locks" if disk else None, seconds=options.lock_seconds),
            input_bytes=limits.input_bytes,
            shared=shared,
        )

    def facts(self, source: SourceRef, budget: Budget) -> Facts:
        """Return what is known of a source: from memory or disk while that is fresh, else from its origin."""
        return self._sources.facts(source, budget, Stopwatch())

    def result(self, job: RenderJob, budget: Budget, *, inspect: Inspect | None = None) -> Result:
        """Return a rendering, from a store or made now."""
        recipe = self._recipe(job.transform, job.accept, job.hints)
        return self._answer(Task(job.source, recipe, partial(self._drawn, recipe)), budget, inspect)

    def derived(
        self,
        source: SourceRef,
        name: str,
        make: Callable[[bytes], bytes],
        budget: Budget,
        *,
        media_type: str = "application/json",
        inspect: Inspect | None = None,
    ) -> Result:
        """Return what ``make`` makes of a source's bytes, kept like a rendering; ``name`` (``info/1``) says what."""
        work = partial(_derived, make, media_type)
        return self._answer(Task(source, Recipe(f"/{name}"), work, media_type), budget, inspect)

    def original(self, source: SourceRef, budget: Budget, *, start: int = 0, stop: int | None = None) -> Original:
        """Open a source as it is, or a range of its bytes; compare its facts with those the range was chosen by."""
        return self._originals.open(source, start, stop, budget, Stopwatch())

    def ready(self, budget: Budget) -> None:
        """Raise `Busy` while no further rendering could wait, and `DeadlineExceeded`."""
        self._rendering.run(_nothing, budget, Stopwatch())

    def measure(self) -> None:
        """Count from now on; raise `ConfigError` without the extra."""
        self._meter = PrometheusMeter({lane.step: lane.count for lane in self._lanes})

    def metrics(self) -> tuple[bytes, str]:
        """Return Prometheus's text and its media type; raise `ConfigError` before `measure`."""
        return self._meter.text()

    def close(self) -> None:
        """Finish what is under way, results that are still to be stored included; stop the threads."""
        for lane in self._lanes:
            lane.close()
        self._meter.close()

    @property
    def _lanes(self) -> tuple[Lane, ...]:
        """Return all lanes, each before those that its work goes on in."""
        return (self._fetching, self._rendering, *self._encoders.lanes, self._storing)

    def _drawn(self, recipe: Recipe, data: bytes, budget: Budget) -> Entry | Drawn:
        return self._draw(data, recipe, budget=budget)

    def _answer(self, task: Task, budget: Budget, inspect: Inspect | None) -> Result:
        watch = Stopwatch()
        try:
            result = self._sought(task, budget, inspect, watch)
        except S3ImgError as error:
            self._meter.failed(type(error).__name__)
            raise
        self._meter.answered(result.origin, result.timings)
        return result

    def _sought(self, task: Task, budget: Budget, inspect: Inspect | None, watch: Stopwatch) -> Result:
        """Answer from what is near; where nothing is, make it and look again, or take what was made."""
        while True:
            facts = self._known(task.source, budget, watch)
            if facts is not None:
                place = self._shop.place(task, facts)
                if inspect and inspect(facts, entity_tag(place.identity)):
                    return _unchanged(facts, place, watch)
                if found := self._stores.find(place.identity):
                    return _result(facts, place, found, watch)
            outcome = self._made(task, inspect if facts is None else None, budget, watch)
            if outcome.entry is not None:
                if facts != outcome.facts and inspect and inspect(outcome.facts, entity_tag(outcome.place.identity)):
                    return _unchanged(outcome.facts, outcome.place, watch)
                return _result(outcome.facts, outcome.place, (outcome.entry, outcome.origin), watch)
            budget.check("find the result")

    def _known(self, source: SourceRef, budget: Budget, watch: Stopwatch) -> Facts | None:
        """Return a source's facts, None if nothing was ever known: opening it then tells them."""
        facts = self._sources.usable(source)
        if facts is None and self._sources.is_known(source):
            facts = self._sources.facts(source, budget, watch)
        return facts

    def _made(self, task: Task, inspect: Inspect | None, budget: Budget, watch: Stopwatch) -> Outcome:
        name = hashlib.sha256(f"{source_name(task.source)}\n{task.recipe.text}".encode()).hexdigest()
        return self._flights.run(name, partial(self._shop.make, task, name, inspect, watch), budget)


def _encoders(options: EngineOptions) -> Encoders:
    quick, slow = (_places(Lane, step, options.encodes, options) for step in ("encode", "encode-avif"))
    return Encoders(quick, slow, Room(options.drawn_bytes))


def _places(kind: type[_Kind], step: str, places: int, options: EngineOptions) -> _Kind:
    return kind(step, places=places, queue=options.queue, retry_after=options.retry_after)


def _result(facts: Facts, place: ResultPlace, found: tuple[Entry, str], watch: Stopwatch) -> Result:
    entry, origin = found
    words = entry.words
    return Result(
        entry.body,
        words.media_type,
        entity_tag(place.identity),
        entry.size,
        words.width,
        words.height,
        facts,
        origin,
        watch.timings,
    )


def _unchanged(facts: Facts, place: ResultPlace, watch: Stopwatch) -> Result:
    tag = entity_tag(place.identity)
    return Result(b"", "", tag, 0, 0, 0, facts, timings=watch.timings, unchanged=True)


def _derived(make: Callable[[bytes], bytes], media_type: str, data: bytes, budget: Budget) -> Entry:
    budget.check("look at the source")
    made = make(data)
    return Entry(EntryHeader(media_type), made, len(made))


def _nothing() -> None:
    return
