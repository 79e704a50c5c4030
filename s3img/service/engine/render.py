"""The work itself: bytes of a source in, a picture out that is still to be encoded, within a request's time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from s3img import imaging
from s3img.errors import ImageTooLarge, UnsupportedImage
from s3img.service.engine.entry import Entry, Words
from s3img.service.engine.errors import late

if TYPE_CHECKING:
    from s3img.imaging import Drawn
    from s3img.limits import Limits
    from s3img.service.engine.identity import Recipe
    from s3img.service.engine.model import Budget

STEP: Final = "render"


def draw(data: bytes, recipe: Recipe, *, limits: Limits, quality: dict[str, int], budget: Budget) -> Entry | Drawn:
    """Draw with the profile for requests; what is never rendered (SVG, ICO) is passed through if it may be.

    Raise what `imaging.draw` raises, and `DeadlineExceeded` for work that the budget ended.
    """
    budget.check(STEP)
    transform = recipe.transform
    info = imaging.probe(data, limits=limits)
    if transform is None or (not info.renderable and transform.format in {"auto", "orig"}):
        return Entry(Words(info.media_type, info.width, info.height), data, len(data))
    if not info.renderable:
        fix = "Leave out f-, and it is passed on as it is."
        raise UnsupportedImage(f"{info.format.upper()} is published as it is and never rendered.", fix=fix)
    try:
        return imaging.draw(
            data,
            transform,
            profile="request",
            accept=recipe.accept,
            limits=msgspec.structs.replace(limits, seconds=max(0.0, min(limits.seconds, budget.left))),
            quality=quality,
            hints=recipe.hints,
        )
    except ImageTooLarge as error:
        if error.limit == "seconds" and budget.left <= 0:
            raise late(STEP) from error
        raise
