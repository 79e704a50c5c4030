"""Results that a sync with variants makes as well: known by the image's content, under the keys that it gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.assets import Asset, ImageFacts
from s3img.keys import KeyTemplate, variant_digest
from s3img.ladder import MEDIA_TYPES, Wish, choose
from s3img.service.engine.stores import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.config import Config
    from s3img.lock import Lock, LockEntry
    from s3img.service.engine.identity import Recipe
    from s3img.service.engine.model import Facts, SourceRef


class LockedRungs:
    """Find the places of results whose source is in a lock, below the bucket that ``origin`` names.

    Of a source that is ``hidden`` there are none: everybody may read what a sync puts.
    """

    def __init__(
        self, lock: Lock, config: Config, *, origin: str, hidden: Callable[[Facts], bool] = lambda _: False
    ) -> None:
        self._entries = {entry.key: entry for entry in lock}
        self._config = config
        self._template = KeyTemplate.parse(config.key_template)
        self._origin = origin
        self._hidden = hidden

    def __call__(self, source: SourceRef, facts: Facts, recipe: Recipe) -> Place | None:
        """Return the place of a result; None for a source that is not the one that was locked."""
        entry = self._entries.get(source.key) if source.origin == self._origin and not source.version else None
        if entry is None or entry.size != facts.size or self._hidden(facts):
            return None
        identity = variant_digest(entry.sha256, recipe.text)
        key = self._rung(entry, recipe, identity)
        return Place(identity, key) if key else Place.of(identity)

    def _rung(self, entry: LockEntry, recipe: Recipe, identity: str) -> str:
        """Return the key under which a sync puts this very rendering, "" where it makes none like it."""
        transform = recipe.transform
        if transform is None or len(transform.steps) != 1 or transform.format not in MEDIA_TYPES:
            return ""
        width = transform.steps[0].width
        if not isinstance(width, int):
            return ""
        asset = Asset(entry.path, entry.sha256, entry.size, ImageFacts(entry.media_type, entry.width, entry.height))
        wish = Wish(widths=(width,), formats=(transform.format,))
        rungs = choose(asset, wish, self._config, self._template).variants
        return next((rung.key for rung in rungs if rung.identity == identity), "")
