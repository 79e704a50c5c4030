"""The engine that a configuration describes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from s3img.cache import Cache
from s3img.service.access import is_private
from s3img.service.engine.engine import Engine
from s3img.service.engine.requests import EngineOptions
from s3img.service.engine.stores import SyncedVariants
from s3img.service.origins import open_origins, open_results
from s3img.service.routing import OWN_BUCKET

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from s3img.config import Config
    from s3img.lock import Lock


def build_engine(config: Config, environ: Mapping[str, str], lock: Lock | None = None) -> Engine:
    """Open origins and stores without a request; raise ConfigError for those that can't be opened.

    Renderings that a sync made of the images of ``lock`` are found, and made under the same keys.
    """
    origins = open_origins(config, environ)
    engine = Engine(
        origins.__getitem__,
        _options(config),
        target=open_results(config, environ),
        limits=config.limits,
        quality=msgspec.structs.asdict(config.quality),
        shared=SyncedVariants(lock, config, origin=OWN_BUCKET, hidden=is_private)
        if lock and OWN_BUCKET in origins
        else None,
    )
    if config.service.metrics_path:
        engine.measure()
    return engine


def _options(config: Config) -> EngineOptions:
    said = config.service
    options = EngineOptions(
        cache_folder=_cache_folder(config) if said.cache_bytes else None,
        cache_bytes=said.cache_bytes,
        memory_bytes=said.memory_bytes,
        fetches=said.fetches,
        queue=said.queue,
        fresh=said.fresh,
        missing=said.missing,
        stale_while_revalidate=said.stale_while_revalidate,
        stale_if_error=said.stale_if_error,
    )
    return replace(options, renders=said.renders or options.renders, encodes=said.encodes or options.encodes)


def _cache_folder(config: Config) -> Path:
    """Name a folder for these origins: another service may call another bucket by the same name."""
    places = [
        config.bucket,
        config.endpoint_url,
        *sorted((name, str(origin)) for name, origin in config.origins.items()),
    ]
    return Cache.at(config.cache_dir).folder / "service" / hashlib.sha256(repr(places).encode()).hexdigest()[:16]
