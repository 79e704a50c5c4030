"""Addresses of the transform service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from s3img.signing import Signer
from s3img.urls import quote_path

if TYPE_CHECKING:
    from s3img.config import Config
    from s3img.transform import Transform


class ServiceUrls:
    """Write the address of a rendering, signed where there are keys; ``base_url`` is the public one of the service."""

    def __init__(self, base_url: str, signer: Signer | None) -> None:
        self._base_url = base_url.rstrip("/")
        self._signer = signer

    @classmethod
    def of(cls, config: Config) -> Self | None:
        """Return the addresses of the configured service, None where there is none."""
        if not config.service_url:
            return None
        keys, audience = config.signing_keys, config.service_audience
        return cls(config.service_url, Signer.of(keys, audience=audience) if keys else None)

    def url(self, key: str, transform: Transform | str, *, expires: int | None = None, in_srcset: bool = False) -> str:
        """Return the address of an object under a transform; ``expires`` in Unix seconds needs a signature.

        ``in_srcset`` encodes separators, which mean the same then: many tools split candidates at every comma.
        """
        text = str(transform)
        if in_srcset and "%" not in text:  # encoded ones would belong to a value
            text = text.replace(",", "%2C").replace(":", "%3A")
        path = f"/tr:{text}/{quote_path(key)}" if text else f"/{quote_path(key)}"
        return self._base_url + (self._signer.sign(path, expires=expires) if self._signer else path)
