"""Write one page: its choices as markup, and the style sheet that keeps its layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.markup import PICTURE_CLASS
from s3img.publish.choices import Image, Strip
from s3img.rewrite import OPTIONAL_KINDS, Reference, Replace, TagEdit, head_end, rewrite
from s3img.urls import quote_path

if TYPE_CHECKING:
    from s3img.publish.edits import Editor
    from s3img.publish.survey import PagePlan

_PICTURE = f'<picture class="{PICTURE_CLASS}'.encode()


def rewrite_page(data: bytes, plan: PagePlan, editor: Editor, style_path: str, *, is_whole: bool) -> bytes:
    """Return the new page, or ``data`` itself when nothing changes.

    In a page that is not whole (an image of it failed), the author's words to us stay for the next run.
    """
    replace = _replace(plan, editor, is_whole=is_whole)
    new = rewrite(data, plan.media_type, replace, optional=OPTIONAL_KINDS, found=plan.found)
    image = next((choice for choice in plan.choices.values() if isinstance(choice, Image)), None)
    if new is data or image is None or quote_path(style_path).encode() in new:
        return new
    return _with_style_sheet(new, image.target.url(style_path))


def _replace(plan: PagePlan, editor: Editor, *, is_whole: bool) -> Replace:
    def replace(reference: Reference) -> str | TagEdit | None:
        choice = plan.choices.get(reference.start)
        if choice is None or not (is_whole or (editor.is_possible(choice) and not isinstance(choice, Strip))):
            return None
        return editor.edit(choice)

    return replace


def _with_style_sheet(data: bytes, url: str) -> bytes:
    """Link the style sheet in the form that the page uses for its images; pages without our pictures need none."""
    picture = data.find(_PICTURE)
    if picture < 0:
        return data
    place = head_end(data)
    if place is None:  # no <head> was written: a style sheet may also stand before what it styles
        place = picture
    return data[:place] + f'<link rel="stylesheet" href="{url}">'.encode() + data[place:]
