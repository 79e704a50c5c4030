"""Content-Security-Policy: may a page show images of another origin, and how a policy is extended (CSP 3)."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAME = "content-security-policy"
_META = re.compile(rb"<meta\s[^>]*http-equiv\s*=\s*[\"']?content-security-policy[^>]*>", re.IGNORECASE)
_CONTENT = re.compile(rb"\scontent\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_SOURCE = re.compile(r"(?:([a-z][a-z0-9+.-]*)://)?([^/:]+)(?::([0-9]{1,5}|\*))?(/[^?#]*)?", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def allows(policies: Iterable[str], url: str, *, own: str) -> bool:
    """Tell whether every policy lets a page of the origin ``own`` show an image from ``url``."""
    return all(_allows(policy, url, own) for text in policies for policy in text.split(","))


def extended(policy: str, url: str) -> str:
    """Return a header's value in which every policy allows images of the origin of ``url``."""
    parts = urlsplit(url)
    return ",".join(_extended(one, f"{parts.scheme}://{parts.netloc}") for one in policy.split(","))


def in_page(data: bytes) -> list[str]:
    """Return the policies that a page states in ``<meta>``."""
    tags = (_CONTENT.search(tag[0]) for tag in _META.finditer(data)) if b"ecurity-" in data else ()
    return [unescape((found[1] or found[2] or b"").decode("utf-8", "replace")) for found in tags if found]


def _directives(policy: str) -> Iterator[tuple[str, list[str]]]:
    """Yield name and sources of each directive; of two with one name the first counts."""
    seen: set[str] = set()
    for part in policy.split(";"):
        name, *sources = part.split() or [""]
        if name and name.lower() not in seen:
            seen.add(name.lower())
            yield name.lower(), sources


def _allows(policy: str, url: str, own: str) -> bool:
    directives = dict(_directives(policy))
    sources = directives.get("img-src", directives.get("default-src"))
    return sources is None or any(_matches(source, url, own) for source in sources)


def _matches(source: str, url: str, own: str) -> bool:
    parts = urlsplit(url)
    if source == "*":
        return parts.scheme in _PORTS
    if source.lower() == "'self'":
        return f"{parts.scheme}://{parts.netloc}".lower() == own
    if source.endswith(":"):
        return _fits_scheme(source[:-1].lower(), parts.scheme)
    match = None if source.startswith("'") else _SOURCE.fullmatch(source)
    if match is None:
        return False
    scheme, host, port, path = match.groups()
    fits = _fits_scheme((scheme or urlsplit(own).scheme).lower(), parts.scheme)
    return fits and _fits_host(host, parts.hostname or "") and _fits_port(port, url) and _fits_path(path, parts.path)


def _fits_scheme(allowed: str, scheme: str) -> bool:
    return scheme == allowed or (allowed == "http" and scheme == "https")


def _fits_host(allowed: str, host: str) -> bool:
    allowed = allowed.lower()
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else allowed in {"*", host}


def _fits_port(allowed: str | None, url: str) -> bool:
    parts = urlsplit(url)
    usual = _PORTS.get(parts.scheme)
    return allowed == "*" or (parts.port or usual) == (int(allowed) if allowed else usual)


def _fits_path(allowed: str | None, path: str) -> bool:
    """Compare paths: one that ends in a slash allows all below it, another one itself."""
    if not allowed or allowed == "/":
        return True
    wanted, given = unquote(allowed), unquote(path)
    return given.startswith(wanted) if wanted.endswith("/") else given == wanted


def _extended(policy: str, source: str) -> str:
    found = dict(_directives(policy))
    name = next((name for name in ("img-src", "default-src") if name in found), None)
    if name is None:
        return policy
    sources = [one for one in found[name] if one.lower() != "'none'"]
    if name == "default-src":
        return f"{policy.rstrip().rstrip(';')}; img-src {' '.join([*sources, source])}"
    done = False
    parts = policy.split(";")
    for number, part in enumerate(parts):
        if not done and part.split()[:1] and part.split()[0].lower() == "img-src":
            parts[number] = f"{part[: len(part) - len(part.lstrip())]}img-src {' '.join([*sources, source])}"
            done = True
    return ";".join(parts)
