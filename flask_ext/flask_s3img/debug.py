"""In debug mode, a page that tells which images a page of the app shows, what became of them, and what it saves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin

from flask import abort, current_app, render_template, request
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_s3img.app_state import current_state
from flask_s3img.settings import URL_PREFIX
from s3img.errors import S3ImgError
from s3img.keys import KeyTemplate
from s3img.middleware.wsgi import STYLE_PATH
from s3img.pictures.markup import PICTURE_CLASS
from s3img.rewrite import find_references
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_s3img.app_state import AppState
    from s3img.lock import LockEntry
    from s3img.pictures.catalog import Catalog

_KINDS = frozenset({"img src", "img srcset", "source srcset", "video poster", "css url"})
_MOST = 5_000_000
"""Bytes of a page that is read."""

_PASSED = ("Cookie", "Authorization", "Accept-Language", "User-Agent")
_WRAPPER = f'<picture class="{PICTURE_CLASS}'.encode()


@dataclass(frozen=True, slots=True)
class Row:
    """Describe one image of a page: as it is written, and what is offered instead; bytes are 0 where not known.

    ``shown`` is where it can be seen.
    """

    url: str
    kind: str
    shown: str = ""
    entry: LockEntry | None = None
    offers: tuple[CandidateRow, ...] = ()

    @property
    def saved(self) -> int:
        """Return how many bytes fewer a screen as wide as the image gets, with the best format."""
        known = [offer.widest_bytes for offer in self.offers if offer.widest_bytes]
        return max(0, self.entry.size - min(known)) if self.entry and known else 0


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """Describe the renderings of one format, and the bytes of the widest."""

    format: str
    urls: tuple[tuple[int, str], ...]
    widest_bytes: int


def page() -> str:
    """Show the images of the page that the query names; there is no such page outside debug mode."""
    if not current_app.debug:
        abort(404)
    state = current_state()
    path = request.args.get("page", "/")
    is_page = path.startswith("/") and not path.startswith(("//", URL_PREFIX))
    status, body = _fetch(path) if is_page else ("400 BAD REQUEST: name a page of this app", b"")
    styled = STYLE_PATH.encode() in body or _WRAPPER not in body
    catalog = state.catalog(request.root_path.rstrip("/"))
    rows: dict[tuple[str, str], Row] = {}
    for reference in find_references(body, "text/html"):
        if reference.kind in _KINDS and (reference.kind, reference.url) not in rows:
            rows[reference.kind, reference.url] = _row(reference.url, path, reference.kind, catalog, state)
    return render_template("flask_s3img/images.html", page=path, status=status, rows=[*rows.values()], styled=styled)


def _fetch(path: str) -> tuple[str, bytes]:
    """Ask the app for one of its pages, as this browser would, before anything is rewritten."""
    headers = [(name, request.headers[name]) for name in _PASSED if name in request.headers]
    builder = EnvironBuilder(path=path, base_url=request.root_url, headers=headers)
    environ = builder.get_environ()
    environ["REMOTE_ADDR"] = request.remote_addr or ""
    content, status, answered = run_wsgi_app(current_state().plain_app, environ)
    try:
        body = bytearray()
        if "html" in answered.get("Content-Type", ""):
            for chunk in content:
                body += chunk
                if len(body) > _MOST:
                    break
        return status, bytes(body[:_MOST])
    finally:
        getattr(content, "close", str)()  # not every iterable of WSGI can be closed


def _row(written: str, path: str, kind: str, catalog: Catalog, state: AppState) -> Row:
    root = request.root_path.rstrip("/")
    try:
        url = urljoin(f"{request.host_url.rstrip('/')}{quote(root)}{path}", written)
    except ValueError:  # an unclosed [ in the host
        return Row(written, kind)
    name = state.names.find(url, catalog.lock, root=root, host=request.host) or _by_address(url, catalog)
    if not name:
        return Row(written, kind, shown=url)
    entry = catalog.entry(name)
    return Row(written, kind, catalog.url(name), entry, tuple(_offers(entry, catalog, state)))


def _by_address(url: str, catalog: Catalog) -> str:
    """Return the image whose original or rendering has this public address, as templates write it."""
    base = urljoin(request.host_url, catalog.config.base_url)
    key = unquote(url.removeprefix(base).lstrip("/"))
    if not url.startswith(base):
        return ""
    template = KeyTemplate.parse(catalog.config.key_template)
    owners = (
        path for path, e in catalog.lock.entries.items() if key == e.key or key in e.variant_keys(template).values()
    )
    return next(owners, "")


def _offers(entry: LockEntry, catalog: Catalog, state: AppState) -> Iterator[CandidateRow]:
    keys = entry.variant_keys(KeyTemplate.parse(catalog.config.key_template))
    for name in dict.fromkeys(name for name, _ in keys):
        widths = sorted(width for other, width in keys if other == name)
        urls = tuple((width, object_url(catalog.config.base_url, keys[name, width])) for width in widths)
        try:  # asks the bucket, which only this page does
            info = state.bucket().head(keys[name, widths[-1]])
        except S3ImgError:
            info = None
        yield CandidateRow(name, urls, info.size if info else 0)
