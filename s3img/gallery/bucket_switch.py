"""Several buckets in one place: a gallery each, and a way from one to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from s3img.errors import ConfigError
from s3img.urls import PATH_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from s3img.gallery.gallery_app import Gallery

BUCKETS: Final = "s3img.gallery.buckets"
"""In the environment of a request: the galleries that there are, for the list on each page."""


class BucketLink(NamedTuple):
    """A gallery beside others: its name, where it is, and whether it is the one that is shown."""

    name: str
    url: str
    is_here: bool


class BucketSwitch:
    """Show several galleries, a WSGI application: the first at the mount itself, each other one below ``/@NAME``.

    Each asks its own ``authorize``, and has forms of its own: a right in one bucket is none in another. Raise
    ConfigError for none, and for a name that a path can't have.
    """

    def __init__(self, galleries: Mapping[str, Gallery]) -> None:
        if not galleries:
            raise ConfigError(["galleries: name at least one"])
        if bad := [name for name in galleries if not name or "/" in name]:
            raise ConfigError([f"galleries: {bad[0]!r} is not a name"])
        self._galleries = dict(galleries)
        self._first = next(iter(self._galleries))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Hand a request to the gallery that its path begins with."""
        path, mount = environ.get("PATH_INFO", ""), environ.get("SCRIPT_NAME", "")
        name = self._first
        if path.startswith("/@"):
            # WSGI gives a path as the bytes that were sent, a character each (PEP 3333).
            part = path[1:].partition("/")[0]
            wanted = part[1:].encode("latin-1").decode("utf-8", "replace")
            if wanted in self._galleries and wanted != self._first:
                name = wanted
                environ = {**environ, "SCRIPT_NAME": f"{mount}/{part}", "PATH_INFO": path[1 + len(part) :] or "/"}
        root = quote(mount.encode("latin-1"), safe=PATH_CHARACTERS)
        links = [
            BucketLink(
                one, f"{root}/" if one == self._first else f"{root}/@{quote(one, safe=PATH_CHARACTERS)}/", one == name
            )
            for one in self._galleries
        ]
        return self._galleries[name]({**environ, BUCKETS: links}, start_response)

    def close(self) -> None:
        """Close all galleries."""
        for gallery in self._galleries.values():
            gallery.close()
