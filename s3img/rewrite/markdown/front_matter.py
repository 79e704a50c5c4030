"""Image URLs in the front matter of a Markdown page: YAML between ``---``, TOML between ``+++``."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING

from s3img.rewrite.reference import Encoder, Reference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from s3img.rewrite.source import Source

_KEYS = ("image", "cover", "thumbnail")
KINDS = frozenset(f"front matter {key}" for key in _KEYS)

# a thematic break can begin a page, too: what follows the mark must look like front matter
_START = re.compile(
    r"(?:\xff|\xef\xbb\xbf)?(---|\+\+\+)[ \t]*+(?:\r\n?|\n)(?=\s*+(?:#|[\"']?[\w-]++[\"']?[ \t]*+[:=]|---|\+\+\+))"
)
_ENDS = {
    "---": re.compile(r"^(?:---|\.\.\.)[ \t]*+(?:\r\n?|\n|\Z)", re.MULTILINE),
    "+++": re.compile(r"^\+\+\+[ \t]*+(?:\r\n?|\n|\Z)", re.MULTILINE),
}
_ENTRY = re.compile(
    rf"^[ \t]*+(?:-[ \t]++)?+[\"']?({'|'.join(_KEYS)})[\"']?[ \t]*+[:=][ \t]*+"
    r"(?:\"((?:[^\"\\\r\n]++|\\.)*+)\"|'([^'\r\n]*+)'|([^\s\"'#\[\]{}|>&*!%@`,][^\r\n#]*+))[ \t]*+(?:#[^\r\n]*+)?+\r?$",
    re.MULTILINE,
)
_PLAIN = re.compile(r"[A-Za-z0-9./][A-Za-z0-9./:?&=%+@~_-]*(?<!:)")


def end(code: str) -> int:
    """Return where the front matter of a page ends, 0 when it has none."""
    start = _START.match(code)
    closing = start and _ENDS[start[1]].search(code, start.end())
    return closing.end() if closing else 0


def find(source: Source, stop: int, optional: Collection[str]) -> Iterator[Reference]:
    """Yield the values of the keys asked for, wherever in the front matter they are."""
    if stop == 0 or KINDS.isdisjoint(optional):
        return
    for entry in _ENTRY.finditer(source.code.decode("latin-1"), 0, stop):
        kind, group = f"front matter {entry[1]}", entry.lastindex or 0
        start, after = entry.start(group), entry.start(group) + len(entry[group].rstrip(" \t"))
        raw = source.text(start, after)
        if kind in optional and raw:
            value = raw
            if group == _DOUBLE and "\\" in raw:
                with contextlib.suppress(ValueError):  # an escape that JSON does not have: the text as it stands
                    value = str(json.loads(f'"{raw}"'))
            yield Reference(start, after, value, kind, None, None, _ENCODERS[group])


_DOUBLE = 2
_ENCODERS: dict[int, Encoder] = {
    _DOUBLE: lambda url: json.dumps(url)[1:-1],
    3: lambda url: url.replace("'", "%27"),
    4: lambda url: url if _PLAIN.fullmatch(url) else json.dumps(url),
}
"""How a value is written, by the group of ``_ENTRY`` that it was in: in double quotes, in single ones, in none."""
