"""The pages of objects: a folder or a search with filters and what can be done with them, and the trash."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from s3img.errors import ConfigError
from s3img.gallery.folder_page import PAGE, count_folders, folder_page, list_after, search_page
from s3img.gallery.html_builder import choice, element, field, hidden
from s3img.gallery.object_files import RENDERED, WIDTHS
from s3img.gallery.page_layout import as_json, folder_name, wants_json
from s3img.gallery.search_query import SIZES, SORTS, TYPES, SearchQuery, size_range
from s3img.manage.object_search import type_of
from s3img.manage.removal import TRASH
from s3img.pictures.link_forms import FORMS
from s3img.publish.result import size_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup
    from werkzeug.wrappers import Response

    from s3img.buckets import ObjectInfo
    from s3img.gallery.folder_page import FolderPage
    from s3img.gallery.gallery_app import Visit
    from s3img.gallery.page_layout import Layout
    from s3img.gallery.picture_index import PictureIndex

MOST_TRASH: Final = 240  # objects of the trash on one page


def browse(visit: Visit) -> Response:
    """Show a folder, or what a search below it finds."""
    arguments, words, layout = visit.request.args, visit.words, visit.layout
    query, after = SearchQuery.of(arguments), arguments.get("after", "")
    prefix, bucket = query.prefix, visit.gallery.bucket

    def allowed(key: str) -> bool:
        return visit.may("view", key)

    if query.is_search:
        by, reverse = query.order
        page = search_page(bucket, prefix, query.wanted, after, by=by, reverse=reverse, allowed=allowed)
    else:
        page = folder_page(bucket, prefix, after, allowed=allowed)
    found = count_folders(bucket, page.folders, allowed=allowed) if arguments.get("counts") else {}
    # What was not counted to its end has a plus.
    counts = {name: f"{number:,}" if is_whole else f"{number:,}+" for name, (number, is_whole) in found.items()}
    if wants_json(visit.request):  # the script fills in the counts when the page is there
        return as_json({"counts": counts})
    title = folder_name(prefix) if prefix else words("home")
    is_first = page.after and not (after or page.searched)
    note = element("span", words("first_n", number=PAGE), class_="note") if is_first else None
    return layout.page(
        title,
        layout.crumbs(prefix),
        element("h1", title),
        filters(layout, query),
        found_note(layout, page, query) if query.is_search else None,
        folder_list(layout, page, counts, layout.url("/", **query.fields, after=after, counts="1")),
        object_form(visit, page, query),
        pager(layout, "/", query.fields, after, page.after, note),
        upload_form(visit, prefix),
        folder_forms(layout, prefix) if prefix and not query.is_search else None,
    )


def filters(layout: Layout, query: SearchQuery) -> Markup:
    """Return the form of search, filters and order; it is a GET, so that its results have an address.

    What only narrows a search folds away on small screens, and stands open where it is in use.
    """
    words = layout.words
    types = {"": words("any"), **{name: name for name in TYPES}}
    sizes = {"": words("any"), **{name: size_range(*bounds) for name, bounds in SIZES.items()}}
    sorts = {name: words(name) for name in SORTS}
    is_narrowed = any((query.type, query.size, query.since, query.until)) or query.sort_name != "name"
    more = element(
        "details",
        element("summary", words("filters")),
        element(
            "div",
            choice(words("type"), "type", types, query.type),
            choice(words("size"), "size", sizes, query.size),
            field(words("since"), "since", query.since, type="date"),
            field(words("until"), "until", query.until, type="date"),
            choice(words("sort"), "sort", sorts, query.sort_name),
        ),
        open=is_narrowed,
    )
    return element(
        "form",
        hidden("prefix", query.prefix) if query.prefix else None,
        field(words("search"), "q", query.q, type="search", placeholder=words("search_hint"), wide=True),
        element("button", words("apply")),
        layout.button_link("reset", "/", prefix=query.prefix),
        more,
        action=layout.url("/"),
        role="search",
        class_="filters",
    )


def found_note(layout: Layout, page: FolderPage, query: SearchQuery) -> Markup:
    """Say how far a search came, and how to go on."""
    name = "searched_all" if page.is_whole else "searched"
    text = layout.words(name, searched=f"{page.searched:,}", found=f"{page.found:,}")
    href = layout.url("/", **query.fields, after=page.after)
    on = None if page.is_whole else element("a", layout.words("go_on"), href=href)
    return element("p", text, " ", on, class_="note")


def folder_list(layout: Layout, page: FolderPage, counts: Mapping[str, str], counted: str) -> Markup | None:
    """Return the folders of a page; a script asks ``counted`` for their counts, without one a link leads there."""
    if not page.folders:
        return None
    names = []
    for name in page.folders:
        parts = element("span", folder_name(name)), element("small", counts.get(name, ""), data_folder=name)
        names.append(element("li", element("a", parts, href=layout.url("/", prefix=name))))
    more = element("a", layout.words("count"), href=counted, class_="plain no-script")
    return element(
        "section",
        element("h2", layout.words("folders")),
        element("ul", *names, class_="folders", data_counts=counted if not counts else None),
        element("p", more, class_="note") if not counts else None,
        aria_label=layout.words("folders"),
    )


def object_form(visit: Visit, page: FolderPage, query: SearchQuery) -> Markup:
    """Return the objects of a page with what can be done with those that are chosen; nested folders are named."""
    words, layout, index = visit.words, visit.layout, visit.gallery.index
    if not page.objects:
        text = "" if page.folders else words("empty_search" if page.searched else "empty")
        return element("p", text, class_="note")
    cards = [card(layout, info, info.key.removeprefix(query.prefix), index=index) for info in page.objects]
    is_all = page.is_whole and not page.after
    meant = words("all_n_matches", number=f"{page.found:,}") if is_all else words("all_matches")
    every = element("label", element("input", type="checkbox", name="all", value="1", id="all"), meant)
    forms = {**FORMS, **{name: name for name in visit.gallery.config.link_templates}}

    def button(message: str, path: str, kind: str | None = None, value: str | None = None) -> Markup:
        action = layout.url(path)
        return element("button", words(message), value=value, formaction=action, class_=kind, data_needs_selection=True)

    return element(
        "section",
        element("h2", words("objects")),
        layout.form(
            "/move",
            *(hidden(name, value) for name, value in query.fields.items()),
            element("ul", *cards, class_="grid"),
            bar(
                layout,
                every if query.is_narrowed else None,
                field(words("to_folder"), "target", query.prefix, wide=True),
                button("move", "/move"),
                button("copy_to", "/copy", "plain"),
                choice(words("link_form"), "form", forms),
                button("links", "/links", "plain"),
                button("remove", "/remove", "danger", "remove"),
            ),
        ),
    )


def bar(layout: Layout, *controls: Markup | None) -> Markup:
    """Return what is done with the objects that are chosen."""
    words = layout.words
    return element(
        "div",
        element("output", words("selected", number=0), id="count", class_="script"),
        element("button", words("select_all"), type="button", id="select-all", class_="plain script"),
        *controls,
        class_="bar",
        role="group",
        aria_label=words("chosen"),
    )


def card(layout: Layout, info: ObjectInfo, name: str, *, key: str = "", index: PictureIndex | None = None) -> Markup:
    """Return one object: a box to choose it, its picture, name, size and date."""
    box = element(
        "input", type="checkbox", name="key", value=key or info.key, aria_label=layout.words("select", name=name)
    )
    look = index.find(info.key, info.etag) if index else None
    # The mean colour is seen while the thumbnail is loaded: an attribute of SVG, as the pages' policy allows no style.
    plane = element("rect", width="100%", height="100%", fill=look.color) if look else None
    color = element("svg", plane, aria_hidden="true") if plane else None
    body = [
        element("span", color, preview(layout, info), class_="frame"),
        element("span", name, class_="name", title=name),
    ]
    facts = element("small", f"{size_text(info.size)} · ", element("time", f"{info.modified:%Y-%m-%d}"))
    link = element("span", *body) if key else element("a", *body, href=layout.url("/object", key=info.key))
    return element("li", element("label", box), link, facts, class_="card")


def preview(layout: Layout, info: ObjectInfo) -> Markup:
    """Return a thumbnail in the sizes that screens want, or the type of what has none."""
    # What lies in the trash is s3img's own, which the service that makes thumbnails does not show.
    if type_of(info.key) not in RENDERED or info.key.startswith(TRASH):
        return element("span", type_of(info.key) or layout.words("no_preview"), class_="kind")
    urls = [layout.url("/thumb", key=info.key, w=str(width), v=info.etag) for width in WIDTHS[:2]]
    return element(
        "img",
        src=urls[0],
        srcset=f"{urls[0]} {WIDTHS[0]}w, {urls[1]} {WIDTHS[1]}w",
        sizes="(max-width: 30rem) 45vw, 12rem",
        width=240,
        height=180,
        loading="lazy",
        decoding="async",
        alt="",
    )


def pager(
    layout: Layout, path: str, fields: Mapping[str, str], after: str, following: str, note: Markup | None = None
) -> Markup | None:
    """Return the ways to the first and the next page, None where there is only one."""
    if not (after or following):
        return None
    first = layout.button_link("first", path, **fields) if after else None
    more = layout.button_link("next", path, **fields, after=following) if following else None
    return element("nav", first, more, note, class_="pager", aria_label=layout.words("pages"))


def upload_form(visit: Visit, prefix: str) -> Markup:
    """Return the form for uploads; a script makes it a queue with progress, and shows keys before they are there."""
    words, layout, gallery = visit.words, visit.layout, visit.gallery
    formats = {"": words("as_it_is"), **{name: name.upper() for name in ("webp", "avif", "jpeg", "png")}}
    try:
        example = words("key_preview", name="photo.jpg", key=gallery.uploader.preview_key("photo.jpg", folder=prefix))
    except ConfigError:  # nothing is uploaded to such a folder: its name has a dot in front, or is too long for more
        example = ""
    more = element(
        "details",
        element("summary", words("upload_options")),
        element(
            "div",
            field(words("to_folder"), "folder", prefix),
            field(words("template"), "template", placeholder=gallery.template, list="templates", autocomplete="off"),
            field(words("max_side"), "max_side", type="number", min="1", max="999999", inputmode="numeric"),
            choice(words("convert"), "convert", formats),
        ),
        element(
            "datalist", *(element("option", value=name) for name in gallery.config.upload_templates), id="templates"
        ),
    )
    return element(
        "section",
        element("h2", words("upload_to", folder=prefix.rstrip("/") or words("whole_bucket"))),
        element("p", words("drop"), class_="note"),
        layout.form(
            "/upload",
            field(words("choose"), "files", type="file", multiple=True, required=True, accept="image/*"),
            element("button", words("upload")),
            more,
            element("output", example, id="key-preview"),
            prefix=prefix,
            enctype="multipart/form-data",
            data_key=layout.url("/key"),
            data_direct=layout.url("/direct") if gallery.has_direct(visit.request) else None,
            data_finish=layout.url("/finish"),
        ),
        element("ul", id="queue", class_="queue"),
        class_="upload",
        aria_label=words("upload"),
    )


def folder_forms(layout: Layout, prefix: str) -> Markup:
    """Return the forms that move or remove a folder with all that lies below it: its name has to be typed."""
    words = layout.words
    folder = hidden("folder", prefix)
    confirm = field(words("folder_confirm", name=folder_name(prefix)), "confirm", required=True, autocomplete="off")
    target = field(words("folder_new"), "target", prefix, required=True)
    move = element("button", words("folder_move"), class_="plain")
    remove = element("button", words("folder_remove"), class_="danger")
    return element(
        "details",
        element("summary", words("folder_change")),
        layout.form("/move-folder", folder, target, confirm, move, class_="row"),
        layout.form("/remove-folder", folder, confirm, remove, class_="row"),
    )


def trash(visit: Visit) -> Response:
    """Show what was removed, a page at a time."""
    words, layout = visit.words, visit.layout
    after = visit.request.args.get("after", "")
    found = [*islice(list_after(visit.gallery.bucket, TRASH, f"{TRASH}{after}" if after else ""), MOST_TRASH)]
    keys = [info.key.removeprefix(TRASH) for info in found]
    cards = [
        card(layout, info, key, key=key) for info, key in zip(found, keys, strict=True) if visit.may("restore", key)
    ]
    restore = element("button", words("restore"), data_needs_selection=True)
    return layout.page(
        words("trash"),
        layout.crumbs("", words("trash")),
        element("h1", words("trash")),
        layout.form("/restore", element("ul", *cards, class_="grid"), bar(layout, restore))
        if cards
        else element("p", words("empty_trash"), class_="note"),
        pager(layout, "/trash", {}, after, keys[-1] if len(found) == MOST_TRASH else ""),
    )
