"""Which image of the lock a template means: by a path in a static folder, a URL of the app, or the lock's own path."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from s3img.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from flask import Flask

_FILE = "<path:filename>"
URL_STARTS = ("/", "http://", "https://")


@dataclass(frozen=True, slots=True)
class StaticFolder:
    """Describe a folder that the app serves as it is, below ``prefix`` (``/static/``; "" where it is not fixed).

    ``inside`` is its path below the lock's folder ("." is that folder), None for a folder elsewhere. ``owner`` names
    the blueprint that it belongs to, "" for the app, None for a folder of ``S3IMG_STATIC``; ``host`` is the one that
    serves it, "" for any.
    """

    folder: Path
    prefix: str
    inside: str | None
    owner: str | None = ""
    host: str = ""

    def path(self, name: str) -> str:
        """Return the path in the lock of a file in this folder, "" for one that can't be in it."""
        if self.inside is None:
            return ""
        path = posixpath.normpath(f"{self.inside}/{name}")
        return "" if path.startswith(("../", "/")) or path in {".", ".."} else path


class Names:
    """Look names up; ``base`` is the lock's folder, ``extra`` maps further URL prefixes to folders."""

    def __init__(self, app: Flask, base: Path, extra: Mapping[str, str]) -> None:
        self._app = app
        self._base = base.resolve()
        self._extra = extra
        self._known: tuple[int, tuple[StaticFolder, ...]] = (-1, ())

    @property
    def folders(self) -> tuple[StaticFolder, ...]:
        """Return the static folders of app and blueprints, the longest prefix first."""
        count = len(self._app.view_functions)  # a blueprint that comes later brings some
        if self._known[0] != count:
            found = {(folder.host, folder.prefix, folder.owner or ""): folder for folder in self._read()}
            self._known = (count, tuple(sorted(found.values(), key=lambda folder: -len(folder.prefix))))
        return self._known[1]

    def find(self, name: str, images: Container[str], *, blueprint: str = "", root: str = "", host: str = "") -> str:
        """Return the path under which ``images`` has what ``name`` means, "" without one.

        ``root`` is the path that the app is mounted at, ``host`` that of the request. Raise ConfigError for a
        blueprint that has no static folder.
        """
        paths = self._of_url(name, root, host) if name.startswith(URL_STARTS) else self._of_path(name, blueprint)
        return next((path for path in paths if path and path in images), "")

    def owned(self, owner: str) -> StaticFolder | None:
        """Return the static folder of a blueprint, or of the app (""), None without one."""
        return next((folder for folder in self.folders if folder.owner == owner), None)

    def of_locked(self, path: str) -> tuple[StaticFolder, str] | None:
        """Return the folder that serves a file, given by its path in the lock, and its name in it."""
        if not (self._base / path).is_file():
            return None
        places = ((folder, f"{folder.inside}/".removeprefix("./")) for folder in self.folders if folder.inside)
        return next(((folder, path[len(start) :]) for folder, start in places if path.startswith(start)), None)

    def _of_path(self, name: str, blueprint: str) -> Iterator[str]:
        folder = self.owned(blueprint)
        if folder is not None:
            yield folder.path(name)
        elif blueprint:
            known = ", ".join(sorted(folder.owner for folder in self.folders if folder.owner)) or "none"
            raise ConfigError([f"blueprint={blueprint!r}: has no static folder; of the blueprints, {known} have"])
        if not blueprint:
            yield name

    def _of_url(self, url: str, root: str, host: str) -> Iterator[str]:
        try:
            parts = urlsplit(url)
        except ValueError:  # an unclosed [ in the host
            return
        if parts.netloc and parts.netloc not in {host, *(folder.host for folder in self.folders)}:
            return
        path = unquote(parts.path).removeprefix(root)
        for folder in self.folders:
            if folder.prefix and path.startswith(folder.prefix):
                yield folder.path(path[len(folder.prefix) :])

    def _read(self) -> Iterator[StaticFolder]:
        server = self._app.config["SERVER_NAME"] or ""
        for rule in self._app.url_map.iter_rules():
            owner, dot, name = rule.endpoint.rpartition(".")
            scaffold = self._app.blueprints.get(owner) if dot else self._app
            if name != "static" or scaffold is None or scaffold.static_folder is None:
                continue
            prefix = rule.rule.removesuffix(_FILE)
            host = rule.host or (f"{rule.subdomain}.{server}" if rule.subdomain and server else "")
            yield self._folder(scaffold.static_folder, "" if "<" in prefix else prefix, owner, host)
        for url, path in self._extra.items():
            yield self._folder(str(Path(self._app.root_path, path)), f"/{url.strip('/')}/".replace("//", "/"), None)

    def _folder(self, folder: str, prefix: str, owner: str | None, host: str = "") -> StaticFolder:
        path = Path(folder).resolve()
        inside = path.relative_to(self._base).as_posix() if path.is_relative_to(self._base) else None
        return StaticFolder(path, prefix, inside, owner, host)
