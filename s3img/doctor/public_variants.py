"""What a wrong ``public_url`` may have been meant to be; pure."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from s3img import address
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from urllib.parse import SplitResult

    from s3img.config import Config


def variants(config: Config) -> list[tuple[str, str]]:
    """List (what is wrong with ``public_url`` then, the address to write instead), the likeliest first."""
    base = config.base_url
    found: dict[str, str] = {}
    for why, url in (*_of(urlsplit(base), config), *_usual(config)):
        if url != base:
            found.setdefault(url, why)
    return [(why, url) for url, why in found.items()]


def _of(parts: SplitResult, config: Config) -> Iterator[tuple[str, str]]:
    paths = list(_paths(parts.path.rstrip("/"), config))
    if (encoded := quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._")) != parts.path.rstrip("/"):
        yield "has characters that have to be percent-encoded", f"{parts.scheme}://{parts.netloc}{encoded}"
    other = "http" if parts.scheme == "https" else "https"
    for why, path in paths:
        yield why, f"{parts.scheme}://{parts.netloc}{path}"
    yield f"is {parts.scheme}, but {other} is served", f"{other}://{parts.netloc}{parts.path.rstrip('/')}"
    for why, path in paths:
        yield f"{why}, and is {parts.scheme} instead of {other}", f"{other}://{parts.netloc}{path}"


def _paths(path: str, config: Config) -> Iterator[tuple[str, str]]:
    """Add or take away the prefix and the bucket's name."""
    where = config.address
    prefix = f"/{quote(where.prefix)}" if where and where.prefix else ""
    bucket = f"/{where.bucket}" if isinstance(where, address.S3Address) else ""
    above = path.removesuffix(prefix) if prefix else path
    if prefix:
        yield f"lacks the prefix {prefix[1:]!r}", path + prefix
    if prefix and above != path:
        yield f"has the prefix {prefix[1:]!r}, which the host stands for already", above
    if bucket and not above.endswith(bucket):
        yield f"lacks the bucket's name {bucket[1:]!r}", above + bucket + prefix
    elif bucket:
        yield f"has the bucket's name {bucket[1:]!r} in its path", above.removesuffix(bucket) + prefix
    if path:
        yield f"has the path {path!r}, which is not part of it", prefix
        yield f"has the path {path!r}, which is not part of it", ""


def _usual(config: Config) -> Iterator[tuple[str, str]]:
    """Name the addresses under which the store itself may serve the bucket."""
    where = config.address
    if where is None or not config.public_url:
        return
    for style in ("virtual", "path"):
        with suppress(ConfigError):
            url = address.default_public_url(
                where, endpoint_url=config.endpoint_url, region=config.region, addressing_style=style
            )
            if url.startswith("http"):
                yield "is not where the bucket is public", url
