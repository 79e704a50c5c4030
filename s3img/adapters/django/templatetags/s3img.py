"""``{% load s3img %}``: addresses and pictures of the lock, as Django's templates write them."""

from __future__ import annotations

from typing import Any

from django import template
from django.apps import apps
from django.utils.safestring import mark_safe

register = template.Library()


@register.simple_tag
def s3img_url(name: str, transform: str = "") -> str:
    """Return the address of a static image, transformed; raise S3ImgError where there can be none."""
    return apps.get_app_config("s3img").images.url(name, transform)


@register.simple_tag
def s3img_picture(name: str, *, alt: str, **options: Any) -> str:  # noqa: ANN401 - whatever a template writes
    """Return a ``<picture>``; options that `Catalog.picture` does not have are attributes, with - for _."""
    return mark_safe(apps.get_app_config("s3img").images.picture(name, str(alt), options).html())  # noqa: S308 - escaped


@register.simple_tag
def s3img_styles(nonce: str = "") -> str:
    """Return the rules that keep a picture's shape, for the head; ``nonce`` is that of a Content-Security-Policy."""
    return mark_safe(apps.get_app_config("s3img").images.styles(nonce))  # noqa: S308 - escaped there
