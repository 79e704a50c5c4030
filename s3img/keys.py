"""Names of objects: a key is a pure function of a file's path, its content and what was done to it."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Self

import msgspec

from s3img.errors import ConfigError, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_UNSHOWN = r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"

RENDER_VERSION = 2
"""Part of each variant's digest: raise it when the renderer's results change, and all variants get new keys."""

PER_UPLOAD = frozenset(
    {"year", "month", "day", "hour", "minute", "second", "timestamp", "ulid", "ulid-dayslice", "random", "uuid"}
)
"""Placeholders that only the key of an upload may use (`s3img.uploads`)."""

EXTENSIONS = {
    "image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "image/webp": "webp", "image/avif": "avif",
    "image/svg+xml": "svg", "image/vnd.microsoft.icon": "ico", "image/bmp": "bmp", "image/tiff": "tif",
    "image/heic": "heic", "image/jp2": "jp2",
}  # fmt: skip
"""The extension of each media type."""

TOKEN = re.compile(r"\{\{\s*([^{}:]*?)\s*(?::\s*(\d+)\s*)?\}\}")

UNSAFE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")

OWN_FOLDER = ".s3img"
"""The prefix of s3img's own objects in a bucket: references, marks, results. No picture has a key below it."""

_UNSLUG = re.compile(r"[^a-z0-9]+")
MAX_KEY = 1024  # bytes, S3's own limit
_MAX_SEGMENT = 240  # bytes; file systems stop at 255
_MIN_HASH = 8


class KeyFields(msgspec.Struct, frozen=True):
    """The facts that a key is made of: a file's path below its root, a hex digest, an extension, size in px."""

    path: str
    digest: str
    ext: str
    width: int = 0
    height: int = 0

    @classmethod
    def of_original(cls, path: str, digest: str, media_type: str, width: int, height: int) -> Self:
        """Describe a file's own bytes; the extension is that of what the bytes are."""
        ext = EXTENSIONS.get(media_type) or posixpath.splitext(path)[1].lstrip(".").lower() or "bin"
        return cls(path, digest, ext, width, height)


class KeyTemplate(msgspec.Struct, frozen=True):
    """Turn fields into a key; the text form is ``{{dir}}/{{stem}}.{{hash:8}}.{{ext}}``."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check a template; raise ConfigError naming each bad placeholder, its position and the nearest valid one."""
        problems = []
        for match in TOKEN.finditer(text):
            if match[1] in PER_UPLOAD:
                why = f"{{{{{match[1]}}}}} at {match.start()} changes from run to run: use {{{{hash:8}}}}"
                problems.append(why)
            elif problem := unknown_placeholder(match, PLACEHOLDERS):
                problems.append(problem)
        problems += template_problems(text)
        if problems:
            raise ConfigError(problems)
        return cls(text)

    def __str__(self) -> str:
        return self.text

    def key(self, fields: KeyFields) -> str:
        """Return the object key, at most 1,024 bytes; raise ConfigError when no shorter name is possible."""
        return fill(self.text, {name: _VALUES[name](fields) for name in _names(self.text)}, name=fields.path)


def fill(template: str, values: Mapping[str, str], *, name: str) -> str:
    """Put values into a checked template; raise ConfigError when the key for ``name`` is longer than S3 allows."""
    pieces, tail = _pieces(template)
    text = "".join([front + values[name][:length] for front, name, length in pieces]) + tail
    if len(text.encode()) <= _MAX_SEGMENT and "//" not in f"/{text}/":
        return text  # nearly always
    segments = [segment for segment in text.split("/") if segment]
    key = "/".join(map(_shorten, segments))
    if len(key.encode()) > MAX_KEY:
        raise ConfigError([f"the key for {name!r} is longer than {MAX_KEY} bytes: shorten its folders"])
    return key


@lru_cache(maxsize=64)
def _pieces(template: str) -> tuple[tuple[tuple[str, str, int | None], ...], str]:
    """Split a template into (text, placeholder behind it, length of its value) and the text at its end."""
    pieces, end = [], 0
    for match in TOKEN.finditer(template):
        pieces.append((template[end : match.start()], match[1], int(match[2]) if match[2] else None))
        end = match.end()
    return tuple(pieces), template[end:]


@lru_cache(maxsize=64)
def _names(template: str) -> frozenset[str]:
    return frozenset(name for _, name, _ in _pieces(template)[0])


def variant_digest(
    source_digest: str, transform: str, *, version: int = RENDER_VERSION, inputs: Iterable[str] = ()
) -> str:
    """Return the identity (hex) of a rendering: a digest of source, transform and version of the renderer.

    ``inputs`` are the digests of what the transform's layers are made of, in the order of the transform: another logo
    is another picture.
    """
    import hashlib  # OpenSSL takes a while to load, and a run with nothing to do needs none

    return hashlib.sha256("\n".join([source_digest, *inputs, transform, str(version)]).encode()).hexdigest()


def is_reserved(key: str) -> bool:
    """Tell whether a segment of a key is s3img's own folder, also on file systems that do not tell capitals apart."""
    return any(part.rstrip(". ").casefold() == OWN_FOLDER for part in key.split("/"))


def visible_name(name: str) -> str:
    """Return a file's name without dots, blanks, controls and invisible characters in front: "" where none is left.

    All of them go at once, in any order, so that doing it again changes nothing; characters that some file systems
    turn into dots (NFKC) count as dots.
    """
    start = 0
    while start < len(name) and (
        unicodedata.category(name[start])[0] in "CZ" or not unicodedata.normalize("NFKC", name[start]).strip(". ")
    ):
        start += 1
    return name[start:].rstrip()


def values_of(fields: KeyFields) -> dict[str, str]:
    """Return the text of each of ``PLACEHOLDERS``."""
    return {name: value(fields) for name, value in _VALUES.items()}


@lru_cache(maxsize=64)
def _split(path: str) -> tuple[str, str]:
    """Return the folder of a path and its last part as keys may show them; all renderings of an image share it."""
    if OWN_FOLDER in path.casefold():  # a site's folder of that name must not become s3img's own
        path = "/".join(f"-{part[1:]}" if is_reserved(part) else part for part in path.split("/"))
    return posixpath.split(UNSAFE.sub("-", path) if UNSAFE.search(path) else path)


def _stem(fields: KeyFields) -> str:
    return posixpath.splitext(_split(fields.path)[1])[0]


_VALUES: dict[str, Callable[[KeyFields], str]] = {
    "dir": lambda fields: _split(fields.path)[0],
    "stem": _stem,
    "name": _stem,
    "slug": lambda fields: _UNSLUG.sub("-", _stem(fields).lower()).strip("-") or "image",
    "filename": lambda fields: _split(fields.path)[1],
    "hash": attrgetter("digest"),
    "ext": attrgetter("ext"),
    "width": lambda fields: str(fields.width),
    "height": lambda fields: str(fields.height),
}

PLACEHOLDERS = tuple(_VALUES)
"""What a key template may use: facts of the file alone, so that a key never changes while the file stays the same."""


def _shorten(segment: str) -> str:
    """Cut a name that is too long in its middle: hash and extension stand at its end."""
    raw = segment.encode()
    if len(raw) <= _MAX_SEGMENT:
        return segment
    tail = raw[-80:].decode(errors="ignore")
    return raw[: _MAX_SEGMENT - len(tail.encode())].decode(errors="ignore") + tail


def unknown_placeholder(match: re.Match[str], known: Sequence[str]) -> str:
    """Return what is wrong with a placeholder that is not known, "" for one that is."""
    name, position = match[1], match.start()
    if name in known:
        return ""
    near = closest(name, known)
    hint = f"did you mean {{{{{near}}}}}?" if near else f"known are {', '.join(known)}"
    return f"{{{{{name}}}}} at {position} is unknown: {hint}"


def path_problems(text: str) -> list[str]:
    """List what no template of a key may contain, whatever its placeholders stand for."""
    found = []
    rest = TOKEN.sub("x", text)
    if "{{" in rest or "}}" in rest:
        found.append(f"unpaired braces at {max(rest.find('{{'), rest.find('}}'))}: write {{{{name}}}}")
    if text.startswith("/"):
        found.append("a key must not start with '/': remove it")
    if UNSAFE.search(text):
        found.append("a key must not contain control characters or backslashes: remove them")
    if is_reserved(text):
        found.append(f"{OWN_FOLDER} is s3img's own folder: use another")
    if any(part in {"", ".", ".."} for part in rest.strip("/").split("/")) or rest.endswith("/"):
        found.append("an empty, '.' or '..' segment: remove it")
    return found


def template_problems(text: str) -> list[str]:
    """List what would give two images, or two contents of one image, the same key."""
    found = path_problems(text)
    names = {match[1] for match in TOKEN.finditer(text)}
    lengths = [int(m[2]) if m[2] else 64 for m in TOKEN.finditer(text) if m[1] == "hash"]
    if max(lengths, default=0) < _MIN_HASH:
        found.append(f"at least {_MIN_HASH} digits of {{{{hash}}}} are needed, or one content replaces another")
    elif "{{ext}}" not in re.sub(r"\s", "", text):
        found.append("{{ext}} is needed, or two formats of one image share a key")
    elif max(lengths) < 16 and not ("dir" in names and names & {"stem", "name", "slug", "filename"}):
        found.append("without {{dir}} and {{stem}} at least {{hash:16}} is needed to keep images apart")
    return found


def one_line(text: str) -> str:
    """Escape what a name may hold and a line can't: its end, controls of a terminal, marks that turn text round."""
    return re.sub(_UNSHOWN, lambda match: ascii(match[0])[1:-1], text)
