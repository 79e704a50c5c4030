"""The page of what was removed."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from s3img.gallery.browse_page import card
from s3img.gallery.folder_page import list_after
from s3img.gallery.html_builder import element
from s3img.gallery.page_layout import crumbs, html
from s3img.manage.removal import TRASH

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from s3img.gallery.gallery_app import Visit

MOST_SHOWN: Final = 240
"""Objects of the trash on one page."""


def trash(visit: Visit) -> Response:
    """Show what was removed, a page at a time."""
    words, layout = visit.words, visit.layout
    after = visit.request.args.get("after", "")
    listed = list_after(visit.gallery.bucket, TRASH, f"{TRASH}{after}" if after else "")
    found = [*islice(listed, MOST_SHOWN)]
    cards = []
    for info in found:
        key = info.key.removeprefix(TRASH)
        if visit.may("restore", key):
            cards.append(card(layout, info, key, key=key))
    last = found[-1].key.removeprefix(TRASH) if len(found) == MOST_SHOWN else ""
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
    first = element("a", words("first"), href=layout.url("/trash"), class_="button plain") if after else None
    following = element("a", words("next"), href=layout.url("/trash", after=last), class_="button plain")
    content = [
        crumbs(layout, "", words("trash")),
        element("h1", words("trash")),
        form if cards else element("p", words("empty_trash"), class_="note"),
        element("nav", first, following if last else None, class_="pager", aria_label=words("next"))
        if first or last
        else None,
    ]
    return html(layout.page(words("trash"), *content))
