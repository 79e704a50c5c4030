"""What all pages of the gallery share: head, navigation, words for the script; and a page that is only a message."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from markupsafe import Markup
from werkzeug.wrappers import Response

from s3img import __version__
from s3img.gallery.html_builder import element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from werkzeug.wrappers import Request

    from s3img.gallery.bucket_switch import BucketLink
    from s3img.gallery.html_builder import Child
    from s3img.gallery.messages import Words

SCRIPT_WORDS: Final = ("selected", "copy", "copied", "waiting", "sending", "stored", "failed", "cancel", "retry")

SHORTCUTS: Final = (
    ("/", "key_search"),
    ("J / →, K / ←", "key_move"),
    ("X", "key_select"),
    ("A", "key_all"),
    ("Enter", "key_open"),
    ("Delete", "key_delete"),
    ("?", "key_help"),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a page is written for one visitor: language, where the gallery is mounted, the token of its forms."""

    words: Words
    mount: str
    token: str
    buckets: Sequence[BucketLink] = ()

    def url(self, path: str, **parameters: str) -> str:
        """Return an address of the gallery; empty parameters are left out."""
        query = urlencode({name: value for name, value in parameters.items() if value}, errors="surrogateescape")
        return f"{self.mount}{path}" + (f"?{query}" if query else "")

    def form(self, action: str, *children: Child, **attributes: str | bool | None) -> Markup:
        """Return a form that changes something: it carries the token."""
        token = element("input", type="hidden", name="token", value=self.token)
        return element("form", token, *children, method="post", action=action, **attributes)

    def page(self, title: str, *content: Child) -> str:
        """Return a whole page."""
        words = self.words
        version = {"v": __version__}
        shown = {name: words(name) if name != "selected" else "" for name in SCRIPT_WORDS}
        shown["selected"] = words("selected", number="{number}")
        shown["key_preview"] = words("key_preview", name="{name}", key="{key}")
        head = element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="robots", content="noindex"),
            element("title", f"{title} · s3img"),
            element("link", rel="icon", href=self.url("/static/icon.svg", **version)),
            element("link", rel="stylesheet", href=self.url("/static/gallery.css", **version)),
            element("script", src=self.url("/static/gallery.js", **version), defer=True),
        )
        top = element(
            "header",
            element("a", words("title"), href=self.url("/")),
            element(
                "nav",
                *(
                    element("a", one.name, href=one.url, aria_current="true" if one.is_here else None)
                    for one in self.buckets
                ),
                element("a", words("trash"), href=self.url("/trash")),
                element("a", words("settings"), href=self.url("/settings")),
                element(
                    "button", "?", type="button", id="open-help", class_="plain script", aria_label=words("shortcuts")
                ),
                aria_label=words("title"),
            ),
            class_="top",
        )
        rows = [
            element("tr", element("td", element("kbd", keys)), element("td", words(name))) for keys, name in SHORTCUTS
        ]
        help_box = element(
            "dialog",
            element("h2", words("shortcuts"), id="help-title"),
            element("table", element("tbody", *rows)),
            element("form", element("button", words("close")), method="dialog", class_="row"),
            id="help",
            aria_labelledby="help-title",
        )
        # A block of data, which no browser runs; "<" is the only character that could end it.
        data = Markup(json.dumps(shown).replace("<", "\\u003c"))  # noqa: S704 - see above
        body = element(
            "body",
            element("a", words("skip"), href="#main", class_="skip"),
            top,
            element("main", *content, id="main"),
            help_box,
            element("div", id="live", role="status", aria_live="polite", class_="skip"),
            element("script", data, id="words", type="application/json"),
        )
        return f"<!doctype html>\n{element('html', head, body, lang=words.language)}"


def message_page(layout: Layout, message: str, fix: str) -> str:
    """Return a page that says what did not work, and what to do."""
    return layout.page(
        message,
        element("h1", message),
        element("p", fix, class_="note") if fix else None,
        element("p", element("a", layout.words("home"), href=layout.url("/"))),
    )


def html(text: str, status: int = 200) -> Response:
    """Return a page."""
    return Response(text, status, content_type="text/html; charset=utf-8")


def wants_json(request: Request) -> bool:
    """Tell whether the gallery's script asks."""
    return request.headers.get("Accept", "") == "application/json"


def crumbs(layout: Layout, prefix: str, last: str = "") -> Markup:
    """Return the way from the top to a folder."""
    parts = prefix.rstrip("/").split("/") if prefix else []
    items = [element("li", element("a", layout.words("home"), href=layout.url("/")))]
    for number, part in enumerate(parts, 1):
        href = layout.url("/", prefix="/".join(parts[:number]) + "/")
        items.append(element("li", element("a", part or "(…)", href=href)))
    if last:
        items.append(element("li", last, aria_current="page"))
    return element("nav", element("ol", *items, class_="crumbs"), aria_label=layout.words("folders"))
