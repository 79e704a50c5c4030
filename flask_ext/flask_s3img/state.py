"""What the extension knows of one app."""

from __future__ import annotations

import hashlib
import hmac
import logging
import posixpath
import threading
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from s3img import Images
from s3img.catalog import Catalog, CatalogFile
from s3img.errors import ConfigError
from s3img.uploads import Uploader

if TYPE_CHECKING:
    from flask import Flask

    from flask_s3img.options import Options
    from s3img.buckets import Bucket
    from s3img.catalog import Catalog
    from s3img.config import Config

log = logging.getLogger("flask_s3img")


class AppState:
    """Hold an app's settings, its lock (read again when the file changes) and its bucket."""

    def __init__(self, app: Flask, options: Options) -> None:
        self.options = options
        self.config = _with_signing_key(app, options.config)
        self.images = Images(self.config)
        self.debug = app.debug
        self.plain_app = app.wsgi_app  # before pages are rewritten
        self.warned: set[str] = set()
        self._app = app
        self._threads = threading.Lock()
        self._bucket: Bucket | None = None
        self._prefix_in_lock = lru_cache(maxsize=256)(self._find_prefix)
        self._catalog_file = lru_cache(maxsize=8)(self._open_catalog)

    def catalog(self, script_root: str = "") -> Catalog:
        """Return the app's images; ``script_root`` is the path that the app is mounted at. Raise LockError."""
        return self._catalog_file(script_root).current()

    def static_roots(self) -> dict[str, str]:
        """Return the folder of each URL prefix under which the app serves files as they are."""
        app = self._app
        found = {}
        if app.static_folder and app.static_url_path is not None:
            found[_prefix(app.static_url_path)] = app.static_folder
        for blueprint in app.blueprints.values():
            if blueprint.static_folder and blueprint.static_url_path is not None:
                found[_prefix(f"{blueprint.url_prefix or ''}/{blueprint.static_url_path}")] = blueprint.static_folder
        extra = {_prefix(url): str(Path(app.root_path, folder)) for url, folder in self.options.app.static.items()}
        return found | extra

    def lock_path(self, folder: str | None, name: str) -> str:
        """Return the path in the lock of a file in a static folder, "" for one that can't be in it."""
        prefix = self._prefix_in_lock(folder) if folder is not None else None
        if prefix is None:
            return ""
        path = posixpath.normpath(posixpath.join(prefix, name))
        return path if not path.startswith(("../", "/")) and path not in {".", ".."} else ""

    def _find_prefix(self, folder: str) -> str | None:
        try:
            return Path(folder).resolve().relative_to(self.options.lock.parent.resolve()).as_posix()
        except ValueError:  # a folder elsewhere, which no line of this lock can name
            return None

    def bucket(self) -> Bucket:
        """Return the app's bucket, opened once; raise ConfigError and CredentialsError."""
        with self._threads:
            if self._bucket is None:
                if self.options.embedded is not None:
                    self.options.embedded.mkdir(parents=True, exist_ok=True)
                self._bucket = self.images.open_bucket()
            return self._bucket

    def uploader(self, template: str | None, policy: dict[str, Any]) -> Uploader:
        """Return what saves uploads; raise ConfigError for a policy or template that can't be."""
        try:
            merged = replace(self.options.policy, **policy)
        except TypeError as error:
            raise ConfigError([f"save: {error}"]) from None
        return Uploader(
            self.bucket(), self.config, template=template or self.options.app.upload_template, policy=merged
        )

    def warn_once(self, name: str, message: str) -> None:
        """Log a warning about a name, the first time only."""
        if name not in self.warned and len(self.warned) < 10_000:
            self.warned.add(name)
            log.warning("%s", message)

    def _open_catalog(self, script_root: str) -> CatalogFile:
        return CatalogFile(self.options.lock, _below(self.config, script_root), missing_ok=True)


def _prefix(url_path: str) -> str:
    return "/".join(["", *filter(None, url_path.split("/")), ""])


def _below(config: Config, script_root: str) -> Config:
    """Put the path that the app is mounted at before addresses of its own host."""
    changed = {
        name: script_root + value
        for name in ("public_url", "service_url")
        if (value := getattr(config, name))[:1] == "/"
    }
    return msgspec.structs.replace(config, **changed) if script_root and changed else config


def _with_signing_key(app: Flask, config: Config) -> Config:
    """Derive a signing key from ``SECRET_KEY`` where none is set, so that the mounted service needs no setting."""
    if config.signing_keys or not app.secret_key:
        return config
    secret = app.secret_key.encode() if isinstance(app.secret_key, str) else app.secret_key
    derived = hmac.new(secret, b"s3img.signing_keys/1", hashlib.sha256).hexdigest()
    return msgspec.structs.replace(config, signing_keys={"app": derived})
