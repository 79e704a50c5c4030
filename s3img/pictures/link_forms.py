"""The address of one picture as people write it into their texts: Markdown, HTML, reST and others, or a template."""

from __future__ import annotations

import re
from html import escape
from pathlib import PurePosixPath
from typing import Final

import msgspec

from s3img.errors import ConfigError

FORMS: Final = {
    "url": "URL",
    "markdown": "Markdown",
    "html": "HTML",
    "rst": "reST",
    "asciidoc": "AsciiDoc",
    "bbcode": "BBCode",
}
"""The forms, by the words of the command line; the values are what people call them."""

FIELDS: Final = ("url", "key", "name", "width", "height")
"""What a template may name in braces."""

_MARKDOWN_SPECIAL = re.compile(r"[\\`*_\[\]]")
_HTML_SPECIAL = re.compile(r"&(?=#?\w)|<")


class PictureLink(msgspec.Struct, frozen=True, kw_only=True):
    """What a link to a picture is made of; ``name`` is its file's, px are 0 where they are not known.

    ``renderings`` are (address, width in px) of smaller ones in the picture's own format.
    """

    url: str
    key: str = ""
    name: str = ""
    width: int = 0
    height: int = 0
    renderings: tuple[tuple[str, int], ...] = ()

    def text(self, form: str) -> str:
        """Return the link in one of `FORMS`, or as a template says; raise ConfigError for another text."""
        texts = {
            "url": self.url,
            "markdown": markdown_image(self.url, self.alt),
            "html": self.html(),
            "rst": f".. image:: {self.url}",
            "asciidoc": f"image::{self.url}[]",
            "bbcode": f"[img]{self.url}[/img]",
        }
        if form in texts:
            return texts[form]
        return link_template(form).sub(lambda field: str(getattr(self, field[2])), form)

    @property
    def alt(self) -> str:
        """The text that stands for the picture until somebody writes a better one: its name without the ending."""
        return PurePosixPath(self.name).stem

    def html(self) -> str:
        """Return an ``<img>``, with ``srcset`` where there are renderings."""
        widths = sorted((width, url) for url, width in self.renderings)
        candidates = "".join(f"{escape(url)} {width}w, " for width, url in widths)
        srcset = f' srcset="{candidates}{escape(self.url)} {self.width}w" sizes="100vw"' if widths else ""
        size = f' width="{self.width}" height="{self.height}"' if self.width and self.height else ""
        return f'<img src="{escape(self.url)}"{srcset}{size} alt="{escape(self.alt)}">'


def link_template(text: str) -> re.Pattern[str]:
    """Return what finds the fields of a template such as ``{url} {width}``; raise ConfigError if it is none.

    ``{{url}}``, as key templates write it, is the same; a third pair of braces is text. Group 2 is the field's name.
    """
    pattern = re.compile(r"(\{)?\{(\w*)\}(?(1)\})")
    names = [name for _, name in pattern.findall(text)]
    known = ", ".join(f"{{{name}}}" for name in FIELDS)
    if not names:
        raise ConfigError([f"format: {text!r} is not one of {', '.join(FORMS)}, and not a template of {known}"])
    if unknown := [name for name in names if name not in FIELDS]:
        raise ConfigError([f"format: {{{unknown[0]}}} is not known in {text!r}: a template has {known}"])
    return pattern


def markdown_image(url: str, alt: str) -> str:
    """Return an image in Markdown; what would end its text or address, or mean something in them, is escaped.

    Ampersands and angle brackets become entities: Python-Markdown knows no backslash before them, CommonMark both.
    """
    text = _MARKDOWN_SPECIAL.sub(r"\\\g<0>", " ".join(alt.split()))
    text = _HTML_SPECIAL.sub(lambda found: escape(found[0]), text)
    return f"![{text}]({url.replace('(', '%28').replace(')', '%29')})"
