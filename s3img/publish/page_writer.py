"""From a page and its plan to the new page: how much markup images may get, the edits, the link to the style sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img import csp
from s3img.assets import TargetKind
from s3img.pictures.choices import Choice, Image, Strip
from s3img.pictures.markup import first_styled
from s3img.publish.files import STYLE_PATH
from s3img.rewrite import OPTIONAL_KINDS, Reference, Replace, TagEdit, head_end, rewrite
from s3img.urls import quote_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.assets import AssetRoot
    from s3img.pictures.editor import Editor
    from s3img.pictures.markup import Markup
    from s3img.pictures.style_check import StyleCheck
    from s3img.publish.site_survey import PagePlan

_LARGEST_TEXT = 4_000_000
"""Bytes of a style sheet or script that is read to see whether it sees the places of images."""


class PageWriter:
    """Rewrite the pages of one site."""

    def __init__(self, root: AssetRoot, editor: Editor) -> None:
        self._root = root
        self._editor = editor
        self._check: StyleCheck | None = None

    def rewrite(self, path: str, data: bytes, plan: PagePlan, *, is_whole: bool) -> bytes:
        """Return the new page, or ``data`` itself when nothing changes.

        In a page that is not whole (an image of it failed), image directives stay for the next run.
        """

        def write(replace: Replace) -> bytes:
            return rewrite(data, plan.media_type, replace, optional=OPTIONAL_KINDS, found=plan.found)

        def edit(choice: Choice, markup: Markup = "picture") -> str | TagEdit | None:
            if is_whole or (self._editor.is_possible(choice) and not isinstance(choice, Strip)):
                return self._editor.edit(choice, markup)
            return None

        levels: Mapping[int, Markup] = {}
        image = next((choice for choice in plan.choices.values() if isinstance(choice, Image)), None)
        if image and plan.media_type == "text/html":
            is_styled = self._may_have_style_sheet(data)
            levels = self._style_check.choose(path, data, plan.choices, write, edit, is_styled=is_styled)

        def replace(reference: Reference) -> str | TagEdit | None:
            choice = plan.choices.get(reference.start)
            return edit(choice, levels.get(reference.start, "picture")) if choice else None

        new = write(replace)
        if new is data or image is None or quote_path(STYLE_PATH).encode() in new:
            return new
        place = first_styled(new)
        if place < 0:
            return new
        # Without a <head> in the text, a style sheet may also stand before what it styles.
        place = head_end(new) or place
        link = f'<link rel="stylesheet" href="{image.target.url(STYLE_PATH)}">'
        return new[:place] + link.encode() + new[place:]

    def _may_have_style_sheet(self, data: bytes) -> bool:
        """Tell whether the page's own policy lets browsers load our style sheet; one of hashes alone does not."""
        origin = self._root.origin or "https://site.invalid"
        url = f"{origin}{self._root.prefix}{STYLE_PATH}"
        return csp.allows(csp.in_page(data), url, own=origin, kind=csp.STYLE_SHEETS)

    @property
    def _style_check(self) -> StyleCheck:
        if self._check is None:
            from s3img.pictures.style_check import StyleCheck  # loads a parser of HTML, which many runs don't need

            self._check = StyleCheck(self._read)
        return self._check

    def _read(self, url: str, document: str, base: str | None) -> tuple[str, str] | None:
        target = self._root.resolve(url, document=document, base=base)
        if target.kind is not TargetKind.FILE or self._root.files[target.path].size > _LARGEST_TEXT:
            return None
        try:
            return target.path, self._root.file(target.path).read_bytes().decode("utf-8", "replace")
        except OSError:
            return None
