"""Content-Security-Policy (CSP 3): what a page may load from where, and how to allow images of another origin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from s3img.rewrite import meta_contents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAME = "content-security-policy"
_SOURCE = re.compile(r"(?:([a-z][a-z0-9+.-]*)://)?([^/:]+)(?::([0-9]{1,5}|\*))?(/[^?#]*)?", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}
_HTTP_EQUIV = re.compile(rb"-(?<=http-)equiv", re.IGNORECASE)  # begins with one plain byte: found ten times as fast


IMAGES = ("img-src", "default-src")
STYLE_SHEETS = ("style-src-elem", "style-src", "default-src")
"""Directives about a kind of thing; the first one that a policy has counts (CSP 3, 6.8.3)."""


def allows(policies: Iterable[str], url: str, *, own: str, kind: tuple[str, ...] = IMAGES) -> bool:
    """Tell whether every policy lets a page of the origin ``own`` load ``url``, which is of a ``kind``."""
    return all(policy_allows(policy, url, own, kind) for text in policies for policy in text.split(","))


def extended(policy: str, url: str) -> str:
    """Return a header's value in which every policy allows images of the origin of ``url``."""
    parts = urlsplit(url)
    return ",".join(_extended(one, f"{parts.scheme}://{parts.netloc}") for one in policy.split(","))


def in_page(data: bytes) -> list[str]:
    """Return the policies that a page states in ``<meta>``."""
    # Nearly every page is sorted out here, without being scanned.
    return meta_contents(data, NAME) if _HTTP_EQUIV.search(data) and b"security" in data.lower() else []


def directives(policy: str) -> Iterator[tuple[str, list[str]]]:
    """Yield name and sources of each directive; of two with one name the first counts (CSP 3, section 2.2.1)."""
    seen: set[str] = set()
    for part in policy.split(";"):
        name, *sources = part.split() or [""]
        if name and name.lower() not in seen:
            seen.add(name.lower())
            yield name.lower(), sources


def policy_allows(policy: str, url: str, own: str, kind: tuple[str, ...] = IMAGES) -> bool:
    """Tell whether one policy allows something of a kind."""
    found = dict(directives(policy))
    sources = next((found[name] for name in kind if name in found), None)
    return sources is None or any(source_matches(source, url, own) for source in sources)


def source_matches(source: str, url: str, own: str) -> bool:
    """Tell whether a source expression of a page of ``own`` matches a URL (CSP 3, section 6.7.2.8)."""
    parts = urlsplit(url)
    if source == "*":
        return parts.scheme in _PORTS
    if source.lower() == "'self'":
        return f"{parts.scheme}://{parts.netloc}".lower() == own
    if source.endswith(":"):
        return scheme_fits(source[:-1].lower(), parts.scheme)
    match = None if source.startswith("'") else _SOURCE.fullmatch(source)
    if match is None:
        return False
    scheme, host, port, path = match.groups()
    name, usual = parts.hostname or "", _PORTS.get(parts.scheme)
    host = host.lower()
    return (
        scheme_fits((scheme or urlsplit(own).scheme).lower(), parts.scheme)
        and (name.endswith(host[1:]) if host.startswith("*.") else host in {"*", name})
        and (port == "*" or (parts.port or usual) == (int(port) if port else usual))
        and path_fits(path, parts.path)
    )


def scheme_fits(allowed: str, scheme: str) -> bool:
    """Tell whether a scheme is allowed; a source with http allows https, too."""
    return scheme == allowed or (allowed == "http" and scheme == "https")


def path_fits(allowed: str | None, path: str) -> bool:
    """Tell whether a path is allowed: one that ends in a slash allows all below it, any other only itself."""
    if not allowed or allowed == "/":
        return True
    wanted, given = unquote(allowed), unquote(path)
    return given.startswith(wanted) if wanted.endswith("/") else given == wanted


def _extended(policy: str, source: str) -> str:
    found = dict(directives(policy))
    name = next((name for name in ("img-src", "default-src") if name in found), None)
    if name is None:
        return policy
    # 'none' beside another source has no effect, and browsers warn of it.
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
