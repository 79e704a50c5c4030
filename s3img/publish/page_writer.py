"""From a page and its plan to the new page: how much markup images may get, the edits, the link to the style sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.atomic import write_atomically
from s3img.errors import AssetError
from s3img.pictures.choices import Choice, Image, Strip
from s3img.pictures.markup import STYLE_SHEET, first_styled
from s3img.publish.files import STYLE_PATH
from s3img.rewrite import OPTIONAL_KINDS, Reference, Replace, TagEdit, head_end, rewrite
from s3img.urls import quote_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.pictures.editor import Editor
    from s3img.pictures.markup import Markup
    from s3img.publish.digests import SiteDigests
    from s3img.publish.files import SiteFiles
    from s3img.publish.page_plans import PagePlan
    from s3img.publish.page_styles import SiteStyles


class PageWriter:
    """Rewrite the pages of one site."""

    def __init__(self, files: SiteFiles, editor: Editor, styles: SiteStyles) -> None:
        self._files = files
        self._root = files.root
        self._editor = editor
        self._styles = styles
        self._has_style_sheet = False

    def write(self, path: str, plan: PagePlan, digests: SiteDigests, *, is_whole: bool) -> bool:
        """Replace a page on disk and tell whether it changed; raise OSError, and AssetError if it is another by now."""
        data = self._root.read(path)
        if not plan.fits(data):  # offsets of the plan would lead into the middle of something
            raise AssetError(f"{path}: was changed while it was published.", path=path, fix="Run the command again.")
        new = self.rewrite(path, data, plan, is_whole=is_whole)
        if new is data:
            return False
        new = digests.with_own_styles(path, data, new)
        if not self._has_style_sheet and STYLE_PATH.encode() in new:
            style = self._root.file(STYLE_PATH)  # before the page, which would else be shown without it
            if not style.exists():
                write_atomically(style, STYLE_SHEET.encode())
            self._has_style_sheet = True
        self._files.write_page(path, new, is_finished=is_whole)
        digests.note(path, data, new)
        return True

    def rewrite(self, path: str, data: bytes, plan: PagePlan, *, is_whole: bool) -> bytes:
        """Return the new page, or ``data`` itself when nothing changes.

        In a page that is not whole (an image of it failed), image directives stay for the next run.
        """

        def write(replace: Replace) -> bytes:
            return rewrite(data, plan.media_type, replace, optional=OPTIONAL_KINDS, found=plan.found)

        def edit(choice: Choice, markup: Markup | None = None) -> str | TagEdit | None:
            if is_whole or (self._editor.is_possible(choice) and not isinstance(choice, Strip)):
                return self._editor.edit(choice, markup)
            return None

        levels: Mapping[int, Markup] = {}
        image = next((choice for choice in plan.choices.values() if isinstance(choice, Image)), None)
        # The survey has found the levels; with fewer sources than it assumed, elements stand in other places.
        if plan.media_type == "text/html" and any(map(self._editor.lacks_sources, plan.choices.values())):
            levels = self._styles.levels(path, data, plan.choices, write, edit)

        def replace(reference: Reference) -> str | TagEdit | None:
            choice = plan.choices.get(reference.start)
            return edit(choice, levels.get(reference.start)) if choice else None

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
