"""Settings of the transform service: where pictures come from, who may ask for what, how answers are kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

import msgspec

from s3img.config import address, providers
from s3img.errors import ConfigError, TransformError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Access = Literal["signed", "named", "sizes", "open"]
"""What may be asked for without a signature: nothing, presets, a list of transforms, anything."""

NO_RESULTS: Final = "none"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")
_CREDENTIALS: Final = re.compile(r"[A-Z][A-Z0-9_]{0,31}")
_PATH: Final = re.compile(r"(/[A-Za-z0-9._-]+)+")
_RESERVED: Final = frozenset({"tr", "info", "s3", "healthz", "readyz", "metrics", "ik-seo"})


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name a place that sources are read from; the fields mean what those of the same name mean in `Config`.

    ``credentials`` is the beginning of the environment variables that have the access key (``SHOP`` for
    ``SHOP_ACCESS_KEY_ID`` and ``SHOP_SECRET_ACCESS_KEY``); ``canonical_url`` is the address that search engines
    should know the pictures by. An origin without credentials of its own is on the store of the settings, and is asked
    with theirs.
    """

    bucket: str
    provider: str = ""
    account: str = ""
    endpoint_url: str = ""
    region: str = ""
    addressing_style: Literal["auto", "virtual", "path"] = "auto"
    aws_profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    anonymous: bool = False
    credentials: str = ""
    canonical_url: str = ""

    @property
    def store_url(self) -> str:
        """The address of its own store; "" where it names none, which for ``provider = "aws"`` is so without region."""
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
    """Bound what the service takes and say how it answers; times in seconds, sizes in bytes.

    ``max_age`` is how long a cache may keep an answer whose source may change; ``results`` is where renderings are
    stored (empty: beside the sources of an ``s3://`` bucket, ``none``: nowhere). ``fetches``, ``renders`` (decoding
    and all up to encoding; 0: one for each processor) and ``encodes`` (to AVIF, and as many to other formats; 0: one
    for each processor) are places in each process, ``queue`` is how many may wait for each; ``per_client`` bounds
    what one address asks for at a time (0: nothing does). A source is asked about again after ``fresh``, a missing
    one after ``missing``; ``stale_if_error`` is how long results are shown of one that can't be asked; ``seconds`` is
    the time for one request.
    """

    max_age: int = 86_400
    stale_while_revalidate: int = 0
    stale_if_error: int = 86_400
    cors_origins: tuple[str, ...] = ()
    active_content: Literal["sandbox", "attachment"] = "sandbox"
    client_hints: bool = False
    server_timing: bool = False
    metrics_path: str = ""
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
    yield from _origin_problems(origins)
    yield from _endpoint_problems(endpoints, origins)
    yield from _access_problems(*access)
    yield from _key_problems(signing_keys)
    yield from _imagekit_problems(imagekit_private_key, endpoints)
    yield from _own_problems(service)


def endpoint_at(url: str, endpoints: Mapping[str, Endpoint]) -> str:
    """Return the name of the endpoint that an address leads to, by its host or its last segment; "" for none."""
    parts = urlsplit(url.lower())
    by_host = (name for name, endpoint in endpoints.items() if {parts.netloc, parts.hostname} & {*endpoint.hosts})
    last = parts.path.rstrip("/").rpartition("/")[2]
    return next(by_host, last if last in endpoints else "")


def _origin_problems(origins: Mapping[str, Origin]) -> Iterator[tuple[str, str]]:
    for name, origin in origins.items():
        place = f"origins.{name}"
        if not _NAME.fullmatch(name) or name in _RESERVED:
            yield (
                place,
                f"{name!r} is no name: use lower case letters, digits and -, at most 32, but no word of the URLs",
            )
        try:
            address.parse(origin.bucket)
        except ConfigError as error:
            yield from ((f"{place}.bucket", problem) for problem in error.problems)
        for field in ("endpoint_url", "canonical_url"):
            if not _is_address(getattr(origin, field)):
                yield f"{place}.{field}", f"{getattr(origin, field)!r} is no absolute URL: start with https://"
        if origin.provider:
            try:
                service = providers.named(origin.provider)
                found = service.problems(
                    account=origin.account,
                    region=origin.region,
                    endpoint_url=origin.endpoint_url,
                    addressing_style=origin.addressing_style,
                )
                if origin.provider == "aws" and not (origin.region or origin.endpoint_url):
                    found.append(("region", f"is needed: AWS has one for each bucket, as {service.example}"))
            except ConfigError as error:
                found = [("provider", problem) for problem in error.problems]
            yield from ((f"{place}.{field}", text) for field, text in found)
        elif origin.account:
            yield f"{place}.account", "means nothing without provider: add it, or remove account"
        yield from ((f"{place}.{field}", text) for field, text in _credential_problems(origin))


def _endpoint_problems(endpoints: Mapping[str, Endpoint], origins: Mapping[str, Origin]) -> Iterator[tuple[str, str]]:
    taken: dict[str, str] = {}
    for name, endpoint in endpoints.items():
        place = f"endpoints.{name}"
        if not _NAME.fullmatch(name) or name in _RESERVED:
            yield (
                place,
                f"{name!r} is no name: use lower case letters, digits and -, at most 32, but no word of the URLs",
            )
        if unknown := [origin for origin in endpoint.origins if origin not in origins]:
            yield (
                f"{place}.origins",
                f"{unknown[0]!r} is not among the origins: {', '.join(origins) or 'there are none'}",
            )
        elif not endpoint.origins:
            yield f"{place}.origins", "name at least one origin"
        for host in endpoint.hosts:
            if not _HOST.fullmatch(host):
                yield f"{place}.hosts", f"{host!r} is no host: write img.example.com in lower case"
            elif taken.setdefault(host, name) != name:
                yield f"{place}.hosts", f"{host} belongs to endpoint {taken[host]} already"


def _access_problems(access: Access, allowed: tuple[str, ...], presets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if access == "sizes" and not allowed:
        yield "allowed", 'access = "sizes" needs it: list transforms, such as "w-300,h-300"'
    if allowed:
        from s3img.transform import Transform  # a fifth of the start-up time, which most settings don't need
    for text in allowed:
        try:
            Transform.parse(text, presets=presets)
        except TransformError as error:
            yield "allowed", f"{text!r}: {error}"


def _key_problems(keys: str | Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Never repeat a secret."""
    if not keys:
        return
    from s3img.signing import Signer  # cryptography that runs without keys do without

    try:
        Signer.of(keys)
    except ConfigError as error:
        yield from (("signing_keys", problem.removeprefix("signing_keys: ")) for problem in error.problems)


def _imagekit_problems(keys: str | Mapping[str, str], endpoints: Mapping[str, Endpoint]) -> Iterator[tuple[str, str]]:
    """Never repeat a secret. ImageKit's signature does not cover the endpoint, so each needs a key of its own."""
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


def _own_problems(service: ServiceSettings) -> Iterator[tuple[str, str]]:
    if service.metrics_path and not _PATH.fullmatch(service.metrics_path):
        yield "service.metrics_path", f"{service.metrics_path!r} is no path: write /metrics"
    for origin in service.cors_origins:
        if origin != "*" and (not _is_address(origin) or urlsplit(origin).path):
            yield "service.cors_origins", f"{origin!r} is no origin: write https://www.example.com, or *"
    if service.results not in {"", NO_RESULTS}:
        try:
            address.parse(service.results)
        except ConfigError as error:
            yield from (("service.results", problem) for problem in error.problems)
    least = {"fetches": 1, "seconds": 0.1}
    for name in _NUMBERS:
        if getattr(service, name) < least.get(name, 0):
            yield f"service.{name}", f"{getattr(service, name)}: name {least.get(name, 0)} or more"


def _credential_problems(origin: Origin) -> Iterator[tuple[str, str]]:
    if origin.credentials and (
        not _CREDENTIALS.fullmatch(origin.credentials) or origin.credentials.startswith("S3IMG")
    ):
        yield "credentials", 'is the beginning of a variable\'s name, not a key: "SHOP" stands for SHOP_ACCESS_KEY_ID'
    said = [origin.anonymous, bool(origin.credentials), bool(origin.aws_profile or origin.role_arn)]
    if sum(said) > 1:
        yield "credentials", "anonymous, credentials and aws_profile or role_arn exclude each other: keep one"


def _is_address(url: str) -> bool:
    """Tell whether a URL is absolute, or not given."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return not url or (parts.scheme in {"http", "https"} and bool(parts.netloc) and "@" not in parts.netloc)


_NUMBERS: Final = tuple(
    field.name for field in msgspec.structs.fields(ServiceSettings) if isinstance(field.default, int | float)
)
