"""Make one result that this machine does not have: ask the bucket, fetch, render, keep; once for all who ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from s3img import imaging
from s3img.errors import AccessDenied, ObjectNotFound, S3ImgError
from s3img.imaging import Drawn
from s3img.imaging.memory_estimate import decoding_bytes
from s3img.pictures.result_names import RenderRecipe, ResultLocation, entity_tag
from s3img.service.engine.disk_cache import CachedResult
from s3img.service.engine.jobs import Budget, CheckRequest, SourceFacts, SourceRef
from s3img.service.engine.metrics import Stopwatch
from s3img.service.engine.result_stores import RecentValues, ResultStores
from s3img.service.engine.sources import fetch
from s3img.transform.overlays import is_font_file

if TYPE_CHECKING:
    from concurrent.futures import Future

    from s3img.buckets import Bucket
    from s3img.limits import Limits
    from s3img.service.engine.concurrency import (
        ConcurrencyLimit,
        EncoderPools,
        MemoryBudget,
        ProcessLocks,
        QueuedPool,
    )
    from s3img.service.engine.sources import Sources

SharedResults: TypeAlias = Callable[[SourceRef, SourceFacts, RenderRecipe], ResultLocation | None]
"""Return the location of a result that others may make as well, None where nothing is known of it."""

IsolatedWork: TypeAlias = Callable[[bytes, Mapping[str, bytes], Budget, Stopwatch, Callable[[], None]], CachedResult]
"""Make a result of a source's bytes and of layers' pictures by their keys.

The function gives the place in memory to another source; whether it is called is the work's choice.
"""

_BYTES_A_PIXEL: Final = 4
"""Of a decoded layer, in Pillow's memory."""

_LOCATIONS: Final = 2048
"""Results whose locations are remembered, so that a hit does without two digests."""


class MakeRequest(msgspec.Struct, frozen=True):
    """What to make: ``make`` turns a source's bytes into the result, or into a picture that is still to be encoded.

    ``isolated`` does all of it in a process that can be ended, where there is one. ``media_type`` is of what is no
    image; ``inputs`` are the pictures of layers, with the facts that the recipe knows.
    """

    source: SourceRef
    recipe: RenderRecipe
    make: Callable[[bytes, Mapping[str, bytes], Budget], CachedResult | Drawn]
    media_type: str = ""
    inputs: tuple[tuple[str, SourceRef, SourceFacts], ...] = ()
    isolated: IsolatedWork | None = None


class InputChanged(Exception):
    """A layer's picture is no longer what the request was made for; the engine asks again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request; without ``entry``, the stores have it now, or its client has it already."""

    facts: SourceFacts
    location: ResultLocation
    entry: CachedResult | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ResultMaker:
    """Make results; ``making`` limits how many at a time, waiting included.

    ``in_memory`` limits how many sources are in memory, being rendered or waiting for it.
    """

    origin: Callable[[str], Bucket]
    sources: Sources
    stores: ResultStores
    fetching: QueuedPool
    rendering: QueuedPool
    encoders: EncoderPools
    making: ConcurrencyLimit
    in_memory: ConcurrencyLimit
    locks: ProcessLocks
    memory: MemoryBudget
    limits: Limits
    shared: SharedResults | None = None
    locations: RecentValues[tuple[SourceFacts, ResultLocation]] = field(
        default_factory=lambda: RecentValues(_LOCATIONS)
    )

    def locate(self, source: SourceRef, recipe: RenderRecipe, facts: SourceFacts) -> ResultLocation:
        """Return where the result for a source of these facts is kept."""
        name = source, recipe.text
        known = self.locations.get(name)
        if known is not None and known[0] is facts:
            return known[1]
        found = self.shared(source, facts, recipe) if self.shared else None
        location = found or ResultLocation.of(recipe.identity(source, facts))
        self.locations.set(name, (facts, location))
        return location

    def make(
        self, request: MakeRequest, name: str, inspect: CheckRequest | None, watch: Stopwatch, budget: Budget
    ) -> Outcome:
        """Return the outcome of a request, made by this process or by another one; ``name`` (hex) is the request's.

        Raise `Busy` where no further one may wait, and what making it raises.
        """
        with self.making.acquire(budget), self.locks.acquire(name, budget):
            return _Making(self, request, inspect, watch, budget).run()


class _Making:
    """One result being made: the stores that were asked, and what they had."""

    def __init__(
        self, maker: ResultMaker, request: MakeRequest, inspect: CheckRequest | None, watch: Stopwatch, budget: Budget
    ) -> None:
        self._maker = maker
        self._request = request
        self._inspect = inspect
        self._watch = watch
        self._budget = budget
        self._asked_for = ""
        self._leased = ""
        self._found: tuple[CachedResult, str] | None = None

    def run(self) -> Outcome:
        """Look where another process or machine may have put the result, else fetch the source and make it."""
        maker = self._maker
        facts = maker.sources.usable(self._request.source)
        is_wanted = facts is None or not self._is_kept(facts)
        if facts is None and maker.stores.leases is not None:
            # Asked for by itself: while this machine waits for another one, the source's connection stays closed.
            facts = maker.sources.facts(self._request.source, self._budget, self._watch)
            is_wanted = self._is_wanted(facts)
        if facts is None or (is_wanted and not self._is_made_elsewhere(facts)):
            try:
                facts = self._make()
            finally:
                if self._leased:
                    maker.stores.release(self._leased)
        entry, origin = self._found or (None, "")
        if entry is not None and not isinstance(entry.body, bytes):  # every request opens a file of its own
            entry.body.close()
            entry = None
        return Outcome(facts, maker.locate(self._request.source, self._request.recipe, facts), entry, origin)

    def _make(self) -> SourceFacts:
        """Fetch the source and make the result, unless its facts now lead to one that is there."""
        maker = self._maker
        facts, started = self._start()
        if started is not None:
            try:
                made = maker.encoders.wait_for(started, self._budget)
            finally:
                del started  # as in QueuedPool.wait_for
            self._found = made, "render"
            location = maker.locate(self._request.source, self._request.recipe, facts)
            maker.stores.keep(location, made)
            if location.identity == self._leased:
                self._leased = ""  # given back when the bucket has the result
        return facts

    def _is_made_elsewhere(self, facts: SourceFacts) -> bool:
        """Take the lease of the result where there are leases; else wait for the machine that has it."""
        stores, location = self._maker.stores, self._maker.locate(self._request.source, self._request.recipe, facts)
        if stores.leases is None:
            return False
        self._found = stores.wait_for_others(location, self._request.media_type, self._budget, self._watch)
        if self._found is not None:
            # The lease may be this machine's by now: the result was put a moment before.
            stores.release(location.identity)
            return True
        self._leased = location.identity
        return False

    def _start(self) -> tuple[SourceFacts, CachedResult | Future[CachedResult] | None]:
        """Do what the source's bytes are needed for; when this returns, nothing keeps them in memory."""
        maker, request = self._maker, self._request

        def read() -> tuple[SourceFacts, bytes | None, dict[str, bytes]]:
            origin = maker.origin(request.source.origin)
            facts, data = fetch(
                origin, request.source, limit=maker.limits.input_bytes, budget=self._budget, is_wanted=self._is_wanted
            )
            return facts, data, {} if data is None else self._read_inputs(maker.limits.input_bytes - len(data))

        def render(data: bytes, inputs: Mapping[str, bytes]) -> CachedResult | Future[CachedResult]:
            made = request.make(data, inputs, self._budget)
            return made if isinstance(made, CachedResult) else maker.encoders.start(made, self._budget, self._watch)

        with maker.in_memory.acquire(self._budget) as leave:
            try:
                facts, data, inputs = maker.fetching.run(read, self._budget, self._watch)
            except (ObjectNotFound, AccessDenied) as error:
                maker.sources.lose(request.source, error)
                raise
            if data is None:
                return facts, None
            give_back = self._take_memory(data, inputs)
            if request.isolated is not None:
                try:
                    return facts, request.isolated(data, inputs, self._budget, self._watch, leave)
                finally:
                    give_back()
            try:
                future = maker.rendering.start(partial(render, data, inputs), self._budget, self._watch)
            except S3ImgError:
                give_back()
                raise
            # A decoder can't be stopped here: when the request's time is over, its memory is still in use.
            future.add_done_callback(lambda _: give_back())
            try:
                return facts, maker.rendering.wait_for(future, self._budget)
            finally:
                del future  # as in wait_for, and here the source's bytes are in the same frame

    def _take_memory(self, data: bytes, inputs: Mapping[str, bytes]) -> Callable[[], object]:
        """Wait until there is room for decoding the source and its layers; return what gives the room back."""
        if not self._maker.memory.is_bounded:
            return bool
        recipe, size = self._request.recipe, len(data)
        try:
            info = imaging.probe(data, limits=self._maker.limits)
            size = decoding_bytes(info, size, recipe.transform, limits=self._maker.limits, hints=recipe.hints)
            for key, layer in inputs.items():
                size += len(layer)
                if not is_font_file(key):
                    info = imaging.probe(layer, limits=self._maker.limits)
                    size += _BYTES_A_PIXEL * info.width * info.height
        except S3ImgError:  # raised again, with the words for it, where the source is decoded
            return bool
        return self._maker.memory.take(size, self._budget)

    def _read_inputs(self, limit: int) -> dict[str, bytes]:
        """Fetch the pictures of layers, in ``limit`` bytes together; raise `InputChanged` and what `fetch` raises."""
        maker = self._maker
        found: dict[str, bytes] = {}
        for key, source, known in self._request.inputs:
            told, data = fetch(
                maker.origin(source.origin),
                source,
                limit=limit - sum(map(len, found.values())),
                budget=self._budget,
                # bound now, as the loop goes on; mypy can't infer a lambda with a default
                is_wanted=lambda facts, known=known: (facts.etag, facts.size) == (known.etag, known.size),  # type: ignore[misc]
            )
            if data is None:
                maker.sources.learn(source, told)
                raise InputChanged(key)
            found[key] = data
        return found

    def _is_wanted(self, facts: SourceFacts) -> bool:
        """Tell whether the source has to be read, now that its facts are known."""
        self._maker.sources.learn(self._request.source, facts)
        if self._inspect is not None:
            try:
                if self._inspect(
                    facts, entity_tag(self._maker.locate(self._request.source, self._request.recipe, facts).identity)
                ):
                    return False
            except S3ImgError:  # raised again where the engine asks for its own answer
                return False
        return not self._is_kept(facts)

    def _is_kept(self, facts: SourceFacts) -> bool:
        """Look for the result in every store, once for each location."""
        stores, location = self._maker.stores, self._maker.locate(self._request.source, self._request.recipe, facts)
        if location.identity == self._asked_for:
            return False
        self._asked_for = location.identity
        self._found = stores.find(location.identity) or stores.find_in_bucket(
            location, self._request.media_type, self._budget, self._watch
        )
        return self._found is not None
