"""Where a finished page finds variants and originals: inside the site, or at a public address."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from s3img.assets import OWN_FOLDER
from s3img.pictures.protocols import ObjectAddress
from s3img.pictures.variants import original_key
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3img.assets import Asset, LinkTarget
    from s3img.keys import KeyTemplate

_TAIL = re.compile(r"[?#].*", re.DOTALL)


class InsideSite:
    """Variants lie in a folder of the site, originals stay where they are."""

    @staticmethod
    def url(key: str, target: LinkTarget) -> str:
        """Return the URL of a variant in the form (relative, root-relative, absolute) that the page's author used."""
        return target.url(f"{OWN_FOLDER}/{key}")


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """Objects are in a bucket with the public address ``base_url``."""

    template: KeyTemplate
    base_url: str
    _originals: dict[str, str] = field(default_factory=dict, compare=False)  # by path

    def url(self, key: str) -> str:
        """Return the URL of an object."""
        return object_url(self.base_url, key)

    def original_key(self, asset: Asset) -> str:
        """Return the key of an image's own bytes."""
        if asset.key:  # its path may be that of another image, a file of the site
            return asset.key
        if asset.path not in self._originals:
            self._originals[asset.path] = original_key(asset, self.template)
        return self._originals[asset.path]

    def owns(self, url: str) -> bool:
        """Tell whether a URL lies below this address."""
        return url.startswith(f"{self.base_url}/")

    def keys_of(self, urls: Iterable[str]) -> set[str]:
        """Return the keys that URLs below this address lead to."""
        paths = (_TAIL.sub("", url.removeprefix(f"{self.base_url}/")) for url in urls)
        return {unquote(path) for path in paths if path}


Placement = InsideSite | ObjectAddress
