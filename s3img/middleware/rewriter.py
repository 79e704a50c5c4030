"""Answer one request: hold status and headers back until it is clear whether the body is rewritten (PEP 3333)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING

from werkzeug.wsgi import ClosingIterator, get_host

from s3img import codings, csp
from s3img.middleware.responses import ResponseHead, is_of_type, warn_once, with_tag
from s3img.middleware.site import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from s3img.middleware.pages import Pages, PageStream
    from s3img.middleware.responses import Headers, ResponseKind

    Write = Callable[[bytes], object]

_ANY_TAG = re.compile(r'-s3img-[0-9a-f]{10}(?=")')
_PROXY_FIX = "werkzeug.proxy_fix.orig"


class ResponseSource:
    """Iterate over what the app returned, once, and close it once, whatever was read of it."""

    def __init__(self, iterable: Iterable[bytes]) -> None:
        self._iterable: Iterable[bytes] | None = iterable
        self._iterator: Iterator[bytes] | None = None
        self.is_complete = isinstance(iterable, list | tuple)

    def __iter__(self) -> Iterator[bytes]:
        if self._iterator is None:
            self._iterator = iter(self._iterable or ())
        return self._iterator

    def close(self) -> None:
        """Close the app's object where it can be closed."""
        iterable, self._iterable = self._iterable, None
        close: Callable[[], None] | None = getattr(iterable, "close", None)
        if close is not None:
            close()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which responses are rewritten: their media types, whether compressed ones too, and up to how many bytes.

    ``csp_host`` adds the address of the images to policies that don't allow it.
    """

    media_types: frozenset[str]
    recode: bool
    csp_host: bool
    max_bytes: int


@dataclass(frozen=True, slots=True)
class HeldResponse:
    """Status and headers that the app has started its response with and the server does not know yet."""

    head: ResponseHead
    kind: ResponseKind
    exc_info: object


class ResponseRewriter:
    """Answer one request: pass the app's response on, or rewrite it, whole or piece by piece."""

    def __init__(
        self,
        app: WSGIApplication,
        open_pages: Callable[[], Pages],
        selection: Selection,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> None:
        self._app = app
        self._open_pages = open_pages
        self._selection = selection
        self._environ = environ
        self._start_response = start_response
        self._method = environ["REQUEST_METHOD"]
        self._place = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
        self._is_behind_proxy_fix = _PROXY_FIX in environ
        self._had_tag = False
        self._held: HeldResponse | None = None
        self._send: Write | None = None  # the server's, once it has status and headers
        self._stream: PageStream | None = None
        self._written: list[bytes] = []
        self._has_body = False

    def run(self) -> Iterable[bytes]:
        """Return the body; the app's own object where nothing is to be done."""
        # The app must see its own ETags to compare them. A tag of another state of the lock fits none of them, so the
        # page is sent again. If-Match is about changing a page in place, which is the same whatever the lock says.
        known = self._environ.get("HTTP_IF_NONE_MATCH", "")
        if "-s3img-" in known and f'{self._pages.tag}"' in known:
            self._environ["HTTP_IF_NONE_MATCH"] = known.replace(f'{self._pages.tag}"', '"')
            self._had_tag = True
        if "-s3img-" in (wanted := self._environ.get("HTTP_IF_MATCH", "")):
            self._environ["HTTP_IF_MATCH"] = _ANY_TAG.sub("", wanted)
        iterable = self._app(self._environ, self._start)
        if self._send is not None and self._held is None:
            return iterable
        source = ResponseSource(iterable)
        try:
            return self._answer(source)
        except BaseException:
            source.close()
            raise

    @cached_property
    def _pages(self) -> Pages:
        """Return what rewrites under the lock as it is at this request; most requests need none."""
        return self._open_pages()

    def _start(self, status: str, headers: Headers, exc_info: object = None, /) -> Write:
        """Take status and headers, as a server does."""
        if self._send is not None:
            return self._begin(status, headers, exc_info)
        if self._held is not None and exc_info is None:
            raise AssertionError("start_response was called twice, and not for an error.")
        # PEP 3333: after an error an app may start again, unless a part of the body is out already.
        if exc_info is not None and (self._written or self._has_body):
            raise exc_info[1].with_traceback(exc_info[2])  # type: ignore[index]  # the types allow a tuple of None
        self._held = None
        if not is_of_type(headers, self._selection.media_types) and not self._had_tag:
            return self._begin(status, headers, exc_info)
        head = ResponseHead(status, headers)
        kind = self._kind(head)
        if kind is None:
            if head.code == "304" and self._had_tag:  # "not modified" must name the ETag that the client knows
                headers = [(n, with_tag(v, self._pages.tag) if n.lower() == "etag" else v) for n, v in headers]
            return self._begin(status, headers, exc_info)
        self._held = HeldResponse(head, kind, exc_info)
        return self._write

    def _write(self, data: bytes) -> None:
        """Take a part of the body through the ``write`` of PEP 3333; it comes before what the app returns."""
        if self._send is not None:
            self._send(self._stream.feed(data) if self._stream else data)
            return
        self._written.append(data)
        if sum(map(len, self._written)) > self._selection.max_bytes:
            self._give_up()

    def _kind(self, head: ResponseHead) -> ResponseKind | None:
        """Return the kind of a body that is to be rewritten, None for one that is passed on."""
        selection = self._selection
        kind = head.kind(selection.media_types)
        asks_for_part = self._method == "GET" and "HTTP_RANGE" in self._environ
        if kind is None or (head.is_partial and not asks_for_part):
            return None
        if kind.coding not in codings.PLAIN and not (selection.recode and codings.is_known(kind.coding)):
            if selection.recode:
                warn_once(f"pages with Content-Encoding {kind.coding!r} are passed on unchanged.")
            return None
        if (head.length or 0) > selection.max_bytes:
            return None
        if head.policies and not selection.csp_host:
            page = self._page()
            for url in self._pages.addresses(page):
                if not csp.allows(head.policies, url, own=page.origin):
                    fix = "Add it to img-src, or pass csp_host=True."
                    warn_once(f"the Content-Security-Policy blocks images of {url}: {head.policies[0]!r}. {fix}")
                    return None
        return kind

    def _begin(self, status: str, headers: Headers, exc_info: object = None) -> Write:
        arguments = (status, headers) if exc_info is None else (status, headers, exc_info)
        self._send = self._start_response(*arguments)
        return self._send

    def _give_up(self) -> None:
        """Pass the held response on unchanged."""
        held, self._held = self._held, None
        if held is None:
            return
        send = self._begin(held.head.status, held.head.headers, held.exc_info)
        written, self._written = self._written, []
        for data in written:
            send(data)

    def _answer(self, source: ResponseSource) -> Iterable[bytes]:
        first: list[bytes] = []
        # An app that is a generator calls start_response only when its first piece is asked for.
        if self._held is None and self._send is None:
            first = [*islice(source, 1)]
            self._has_body = any(first)
        held = self._held
        if held is None:
            return ClosingIterator(chain(first, source), source.close)
        if held.head.is_partial:
            # A range counts bytes of the rewritten page (RFC 9110, section 14.2), which only the whole page can tell.
            source.close()
            for name in ("HTTP_RANGE", "HTTP_IF_RANGE"):
                self._environ.pop(name, None)
            again = ResponseRewriter(self._app, self._open_pages, self._selection, self._environ, self._start_response)
            return again.run()
        if self._method == "HEAD":
            self._begin_rewritten(held, length=None)
            return ClosingIterator((), source.close)
        if self._written or source.is_complete or held.head.length is not None:
            return self._whole(held, first, source)
        if held.kind.coding not in codings.PLAIN:
            warn_once("pages that the app compresses piece by piece are passed on unchanged.")
            self._give_up()
            return ClosingIterator(chain(first, source), source.close)
        # Pieces are cut where the app cuts them, so equal pages may differ in bytes: the ETag becomes a weak one.
        self._begin_rewritten(held, length=None, weak=True)
        return ClosingIterator(self._pieces(held, chain(first, source)), source.close)

    def _whole(self, held: HeldResponse, first: list[bytes], source: ResponseSource) -> Iterable[bytes]:
        """Collect the body, up to the limit, and rewrite it."""
        parts = [*self._written, *first]
        size = sum(map(len, parts))
        self._written = []
        for chunk in source:
            parts.append(chunk)
            self._has_body = True
            size += len(chunk)
            if size > self._selection.max_bytes:
                self._give_up()
                return ClosingIterator(chain(parts, source), source.close)
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        new = self._pages.rewritten(body, held.kind, self._page())
        if new is None:
            self._give_up()
            return ClosingIterator(parts, source.close)
        self._begin_rewritten(held, length=len(new))
        return ClosingIterator([new], source.close)

    def _pieces(self, held: HeldResponse, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Rewrite piece by piece; each piece of the app gives exactly one, possibly empty (PEP 3333)."""
        for chunk in chunks:
            if self._stream is None:
                self._stream = self._pages.stream(chunk, held.kind, self._page())
            yield self._stream.feed(chunk)
        if self._stream and (rest := self._stream.finish()):
            yield rest

    def _begin_rewritten(self, held: HeldResponse, *, length: int | None, weak: bool = False) -> None:
        headers = held.head.rewritten(self._pages.tag, length=length, weak=weak)
        if self._selection.csp_host and held.head.policies:
            page = self._page()
            for url in self._pages.addresses(page):
                headers = [
                    (n, csp.extended(v, url))
                    if n.lower() == csp.NAME and not csp.allows([v], url, own=page.origin)
                    else (n, v)
                    for n, v in headers
                ]
        self._begin(held.head.status, headers, held.exc_info)

    def _page(self) -> Page:
        """Return where the page is; a ProxyFix inside of this middleware knows that better than the server."""
        environ = self._environ
        script_name, path = self._place
        if not self._is_behind_proxy_fix and _PROXY_FIX in environ:
            script_name, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
        origin = f"{environ['wsgi.url_scheme']}://{get_host(environ)}".lower()
        return Page.of(origin, script_name, path)
