"""Rewrite pages to point at the bucket, from the lock alone; a page that can't be rewritten stays as it is."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from html import escape
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import msgspec

from s3img import __version__, codings, csp
from s3img.config.model import SECRET_SETTINGS
from s3img.middleware.responses import warn_once
from s3img.middleware.site import LockedAddress, LockedLibrary, LockedRoot
from s3img.pictures.choices import Image, PageReader
from s3img.pictures.editor import Editor, RenderInventory
from s3img.pictures.markup import first_styled, is_styled
from s3img.publish.cross_origin import asks_for_own_origin, is_loaded_with_cors
from s3img.rewrite import OPTIONAL_KINDS, Reference, Stream, TagEdit, head_end, rewrite
from s3img.rewrite.charset import sniff

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.assets import LinkTarget
    from s3img.middleware.responses import ResponseKind
    from s3img.middleware.site import Mount, Page
    from s3img.pictures.catalog import Catalog
    from s3img.pictures.choices import Choice
    from s3img.rewrite import Tag

K = TypeVar("K")
V = TypeVar("V")

_OVERHEAD = 300  # bytes that an entry takes beside its body
_REMEMBERED = 2_000  # edits and targets; both are found by what a page contains, so a visitor may cause any number


class BodyCache:
    """Bodies of at most ``limit`` bytes together; None stands for a body that stays as it is. Safe for threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bodies: OrderedDict[tuple[object, ...], bytes | None] = OrderedDict()
        self._size = 0
        self._guard = Lock()

    def get(self, key: tuple[object, ...]) -> tuple[bool, bytes | None]:
        """Return (whether it is known, the body)."""
        with self._guard:
            if key not in self._bodies:
                return False, None
            self._bodies.move_to_end(key)
            return True, self._bodies[key]

    def put(self, key: tuple[object, ...], body: bytes | None) -> None:
        """Keep a body; one that would take more than a quarter of the room is not kept."""
        size = _OVERHEAD + len(body or b"")
        if size > self._limit // 4:  # one large page must not push all others out
            return
        with self._guard:
            if key in self._bodies:
                return
            self._bodies[key] = body
            self._size += size
            while self._size > self._limit:
                _, oldest = self._bodies.popitem(last=False)
                self._size -= _OVERHEAD + len(oldest or b"")

    @property
    def size(self) -> int:
        """Return the bytes that are taken."""
        return self._size


@dataclass(frozen=True, slots=True)
class PageRules:
    """How pages are rewritten: static roots, path of the style sheet ("" for none), limits in bytes."""

    mounts: tuple[Mount, ...]
    style_path: str
    max_bytes: int
    cache_bytes: int


class Pages:
    """Rewrite pages from one state of the lock; ``missing``, if given, is called with images that are not in it.

    ``tag`` is appended to the ETag of a rewritten page: it changes with lock, settings and version.
    """

    def __init__(self, catalog: Catalog, rules: PageRules, missing: Callable[[str], None] | None = None) -> None:
        self._catalog = catalog
        self._rules = rules
        self.missing = missing
        self._cache = BodyCache(rules.cache_bytes)
        self._targets: dict[tuple[str, str, str], LinkTarget] = {}
        self.edits: dict[tuple[object, ...], tuple[str | TagEdit | None]] = {}
        self.tag = f"-s3img-{revision(catalog, rules)}"

    def rewritten(self, body: bytes, kind: ResponseKind, page: Page) -> bytes | None:
        """Return the new body in its coding, None where it stays as it is."""
        key = (hashlib.blake2b(body, digest_size=20).digest(), kind, page)
        is_known, found = self._cache.get(key)
        if not is_known:
            editing = _Editing(self, page, is_html=kind.media_type == "text/html")
            found = self._rewritten(body, kind, page, editing)
            if not editing.missed:  # a cached page would never again report its missing image, which may come later
                self._cache.put(key, found)
        return found

    def _rewritten(self, body: bytes, kind: ResponseKind, page: Page, editing: _Editing) -> bytes | None:
        data = codings.decoded(body, kind.coding, self._rules.max_bytes)
        if data is None or not self._may_show(data, kind, page):
            return None
        try:
            replace = editing.replace_in(data)
            new = rewrite(data, kind.media_type, replace, charset=kind.charset or None, optional=OPTIONAL_KINDS)
            place = first_styled(new) if new is not data else -1
            link = self.style_link(page)
            if place >= 0 and link and link.encode() not in new:  # a template with s3img_styles() has it already
                # Without a <head>, a style sheet may also stand before the first thing that it is for.
                place = head_end(new[:place]) or place
                new = new[:place] + link.encode() + new[place:]
        except Exception as error:  # whatever goes wrong, visitors get the page as the app made it
            message = f"a page can't be rewritten and stays as it is ({error!r}); please report this."
            warn_once(message, where=page.path, error=error)
            return None
        return None if new is data else codings.encoded(new, kind.coding)

    def _may_show(self, data: bytes, kind: ResponseKind, page: Page) -> bool:
        """Tell whether the policy in the page itself allows images of the bucket: it is never changed."""
        if kind.media_type != "text/html":
            return True
        policies = csp.in_page(data)
        addresses = self.addresses(page)
        if all(csp.allows(policies, url, own=page.origin) for url in addresses):
            return True
        warn_once(f"the policy in <meta> blocks images of {addresses[0]}: {policies[0]!r}", where=page.path)
        return False

    def addresses(self, page: Page) -> tuple[str, ...]:
        """Return the addresses that images are below: of the bucket, and of the service."""
        config = self._catalog.config
        found = (url.rstrip("/") for url in (config.base_url, config.service_url) if url)
        return tuple(f"{page.origin if url.startswith('/') else ''}{url}/" for url in found)

    def stream(self, first: bytes, kind: ResponseKind, page: Page) -> PageStream:
        """Start a page that comes in pieces; its encoding is found in ``first``."""
        link = self.style_link(page)
        style = "" if link.encode() in first else link
        editing = _StreamEditing(self, page, is_html=kind.media_type == "text/html", style=style)
        charset = sniff(first, given=kind.charset or None) if self._may_show(first, kind, page) else ""
        stream = Stream(editing.replace, charset=charset or "replacement", optional=OPTIONAL_KINDS)
        return PageStream(stream, self._rules.max_bytes)

    def tools(self, page: Page, missing: Callable[[str], None], *, is_html: bool) -> tuple[PageReader, Editor]:
        """Return what decides about a page's references, and what writes the decisions as markup."""

        def report(_: Reference, code: str, message: str) -> None:
            warn_once(f"{message} ({code})", where=page.path)

        def fault(path: str, code: str, message: str) -> None:
            warn_once(f"{message} ({code})", where=path)

        catalog, config, lookup = self._catalog, self._catalog.config, self._catalog.lookup
        root = LockedRoot(catalog, page, self._rules.mounts, missing, bounded(self._targets))
        library = LockedLibrary(catalog, lookup, fault)
        reader = PageReader(page.path, root, library, config, report, is_html=is_html)
        editor = Editor(config, LockedAddress(catalog, lookup, page.root), RenderInventory(sizes=lookup.sizes))
        return reader, editor

    def style_link(self, page: Page) -> str:
        """Return the link to the style sheet, which is the app's own so that every policy for styles allows it."""
        path = self._rules.style_path
        return f'<link rel="stylesheet" href="{escape(page.root)}{path}">' if path else ""


class _Editing:
    """Choose and edit, reference by reference; ``missed`` tells whether a missing image was reported."""

    def __init__(self, pages: Pages, page: Page, *, is_html: bool) -> None:
        self.missed = False
        self._report_missing = pages.missing
        self._reader, self._editor = pages.tools(page, self._missing, is_html=is_html)
        self._root = page.root
        self._is_elsewhere = any(not url.startswith(f"{page.origin}/") for url in pages.addresses(page))
        self._edits = bounded(pages.edits)
        self._choices: list[Choice] = []  # the editor tells them apart by id(), which must stay taken

    def replace(self, reference: Reference) -> str | TagEdit | None:
        """Return what to put in place of a reference."""
        if self._is_elsewhere and reference.kind != "css url" and asks_for_own_origin(reference.tag):
            return None
        choice = self._reader.choose(reference)
        if choice is None:
            return None
        if not isinstance(choice, Image) or choice.directives.mode != "picture":
            return self._edit(choice)
        place = (choice.asset.path, choice.target.tail, self._root)
        key = (*place, choice.eager, choice.tag.name, choice.tag.picture, *choice.author.items())
        found = self._edits.get(key)
        if found is None:
            found = self._edits[key] = (self._edit(choice),)
        return found[0]

    def replace_in(self, data: bytes) -> Callable[[Reference], str | TagEdit | None]:
        """Return `replace` for a page of which all is known, as is then where each URL of CSS stands."""

        def replace(reference: Reference) -> str | TagEdit | None:
            is_css = self._is_elsewhere and reference.kind == "css url"
            return None if is_css and is_loaded_with_cors(reference, data) else self.replace(reference)

        return replace

    def _missing(self, path: str) -> None:
        if self._report_missing:
            self.missed = True
            self._report_missing(path)

    def _edit(self, choice: Choice) -> str | TagEdit | None:
        self._choices.append(choice)
        return self._editor.edit(choice)


class _StreamEditing(_Editing):
    """Do the same for a page that comes in pieces: the style sheet is written before the first picture."""

    def __init__(self, pages: Pages, page: Page, *, is_html: bool, style: str) -> None:
        super().__init__(pages, page, is_html=is_html)
        self._style = style
        self._seen: Tag | None = None
        self._numbered: Tag | None = None
        self._tags = count()

    def replace(self, reference: Reference) -> str | TagEdit | None:
        """Return what to put in place of a reference."""
        if reference.tag is not None and reference.tag.name == "img":
            reference = msgspec.structs.replace(reference, tag=self._number(reference.tag))
        edit = super().replace(reference)
        if self._style and isinstance(edit, TagEdit) and is_styled(edit):
            edit = msgspec.structs.replace(edit, before=self._style + edit.before)
            self._style = ""
        return edit

    def _number(self, tag: Tag) -> Tag | None:
        """Return a tag with a number for its offset: in a stream, two tags may have the same offset."""
        if tag is not self._seen:
            self._seen = tag
            numbered = msgspec.structs.replace(tag, read=tag.attributes)
            self._numbered = msgspec.structs.replace(numbered, start=next(self._tags))
        return self._numbered


class PageStream:
    """Rewrite a page that comes in pieces, up to ``limit`` bytes; the rest is passed on unchanged."""

    def __init__(self, stream: Stream, limit: int) -> None:
        self._stream: Stream | None = stream
        self._room = limit

    def feed(self, chunk: bytes) -> bytes:
        """Return what is ready; possibly nothing."""
        if self._stream is None:
            return chunk
        self._room -= len(chunk)
        return self._stream.feed(chunk) if self._room >= 0 else self.finish() + chunk

    def finish(self) -> bytes:
        """Return the rest."""
        stream, self._stream = self._stream, None
        return stream.finish() if stream else b""


def bounded(known: dict[K, V]) -> dict[K, V]:
    """Return a dictionary, emptied when it is too large: pages of one site show few things in many places."""
    if len(known) > _REMEMBERED:
        known.clear()
    return known


def revision(catalog: Catalog, rules: PageRules) -> str:
    """Hash all that decides how pages are rewritten."""
    settings = msgspec.to_builtins(catalog.config)
    for name in SECRET_SETTINGS:
        del settings[name]
    # Visitors see this hash, so no key goes into it; an address that a key has signed stands for it.
    signed = catalog.service.url("", "w-1") if catalog.service else ""
    parts = [
        str(catalog.lock).encode("utf-8", "surrogateescape"),
        repr((settings, rules, signed, __version__)).encode(),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:10]
