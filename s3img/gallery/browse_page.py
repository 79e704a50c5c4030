"""The page of a folder or a search: filters, folders with counts, objects, and what can be done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from werkzeug.wrappers import Response

from s3img.errors import ConfigError
from s3img.gallery.folder_page import PAGE, count_folders, folder_page, search_page
from s3img.gallery.html_builder import element
from s3img.gallery.object_files import RENDERED, WIDTHS
from s3img.gallery.page_layout import crumbs, html, wants_json
from s3img.gallery.search_query import SIZES, SORTS, TYPES, SearchQuery, size_range
from s3img.manage.object_search import type_of
from s3img.manage.removal import TRASH
from s3img.pictures.link_forms import FORMS
from s3img.publish.result import size_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from s3img.buckets import ObjectInfo
    from s3img.gallery.folder_page import FolderPage
    from s3img.gallery.gallery_app import Visit
    from s3img.gallery.page_layout import Layout
    from s3img.gallery.picture_index import PictureIndex


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
    counts = count_folders(bucket, page.folders, allowed=allowed) if arguments.get("counts") else {}
    if wants_json(visit.request):  # the script fills in the counts when the page is there
        shown = {name: count_text(*found) for name, found in counts.items()}
        return Response(msgspec.json.encode({"counts": shown}), content_type="application/json")
    title = prefix.rstrip("/").rpartition("/")[2] or words("home")
    content = [
        crumbs(layout, prefix),
        element("h1", title),
        filters(layout, query),
        found_note(layout, page, query) if query.is_search else None,
        folder_list(layout, page, counts, layout.url("/", **query.fields, after=after, counts="1")),
        object_form(visit, page, query),
        pager(layout, page, query, after),
        upload_form(visit, prefix),
        folder_forms(layout, prefix) if prefix and not query.is_search else None,
    ]
    return html(layout.page(title, *content))


def filters(layout: Layout, query: SearchQuery) -> Markup:
    """Return the form of search, filters and order; it is a GET, so that its results have an address.

    What only narrows a search folds away on small screens, and stands open where it is in use.
    """
    words = layout.words

    def option(value: str, text: str, chosen: str) -> Markup:
        return element("option", text, value=value, selected=value == chosen)

    types = [option("", words("any"), query.type), *(option(name, name, query.type) for name in TYPES)]
    sizes = [option("", words("any"), query.size)]
    sizes += [option(name, size_range(*bounds), query.size) for name, bounds in SIZES.items()]
    sorts = [option(name, words(name), query.sort_name) for name in SORTS]
    is_narrowed = any((query.type, query.size, query.since, query.until)) or query.sort_name != "name"
    more = element(
        "details",
        element("summary", words("filters")),
        element(
            "div",
            element("label", words("type"), element("select", *types, name="type")),
            element("label", words("size"), element("select", *sizes, name="size")),
            element("label", words("since"), element("input", type="date", name="since", value=query.since)),
            element("label", words("until"), element("input", type="date", name="until", value=query.until)),
            element("label", words("sort"), element("select", *sorts, name="sort")),
        ),
        open=is_narrowed,
    )
    return element(
        "form",
        element("input", type="hidden", name="prefix", value=query.prefix) if query.prefix else None,
        element(
            "label",
            words("search"),
            element("input", type="search", name="q", value=query.q, placeholder=words("search_hint")),
            class_="wide",
        ),
        element("button", words("apply")),
        element("a", words("reset"), href=layout.url("/", prefix=query.prefix), class_="button plain"),
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


def count_text(number: int, is_whole: bool) -> str:  # noqa: FBT001 - the two parts of one count
    """Return a count as pages show it: what was not counted to its end has a plus."""
    return f"{number:,}" if is_whole else f"{number:,}+"


def folder_list(
    layout: Layout, page: FolderPage, counts: Mapping[str, tuple[int, bool]], counted: str
) -> Markup | None:
    """Return the folders of a page; a script asks ``counted`` for their counts, without one a link leads there."""
    if not page.folders:
        return None
    names = []
    for name in page.folders:
        number = count_text(*counts[name]) if name in counts else ""
        names.append(
            element(
                "li",
                element(
                    "a",
                    element("span", name.rstrip("/").rpartition("/")[2]),
                    element("small", number, data_folder=name),
                    href=layout.url("/", prefix=name),
                ),
            )
        )
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
    fields = [element("input", type="hidden", name=name, value=value) for name, value in query.fields.items()]
    meant = (
        words("all_n_matches", number=f"{page.found:,}") if page.is_whole and not page.after else words("all_matches")
    )
    every = element("label", element("input", type="checkbox", name="all", value="1", id="all"), meant)
    named = {name: name for name in visit.gallery.config.link_templates}
    forms = [element("option", text, value=form) for form, text in {**FORMS, **named}.items()]
    bar = element(
        "div",
        element("output", words("selected", number=0), id="count", class_="script"),
        element("button", words("select_all"), type="button", id="select-all", class_="plain script"),
        every if query.is_narrowed else None,
        element(
            "label", words("to_folder"), element("input", type="text", name="target", value=query.prefix), class_="wide"
        ),
        element("button", words("move"), formaction=layout.url("/move"), data_needs_selection=True),
        element("button", words("copy_to"), formaction=layout.url("/copy"), class_="plain", data_needs_selection=True),
        element("label", words("link_form"), element("select", *forms, name="form")),
        element("button", words("links"), formaction=layout.url("/links"), class_="plain", data_needs_selection=True),
        element(
            "button",
            words("remove"),
            value="remove",
            formaction=layout.url("/remove"),
            class_="danger",
            data_needs_selection=True,
        ),
        class_="bar",
        role="group",
        aria_label=words("results"),
    )
    return element(
        "section",
        element("h2", words("objects")),
        layout.form(layout.url("/move"), *fields, element("ul", *cards, class_="grid"), bar),
    )


def card(layout: Layout, info: ObjectInfo, name: str, *, key: str = "", index: PictureIndex | None = None) -> Markup:
    """Return one object: a box to choose it, its picture, name, size and date."""
    box = element(
        "input", type="checkbox", name="key", value=key or info.key, aria_label=layout.words("select", name=name)
    )
    body = [
        element("span", color_of(info, index), preview(layout, info), class_="frame"),
        element("span", name, class_="name", title=name),
    ]
    facts = element("small", f"{size_text(info.size)} · ", element("time", f"{info.modified:%Y-%m-%d}"))
    link = element("span", *body) if key else element("a", *body, href=layout.url("/object", key=info.key))
    return element("li", element("label", box), link, facts, class_="card")


def color_of(info: ObjectInfo, index: PictureIndex | None) -> Markup | None:
    """Return a plane of the picture's mean colour, to be seen while its thumbnail is loaded; None where it is unknown.

    An attribute of SVG, because the pages' policy allows no style in them.
    """
    look = index.find(info.key, info.etag) if index else None
    if look is None:
        return None
    return element("svg", element("rect", width="100%", height="100%", fill=look.color), aria_hidden="true")


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


def pager(layout: Layout, page: FolderPage, query: SearchQuery, after: str) -> Markup | None:
    """Return the ways to other pages."""
    words = layout.words
    first = element("a", words("first"), href=layout.url("/", **query.fields), class_="button plain") if after else None
    following = element(
        "a", words("next"), href=layout.url("/", **query.fields, after=page.after), class_="button plain"
    )
    if not page.after and not after:
        return None
    note = None if after or page.searched else element("span", words("first_n", number=PAGE), class_="note")
    return element("nav", first, following if page.after else None, note, class_="pager", aria_label=words("next"))


def upload_form(visit: Visit, prefix: str) -> Markup:
    """Return the form for uploads; a script makes it a queue with progress, and shows keys before they are there."""
    words, layout, gallery = visit.words, visit.layout, visit.gallery
    where = prefix.rstrip("/") or words("whole_bucket")
    formats = [element("option", words("as_it_is"), value="")]
    formats += [element("option", name.upper(), value=name) for name in ("webp", "avif", "jpeg", "png")]
    names = [element("option", value=name) for name in gallery.config.upload_templates]
    example = example_key(visit, prefix)
    template = element(
        "input", type="text", name="template", placeholder=gallery.template, list="templates", autocomplete="off"
    )
    side = element("input", type="number", name="max_side", min="1", max="999999", inputmode="numeric")
    more = element(
        "details",
        element("summary", words("upload_options")),
        element(
            "div",
            element("label", words("to_folder"), element("input", type="text", name="folder", value=prefix)),
            element("label", words("template"), template),
            element("label", words("max_side"), side),
            element("label", words("convert"), element("select", *formats, name="convert")),
        ),
        element("datalist", *names, id="templates"),
    )
    return element(
        "section",
        element("h2", words("upload_to", folder=where)),
        element("p", words("drop"), class_="note"),
        layout.form(
            layout.url("/upload", prefix=prefix),
            element(
                "label",
                words("choose"),
                element("input", type="file", name="files", multiple=True, required=True, accept="image/*"),
            ),
            element("button", words("upload")),
            more,
            element("output", words("key_preview", name="photo.jpg", key=example) if example else "", id="key-preview"),
            enctype="multipart/form-data",
            data_key=layout.url("/key"),
            data_direct=layout.url("/direct") if gallery.has_direct(visit.request) else None,
            data_finish=layout.url("/finish"),
        ),
        element("ul", id="queue", class_="queue"),
        class_="upload",
        aria_label=words("upload"),
    )


def example_key(visit: Visit, prefix: str) -> str:
    """Return the key that a picture uploaded to a folder would get, "" for a folder that nothing is uploaded to.

    A bucket has such folders: names with dots in front, or that are too long for one more.
    """
    try:
        return visit.gallery.uploader.preview_key("photo.jpg", folder=prefix)
    except ConfigError:
        return ""


def folder_forms(layout: Layout, prefix: str) -> Markup:
    """Return the forms that move or remove a folder with all that lies below it: its name has to be typed."""
    words, name = layout.words, prefix.rstrip("/").rpartition("/")[2]
    folder = element("input", type="hidden", name="folder", value=prefix)

    def confirm() -> Markup:
        field = element("input", type="text", name="confirm", required=True, autocomplete="off")
        return element("label", words("folder_confirm", name=name), field)

    target = element("input", type="text", name="target", value=prefix, required=True)
    return element(
        "details",
        element("summary", words("folder_change")),
        layout.form(
            layout.url("/move-folder"),
            folder,
            element("label", words("folder_new"), target),
            confirm(),
            element("button", words("folder_move"), class_="plain"),
            class_="row",
        ),
        layout.form(
            layout.url("/remove-folder"),
            folder,
            confirm(),
            element("button", words("folder_remove"), class_="danger"),
            class_="row",
        ),
    )
