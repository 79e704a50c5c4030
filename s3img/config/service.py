"""Settings of the transform service: where pictures come from, what may be requested, how long answers are kept."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

import msgspec

from s3img.config import address, providers
from s3img.errors import ConfigError, TransformError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Access = Literal["signed", "named", "sizes", "open"]
"""What may be requested without a signature: nothing, presets, a list of transforms, anything."""

NO_RESULTS: Final = "none"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")
_CREDENTIALS: Final = re.compile(r"[A-Z][A-Z0-9_]{0,31}")
_PATH: Final = re.compile(r"(/[A-Za-z0-9._-]+)+")
_NAME_PROBLEM: Final = (
    "{!r} can't be a name: use at most 32 lower case letters, digits and -, and not tr, info or the like"
)
_RESERVED: Final = frozenset({"tr", "info", "s3", "healthz", "readyz", "metrics", "ik-seo"})


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say where a bucket is, and how requests to it are signed.

    ``bucket`` is ``s3://name/prefix`` or ``file:///folder``. ``provider`` is a name of `config.providers`, which fills
    in an empty ``endpoint_url`` and ``region``.
    """

    bucket: str = ""
    provider: str = ""
    account: str = ""
    endpoint_url: str = ""
    region: str = ""
    addressing_style: Literal["auto", "virtual", "path"] = "auto"
    aws_profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    anonymous: bool = False

    def provider_problems(self) -> list[tuple[str, str]]:
        """Check ``provider`` with what belongs to it."""
        if not self.provider:
            return [("account", "has no effect without provider: add it, or remove account")] if self.account else []
        return problems_of("provider", lambda: providers.named(self.provider)) or providers.named(
            self.provider
        ).problems(
            account=self.account,
            region=self.region,
            endpoint_url=self.endpoint_url,
            addressing_style=self.addressing_style,
        )


class Origin(StoreSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name a place that sources are read from.

    ``credentials`` is the prefix of the environment variables with the access key (``SHOP`` for
    ``SHOP_ACCESS_KEY_ID`` and ``SHOP_SECRET_ACCESS_KEY``); ``canonical_url`` is the address under which search engines
    should list the pictures. An origin without credentials of its own is read with those of the settings, and only
    from the store of the settings.
    """

    bucket: str
    credentials: str = ""
    canonical_url: str = ""

    @property
    def store_url(self) -> str:
        """Return the address of its own store, "" where it names none; AWS needs a region to be one."""
        if self.endpoint_url or not self.provider:
            return self.endpoint_url
        if self.provider == "aws":
            return f"https://s3.{self.region}.amazonaws.com" if self.region else ""
        return providers.named(self.provider).endpoint_url(account=self.account, region=self.region)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Serve an ordered list of origins below ``/NAME/``, or at the root of ``hosts``.

    ``access`` replaces the service's; ``default_image`` is the key to show in place of a missing picture.
    """

    origins: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    access: Access | None = None
    default_image: str = ""


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of the service, and how it answers; times in seconds, sizes in bytes.

    The page of all settings says what each field means. ``fetches``, ``renders`` (0: one for each processor) and
    ``encodes`` (to AVIF, and as many to other formats; 0: likewise) bound what each process does at a time.
    """

    max_age: int = 86_400
    stale_while_revalidate: int = 0
    stale_if_error: int = 86_400
    cors_origins: tuple[str, ...] = ()
    active_content: Literal["sandbox", "attachment"] = "sandbox"
    client_hints: bool = False
    private: bool = False
    missing_detector: Literal["auto", "refuse"] = "auto"
    server_timing: bool = False
    metrics_path: str = ""
    drain_file: str = ""
    results: str = ""
    cache_bytes: int = 1 << 30
    memory_bytes: int = 0
    fetches: int = 16
    renders: int = 0
    encodes: int = 0
    queue: int = 64
    per_client: int = 0
    fresh: float = 60.0
    missing: float = 10.0
    seconds: float = 30.0
    lease: float = 0.0


def service_problems(
    service: ServiceSettings,
    *,
    origins: Mapping[str, Origin],
    endpoints: Mapping[str, Endpoint],
    access: tuple[Access, tuple[str, ...], Mapping[str, str]],
    signing_keys: str | Mapping[str, str],
    imagekit_private_key: str | Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    """Yield (setting, what is wrong and what to write instead); ``access`` with what is allowed, and the presets."""
    yield from origin_problems(origins)
    yield from endpoint_problems(endpoints, origins)
    yield from access_problems(*access)
    yield from signing_key_problems(signing_keys)
    yield from imagekit_key_problems(imagekit_private_key, endpoints)
    if service.metrics_path and not _PATH.fullmatch(service.metrics_path):
        yield "service.metrics_path", f"{service.metrics_path!r} is not a path: write /metrics"
    for origin in service.cors_origins:
        if origin != "*" and (not is_absolute_url(origin) or urlsplit(origin).path):
            yield "service.cors_origins", f"{shown_url(origin)} is not an origin: write https://www.example.com, or *"
    if service.results not in {"", NO_RESULTS}:
        yield from problems_of("service.results", lambda: address.parse(service.results))
    least = {"fetches": 1, "seconds": 0.1}
    for name in _NUMBERS:
        if not least.get(name, 0) <= getattr(service, name) < float("inf"):
            yield f"service.{name}", f"{getattr(service, name)}: name {least.get(name, 0)} or more"


def endpoint_at(url: str, endpoints: Mapping[str, Endpoint]) -> str:
    """Return the name of the endpoint that an address leads to, by its host or its last segment; "" for none."""
    parts = urlsplit(url.lower())
    by_host = (name for name, endpoint in endpoints.items() if {parts.netloc, parts.hostname} & {*endpoint.hosts})
    last = parts.path.rstrip("/").rpartition("/")[2]
    return next(by_host, last if last in endpoints else "")


def origin_problems(origins: Mapping[str, Origin]) -> Iterator[tuple[str, str]]:
    """Check ``origins``."""
    for name, origin in origins.items():
        place = f"origins.{name}"
        if not _NAME.fullmatch(name) or name in _RESERVED:
            yield place, _NAME_PROBLEM.format(name)
        yield from problems_of(f"{place}.bucket", partial(address.parse, origin.bucket))
        for field in ("endpoint_url", "canonical_url"):
            if (url := getattr(origin, field)) and not is_absolute_url(url):
                problem = f"{shown_url(url)} is not an absolute URL without credentials: start with https://"
                yield f"{place}.{field}", problem
        if not origin.endpoint_url or is_absolute_url(origin.endpoint_url):
            yield from ((f"{place}.{field}", text) for field, text in origin.provider_problems())
        if origin.provider == "aws" and not (origin.region or origin.endpoint_url):
            yield f"{place}.region", "is needed: AWS has one for each bucket, as eu-central-1"
        yield from ((f"{place}.{field}", text) for field, text in credential_problems(origin))


def endpoint_problems(endpoints: Mapping[str, Endpoint], origins: Mapping[str, Origin]) -> Iterator[tuple[str, str]]:
    """Check ``endpoints``: their names, their hosts, which belong to one each, and that their origins are there."""
    taken: dict[str, str] = {}
    for name, endpoint in endpoints.items():
        place = f"endpoints.{name}"
        if not _NAME.fullmatch(name) or name in _RESERVED:
            yield place, _NAME_PROBLEM.format(name)
        if unknown := [origin for origin in endpoint.origins if origin not in origins]:
            yield (
                f"{place}.origins",
                f"{unknown[0]!r} is not among the origins: {', '.join(origins) or 'there are none'}",
            )
        elif not endpoint.origins:
            yield f"{place}.origins", "name at least one origin"
        for host in endpoint.hosts:
            if not _HOST.fullmatch(host):
                yield f"{place}.hosts", f"{host!r} is not a host: write img.example.com in lower case"
            elif taken.setdefault(host, name) != name:
                yield f"{place}.hosts", f"{host} belongs to endpoint {taken[host]} already"


def access_problems(access: Access, allowed: tuple[str, ...], presets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Check ``access`` with the transforms that it allows."""
    if access == "sizes" and not allowed:
        yield "allowed", 'access = "sizes" needs it: list transforms, such as "w-300,h-300"'
    if allowed:
        from s3img.transform import Transform  # a fifth of the start-up time, which most settings don't need
    for text in allowed:
        try:
            Transform.parse(text, presets=presets)
        except TransformError as error:
            yield "allowed", f"{text!r}: {error}"


def signing_key_problems(keys: str | Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Check ``signing_keys`` without repeating one."""
    if not keys:
        return
    from s3img.signing import Signer  # loads cryptography, which runs without keys need not wait for

    for name, problem in problems_of("signing_keys", lambda: Signer.of(keys)):
        yield name, problem.removeprefix("signing_keys: ")


def imagekit_key_problems(
    keys: str | Mapping[str, str], endpoints: Mapping[str, Endpoint]
) -> Iterator[tuple[str, str]]:
    """Check ``imagekit_private_key`` without repeating one."""
    # ImageKit's signature does not cover the endpoint. With one key, what is signed for one would open all.
    setting = "imagekit_private_key"
    if isinstance(keys, str):
        if keys and len(endpoints) > 1:
            names = ", ".join(f'"{name}": "KEY"' for name in endpoints)
            yield setting, f"several endpoints need a key each: write {{{names}}}"
        return
    for name, key in keys.items():
        if name not in endpoints:
            yield setting, f"{name!r} is not among the endpoints: {', '.join(endpoints) or 'write the key alone'}"
        elif not key.strip():
            yield setting, f"the key of endpoint {name} is empty"
    single = [one for key in keys.values() for one in set(key.split())]
    if len(set(single)) < len(single):
        yield setting, "two endpoints have one key, so what is signed for one is served by the other: give each its own"


def credential_problems(origin: Origin) -> Iterator[tuple[str, str]]:
    """Check the ways in which one origin is signed in to."""
    if origin.credentials and (
        not _CREDENTIALS.fullmatch(origin.credentials) or origin.credentials.startswith("S3IMG")
    ):
        yield "credentials", 'is the prefix of a variable\'s name, not a key: "SHOP" stands for SHOP_ACCESS_KEY_ID'
    ways = [origin.anonymous, bool(origin.credentials), bool(origin.aws_profile or origin.role_arn)]
    if sum(ways) > 1:
        yield "credentials", "anonymous, credentials and aws_profile or role_arn exclude each other: keep one"


def problems_of(name: str, work_out: Callable[[], object]) -> list[tuple[str, str]]:
    """Return the problems of a setting that show when something is worked out from it."""
    try:
        work_out()
    except ConfigError as error:
        return [(name, problem) for problem in error.problems]
    return []


def shown_url(url: str) -> str:
    """Quote a text that should have been a URL in a message; what stands before an @ is a password."""
    return "what it contains" if "@" in url else repr(url)


def is_absolute_url(url: str, *, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    """Tell whether a URL names a scheme and a host, and contains no credentials."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - read for its errors
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.netloc or parts.scheme == "file") and "@" not in parts.netloc


_NUMBERS: Final = tuple(
    field.name for field in msgspec.structs.fields(ServiceSettings) if isinstance(field.default, int | float)
)
