"""What all pages of the gallery share: head, navigation, words for the script."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import msgspec
from markupsafe import Markup
from werkzeug.wrappers import Response

from s3img import __version__
from s3img.gallery.html_builder import element, hidden, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from werkzeug.wrappers import Request

    from s3img.gallery.bucket_switch import BucketLink
    from s3img.gallery.html_builder import Child
    from s3img.gallery.messages import Words

SCRIPT_WORDS: Final = ("copy", "copied", "waiting", "sending", "stored", "failed", "cancel", "retry")

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
        query = urlencode({name: value for name, value in parameters.items() if value})
        return f"{self.mount}{path}" + (f"?{query}" if query else "")

    def button_link(self, message: str, path: str, **parameters: str) -> Markup:
        """Return a link that looks like a button."""
        return element("a", self.words(message), href=self.url(path, **parameters), class_="button plain")

    def form(self, path: str, *children: Child, prefix: str = "", **attributes: str | bool | None) -> Markup:
        """Return a form that changes something: it carries the token."""
        action = self.url(path, prefix=prefix)
        return element("form", hidden("token", self.token), *children, method="post", action=action, **attributes)

    def copy_area(self, title: str, text: str) -> Markup:
        """Return a text of many lines with a button that copies it."""
        label = element("label", title, element("textarea", text, readonly=True))
        button = element("button", self.words("copy"), type="button", class_="script", data_copy=True)
        return element("div", label, button, class_="many")

    def page(self, title: str, *content: Child, status: int = 200) -> Response:
        """Return a whole page."""
        words = self.words
        version = {"v": __version__}
        shown = {name: words(name) for name in SCRIPT_WORDS}
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
        buckets = (
            element("a", one.name, href=one.url, aria_current="true" if one.is_here else None) for one in self.buckets
        )
        top = element(
            "header",
            element("a", words("title"), href=self.url("/")),
            element(
                "nav",
                *buckets,
                element("a", words("trash"), href=self.url("/trash")),
                element("a", words("settings"), href=self.url("/settings")),
                element(
                    "button", "?", type="button", id="open-help", class_="plain script", aria_label=words("shortcuts")
                ),
                aria_label=words("title"),
            ),
            class_="top",
        )
        help_box = element(
            "dialog",
            element("h2", words("shortcuts"), id="help-title"),
            table(words("shortcuts"), ((element("kbd", keys), words(name)) for keys, name in SHORTCUTS)),
            # Who dictates would press them by mistake (WCAG 2.1.4).
            element("label", element("input", type="checkbox", id="use-keys", checked=True), " ", words("keys_used")),
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
        text = f"<!doctype html>\n{element('html', head, body, lang=words.language)}"
        return Response(text, status, content_type="text/html; charset=utf-8")

    def crumbs(self, prefix: str, last: str = "") -> Markup:
        """Return the way from the top to a folder."""
        items = [element("li", element("a", self.words("home"), href=self.url("/")))]
        for at, char in enumerate(prefix, 1):
            if char == "/":
                link = element("a", folder_name(prefix[:at]), href=self.url("/", prefix=prefix[:at]))
                items.append(element("li", link))
        if last:
            items.append(element("li", last, aria_current="page"))
        return element("nav", element("ol", *items, class_="crumbs"), aria_label=self.words("folders"))


def folder_name(prefix: str) -> str:
    """Return the last part of a folder's name as it is shown; keys may have parts without any text."""
    return prefix.removesuffix("/").rpartition("/")[2] or "(…)"


def as_json(answer: object, status: int = 200) -> Response:
    """Return an answer to the gallery's script."""
    return Response(msgspec.json.encode(answer), status, content_type="application/json")


def wants_json(request: Request) -> bool:
    """Tell whether the gallery's script asks."""
    return request.headers.get("Accept", "") == "application/json"
