"""The address of a request as the client sent it, and what it asks for; who may ask is decided elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, TypeVar
from urllib.parse import quote, unquote_to_bytes

from s3img.errors import NotServed, RequestError, RequestTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIEnvironment

T = TypeVar("T")

MAX_KEY: Final = 1_024
"""Bytes of a key, and of a version's id, that S3 allows."""
MAX_TARGET: Final = 8_192
"""Characters of an address; a longer one is refused before anything is done with it."""
RESERVED: Final = ".s3img"
"""Segment of keys that s3img keeps for itself: renderings of private pictures are among them."""
_REMEMBERED: Final = 2_048
_LONGEST_REMEMBERED: Final = 1_024
"""Characters: pages have shorter addresses, and whoever makes up long ones must not fill the memory with them."""
_ABSOLUTE: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_PIECES: Final = re.compile("/[^/]*|[^/]+")
_SENDABLE: Final = "%/?:@!$&'()*+,;=[]-._~"
_STEPS: Final = "tr:"
_VANITY: Final = "ik-seo"
_SOURCE: Final = "s3:"
_THUMBNAIL: Final = "ik-thumbnail.jpg"
_ONCE: Final = frozenset({"tr", "versionId", "ik-obj-version", "ik-attachment", "ik-attachment-filename"})


def remember_short(function: Callable[..., T]) -> Callable[..., T]:
    """Keep the latest results of a pure function of texts, of those only that are short; errors are never kept."""
    known = lru_cache(_REMEMBERED)(function)

    def call(*texts: str) -> T:
        return known(*texts) if sum(map(len, texts)) <= _LONGEST_REMEMBERED else function(*texts)

    return call


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """Path and query below the place where the service is mounted: ASCII, percent-encoded as received.

    WSGI's own ``PATH_INFO`` is decoded, so it no longer tells ``%2F`` in a key from a slash.
    """

    path: str
    query: str = ""

    def __str__(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    @classmethod
    def of(cls, environ: WSGIEnvironment) -> RequestTarget:
        """Read the target of a WSGI request.

        The raw address is taken where the server tells it and it agrees with PEP 3333's variables, so that
        middleware which moves or rewrites the path is respected; else the decoded path is encoded again.
        """
        get = environ.get
        return _read_target(  # written out, since a loop over the names takes as long as the rest
            get("RAW_URI", ""),
            get("REQUEST_URI", ""),
            get("SCRIPT_NAME", ""),
            get("PATH_INFO", ""),
            get("QUERY_STRING", ""),
        )


@remember_short
def _read_target(raw: str, requested: str, mount: str, decoded: str, query: str) -> RequestTarget:
    if max(map(len, (raw, requested, decoded, query))) > MAX_TARGET:
        raise RequestTooLarge(f"The address is longer than {MAX_TARGET} characters.", limit="address")
    for sent in (raw, requested):
        if (path := _below_mount(sent, mount, decoded)) is not None:
            return RequestTarget(path, _encode(query))
    return RequestTarget(quote(_wsgi_bytes(decoded), safe="/,:"), _encode(query))


def _below_mount(raw: str, mount: str, decoded: str) -> str | None:
    """Return the path of a raw address after ``SCRIPT_NAME``; None where the two don't fit.

    Servers squeeze slashes, repair UTF-8 or keep ``%2F``, so paths are compared without those differences.
    """
    path = _encode(_ABSOLUTE.sub("", raw, count=1).partition("?")[0])
    wanted = _comparable(_wsgi_bytes(mount))
    seen, end = "", 0
    for piece in _PIECES.findall(path):  # each is read once, and only as long as all of them can still be the mount
        if seen == wanted or len(seen) > len(wanted):
            break
        text = _comparable(unquote_to_bytes(piece))
        seen += text.removeprefix("/") if seen.endswith("/") else text
        end += len(piece)
    if seen != wanted:
        return None
    ours, theirs = _comparable(unquote_to_bytes(path[end:])), _wsgi_bytes(decoded)
    return path[end:] if ours in {_comparable(theirs), _comparable(unquote_to_bytes(theirs))} else None


def _comparable(path: bytes) -> str:
    return re.sub("/+", "/", path.decode("utf-8", "replace"))


def _encode(text: str) -> str:
    """Percent-encode bytes that no address may have, which some clients send as they are."""
    return quote(_wsgi_bytes(text), safe=_SENDABLE)


def _wsgi_bytes(text: str) -> bytes:
    """Return the bytes behind a WSGI string, which is Latin-1 by PEP 3333."""
    return text.encode("latin-1", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """What an address asks for: ``steps`` is a transform's text, still percent-encoded; None asks for the original.

    ``origin`` names one where the address does, else "" leaves it to the endpoint's order; ``attachment`` is None
    where none is wanted, "" where the key's own name serves.
    """

    kind: Literal["original", "image", "info"]
    key: str
    steps: str | None = None
    origin: str = ""
    version: str = ""
    attachment: str | None = None


def parse_request(target: str) -> ParsedRequest:
    """Read ``/tr:STEPS/KEY``, ``/folder/tr:STEPS/rest``, ``/KEY?tr=STEPS``, ``/info/KEY`` and ``/KEY``.

    ``target`` is in the form of `s3img.signing.canonical`: what is read is what was signed. A key may begin with
    ``ik-seo/`` (its last segment is then a vanity name) or ``s3://ORIGIN/``, and end in ``/ik-thumbnail.jpg`` (a still
    as JPEG). Raise RequestError, NotServed and
    RequestTooLarge.
    """
    path, _, parameters = target.partition("?")
    query = _query(parameters)
    segments = path.split("/")[1:]
    steps = query.get("tr")
    for index, segment in enumerate(segments):
        if segment.startswith(_STEPS):
            if steps is not None:
                message = "The address has two transforms, in its path and in its query."
                raise RequestError(message, fix="Leave one out.")
            steps = segment.removeprefix(_STEPS)
            segments = segments[:index] + segments[index + 1 :]
            break
    names = [_decode(segment) for segment in segments or [""]]
    if len(names) > 1 and names[-1] == _THUMBNAIL:
        names, steps = names[:-1], f"{steps}:f-jpg" if steps else "f-jpg"
    kind: Literal["original", "image", "info"] = "original" if steps is None else "image"
    if names[0] == "info" and steps is None and len(names) > 1:
        kind, names = "info", names[1:]
    origin, names = _split_origin(names)
    if names[:1] == [_VANITY]:
        names = _without_vanity_name(names[1:])
    version = _decode(query.get("versionId") or query.get("ik-obj-version", ""))
    if len(version.encode()) > MAX_KEY:
        raise RequestTooLarge(f"The version is longer than {MAX_KEY} bytes.", limit="version")
    key = checked_key("/".join(names))
    attachment = _attachment(query)
    return ParsedRequest(kind=kind, key=key, steps=steps, origin=origin, version=version, attachment=attachment)


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


def _query(text: str) -> dict[str, str]:
    """Return the values of parameters, still percent-encoded; those that we know may stand there once."""
    found: dict[str, str] = {}
    for item in text.split("&"):
        name, _, value = item.partition("=")
        name = _decode(name)
        if name in found and name in _ONCE:
            raise RequestError(f"The address gives {name} twice.", fix="Leave one out.")
        found[name] = value
    return found


def _split_origin(names: list[str]) -> tuple[str, list[str]]:
    """Take ``s3://ORIGIN`` off the front, of which proxies may have squeezed one slash."""
    if names[0] != _SOURCE or len(names) < 3:
        return "", names
    rest = names[2:] if names[1] == "" else names[1:]
    if not rest[0]:
        raise NotServed("The address names no origin.")
    return rest[0], rest[1:]


def _without_vanity_name(names: list[str]) -> list[str]:
    """Return the real name: the segment before the vanity name, with the vanity name's suffix."""
    if len(names) < 2 or not names[-2]:
        raise NotServed("The address has no name before its vanity name.")
    _, dot, suffix = names[-1].rpartition(".")
    return [*names[:-2], names[-2] + dot + suffix if dot else names[-2]]


def _attachment(query: dict[str, str]) -> str | None:
    name = _decode(query.get("ik-attachment-filename", "").replace("+", "%20"))
    wanted = query.get("ik-attachment", "true" if name else "false")
    if wanted not in {"true", "false"}:
        raise RequestError("ik-attachment is true or false.")
    return name if wanted == "true" else None


def _decode(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError as error:
        raise RequestError("The address is not UTF-8 when percent-decoded, and keys are.") from error
