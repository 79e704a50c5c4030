"""What a request asks for, read from its canonical target; who may ask for it is decided elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from s3img.errors import NotServed, RequestError, RequestTooLarge

Kind = Literal["original", "image", "info"]

MAX_KEY: Final = 1_024
"""Bytes of a key, and of a version's id, that S3 allows."""

RESERVED: Final = ".s3img"
"""Segment of keys that s3img keeps for itself: renderings of private pictures are among them."""

_STEPS: Final = "tr:"
_VANITY: Final = "ik-seo"
_SOURCE: Final = "s3:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Hold one request: ``steps`` is a transform's text, still percent-encoded; None asks for the original.

    ``origin`` names one where the address does, else "" leaves it to the endpoint's order; ``attachment`` is None
    where nothing is said, "" where the key's own name serves.
    """

    kind: Kind
    key: str
    steps: str | None = None
    origin: str = ""
    version: str = ""
    attachment: str | None = None


def parse(target: str) -> Asked:
    """Read ``/tr:STEPS/KEY``, ``/folder/tr:STEPS/rest``, ``/KEY?tr=STEPS``, ``/info/KEY`` and ``/KEY``.

    ``target`` is in the form of `s3img.signing.canonical`: what is read is what was signed. A key may begin with
    ``ik-seo/`` (its last segment is then a vanity name) or ``s3://ORIGIN/``. Raise RequestError, NotServed and
    RequestTooLarge.
    """
    path, _, parameters = target.partition("?")
    query = _query(parameters)
    segments, in_path = _split(path)
    steps = _one_of(in_path, query.get("tr"))
    kind: Kind = "original" if steps is None else "image"
    if segments[0] == "info" and steps is None and len(segments) > 1:
        kind, segments = "info", segments[1:]
    origin, names = _source([_text(segment) for segment in segments])
    return Asked(
        kind=kind,
        key=_key(names),
        steps=steps,
        origin=origin,
        version=_version(query),
        attachment=_attachment(query),
    )


def _split(path: str) -> tuple[list[str], str | None]:
    """Take the first segment that holds steps out of a path; return the others, and the steps."""
    segments = path.split("/")[1:]
    for index, segment in enumerate(segments):
        if segment.startswith(_STEPS):
            return segments[:index] + segments[index + 1 :] or [""], segment.removeprefix(_STEPS)
    return segments or [""], None


def _one_of(in_path: str | None, in_query: str | None) -> str | None:
    if in_path is not None and in_query is not None:
        raise RequestError("The address holds two transforms, in its path and in its query.", fix="Leave one out.")
    return in_query if in_path is None else in_path


def _query(text: str) -> dict[str, str]:
    """Return what parameters say, still percent-encoded; those that we know may stand there once."""
    found: dict[str, str] = {}
    for item in text.split("&"):
        name, _, value = item.partition("=")
        name = _text(name)
        if name in found and name in {"tr", "versionId", "ik-attachment", "ik-attachment-filename"}:
            raise RequestError(f"The address gives {name} twice.", fix="Leave one out.")
        found[name] = value
    return found


def _source(names: list[str]) -> tuple[str, list[str]]:
    """Take ``s3://ORIGIN`` off the front, of which proxies may have squeezed one slash."""
    if names[0] != _SOURCE or len(names) < 3:
        return "", names
    rest = names[2:] if names[1] == "" else names[1:]
    if not rest[0]:
        raise NotServed("The address names no origin.")
    return rest[0], rest[1:]


def _key(names: list[str]) -> str:
    if names[:1] == [_VANITY]:
        names = _without_vanity(names[1:])
    return checked_key("/".join(names))


def checked_key(key: str) -> str:
    """Return a key that origins may be asked for; raise NotServed, RequestTooLarge or RequestError for others."""
    parts = key.split("/")  # an encoded slash separates as well
    if not key or key.endswith("/"):
        raise NotServed("The address names no picture.")
    if len(key.encode()) > MAX_KEY:
        raise RequestTooLarge(f"The key is longer than {MAX_KEY} bytes.", limit="key")
    if "\0" in key or {".", ".."}.intersection(parts):
        raise RequestError("The key has a '.' or '..' segment or a zero byte, which no origin is asked for.")
    if RESERVED in parts:
        raise NotServed("The address names no picture.")
    return key


def _without_vanity(names: list[str]) -> list[str]:
    """Return the real name: what stands before the vanity name, with its suffix."""
    if len(names) < 2 or not names[-2]:
        raise NotServed("The address has no name before its vanity name.")
    _, dot, suffix = names[-1].rpartition(".")
    return [*names[:-2], names[-2] + dot + suffix if dot else names[-2]]


def _version(query: dict[str, str]) -> str:
    version = _text(query.get("versionId", ""))
    if len(version.encode()) > MAX_KEY:
        raise RequestTooLarge(f"The version is longer than {MAX_KEY} bytes.", limit="version")
    return version


def _attachment(query: dict[str, str]) -> str | None:
    name = _text(query.get("ik-attachment-filename", "").replace("+", "%20"))
    wanted = query.get("ik-attachment", "true" if name else "false")
    if wanted not in {"true", "false"}:
        raise RequestError("ik-attachment is true or false.")
    return name if wanted == "true" else None


def _text(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError as error:
        raise RequestError("The address is not UTF-8 when percent-decoded, and keys are.") from error
