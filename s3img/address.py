"""Where pictures are stored: ``s3://bucket/prefix``, ``file:///folder``, or nothing for inside the site."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from s3img.errors import ConfigError

_BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]\Z")
VIRTUAL_ONLY = (".myqcloud.com", ".aliyuncs.com")
"""Stores that refuse the bucket's name in the path (403 PathStyleDomainForbidden, SecondLevelDomainForbidden)."""

_PRIVATE_ENDPOINTS = (".r2.cloudflarestorage.com",)


@dataclass(frozen=True, slots=True)
class S3Address:
    """Name a bucket and the key prefix in it; the prefix is empty or ends without a slash."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


@dataclass(frozen=True, slots=True)
class DirectoryAddress:
    """Name a local folder that serves as a bucket; it has no prefix of its own."""

    path: Path
    prefix: str = ""

    def __str__(self) -> str:
        return "file://" + quote(self.path.as_posix())


_FORMS = "write s3://NAME/PREFIX or file:///FOLDER"
Address = S3Address | DirectoryAddress


def parse(text: str) -> Address:
    """Read the text form of an address; raise ConfigError for anything else, without repeating a secret."""
    text = text.strip()
    if "@" in text:
        raise ConfigError([f"a bucket address holds no credentials and no '@': {_FORMS}"])
    if text.startswith("s3://"):
        return _parse_s3(text)
    if text.startswith("file:"):
        return _parse_directory(text)
    raise ConfigError([f"{text!r} is no bucket address: {_FORMS}"])


def _parse_s3(text: str) -> S3Address:
    name, _, prefix = text.removeprefix("s3://").partition("/")
    prefix = prefix.strip("/")
    if not _BUCKET_NAME.match(name):
        raise ConfigError([f"{text!r} names no bucket: {_FORMS}"])
    if prefix and any(part in {"", ".", ".."} for part in prefix.split("/")):
        raise ConfigError([f"the prefix of {text!r} has an empty, '.' or '..' segment: remove it"])
    return S3Address(name, prefix)


def _parse_directory(text: str) -> DirectoryAddress:
    path = unquote(re.sub(r"^file:(?://(?:localhost)?)?(?=/)", "", text))
    if not path.startswith("/") or path.startswith("//") or path.strip("/") == "" or "\0" in path:
        raise ConfigError([f"{text!r} is no absolute folder: write file:///FOLDER with three slashes"])
    return DirectoryAddress(Path(path[1:] if re.match(r"/[A-Za-z]:", path) else path))


def default_public_url(address: Address, *, endpoint_url: str, region: str, addressing_style: str) -> str:
    """Return the address under which a bucket is usually public, without a final slash.

    Raise ConfigError where a provider's API endpoint is never public.
    """
    if isinstance(address, DirectoryAddress):
        return str(address)
    tail = f"/{quote(address.prefix)}" if address.prefix else ""
    if not endpoint_url:
        host = f"s3.{region}.amazonaws.com" if region else "s3.amazonaws.com"
        return _join("https", host, address.bucket, style=addressing_style) + tail
    parts = urlsplit(endpoint_url)
    if parts.hostname and parts.hostname.endswith(_PRIVATE_ENDPOINTS):
        raise ConfigError([f"public_url is needed: {parts.hostname} is never public, name the bucket's own domain"])
    is_virtual = parts.hostname is not None and parts.hostname.endswith(VIRTUAL_ONLY)
    style = ("virtual" if is_virtual else "path") if addressing_style == "auto" else addressing_style
    return _join(parts.scheme, parts.netloc, address.bucket, style=style) + tail


def _join(scheme: str, host: str, bucket: str, *, style: str) -> str:
    if style == "path" or "." in bucket or _is_ip(host):
        return f"{scheme}://{host}/{bucket}"
    return f"{scheme}://{bucket}.{host}"


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.rpartition(":")[0].strip("[]") or host)
    except ValueError:
        return False
    return True
