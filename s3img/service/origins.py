"""Origins: the buckets that sources are read from, and the order in which they are asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from s3img.buckets import AccessKey, S3Options, open_bucket
from s3img.config.address import S3Address
from s3img.config.service import NO_RESULTS
from s3img.errors import AccessDenied, ConfigError, NotServed, ObjectNotFound
from s3img.service.routing import OWN_BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from s3img.buckets import Bucket
    from s3img.config import Config
    from s3img.config.service import Origin

_Found = TypeVar("_Found")
_LEAST = 10
"""Connections to a store, whatever the number of fetches."""
_CONNECT, _READ = 3.0, 10.0
"""Seconds to wait for a store, at most."""


def open_origins(config: Config, environ: Mapping[str, str]) -> dict[str, Bucket]:
    """Open every origin without a request; where none is configured, what ``bucket`` names is the only one."""
    if config.origins:
        return {name: _open_origin(name, origin, config, environ) for name, origin in config.origins.items()}
    if not config.bucket:
        raise ConfigError(["bucket: is needed: write s3://NAME/PREFIX or file:///FOLDER, or name origins"])
    return {OWN_BUCKET: open_bucket(config.bucket, _own_options(config, environ))}


def open_results(config: Config, environ: Mapping[str, str]) -> Bucket | None:
    """Open the bucket that keeps renderings, None where they stay on this machine's disk."""
    where = config.service.results or (config.bucket if isinstance(config.address, S3Address) else NO_RESULTS)
    return None if where == NO_RESULTS else open_bucket(where, _own_options(config, environ))


def first_of(names: Iterable[str], ask: Callable[[str], _Found]) -> _Found:
    """Ask origins one after the other until one has the source.

    A denial counts as missing, which is what AWS means by it where listing is not allowed; when no origin has the
    source, raise the denial if there was one, else ObjectNotFound.
    """
    missing: ObjectNotFound | AccessDenied | None = None
    for name in names:
        try:
            return ask(name)
        except AccessDenied as error:
            missing = error
        except ObjectNotFound as error:
            missing = missing or error
    raise missing or NotServed("No origin is asked for this address.")


def _own_options(config: Config, environ: Mapping[str, str]) -> S3Options:
    """Do without obstore, which would follow an origin's redirects.

    A store that does not answer holds a place no longer than a request has time for.
    """
    seconds = config.service.seconds
    return replace(
        S3Options.from_config(config, environ),
        connections=max(config.service.fetches, _LEAST),
        use_obstore=False,
        connect_timeout=min(_CONNECT, seconds / 2),
        read_timeout=min(_READ, seconds / 2),
        attempts=2,
    )


def _open_origin(name: str, origin: Origin, config: Config, environ: Mapping[str, str]) -> Bucket:
    options = replace(
        _own_options(config, environ),
        endpoint_url=origin.endpoint_url,
        region=origin.region,
        addressing_style=origin.addressing_style,
        profile=origin.aws_profile,
        role_arn=origin.role_arn,
        external_id=origin.external_id,
        anonymous=origin.anonymous,
        access_key=_access_key(name, origin, environ),
    )
    return open_bucket(origin.bucket, options)


def _access_key(name: str, origin: Origin, environ: Mapping[str, str]) -> AccessKey | None:
    """Read the key that ``credentials`` names; the service's own serves origins that name no credentials."""
    if not origin.credentials:
        other = origin.anonymous or origin.aws_profile or origin.role_arn
        return None if other else AccessKey.from_environment(environ)
    parts = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
    values = {f"S3IMG_{part}": environ.get(f"{origin.credentials}_{part}", "") for part in parts}
    if not all(list(values.values())[:2]):
        needed = " and ".join(f"{origin.credentials}_{part}" for part in parts[:2])
        raise ConfigError([f"origins.{name}.credentials: {needed} are not set in the environment"])
    return AccessKey.from_environment(values)
