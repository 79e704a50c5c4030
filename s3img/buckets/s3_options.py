"""How to reach an S3-compatible store: plain values, read from the settings, and what follows without a request."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from s3img.config import providers
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.config import Config
    from s3img.config.service import StoreSettings

AddressingStyle = Literal["auto", "virtual", "path"]

LEAST_RATE = 4 << 10
"""Bytes per second below which the body of one request is given up."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key; its text form shows nothing of it."""

    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    session_token: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], prefix: str = "S3IMG") -> AccessKey | None:
        """Read ``S3IMG_ACCESS_KEY_ID``, ``S3IMG_SECRET_ACCESS_KEY`` and ``S3IMG_SESSION_TOKEN``; None without any.

        White space around a value is dropped: secrets of CI systems often end in a line break.
        """
        names = [f"{prefix}_{part}" for part in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")]
        key_id, secret, token = (environment.get(name, "").strip() for name in names)
        if bool(key_id) != bool(secret):
            missing = names[1] if key_id else names[0]
            raise ConfigError([f"{missing}: is not set, but its other half is. Set both or neither."])
        return cls(key_id, secret, token) if key_id else None


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options:
    """Where a store is and how requests to it are signed; every value has a default, and empty means "not given".

    Without a ``region`` it is that of an endpoint of `s3img.config.providers`, otherwise what botocore finds.
    ``profile``, ``role_arn`` with ``external_id``, ``anonymous`` and ``access_key`` choose the credentials, otherwise
    botocore's chain does; ``connections`` is the number of parallel requests; time-outs in seconds; ``attempts``
    counts the first try. ``use_obstore`` sends small objects through obstore, which follows redirects: False where a
    store must not send this process elsewhere. Raise `ConfigError` for values that can't work.
    """

    endpoint_url: str = ""
    region: str = ""
    addressing_style: AddressingStyle = "auto"
    profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    anonymous: bool = False
    access_key: AccessKey | None = None
    connections: int = 32
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    attempts: int = 5
    use_obstore: bool = True

    def __post_init__(self) -> None:
        problems = [problem] if (problem := _endpoint_problem(self.endpoint_url)) else []
        if self.addressing_style not in {"auto", "virtual", "path"}:
            problems.append(f"addressing_style: {self.addressing_style!r} is not one of auto, virtual, path.")
        if problems:
            raise ConfigError(problems)
        service = providers.of_endpoint(self.endpoint_url)
        object.__setattr__(self, "region", self.region or service.region_in(self.endpoint_url))

    @classmethod
    def from_config(cls, config: Config, environ: Mapping[str, str] | None = None) -> S3Options:
        """Read how the configured store is reached; the access key comes from ``environ`` (the process's own).

        Nothing is asked or opened. Raise `ConfigError` for half an access key.
        """
        key = AccessKey.from_environment(os.environ if environ is None else environ)
        return cls.of(config, access_key=key, connections=config.workers)

    @classmethod
    def of(cls, settings: StoreSettings, **others: Any) -> S3Options:  # noqa: ANN401 - fields of this class
        """Take what settings say of a store, and other options that come instead or beside it."""
        names = ("endpoint_url", "region", "addressing_style", "role_arn", "external_id", "anonymous")
        return cls(profile=settings.aws_profile, **{name: getattr(settings, name) for name in names} | others)

    @property
    def whole_seconds(self) -> float:
        """Seconds that a request of at most 16 MiB may take with all its attempts.

        A time-out of the socket bounds the wait for the next byte only: one byte a second would go on for ever.
        """
        return self.connect_timeout + 10 * self.read_timeout

    @property
    def short_seconds(self) -> float:
        """Seconds that a request with a small answer may take with all its attempts, as a page of a listing."""
        return self.connect_timeout + 1.6 * self.read_timeout

    def seconds_for(self, size: int) -> float:
        """Return the seconds that a request with ``size`` bytes of a body, at most 16 MiB, may take in all.

        The rate is that of one of 32 requests that share a line of 1 Mbit/s.
        """
        return min(self.whole_seconds, self.short_seconds + size / LEAST_RATE)


def is_aws(endpoint_url: str) -> bool:
    """Tell whether an endpoint ("" is botocore's default) is Amazon's own."""
    return providers.of_endpoint(endpoint_url).name == "aws"


def addressing(style: AddressingStyle, endpoint_url: str, bucket: str) -> AddressingStyle:
    """Choose where the bucket's name goes.

    ``auto`` is botocore's own rule on AWS; before the host where a store prefers that and the name can stand there (no
    dots: a wildcard certificate covers one label); else in the path, which nearly all stores understand and which an
    address, ``localhost`` or a single-label host needs.
    """
    preferred = providers.of_endpoint(endpoint_url).addressing_style
    if style != "auto" or preferred == "auto":
        return style
    return "virtual" if preferred == "virtual" and "." not in bucket else "path"


def _endpoint_problem(url: str) -> str:
    """Explain why an endpoint can't be used, "" if it can; never repeat one that has a password in it."""
    if not url:
        return ""
    if "@" in url:
        return "endpoint_url: holds credentials. Put them into the environment and write https://host only."
    if "://" not in url:
        return f"endpoint_url: {url!r} has no scheme. Write https://{url} (or http:// for a store without TLS)."
    try:
        parts = urlsplit(url)
        is_usable = (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and not (parts.query or parts.fragment)
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:  # of a port that is not a number, or of half an IPv6 address
        is_usable = False
    return "" if is_usable else f"endpoint_url: {url!r} is not an address. Write https://host or https://host:port."
