"""From a WSGI environment to a request that may be served, or to the reason why it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from werkzeug.datastructures import EnvironHeaders

from s3img.errors import ConfigError
from s3img.service.access import Grant, Policy
from s3img.service.request import checked_key, parse
from s3img.service.request_target import remember_short
from s3img.service.routing import Routes
from s3img.service.service_request import ServiceRequest
from s3img.signing import PARAMETER, Signer, canonical
from s3img.transform import Transform

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from s3img.config import Config
    from s3img.service.engine.requests import Budget
    from s3img.service.request import Asked
    from s3img.service.request_target import RequestTarget
    from s3img.signing import Verified

_SIGNED: Final = f"{PARAMETER}="


class Reception:
    """Read requests under one configuration; raise ConfigError for one that can't be served under."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._routes = Routes(config)
        self._policy = Policy(config)
        self._named = {route.name: route for route in self._routes}
        self._signers = _signers(config, self._routes)
        self._unsigned = remember_short(self._read_unsigned)
        self._signed = remember_short(self._read_signed)
        self._parsed = remember_short(self._read_transform)

    def receive(self, environ: WSGIEnvironment, target: RequestTarget, budget: Budget, *, now: float) -> ServiceRequest:
        """Return what the request asks for, if it may; raise SignatureError, RequestError and TransformError."""
        route, below = self._routes.find(environ, target)
        asked, transform, grant = self._read(route.name, below, now)
        return ServiceRequest(
            environ=environ,
            headers=EnvironHeaders(environ),
            config=self._config,
            route=route,
            asked=asked,
            transform=transform,
            grant=grant,
            budget=budget,
            now=now,
        )

    def _read(self, endpoint: str, target: RequestTarget, now: float) -> tuple[Asked, Transform | None, Grant]:
        """Return what is asked for, and the reason to serve it; a wrong signature is refused in every mode."""
        if endpoint not in self._signers or _SIGNED not in target.query:
            return self._unsigned(endpoint, str(target))
        asked, verified = self._signed(endpoint, str(target))
        verified.check(now)
        return asked, self._transform(asked.steps), Grant(signed=True, expires=verified.expires)

    def _read_unsigned(self, endpoint: str, target: str) -> tuple[Asked, Transform | None, Grant]:
        asked = parse(canonical(target))
        transform = self._transform(asked.steps)
        return asked, transform, self._policy.grant(asked, transform, self._named[endpoint])

    def _read_signed(self, endpoint: str, target: str) -> tuple[Asked, Verified]:
        verified = self._signers[endpoint].read(target)
        return parse(verified.target), verified

    def _transform(self, steps: str | None) -> Transform | None:
        return None if steps is None else self._parsed(steps)

    def _read_transform(self, steps: str) -> Transform:
        transform = Transform.parse(steps, presets=self._config.presets, limits=self._config.limits)
        if transform.output.default_image:
            checked_key(transform.output.default_image)
        return transform


def _signers(config: Config, routes: Routes) -> dict[str, Signer]:
    """Make the signer of each endpoint: an address that is signed for one does not hold for another."""
    if config.signing_keys:
        return {route.name: Signer.of(config.signing_keys, audience=route.name) for route in routes}
    needing = [route for route in routes if route.access == "signed"]
    if needing:
        place = f"endpoints.{needing[0].name}.access" if needing[0].name else "access"
        raise ConfigError(
            [f'signing_keys: {place} = "signed" needs it: set S3IMG_SIGNING_KEYS="ID:SECRET", or another access']
        )
    return {}
