"""HTML elements from Python: every text and every attribute is escaped where it is put in, and nowhere else.

A name that turns text round (``gnp.exe`` that reads as ``exe.png``) is shown with the code of the mark that does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from markupsafe import Markup, escape

from s3img.keys import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Child: TypeAlias = "str | Markup | Iterable[Child] | None"

VOID: Final = frozenset({"img", "input", "meta", "link", "br", "hr"})
EXACT: Final = frozenset({"textarea", "pre"})  # their text is copied, so that it has to stay as it is
READ: Final = frozenset({"title", "aria_label", "alt"})  # by people; values of fields and addresses stay as they are


def element(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """Return an element; a trailing ``_`` of an attribute's name is dropped, others are hyphens.

    True is an attribute without value; False and None are none at all. Texts are escaped unless they are elements.
    """
    parts = [f"<{name}"]  # names of elements and attributes are written in this package
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        if key in READ and isinstance(value, str):
            value = one_line(value)  # noqa: PLW2901 - the same value, as it is read
        shown = key.rstrip("_").replace("_", "-")
        parts.append(f" {shown}" if value is True else f' {shown}="{escape(value)}"')
    parts.append(">")
    if name not in VOID:
        parts += [joined(children, is_exact=name in EXACT), f"</{name}>"]
    return Markup("".join(parts))  # noqa: S704 - what is not our own has been escaped above


def joined(children: Iterable[Child], *, is_exact: bool = False) -> Markup:
    """Return all children one after the other, escaped; texts as they are read, or exactly as they are."""
    parts = []
    for child in children:
        if child is None:
            continue
        if not isinstance(child, str):
            parts.append(joined(child, is_exact=is_exact))
        else:
            parts.append(escape(child if is_exact or isinstance(child, Markup) else one_line(child)))
    return Markup("".join(parts))  # noqa: S704 - each part has been escaped


def hidden(name: str, value: str) -> Markup:
    """Return a field of a form that nobody sees."""
    return element("input", type="hidden", name=name, value=value)


def field(
    label: str, name: str, value: str = "", *, wide: bool = False, **attributes: str | int | bool | None
) -> Markup:
    """Return a field with its label; a line of text unless ``type`` says otherwise."""
    box = element("input", **{"type": "text", "name": name, "value": value or None, **attributes})
    return element("label", label, box, class_="wide" if wide else None)


def choice(label: str, name: str, options: Mapping[str, str], chosen: str = "") -> Markup:
    """Return a list to choose from with its label; ``options`` are texts by value."""
    shown = (element("option", text, value=value, selected=value == chosen) for value, text in options.items())
    return element("label", label, element("select", *shown, name=name))


def table(label: str, rows: Iterable[Iterable[Child]]) -> Markup:
    """Return a table of cells, called ``label`` for those who don't see it."""
    shown = (element("tr", *(element("td", cell) for cell in row)) for row in rows)
    return element("table", element("tbody", *shown), aria_label=label)


def pairs(rows: Iterable[tuple[str, Child]]) -> Markup:
    """Return names with what each of them is."""
    return element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in rows))
