"""Where in a Markdown file an image stands that its page has a problem with."""

from __future__ import annotations

from pathlib import Path

from s3img.rewrite import find_references, position


def place_of(url: str, file: str | None) -> str:
    """Return ``:line:column`` of the first image in a file that became ``url`` in its page, "" if that is unknown.

    MkDocs adapts URLs to where the page lies: steps upwards don't count.
    """
    if not url or file is None:
        return ""
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
    for reference in find_references(text, "text/markdown"):
        if _from_below(reference.url) == _from_below(url):
            line, column = position(text, reference.start)
            return f":{line}:{column}"
    return ""


def _from_below(url: str) -> str:
    while url.startswith(("../", "./")):
        url = url.partition("/")[2]
    return url
