"""One request: hold back what the app says until it is clear what becomes of it (PEP 3333)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING

from werkzeug.wsgi import get_host

from s3img import codings, csp
from s3img.middleware.responses import ResponseHead, is_of_type, warn_once, with_tag
from s3img.middleware.site import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class ResponseSource:
    """Iterate over what the app returned, once, and close it once."""

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


class ResponseBody:
    """Iterate over a response; closing it closes what the app returned."""

    def __init__(self, chunks: Iterable[bytes], source: ResponseSource) -> None:
        self._chunks = iter(chunks)
        self._source = source

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """Close the app's object, whatever was read of it."""
        self._source.close()


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from s3img.middleware.pages import Pages, PageStream
    from s3img.middleware.responses import Headers, ResponseKind

    Write = Callable[[bytes], object]


_ANY_TAG = re.compile(r'-s3img-[0-9a-f]{10}(?=")')

_PROXY_FIX = "werkzeug.proxy_fix.orig"


@dataclass(frozen=True, slots=True)
class Selection:
    """Say which responses are rewritten: media types, whether codings are undone, limit in bytes.

    ``csp_host`` adds the address of the images to policies that don't allow it.
    """

    media_types: frozenset[str]
    recode: bool
    csp_host: bool
    max_bytes: int


class ResponseRewriter:
    """Answer one request: pass what the app says, or rewrite it whole or as it comes."""

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
        self._held: _Held | None = None
        self._send: Write | None = None  # the server's, once it has status and headers
        self._stream: PageStream | None = None
        self._written: list[bytes] = []
        self._has_body = False

    def run(self) -> Iterable[bytes]:
        """Return the body; the app's own object where nothing is to be done."""
        self._take_own_tags()
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
        """Return what rewrites under the lock as it is during this request; most requests don't ask."""
        return self._open_pages()

    def _take_own_tags(self) -> None:
        """Let the app compare its own ETags. One of another state of the lock fits none, so the page comes anew.

        A page that is changed in place (If-Match) is the same one whatever the lock says.
        """
        known = self._environ.get("HTTP_IF_NONE_MATCH", "")
        if "-s3img-" in known and f'{self._pages.tag}"' in known:
            self._environ["HTTP_IF_NONE_MATCH"] = known.replace(f'{self._pages.tag}"', '"')
            self._had_tag = True
        if "-s3img-" in (wanted := self._environ.get("HTTP_IF_MATCH", "")):
            self._environ["HTTP_IF_MATCH"] = _ANY_TAG.sub("", wanted)

    # what the app says

    def _start(self, status: str, headers: Headers, exc_info: object = None, /) -> Write:
        """Take status and headers, as a server does."""
        if self._send is not None:
            return self._begin(status, headers, exc_info)
        if self._held is not None and exc_info is None:
            raise AssertionError("start_response was called twice, and not for an error.")
        if exc_info is not None and (self._written or self._has_body):
            raise exc_info[1].with_traceback(exc_info[2])  # type: ignore[index]  # as PEP 3333 has it
        self._held = None
        if not is_of_type(headers, self._selection.media_types) and not self._had_tag:
            return self._begin(status, headers, exc_info)
        head = ResponseHead(status, headers)
        kind = self._kind(head)
        if kind is None:
            return self._begin(status, self._passed(head), exc_info)
        self._held = _Held(head, kind, exc_info)
        return self._write

    def _write(self, data: bytes) -> None:
        """Take a part of the body in the old way, which comes before what the app returns."""
        if self._send is not None:
            self._send(self._stream.feed(data) if self._stream else data)
            return
        self._written.append(data)
        if sum(map(len, self._written)) > self._selection.max_bytes:
            self._give_up()

    def _kind(self, head: ResponseHead) -> ResponseKind | None:
        """Return what the body is, None where it is to pass."""
        wants = self._selection
        kind = head.kind(wants.media_types)
        if kind is None or (head.is_partial and not self._asks_for_part):
            return None
        if kind.coding not in codings.PLAIN and not (wants.recode and codings.is_known(kind.coding)):
            if wants.recode:
                warn_once(f"pages with Content-Encoding {kind.coding!r} pass as they are.")
            return None
        if (head.length or 0) > wants.max_bytes:
            return None
        return kind if self._may_show(head) else None

    def _may_show(self, head: ResponseHead) -> bool:
        policies = head.policies
        if not policies or self._selection.csp_host:
            return True
        page = self._page()
        for url in self._pages.addresses(page):
            if not csp.allows(policies, url, own=page.origin):
                fix = "Add it to img-src, or pass csp_host=True."
                warn_once(f"the Content-Security-Policy keeps images of {url} away: {policies[0]!r}. {fix}")
                return False
        return True

    def _passed(self, head: ResponseHead) -> Headers:
        """Return the headers as they are; only "not modified" names the ETag that the client knows."""
        if head.code != "304" or not self._had_tag:
            return head.headers
        return [(n, with_tag(v, self._pages.tag) if n.lower() == "etag" else v) for n, v in head.headers]

    # what the server is told

    def _begin(self, status: str, headers: Headers, exc_info: object = None) -> Write:
        arguments = (status, headers) if exc_info is None else (status, headers, exc_info)
        self._send = self._start_response(*arguments)
        return self._send

    def _give_up(self) -> None:
        """Send what was held as it is."""
        held, self._held = self._held, None
        if held is None:
            return
        send = self._begin(held.head.status, held.head.headers, held.exc_info)
        written, self._written = self._written, []
        for data in written:
            send(data)

    def _answer(self, source: ResponseSource) -> Iterable[bytes]:
        first: list[bytes] = []
        if self._held is None and self._send is None:  # a generator says nothing before it begins
            first = [*islice(source, 1)]
            self._has_body = any(first)
        held = self._held
        if held is None:
            return ResponseBody(chain(first, source), source)
        if held.head.is_partial:
            return self._whole_instead_of_part(source)
        if self._method == "HEAD":
            self._begin_rewritten(held, length=None)
            return ResponseBody((), source)
        if self._written or source.is_complete or held.head.length is not None:
            return self._whole(held, first, source)
        if held.kind.coding not in codings.PLAIN:
            warn_once("pages that are compressed while they are made pass as they are.")
            self._give_up()
            return ResponseBody(chain(first, source), source)
        self._begin_rewritten(held, length=None, weak=True)
        return ResponseBody(self._pieces(held, chain(first, source)), source)

    def _whole(self, held: _Held, first: list[bytes], source: ResponseSource) -> Iterable[bytes]:
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
                return ResponseBody(chain(parts, source), source)
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        new = self._pages.rewritten(body, held.kind, self._page())
        if new is None:
            self._give_up()
            return ResponseBody(parts, source)
        self._begin_rewritten(held, length=len(new))
        return ResponseBody([new], source)

    def _pieces(self, held: _Held, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Rewrite piece by piece; each one that is taken from the app gives one, possibly empty."""
        for chunk in chunks:
            if self._stream is None:
                self._stream = self._pages.stream(chunk, held.kind, self._page())
            yield self._stream.feed(chunk)
        if self._stream and (rest := self._stream.finish()):
            yield rest

    def _begin_rewritten(self, held: _Held, *, length: int | None, weak: bool = False) -> None:
        headers = held.head.rewritten(self._pages.tag, length=length, weak=weak)
        if self._selection.csp_host:
            headers = [(n, self._extended(v) if n.lower() == csp.NAME else v) for n, v in headers]
        self._begin(held.head.status, headers, held.exc_info)

    def _extended(self, policy: str) -> str:
        page = self._page()
        for url in self._pages.addresses(page):
            if not csp.allows([policy], url, own=page.origin):
                policy = csp.extended(policy, url)
        return policy

    @property
    def _asks_for_part(self) -> bool:
        return self._method == "GET" and "HTTP_RANGE" in self._environ

    def _whole_instead_of_part(self, source: ResponseSource) -> Iterable[bytes]:
        """Ask the app again for all of the page: bytes are counted in what it becomes (RFC 9110, section 14.2)."""
        source.close()
        for name in ("HTTP_RANGE", "HTTP_IF_RANGE"):
            self._environ.pop(name, None)
        again = ResponseRewriter(self._app, self._open_pages, self._selection, self._environ, self._start_response)
        return again.run()

    def _page(self) -> Page:
        """Say where the page is; a ProxyFix inside of this middleware knows better than the server."""
        environ = self._environ
        script_name, path = self._place
        if not self._is_behind_proxy_fix and _PROXY_FIX in environ:
            script_name, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
        origin = f"{environ['wsgi.url_scheme']}://{get_host(environ)}".lower()
        return Page.of(origin, script_name, path)


@dataclass(frozen=True, slots=True)
class _Held:
    """What the app told the server, which does not know it yet."""

    head: ResponseHead
    kind: ResponseKind
    exc_info: object
