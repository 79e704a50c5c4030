"""Read what is to be done with one image: ``data-s3img*`` attributes, the settings' rules, ``width`` and ``srcset``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from s3img.config import Config, Format, Rule
from s3img.errors import TransformError, closest
from s3img.pictures.markup import pixels
from s3img.pictures.variants import Layout, VariantRequest
from s3img.transform import Transform
from s3img.transform.focus import FocusBox

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
Placeholder = Literal["none", "color", "lqip"]
MarkupSetting = Literal["auto", "picture", "img"]
Mode = Literal["picture", "author", "url", "off"]
"""How much is changed: everything; new URLs and dimensions around the author's own candidates; URLs only; nothing."""

NAMES = (
    *("data-s3img", "data-s3img-widths", "data-s3img-formats", "data-s3img-layout", "data-s3img-placeholder"),
    *("data-s3img-priority", "data-s3img-markup", "data-s3img-focus"),
)
"""The attributes that s3img reads; publishing takes them all out of the page."""


@dataclass(frozen=True, slots=True)
class ImageDirectives:
    """What to do with an image; ``faults`` are messages about attributes that could not be understood."""

    mode: Mode
    request: VariantRequest = field(default_factory=VariantRequest)
    priority: bool = False
    placeholder: Placeholder = "none"
    markup: MarkupSetting = "auto"
    faults: tuple[str, ...] = ()


def read(author: Mapping[str, str | None], config: Config, *, path: str = "") -> ImageDirectives:
    """Return the directives of an ``<img>``: its attributes, and before them the settings' rules for its path.

    A value that can't be understood becomes a fault and has no other effect.
    """
    if config.rules and path:
        author = {**rule_attributes(path, config.rules), **author}  # the author's own come last and win
    if not any(name.startswith("data-s3img") for name in author):
        return _without_directives(
            pixels(author.get("width")), config.markup, config.formats, is_picture="srcset" not in author
        )
    word = (author.get("data-s3img") or "").strip()
    if word == "off":
        return ImageDirectives("off")
    faults = []
    for name in author:
        if name.startswith("data-s3img") and name not in NAMES:
            near = closest(name, NAMES)
            faults.append(f"{name} is unknown" + (f", did you mean {near}?" if near else f": known are {NAMES}"))
    transform = Transform()
    try:
        transform = Transform.parse(word if word != "url" else "", presets=config.presets)
    except TransformError as error:
        faults.append(f"data-s3img={word!r}: {error}")
    if box := _focus(author, faults):
        transform = transform.with_focus(lambda focus: box if focus in {"center", "custom"} else focus)
    markup = _choice(author, "data-s3img-markup", get_args(MarkupSetting), faults) or config.markup
    formats = _formats(author, faults)
    request = VariantRequest(
        width=pixels(author.get("width")),
        layout=_choice(author, "data-s3img-layout", get_args(Layout), faults) or "constrained",
        transform=transform,
        widths=_widths(author, config, faults),
        formats=one_format(formats or config.formats) if markup == "img" else formats,
    )
    mode: Mode = "url" if word == "url" else "author" if "srcset" in author else "picture"
    placeholder = _choice(author, "data-s3img-placeholder", get_args(Placeholder), faults)
    priority = "data-s3img-priority" in author
    return ImageDirectives(mode, request, priority, placeholder or "none", markup, tuple(faults))


@lru_cache(maxsize=4096)
def rule_attributes(path: str, rules: tuple[Rule, ...]) -> dict[str, str]:
    """Return the attributes that rules give to the image at a path; where two rules set the same, the later wins."""
    found: dict[str, str] = {}
    for rule in rules:
        if path_pattern(rule.match).fullmatch(path):
            values = {
                "data-s3img": rule.s3img,
                "data-s3img-widths": " ".join(map(str, rule.widths)),
                "data-s3img-formats": " ".join(rule.formats),
                "data-s3img-layout": rule.layout,
                "data-s3img-placeholder": rule.placeholder,
                "data-s3img-markup": rule.markup,
                "data-s3img-focus": rule.focus,
            }
            found |= {name: value for name, value in values.items() if value}
    return found


@lru_cache(maxsize=256)
def path_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a glob: ``**`` stands for any folders, ``*`` and ``?`` for characters within one of them."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        re.sub(r"\*\*/|\*\*|[*?]|[^*?]+", lambda m: parts.get(m[0]) or re.escape(m[0]), pattern), re.DOTALL
    )


@lru_cache(maxsize=1024)
def _without_directives(
    width: int, markup: MarkupSetting, formats: tuple[str, ...], *, is_picture: bool
) -> ImageDirectives:
    """Return the directives of an image without any attribute of ours, as nearly all are."""
    request = VariantRequest(width, formats=one_format(formats) if markup == "img" else ())
    return ImageDirectives("picture" if is_picture else "author", request, markup=markup)


def one_format(formats: tuple[str, ...]) -> tuple[str, ...]:
    """Return the format for an ``<img>`` alone, which has no ``type`` to choose by: WebP, which every browser knows."""
    return ("webp",) if "webp" in formats else formats[:1]


def _choice(author: Mapping[str, str | None], name: str, known: tuple[T, ...], faults: list[str]) -> T | None:
    """Return an attribute's value if it is one of the known ones, else None and, where it is set, a fault."""
    word = author.get(name)
    for value in known:
        if word == value:
            return value
    if name in author:
        faults.append(f"{name}={word!r}: write one of {', '.join(map(str, known))}")
    return None


def _widths(author: Mapping[str, str | None], config: Config, faults: list[str]) -> tuple[int, ...]:
    words = (author.get("data-s3img-widths") or "").replace(",", " ").split()
    good = [
        int(word)
        for word in words
        # Six digits are more than any limit has, and int() refuses numbers of thousands of digits.
        if word.isascii() and word.isdigit() and 0 < int(word[:6]) <= config.limits.output_side
    ]
    if len(good) < len(words):
        faults.append(f'data-s3img-widths={" ".join(words)!r}: write px with blanks between, such as "400 800"')
    return tuple(good)


def _focus(author: Mapping[str, str | None], faults: list[str]) -> FocusBox | None:
    if "data-s3img-focus" not in author:
        return None
    text = (author["data-s3img-focus"] or "").strip()
    box = FocusBox.parse(text)
    if box is None:
        faults.append(f'data-s3img-focus={text!r:.60}: write px of the picture, as "LEFT,TOP,WIDTH,HEIGHT"')
    return box


def _formats(author: Mapping[str, str | None], faults: list[str]) -> tuple[str, ...]:
    words = (author.get("data-s3img-formats") or "").replace(",", " ").split()
    good = [word for word in words if word in get_args(Format)]
    if len(good) < len(words):
        faults.append(f"data-s3img-formats={' '.join(words)!r}: known are {', '.join(get_args(Format))}")
    return tuple(good)
