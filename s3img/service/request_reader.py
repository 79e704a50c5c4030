"""From a WSGI environment to a request that may be served, or to the reason why it may not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import get_host

from s3img.errors import ConfigError, NotServed, SignatureError
from s3img.pictures.result_names import OWN_BUCKET
from s3img.service.access import AccessPolicy, Grant
from s3img.service.request_parsing import ParsedRequest, RequestTarget, checked_key, parse_request, remember_short
from s3img.signing import PARAMETER, ImageKitSigner, Signer, canonical
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import WSGIEnvironment

    from s3img.config import Config
    from s3img.config.service import Access
    from s3img.signing import Verified

_SIGNED: Final = f"{PARAMETER}="
_IMAGEKIT: Final = re.compile(r"(?:^|&)ik-[st]=")


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: its origins in the order they are asked; the default one has no name."""

    name: str
    origins: tuple[str, ...]
    access: Access
    default_image: str = ""


class Routes:
    """Find the endpoint of a request, by its host or by the first segment of its path."""

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
        if self._default:
            return self._default, target
        try:
            host = get_host(environ).lower()
        except HTTPException:  # characters that no host has
            host = ""
        if route := self._by_host.get(host) or self._by_host.get(host.partition(":")[0]):
            return route, target
        name, slash, rest = target.path[1:].partition("/")
        if slash and name in self._by_name:
            return self._by_name[name], RequestTarget(f"/{rest}", target.query)
        raise NotServed("No endpoint has this host, or begins with this segment.")


@dataclass(frozen=True, slots=True)
class AllowedRequest:
    """What a request asks for, at which endpoint, and why it may; ``transform`` is None for an original."""

    route: Route
    parsed: ParsedRequest
    transform: Transform | None
    grant: Grant


class RequestReader:
    """Read requests under one configuration; raise ConfigError for one that can't be served under."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._routes = Routes(config)
        self._policy = AccessPolicy(config)
        self._named = {route.name: route for route in self._routes}
        self._signers = _signers(config, self._routes)
        self._imagekit = _imagekit_signers(config, self._routes)
        self._unsigned = remember_short(self._read_unsigned)
        self._signed = remember_short(self._read_signed)
        self._transform = remember_short(self._read_transform)

    def read(self, environ: WSGIEnvironment, target: RequestTarget, *, now: float) -> AllowedRequest:
        """Return what the request asks for, if it may; raise SignatureError, RequestError and TransformError.

        A wrong signature is refused under every access, also where none is needed. ``now`` in Unix seconds.
        """
        route, below = self._routes.find(environ, target)
        has_imagekit = "ik-" in below.query and _IMAGEKIT.search(below.query) is not None
        if not has_imagekit and (route.name not in self._signers or _SIGNED not in below.query):
            return self._unsigned(route.name, str(below))
        parsed, verified = self._signed(route.name, str(below))
        verified.check(now)
        transform = None if parsed.steps is None else self._transform(parsed.steps)
        return AllowedRequest(route, parsed, transform, Grant(signed=True, expires=verified.expires))

    def _read_unsigned(self, endpoint: str, target: str) -> AllowedRequest:
        parsed = parse_request(canonical(target))
        transform = None if parsed.steps is None else self._transform(parsed.steps)
        route = self._named[endpoint]
        return AllowedRequest(route, parsed, transform, self._policy.grant(parsed, transform, route))

    def _read_signed(self, endpoint: str, target: str) -> tuple[ParsedRequest, Verified]:
        _, _, query = target.partition("?")
        if endpoint in self._signers and _SIGNED in query:
            verified = self._signers[endpoint].read(target)
        elif signer := self._imagekit.get(endpoint):
            verified = signer.read(target)
        else:  # an address that somebody signed is never served as if nobody had
            raise SignatureError(
                "The address is signed for ImageKit (ik-s, ik-t), and imagekit_private_key is not set here.",
                fix="Set S3IMG_IMAGEKIT_PRIVATE_KEY, or leave out ik-s and ik-t.",
            )
        return parse_request(verified.target), verified

    def _read_transform(self, steps: str) -> Transform:
        transform = Transform.parse(steps, presets=self._config.presets, limits=self._config.limits)
        transform = transform.with_fonts(self._config.fonts)
        if transform.output.default_image:
            checked_key(transform.output.default_image)
        for key in transform.inputs:
            checked_key(key)
        return transform


def _signers(config: Config, routes: Routes) -> dict[str, Signer]:
    """Make the signer of each endpoint: an address that is signed for one does not hold for another."""
    if config.signing_keys:
        return {route.name: Signer.of(config.signing_keys, audience=route.name) for route in routes}
    imagekit = _imagekit_signers(config, routes)
    needing = [route for route in routes if route.access == "signed" and route.name not in imagekit]
    if needing and config.imgproxy is None:  # whose addresses have signatures of their own
        place = f"endpoints.{needing[0].name}.access" if needing[0].name else "access"
        raise ConfigError(
            [f'signing_keys: {place} = "signed" needs it: set S3IMG_SIGNING_KEYS="ID:SECRET", or another access']
        )
    return {}


def _imagekit_signers(config: Config, routes: Routes) -> dict[str, ImageKitSigner]:
    """Make what checks ImageKit's signatures at each endpoint that has a private key."""
    keys = config.imagekit_private_key
    named = keys if isinstance(keys, dict) else dict.fromkeys((route.name for route in routes), keys)
    return {name: ImageKitSigner.of(key, endpoint=name) for name, key in named.items() if key.strip()}
