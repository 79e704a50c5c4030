"""Names of results: what goes in, what is done to it, and by which version of the renderer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from s3img import imaging
from s3img.keys import variant_digest
from s3img.transform.geometry import NO_HINTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.service.engine.requests import Facts, SourceRef
    from s3img.transform import Transform
    from s3img.transform.geometry import Hints

_MODERN: Final = ("avif", "webp")
_TAG: Final = 32


@dataclass(frozen=True, slots=True)
class Recipe:
    """Say what is done to a source: its ``text`` tells all that the result depends on besides the source.

    ``transform`` is None for what is no rendering.
    """

    text: str
    transform: Transform | None = None
    accept: frozenset[str] | None = None
    hints: Hints = NO_HINTS

    @classmethod
    def of(
        cls, transform: Transform, accept: frozenset[str] | None, hints: Hints, quality: Mapping[str, int]
    ) -> Recipe:
        """Settle as much as can be without the source: the format where the client takes a modern one, its quality.

        The text is then that of a variant made when a site is built, if it asks for the same.
        """
        if transform.output.original:
            return cls(str(transform), transform)
        name = transform.format if transform.format != "auto" or accept is None else _negotiated(accept)
        open_ended = name in {"auto", "orig"}
        said = {"format": name, "quality": transform.quality or quality.get(name)}
        settled = msgspec.structs.replace(transform, output=msgspec.structs.replace(transform.output, **said))
        parts = [str(settled)]
        if open_ended:  # the source decides
            parts += [f"accept={'any' if accept is None else ''}", f"quality={sorted(quality.items())}"]
        if hints != NO_HINTS:
            parts.append(f"hints={hints.dpr}x{hints.width}")
        return cls("\n".join(parts), settled, accept, hints)

    def identity(self, source: SourceRef, facts: Facts) -> str:
        """Return the hex name of the result for a source of which the content's digest is not known.

        The key is part of it: an entity tag need not tell two contents under two keys apart, and where it is an MD5
        somebody could make two of one.
        """
        names = (source.origin, source.key, facts.version, facts.etag, str(facts.size))
        return variant_digest("\n".join(names), self.text)


def entity_tag(identity: str) -> str:
    """Return the strong entity tag (no quotes) of a result."""
    return identity[:_TAG]


def source_name(source: SourceRef) -> str:
    """Return the hex name of a source."""
    return hashlib.sha256("\n".join((source.origin, source.key, source.version)).encode()).hexdigest()


def _negotiated(accept: frozenset[str]) -> str:
    """Return the format that every source gets for a client, ``auto`` where it depends on the source."""
    for name in _MODERN:
        if imaging.MEDIA_TYPES[name] in accept and name in imaging.encoders():
            return name
    return "auto"
