"""Open elements inside SVG and MathML (https://html.spec.whatwg.org/#parsing-main-inforeign).

Foreign content changes the tokenizer: ``<title>`` and ``<style>`` hold markup there, CDATA sections exist, and HTML
comes back inside integration points. Only the elements from the outermost ``<svg>`` or ``<math>`` on are known here.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_BREAK_OUT = frozenset(
    b"b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta "
    b"nobr ol p pre ruby s small span strong strike sub sup table tt u ul var".split()
)
_SVG_POINTS = frozenset((b"foreignobject", b"desc", b"title"))
_MATH_POINTS = frozenset((b"mi", b"mo", b"mn", b"ms", b"mtext"))
_HTML_ENCODINGS = ("text/html", "application/xhtml+xml")
_VOID = frozenset(
    b"area base basefont bgsound br col embed frame hr img image input keygen link meta param source track wbr".split()
)
_CLOSE_P = frozenset(
    b"address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure footer form "
    b"h1 h2 h3 h4 h5 h6 header hgroup hr li listing main menu nav ol p plaintext pre search section summary table ul "
    b"xmp".split()
)
# after an unclosed <svg>, the end tag of one of these most likely belongs to an element around it
_AROUND = (_BREAK_OUT | _CLOSE_P | frozenset(b"a button font label tbody td tfoot th thead tr".split())) - frozenset(
    b"body head plaintext xmp".split()
)


class OpenElement(NamedTuple):
    """An open element; ``point`` is ``"html"`` or ``"text"`` for an integration point, ``""`` otherwise."""

    namespace: bytes
    name: bytes
    point: str


class _ForeignRun:
    """Open elements directly inside each other that are all foreign, or all HTML."""

    __slots__ = ("elements", "foreign", "names", "points")

    def __init__(self, *, foreign: bool) -> None:
        self.foreign = foreign
        self.elements: list[OpenElement] = []
        self.names: Counter[bytes] = Counter()
        self.points = 0

    def push(self, element: OpenElement) -> None:
        self.elements.append(element)
        self.names[element.name] += 1
        self.points += bool(element.point)

    def pop(self) -> OpenElement:
        element = self.elements.pop()
        self.names[element.name] -= 1
        self.points -= bool(element.point)
        return element

    def close(self, name: bytes) -> None:
        """Pop up to and with the last element of this name."""
        while self.pop().name != name:
            pass


class OpenElements:
    """The stack of open elements; false when the document is back in HTML."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: list[_ForeignRun] = []

    def __bool__(self) -> bool:
        return bool(self._runs)

    @property
    def current(self) -> OpenElement | None:
        """Return the innermost foreign element, None directly inside an HTML one."""
        run = self._runs[-1]
        return run.elements[-1] if run.foreign else None

    def open_root(self, name: bytes) -> None:
        """Enter ``<svg>`` or ``<math>`` from HTML."""
        self._push(OpenElement(name, name, ""), foreign=True)

    def open_html(self, name: bytes) -> None:
        """Enter an HTML element inside an integration point."""
        run = self._runs[-1]
        if name in _CLOSE_P and not run.foreign and run.names[b"p"]:
            run.close(b"p")
            self._tidy()
        if name not in _VOID:
            self._push(OpenElement(b"html", name, ""), foreign=False)

    def open(self, name: bytes, value: Callable[[bytes], str | None], *, empty: bool) -> bool:
        """Enter a foreign element unless it is ``empty``; return False for a tag that HTML's rules are for."""
        current = self.current
        if current is None or takes_html(current, name):
            return False
        if name in _BREAK_OUT or (name == b"font" and any(value(word) is not None for word in _FONT)):
            self._break_out()
            return False
        if not empty:
            point = integration_point(current.namespace, name, value)
            self._push(OpenElement(current.namespace, name, point), foreign=True)
        return True

    def close(self, name: bytes) -> None:
        """Leave what an end tag closes."""
        run = self._runs[-1]
        if run.foreign and name in (b"p", b"br"):
            self._break_out()
        elif run.names[name]:
            run.close(name)
        elif run.foreign and not run.points:  # an end tag of HTML closes the foreign elements inside its element
            if len(self._runs) == 1:
                if name in _AROUND:
                    self._runs.clear()
            elif self._runs[-2].names[name]:
                self._runs.pop()
                self._runs[-1].close(name)
        self._tidy()

    def _break_out(self) -> None:
        while self._runs and self._runs[-1].foreign and not self._runs[-1].elements[-1].point:
            self._runs[-1].pop()
            self._tidy()

    def _push(self, element: OpenElement, *, foreign: bool) -> None:
        if not self._runs or self._runs[-1].foreign is not foreign:
            self._runs.append(_ForeignRun(foreign=foreign))
        self._runs[-1].push(element)

    def _tidy(self) -> None:
        while self._runs and not self._runs[-1].elements:
            self._runs.pop()


_FONT = (b"color", b"face", b"size")


def takes_html(current: OpenElement, name: bytes) -> bool:
    """Tell whether a start tag directly inside a foreign element starts HTML (or ``<svg>``) there."""
    if current.point == "text":
        return name not in (b"mglyph", b"malignmark")
    return current.point == "html" or (current[:2] == (b"math", b"annotation-xml") and name == b"svg")


def integration_point(namespace: bytes, name: bytes, value: Callable[[bytes], str | None]) -> str:
    """Return which kind of integration point an element is, ``""`` for none."""
    if namespace == b"svg":
        return "html" if name in _SVG_POINTS else ""
    if name == b"annotation-xml":
        return "html" if (value(b"encoding") or "").lower() in _HTML_ENCODINGS else ""
    return "text" if name in _MATH_POINTS else ""
