"""Settings of other programs in our words: S3 Image Port's exported profiles and ImageKit's origins; pure.

Credentials in them are never taken over; the names of the fields that hold them are, to say what to set.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from s3img.config import providers
from s3img.errors import ConfigError
from s3img.keys import KeyTemplate
from s3img.urls import quote_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NO_FORM = "is neither a profile exported by S3 Image Port nor an origin of ImageKit (JSON)"
_COMPATIBLE = frozenset({"S3", "S3_COMPATIBLE", "DIGITAL_OCEAN_SPACES"})


@dataclass(frozen=True, slots=True)
class Imported:
    """Hold settings of ours, what could not be taken over, and the fields of the file that hold credentials."""

    name: str
    program: str
    values: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    secrets: tuple[str, ...] = ()


def read(text: str, *, name: str = "") -> Imported:
    """Read the profile or origin called ``name``, or the only one; raise ConfigError for anything else."""
    try:
        found = list(_all(json.loads(text)))
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"the file {_NO_FORM}: it is no JSON"]) from error
    except (AttributeError, TypeError, KeyError) as error:
        raise ConfigError([f"the file {_NO_FORM}"]) from error
    names = ", ".join(repr(one.name) for one in found)
    chosen = [one for one in found if not name or one.name == name]
    if not found:
        raise ConfigError([f"the file {_NO_FORM}"])
    if len(chosen) != 1:
        raise ConfigError([f"--name: the file holds {names}: name one of them"])
    return chosen[0]


def _all(data: Any) -> Iterator[Imported]:  # noqa: ANN401 - whatever the file holds
    """Yield what is in a file: one or several, of either program, as each of its versions writes it."""
    if isinstance(data, list):
        for one in data:
            yield from _all(one)
    elif data.get("type") in _COMPATIBLE:
        yield _origin(data)
    elif "s3" in data:  # S3 Image Port 1
        yield _profile("default", data)
    elif "list" in data.get("data", {}):
        yield from (_profile(name, one) for name, one in data["data"]["list"])
    elif "s3" in data.get("data", {}):
        yield _profile(str(data.get("name") or "default"), data["data"])


def _profile(name: str, data: Mapping[str, Any]) -> Imported:
    s3 = data["s3"]
    values, notes = _place(s3.get("endpoint", ""), s3["bucket"], s3.get("includePath", ""), s3.get("region", ""))
    if public := _text(s3.get("pubUrl")):
        prefix = _text(s3.get("includePath")).strip("/")
        values["public_url"] = public.rstrip("/") + (f"/{quote_path(prefix)}" if prefix else "")
    if s3.get("forcePathStyle"):
        values["addressing_style"] = "path"
    upload = data.get("upload") or data.get("app") or {}
    if template := _text(upload.get("keyTemplate")):
        notes += _take_template(template, values)
    if upload.get("compressionOption"):
        notes.append("compressionOption was not taken over: see formats and quality.")
    return Imported(name, "S3 Image Port", values, notes, _filled(s3, "accKeyId", "secretAccessKey"))


def _origin(data: Mapping[str, Any]) -> Imported:
    values, notes = _place(data.get("endpoint", ""), data["bucket"], data.get("prefix", ""), "")
    if data.get("s3ForcePathStyle"):
        values["addressing_style"] = "path"
    if data.get("includeCanonicalHeader"):
        notes.append(f"the canonical header was for {_text(data.get('baseUrlForCanonicalHeader'))}.")
    if data.get("useIAMRole"):
        notes.append("useIAMRole: the role of this machine is found by itself; set role_arn for another one.")
    notes.append("public_url is not part of an origin: set it to the address that visitors use.")
    return Imported(_text(data.get("name")), "ImageKit", values, notes, _filled(data, "accessKey", "secretKey"))


def _place(endpoint: str, bucket: str, prefix: str, region: str) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that say where the bucket is; a bucket's name in the endpoint is taken out of it."""
    endpoint, bucket, prefix = _text(endpoint), _text(bucket), _text(prefix).strip("/")
    notes = []
    url = endpoint if "://" in endpoint or not endpoint else f"https://{endpoint}"
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ConfigError(["endpoint: holds credentials: remove them from the file"])
    if parts.path.strip("/") == bucket or parts.netloc.startswith(f"{bucket}."):
        notes.append("the endpoint held the bucket's name, which was taken out of it.")
    host = parts.netloc.removeprefix(f"{bucket}.")
    values: dict[str, Any] = {"bucket": f"s3://{bucket}" + (f"/{prefix}" if prefix else "")}
    region = _text(region)
    if host and providers.of_endpoint(f"{parts.scheme}://{host}").name == "aws":
        region = region or providers.of_endpoint(f"https://{host}").region_in(f"https://{host}")
    elif host:
        values["endpoint_url"] = f"{parts.scheme}://{host}"
    return {**values, "region": region}, notes


def _take_template(template: str, values: dict[str, Any]) -> list[str]:
    try:
        values["key_template"] = str(KeyTemplate.parse(template))
    except ConfigError:
        why = "it is for uploads, and key_template takes only what follows from the file"
        return [f"keyTemplate was not taken over, because {why}: `s3img upload --template {template!r}`."]
    return []


def _filled(data: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(name for name in names if data.get(name))


def _text(value: Any) -> str:  # noqa: ANN401 - whatever the file holds
    return value.strip() if isinstance(value, str) else ""
