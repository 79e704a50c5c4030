"""From a configuration to buckets that sources are read from, the bucket that keeps results, and the engine."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from s3img.buckets import S3Options, open_bucket
from s3img.buckets.origin_options import origin_options
from s3img.cache import Cache
from s3img.errors import ConfigError
from s3img.pictures.result_names import OWN_BUCKET, SyncedVariants, is_private
from s3img.service.engine.engine import Engine
from s3img.service.engine.jobs import EngineOptions
from s3img.service.imgproxy.kept_pictures import KEPT, has_kept, kept_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.buckets import Bucket
    from s3img.config import Config
    from s3img.lock import Lock

_LEAST_CONNECTIONS = 10
"""Connections to a store, whatever the number of fetches."""
_CONNECT, _READ = 3.0, 10.0
"""Seconds to wait for a store, at most."""


def build_engine(config: Config, environ: Mapping[str, str], lock: Lock | None = None) -> Engine:
    """Open origins and stores without a request; raise ConfigError for those that can't be opened.

    Renderings that a sync made of the images of ``lock`` are found, and made under the same keys.
    """
    origins = open_origins(config, environ)
    if has_kept(config):
        origins[KEPT] = open_bucket(kept_folder(config).as_uri())
    shared = None
    if lock and OWN_BUCKET in origins:
        shared = SyncedVariants(lock, config, origin=OWN_BUCKET, hidden=is_private)
    engine = Engine(
        origins.__getitem__,
        _engine_options(config),
        target=open_results(config, environ),
        limits=config.limits,
        quality=msgspec.structs.asdict(config.quality),
        subsampling=config.subsampling,
        shared=shared,
        origins=tuple(origins),
    )
    if config.service.metrics_path:
        engine.measure()
    return engine


def _engine_options(config: Config) -> EngineOptions:
    settings = config.service
    # A folder for these origins: another service may call another bucket by the same name.
    places = [config.bucket, config.endpoint_url, *sorted((name, str(one)) for name, one in config.origins.items())]
    folder = Cache.at(config.cache_dir).folder / "service" / hashlib.sha256(repr(places).encode()).hexdigest()[:16]
    options = EngineOptions(
        cache_folder=folder if settings.cache_bytes else None,
        cache_bytes=settings.cache_bytes,
        memory_bytes=settings.memory_bytes,
        fetches=settings.fetches,
        queue=settings.queue,
        fresh=settings.fresh,
        missing=settings.missing,
        stale_while_revalidate=settings.stale_while_revalidate,
        stale_if_error=settings.stale_if_error,
        lease_seconds=settings.lease,
    )
    return replace(options, renders=settings.renders or options.renders, encodes=settings.encodes or options.encodes)


def open_origins(config: Config, environ: Mapping[str, str]) -> dict[str, Bucket]:
    """Open every origin without a request; where none is configured, what ``bucket`` names is the only one.

    Raise ConfigError for origins that would get the credentials of another store.
    """
    if config.origins:
        options = origin_options(config, environ)
        return {
            name: open_bucket(origin.bucket, _patient(options[name], config) if name in options else None)
            for name, origin in config.origins.items()
        }
    if not config.bucket:
        raise ConfigError(["bucket: is needed: write s3://NAME/PREFIX or file:///FOLDER, or name origins"])
    return {OWN_BUCKET: open_bucket(config.bucket, _patient(S3Options.from_config(config, environ), config))}


def open_results(config: Config, environ: Mapping[str, str]) -> Bucket | None:
    """Open the bucket that keeps renderings, None where they stay on this machine's disk."""
    where = config.results_bucket
    return open_bucket(where, _patient(S3Options.from_config(config, environ), config)) if where else None


def _patient(options: S3Options, config: Config) -> S3Options:
    """Wait for a store no longer than a request has time for, and do without obstore, which would follow redirects."""
    seconds = config.service.seconds
    return replace(
        options,
        connections=max(config.service.fetches, _LEAST_CONNECTIONS),
        use_obstore=False,
        connect_timeout=min(_CONNECT, seconds / 2),
        read_timeout=min(_READ, seconds / 2),
        attempts=3,
    )
