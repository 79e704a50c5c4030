"""Endpoints: which of them a request is for, by its host or by the first segment of its path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import get_host

from s3img.errors import NotServed
from s3img.service.request_target import RequestTarget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import WSGIEnvironment

    from s3img.config import Config
    from s3img.config.service import Access

OWN_BUCKET = "bucket"
"""Name of the only origin where none is configured: what ``bucket`` names."""


@dataclass(frozen=True, slots=True)
class Route:
    """Hold one endpoint: its origins in the order they are asked; the default one has no name."""

    name: str
    origins: tuple[str, ...]
    access: Access
    default_image: str = ""


class Routes:
    """Find the endpoint of a request."""

    def __init__(self, config: Config) -> None:
        self._by_host: dict[str, Route] = {}
        self._by_name: dict[str, Route] = {}
        for name, endpoint in config.endpoints.items():
            route = Route(name, endpoint.origins, endpoint.access or config.access, endpoint.default_image)
            self._by_name[name] = route
            self._by_host |= dict.fromkeys(endpoint.hosts, route)
        self._default = None if config.endpoints else Route("", tuple(config.origins) or (OWN_BUCKET,), config.access)

    def __iter__(self) -> Iterator[Route]:
        yield from self._by_name.values()
        if self._default:
            yield self._default

    def find(self, environ: WSGIEnvironment, target: RequestTarget) -> tuple[Route, RequestTarget]:
        """Return the endpoint and what is left of the target; raise NotServed where no endpoint is."""
        route = self._default or self._of_host(_host(environ))
        if route:
            return route, target
        name, slash, rest = target.path[1:].partition("/")
        if slash and name in self._by_name:
            return self._by_name[name], RequestTarget(f"/{rest}", target.query)
        raise NotServed("No endpoint has this host, or begins with this segment.")

    def _of_host(self, host: str) -> Route | None:
        return self._by_host.get(host) or self._by_host.get(host.partition(":")[0])


def _host(environ: WSGIEnvironment) -> str:
    try:
        return get_host(environ).lower()
    except HTTPException:  # characters that no host has
        return ""
