"""What the extension knows of one app."""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from flask import current_app

from flask_s3img.settings import Names, spell
from s3img import Images
from s3img.errors import ConfigError
from s3img.pictures.catalog import CatalogFile
from s3img.uploads import Uploader
from s3img.urls import PATH_CHARACTERS

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

    from flask_s3img.settings import AppSettings
    from s3img.buckets import Bucket
    from s3img.config import Config
    from s3img.pictures.catalog import Catalog
    from s3img.service import TransformService

NAME = "s3img"
log = logging.getLogger("flask_s3img")

_WARNINGS = 10_000
"""Names that are warned of: some come from what visitors write."""


class AppState:
    """An app's settings, its lock (read again when the file changes) and its bucket; safe for threads."""

    def __init__(self, app: Flask, options: AppSettings) -> None:
        self.options = options
        self.config = _with_signing_keys(app, options.config)
        self.images = Images(self.config)
        self.names = Names(app, options.lock.parent, options.app.static)
        self.plain_app = app.wsgi_app  # before pages are rewritten
        self.service: TransformService | None = None
        self._warned: set[str] = set()
        self._threads = threading.Lock()
        self._bucket: Bucket | None = None
        self._catalog_file = lru_cache(maxsize=8)(
            lambda root: CatalogFile(options.lock, _below(self.config, root), missing_ok=True)
        )

    def catalog(self, root: str = "") -> Catalog:
        """Return the app's images; ``root`` is the path that the app is mounted at. Raise LockError."""
        return self._catalog_file(root).current()

    def folders(self) -> tuple[Path, ...]:
        """Return the folders that a sync takes: the app's own and its blueprints', not those of installed packages."""
        own = (one for one in self.names.folders if one.inside is not None or not one.owner)
        return tuple(dict.fromkeys(one.folder for one in own if not one.is_installed and one.folder.is_dir()))

    def bucket(self) -> Bucket:
        """Return the app's bucket, opened once; raise ConfigError and CredentialsError."""
        with self._threads:  # two first requests at once would open two clients, and one pool of connections be lost
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

    def warns_of(self, name: str) -> bool:
        """Tell whether a name is still to be warned of; each is once."""
        if name in self._warned or len(self._warned) >= _WARNINGS:
            return False
        self._warned.add(name)
        return True


def current_state() -> AppState:
    """Return what is known of the current app; raise ConfigError for one that the extension was not given."""
    state = current_app.extensions.get(NAME)
    if not isinstance(state, AppState):
        problem = f"{current_app.name}: has no s3img: call S3Img().init_app(app); settings begin with {spell('')}"
        raise ConfigError([problem])
    return state


def _below(config: Config, root: str) -> Config:
    """Put the path that the app is mounted at before addresses of its own host."""
    path = quote(root.strip("/"), safe=PATH_CHARACTERS)  # two slashes in front would be another host
    changed = {
        name: f"/{path}{value}" for name in ("public_url", "service_url") if (value := getattr(config, name))[:1] == "/"
    }
    return msgspec.structs.replace(config, **changed) if path and changed else config


def _with_signing_keys(app: Flask, config: Config) -> Config:
    """Derive signing keys from ``SECRET_KEY`` where none are set, so that the mounted service needs no setting.

    Addresses that were signed under one of Flask's ``SECRET_KEY_FALLBACKS`` go on working.
    """
    if config.signing_keys:
        return config
    keys = {}
    # The key's name follows from the key, so that all workers agree on it and an old address names its old key.
    for secret in filter(None, [app.secret_key, *(app.config.get("SECRET_KEY_FALLBACKS") or [])]):
        key = secret.encode() if isinstance(secret, str) else secret
        derived = hmac.new(key, b"s3img.signing_keys/1", hashlib.sha256).hexdigest()
        keys[f"app-{hashlib.sha256(derived.encode()).hexdigest()[:8]}"] = derived
    return msgspec.structs.replace(config, signing_keys=keys)
