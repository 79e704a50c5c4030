"""The images of a site: found once by path, with their digest and facts; each fault is reported once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from s3img.assets import Asset, AssetRoot, ImageFacts
from s3img.cache import Digests, SiteState
from s3img.errors import AssetError, ImageError
from s3img.imaging import probe
from s3img.keys import KeyTemplate
from s3img.pictures.variants import VariantRequest, VariantSet, choose

if TYPE_CHECKING:
    from s3img.config import Config
    from s3img.pictures.locked_originals import LockedOriginals

Fault = Callable[[str, str, str], None]
"""Report (path, code, message)."""


class Library:
    """Look up the asset at a path of the site."""

    def __init__(
        self,
        root: AssetRoot,
        state: SiteState,
        config: Config,
        fault: Fault,
        *,
        originals: LockedOriginals | None = None,
    ) -> None:
        self._root = root
        self._state = state
        self._digests = Digests(root.root, state)
        self._config = config
        self._template = KeyTemplate.parse(config.key_template)
        self._variants: dict[tuple[str, VariantRequest], VariantSet] = {}
        self._fault = fault
        self._originals = originals
        self._assets: dict[str, Asset | None] = {}

    def asset(self, path: str) -> Asset | None:
        """Return the image at a path, or None when there is none that can be used; the fault is reported."""
        if path not in self._assets:
            self._assets[path] = self._read(path)
        return self._assets[path]

    def absent(self, path: str) -> Asset | None:
        """Return the image that a missing path stands for as the lock tells, None without one.

        Raise AssetError where several may be meant.
        """
        return self._originals.asset(path) if self._originals else None

    def variants(self, asset: Asset, request: VariantRequest) -> VariantSet:
        """Return an asset's variants; worked out once for all pages that show it in the same way."""
        found = self._variants.get((asset.path, request))
        if found is None:
            found = self._variants[asset.path, request] = choose(asset, request, self._config, self._template)
        return found

    def _read(self, path: str) -> Asset | None:
        stat = self._root.files[path]
        try:
            digest = self._digests.digest(path, stat)
            return Asset(path, digest, stat.size, self._facts(path, digest))
        except AssetError as error:
            self._fault(path, "unreadable", f"{error} It stays as it is; mend its permissions.")
        except ImageError as error:
            self._fault(path, "bad-image", f"{error} Its references stay as they are.")
        return None

    def _facts(self, path: str, digest: str) -> ImageFacts:
        known = self._state.facts.get(digest)
        if known is None:
            info = probe(self._root.file(path), limits=self._config.limits)
            known = ImageFacts(info.media_type, info.width, info.height, animated=info.animated, alpha=info.alpha)
            self._state.facts[digest] = known
        return known
