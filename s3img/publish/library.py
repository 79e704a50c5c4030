"""The images of a site: found once by path, with their digest and facts; each fault is reported once."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from s3img.assets import Asset, ImageFacts, TargetKind
from s3img.cache import Digests, SiteState
from s3img.errors import AssetError, ImageError, unexpected
from s3img.imaging import probe
from s3img.imaging.probing import lacks_end_marker
from s3img.keys import KeyTemplate
from s3img.pictures.protocols import ReferenceFault
from s3img.pictures.variants import VariantRequest, VariantSet, choose

if TYPE_CHECKING:
    from s3img.assets import AssetRoot, LinkTarget
    from s3img.config import Config
    from s3img.publish.locked_originals import LockedOriginals

CUT_JPEG = "no-end-marker"
"""The code of a note about a JPEG that is published although something is wrong with it."""

Fault = Callable[[str, str, str], None]
"""Report (path, code, message)."""


class SiteLibrary:
    """Find the images of a site, and by ``originals`` those that only the bucket has.

    ``unusable`` is called whenever a page asks for an image that can't be used.
    """

    def __init__(
        self,
        root: AssetRoot,
        state: SiteState,
        config: Config,
        fault: Fault,
        *,
        unusable: Callable[[], None] = lambda: None,
        originals: LockedOriginals | None = None,
    ) -> None:
        self._root = root
        self._state = state
        self._digests = Digests(root.root, state)
        self._config = config
        self._template = KeyTemplate.parse(config.key_template)
        self._variants: dict[tuple[str, str, VariantRequest], VariantSet] = {}
        self._fault = fault
        self._unusable = unusable
        self._originals = originals
        self._assets: dict[str, Asset | None] = {}
        self._missing: dict[str, ReferenceFault] = {}

    def find(self, target: LinkTarget) -> Asset | ReferenceFault | None:
        """Return the image at a target, a fault for one that is nowhere; an unusable file is reported once, here."""
        if target.kind is TargetKind.FILE:
            if target.path not in self._assets:
                self._assets[target.path] = self._read(target.path)
            if self._assets[target.path] is None:
                self._unusable()
            return self._assets[target.path]
        return self._absent(target.path) if target.kind is TargetKind.MISSING else None

    def _absent(self, path: str) -> Asset | ReferenceFault:
        """Find an image that is not on disk but in the bucket, as the project's lock tells."""
        try:
            asset = self._originals.asset(path) if self._originals else None
        except AssetError as error:
            return ReferenceFault("ambiguous", str(error))
        if asset:
            return asset
        if path not in self._missing:
            hint = self._root.missing_hint(path)  # compares with every file of the site, so once for each path
            self._missing[path] = ReferenceFault("missing", f"image {path!r} does not exist: {hint}")
        return self._missing[path]

    def variants(self, asset: Asset, request: VariantRequest) -> VariantSet:
        """Return an asset's variants; worked out once for all pages that show it in the same way."""
        found = self._variants.get((asset.path, asset.key, request))
        if found is None:
            found = self._variants[asset.path, asset.key, request] = choose(
                asset, request, self._config, self._template
            )
        return found

    def _read(self, path: str) -> Asset | None:
        stat = self._root.files[path]
        try:
            digest = self._digests.digest(path, stat)
            known = self._state.facts.get(digest)
            if known is None:
                file = self._root.file(path)
                info = probe(file, limits=self._config.limits)
                known = ImageFacts(
                    info.media_type,
                    info.width,
                    info.height,
                    animated=info.animated,
                    alpha=info.alpha,
                    is_cut=info.format == "jpeg" and lacks_end_marker(file),
                )
                self._state.facts[digest] = known
            if known.is_cut:
                text = "lacks its end marker, and perhaps more. Browsers show it all the same; save it again."
                self._fault(path, CUT_JPEG, text)
            return Asset(path, digest, stat.size, known)
        except AssetError as error:
            self._fault(path, "unreadable", f"{_without_path(error, path)} It stays as it is; check its permissions.")
        except ImageError as error:
            text = _without_path(error, os.fspath(self._root.file(path)))
            self._fault(path, "bad-image", f"{text} Its references stay as they are.")
        except Exception as error:  # one file never ends a run
            self._fault(path, "unexpected", f"met {unexpected(error)} Its references stay as they are.")
        return None


def _without_path(error: Exception, path: str) -> str:
    """Return a message without the path in front, which the report names anyway."""
    return str(error).removeprefix(f"{path}: ")
