"""Addresses of files and objects; every character but RFC 3986's unreserved ones is percent-encoded.

Commas and plus signs are encoded too: many tools split a ``srcset`` at commas, and some stores read ``+`` as a blank.
"""

from __future__ import annotations

import base64
import os
import posixpath
import re
from urllib.parse import quote

# Compiled when they are used: most runs resolve nothing.
_DROPPED_BY_BROWSERS = r"[\t\n\r]"
_SOURCE_SAFE = ":/-._~"  # an @ would begin the extension, a ? the query
_ENCODED_DOT = r"%2[eE]"


def clean_url(url: str) -> tuple[str, str]:
    """Return a URL as browsers read it (WHATWG URL, 4.4), and its tail: the query and fragment it ends in.

    Tabs and line ends are dropped; in the path, backslashes are slashes and ``%2e`` is a dot.
    """
    url = re.sub(_DROPPED_BY_BROWSERS, "", url)
    mark = re.search(r"[?#]", url)
    path, tail = (url[: mark.start()], url[mark.start() :]) if mark else (url, "")
    return re.sub(_ENCODED_DOT, ".", path.replace("\\", "/")) + tail, tail


def quote_path(path: str) -> str:
    """Percent-encode a slash-separated path; names that are not UTF-8 keep their bytes."""
    return quote(os.fsencode(path), safe="/-._~")


def object_url(base_url: str, key: str) -> str:
    """Return the public URL of a key; ``base_url`` is the public address of bucket and prefix."""
    return f"{base_url.rstrip('/')}/{quote_path(key)}"


def relative_url(path: str, *, start: str) -> str:
    """Return the URL of ``path`` as seen from the folder ``start``; both lie below the same root."""
    # As posixpath.relpath, which asks for the working directory twice: pages have thousands of these.
    there, here = ([p for p in posixpath.normpath(one).split("/") if p != "."] for one in (path, start))
    common = 0
    while common < min(len(here), len(there)) and here[common] == there[common]:
        common += 1
    return quote_path("/".join([*[".."] * (len(here) - common), *there[common:]]) or ".")


def imgproxy_signature(path: str, *, key: bytes, salt: bytes, size: int = 32) -> str:
    """Return what imgproxy expects in front of ``path``: HMAC-SHA256 of salt and path, cut to ``size`` bytes.

    ``path`` is what follows the signature, with its slash, percent-encoded as it will be sent, without a query.
    """
    import hmac  # most runs sign nothing

    digest = hmac.digest(key, salt + path.encode(), "sha256")[:size]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def imgproxy_url(
    source: str,
    options: str = "",
    *,
    base_url: str = "",
    key: str = "",
    salt: str = "",
    signature_size: int = 32,
    extension: str = "",
    encoded: bool = False,
) -> str:
    """Return imgproxy's address of a source (``s3://bucket/key``) under ``options`` (``rs:fill:300:200/q:80``).

    ``key`` and ``salt`` are hexadecimal, as imgproxy has them; without them the word ``unsafe`` stands where the
    signature belongs. ``extension`` is the format to write; ``encoded`` writes the source in base64 instead of plain.
    Raise ValueError for a key or salt that is not hexadecimal.
    """
    if encoded:
        text = base64.urlsafe_b64encode(source.encode()).rstrip(b"=").decode() + (f".{extension}" if extension else "")
    else:
        text = f"plain/{quote(source, safe=_SOURCE_SAFE)}" + (f"@{extension}" if extension else "")
    path = "/".join(["", *([options.strip("/")] if options else []), text])
    if not key:
        return f"{base_url.rstrip('/')}/unsafe{path}"
    signature = imgproxy_signature(path, key=bytes.fromhex(key), salt=bytes.fromhex(salt), size=signature_size)
    return f"{base_url.rstrip('/')}/{signature}{path}"


_IMAGEKIT_NEVER = "9999999999"


def imagekit_signature(target: str, *, key: bytes, expires: int | None = None) -> str:
    """Return ImageKit's ``ik-s`` for an address after its endpoint, percent-encoded as it will be sent.

    It is HMAC-SHA1 in hex of the address without its first slash, followed by ``expires`` (Unix seconds) or, without
    one, by 9999999999.
    """
    import hmac  # most runs sign nothing

    until = _IMAGEKIT_NEVER if expires is None else str(expires)
    return hmac.digest(key, (target.removeprefix("/") + until).encode(), "sha1").hex()


def imagekit_signed(target: str, *, key: bytes, expires: int | None = None) -> str:
    """Return an address after its endpoint with its expiry, if any, and its signature."""
    expiry = "" if expires is None else f"ik-t={expires}&"
    signature = imagekit_signature(target, key=key, expires=expires)
    return f"{target}{'&' if '?' in target else '?'}{expiry}ik-s={signature}"


def imagekit_url(
    endpoint: str,
    path: str,
    transform: object = "",
    *,
    private_key: str = "",
    expires: int | None = None,
    position: str = "query",
) -> str:
    """Return an address in ImageKit's form, as its own libraries write it.

    ``endpoint`` is the public address of ImageKit's, or of a service of ours; ``path`` is a key, not yet
    percent-encoded; ``transform`` is a text or a ``Transform``, which stands in the ``query`` or, by ``position``, as
    the first segment of the ``path``. With ``private_key`` it is signed, until ``expires`` (Unix seconds).
    Raise ValueError for another position, or an expiry that ImageKit's scheme has no room for.
    """
    if position not in {"query", "path"}:
        raise ValueError(f"position is query or path, not {position!r}")
    if expires is not None and not 10**9 <= expires < 10**10:
        raise ValueError(f"expires has ten digits, and {expires} has not")
    # In a query, & would end the value, and + stand for a blank.
    safe = PATH_CHARACTERS if position == "path" else PATH_CHARACTERS.translate({ord("&"): None, ord("+"): None})
    steps = quote(str(transform), safe=f"{safe}%")
    target = quote(os.fsencode(path.lstrip("/")), safe=PATH_CHARACTERS)
    if steps:
        target = f"tr:{steps}/{target}" if position == "path" else f"{target}?tr={steps}"
    signed = imagekit_signed(target, key=private_key.encode(), expires=expires) if private_key else target
    return f"{endpoint.rstrip('/')}/{signed}"


PATH_CHARACTERS = "/!$&'()*+,;=:@-._~"
"""What may stand in a path as it is (RFC 3986, section 3.3): ImageKit's libraries encode nothing else."""
