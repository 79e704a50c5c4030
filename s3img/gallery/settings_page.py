"""The page of settings: what the gallery works with. Credentials are neither shown nor asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.gallery.html_builder import element
from s3img.gallery.page_layout import crumbs, html
from s3img.publish.result import size_text

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from s3img.gallery.gallery_app import Visit


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
