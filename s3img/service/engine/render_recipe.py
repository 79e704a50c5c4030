"""What is done to a source, settled as far as possible without it: names of results follow from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from s3img import imaging
from s3img.errors import ImageTooLarge
from s3img.imaging import Drawn
from s3img.keys import variant_digest
from s3img.service.engine.disk_cache import CachedResult, ResultHeader
from s3img.service.engine.jobs import late
from s3img.transform.geometry import NO_HINTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from s3img.imaging.isolation.tasks import DrawSource
    from s3img.limits import Limits
    from s3img.service.engine.jobs import Budget, SourceFacts, SourceRef
    from s3img.transform import Transform
    from s3img.transform.geometry import Hints

_MODERN: Final = ("avif", "webp")
_STEP: Final = "render"


@dataclass(frozen=True, slots=True)
class RenderRecipe:
    """What is done to a source: ``text`` has all that the result depends on besides the source.

    ``transform`` is None where nothing is rendered. ``modern`` are recipes for the modern formats that a client takes,
    the most modern first, where the transform leaves the format open: a site's build may have made one of those.
    """

    text: str
    transform: Transform | None = None
    accept: frozenset[str] | None = None
    hints: Hints = NO_HINTS
    modern: tuple[RenderRecipe, ...] = ()

    @classmethod
    def of(
        cls, transform: Transform, accept: frozenset[str] | None, hints: Hints, quality: Mapping[str, int]
    ) -> RenderRecipe:
        """Settle what needs no source: the quality of a format that the transform names.

        The text is then that of a variant made when a site is built, if it asks for the same. Which of the formats
        that a client takes makes the smallest result is only known from the pixels, so all of them are in the text,
        and the result that is kept under it remembers which one it was.
        """
        if transform.output.original:
            return cls(str(transform), transform)
        name = transform.format
        encoders = imaging.encoders()
        names = [one for one in _MODERN if imaging.MEDIA_TYPES[one] in (accept or ()) and one in encoders]
        output = msgspec.structs.replace(transform.output, format=name, quality=transform.quality or quality.get(name))
        settled = msgspec.structs.replace(transform, output=output)
        parts = [str(settled)]
        if name in {"auto", "orig"}:  # the source decides
            taken = "any" if accept is None or name == "orig" else ",".join(names)
            parts += [f"accept={taken}", f"quality={sorted(quality.items())}"]
        if hints != NO_HINTS:
            parts.append(f"hints={hints.dpr}x{hints.width}")
        modern: tuple[RenderRecipe, ...] = ()
        if name == "auto":
            outputs = (msgspec.structs.replace(transform.output, format=one) for one in names)
            named = [msgspec.structs.replace(transform, output=output) for output in outputs]
            modern = tuple(cls.of(one, None, hints, quality) for one in named)
        return cls("\n".join(parts), settled, accept, hints, modern)

    def with_inputs(self, inputs: Iterable[tuple[str, SourceRef, SourceFacts]]) -> RenderRecipe:
        """Return the recipe for layers of these sources: a changed logo is another result, under another name."""
        lines = [
            "\n".join((f"layer={key}", one.origin, one.key, facts.version, facts.etag, str(facts.size)))
            for key, one, facts in inputs
        ]
        return replace(self, text="\n".join([self.text, *lines]), modern=()) if lines else self

    def identity(self, source: SourceRef, facts: SourceFacts) -> str:
        """Return the hex name of the result for a source of which the content's digest is not known.

        The key is part of it: an entity tag need not tell two contents under two keys apart, and where it is an MD5
        somebody could make two of one.
        """
        names = (source.origin, source.key, facts.version, facts.etag, str(facts.size))
        return variant_digest("\n".join(names), self.text)


def entity_tag(identity: str) -> str:
    """Return the strong entity tag (no quotes) of a result."""
    return identity[:32]


def source_name(source: SourceRef) -> str:
    """Return the hex name of a source."""
    return hashlib.sha256("\n".join((source.origin, source.key, source.version)).encode()).hexdigest()


def draw_in_time(data: bytes, draw: DrawSource, *, limits: Limits, budget: Budget) -> CachedResult | Drawn:
    """Draw in this process, within the limits and what is left of a request's time.

    Raise what ``draw`` raises, and `DeadlineExceeded` after the end of that time.
    """
    budget.check(_STEP)
    try:
        drawn = draw(data, limits_in_time(limits, budget))
    except ImageTooLarge as error:
        if error.limit == "seconds" and budget.left <= 0:  # the request's time ended, not the picture's
            raise late(_STEP) from error
        raise
    if isinstance(drawn, Drawn):
        return drawn
    return CachedResult(ResultHeader(drawn.media_type, drawn.width, drawn.height), drawn.data, len(drawn.data))


def limits_in_time(limits: Limits, budget: Budget) -> Limits:
    """Return limits under which a rendering takes no longer than its request may."""
    return msgspec.structs.replace(limits, seconds=max(0.0, min(limits.seconds, budget.left)))
