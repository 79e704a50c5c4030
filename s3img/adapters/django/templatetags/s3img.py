"""``{% load s3img %}``: addresses and pictures of the lock, as Django's templates write them."""

from __future__ import annotations

import logging
from typing import Any

from django import template
from django.apps import apps
from django.conf import settings
from django.forms.utils import flatatt
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import mark_safe

from s3img.pictures.markup import STYLE_SHEET

log = logging.getLogger("s3img")
register = template.Library()

_LISTS = {"widths": int, "formats": str}
_OPTIONS = {"layout", "loading", "priority", "sizes", "transform"}


@register.simple_tag
def s3img_url(name: str, transform: str = "") -> str:
    """Return the address of a static image, transformed; raise S3ImgError where there can be none."""
    found = apps.get_app_config("s3img").find(name)
    return found[0].url(found[1], transform) if found else local(name)


@register.simple_tag
def s3img_picture(name: str, *, alt: str, **options: Any) -> str:  # noqa: ANN401 - whatever a template writes
    """Return a ``<picture>``; options that `Catalog.picture` does not have are attributes, with - for _."""
    found = apps.get_app_config("s3img").find(name)
    given = {key: options.pop(key) for key in _OPTIONS & options.keys()}
    lists = {key: str(options.pop(key)).replace(",", " ").split() for key in _LISTS.keys() & options.keys()}
    attributes = {key.replace("_", "-"): str(value) for key, value in options.items()}
    if not found:
        attributes |= {"loading": given["loading"]} if "loading" in given else {}
        return format_html("<img{}>", flatatt({"src": local(name), "alt": alt, **attributes}))
    try:
        given |= {key: [_LISTS[key](value) for value in values] for key, values in lists.items()}
        given |= {"width": int(attributes.pop("width", 0)), "class_": attributes.pop("class", "")}
    except ValueError as error:
        raise template.TemplateSyntaxError(f"s3img_picture {name!r}: width and widths are whole px: {error}") from error
    html = found[0].picture(found[1], alt=str(alt), attributes=attributes, **given).html()
    return mark_safe(html)  # noqa: S308 - escaped there


@register.simple_tag
def s3img_styles(nonce: str = "") -> str:
    """Return the rules that keep a picture's shape, for the head; ``nonce`` is that of a Content-Security-Policy."""
    return format_html("<style{}>{}</style>", flatatt({"nonce": nonce} if nonce else {}), mark_safe(STYLE_SHEET))  # noqa: S308 - ours


def local(name: str) -> str:
    """Return Django's own address; while DEBUG, raise AssetError naming the nearest image of the lock."""
    app = apps.get_app_config("s3img")
    if settings.DEBUG and app.catalog_file and app.lock.exists():
        app.catalog_file.current().entry(name)
    log.warning("%r is not in %s: the page shows the local file. Run manage.py s3img sync.", name, app.lock)
    address: str = static(name)
    return address
