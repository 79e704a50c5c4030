"""The engine: answers from memory, disk or bucket, and makes what none of them has, once for all who ask."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from s3img.errors import BucketError, ImageTooLarge, S3ImgError
from s3img.imaging import Drawn
from s3img.imaging.isolation.tasks import derive, draw_request, render_drawn
from s3img.limits import Limits
from s3img.pictures.result_names import RenderRecipe, ResultLocation, entity_tag, source_name
from s3img.service.engine import concurrency
from s3img.service.engine.disk_cache import CachedResult, DiskCache, ResultHeader
from s3img.service.engine.isolated_rendering import IsolatedRendering, is_slow
from s3img.service.engine.jobs import (
    Budget,
    CheckRequest,
    EngineOptions,
    Original,
    RenderJob,
    Result,
    SourceFacts,
    SourceRef,
    late,
)
from s3img.service.engine.metrics import Metrics, NoMetrics, PrometheusMetrics, Stopwatch
from s3img.service.engine.readiness import OriginReadiness
from s3img.service.engine.result_leases import ResultLeases
from s3img.service.engine.result_maker import InputChanged, MakeRequest, Outcome, ResultMaker
from s3img.service.engine.result_stores import MemoryCache, ResultBucket, ResultStores
from s3img.service.engine.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from s3img.buckets import Bucket
    from s3img.imaging.isolation.tasks import DrawSource
    from s3img.service.engine.result_maker import SharedResults

PrepareDrawing: TypeAlias = "Callable[[Mapping[str, bytes]], DrawSource]"
"""Return how to draw a source with the pictures of its layers, by their keys."""

_ATTEMPTS: Final = 3
_RECIPES: Final = 1024
"""Transforms that are remembered with what follows from them."""


class Engine:
    """Answer jobs; safe to share between threads, and to make before a fork.

    ``origin`` opens the bucket of an origin by its name (called often: it should remember); ``target`` is the bucket
    for results; ``quality`` and ``subsampling`` replace encoder defaults; ``shared`` finds results that a site's build
    makes; ``origins`` are the names that readiness depends on.
    """

    def __init__(  # noqa: PLR0913 - what the service's settings decide
        self,
        origin: Callable[[str], Bucket],
        options: EngineOptions | None = None,
        *,
        target: Bucket | None = None,
        limits: Limits | None = None,
        quality: Mapping[str, int] | None = None,
        subsampling: str = "auto",
        shared: SharedResults | None = None,
        origins: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        options = options or EngineOptions()
        self._limits = limits = limits or Limits()
        self._quality = dict(quality or {})
        self._recipe = lru_cache(maxsize=_RECIPES)(
            partial(RenderRecipe.of, quality=self._quality, subsampling=subsampling)
        )
        pool = partial(concurrency.QueuedPool, queue=options.queue, retry_after=options.retry_after)
        limit = partial(concurrency.ConcurrencyLimit, retry_after=options.retry_after)
        self._fetching = pool("fetch", workers=options.fetches)
        self._rendering = pool("render", workers=options.renders)
        quick, slow = (pool(step, workers=options.encodes) for step in ("encode", "encode-avif"))
        self._encoders = concurrency.EncoderPools(quick, slow, concurrency.ByteBudget(options.drawn_bytes))
        self._isolated = IsolatedRendering(options, limits)
        storing = pool("target", workers=options.stores)
        # The order in which they close: each before those that its work goes on in.
        self._pools = (self._fetching, self._rendering, *self._encoders.pools, storing)
        disk = DiskCache(options.cache_folder, limit=options.cache_bytes) if options.cache_folder else None
        results = ResultBucket(target, limits) if target else None
        leases = ResultLeases(target, options.lease_seconds) if target and options.lease_seconds else None
        self._stores = ResultStores(MemoryCache(options.memory_bytes), disk, results, storing, leases)
        self._readiness = OriginReadiness(origin, origins, self._fetching)
        self._sources = Sources(origin, options, self._fetching, disk, clock)
        self._calls: concurrency.SingleFlight[Outcome] = concurrency.SingleFlight()
        self._metrics: Metrics = NoMetrics()
        self._maker = ResultMaker(
            origin=origin,
            sources=self._sources,
            stores=self._stores,
            fetching=self._fetching,
            rendering=self._rendering,
            encoders=self._encoders,
            # Each of these has a thread of the server, and others are left for what is there already.
            making=limit("make a result", most=options.fetches + options.renders + options.queue, queue=0),
            in_memory=limit("hold the source", most=options.fetches + options.renders, queue=options.queue),
            locks=concurrency.ProcessLocks(disk.folder / "locks" if disk else None, seconds=options.lock_seconds),
            memory=concurrency.MemoryBudget(limits.memory, retry_after=options.retry_after),
            limits=limits,
            shared=shared,
        )

    def facts(self, source: SourceRef, budget: Budget) -> SourceFacts:
        """Return what is known of a source: from memory or disk while that is fresh, else from its origin."""
        return self._sources.facts(source, budget, Stopwatch())

    def result(self, job: RenderJob, budget: Budget, *, inspect: CheckRequest | None = None) -> Result:
        """Return a rendering, from a store or made now."""
        plain = self._recipe(job.transform, job.accept, job.hints)
        if not job.inputs and (known := self._find_known(job.source, plain, inspect)) is not None:
            return known
        for _ in range(_ATTEMPTS):
            inputs = tuple((key, one, self._sources.facts(one, budget, Stopwatch())) for key, one in job.inputs)
            recipe = plain.with_inputs(inputs)

            def prepare(pictures: Mapping[str, bytes]) -> DrawSource:
                return partial(
                    draw_request,
                    transform=plain.transform,
                    accept=plain.accept,
                    quality=self._quality,
                    hints=plain.hints,
                    inputs=pictures,
                )

            request = self._rendering_of(job.source, recipe, prepare, is_slow=is_slow(plain))
            try:
                return self._answer(msgspec.structs.replace(request, inputs=inputs), budget, inspect)
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
        decodes: bool = False,
    ) -> Result:
        """Return what ``make`` makes of a source's bytes, kept like a rendering under ``name`` (``info/1``).

        One that ``decodes`` pictures is sent to another process: a function of a module, or a ``partial`` of one.
        """

        def work(data: bytes, _: Mapping[str, bytes], budget: Budget) -> CachedResult:
            budget.check("look at the source")
            made = make(data)
            return CachedResult(ResultHeader(media_type), made, len(made))

        def isolated(
            data: bytes, _: Mapping[str, bytes], budget: Budget, watch: Stopwatch, leave: Callable[[], None]
        ) -> CachedResult:
            made = self._isolated.run(partial(derive, make=make), data, budget=budget, watch=watch, leave=leave)
            return replace(made, header=ResultHeader(media_type))

        recipe = RenderRecipe(f"/{name}")
        request = MakeRequest(
            source, recipe, work, media_type, isolated=isolated if decodes and self._isolated.is_on else None
        )
        return self._answer(request, budget, inspect)

    def rendered(
        self,
        source: SourceRef,
        name: str,
        prepare: Callable[[], DrawSource],
        budget: Budget,
        *,
        inspect: CheckRequest | None = None,
        is_slow: bool = False,
    ) -> Result:
        """Return a rendering, kept under ``name``: all it depends on besides the source.

        ``prepare`` is called where it has to be made, fetches what else is needed and returns how.
        ``is_slow`` for one that may be encoded to AVIF.
        """
        request = self._rendering_of(source, RenderRecipe(f"/{name}"), lambda _: prepare(), is_slow=is_slow)
        return self._answer(request, budget, inspect)

    def _rendering_of(
        self, source: SourceRef, recipe: RenderRecipe, prepare: PrepareDrawing, *, is_slow: bool
    ) -> MakeRequest:
        def make(data: bytes, inputs: Mapping[str, bytes], budget: Budget) -> CachedResult | Drawn:
            return draw_in_time(data, prepare(inputs), limits=self._limits, budget=budget)

        def render(
            data: bytes, inputs: Mapping[str, bytes], budget: Budget, watch: Stopwatch, leave: Callable[[], None]
        ) -> CachedResult:
            task = partial(render_drawn, draw=prepare(inputs), limits=limits_in_time(self._limits, budget))
            return self._isolated.run(task, data, budget=budget, watch=watch, leave=leave, is_slow=is_slow)

        return MakeRequest(source, recipe, make, isolated=render if self._isolated.is_on else None)

    def original(self, source: SourceRef, budget: Budget, *, start: int = 0, stop: int | None = None) -> Original:
        """Open a source as it is, or a range of its bytes; compare its facts with those the range was chosen by."""
        return self._sources.open(source, start, stop, budget, Stopwatch())

    def ready(self, budget: Budget) -> None:
        """Raise `Busy` while no further rendering could wait, `CredentialsError` where an origin refuses them."""
        if self._isolated.is_on:
            self._isolated.check_ready(budget)
        else:
            self._rendering.run(lambda: None, budget, Stopwatch())
        self._readiness.check(budget)

    def measure(self) -> None:
        """Count from now on; raise `ConfigError` without the extra."""
        counts = {pool.step: pool.count for pool in self._pools}
        if self._isolated.is_on:
            counts["render"] = self._isolated.count
        self._metrics = PrometheusMetrics(counts)

    def metrics(self) -> tuple[bytes, str]:
        """Return Prometheus's text and its media type; raise `ConfigError` before `measure`."""
        return self._metrics.text()

    def start(self) -> None:
        """Start the process that others are forked of, so that no request waits for it."""
        if self._isolated.is_on:
            self._isolated.start()

    def close(self) -> None:
        """Finish what is under way, results that are still to be stored included; stop the threads."""
        for pool in self._pools:
            pool.close()
        self._isolated.close()
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

    def _find_known(self, source: SourceRef, recipe: RenderRecipe, inspect: CheckRequest | None) -> Result | None:
        """Answer where source and result are known here, which most requests ask for; None where there is more to do.

        What making a result takes is not even prepared, since that is a third of the time of a 304.
        """
        watch = Stopwatch()
        try:
            facts = self._sources.usable(source)
            if facts is None:
                return None
            location = self._maker.locate(source, recipe, facts)
            if inspect and inspect(facts, entity_tag(location.identity)):
                result = _unchanged(facts, location, watch)
            elif found := self._stores.find(location.identity):
                result = _result(facts, location, found, watch)
            else:
                return None
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
                location = self._maker.locate(source, request.recipe, facts)
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


def draw_in_time(data: bytes, draw: DrawSource, *, limits: Limits, budget: Budget) -> CachedResult | Drawn:
    """Draw in this process, within the limits and what is left of a request's time.

    Raise what ``draw`` raises, and `DeadlineExceeded` after the end of that time.
    """
    budget.check("render")
    try:
        drawn = draw(data, limits_in_time(limits, budget))
    except ImageTooLarge as error:
        if error.limit == "seconds" and budget.left <= 0:  # the request's time ended, not the picture's
            raise late("render") from error
        raise
    if isinstance(drawn, Drawn):
        return drawn
    return CachedResult(ResultHeader(drawn.media_type, drawn.width, drawn.height), drawn.data, len(drawn.data))


def limits_in_time(limits: Limits, budget: Budget) -> Limits:
    """Return limits under which a rendering takes no longer than its request may."""
    return msgspec.structs.replace(limits, seconds=max(0.0, min(limits.seconds, budget.left)))
