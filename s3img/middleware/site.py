"""Find the images of a running site in the lock, as publishing finds those of a built site on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin, urlsplit

from s3img.assets import Asset, LinkTarget, TargetKind
from s3img.errors import ConfigError
from s3img.pictures.variants import unchanged
from s3img.urls import PATH_CHARACTERS, clean_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3img.pictures.catalog import Catalog, VariantLookup
    from s3img.pictures.variants import VariantRequest, VariantSet

_EXTERNAL = LinkTarget(TargetKind.EXTERNAL)


@dataclass(frozen=True, slots=True)
class Mount:
    """Serve a folder of the lock (``static/``, "" is the lock's own) below an URL path of the app (``/static/``)."""

    prefix: str
    folder: str


def mounts(static: Mapping[str, str | os.PathLike[str]], base: Path) -> tuple[Mount, ...]:
    """Place static roots below the lock's folder, the longest URL prefix first; raise ConfigError for others."""
    found, problems = [], []
    for prefix, folder in static.items():
        try:
            path = os.path.relpath(Path(base, folder), base).replace(os.sep, "/")
        except ValueError:  # another drive
            path = ".."
        if path == ".." or path.startswith("../"):
            problems.append(f"static: {os.fspath(folder)!r} lies outside {base}, the folder of the lock")
        if not prefix.startswith("/"):
            problems.append(f"static: {prefix!r} is not a path of the app: write /static/")
        found.append(Mount(f"{prefix.rstrip('/')}/", "" if path == "." else f"{path}/"))
    if problems:
        raise ConfigError(problems)
    return tuple(sorted(found, key=lambda mount: -len(mount.prefix)))


@dataclass(frozen=True, slots=True)
class Page:
    """Where a page is: scheme and host, the path that the app is mounted at, and the page's path, both quoted."""

    origin: str
    root: str
    path: str

    @classmethod
    def of(cls, origin: str, script_name: str, path_info: str) -> Page:
        """Read WSGI's variables, whose text is Latin-1 by PEP 3333."""
        name = quoted(script_name).strip("/")  # two slashes in front would be another host
        root = f"/{name}" if name else ""
        return cls(origin, root, root + quoted(path_info) or "/")


class LockedRoot:
    """Resolve the references of one page to paths of the lock; ``missing`` is called with paths that are not in it.

    ``known`` remembers URLs that lead to the same image from every page.
    """

    def __init__(
        self,
        catalog: Catalog,
        page: Page,
        mounts: tuple[Mount, ...],
        missing: Callable[[str], None],
        known: dict[tuple[str, str, str], LinkTarget],
    ) -> None:
        self._known = known
        self._lock = catalog.lock
        self._page = page
        self._mounts = mounts
        self._missing = missing

    def resolve(self, url: str, *, document: str, base: str | None = None) -> LinkTarget:
        """Find the image that a URL leads to, as a browser would; one that is not in the lock counts as external."""
        if not url.startswith("/") or base is not None:
            return self._resolve(url, document, base)
        key = (self._page.origin, self._page.root, url)  # the same image for every page
        found = self._known.get(key)
        if found is None:
            found = self._resolve(url, document, base)
            if found is not _EXTERNAL:
                self._known[key] = found
        return found

    def _resolve(self, url: str, document: str, base: str | None) -> LinkTarget:
        url, tail = clean_url(url)
        if not url or url.startswith(("#", "data:")):
            return _EXTERNAL
        try:
            here = self._page.origin + document
            parts = urlsplit(urljoin(urljoin(here, base.strip()) if base else here, url))
        except ValueError:  # an unclosed [ in the host
            return _EXTERNAL
        if f"{parts.scheme}://{parts.netloc}".lower() != self._page.origin:
            return _EXTERNAL
        is_of_app = parts.path.startswith(f"{self._page.root}/")
        inside = unquote(parts.path[len(self._page.root) :], errors="surrogateescape")
        # The longest prefix comes first, so a folder that is served below another one is found before it.
        mount = next((mount for mount in self._mounts if inside.startswith(mount.prefix)), None)
        if mount is None or not is_of_app:
            return _EXTERNAL
        path = mount.folder + inside[len(mount.prefix) :]
        if path not in self._lock:
            self._missing(path)
            return _EXTERNAL
        return LinkTarget(TargetKind.FILE, path, tail=tail)


class LockedLibrary:
    """Look up images and their variants in the lock; ``fault`` is called with path, code and message of a problem."""

    def __init__(self, catalog: Catalog, lookup: VariantLookup, fault: Callable[[str, str, str], None]) -> None:
        self._catalog = catalog
        self._lookup = lookup
        self._fault = fault

    def find(self, target: LinkTarget) -> Asset | None:
        """Return the image at a target, None for one that is not in the lock."""
        entry = self._catalog.lock.get(target.path) if target.kind is TargetKind.FILE else None
        return self._lookup.asset(entry) if entry else None

    def variants(self, asset: Asset, request: VariantRequest) -> VariantSet:
        """Return what the bucket holds of an image, or what the service makes of it."""
        if request.transform.steps and self._catalog.service is None:
            message = f"data-s3img={str(request.transform)!r} needs service_url; the image is shown without it."
            self._fault(asset.path, "no-service", message)
            return unchanged(asset)
        return self._lookup.variants(self._catalog.lock.entries[asset.path], request)


@dataclass(frozen=True, slots=True)
class LockedAddress:
    """Return addresses of objects under the keys in the lock, which settings of today may name differently.

    ``root`` is the path that the app is mounted at; it is put before addresses that begin with a slash.
    """

    catalog: Catalog
    lookup: VariantLookup
    root: str

    def url(self, key: str) -> str:
        """Return the address of a variant or an original."""
        found = self.lookup.url(key)
        return self.root + found if found.startswith("/") else found

    def original_key(self, asset: Asset) -> str:
        """Return the key of an image's own bytes."""
        return self.catalog.lock.entries[asset.path].key


def quoted(path: str) -> str:
    """Percent-encode a path from WSGI, keeping what browsers keep."""
    return quote(path.encode("latin-1"), safe=PATH_CHARACTERS)
