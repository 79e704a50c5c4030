"""Bytes that pages load or people keep: thumbnails, originals as downloads, style sheet and script."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from werkzeug.wrappers import Response

from s3img.manage.object_search import IMAGE_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.gallery.gallery_app import Visit

STATIC_TYPES: Final = {
    "gallery.css": "text/css; charset=utf-8",
    "gallery.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

WIDTHS: Final = (240, 480, 1600)
"""Of thumbnails and previews, in px."""

RENDERED: Final = IMAGE_TYPES - {"svg", "ico", "heic", "heif", "jxl"}
"""Types that a thumbnail is made of."""

_UNSAFE_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def thumbnail(visit: Visit) -> Response:
    """Answer with a small picture of an object."""
    width = visit.request.args.get("w", "")
    key = visit.request.args.get("key", "")
    if width not in map(str, WIDTHS) or not key:
        return Response(status=404)
    return visit.gallery.thumbnail(visit.request, key, int(width), visit.words)


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
