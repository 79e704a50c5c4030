"""Where pictures are stored: ``s3://bucket/prefix``, ``file:///folder``, or nothing for inside the site."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

import msgspec

from s3img.config import providers
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from s3img.config.providers import Provider

_BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]\Z")


class S3Address(msgspec.Struct, frozen=True):
    """Name a bucket and the key prefix in it; the prefix is empty or ends without a slash."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


class DirectoryAddress(msgspec.Struct, frozen=True):
    """Name a local folder that serves as a bucket; it has no prefix of its own."""

    path: Path
    prefix: str = ""

    def __str__(self) -> str:
        return "file://" + quote(self.path.as_posix())


_FORMS = "write s3://NAME/PREFIX or file:///FOLDER"
Address = S3Address | DirectoryAddress


def parse(text: str) -> Address:
    """Read the text form of an address; raise ConfigError for anything else, without repeating credentials."""
    text = text.strip()
    if "@" in text:
        raise ConfigError([f"a bucket address must not contain credentials or '@': {_FORMS}"])
    if text.startswith("file:"):
        path = unquote(re.sub(r"^file:(?://(?:localhost)?)?(?=/)", "", text))
        if not path.startswith("/") or path.startswith("//") or path.strip("/") == "" or "\0" in path:
            raise ConfigError([f"{text!r} is not an absolute folder: write file:///FOLDER with three slashes"])
        # file:///C:/pictures is C:/pictures on Windows.
        return DirectoryAddress(Path(path[1:] if re.match(r"/[A-Za-z]:", path) else path))
    if text.startswith(("http://", "https://")):
        problem = f"{text!r} is a web address: write s3://NAME/PREFIX, and the address of the store as endpoint_url"
        raise ConfigError([problem])
    if not text.startswith("s3://"):
        raise ConfigError([f"{text!r} is not a bucket address: {_FORMS}"])
    name, _, prefix = text.removeprefix("s3://").partition("/")
    prefix = prefix.strip("/")
    if not _BUCKET_NAME.match(name):
        raise ConfigError([f"{name!r} can't be a bucket's name (3 to 63 letters, digits, '.', '-'): {_FORMS}"])
    if prefix and any(part in {"", ".", ".."} for part in prefix.split("/")):
        raise ConfigError([f"the prefix of {text!r} has an empty, '.' or '..' segment: remove it"])
    return S3Address(name, prefix)


def default_public_url(
    address: Address, *, endpoint_url: str, region: str, addressing_style: str, provider: Provider | None = None
) -> str:
    """Return the address under which a bucket is usually public, without a final slash.

    ``provider`` is that of the endpoint unless it is given. Raise ConfigError where a service has no such address.
    """
    if isinstance(address, DirectoryAddress):
        return str(address)
    service = provider or providers.of_endpoint(endpoint_url)
    if not service.public_url:
        raise ConfigError([f"public_url is needed: {service.title} makes objects public by {service.public_by}"])
    prefix = f"/{quote(address.prefix)}" if address.prefix else ""
    bucket, style = address.bucket, addressing_style
    region = region or service.region_in(endpoint_url)
    is_complete = bool(region) or "{region}" not in service.public_url
    is_nameable = "." not in bucket or "{bucket}." not in service.public_url  # a certificate covers one label
    if style == "auto" and service.knows(endpoint_url) and is_complete and is_nameable:
        account = service.account_in(endpoint_url)
        return service.public_url.format(bucket=bucket, region=region, account=account) + prefix
    aws = f"https://s3.{region}.amazonaws.com" if region else "https://s3.amazonaws.com"
    parts = urlsplit(endpoint_url or aws)
    usual = "virtual" if service.is_virtual_only or not endpoint_url else "path"
    if (usual if style == "auto" else style) == "path" or "." in bucket or _is_ip(parts.netloc):
        return f"{parts.scheme}://{parts.netloc}/{bucket}{prefix}"
    return f"{parts.scheme}://{bucket}.{parts.netloc}{prefix}"


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.rpartition(":")[0].strip("[]") or host)
    except ValueError:
        return False
    return True
