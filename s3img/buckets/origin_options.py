"""How the origins of a service are reached: as the service's own store, or wholly by settings of their own.

Credentials never go to another store than theirs. An origin that names none is asked with those of the service, so it
must be on the service's store; one that names some must say where its store is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from s3img.buckets.s3_options import AccessKey, S3Options
from s3img.config import providers
from s3img.config.address import S3Address, parse
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.config import Config
    from s3img.config.service import Origin

_OWN = "name its own `credentials`, aws_profile, role_arn, or anonymous = true"


def origin_options(config: Config, environ: Mapping[str, str]) -> dict[str, S3Options]:
    """Return how each origin of an S3 store is reached, by its name; raise ConfigError listing every problem."""
    found: dict[str, S3Options] = {}
    problems: list[str] = []
    for name, origin in config.origins.items():
        if not isinstance(parse(origin.bucket), S3Address):
            continue
        try:
            found[name] = (
                _with_own(name, origin, config, environ)
                if has_own_credentials(origin)
                else _shared(name, origin, config, environ)
            )
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return found


def has_own_credentials(origin: Origin) -> bool:
    """Tell whether an origin says itself how requests to it are signed."""
    return bool(origin.credentials or origin.aws_profile or origin.role_arn or origin.anonymous)


def _shared(name: str, origin: Origin, config: Config, environ: Mapping[str, str]) -> S3Options:
    """Give an origin the service's store and credentials; region and addressing may be its own."""
    usual = S3Options.from_config(config, environ)
    own = origin.store_url
    theirs = usual.endpoint_url or _variable(environ)
    if not theirs and not config.provider and not isinstance(config.address, S3Address):
        # The settings name no store beside the origins: the credentials are for the one that all of these name.
        sharing = (one.store_url for one in config.origins.values() if not has_own_credentials(one))
        theirs = next(filter(None, sharing), "")
    if not _is_same_store(own or usual.endpoint_url or _variable(environ), theirs):
        problem = f"{own or 'AWS'} would get the credentials of {theirs or 'AWS'}: {_OWN}, or write the same store"
        raise ConfigError([f"origins.{name}.endpoint_url: {problem}"])
    url = own or usual.endpoint_url
    region = origin.region or (providers.of_endpoint(own).region_in(own) if own else "") or usual.region
    if not own and origin.region:
        url = providers.of_endpoint(url).moved(url, origin.region)
    style = usual.addressing_style if origin.addressing_style == "auto" else origin.addressing_style
    return replace(usual, endpoint_url=url, region=region, addressing_style=style)


def _with_own(name: str, origin: Origin, config: Config, environ: Mapping[str, str]) -> S3Options:
    """Give an origin its own credentials, and nothing of the service's."""
    theirs = config.endpoint_url or _variable(environ)
    if not origin.store_url and theirs and providers.of_endpoint(theirs).name != "aws":
        own = "asked without credentials" if origin.anonymous else "asked with credentials of its own"
        why = f"it is {own}, and inherits nothing of {theirs}"
        fix = 'write the address of its store (of AWS: provider = "aws" and region)'
        raise ConfigError([f"origins.{name}.endpoint_url: is needed, because {why}: {fix}"])
    return S3Options.of(origin, endpoint_url=origin.store_url, access_key=_access_key(name, origin, environ))


def _access_key(name: str, origin: Origin, environ: Mapping[str, str]) -> AccessKey | None:
    if not origin.credentials:
        return None
    names = [f"{origin.credentials}_{part}" for part in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")]
    if missing := [name for name in names if not environ.get(name, "").strip()]:
        verb = "are" if len(missing) > 1 else "is"
        raise ConfigError([f"origins.{name}.credentials: {' and '.join(missing)} {verb} not set in the environment"])
    return AccessKey.from_environment(environ, origin.credentials)


def _variable(environ: Mapping[str, str]) -> str:
    """Return the address that botocore takes for every store without one."""
    return environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""


def _is_same_store(url: str, other: str) -> bool:
    """Tell whether two addresses ("" is AWS's) are of one store; regions of a service that has no accounts are."""
    one, two = providers.of_endpoint(url), providers.of_endpoint(other)
    is_one_service = one is two and one is not providers.OTHER and "account" not in one.needs
    return is_one_service or url.rstrip("/").lower() == other.rstrip("/").lower()
