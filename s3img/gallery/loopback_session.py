"""The gallery for the one person at this machine: a link that works once opens it, and a cookie keeps it open.

The link's token is random and made anew with each start. It is in an address once, is exchanged for a cookie that no
script can read, and is worth nothing from then on.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from typing import TYPE_CHECKING, Final

from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from s3img.gallery.loopback import is_for_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SESSION: Final = "s3img_session"


class LoopbackSession:
    """Let one browser of this machine in; `authorize` is what the gallery asks, `wrap` what the server calls."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self._is_used = False
        self._lock = threading.Lock()

    def authorize(self, action: str, key: str, environ: WSGIEnvironment) -> bool:  # noqa: ARG002 - all or nothing
        """Tell whether a request comes from the browser that opened the link, and asks for this machine."""
        given = Request(environ).cookies.get(SESSION, "")
        return is_for_loopback(environ) and hmac.compare_digest(given.encode(), self._session.encode())

    def wrap(self, app: WSGIApplication) -> WSGIApplication:
        """Return the application with the link that opens it in front."""

        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if not is_for_loopback(environ):
                return Response("Only 127.0.0.1 and localhost are names of this server.\n", 403)(
                    environ, start_response
                )
            request = Request(environ)
            if request.path == "/" and "token" in request.args:
                return self.open(request)(environ, start_response)
            return app(environ, start_response)

        return application

    def open(self, request: Request) -> Response:
        """Exchange the link's token for a cookie, once; without it the answer is the same page, which asks for it."""
        with self._lock:
            fits = hmac.compare_digest(request.args["token"].encode(), self.token.encode())
            is_first = fits and not self._is_used
            self._is_used = self._is_used or fits
        response = redirect("/", 303)
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        if is_first:
            # "Lax", because a link in a terminal or a mail is another site to the browser.
            response.set_cookie(SESSION, self._session, httponly=True, samesite="Lax", path="/")
        return response
