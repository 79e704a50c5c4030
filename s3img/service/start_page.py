"""The page at ``/`` of ``s3img serve``: how addresses are formed, with pictures of the bucket at hand."""

from __future__ import annotations

import itertools
import mimetypes
from html import escape
from typing import TYPE_CHECKING, Final

from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import get_host

from s3img.errors import S3ImgError
from s3img.service.origins import open_origins
from s3img.service.request_reader import Routes
from s3img.service.service_request import Response
from s3img.signing import Signer
from s3img.urls import quote_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from s3img.config import Config
    from s3img.service.app import TransformService

_LOCAL_ADDRESSES: Final = frozenset({"127.0.0.1", "::1"})
_LOCAL_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
_LOOKED_AT: Final = 300
"""Objects of a listing that are looked through for pictures: less than one page of it."""
_SHOWN: Final = 6
_FORMS: Final = (
    ("/tr:w-300/{key}", "300 px wide, in a format that the browser takes"),
    ("/tr:w-300,h-300/{key}", "cropped to a square"),
    ("/tr:w-300,f-webp,q-60/{key}", "as WebP, of quality 60"),
    ("/{key}?tr=w-300", "the same as the first, with the transform in the query"),
    ("/{key}", "the source as it is"),
    ("/info/{key}", "what is known of it, as JSON"),
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>s3img serve</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
td {{ padding: .2rem 1rem .2rem 0; vertical-align: top; overflow-wrap: anywhere; }}
figure {{ display: inline-block; margin: 0 1rem 1rem 0; max-width: 12rem; overflow-wrap: anywhere; }}
</style>
<h1>The transform service runs</h1>
<p>{access} (<code>access = "{name}"</code>){signed}</p>
<table>{rows}</table>
{found}
<p>Parameters: <code>w h c fo x y q f bl rt …</code>, written as ImageKit has them; more than one step:
<code>tr:w-600:rt-90</code>. This page is shown by <code>s3img serve</code> only, and to this machine only.</p>
</html>
"""
_ACCESS: Final = {
    "signed": "Every address needs a signature: <code>s3img sign '/tr:w-300/cat.jpg'</code> makes one,"
    " <code>Images.sign</code> does so in Python.",
    "named": "Without a signature, sources and presets (<code>n-NAME</code>) are served.",
    "sizes": "Without a signature, sources, presets and the transforms of <code>allowed</code> are served.",
    "open": "Anybody may ask for anything, which is for development.",
}


class StartPage:
    """Answer ``/`` with the page and the rest with ``service``; the page signs, so it is for this machine only."""

    def __init__(self, service: TransformService, config: Config, environ: Mapping[str, str]) -> None:
        self._service = service
        self._config = config
        self._environ = environ

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        is_start = environ.get("PATH_INFO", "") in {"", "/"} and environ["REQUEST_METHOD"] in {"GET", "HEAD"}
        if not (is_start and _is_local(environ)):
            return self._service(environ, start_response)
        response = Response.whole(self._page().encode(), "text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response.send(environ["REQUEST_METHOD"], start_response)

    def _page(self) -> str:
        route = next(iter(Routes(self._config)))
        keys, problem = self._keys(route.origins)
        sign = self._signer(route.name)
        prefix = f"/{route.name}" if route.name else ""
        example = quote_path(keys[0] if keys else "cat.jpg")
        rows = []
        for form, meaning in _FORMS:
            address = form.format(key=example)
            shown = f"<code>{escape(prefix + address)}</code>"
            link = f'<a href="{escape(prefix + sign(address))}">{shown}</a>' if keys else shown
            rows.append(f"<tr><td>{link}<td>{meaning}")
        figures = [
            f'<figure><a href="{escape(prefix + sign(f"/tr:w-800/{quote_path(key)}"))}">'
            f'<img src="{escape(prefix + sign(f"/tr:w-180,h-180,c-at_max/{quote_path(key)}"))}" alt="">'
            f"</a><figcaption>{escape(key)}</figcaption></figure>"
            for key in keys
        ]
        found = f"<h2>In the bucket</h2>{''.join(figures)}" if figures else f"<p><strong>{escape(problem)}</strong></p>"
        return _PAGE.format(
            access=_ACCESS[route.access],
            name=route.access,
            signed=" Links on this page are signed." if self._config.signing_keys else "",
            rows="".join(rows),
            found=found,
        )

    def _keys(self, origins: tuple[str, ...]) -> tuple[list[str], str]:
        """Return the keys of a few pictures, or why there are none."""
        buckets = open_origins(self._config, self._environ)
        problem = "No picture was found in the bucket."
        for name in origins:
            try:
                listing = itertools.islice(buckets[name].list(), _LOOKED_AT)
                keys = [info.key for info in listing if _is_picture(info.key)][:_SHOWN]
            except S3ImgError as error:  # keys that may read and not list are usual; the forms are shown all the same
                problem = f"Pictures can't be listed: {error}"
            else:
                if keys:
                    return keys, ""
        return [], problem

    def _signer(self, endpoint: str) -> Callable[[str], str]:
        keys = self._config.signing_keys
        return Signer.of(keys, audience=endpoint).sign if keys else str


def _is_local(environ: WSGIEnvironment) -> bool:
    """Tell whether a browser on this machine asks, and for a name of this machine: other names may lead here, too."""
    try:
        get_host(environ, trusted_hosts=_LOCAL_HOSTS)
    except HTTPException:
        return False
    return environ.get("REMOTE_ADDR") in _LOCAL_ADDRESSES


def _is_picture(key: str) -> bool:
    media_type, encoding = mimetypes.guess_type(key)
    is_known = key.lower().endswith((".avif", ".webp")) or (media_type or "").startswith("image/")
    return is_known and not encoding and not any(part in {".s3img", "..", "."} for part in key.split("/"))
