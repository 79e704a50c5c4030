"""The engine: answers from memory, disk or bucket, and makes what none of them has, once for all who ask."""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from s3img.errors import BucketError, S3ImgError
from s3img.limits import Limits
from s3img.service.engine.concurrency import (
    ByteBudget,
    ConcurrencyLimit,
    EncoderPools,
    MemoryBudget,
    ProcessLocks,
    QueuedPool,
    SingleFlight,
)
from s3img.service.engine.disk_cache import CachedResult, DiskCache, ResultHeader
from s3img.service.engine.jobs import (
    Budget,
    CheckRequest,
    DrawSource,
    EngineOptions,
    Original,
    RenderJob,
    Result,
    SourceFacts,
    SourceRef,
)
from s3img.service.engine.metrics import Metrics, NoMetrics, PrometheusMetrics, Stopwatch
from s3img.service.engine.readiness import OriginReadiness
from s3img.service.engine.render_recipe import RenderRecipe, draw, draw_in_time, entity_tag, source_name
from s3img.service.engine.result_maker import InputChanged, MakeRequest, Outcome, ResultMaker
from s3img.service.engine.result_stores import MemoryCache, ResultBucket, ResultLocation, ResultStores
from s3img.service.engine.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from s3img.buckets import Bucket
    from s3img.imaging import Drawn
    from s3img.service.engine.result_maker import SharedResults

_ATTEMPTS: Final = 3
_RECIPES: Final = 1024
"""Transforms that are remembered with what follows from them."""


class Engine:
    """Answer jobs; safe to share between threads, and to make before a fork.

    ``origin`` opens the bucket of an origin by its name (called often: it should remember); ``target`` is the bucket
    for results; ``quality`` replaces encoder defaults by format; ``shared`` finds results that a site's build makes;
    ``origins`` are the names that readiness depends on.
    """

    def __init__(
        self,
        origin: Callable[[str], Bucket],
        options: EngineOptions | None = None,
        *,
        target: Bucket | None = None,
        limits: Limits | None = None,
        quality: Mapping[str, int] | None = None,
        shared: SharedResults | None = None,
        origins: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        options = options or EngineOptions()
        self._limits = limits = limits or Limits()
        self._quality = dict(quality or {})
        self._recipe = lru_cache(maxsize=_RECIPES)(partial(RenderRecipe.of, quality=self._quality))
        pool = partial(QueuedPool, queue=options.queue, retry_after=options.retry_after)
        self._fetching = pool("fetch", workers=options.fetches)
        self._rendering = pool("render", workers=options.renders)
        quick, slow = (pool(step, workers=options.encodes) for step in ("encode", "encode-avif"))
        self._encoders = EncoderPools(quick, slow, ByteBudget(options.drawn_bytes))
        storing = pool("target", workers=options.stores)
        # The order in which they close: each before those that its work goes on in.
        self._pools = (self._fetching, self._rendering, *self._encoders.pools, storing)
        disk = DiskCache(options.cache_folder, limit=options.cache_bytes) if options.cache_folder else None
        results = ResultBucket(target, limits) if target else None
        self._stores = ResultStores(MemoryCache(options.memory_bytes), disk, results, storing)
        self._readiness = OriginReadiness(origin, origins, self._fetching)
        self._sources = Sources(origin, options, self._fetching, disk, clock)
        self._calls: SingleFlight[Outcome] = SingleFlight()
        self._metrics: Metrics = NoMetrics()
        self._maker = ResultMaker(
            origin=origin,
            sources=self._sources,
            stores=self._stores,
            fetching=self._fetching,
            rendering=self._rendering,
            encoders=self._encoders,
            in_memory=ConcurrencyLimit(
                "hold the source",
                most=options.fetches + options.renders,
                queue=options.queue,
                retry_after=options.retry_after,
            ),
            locks=ProcessLocks(disk.folder / "locks" if disk else None, seconds=options.lock_seconds),
            memory=MemoryBudget(limits.memory, retry_after=options.retry_after),
            limits=limits,
            shared=shared,
        )

    def facts(self, source: SourceRef, budget: Budget) -> SourceFacts:
        """Return what is known of a source: from memory or disk while that is fresh, else from its origin."""
        return self._sources.facts(source, budget, Stopwatch())

    def result(self, job: RenderJob, budget: Budget, *, inspect: CheckRequest | None = None) -> Result:
        """Return a rendering, from a store or made now."""
        plain = self._recipe(job.transform, job.accept, job.hints)
        for _ in range(_ATTEMPTS):
            inputs = tuple((key, one, self._sources.facts(one, budget, Stopwatch())) for key, one in job.inputs)
            recipe = plain.with_inputs(inputs)

            def make(data: bytes, pictures: Mapping[str, bytes], budget: Budget) -> CachedResult | Drawn:
                return draw(data, plain, limits=self._limits, quality=self._quality, budget=budget, inputs=pictures)

            try:
                return self._answer(MakeRequest(job.source, recipe, make, inputs=inputs), budget, inspect)
            except InputChanged:  # the result's name stands for what a layer was before
                continue
        raise BucketError("A layer's picture changes while it is read.", key=job.source.key, fix="Try again later.")

    def derived(
        self,
        source: SourceRef,
        name: str,
        make: Callable[[bytes], bytes],
        budget: Budget,
        *,
        media_type: str = "application/json",
        inspect: CheckRequest | None = None,
    ) -> Result:
        """Return what ``make`` makes of a source's bytes, kept like a rendering under ``name`` (``info/1``)."""

        def work(data: bytes, _: Mapping[str, bytes], budget: Budget) -> CachedResult:
            budget.check("look at the source")
            made = make(data)
            return CachedResult(ResultHeader(media_type), made, len(made))

        return self._answer(MakeRequest(source, RenderRecipe(f"/{name}"), work, media_type), budget, inspect)

    def rendered(
        self, source: SourceRef, name: str, draw: DrawSource, budget: Budget, *, inspect: CheckRequest | None = None
    ) -> Result:
        """Return a rendering that ``draw`` makes of a source's bytes, kept under ``name``: all it depends on."""

        def work(data: bytes, _: Mapping[str, bytes], budget: Budget) -> Drawn:
            return draw_in_time(data, draw, limits=self._limits, budget=budget)

        return self._answer(MakeRequest(source, RenderRecipe(f"/{name}"), work), budget, inspect)

    def original(self, source: SourceRef, budget: Budget, *, start: int = 0, stop: int | None = None) -> Original:
        """Open a source as it is, or a range of its bytes; compare its facts with those the range was chosen by."""
        return self._sources.open(source, start, stop, budget, Stopwatch())

    def ready(self, budget: Budget) -> None:
        """Raise `Busy` while no further rendering could wait, `CredentialsError` where an origin refuses them."""
        self._rendering.run(lambda: None, budget, Stopwatch())
        self._readiness.check(budget)

    def measure(self) -> None:
        """Count from now on; raise `ConfigError` without the extra."""
        self._metrics = PrometheusMetrics({pool.step: pool.count for pool in self._pools})

    def metrics(self) -> tuple[bytes, str]:
        """Return Prometheus's text and its media type; raise `ConfigError` before `measure`."""
        return self._metrics.text()

    def close(self) -> None:
        """Finish what is under way, results that are still to be stored included; stop the threads."""
        for pool in self._pools:
            pool.close()
        self._metrics.close()

    def _answer(self, request: MakeRequest, budget: Budget, inspect: CheckRequest | None) -> Result:
        watch = Stopwatch()
        try:
            result = self._find_or_make(request, budget, inspect, watch)
        except S3ImgError as error:
            self._metrics.failed(type(error).__name__)
            raise
        self._metrics.answered(result.origin, result.timings)
        return result

    def _find_or_make(
        self, request: MakeRequest, budget: Budget, inspect: CheckRequest | None, watch: Stopwatch
    ) -> Result:
        """Answer from memory or disk; where neither has it, make it and look again, or take what was made."""
        source = request.source
        while True:
            facts = self._sources.usable(source)
            if facts is None and self._sources.is_known(source):  # of an unknown one, opening it tells the facts
                facts = self._sources.facts(source, budget, watch)
            if facts is not None:
                location = self._maker.locate(request, facts)
                if inspect and inspect(facts, entity_tag(location.identity)):
                    return _unchanged(facts, location, watch)
                if found := self._stores.find(location.identity):
                    return _result(facts, location, found, watch)
            name = hashlib.sha256(f"{source_name(source)}\n{request.recipe.text}".encode()).hexdigest()
            make = partial(self._maker.make, request, name, inspect if facts is None else None, watch)
            outcome = self._calls.run(name, make, budget)
            if outcome.entry is not None:
                tag = entity_tag(outcome.location.identity)
                if facts != outcome.facts and inspect and inspect(outcome.facts, tag):
                    return _unchanged(outcome.facts, outcome.location, watch)
                return _result(outcome.facts, outcome.location, (outcome.entry, outcome.origin), watch)
            budget.check("find the result")


def _result(facts: SourceFacts, location: ResultLocation, found: tuple[CachedResult, str], watch: Stopwatch) -> Result:
    entry, origin = found
    return Result(
        entry.body,
        entry.header.media_type,
        entity_tag(location.identity),
        entry.size,
        entry.header.width,
        entry.header.height,
        facts,
        origin,
        watch.timings,
    )


def _unchanged(facts: SourceFacts, location: ResultLocation, watch: Stopwatch) -> Result:
    return Result(b"", "", entity_tag(location.identity), 0, 0, 0, facts, timings=watch.timings, unchanged=True)
