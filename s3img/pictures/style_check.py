"""Find out whether a page's style sheets and scripts would see what is written around its images.

A ``<picture>`` between a parent and its ``<img>`` ends ``.card > img`` and ``img + em``; a written ``width`` ends
``img:not([width])``. So every selector of the page that sees such things is matched before and after: where it finds
other elements, the images nearby get less markup. Only local style sheets are known; pure apart from that.
"""

from __future__ import annotations

import hashlib
import html
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import tinycss2
from selectolax.lexbor import LexborHTMLParser, SelectolaxError

from s3img.pictures.choices import Image
from s3img.rewrite import TagEdit

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

    from s3img.pictures.choices import Choice
    from s3img.pictures.markup import Markup
    from s3img.rewrite import Reference

Read = Callable[[str, str, str | None], tuple[str, Callable[[], str]] | None]
"""Return (path, a function that reads its text) of the file that a URL in a document leads to.

None where it is not of the site. The third argument is the document's ``<base href>``.
"""

Write = Callable[[Callable[["Reference"], str | TagEdit | None]], bytes]
"""Return the page as replacements leave it."""

_LEVELS: tuple[Markup, ...] = ("picture", "img", "bare", "keep")
"""From the most markup to the least: each is tried where a style sheet would see the one before."""

_MARK = "data-s3img-mark"
"""Numbers an image, in copies of the page that are only matched; no style sheet selects it."""

_NEW = "data-s3img-new"
"""Marks an element that s3img adds, in the same copies."""

_SEES_PLACE = re.compile(
    r"[>+~]|:(?:nth|first|last|only|empty|has)\b|\b(?:picture|source)\b"
    r"|\[\s*(?:src|srcset|sizes|width|height|loading|decoding|fetchpriority|class|style)\b",
    re.IGNORECASE,
)
"""What a selector has that may find other elements once images are written: combinators, counts, our attributes."""

_STATES = re.compile(
    r"::?(?:before|after|first-line|first-letter|placeholder|marker|selection|backdrop|-[\w-]+)\b(?:\([^)]*\))?"
    r"|:(?:hover|focus(?:-within|-visible)?|active|visited|link|any-link|target|checked|disabled|enabled)\b",
    re.IGNORECASE,
)
"""Parts that depend on the visitor (``:hover``) or name no element (``::before``). They are dropped, so that a selector
finds every element that it may ever apply to."""

_GROUPS = frozenset({"media", "supports", "layer", "container"})
_LACKS_SUBJECT = re.compile(r"([>+~,]|^)\s*(?=,|$)")
_EMPTY_FUNCTION = re.compile(r":(?:not|is|where|has)\(\s*\)")
_NAME = re.compile(r"[.#]((?:[\w-]|[^\x00-\x7f])+)")
_FUNCTION = re.compile(r"\([^()]*\)")
_LIST = re.compile(r"\\.|\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|[(\[]|[)\]]|,", re.DOTALL)
"""What decides where the selectors of a list end: escapes, strings, brackets, commas."""

_ATTRIBUTE = re.compile(r"\[\s*([\w-]+)\s*(?:=\s*[\"']?([\w-]+)[\"']?\s*(?:[iIsS]\s*)?)?[^\]]*\]")
_ELEMENT = re.compile(r"(?:^|[\s>+~])([a-zA-Z][\w-]*)")
_IMPLIED = frozenset(("html", "head", "body", "tbody", "colgroup", "tr", "p", "br", "img", "picture", "source"))
"""Elements that a page may have without their start tags (HTML 13.2.6), or gets from s3img."""

_WRITTEN = {
    "src", "srcset", "sizes", "width", "height", "loading", "decoding", "fetchpriority", "class", "style", "type",
    "media",
}  # fmt: skip
"""Attributes that s3img writes: a page need not have them before."""

_WORD = re.compile(rb"[\w\x80-\xff-]+")
_CLASSES = re.compile(rb"=(?:(?<=[cC][lL][aA][sS][sS]=)|(?<=[iI][dD]=)|(?<=\s=))\s*+(\"[^\"]*+|'[^']*+|[^\s>]++)")
"""Values of classes and ids, and of attributes with a blank before ``=``. It begins with a plain byte, which is found
five times as fast as the names."""

_TAG_NAME = re.compile(rb"<([a-z][^\s/>]*+)")
_STYLED = re.compile(rb"<(style|script|link|base)\b", re.IGNORECASE)
_ENDS = {name: re.compile(rb"</%b\b" % name, re.IGNORECASE) for name in (b"style", b"script")}
_STRING = re.compile(r"'([^'\\\n]{3,200})'|\"([^\"\\\n]{3,200})\"|`([^`\\]{3,200})`")

_LOOKS_AROUND = re.compile(
    r"\.(?:children|childNodes|parentNode|parentElement|(?:first|last)(?:Element)?Child|(?:next|previous)(?:Element)?Sibling"
    r"|closest|matches|parents?\(|siblings\(|prev\(|next\()"
)
_KNOWS_IMAGES = re.compile(r"""["'`]img\b|["'`]IMG["'`]|\bimages?\b|HTMLImageElement""")
_OWN_SCRIPT = 50_000
"""Characters up to which a script is taken for the site's own: libraries look at places of elements all the time."""


@dataclass(frozen=True, slots=True)
class PageStyles:
    """The selectors that depend on where elements are, and whether a script looks at what is around images."""

    selectors: frozenset[str]
    has_script: bool = False


Sheet = tuple[tuple[str, ...], tuple[str, ...]]
"""What a style sheet says: its selectors that depend on places or attributes, and the addresses that it imports."""


class StyleCheck:
    """Choose the markup of images, page by page; style sheets and scripts are read once for all pages of a site.

    ``known`` are style sheets that earlier runs have read, by the digest of their text; new ones are added.
    """

    def __init__(self, read: Read, known: MutableMapping[str, Sheet] | None = None) -> None:
        self._read = read
        self._known = {} if known is None else known
        self._sheets: dict[str, frozenset[str]] = {}
        self._scripts: dict[str, tuple[frozenset[str], bool]] = {}
        self._latest: tuple[tuple[str, bytes], PageStyles] = (("", b""), PageStyles(frozenset()))

    def choose(
        self,
        path: str,
        data: bytes,
        choices: Mapping[int, Choice],
        write: Write,
        edit: Callable[[Choice, Markup], str | TagEdit | None],
        *,
        is_styled: bool = True,
    ) -> dict[int, Markup]:
        """Return how much markup the images of a page may get, by the offset of their reference.

        Images that are left out may get all of it; none gets more than its choice says. ``write`` returns a copy of the
        page with edits, ``edit`` the edit of one choice. A page that is not ``is_styled`` can't have the style sheet
        that keeps the layout.
        """
        usual = (choice for choice in choices.values() if isinstance(choice, Image))
        if not any(choice.directives.markup == "auto" for choice in usual):
            return {}
        styles = self._styles_of(data, path)
        selectors = PageWords(data).possible(styles.selectors) if styles.selectors else []
        most: Markup = "bare" if not is_styled else "img" if styles.has_script else "picture"
        known = {at: choice.markup for at, choice in choices.items() if isinstance(choice, Image)}
        found = {at: max(level, most, key=_LEVELS.index) for at, level in known.items()}
        if not selectors:
            return found
        before = LexborHTMLParser(write(lambda reference: _marked(reference, choices, None)))
        order = {node.mem_id: number for number, node in enumerate(_elements(before))}
        wanted = [_numbers(before, selector, order) for selector in selectors]
        while True:  # ends, as each round lowers the level of at least one image and the last level is not lowered

            def write_one(reference: Reference) -> str | TagEdit | None:
                choice = choices.get(reference.start)
                new = edit(choice, found.get(reference.start, "picture")) if choice else None
                return _marked(reference, choices, new)

            after = LexborHTMLParser(write(write_one))
            kept = (node for node in _elements(after) if _NEW not in node.attributes)
            order_after = {node.mem_id: number for number, node in enumerate(kept)}
            changed: set[int] = set()
            for selector, numbers in zip(selectors, wanted, strict=True):
                changed |= numbers ^ _numbers(after, selector, order_after)
            touched = {at for at in images_near(before, changed, order) if found.get(at) != _LEVELS[-1]}
            if not touched:
                return found
            for at in touched:
                found[at] = _LEVELS[_LEVELS.index(found.get(at, "picture")) + 1]

    def _styles_of(self, data: bytes, path: str) -> PageStyles:
        """Return the styles of a page; pages with one head in one folder are read once."""
        parts = style_parts(data)
        if not parts:
            return PageStyles(frozenset())
        key = (posixpath.dirname(path), b"".join(parts))
        if self._latest[0] != key:  # the neighbours of a page nearly always have its head
            self._latest = (key, self.page_styles(LexborHTMLParser(data), path))
        return self._latest[1]

    def page_styles(self, page: LexborHTMLParser, path: str) -> PageStyles:
        """Collect the selectors and scripts of a page and its linked files that depend on where elements are."""
        selectors: set[str] = set()
        root = page.css_first("base[href]")
        base = root.attributes.get("href") if root else None
        for node in page.css("style, link[href]"):
            if node.tag == "style":
                selectors |= self._sheet(path, node.text())
            elif "stylesheet" in (node.attributes.get("rel") or "").lower().split():
                selectors |= self._linked(node.attributes.get("href") or "", path, base)
        has_script = False
        for node in page.css("script"):
            source = node.attributes.get("src")
            found, looks_around = self._script(source, path, base) if source else script_selectors(node.text())
            selectors |= found
            has_script = has_script or looks_around
        return PageStyles(frozenset(selectors), has_script)

    def _script(self, url: str, document: str, base: str | None) -> tuple[frozenset[str], bool]:
        found = self._read(url, document, base)
        if found is None:
            return frozenset(), False
        path, read = found
        if path not in self._scripts:
            self._scripts[path] = script_selectors(read())
        return self._scripts[path]

    def _linked(self, url: str, document: str, base: str | None = None) -> frozenset[str]:
        found = self._read(url, document, base)
        if found is None:
            return frozenset()
        path, read = found
        if path not in self._sheets:
            self._sheets[path] = frozenset()  # a sheet that imports itself has nothing to add
            self._sheets[path] = self._sheet(path, read())
        return self._sheets[path]

    def _sheet(self, path: str, text: str) -> frozenset[str]:
        """Return the selectors of a style sheet, and of those that it imports, as `parse_sheet` does."""
        digest = hashlib.sha256(f"{_SHEETS_VERSION}\n{text}".encode("utf-8", "replace")).hexdigest()
        sheet = self._known.pop(digest, None) or parse_sheet(text)
        self._known[digest] = sheet  # at the end, so that those of long ago come first
        selectors, imports = sheet
        return frozenset(selectors).union(*(self._linked(url, path) for url in imports))


_SHEETS_VERSION = 2
"""Raise it when `parse_sheet` finds other things in the same text: what earlier versions have found counts no more."""


_DEEPEST = 32
"""Levels of nesting that are read, and characters of a selector that is put together from them: ``& &`` doubles it."""
_LONGEST = 20_000


def parse_sheet(text: str) -> Sheet:
    """Return the selectors of a style sheet that depend on the place or the attributes of elements, and its imports."""
    selectors: dict[str, None] = {}
    imports: list[str] = []

    def collect(rules: Iterable[Any], parent: str, depth: int) -> None:
        for rule in rules if depth <= _DEEPEST else ():
            if rule.type == "qualified-rule":
                text = _selector(rule, parent)
                clean = _EMPTY_FUNCTION.sub("", _STATES.sub("", text))
                if _SEES_PLACE.search(clean):
                    selectors[_LACKS_SUBJECT.sub(r"\1 *", clean)] = None
                if text and any(token.type == "{} block" for token in rule.content):
                    collect(tinycss2.parse_blocks_contents(rule.content), text, depth + 1)
            elif rule.type == "at-rule" and rule.lower_at_keyword == "import":
                imports.append(next((token.value for token in rule.prelude if token.type in {"string", "url"}), ""))
            elif rule.type == "at-rule" and rule.content and rule.lower_at_keyword in _GROUPS:
                collect(tinycss2.parse_blocks_contents(rule.content), parent, depth + 1)

    collect(tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True), "", 0)
    return tuple(selectors), tuple(imports)


def _selector(rule: Any, parent: str) -> str:  # noqa: ANN401 - tinycss2 ships no types
    """Return the whole selector of a rule inside another one, "" for one that is too long or nested too deep."""
    try:  # without comments, which may hold commas
        text = str(tinycss2.serialize([token for token in rule.prelude if token.type != "comment"]).strip())
    except RecursionError:  # hundreds of brackets in each other, which no page needs
        return ""
    if not parent:
        return text
    if len(text) + text.count("&") * len(parent) > _LONGEST:
        return ""
    # CSS Nesting 1: a nested selector without & is a descendant
    return text.replace("&", f":is({parent})") if "&" in text else f":is({parent}) {text}"


class PageWords:
    """The words of a page that its selectors need: most rules of a theme are about things that a page does not have."""

    def __init__(self, data: bytes) -> None:
        self._lowered = data.lower()
        self._classes = class_words(data)
        self._elements = _IMPLIED.union(name.decode("latin-1") for name in _TAG_NAME.findall(self._lowered))
        self._has_references = b"&#" in data  # which may stand for the letters of a value
        self._known: dict[str, bool] = {}

    def possible(self, selectors: Iterable[str]) -> list[str]:
        """Return lists of selectors without those that can find nothing in the page, each once."""
        found: dict[str, None] = {}
        for selector in selectors:
            kept = [
                text
                for text, needs in alternatives(selector)
                if needs.classes <= self._classes
                and needs.elements <= self._elements
                and all(map(self._names, needs.attributes))
                and (self._has_references or all(map(self._names, needs.values)))
            ]
            if kept:
                found[",".join(kept)] = None
        return [*found]

    def _names(self, word: str) -> bool:
        found = self._known.get(word)
        if found is None:
            found = self._known[word] = word.encode() in self._lowered
        return found


def class_words(data: bytes) -> frozenset[bytes]:
    """Return the words in the classes and ids of a page, and perhaps others; in UTF-8, as selectors are."""
    values = b" ".join(_CLASSES.findall(data))
    if b"&" in values:
        values = html.unescape(values.decode("utf-8", "replace")).encode()
    return frozenset(_WORD.findall(values))


def style_parts(data: bytes) -> list[bytes]:
    """Return the parts of a page that decide its styles: links to style sheets, whole styles and scripts, the base."""
    parts, at = [], 0
    while start := _STYLED.search(data, at):
        name = start[1].lower()
        if name in {b"style", b"script"}:  # raw text ends at its end tag alone (HTML 13.2.5.2)
            end = _ENDS[name].search(data, start.end())
            at = end.end() if end else len(data)
        else:
            at = data.find(b">", start.end()) + 1 or len(data)
        part = data[start.start() : at]
        # Links to other things (the canonical address, the next page) differ from page to page.
        if name != b"link" or b"stylesheet" in part.lower() or b"&" in part:
            parts.append(part)
    return parts


@lru_cache(maxsize=256)
def script_selectors(text: str) -> tuple[frozenset[str], bool]:
    """Return the selectors in a script's strings that depend on places, and whether it looks around images."""
    strings = {next(filter(None, match.groups())) for match in _STRING.finditer(text) if "img" in match[0]}
    selectors = frozenset(one for one in strings if _SEES_PLACE.search(one) and "<" not in one)
    is_own = len(text) <= _OWN_SCRIPT
    return selectors, is_own and bool(_LOOKS_AROUND.search(text)) and bool(_KNOWS_IMAGES.search(text))


class Needs(NamedTuple):
    """What a page must have for a selector to find anything: classes and ids, elements, attributes and their values.

    All but the classes are lower case.
    """

    classes: frozenset[bytes] = frozenset()
    elements: frozenset[str] = frozenset()
    attributes: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def alternatives(selector: str) -> tuple[tuple[str, Needs], ...]:
    """Split a list of selectors, and return each with what it needs."""
    return tuple((one, needs_of(one)) for one in split_list(selector))


def split_list(selector: str) -> list[str]:
    """Split a list of selectors at its commas, not at those inside of brackets and strings."""
    parts, start, depth = [], 0, 0
    for mark in _LIST.finditer(selector):
        if mark[0] in {"(", "["}:
            depth += 1
        elif mark[0] in {")", "]"}:
            depth -= 1
        elif mark[0] == "," and depth <= 0:
            parts.append(selector[start : mark.start()])
            start = mark.end()
    return [*parts, selector[start:]]


def needs_of(selector: str) -> Needs:
    """Return what one selector needs; what it says in functions, as ``:not()`` and ``:is()``, need not be there."""
    while _FUNCTION.search(selector):
        selector = _FUNCTION.sub("", selector)
    plain = re.sub(r"\[[^\]]*\]", "", selector)
    if any(mark in selector for mark in "\\|") or any(quote in plain for quote in "\"'"):
        # An escape or a namespace makes other names of these than stand here; a string may hold brackets.
        return Needs()
    found = [(name.lower(), value.lower()) for name, value in _ATTRIBUTE.findall(selector)]
    return Needs(
        frozenset(name.encode() for name in _NAME.findall(plain)),
        frozenset(map(str.lower, _ELEMENT.findall(plain))),
        tuple(name for name, _ in found if name not in _WRITTEN),
        tuple(value for name, value in found if name not in _WRITTEN and value),
    )


def _marked(reference: Reference, choices: Mapping[int, Choice], edit: str | TagEdit | None) -> str | TagEdit | None:
    """Return an edit that also numbers its image and tells new elements from the author's."""
    choice = choices.get(reference.start)
    if not isinstance(choice, Image):
        return edit
    found = edit if isinstance(edit, TagEdit) else TagEdit({})
    before = re.sub(r"<(picture|source)\b", rf"<\1 {_NEW}", found.before)
    return TagEdit({**found.attributes, _MARK: str(reference.start)}, before, found.after)


def _elements(page: LexborHTMLParser) -> Iterator[LexborNode]:
    return page.root.traverse(include_text=False) if page.root else iter(())


def _numbers(page: LexborHTMLParser, selector: str, order: Mapping[int, int]) -> set[int]:
    """Return the numbers of the author's elements that a selector finds, -1 for an added one that it names."""
    try:
        found = page.css(selector)
    except SelectolaxError:  # browsers drop a rule that they can't parse, and so do we
        return set()
    return {order.get(node.mem_id, -1) for node in found if node.mem_id in order or (node.tag or "*") in selector}


def images_near(page: LexborHTMLParser, changed: set[int], order: Mapping[int, int]) -> set[int]:
    """Return the offsets of the images that changed elements belong to: those at, beside or around them; else all."""
    if not changed:
        return set()
    images = {int(image.attributes[_MARK] or 0): image for image in page.css(f"[{_MARK}]")}
    near: set[int] = set()
    rest = set(changed)
    for at, image in images.items():  # first what is beside an image or around it
        family = {order.get(node.mem_id, -1) for node in siblings_and_ancestors(image)}
        if not changed.isdisjoint(family):
            near.add(at)
            rest -= family
    for at, image in images.items():  # then what is inside something beside it
        below = image.parent.traverse(include_text=False) if rest and image.parent else ()
        if any(order.get(node.mem_id) in rest for node in below):
            near.add(at)
    return near or {*images}


def siblings_and_ancestors(node: LexborNode) -> Iterator[LexborNode]:
    """List a node with its siblings, then its ancestors from the inside out."""
    parent = node.parent
    yield from parent.iter(include_text=False) if parent else (node,)
    while parent:
        yield parent
        parent = parent.parent
