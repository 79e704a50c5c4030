"""Make one result that is not near: look once more, fetch, render, keep. One request at a time does it for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from s3img import imaging
from s3img.errors import AccessDenied, ImageTooLarge, ObjectNotFound, S3ImgError, UnsupportedImage
from s3img.service.engine.cache_entry import Entry, EntryHeader
from s3img.service.engine.errors import late
from s3img.service.engine.fetch import fetch
from s3img.service.engine.identity import Recipe, entity_tag
from s3img.service.engine.memory import Recent
from s3img.service.engine.requests import Budget, Facts, Inspect, SourceRef
from s3img.service.engine.stores import ResultPlace, Stores

if TYPE_CHECKING:
    from concurrent.futures import Future

    from s3img.buckets import Bucket
    from s3img.imaging import Drawn
    from s3img.limits import Limits
    from s3img.service.engine.flights import ProcessLocks
    from s3img.service.engine.lanes import Encoders, Gate, Lane
    from s3img.service.engine.metrics import Stopwatch
    from s3img.service.engine.sources import Sources

Made: TypeAlias = "Entry | Drawn"
"""What comes of a source: a result, or a picture that is still to be encoded."""

Shared: TypeAlias = Callable[[SourceRef, Facts, Recipe], ResultPlace | None]
"""Return the place of a result that others may make as well, None where nothing is known of it."""

_PLACES: Final = 2048
"""Results whose names are remembered, so that a hit does without two digests."""


class Task(msgspec.Struct, frozen=True):
    """Hold what to do: ``make`` turns a source's bytes into the entry, or into a picture that is still to be encoded.

    ``media_type`` is of what is no image.
    """

    source: SourceRef
    recipe: Recipe
    make: Callable[[bytes, Budget], Made]
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold what became of a task; without ``entry`` it is near now, or its client has it already."""

    facts: Facts
    place: ResultPlace
    entry: Entry | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Hold what every task needs; ``holding`` bounds how many sources are in memory, being rendered or waiting."""

    origin: Callable[[str], Bucket]
    sources: Sources
    stores: Stores
    fetching: Lane
    rendering: Lane
    encoders: Encoders
    holding: Gate
    locks: ProcessLocks
    input_bytes: int
    shared: Shared | None = None
    places: Recent[tuple[Facts, ResultPlace]] = field(default_factory=lambda: Recent(_PLACES))

    def place(self, task: Task, facts: Facts) -> ResultPlace:
        """Return where the result for a source of these facts is kept."""
        name = task.source, task.recipe.text
        known = self.places.get(name)
        if known is not None and known[0] is facts:
            return known[1]
        found = self.shared(task.source, facts, task.recipe) if self.shared else None
        place = found or ResultPlace.of(task.recipe.identity(task.source, facts))
        self.places.set(name, (facts, place))
        return place

    def make(self, task: Task, name: str, inspect: Inspect | None, watch: Stopwatch, budget: Budget) -> Outcome:
        """Return the outcome of a task, made by this process or by another one; ``name`` (hex) is the task's."""
        with self.locks.held(name, budget):
            return _Making(self, task, inspect, watch, budget).run()


class _Making:
    """Hold what is found out on the way."""

    def __init__(self, shop: Workshop, task: Task, inspect: Inspect | None, watch: Stopwatch, budget: Budget) -> None:
        self._shop = shop
        self._task = task
        self._inspect = inspect
        self._watch = watch
        self._budget = budget
        self._looked_for = ""
        self._found: tuple[Entry, str] | None = None

    def run(self) -> Outcome:
        """Look where another process or machine may have put the result, else fetch the source and make it."""
        facts = self._shop.sources.usable(self._task.source)
        if facts is not None and self._is_kept(facts):
            return self._outcome(facts)
        facts, begun = self._begun()
        if begun is not None:
            made = self._shop.encoders.finish(begun, self._budget)
            self._found = made, "render"
            self._shop.stores.keep(self._shop.place(self._task, facts), made)
        return self._outcome(facts)

    def _begun(self) -> tuple[Facts, Entry | Future[Entry] | None]:
        """Do what the source is needed for; nothing holds its bytes any more after that."""
        with self._shop.holding.held(self._budget):
            facts, data = self._fetched()
            if data is None:
                return facts, None
            return facts, self._shop.rendering.run(partial(self._drawn, data), self._budget, self._watch)

    def _outcome(self, facts: Facts) -> Outcome:
        place = self._shop.place(self._task, facts)
        entry, origin = self._found or (None, "")
        if entry is not None and not isinstance(entry.body, bytes):  # every request opens a file of its own
            entry.body.close()
            entry = None
        return Outcome(facts, place, entry, origin)

    def _fetched(self) -> tuple[Facts, bytes | None]:
        shop, task = self._shop, self._task

        def work() -> tuple[Facts, bytes | None]:
            fetched = fetch(
                shop.origin(task.source.origin),
                task.source,
                limit=shop.input_bytes,
                budget=self._budget,
                is_wanted=self._is_wanted,
            )
            return fetched.facts, fetched.data

        try:
            return shop.fetching.run(work, self._budget, self._watch)
        except (ObjectNotFound, AccessDenied) as error:
            shop.sources.lose(task.source, error)
            raise

    def _is_wanted(self, facts: Facts) -> bool:
        """Tell whether the source has to be read, now that its facts are known."""
        self._shop.sources.learn(self._task.source, facts)
        return not self._is_settled(facts) and not self._is_kept(facts)

    def _is_settled(self, facts: Facts) -> bool:
        """Tell whether this client needs no result; what forbids it one is raised where it is asked again."""
        if self._inspect is None:
            return False
        try:
            return self._inspect(facts, entity_tag(self._shop.place(self._task, facts).identity))
        except S3ImgError:
            return True

    def _is_kept(self, facts: Facts) -> bool:
        place = self._shop.place(self._task, facts)
        if place.identity == self._looked_for:
            return False
        self._looked_for = place.identity
        self._found = self._shop.stores.find(place.identity)
        if self._found is None:
            self._found = self._shop.stores.find_far(place, self._task.media_type, self._budget, self._watch)
        return self._found is not None

    def _drawn(self, data: bytes) -> Entry | Future[Entry]:
        made = self._task.make(data, self._budget)
        return made if isinstance(made, Entry) else self._shop.encoders.begin(made, self._budget, self._watch)


STEP: Final = "render"


def draw(data: bytes, recipe: Recipe, *, limits: Limits, quality: dict[str, int], budget: Budget) -> Entry | Drawn:
    """Draw with the profile for requests; what is never rendered (SVG, ICO) is passed through if it may be.

    Raise what `imaging.draw` raises, and `DeadlineExceeded` for work that the budget ended.
    """
    budget.check(STEP)
    transform = recipe.transform
    info = imaging.probe(data, limits=limits)
    if transform is None or (not info.renderable and transform.format in {"auto", "orig"}):
        return Entry(EntryHeader(info.media_type, info.width, info.height), data, len(data))
    if not info.renderable:
        fix = "Leave out f-, and it is passed on as it is."
        raise UnsupportedImage(f"{info.format.upper()} is published as it is and never rendered.", fix=fix)
    try:
        return imaging.draw(
            data,
            transform,
            profile="request",
            accept=recipe.accept,
            limits=msgspec.structs.replace(limits, seconds=max(0.0, min(limits.seconds, budget.left))),
            quality=quality,
            hints=recipe.hints,
        )
    except ImageTooLarge as error:
        if error.limit == "seconds" and budget.left <= 0:
            raise late(STEP) from error
        raise
