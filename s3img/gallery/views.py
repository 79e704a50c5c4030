"""The pages: each view turns a request that was allowed into an answer. Every state is an address (GET)."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from s3img.errors import InvalidPrefix, KeyTaken, ObjectNotFound, S3ImgError
from s3img.gallery.folder_page import PAGE, folder_page, search_page
from s3img.gallery.html_builder import element
from s3img.imaging import probe
from s3img.imaging.description import describe, tells_place
from s3img.keys import MAX_KEY
from s3img.lock import read_lock
from s3img.manage import find_uses, move, plan_move, remove, restore_from_trash
from s3img.manage.object_search import IMAGE_TYPES, ObjectFilter, type_of
from s3img.manage.removal import TRASH, list_trash
from s3img.manage.selection import KeyProblem, key_fault
from s3img.manage.sibling_variants import sibling_variants
from s3img.pictures.link_forms import FORMS, PictureLink
from s3img.publish.result import size_text
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from markupsafe import Markup
    from werkzeug.datastructures import MultiDict
    from werkzeug.wrappers import Request

    from s3img.buckets import ObjectInfo
    from s3img.gallery.folder_page import FolderPage
    from s3img.gallery.gallery_app import Visit
    from s3img.gallery.page_layout import Layout

STATIC_TYPES: Final = {
    "gallery.css": "text/css; charset=utf-8",
    "gallery.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

WIDTHS: Final = (240, 480, 1600)
"""Of thumbnails and previews, in px."""

RENDERED: Final = IMAGE_TYPES - {"svg", "ico", "heic", "heif", "jxl"}
"""Types that a thumbnail is made of."""

SORTS: Final[dict[str, tuple[Any, bool]]] = {
    "name": ("name", False),
    "newest": ("date", True),
    "oldest": ("date", False),
    "largest": ("size", True),
}

TYPES: Final = ("image", "jpg", "png", "webp", "avif", "gif", "svg")

SIZES: Final[dict[str, tuple[int, int]]] = {
    "-100K": (0, 100_000),
    "100K-1M": (100_000, 1_000_000),
    "1M-10M": (1_000_000, 10_000_000),
    "10M-": (10_000_000, 0),
}
"""Ranges of sizes that a search is limited to, in bytes; 0 where there is none."""

MOST_READ: Final = 50_000_000
"""Bytes of an object that is opened to tell its facts."""

_UNSAFE_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def html(text: str, status: int = 200) -> Response:
    """Return a page."""
    return Response(text, status, content_type="text/html; charset=utf-8")


def wants_json(request: Request) -> bool:
    """Tell whether the upload queue's script asks."""
    return request.headers.get("Accept", "") == "application/json"


def targets_of(form: MultiDict[str, str]) -> list[str]:
    """Return the keys that a form would have objects moved to: they need permission like the old ones."""
    if new := form.get("new"):
        return [new]
    if "target" not in form:
        return []
    folder = folder_of(form["target"])
    return [folder + key.rpartition("/")[2] for key in form.getlist("key")]


def folder_of(text: str) -> str:
    """Return what a person typed as a folder: with one slash at its end, none at its beginning, "" for the top."""
    return f"{text.strip().strip('/')}/" if text.strip().strip("/") else ""


def browse(visit: Visit) -> Response:
    """Show a folder, or what a search below it finds."""
    arguments, words, layout = visit.request.args, visit.words, visit.layout
    prefix, after = arguments.get("prefix", ""), arguments.get("after", "")
    if len(prefix.encode()) > MAX_KEY:
        message = f"The folder's name is longer than the {MAX_KEY} bytes that a key may have."
        raise InvalidPrefix(message, code="KeyTooLong", action="list", fix="Go on from the first page.")
    sort = arguments.get("sort", "name") if arguments.get("sort") in SORTS else "name"
    types = [name for name in arguments.getlist("type") if name in TYPES]
    dates = {name: date_of(arguments.get(name, "")) for name in ("since", "until")}
    least, most = SIZES.get(arguments.get("size", ""), (0, 0))
    words_typed = arguments.get("q", "")[:200]
    wanted = ObjectFilter.of(words_typed, types=types, min_size=least, max_size=most, **dates)
    is_search = wanted != ObjectFilter() or sort != "name"

    def allowed(key: str) -> bool:
        return visit.may("view", key)

    if is_search:
        by, reverse = SORTS[sort]
        page = search_page(visit.gallery.bucket, prefix, wanted, after, by=by, reverse=reverse, allowed=allowed)
    else:
        page = folder_page(visit.gallery.bucket, prefix, after, allowed=allowed)
    here = {name: arguments.get(name, "") for name in ("prefix", "q", "type", "size", "since", "until", "sort")}
    title = prefix.rstrip("/").rpartition("/")[2] or words("home")
    content = [
        crumbs(layout, prefix),
        element("h1", title),
        filters(layout, here, sort),
        found_note(layout, page, here) if is_search else None,
        folder_list(layout, page),
        object_form(layout, page, prefix),
        pager(layout, page, here, after),
        upload_form(layout, prefix),
        folder_removal(layout, prefix) if prefix and not is_search else None,
    ]
    return html(layout.page(title, *content))


def date_of(text: str) -> datetime | None:
    """Read a day; None for anything else, as a filter that nobody can mean."""
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


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


def filters(layout: Layout, here: Mapping[str, str], sort: str) -> Markup:
    """Return the form of search, filters and order; it is a GET, so that its results have an address."""
    words = layout.words

    def option(value: str, text: str, chosen: str) -> Markup:
        return element("option", text, value=value, selected=value == chosen)

    types = [option("", words("any"), here["type"]), *(option(name, name, here["type"]) for name in TYPES)]
    sizes = [option("", words("any"), here["size"])]
    sizes += [option(name, size_range(*bounds), here["size"]) for name, bounds in SIZES.items()]
    sorts = [option(name, words(name), sort) for name in SORTS]
    return element(
        "form",
        element("input", type="hidden", name="prefix", value=here["prefix"]) if here["prefix"] else None,
        element(
            "label",
            words("search"),
            element("input", type="search", name="q", value=here["q"], placeholder=words("search_hint")),
            class_="wide",
        ),
        element("label", words("type"), element("select", *types, name="type")),
        element("label", words("size"), element("select", *sizes, name="size")),
        element("label", words("since"), element("input", type="date", name="since", value=here["since"])),
        element("label", words("until"), element("input", type="date", name="until", value=here["until"])),
        element("label", words("sort"), element("select", *sorts, name="sort")),
        element("button", words("apply")),
        element("a", words("reset"), href=layout.url("/", prefix=here["prefix"]), class_="button plain"),
        action=layout.url("/"),
        role="search",
        class_="filters",
    )


def size_range(least: int, most: int) -> str:
    """Return a range of sizes as its bounds, in no language."""
    if least and most:
        return f"{size_text(least)} \u2013 {size_text(most)}"
    return f"\u2265 {size_text(least)}" if least else f"\u2264 {size_text(most)}"


def found_note(layout: Layout, page: FolderPage, here: Mapping[str, str]) -> Markup:
    """Say how far a search came, and how to go on."""
    name = "searched_all" if page.is_whole else "searched"
    text = layout.words(name, searched=f"{page.searched:,}", found=f"{page.found:,}")
    on = None if page.is_whole else element("a", layout.words("go_on"), href=layout.url("/", **here, after=page.after))
    return element("p", text, " ", on, class_="note")


def folder_list(layout: Layout, page: FolderPage) -> Markup | None:
    """Return the folders of a page."""
    if not page.folders:
        return None
    names = [
        element("li", element("a", name.rstrip("/").rpartition("/")[2], href=layout.url("/", prefix=name)))
        for name in page.folders
    ]
    return element(
        "section",
        element("h2", layout.words("folders")),
        element("ul", *names, class_="folders"),
        aria_label=layout.words("folders"),
    )


def object_form(layout: Layout, page: FolderPage, prefix: str) -> Markup:
    """Return the objects of a page with what can be done with those that are chosen; nested folders are named."""
    words = layout.words
    if not page.objects:
        text = "" if page.folders else words("empty_search" if page.searched else "empty")
        return element("p", text, class_="note")
    cards = [card(layout, info, info.key.removeprefix(prefix)) for info in page.objects]
    bar = element(
        "div",
        element("output", words("selected", number=0), id="count", class_="script"),
        element("button", words("select_all"), type="button", id="select-all", class_="plain script"),
        element("label", words("move_to"), element("input", type="text", name="target", value=prefix), class_="wide"),
        element("button", words("move"), formaction=layout.url("/move"), data_needs_selection=True),
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
        layout.form(layout.url("/move"), element("ul", *cards, class_="grid"), bar),
    )


def card(layout: Layout, info: ObjectInfo, name: str, *, key: str = "") -> Markup:
    """Return one object: a box to choose it, its picture, name, size and date."""
    box = element(
        "input", type="checkbox", name="key", value=key or info.key, aria_label=layout.words("select", name=name)
    )
    body = [
        element("span", preview(layout, info), class_="frame"),
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


def pager(layout: Layout, page: FolderPage, here: Mapping[str, str], after: str) -> Markup | None:
    """Return the ways to other pages."""
    words = layout.words
    first = element("a", words("first"), href=layout.url("/", **here), class_="button plain") if after else None
    following = element("a", words("next"), href=layout.url("/", **here, after=page.after), class_="button plain")
    if not page.after and not after:
        return None
    note = None if after or page.searched else element("span", words("first_n", number=PAGE), class_="note")
    return element("nav", first, following if page.after else None, note, class_="pager", aria_label=words("next"))


def upload_form(layout: Layout, prefix: str) -> Markup:
    """Return the form for uploads; a script makes it a queue with progress."""
    words = layout.words
    where = prefix.rstrip("/") or words("whole_bucket")
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
            enctype="multipart/form-data",
        ),
        element("ul", id="queue", class_="queue"),
        class_="upload",
        aria_label=words("upload"),
    )


def folder_removal(layout: Layout, prefix: str) -> Markup:
    """Return the form that removes a folder: its name has to be typed."""
    words, name = layout.words, prefix.rstrip("/").rpartition("/")[2]
    return element(
        "details",
        element("summary", words("folder_remove")),
        layout.form(
            layout.url("/remove-folder"),
            element("input", type="hidden", name="folder", value=prefix),
            element(
                "label",
                words("folder_confirm", name=name),
                element("input", type="text", name="confirm", required=True, autocomplete="off"),
            ),
            element("button", words("folder_remove"), class_="danger"),
            class_="row",
        ),
    )


def picture(visit: Visit) -> Response:
    """Show one object: preview, facts, links in all forms, uses, and what can be done with it."""
    key, layout, words = visit.request.args.get("key", ""), visit.layout, visit.words
    info = visit.gallery.bucket.head(key)
    if info is None:
        raise ObjectNotFound(f"{key!r} is not in the bucket.", fix=words("not_found"), reason="no-object")
    data = visit.gallery.bucket.get(key) if type_of(key) in IMAGE_TYPES and info.size <= MOST_READ else b""
    facts = facts_of(data)
    size = (int(facts.get("width", 0)), int(facts.get("height", 0)))
    variants = [*sibling_variants(visit.gallery.bucket, info)] if size[0] else []
    name = key.rpartition("/")[2]
    aside = element(
        "div",
        element("h2", words("facts")),
        facts_list(layout, info, facts),
        element("p", words("gps"), class_="warning") if data and tells_place(data) else None,
        element("h2", words("links")),
        links(layout, visit, info, size, [other for _, other in variants]),
        uses(visit, key),
        element(
            "div",
            element("a", words("download"), href=layout.url("/file", key=key), class_="button"),
            class_="row",
        ),
        layout.form(
            layout.url("/rename"),
            element("input", type="hidden", name="key", value=key),
            element("label", words("new_name"), element("input", type="text", name="new", value=key, required=True)),
            element("button", words("rename"), class_="plain"),
            class_="row",
        ),
        layout.form(
            layout.url("/remove"),
            element("input", type="hidden", name="key", value=key),
            element("button", words("remove"), class_="danger"),
            class_="row",
        ),
    )
    url = layout.url("/thumb", key=key, w=str(WIDTHS[2]), v=info.etag)
    shown = dict(zip(("width", "height"), size, strict=True)) if all(size) else {}
    stage = element("img", src=url, alt=name, **shown) if size[0] and type_of(key) in RENDERED else words("no_preview")
    body = element("div", element("div", stage, class_="stage"), aside, class_="picture")
    return html(layout.page(name, crumbs(layout, key[: len(key) - len(name)], name), element("h1", name), body))


def facts_of(data: bytes) -> dict[str, Any]:
    """Return what a picture's bytes tell; nothing for what is not a picture, whatever it is called."""
    try:
        return describe(data) if data else {}
    except S3ImgError:
        with suppress(S3ImgError):
            info = probe(data)
            return {"width": info.width, "height": info.height, "format": info.format, "media_type": info.media_type}
    return {}


def facts_list(layout: Layout, info: ObjectInfo, facts: Mapping[str, Any]) -> Markup:
    """Return an object's facts."""
    words = layout.words
    rows = [(words("key"), info.key), (words("size"), f"{size_text(info.size)} ({info.size:,} B)")]
    rows.append((words("date"), f"{info.modified.astimezone(UTC):%Y-%m-%d %H:%M} UTC"))
    if facts.get("width"):
        rows.append((words("pixels"), f"{facts['width']} \u00d7 {facts['height']}"))
    if facts.get("frames", 1) > 1:
        rows.append((words("frames"), str(facts["frames"])))
    if kind := facts.get("media_type") or info.media_type:
        rows.append((words("media_type"), kind))
    rows += [(f"{words('camera')}: {name}", str(value)) for name, value in (facts.get("exif") or {}).items()]
    return element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in rows))


def links(layout: Layout, visit: Visit, info: ObjectInfo, size: tuple[int, int], variants: list[ObjectInfo]) -> Markup:
    """Return the object's address in the forms that people write it in, each in a field of its own."""
    base = visit.gallery.config.base_url
    url = object_url(base, info.key)
    words = layout.words
    renderings = tuple(
        (object_url(base, one.key), int(match[1]))
        for one in variants
        if (match := re.search(r"\.w-(\d+)\.(?:jpg|png)$", one.key))
    )
    name = info.key.rpartition("/")[2]
    link = PictureLink(url=url, key=info.key, name=name, width=size[0], height=size[1], renderings=renderings)
    fields = [
        element(
            "label",
            element("span", name),
            element("input", type="text", value=link.text(form), readonly=True),
            element(
                "button",
                words("copy"),
                type="button",
                class_="plain script",
                data_copy=True,
                aria_label=f"{words('copy')}: {name}",
            ),
        )
        for form, name in FORMS.items()
    ]
    return element("div", *fields, class_="links")


def uses(visit: Visit, key: str) -> Markup:
    """Return where an object is used, as far as the lock and the bucket know."""
    words, lock = visit.words, visit.gallery.lock
    found = find_uses([key], bucket=visit.gallery.bucket, lock=read_lock(lock, missing_ok=True) if lock else None)
    items = element("ul", *(element("li", f"{use.kind}: {use.place}") for use in found))
    return element(
        "div", element("h2", words("used")), items if found else element("p", words("unused"), class_="note")
    )


def thumbnail(visit: Visit) -> Response:
    """Answer with a small picture of an object."""
    width = visit.request.args.get("w", "")
    key = visit.request.args.get("key", "")
    if width not in map(str, WIDTHS) or not key:
        return Response(status=404)
    return visit.gallery.thumbnail(visit.request, key, int(width), visit.words)


def download(visit: Visit) -> Response:
    """Send an object as a file to keep: nothing of the bucket is ever shown as a page of the gallery's origin."""
    key = visit.request.args.get("key", "")
    opened = visit.gallery.bucket.open(key)

    def pieces() -> Iterator[bytes]:
        with opened:
            while data := opened.read(1 << 16):
                yield data

    response = Response(pieces(), content_type="application/octet-stream", direct_passthrough=True)
    response.call_on_close(opened.close)
    response.content_length = opened.info.size
    name = _UNSAFE_NAME.sub("_", key.rpartition("/")[2]) or "file"
    plain = name.encode("ascii", "replace").decode().replace('"', "_").replace("?", "_")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    response.headers["Content-Disposition"] = disposition
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def static_file(visit: Visit) -> Response:
    """Send a file that the pages load."""
    name = str(visit.arguments.get("name", ""))
    if name not in STATIC_TYPES:
        return Response(status=404)
    data = files("s3img.gallery").joinpath("static", name).read_bytes()
    return Response(data, content_type=STATIC_TYPES[name], headers={"Cache-Control": "private, max-age=3600"})


def trash(visit: Visit) -> Response:
    """Show what was removed."""
    words, layout = visit.words, visit.layout
    found = [info for info in list_trash(visit.gallery.bucket) if visit.may("restore", info.key.removeprefix(TRASH))]
    cards = []
    for info in found[:1000]:
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


def settings(visit: Visit) -> Response:
    """Show what the gallery works with; credentials are neither shown nor asked for."""
    words, layout, gallery = visit.words, visit.layout, visit.gallery
    policy = gallery.policy
    taken = words(
        "largest_upload",
        size=size_text(policy.max_bytes),
        pixels=f"{policy.max_pixels / 1e6:.0f}",
        formats=", ".join(sorted(policy.formats)),
    )
    rows = [
        (words("bucket"), gallery.bucket.name),
        (words("public_url"), gallery.config.base_url),
        (words("upload_rules"), taken),
    ]
    shown = element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in rows))
    note = element("p", words("doctor"), class_="note")
    return html(
        layout.page(
            words("settings"), crumbs(layout, "", words("settings")), element("h1", words("settings")), shown, note
        )
    )


def upload(visit: Visit) -> Response:
    """Store the pictures of a form; each has a result of its own."""
    prefix, layout = visit.request.args.get("prefix", ""), visit.layout
    results: list[dict[str, Any]] = []
    for file in visit.files:
        name = file.filename or ""
        if not name:
            continue
        try:
            saved = visit.gallery.uploader.save(file.stream, filename=name, folder=prefix)
        except S3ImgError as error:
            text = str(error) if isinstance(error, KeyTaken) else error.visitor
            results.append({"ok": False, "name": name, "message": text})
            continue
        page = layout.url("/object", key=saved.key)
        results.append(
            {"ok": True, "name": name, "key": saved.key, "url": saved.url, "page": page, "existed": saved.existed}
        )
    stored = [one["key"] for one in results if one["ok"]]
    visit.audit("upload", stored, failed=len(results) - len(stored))
    status = 200 if stored or not results else 422
    if wants_json(visit.request):
        return Response(msgspec.json.encode({"results": results}), status, content_type="application/json")
    done = [(one["key"], layout.url("/object", key=one["key"])) for one in results if one["ok"]]
    return outcome(visit, done, [(one["name"], one["message"]) for one in results if not one["ok"]], prefix, status)


def outcome(
    visit: Visit, done: Iterable[tuple[str, str]], failed: Iterable[tuple[str, str]], prefix: str, status: int = 200
) -> Response:
    """Show the result of each item: what was done with an address to look at it, and what was not and why."""
    words, layout = visit.words, visit.layout
    rows = [
        element("tr", element("td", words("failed")), element("td", name), element("td", why)) for name, why in failed
    ]
    rows += [
        element(
            "tr",
            element("td", words("done")),
            element("td", element("a", name, href=url) if url else name),
            element("td"),
        )
        for name, url in done
    ]
    table = element("table", element("tbody", *rows))
    back = element("a", words("back"), href=layout.url("/", prefix=prefix), class_="button plain")
    page = layout.page(words("results"), element("h1", words("results")), table, element("p", back, class_="pager"))
    return html(page, status)


def move_selected(visit: Visit) -> Response:
    """Move the chosen objects into a folder."""
    keys = visit.form.getlist("key")
    target = folder_of(visit.form.get("target", ""))
    return move_all(visit, [(key, target + key.rpartition("/")[2]) for key in keys], target)


def rename_one(visit: Visit) -> Response:
    """Give an object another key; without a failure its new page is shown."""
    key, new = visit.form.get("key", ""), visit.form.get("new", "")
    if fault := key_fault(new):
        return outcome(visit, [], [(key, fault)], "", 409)
    response = move_all(visit, [(key, new)], key.rpartition("/")[0] + "/" if "/" in key else "")
    if response.status_code == 200:
        return redirect(visit.layout.url("/object", key=new), 303)
    return response


def move_all(visit: Visit, pairs: Iterable[tuple[str, str]], prefix: str) -> Response:
    """Move each object to its new key; one that can't be moved keeps none of the others from it."""
    bucket, lock = visit.gallery.bucket, visit.gallery.lock
    known = read_lock(lock, missing_ok=True) if lock else None
    done, failed = [], []
    for old, new in pairs:
        if old == new:
            continue
        plan = plan_move(bucket, old, new, lock=known, force=True, literal=True)
        if not all(visit.may("rename", key) for one in plan.moves for key in (one.old, one.new)):
            failed.append((old, visit.words("denied")))  # renderings go along, and may lie where nothing may change
            continue
        result = move(bucket, plan, apply=True, lock=known, workers=4)
        done += [(one.new, visit.layout.url("/object", key=one.new)) for one in result.moved]
        failed += [(problem.key, problem.message) for problem in result.failed]
    visit.audit("rename", [key for key, _ in done], failed=len(failed))
    return outcome(visit, done, failed, prefix, 409 if failed and not done else 200)


def remove_selected(visit: Visit) -> Response:
    """Move the chosen objects to the trash."""
    return remove_keys(visit, visit.form.getlist("key"), visit.form.get("target", ""))


def remove_folder(visit: Visit) -> Response:
    """Move everything below a folder to the trash, if its name was typed and each object may go."""
    folder = visit.form.get("folder", "")
    name = folder.rstrip("/").rpartition("/")[2]
    if not folder.endswith("/") or not name or visit.form.get("confirm", "").strip() != name:
        return outcome(visit, [], [(folder, visit.words("confirm_wrong"))], folder, 400)
    return remove_keys(visit, [info.key for info in visit.gallery.bucket.list(folder)], "")


def remove_keys(visit: Visit, keys: Iterable[str], prefix: str) -> Response:
    """Move objects to the trash that the visitor may remove; each has a result."""
    named = [*keys]
    allowed = [key for key in named if visit.may("delete", key)]
    result = remove(visit.gallery.bucket, allowed, apply=True, force=True, literal=True)
    failed = [
        *result.failed,
        *(KeyProblem(key, "denied", visit.words("denied")) for key in named if key not in {*allowed}),
    ]
    visit.audit("delete", result.done, failed=len(failed))
    status = 409 if failed and not result.done else 200
    return outcome(
        visit, [(key, "") for key in result.done], [(one.key, one.message) for one in failed], prefix, status
    )


def restore_selected(visit: Visit) -> Response:
    """Put the chosen objects back from the trash."""
    result = restore_from_trash(visit.gallery.bucket, visit.form.getlist("key"), apply=True, literal=True)
    visit.audit("restore", result.done, failed=len(result.failed))
    done = [(key, visit.layout.url("/object", key=key)) for key in result.done]
    status = 409 if result.failed and not result.done else 200
    return outcome(visit, done, [(one.key, one.message) for one in result.failed], "", status)
