"""Bytes that pages load or people keep: thumbnails, originals as downloads, style sheet and script."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from s3img.manage.object_search import IMAGE_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import WSGIEnvironment

    from werkzeug.datastructures import Headers

    from s3img.buckets import ObjectInfo
    from s3img.gallery.gallery_app import Gallery, Visit

STATIC_TYPES: Final = {
    "gallery.css": "text/css; charset=utf-8",
    "gallery.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

WIDTHS: Final = (240, 480, 1600)  # of thumbnails and previews, in px
MOST_LOOKED_AT: Final = 480  # px of thumbnails from which the index learns; larger ones say no more
LOOK_SECONDS: Final = 3.0  # for which pictures are looked at to find similar ones
LOOKERS: Final = 4  # pictures that are looked at in one moment

RENDERED: Final = IMAGE_TYPES - {"svg", "ico", "heic", "heif", "jxl"}
"""Types that a thumbnail is made of."""

RASTER: Final = frozenset({"image/jpeg", "image/png", "image/webp", "image/avif", "image/gif"})

UNSHOWN: Final = frozenset({413, 415, 422})
"""What the service answers for an object that it makes no picture of: too large, of another kind, damaged."""

_PASSED: Final = ("HTTP_ACCEPT", "HTTP_IF_NONE_MATCH", "REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL")

_UNSAFE_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def thumbnail(visit: Visit) -> Response:
    """Answer with a small picture of an object."""
    arguments, index = visit.request.args, visit.gallery.index
    width, key, etag = arguments.get("w", ""), arguments.get("key", ""), arguments.get("v", "")
    if width not in map(str, WIDTHS) or not key:
        return Response(status=404)
    data, status, headers = rendered(visit.gallery, visit.request.environ, key, int(width))
    # Of what the service says only these count here; what is not a picture of px (SVG, say) is not shown at all.
    shown = {name: headers[name] for name in ("Content-Type", "ETag") if name in headers}
    if status == 200 and shown.get("Content-Type") not in RASTER:
        status = 415
    if status in UNSHOWN:
        # Browsers show a picture whatever its status is, so a card has no empty frame, also without a script.
        text = (
            '<svg xmlns="http://www.w3.org/2000/svg" width="240" height="180" viewBox="0 0 240 180">'
            '<text x="120" y="95" text-anchor="middle" font-family="sans-serif" font-size="18" fill="#777">'
            f"{escape(visit.words('no_preview'))}</text></svg>"
        )
        return Response(text, status, content_type="image/svg+xml")
    if status == 200 and int(width) <= MOST_LOOKED_AT and etag and index.find(key, etag) is None:
        index.add(key, etag, data)
    response = Response(data, status, shown)
    if status in {200, 304}:
        # Only this browser may keep it: others have to ask for permission themselves.
        response.headers["Cache-Control"] = "private, max-age=86400"
        response.headers["Vary"] = "Accept, Cookie"
    return response


def rendered(gallery: Gallery, environ: WSGIEnvironment, key: str, width: int) -> tuple[bytes, int, Headers]:
    """Ask the service inside for a small picture of an object; nobody's permission is asked for."""
    inner = {name: value for name, value in environ.items() if name in _PASSED or name.startswith("wsgi.")}
    path = f"/tr:w-{width},h-{width},c-at_max,f-auto/{key}"
    inner["PATH_INFO"] = path.encode().decode("latin-1")
    inner |= {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "QUERY_STRING": ""}
    body, status, headers = run_wsgi_app(gallery.service, inner, buffered=True)
    return b"".join(body), int(status[:3]), headers


def look_at(gallery: Gallery, environ: WSGIEnvironment, infos: Iterable[ObjectInfo]) -> None:
    """Learn what these pictures look like, those that are not known yet, for a few seconds at most."""
    until, index = time.monotonic() + LOOK_SECONDS, gallery.index
    unknown = [info for info in infos if index.find(info.key, info.etag) is None]
    # A browser's own conditions and formats are not for this: the answer has to be a picture.
    bare = {name: value for name, value in environ.items() if not name.startswith("HTTP_")}

    def look(info: ObjectInfo) -> None:
        if time.monotonic() < until:
            data, status, _ = rendered(gallery, bare, info.key, WIDTHS[0])
            if status == 200:
                index.add(info.key, info.etag, data)

    with ThreadPoolExecutor(LOOKERS, thread_name_prefix="s3img-look") as pool:
        list(pool.map(look, unknown))


def download(visit: Visit) -> Response:
    """Send an object as a file to keep: nothing of the bucket is ever shown as a page of the gallery's origin."""
    key = visit.request.args.get("key", "")
    opened = visit.gallery.bucket.open(key)

    def pieces() -> Iterator[bytes]:
        with opened:
            while data := opened.read(1 << 16):
                yield data

    response = Response(pieces(), content_type="application/octet-stream", direct_passthrough=True)
    response.call_on_close(opened.close)
    response.content_length = opened.info.size
    name = _UNSAFE_NAME.sub("_", key.rpartition("/")[2]) or "file"
    plain = name.encode("ascii", "replace").decode().replace('"', "_").replace("?", "_")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    response.headers["Content-Disposition"] = disposition
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def static_file(visit: Visit) -> Response:
    """Send a file that the pages load."""
    name = str(visit.arguments.get("name", ""))
    if name not in STATIC_TYPES:
        return Response(status=404)
    data = files("s3img.gallery").joinpath("static", name).read_bytes()
    return Response(data, content_type=STATIC_TYPES[name], headers={"Cache-Control": "private, max-age=3600"})
