"""Write one page: its choices as markup, and the style sheet that keeps its layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.publish.choices import Image, PageReader, Strip
from s3img.rewrite import OPTIONAL_KINDS, Reference, Replacement, TagEdit, head_end, rewrite
from s3img.urls import quote_path

if TYPE_CHECKING:
    from s3img.publish.edits import Editor
    from s3img.publish.survey import Surveyor


class PageWriter:
    """Rewrite pages after everything they will point at is in its place."""

    def __init__(self, surveyor: Surveyor, editor: Editor, style_path: str) -> None:
        self._surveyor = surveyor
        self._editor = editor
        self._style_path = style_path

    def rewrite(self, path: str, data: bytes, media_type: str, *, is_whole: bool) -> bytes:
        """Return the new page, or ``data`` itself when nothing changes.

        In a page that is not whole (an image of it failed), the author's words to us stay for the next run.
        """
        page = _Page(self._surveyor.reader(path, data, is_quiet=True), self._editor, is_whole=is_whole)
        new = rewrite(data, media_type, page.replace, optional=OPTIONAL_KINDS)
        return self._with_style_sheet(new, page.style_url(self._style_path)) if page.first_picture else new

    def _with_style_sheet(self, data: bytes, url: str) -> bytes:
        if quote_path(self._style_path).encode() in data:
            return data
        link = f'<link rel="stylesheet" href="{url}">'.encode()
        place = head_end(data)
        if place is None:  # no <head> was written: a style sheet may also stand before what it styles
            place = data.index(b'<picture class="s3img">')
        return data[:place] + link + data[place:]


class _Page:
    """Hold what one pass over a page comes across."""

    def __init__(self, reader: PageReader, editor: Editor, *, is_whole: bool) -> None:
        self._reader = reader
        self._editor = editor
        self._is_whole = is_whole
        self.first_picture: Image | None = None

    def style_url(self, path: str) -> str:
        """Return the URL of the style sheet in the form that the author used for an image."""
        return self.first_picture.target.url(path) if self.first_picture else ""

    def replace(self, reference: Reference) -> Replacement:
        choice = self._reader.choose(reference)
        if choice is None or not self._editor.is_possible(choice):
            return None
        if isinstance(choice, Strip) and not self._is_whole:
            return None
        edit = self._editor.edit(choice)
        if isinstance(choice, Image) and isinstance(edit, TagEdit) and "s3img" in edit.before:
            self.first_picture = self.first_picture or choice
        return edit
