"""The page of what was removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3img.gallery.browse_page import card
from s3img.gallery.html_builder import element
from s3img.gallery.page_layout import crumbs, html
from s3img.manage.removal import TRASH, list_trash

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from s3img.gallery.gallery_app import Visit

MOST_SHOWN: Final = 1000
"""Objects of the trash on its page."""


def trash(visit: Visit) -> Response:
    """Show what was removed."""
    words, layout = visit.words, visit.layout
    found = [info for info in list_trash(visit.gallery.bucket) if visit.may("restore", info.key.removeprefix(TRASH))]
    cards = []
    for info in found[:MOST_SHOWN]:
        key = info.key.removeprefix(TRASH)
        cards.append(card(layout, info, key, key=key))
    form = layout.form(
        layout.url("/restore"),
        element("ul", *cards, class_="grid"),
        element(
            "div",
            element("output", words("selected", number=0), id="count", class_="script"),
            element("button", words("select_all"), type="button", id="select-all", class_="plain script"),
            element("button", words("restore"), data_needs_selection=True),
            class_="bar",
        ),
    )
    empty = element("p", words("empty_trash"), class_="note")
    return html(
        layout.page(
            words("trash"), crumbs(layout, "", words("trash")), element("h1", words("trash")), form if found else empty
        )
    )
