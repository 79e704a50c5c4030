"""The page of one object: preview, facts, links in all forms, renderings, uses, and what can be done with it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from markupsafe import Markup

from s3img.errors import BucketError, ConfigError, ObjectNotFound, S3ImgError
from s3img.gallery.folder_page import folder_page
from s3img.gallery.html_builder import element, field, hidden, pairs, table
from s3img.gallery.object_files import RENDERED, WIDTHS, look_at
from s3img.imaging import probe
from s3img.imaging.description import describe, tells_place
from s3img.lock import read_lock
from s3img.manage import find_uses
from s3img.manage.object_search import IMAGE_TYPES, type_of
from s3img.manage.sibling_variants import VARIANT_NAME, sibling_variants
from s3img.pictures.link_forms import FORMS, PictureLink
from s3img.publish.result import size_text
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from concurrent.futures import Future

    from werkzeug.wrappers import Response

    from s3img.buckets import ObjectInfo
    from s3img.gallery.gallery_app import Visit
    from s3img.gallery.messages import Words

Answer = TypeVar("Answer")

MOST_READ: Final = 50_000_000  # bytes of an object that is opened to tell its facts
MOST_SIMILAR: Final = 12  # similar pictures that are shown
MOST_COMPARED: Final = 200  # pictures of a folder that are looked at to find similar ones
MOST_TEMPLATE: Final = 500  # characters of a visitor's own template


def picture(visit: Visit) -> Response:
    """Show one object: preview, facts, links in all forms, uses, and what can be done with it."""
    key, layout, words = visit.request.args.get("key", ""), visit.layout, visit.words
    info = visit.gallery.bucket.head(key)
    if info is None:
        raise ObjectNotFound(f"{key!r} is not in the bucket.", fix=words("not_found"), reason="no-object")
    bucket, is_image = visit.gallery.bucket, type_of(key) in IMAGE_TYPES
    # A slow store is asked for all of it at once; where it denies one thing, the page has the others.
    with ThreadPoolExecutor(3, thread_name_prefix="s3img-picture") as pool:
        reading = pool.submit(lambda: bucket.get(key) if is_image and info.size <= MOST_READ else b"")
        listing = pool.submit(lambda: [other for _, other in sibling_variants(bucket, info)] if is_image else [])
        using = pool.submit(uses, visit, key)
    problems: dict[str, str] = {}  # by reason: the same refusal of two requests is told once
    data = unless_refused(reading, b"", problems)
    facts = facts_of(data)
    size = (int(facts.get("width", 0)), int(facts.get("height", 0)))
    variants = unless_refused(listing, [], problems) if size[0] or not data else []
    used = unless_refused(using, Markup(), problems)
    name = key.rpartition("/")[2]
    folder = key.removesuffix(name)
    is_shown = size[0] and type_of(key) in RENDERED
    aside = element(
        "div",
        element("h2", words("facts")),
        facts_list(words, info, facts),
        *(element("p", text, class_="warning") for text in problems.values()),
        element("p", words("gps"), class_="warning") if data and tells_place(data) else None,
        element("h2", words("links")),
        links(visit, info, size, variants),
        renderings_table(visit, variants),
        used,
        similar_pictures(visit, info, folder) if is_shown else None,
        element(
            "div", element("a", words("download"), href=layout.url("/file", key=key), class_="button"), class_="row"
        ),
        layout.form(
            "/rename",
            hidden("key", key),
            field(words("new_name"), "new", key, required=True),
            element("button", words("rename"), class_="plain"),
            class_="row",
        ),
        layout.form("/remove", hidden("key", key), element("button", words("remove"), class_="danger"), class_="row"),
    )
    shown = {"width": size[0], "height": size[1]} if all(size) else {}
    url = layout.url("/thumb", key=key, w=str(WIDTHS[2]), v=info.etag)
    stage = element("img", src=url, alt=name, **shown) if is_shown else words("no_preview")
    body = element("div", element("div", stage, class_="stage"), aside, class_="picture")
    return layout.page(name, layout.crumbs(folder, name), element("h1", name), body)


def unless_refused(asked: Future[Answer], instead: Answer, problems: dict[str, str]) -> Answer:
    """Return what a store was asked for, or ``instead`` where it refused that or failed; ``problems`` then says so.

    Raise ObjectNotFound for an object that somebody has removed meanwhile.
    """
    try:
        return asked.result()
    except ObjectNotFound:
        raise
    except BucketError as error:
        problems[error.reason] = str(error)
        return instead


def facts_of(data: bytes) -> dict[str, Any]:
    """Return what a picture's bytes tell; nothing for what is not a picture, whatever it is called."""
    try:
        return describe(data) if data else {}
    except S3ImgError:
        with suppress(S3ImgError):
            info = probe(data)
            return {"width": info.width, "height": info.height, "format": info.format, "media_type": info.media_type}
    return {}


def facts_list(words: Words, info: ObjectInfo, facts: Mapping[str, Any]) -> Markup:
    """Return an object's facts."""
    rows = [(words("key"), info.key), (words("size"), f"{size_text(info.size)} ({info.size:,} B)")]
    rows.append((words("date"), f"{info.modified.astimezone(UTC):%Y-%m-%d %H:%M} UTC"))
    if facts.get("width"):
        rows.append((words("pixels"), f"{facts['width']} \u00d7 {facts['height']}"))
    if facts.get("frames", 1) > 1:
        rows.append((words("frames"), str(facts["frames"])))
    if kind := facts.get("media_type") or info.media_type:
        rows.append((words("type"), kind))
    rows += [(f"{words('camera')}: {name}", str(value)) for name, value in (facts.get("exif") or {}).items()]
    return pairs(rows)


def links(visit: Visit, info: ObjectInfo, size: tuple[int, int], variants: list[ObjectInfo]) -> Markup:
    """Return the object's address in the forms that people write it in, each in a field of its own.

    Besides `FORMS` these are the templates of the settings, and one that the visitor has typed.
    """
    words, layout, config = visit.words, visit.layout, visit.gallery.config
    renderings = tuple(
        (object_url(config.base_url, one.key), int(match[1]))
        for one in variants
        if (match := re.search(r"\.w-(\d+)\.(?:jpg|png)$", one.key))
    )
    link = PictureLink(
        url=object_url(config.base_url, info.key),
        key=info.key,
        name=info.key.rpartition("/")[2],
        width=size[0],
        height=size[1],
        renderings=renderings,
    )
    texts = [(title, link.text(form)) for form, title in FORMS.items()]
    texts += [(title, link.text(template)) for title, template in config.link_templates.items()]
    own, problem = visit.request.args.get("template", "")[:MOST_TEMPLATE], ""
    if own:
        try:
            texts.append((words("own_template"), link.text(own)))
        except ConfigError as error:
            problem = "; ".join(error.problems)
    form = element(
        "form",
        hidden("key", info.key),
        field(words("own_template"), "template", own),
        element("button", words("apply"), class_="plain"),
        element("p", problem or words("template_fields"), class_="warning" if problem else "note"),
        action=layout.url("/object"),
        class_="row",
    )
    return element("div", *(copy_field(words, title, text) for title, text in texts), form, class_="links")


def copy_field(words: Words, title: str, text: str) -> Markup:
    """Return a text in a field with a button that copies it."""
    copy = words("copy")
    return element(
        "label",
        element("span", title),
        element("input", type="text", value=text, readonly=True),
        element("button", copy, type="button", class_="plain script", data_copy=True, aria_label=f"{copy}: {title}"),
    )


def renderings_table(visit: Visit, variants: Iterable[ObjectInfo]) -> Markup | None:
    """Return the renderings that lie beside a picture: width, format, size and address of each."""
    words, layout, base = visit.words, visit.layout, visit.gallery.config.base_url
    found = [(match[3], int(match[2]), one) for one in variants if (match := VARIANT_NAME.search(one.key))]
    rows = [
        (
            f"{width} px",
            element("a", form.upper(), href=layout.url("/object", key=one.key)),
            size_text(one.size),
            element("div", copy_field(words, form.upper(), object_url(base, one.key)), class_="links"),
        )
        for form, width, one in sorted(found, key=lambda row: row[:2])
        if visit.may("view", one.key)
    ]
    return element("div", element("h2", words("variants")), table(words("variants"), rows)) if rows else None


def similar_pictures(visit: Visit, info: ObjectInfo, folder: str) -> Markup:
    """Return the pictures that look like one, among those that are known; others of its folder on request."""
    words, layout, gallery = visit.words, visit.layout, visit.gallery

    def allowed(key: str) -> bool:
        return visit.may("view", key)

    wanted = [info]
    if visit.request.args.get("similar"):
        page = folder_page(gallery.bucket, folder, allowed=allowed, limit=MOST_COMPARED)
        wanted += [one for one in page.objects if type_of(one.key) in RENDERED]
    look_at(gallery, visit.request.environ, wanted)
    cards = []
    for key, etag in islice(gallery.index.similar(info.key, info.etag, allowed=allowed), MOST_SIMILAR):
        url = layout.url("/thumb", key=key, w=str(WIDTHS[0]), v=etag)
        image = element("img", src=url, alt="", width=240, height=180, loading="lazy")
        name = element("span", key, class_="name")
        body = element("a", element("span", image, class_="frame"), name, href=layout.url("/object", key=key))
        cards.append(element("li", body, class_="card"))
    known = element("p", words("similar_known", number=f"{len(gallery.index):,}"), class_="note")
    more = element("a", words("similar_folder"), href=layout.url("/object", key=info.key, similar="1"))
    return element("div", element("h2", words("similar")), element("ul", *cards, class_="grid"), known, more)


def uses(visit: Visit, key: str) -> Markup:
    """Return where an object is used, as far as the lock and the bucket know."""
    words, lock = visit.words, visit.gallery.lock
    found = find_uses([key], bucket=visit.gallery.bucket, lock=read_lock(lock, missing_ok=True) if lock else None)
    items = element("ul", *(element("li", f"{use.kind}: {use.place}") for use in found))
    return element(
        "div", element("h2", words("used")), items if found else element("p", words("unused"), class_="note")
    )
