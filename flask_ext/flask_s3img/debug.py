"""In debug mode, a page that tells which images a page of the app shows, what became of them, and what it saves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import current_app, render_template, request
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_s3img.functions import name_in_lock
from s3img.errors import S3ImgError
from s3img.keys import KeyTemplate
from s3img.rewrite import find_references
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Blueprint

    from flask_s3img.state import AppState
    from s3img.catalog import Catalog
    from s3img.lock import LockEntry

_KINDS = frozenset({"img src", "img srcset", "source srcset", "video poster", "css url"})
_MOST = 5_000_000
"""Bytes of a page that is read."""


@dataclass(frozen=True, slots=True)
class Row:
    """Describe one image of a page: as it is written, and what is offered instead; bytes are 0 where not known."""

    url: str
    kind: str
    entry: LockEntry | None = None
    public_url: str = ""
    offers: tuple[Offer, ...] = ()

    @property
    def saved(self) -> int:
        """Return how many bytes fewer a screen as wide as the image gets, with the best format."""
        known = [offer.widest_bytes for offer in self.offers if offer.widest_bytes]
        return max(0, self.entry.size - min(known)) if self.entry and known else 0


@dataclass(frozen=True, slots=True)
class Offer:
    """Describe the renderings of one format, and the bytes of the widest."""

    format: str
    urls: tuple[tuple[int, str], ...]
    widest_bytes: int


def add_to(blueprint: Blueprint) -> None:
    """Add the page to the extension's routes."""
    blueprint.template_folder = "templates"
    blueprint.add_url_rule("/images", "images", _page)


def _page() -> str:
    path = request.args.get("page", "/")
    status, body = _fetch(path) if path.startswith("/") else ("400 BAD REQUEST", b"")
    return render_template("flask_s3img/images.html", page=path, status=status, rows=list(_rows(body)))


def _fetch(path: str) -> tuple[str, bytes]:
    """Ask the app for one of its pages, as this browser would, before anything is rewritten."""
    state: AppState = current_app.extensions["s3img"]
    environ = EnvironBuilder(path=path, headers=[("Cookie", request.headers.get("Cookie", ""))]).get_environ()
    environ["SCRIPT_NAME"] = request.root_path
    content, status, headers = run_wsgi_app(state.plain_app, environ)
    body = b"".join(content) if "html" in headers.get("Content-Type", "") else b""
    return status, body[:_MOST]


def _rows(body: bytes) -> Iterator[Row]:
    state: AppState = current_app.extensions["s3img"]
    catalog = state.catalog(request.root_path)
    seen: set[tuple[str, str]] = set()
    for reference in find_references(body, "text/html"):
        if reference.kind in _KINDS and (reference.kind, reference.url) not in seen:
            seen.add((reference.kind, reference.url))
            yield _row(reference.url, reference.kind, catalog, state)


def _row(url: str, kind: str, catalog: Catalog, state: AppState) -> Row:
    name = name_in_lock(url, "", catalog)
    if not name:
        return Row(url, kind)
    entry = catalog.entry(name)
    return Row(url, kind, entry, catalog.url(name), tuple(_offers(entry, catalog, state)))


def _offers(entry: LockEntry, catalog: Catalog, state: AppState) -> Iterator[Offer]:
    keys = entry.variant_keys(KeyTemplate.parse(catalog.config.key_template))
    for name in dict.fromkeys(name for name, _ in keys):
        widths = sorted(width for other, width in keys if other == name)
        urls = tuple((width, object_url(catalog.config.base_url, keys[name, width])) for width in widths)
        yield Offer(name, urls, _size(state, keys[name, widths[-1]]))


def _size(state: AppState, key: str) -> int:
    """Ask the bucket, which only this page does; 0 where it does not answer."""
    try:
        info = state.bucket().head(key)
    except S3ImgError:
        return 0
    return info.size if info else 0
