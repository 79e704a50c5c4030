"""How much markup the style sheets and scripts of each page allow, found out before anything is rendered for it.

A survey assumes that every variant will be worth having. So nothing is rendered and uploaded that no page can use.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import structs

from s3img import csp
from s3img.assets import TargetKind
from s3img.pictures.choices import Choice, Image
from s3img.pictures.directives import one_format
from s3img.pictures.editor import Editor, RenderInventory
from s3img.pictures.variants import VariantSet, unchanged
from s3img.publish.files import STYLE_PATH
from s3img.rewrite import OPTIONAL_KINDS, Reference, Replace, TagEdit, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from s3img.assets import AssetRoot
    from s3img.cache import SiteState
    from s3img.config import Config
    from s3img.pictures.markup import Markup
    from s3img.pictures.placement import Placement
    from s3img.pictures.protocols import ImageLibrary
    from s3img.pictures.style_check import StyleCheck, Write

_LARGEST_TEXT = 4_000_000
"""Bytes of a style sheet or script that is read to see whether it sees the places of images."""

_AMP = re.compile(rb"<html(?:\s[^>]*)?\s(?:amp(?:4ads|4email)?|\xe2\x9a\xa1)[\s=>]", re.IGNORECASE)
_HEAD = 4_096
"""Bytes in which the start tag of a page is looked for."""


class SiteStyles:
    """The style sheets and scripts of one site, and what they let its pages change."""

    def __init__(self, root: AssetRoot, config: Config, placement: Placement, state: SiteState) -> None:
        self._root = root
        self._state = state
        self._config = config
        self._placement = placement

    def limit(
        self,
        path: str,
        data: bytes,
        choices: Mapping[int, Choice],
        found: Sequence[Reference],
        library: ImageLibrary,
    ) -> dict[int, Choice]:
        """Return the choices of a page with the markup that its styles allow, and without variants beyond that."""
        # 0 is a size that counts as smaller than any other, see `catalog`.
        images = [choice for choice in choices.values() if isinstance(choice, Image)]
        editor: Editor | None = None

        def write(replace: Replace) -> bytes:
            return rewrite(data, "text/html", replace, optional=OPTIONAL_KINDS, found=found)

        def edit(choice: Choice, markup: Markup) -> str | TagEdit | None:
            nonlocal editor
            if editor is None:  # most pages have nothing to try, so their sizes are never looked at
                sizes = {v.identity: int(v.format == i.variants.own) for i in images for v in i.variants.variants}
                editor = Editor(self._config, self._placement, RenderInventory(sizes))
            return editor.edit(choice, markup)

        levels = self.levels(path, data, choices, write, edit)
        return {at: self._limited(choice, levels.get(at, "picture"), library) for at, choice in choices.items()}

    def levels(
        self,
        path: str,
        data: bytes,
        choices: Mapping[int, Choice],
        write: Write,
        edit: Callable[[Choice, Markup], str | TagEdit | None],
    ) -> dict[int, Markup]:
        """Return how much markup images may get, as `StyleCheck.choose` does."""
        if not any(isinstance(choice, Image) for choice in choices.values()):
            return {}
        return self._check.choose(path, data, choices, write, edit, is_styled=self._may_have_style_sheet(data))

    def _limited(self, choice: Choice, level: Markup, library: ImageLibrary) -> Choice:
        if not isinstance(choice, Image) or level == "picture" or choice.directives.markup != "auto":
            return choice
        variants, request = choice.variants, choice.directives.request
        if level == "keep" and not request.transform.steps:
            variants = unchanged(choice.asset)
        elif variants.formats:  # an <img> alone has one format
            formats = one_format(request.formats or self._config.formats)
            found = library.variants(choice.asset, replace(request, formats=formats))
            variants = found if isinstance(found, VariantSet) else variants  # its layers were found before
        return structs.replace(choice, variants=variants, markup=level)

    def _may_have_style_sheet(self, data: bytes) -> bool:
        """Tell whether a page may have our style sheet: not one of AMP, nor where its policy (of hashes) forbids it."""
        if _AMP.search(data, 0, _HEAD):  # AMP allows no linked style sheet
            return False
        origin = self._root.origin or "https://site.invalid"
        url = f"{origin}{self._root.prefix}{STYLE_PATH}"
        return csp.allows(csp.in_page(data), url, own=origin, kind=csp.STYLE_SHEETS)

    @cached_property
    def _check(self) -> StyleCheck:
        from s3img.pictures.style_check import StyleCheck  # loads a parser of HTML, which many runs don't need

        def text(path: str) -> str:
            try:
                return self._root.read(path).decode("utf-8", "replace")
            except OSError:
                return ""

        def read(url: str, document: str, base: str | None) -> tuple[str, Callable[[], str]] | None:
            target = self._root.resolve(url, document=document, base=base)
            if target.kind is not TargetKind.FILE or self._root.files[target.path].size > _LARGEST_TEXT:
                return None
            return target.path, lambda: text(target.path)

        return StyleCheck(read, self._state.sheets)
