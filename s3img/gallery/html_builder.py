"""HTML elements from Python: every text and every attribute is escaped where it is put in, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    Child: TypeAlias = "str | Markup | Iterable[Child] | None"

VOID: Final = frozenset({"img", "input", "meta", "link", "br", "hr"})


def element(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """Return an element; a trailing ``_`` of an attribute's name is dropped, others are hyphens.

    True is an attribute without value; False and None are none at all. Texts are escaped unless they are elements.
    """
    parts = [Markup("<") + Markup(name)]  # noqa: S704 - names of elements are written in this package
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        shown = Markup(key.rstrip("_").replace("_", "-"))  # noqa: S704 - so are names of attributes
        parts.append(Markup(" {}").format(shown) if value is True else Markup(' {}="{}"').format(shown, value))
    parts.append(Markup(">"))
    if name not in VOID:
        parts += [joined(children), Markup("</{}>").format(Markup(name))]  # noqa: S704 - names are our own
    return Markup("").join(parts)


def joined(children: Iterable[Child]) -> Markup:
    """Return all children one after the other, escaped."""
    parts = []
    for child in children:
        if child is None:
            continue
        parts.append(escape(child) if isinstance(child, str) else joined(child))
    return Markup("").join(parts)
