"""The static images of an application: which folders it serves, and what its templates show of the lock."""

from __future__ import annotations

import inspect
import logging
import posixpath
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from s3img.errors import AssetError, ConfigError, S3ImgError
from s3img.pictures.catalog import Catalog, CatalogFile, plain_picture
from s3img.pictures.markup import STYLE_SHEET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from s3img.config import Config
    from s3img.pictures.catalog import LockedPicture

log = logging.getLogger("s3img")

_PACKAGES = frozenset({"site-packages", "dist-packages"})
_OPTIONS = inspect.signature(Catalog.picture).parameters.keys()


@dataclass(frozen=True, slots=True)
class StaticFolder:
    """Describe a folder that an application serves as it is.

    ``prefix`` is what names of its files begin with: in Flask the path of an address (``/static/``; "" where it is not
    fixed), in Django the first part of a name. ``inside`` is its path below the lock's folder ("." is that folder),
    None for a folder elsewhere. ``owner`` names the blueprint that it belongs to, "" for the app, None for a folder
    that a setting adds; ``host`` is the one that serves it, "" for any.
    """

    folder: Path
    prefix: str
    inside: str | None
    owner: str | None = ""
    host: str = ""

    @classmethod
    def below(cls, base: Path, folder: str | Path, prefix: str, owner: str | None = "", host: str = "") -> Self:
        """Return a folder as it lies to ``base``, the resolved folder of the lock."""
        path = Path(folder).resolve()
        inside = path.relative_to(base).as_posix() if path.is_relative_to(base) else None
        return cls(path, prefix, inside, owner, host)

    @property
    def is_installed(self) -> bool:
        """Tell whether it belongs to an installed package.

        A package's pictures come with each of its versions: they are its own to deliver, not this application's.
        """
        return not _PACKAGES.isdisjoint(self.folder.parts if self.inside is None else self.inside.split("/"))

    def path(self, name: str) -> str:
        """Return the path in the lock of a file in this folder, "" for one that can't be in it."""
        if self.inside is None:
            return ""
        path = posixpath.normpath(f"{self.inside}/{name}")
        return "" if path.startswith(("../", "/")) or path in {".", ".."} else path


class SetupProblem(NamedTuple):
    """What keeps an application's images from being shown, and what to do; codes of errors begin with E."""

    code: str
    message: str
    fix: str | None = None


class StaticImages:
    """The images of an application's static folders, under the names that its templates use; safe for threads.

    ``folders`` are in the order in which the framework looks for a file. ``local`` returns the address at which the
    framework serves a file itself. With ``is_strict``, as during development, a name that is not in the lock is an
    error; otherwise the page shows the local file. ``sync`` is the command that writes the lock.
    """

    def __init__(
        self,
        config: Config,
        lock: Path,
        folders: Sequence[StaticFolder],
        *,
        local: Callable[[str], str],
        is_strict: bool,
        sync: str,
    ) -> None:
        self._config = config
        self._lock = lock
        self._folders = folders
        self._local = local
        self._is_strict = is_strict
        self._sync = sync
        self._catalog_file = CatalogFile(lock, config, missing_ok=True) if config.bucket else None

    def own_folders(self) -> tuple[Path, ...]:
        """Return the folders that a sync takes: those below the lock's folder; raise ConfigError for none."""
        own = (one.folder for one in self._folders if one.inside is not None and not one.is_installed)
        if not (found := tuple(folder for folder in own if folder.is_dir())):
            raise ConfigError([f"{self._lock}: no static folder lies below its folder: choose a place above them"])
        return found

    def find(self, name: str) -> tuple[Catalog, str] | None:
        """Return the catalog and the path in the lock of a static file, None where the framework serves it itself.

        A folder that is asked earlier may have another file of this name on disk, which is not in the lock: then that
        file is meant. Raise LockError.
        """
        if self._catalog_file is None:
            return None
        catalog = self._catalog_file.current()
        earlier: list[Path] = []
        for folder in self._folders:
            file = name.removeprefix(folder.prefix) if name.startswith(folder.prefix) else ""
            path = "" if folder.is_installed or not file else folder.path(file)
            if path in catalog.lock:
                return None if any(one.is_file() for one in earlier) else (catalog, path)
            earlier += [folder.folder / file] if file else []
        return None

    def url(self, name: str, transform: str = "") -> str:
        """Return the address of an image, transformed, or that of the local file.

        Raise AssetError for a name that is not in the lock while strict, TransformError, and ConfigError.
        """
        name = str(name)  # a template gives what its context has: None, a number, a field with a file
        found = self.find(name)
        return found[0].url(found[1], transform) if found else self._local_url(name)

    def picture(self, name: str, alt: str, options: Mapping[str, Any]) -> LockedPicture:
        """Return an image with all its candidates, or the local file as a plain ``<img>``; raise as `url` does.

        ``options`` are those of `Catalog.picture`; all others are attributes, with - for _.
        """
        name = str(name)
        author = {key.replace("_", "-"): str(value) for key, value in options.items() if key not in _OPTIONS}
        if found := self.find(name):
            given = {key: value for key, value in options.items() if key in _OPTIONS}
            return found[0].picture(found[1], alt=alt, attributes=author, **given)
        author |= {key: str(options[key]) for key in ("loading", "width") if key in options}
        return plain_picture(self._local_url(name), {"alt": alt, **author}, priority=bool(options.get("priority")))

    def styles(self, nonce: str = "") -> str:
        """Return the ``<style>`` that keeps a picture's shape; ``nonce`` is that of a Content-Security-Policy."""
        attribute = f' nonce="{escape(nonce)}"' if nonce else ""
        return f"<style{attribute}>{STYLE_SHEET}</style>"

    def problem(self) -> SetupProblem | None:
        """Return the first thing that is wrong with the settings and the lock; ask no bucket. Raise LockError."""
        if not self._config.bucket:
            fix = 'Set bucket to "s3://NAME/PREFIX".'
            return SetupProblem("W001", "No bucket is set: pages show local images.", fix)
        if self._config.base_url.startswith("file:"):
            message = "public_url is not set: browsers can't open images in a folder of this machine."
            return SetupProblem("E002", message, "Set it to the address at which the folder is served.")
        if not self._lock.exists():
            message = f"{self._lock} does not exist: pages show local images."
            return SetupProblem("W002", message, f"Write it with {self._sync}.")
        self.find("")
        return None

    def _local_url(self, name: str) -> str:
        if self._is_strict and self._catalog_file and self._lock.exists():
            try:
                self._catalog_file.current().entry(name)
            except AssetError as error:
                fix = (error.fix or "").replace("s3img sync", self._sync)
                raise AssetError(f"{name!r} is not in the lock.", path=name, fix=fix) from None
        log.warning("%r is not in %s: the page shows the local file. Run %s.", name, self._lock, self._sync)
        return self._local(name)


def setup_problems(open_images: Callable[[], StaticImages]) -> list[SetupProblem]:
    """Return what is wrong with an application's settings or its lock, which ``open_images`` reads; ask no bucket."""
    try:
        found = open_images().problem()
    except ConfigError as error:
        found = SetupProblem("E001", str(error))
    except S3ImgError as error:
        found = SetupProblem("E003", str(error))
    return [found] if found else []
