"""Names of results: what is done to a source, settled as far as possible without it, and where the result is kept.

Nothing is read or asked for, so every program that knows a source's key, ETag and size comes to the same names.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from s3img import imaging
from s3img.assets import Asset, ImageFacts
from s3img.keys import KeyTemplate, variant_digest
from s3img.pictures.variants import MEDIA_TYPES, VariantRequest, choose, subsampling_of
from s3img.transform.geometry import NO_HINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from s3img.config import Config
    from s3img.lock import Lock, LockEntry
    from s3img.transform import Transform
    from s3img.transform.geometry import Hints

RESULTS: Final = ".s3img/results/"
"""Where results are that no site refers to: a prefix that gc never takes for a site's images."""
OWN_BUCKET: Final = "bucket"
"""Name of the only origin where none is configured: what ``bucket`` names. It is part of the names of results."""
PRIVATE: Final = "isprivatefile"
"""Name of the metadata, as ImageKit has it, that keeps an object from unsigned requests where it is ``true``."""
_MODERN: Final = ("avif", "webp")


class SourceRef(msgspec.Struct, frozen=True):
    """Name a source: an origin's name, a key as its bucket knows it, and one version of it where several are kept."""

    origin: str
    key: str
    version: str = ""


class SourceFacts(msgspec.Struct, frozen=True):
    """What an origin tells about a source: ``size`` in bytes as stored, ``etag`` opaque and without quotes.

    ``metadata`` has names in lower case; ``media_type`` and ``content_disposition`` are what was stored with it, which
    nobody has checked. ``codings`` are the content codings (RFC 9110, section 8.4.1) it is stored in, in order.
    """

    etag: str
    size: int
    modified: datetime
    media_type: str = ""
    cache_control: str = ""
    version: str = ""
    metadata: dict[str, str] = {}
    codings: tuple[str, ...] = ()
    content_disposition: str = ""
    content_language: str = ""


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
        cls,
        transform: Transform,
        accept: frozenset[str] | None,
        hints: Hints,
        quality: Mapping[str, int],
        subsampling: str = "auto",
    ) -> RenderRecipe:
        """Settle what needs no source: quality and subsampling of a format that the transform names.

        The text is then that of a variant made when a site is built, if it asks for the same. Which of the formats
        that a client takes makes the smallest result is only known from the pixels, so all of them are in the text,
        and the result that is kept under it remembers which one it was.
        """
        if transform.output.original:
            return cls(str(transform), transform)
        name = transform.format
        encoders = imaging.encoders()
        names = [one for one in _MODERN if imaging.MEDIA_TYPES[one] in (accept or ()) and one in encoders]
        output = msgspec.structs.replace(
            transform.output,
            format=name,
            quality=transform.quality or quality.get(name),
            subsampling=transform.output.subsampling or subsampling_of(subsampling, name),
        )
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
            modern = tuple(cls.of(one, None, hints, quality, subsampling) for one in named)
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


def is_private(facts: SourceFacts) -> bool:
    """Tell whether a source's metadata calls it private."""
    return facts.metadata.get(PRIVATE, "").lower() == "true"


def source_name(source: SourceRef) -> str:
    """Return the hex name of a source."""
    return hashlib.sha256("\n".join((source.origin, source.key, source.version)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ResultLocation:
    """Where a result is kept: its hex name for ever, and its key in the bucket.

    ``others`` are keys of a site's variants that serve as well, to be tried before ``key``.
    """

    identity: str
    key: str
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, identity: str) -> ResultLocation:
        """Return the location of a result that no site refers to."""
        return cls(identity, f"{RESULTS}{identity[:2]}/{identity}")


class SyncedVariants:
    """Find the locations of results whose source is in a lock, below the bucket that ``origin`` names.

    Of a source that is ``hidden`` there are none: everybody may read what a sync puts.
    """

    def __init__(
        self, lock: Lock, config: Config, *, origin: str, hidden: Callable[[SourceFacts], bool] = lambda _: False
    ) -> None:
        self._entries = {entry.key: entry for entry in lock}
        self._config = config
        self._template = KeyTemplate.parse(config.key_template)
        self._origin = origin
        self._hidden = hidden

    def __call__(self, source: SourceRef, facts: SourceFacts, recipe: RenderRecipe) -> ResultLocation | None:
        """Return the location of a result; None for a source that is not the one that was locked."""
        entry = self._entries.get(source.key) if source.origin == self._origin and not source.version else None
        if entry is None or entry.size != facts.size or self._hidden(facts):
            return None
        identity = variant_digest(entry.sha256, recipe.text)
        if recipe.modern:
            # A sync leaves out formats that would not be smaller, so the most modern variant it has is the smallest.
            others = [self._variant_key(entry, one) for one in recipe.modern]
            location = ResultLocation.of(identity)
            return ResultLocation(identity, location.key, tuple(filter(None, others)))
        key = self._variant_key(entry, recipe)
        return ResultLocation(identity, key) if key else ResultLocation.of(identity)

    def _variant_key(self, entry: LockEntry, recipe: RenderRecipe) -> str:
        """Return the key under which a sync puts this very rendering, "" where it makes none like it."""
        identity = variant_digest(entry.sha256, recipe.text)
        transform = recipe.transform
        if transform is None or len(transform.steps) != 1 or transform.format not in MEDIA_TYPES:
            return ""
        width = transform.steps[0].width
        if not isinstance(width, int):
            return ""
        asset = Asset(entry.path, entry.sha256, entry.size, ImageFacts(entry.media_type, entry.width, entry.height))
        request = VariantRequest(widths=(width,), formats=(transform.format,))
        variants = choose(asset, request, self._config, self._template).variants
        return next((variant.key for variant in variants if variant.identity == identity), "")
