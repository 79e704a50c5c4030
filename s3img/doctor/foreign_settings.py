"""Read settings of other programs: S3 Image Port, ImageKit, PicGo, PicList and Sveltia CMS. Pure.

Credentials in them are never copied, only the names of their fields, to say which variables to set.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from s3img.config import providers
from s3img.errors import DECODE_ERRORS, ConfigError
from s3img.keys import KeyTemplate
from s3img.urls import quote_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_EXPECTED = (
    "must be a profile exported by S3 Image Port, an origin of ImageKit, the data.json of PicGo or PicList, or the "
    "configuration of Sveltia CMS"
)
_COMPATIBLE = frozenset({"S3", "S3_COMPATIBLE", "DIGITAL_OCEAN_SPACES", "CLOUDINARY_BACKUP"})
_LONGEST_YAML: Final = 200_000
"""Characters, and nodes: a site's configuration has some thousands."""
_DEEPEST_YAML: Final = 100
"""Lists and tables in each other: PyYAML goes over all of them again for each word."""
_URL_BEFORE_KEY = re.compile(r"(https?://[^{}?#]+?)/*\{(?:path|encodedKey)\}")


@dataclass(frozen=True, slots=True)
class Imported:
    """Settings of s3img, notes on what could not be copied, and the names of the fields that have credentials."""

    name: str
    program: str
    values: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    secrets: tuple[str, ...] = ()


def read(text: str, *, name: str = "") -> Imported:
    """Read the profile or origin called ``name``, or the only one; raise ConfigError for anything else."""
    try:
        data = parsed(text)
        json.dumps(data, ensure_ascii=False, skipkeys=True, default=str).encode()  # refuses half a surrogate pair
        found = list(entries(data))
    except DECODE_ERRORS as error:
        raise ConfigError([f"the file {_EXPECTED}: it is not valid JSON"]) from error
    except (AttributeError, TypeError, KeyError) as error:
        raise ConfigError([f"the file {_EXPECTED}"]) from error
    names = ", ".join(repr(one.name) for one in found)
    chosen = [one for one in found if not name or one.name == name]
    if not found:
        raise ConfigError([f"the file {_EXPECTED}"])
    if len(chosen) != 1:
        raise ConfigError([f"--name: the file has {names}: choose one of them"])
    if re.search(r'://[^/"]*@', json.dumps(chosen[0].values)):
        raise ConfigError(["an address contains credentials: remove what is between // and @, and the @"])
    return chosen[0]


def parsed(text: str) -> Any:  # noqa: ANN401 - JSON or YAML of any form
    """Read JSON, or the YAML that Sveltia's file is usually written in; raise ValueError and ConfigError."""
    if "media_librar" not in text or text.lstrip().startswith("{"):
        return json.loads(text)
    try:
        import yaml  # comes with MkDocs; s3img itself needs none
    except ImportError as error:
        raise ConfigError(
            ["the file is YAML, and PyYAML, which reads it, is not installed: pip install PyYAML"]
        ) from error
    check_extent(yaml, text)
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, *DECODE_ERRORS) as error:
        raise ConfigError([f"the file {_EXPECTED}: it is not valid YAML"]) from error


def check_extent(yaml: Any, text: str) -> None:  # noqa: ANN401 - PyYAML ships no types
    """Raise ConfigError for a YAML of too many nodes, each alias being what it stands for, or in too many levels."""
    sizes: dict[str, int] = {}
    open_: list[tuple[str, int]] = []
    count = 0
    try:
        for event in yaml.parse(text, yaml.SafeLoader) if len(text) <= _LONGEST_YAML else ():
            if isinstance(event, yaml.AliasEvent):
                count += sizes.get(event.anchor, 0)
            elif isinstance(event, yaml.NodeEvent):
                count += 1
                if isinstance(event, yaml.CollectionStartEvent):
                    open_.append((event.anchor, count))
                elif event.anchor:
                    sizes[event.anchor] = 1
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, before = open_.pop()
                sizes[anchor] = count - before + 1
            if len(open_) > _DEEPEST_YAML:
                raise ConfigError([f"the file {_EXPECTED}: it is nested too deeply"])
    except yaml.YAMLError:  # reading it tells
        return
    if max(count, len(text)) > _LONGEST_YAML:
        raise ConfigError([f"the file {_EXPECTED}: it is too long"])


def entries(data: Any) -> Iterator[Imported]:  # noqa: ANN401 - JSON of any form
    """Yield all entries of a file, in the format of any of these programs and their versions."""
    if isinstance(data, list):
        for one in data:
            if not isinstance(one, list):  # which no program writes
                yield from entries(one)
    elif "media_libraries" in data or "media_library" in data:
        yield from sveltia_libraries(data)
    elif "picBed" in data or "uploader" in data:
        yield from picgo_configurations(data)
    elif data.get("type") in _COMPATIBLE:
        yield imagekit_origin(data)
    elif "s3" in data:  # S3 Image Port 1
        yield image_port_profile("default", data)
    elif "list" in data.get("data", {}):
        yield from (image_port_profile(name, one) for name, one in data["data"]["list"])
    elif "s3" in data.get("data", {}):
        yield image_port_profile(str(data.get("name") or "default"), data["data"])


def image_port_profile(name: str, data: Mapping[str, Any]) -> Imported:
    """Read one profile of S3 Image Port."""
    s3 = data["s3"]
    values, notes = _place(s3.get("endpoint", ""), s3["bucket"], s3.get("includePath", ""), s3.get("region", ""))
    values["public_url"] = _public_url(s3.get("pubUrl"), s3.get("includePath"))
    if s3.get("forcePathStyle"):
        values["addressing_style"] = "path"
    upload = data.get("upload") or data.get("app") or {}
    if template := _text(upload.get("keyTemplate")):
        try:
            values["key_template"] = str(KeyTemplate.parse(template))
        except ConfigError:
            why = "it is for uploads, and key_template can only use facts of the file"
            notes.append(f"keyTemplate was not copied, because {why}: `s3img upload --template {template!r}`.")
    if upload.get("compressionOption"):
        notes.append("compressionOption was not copied: see formats and quality.")
    return Imported(name, "S3 Image Port", values, notes, _filled(s3, "accKeyId", "secretAccessKey"))


SVELTIA_PROVIDERS: Final = {
    "aws_s3": "aws",
    "cloudflare_r2": "r2",
    "backblaze_b2": "b2",
    "digitalocean_spaces": "spaces",
    "scaleway_object_storage": "scaleway",
    "bunny_storage": "bunny",
    "supabase_storage": "supabase",
}
"""Services of Sveltia CMS that s3img knows by name; the others need their endpoint."""


def sveltia_libraries(data: Mapping[str, Any]) -> Iterator[Imported]:
    """Read all S3 stores of a Sveltia CMS configuration, in either of its two forms."""
    found = {name: one for name, one in (data.get("media_libraries") or {}).items() if isinstance(one, dict)}
    single = data.get("media_library")
    if isinstance(single, dict) and "name" in single:
        found.setdefault(_text(single["name"]), {**single, **(single.get("config") or {})})
    for name, one in found.items():
        if "bucket" in one:
            yield sveltia_library(name, one)


def sveltia_library(name: str, one: Mapping[str, Any]) -> Imported:
    """Read one S3 store of Sveltia CMS."""
    values, notes = _place(one.get("endpoint", ""), one["bucket"], one.get("prefix", ""), one.get("region", ""))
    jurisdiction = _text(one.get("jurisdiction"))
    account = _text(one.get("account_id"))
    if name == "cloudflare_r2" and jurisdiction not in {"", "default"} and "endpoint_url" not in values:
        values["endpoint_url"] = f"https://{account}.{jurisdiction}.r2.cloudflarestorage.com"
    elif "endpoint_url" not in values and name in SVELTIA_PROVIDERS:
        values["provider"] = SVELTIA_PROVIDERS[name]
        values["account"] = account or _text(one.get("project_id"))
    elif "endpoint_url" not in values:
        notes.append(f"endpoint_url: write the S3 address of {name.replace('_', ' ')}.")
    values["public_url"] = _public_url(one.get("public_url"), one.get("prefix"))
    if one.get("force_path_style"):
        values["addressing_style"] = "path"
    return Imported(name, "Sveltia CMS", values, notes, _filled(one, "access_key_id"))


def imagekit_origin(data: Mapping[str, Any]) -> Imported:
    """Read one S3 origin as ImageKit's API and dashboard write it."""
    values, notes = _place(data.get("endpoint", ""), data["bucket"], data.get("prefix", ""), "")
    if data.get("s3ForcePathStyle"):
        values["addressing_style"] = "path"
    if data.get("includeCanonicalHeader") and (canonical := _text(data.get("baseUrlForCanonicalHeader"))):
        name = re.sub(r"[^a-z0-9]+", "-", _text(data.get("name")).lower()).strip("-")[:32] or "origin"
        values["origins"] = {name: {"bucket": values["bucket"], "canonical_url": canonical}}
    if data.get("useIAMRole"):
        notes.append("useIAMRole: the role of this machine is found by itself; set role_arn for another one.")
    notes.append("public_url is not part of an origin: set it to the address that visitors use.")
    return Imported(_text(data.get("name")), "ImageKit", values, notes, _filled(data, "accessKey", "secretKey"))


def picgo_configurations(data: Mapping[str, Any]) -> Iterator[Imported]:
    """Read all named configurations of PicGo's two plugins for S3 and PicList's own uploader, else the one in use."""
    bed: Mapping[str, Any] = data.get("picBed", {})
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for kind, program in (("aws-s3", "PicGo"), ("s3-uploader", "PicGo"), ("aws-s3-plist", "PicList")):
        listed = data.get("uploader", {}).get(kind, {}).get("configList") or []
        for one in [*listed, *([bed[kind]] if kind in bed else [])]:
            # The configuration in use is listed, too, in new versions: the first of a name counts.
            found.setdefault(_text(one.get("_configName")) or kind, (program, one))
    for name, (program, one) in found.items():
        yield picgo_configuration(name, program, one)


def picgo_configuration(name: str, program: str, data: Mapping[str, Any]) -> Imported:
    """Read one configuration of PicGo's plugins or of PicList."""
    bucket, template = _text(data["bucketName"]), _text(data.get("uploadPath"))
    prefix = template.partition("{")[0].rpartition("/")[0]
    values, notes = _place(data.get("endpoint") or "", bucket, prefix, data.get("region") or "")
    pattern = _text(data.get("outputURLPattern"))  # which has taken the place of urlPrefix
    if known := _URL_BEFORE_KEY.fullmatch(pattern):
        values["public_url"] = _public_url(known[1], prefix)
    else:
        in_path = data.get("pathStyleAccess") and not data.get("disableBucketPrefixToURL")
        values["public_url"] = _public_url(data.get("urlPrefix"), bucket if in_path else "", prefix)
    if data.get("pathStyleAccess"):
        values["addressing_style"] = "path"
    remarks = {
        f"uploadPath {template!r} names uploads: `s3img upload --template`, see docs/uploads.md.": "{" in template,
        f"outputURLPattern {pattern!r} was not copied: set public_url to what is before the key.": pattern
        and not known,
        f"acl {_text(data.get('acl'))!r} was not copied: s3img sets none, a policy makes objects public.": data.get(
            "acl"
        ),
        "rejectUnauthorized = false was not copied: set AWS_CA_BUNDLE to the authority's file.": (
            data.get("rejectUnauthorized") is False
        ),
        "proxy was not copied: set HTTPS_PROXY in the environment.": data.get("proxy"),
    }
    notes += [remark for remark, applies in remarks.items() if applies]
    return Imported(name, program, values, notes, _filled(data, "accessKeyID", "secretAccessKey"))


def _place(endpoint: str, bucket: str, prefix: str, region: str) -> tuple[dict[str, Any], list[str]]:
    """Return the settings for the place of the bucket; its name is taken out of the endpoint."""
    endpoint, bucket, prefix = _text(endpoint), _text(bucket), _text(prefix).strip("/")
    notes = []
    url = endpoint if "://" in endpoint or not endpoint else f"https://{endpoint}"
    parts = urlsplit(url)
    if parts.path.strip("/") == bucket or parts.netloc.startswith(f"{bucket}."):
        notes.append("the endpoint contained the bucket's name, which was taken out of it.")
    host = parts.netloc.removeprefix(f"{bucket}.")
    values: dict[str, Any] = {"bucket": f"s3://{bucket}" + (f"/{prefix}" if prefix else "")}
    region = _text(region)
    if host and providers.of_endpoint(f"{parts.scheme}://{host}").name == "aws":
        region = region or providers.of_endpoint(f"https://{host}").region_in(f"https://{host}")
    elif host:
        values["endpoint_url"] = f"{parts.scheme}://{host}"
    return {**values, "region": region}, notes


def _public_url(base: Any, *path: Any) -> str:  # noqa: ANN401 - JSON of any form
    """Return an address with the parts of a path behind it, "" for none."""
    parts = [_text(base).rstrip("/"), *(quote_path(_text(part).strip("/")) for part in path)]
    return "/".join(filter(None, parts)) if parts[0] else ""


def _filled(data: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(name for name in names if data.get(name))


def _text(value: Any) -> str:  # noqa: ANN401 - JSON of any form
    return value.strip() if isinstance(value, str) else ""
