"""Where a run reads pictures and puts results: opened from the settings that a shard carries, in any process."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import msgspec

from s3img import __version__
from s3img.buckets import S3Options, open_bucket, require_credentials
from s3img.buckets.origin_options import origin_options
from s3img.config import Config
from s3img.errors import ConfigError
from s3img.keys import RENDER_VERSION
from s3img.pictures.result_names import OWN_BUCKET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.buckets import Bucket
    from s3img.bulk.shards import BulkJob

_KEPT: Final = (
    *("bucket", "provider", "account", "endpoint_url", "region", "addressing_style", "aws_profile", "role_arn"),
    *("external_id", "anonymous", "public_url", "key_template", "widths", "formats", "quality", "subsampling"),
    *("limits", "workers", "service", "focus_detectors"),
)
"""Settings that workers need; presets are part of transforms by then."""


ATTEMPTS: Final = 10
"""Tries of a request by the store's own client, where nothing else repeats it: a listing that breaks ends a run."""


def engine_name() -> str:
    """Return the versions that the bytes of results depend on."""
    return f"s3img {__version__}, renderer {RENDER_VERSION}, Pillow {version('pillow')}"


def settings_for_workers(config: Config, origin: str) -> bytes:
    """Return as JSON what workers need of the settings: no secrets, and no origin but the one they read from."""
    kept = {name: getattr(config, name) for name in _KEPT}
    origins = {origin: config.origins[origin]} if origin in config.origins else {}
    return msgspec.json.encode({**kept, "origins": origins})


def read_settings(job: BulkJob) -> Config:
    """Return the settings of a job."""
    return msgspec.json.decode(job.settings, type=Config)


def origin_names(config: Config) -> tuple[str, ...]:
    """Return the places that the service shows pictures from."""
    return tuple(config.origins) or (OWN_BUCKET,)


def open_origin(
    config: Config, origin: str, environ: Mapping[str, str] | None = None, *, attempts: int = ATTEMPTS
) -> Bucket:
    """Open the place that pictures are read from; raise ConfigError for one that is not configured."""
    environ = os.environ if environ is None else environ
    if origin == OWN_BUCKET and origin not in config.origins:
        return open_own(config, environ, config.bucket, attempts)
    if origin not in config.origins:
        raise ConfigError([f"--origin: {origin!r} is not among the origins: {', '.join(origin_names(config))}"])
    only = msgspec.structs.replace(config, origins={origin: config.origins[origin]})
    options = origin_options(only, environ).get(origin)
    return open_bucket(config.origins[origin].bucket, options and replace(options, attempts=attempts))


def open_target(
    config: Config, *, is_results: bool, environ: Mapping[str, str] | None = None, attempts: int = ATTEMPTS
) -> Bucket:
    """Open the bucket for results of the service, or for variants of pages; raise ConfigError without one."""
    environ = os.environ if environ is None else environ
    if is_results and not config.results_bucket:
        raise ConfigError(["service.results: is needed for results: write s3://NAME or file:///FOLDER"])
    return open_own(config, environ, config.results_bucket if is_results else config.bucket, attempts)


def open_own(config: Config, environ: Mapping[str, str], address: str, attempts: int) -> Bucket:
    """Open a bucket with the credentials of the settings; raise ConfigError, also where they name none."""
    if not address:
        raise ConfigError(["bucket: is needed: write s3://NAME/PREFIX or file:///FOLDER"])
    return require_credentials(open_bucket(address, replace(S3Options.from_config(config, environ), attempts=attempts)))
