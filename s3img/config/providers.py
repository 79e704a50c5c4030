"""Facts about S3-compatible services from their documentation: addresses, signing, and what they don't implement.

They are used where a setting is not given; a setting that is given wins. ``docs/providers.md`` says the same in words,
with the services' own pages as sources.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import msgspec

from s3img.errors import ConfigError, closest

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANY_REGION = "us-east-1"
"""What many services accept in the place of their own region's name."""

Conditional = Literal["yes", "no", "ignored", "unknown"]
_FORMS = {"region": r"[a-z0-9][a-z0-9-]*", "account": r"[A-Za-z0-9][A-Za-z0-9.-]*", "any": r"[A-Za-z0-9.-]+"}


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one service.

    ``endpoint`` and ``public_url`` are patterns over ``account``, ``region``, ``bucket`` and ``endpoint`` (the one in
    use); an empty endpoint is botocore's choice or, with ``is_self_hosted``, must be given; an empty ``public_url``
    means that there is no usual one. ``hosts`` are the patterns of the addresses that the service has. ``region`` is
    what is signed for when none is given, ``example`` one that the service has. ``checksum`` goes with each object and
    ``deletes_with`` with a list of keys, where ``deletes_many`` says that there are such requests;
    ``conditional_writes`` tells what becomes of ``If-None-Match`` on a PUT, ``takes_forms`` whether browsers can POST
    files with a signed policy (elsewhere they PUT), ``public_by`` how objects are made public.
    """

    name: str
    title: str
    endpoint: str = ""
    hosts: tuple[str, ...] = ()
    region: str = ""
    example: str = ""
    addressing_style: Literal["auto", "virtual", "path"] = "path"
    is_virtual_only: bool = False
    is_self_hosted: bool = False
    checksum: Literal["sha256", "md5"] = "md5"
    conditional_writes: Conditional = "unknown"
    deletes_many: bool = True
    deletes_with: Literal["md5", "crc32"] = "md5"
    takes_forms: bool = True
    public_url: str = "{endpoint}/{bucket}"
    public_by: str = "a bucket policy"

    @property
    def needs(self) -> frozenset[str]:
        """Name the parameters of the endpoint: ``account``, ``region``."""
        return frozenset(name for _, name, _, _ in _fields(self.endpoint) if name)

    def endpoint_url(self, *, account: str, region: str) -> str:
        """Return the address of the service, or "" when a parameter is missing or could change the host."""
        given = {"account": account, "region": region or self.region}
        is_complete = all(re.fullmatch(_FORMS[name], given[name]) for name in self.needs)
        return self.endpoint.format_map(given) if is_complete else ""

    def region_in(self, endpoint_url: str) -> str:
        """Return the region that an address of this service is for; the usual one where it says none."""
        found = next((match for match in self._matches(endpoint_url) if match), None)
        return (found.groupdict().get("region") if found else None) or self.region

    def account_in(self, endpoint_url: str) -> str:
        """Return the account that an address of this service is for; "" where it has none."""
        return next((match.groupdict().get("account") or "" for match in self._matches(endpoint_url) if match), "")

    def moved(self, endpoint_url: str, region: str) -> str:
        """Return the address for another region: of this service's own pattern, never of another host."""
        if not endpoint_url or "{region}" not in self.usual_host:
            return endpoint_url
        # A region comes from a store's answer: it must not be able to lead requests, and their signatures, elsewhere.
        is_own = bool(re.fullmatch(_FORMS["region"], region)) and any(self._matches(endpoint_url))
        return f"{urlsplit(endpoint_url).scheme}://{self.usual_host.format(region=region)}" if is_own else endpoint_url

    def knows(self, endpoint_url: str) -> bool:
        """Tell whether an address is one of this service's own."""
        return any(self._matches(endpoint_url))

    @property
    def usual_host(self) -> str:
        """Return the pattern of the host that most accounts use, "" where none is known."""
        return self.hosts[0] if self.hosts else ""

    def _matches(self, endpoint_url: str) -> Iterator[re.Match[str] | None]:
        host = urlsplit(endpoint_url).hostname or ""
        near = [form for form in self.hosts if host.endswith(form.rpartition("}")[2])]  # only those are compiled
        return (host_pattern(form).fullmatch(host) for form in near)

    def problems(self, *, account: str, region: str, endpoint_url: str, addressing_style: str) -> list[tuple[str, str]]:
        """List (setting, what is missing or contradicts this service and what to write instead)."""
        given = {"account": account, "region": region}
        found: list[tuple[str, str]] = []
        if not endpoint_url:
            if self.is_self_hosted:
                why = f"is needed: {self.title} runs on a host of your own, write its https:// address"
                found.append(("endpoint_url", why))
            missing = [name for name in sorted(self.needs) if not (given[name] or (name == "region" and self.region))]
            found += [(name, f"is needed: {self._form(name)}") for name in missing]
        if account and "account" not in self.needs:
            found.append(("account", f"{self.title} has none in its address: remove it"))
        found += [(name, self._form(name)) for name in sorted(self.needs) if not _is_formed(name, given[name])]
        if endpoint_url and (other := of_endpoint(endpoint_url)).name not in {"", self.name}:
            found.append(("endpoint_url", f"is {other.title}'s, but provider is {self.name!r}: remove one of the two"))
        elif self.region_in(endpoint_url) not in {"", self.region, region} and region not in {"", _ANY_REGION}:
            inside = self.region_in(endpoint_url)
            found.append(("region", f"is {region!r}, but endpoint_url is that of {inside!r}: remove one of the two"))
        if self.is_virtual_only and addressing_style == "path":
            found.append(("addressing_style", f"{self.title} refuses the bucket's name in the path: remove it"))
        return found

    def _form(self, name: str) -> str:
        example = self.example if name == "region" else "0123456789abcdef0123456789abcdef"
        return f"{self.title} has it in its address {self.endpoint or self.usual_host}: write for example {example!r}"


def _is_formed(name: str, text: str) -> bool:
    """Tell whether a value fits into an address; OSS shows regions with an ``oss-``, which its pattern has already."""
    return not text or (re.fullmatch(_FORMS[name], text) is not None and not text.startswith("oss-"))


def _fields(form: str) -> Iterator[tuple[str, str | None, str | None, str | None]]:
    """Split a pattern with ``string.Formatter.parse``."""
    from string import Formatter  # needed only where a store's address is given

    yield from Formatter().parse(form)


@cache
def host_pattern(form: str) -> re.Pattern[str]:
    """Compile a pattern of a host: each placeholder takes only what may stand there."""
    parts = (re.escape(text) + (f"(?P<{name}>{_FORMS[name]})" if name else "") for text, name, _, _ in _fields(form))
    return re.compile("".join(parts))


OTHER = Provider(name="", title="this service")
"""A service that is not in the table."""

PROVIDERS = (
    Provider(
        name="aws",
        title="AWS S3",
        hosts=(
            "s3.{region}.amazonaws.com",
            "s3.dualstack.{region}.amazonaws.com",
            *("{any}.amazonaws.com", "{any}.amazonaws.com.cn", "{any}.amazonaws.eu", "{any}.api.aws"),
        ),
        example="eu-central-1",
        addressing_style="auto",
        checksum="sha256",
        deletes_with="crc32",
        conditional_writes="yes",
        public_url="https://{bucket}.s3.{region}.amazonaws.com",
        public_by="CloudFront, or a bucket policy once Block Public Access is off",
    ),
    Provider(
        name="r2",
        title="Cloudflare R2",
        endpoint="https://{account}.r2.cloudflarestorage.com",
        hosts=("{account}.r2.cloudflarestorage.com",),
        region="auto",
        example="auto",
        conditional_writes="yes",
        takes_forms=False,
        public_url="",
        public_by="a domain of your own that is connected to the bucket",
    ),
    Provider(
        name="b2",
        title="Backblaze B2",
        endpoint="https://s3.{region}.backblazeb2.com",
        hosts=("s3.{region}.backblazeb2.com",),
        example="us-west-004",
        conditional_writes="no",
        public_url="https://{bucket}.s3.{region}.backblazeb2.com",
        public_by="the bucket's setting «Public»",
        takes_forms=False,
    ),
    Provider(
        name="spaces",
        title="DigitalOcean Spaces",
        endpoint="https://{region}.digitaloceanspaces.com",
        hosts=("{region}.digitaloceanspaces.com",),
        example="fra1",
        addressing_style="virtual",
        public_url="https://{bucket}.{region}.digitaloceanspaces.com",
    ),
    Provider(
        name="wasabi",
        title="Wasabi",
        endpoint="https://s3.{region}.wasabisys.com",
        hosts=("s3.{region}.wasabisys.com", "s3.wasabisys.com"),
        region="us-east-1",
        example="eu-central-1",
        public_url="https://s3.{region}.wasabisys.com/{bucket}",
        public_by="a bucket policy, in accounts that support allows to",
    ),
    Provider(
        name="cos",
        title="Tencent COS",
        endpoint="https://cos.{region}.myqcloud.com",
        hosts=("cos.{region}.myqcloud.com", "{any}.myqcloud.com"),
        example="ap-guangzhou",
        addressing_style="virtual",
        is_virtual_only=True,
        conditional_writes="no",
        public_url="https://{bucket}.cos.{region}.myqcloud.com",
        public_by="the bucket's permission «Public read»",
    ),
    Provider(
        name="oss",
        title="Aliyun OSS",
        endpoint="https://s3.oss-{region}.aliyuncs.com",
        hosts=("s3.oss-{region}.aliyuncs.com", "oss-{region}.aliyuncs.com", "{any}.aliyuncs.com"),
        example="cn-hangzhou",
        addressing_style="virtual",
        is_virtual_only=True,
        conditional_writes="no",
        public_url="https://{bucket}.oss-{region}.aliyuncs.com",
        public_by="the bucket's permission «Public Read»",
    ),
    Provider(
        name="gcs",
        title="Google Cloud Storage",
        endpoint="https://storage.googleapis.com",
        hosts=("storage.googleapis.com",),
        region="auto",
        example="auto",
        conditional_writes="ignored",
        deletes_many=False,
        public_url="https://storage.googleapis.com/{bucket}",
        public_by="the role Storage Object Viewer for allUsers",
    ),
    Provider(
        name="hetzner",
        title="Hetzner Object Storage",
        endpoint="https://{region}.your-objectstorage.com",
        hosts=("{region}.your-objectstorage.com",),
        example="fsn1",
        public_url="https://{bucket}.{region}.your-objectstorage.com",
        public_by="the bucket's visibility, or a bucket policy",
    ),
    Provider(
        name="scaleway",
        title="Scaleway Object Storage",
        endpoint="https://s3.{region}.scw.cloud",
        hosts=("s3.{region}.scw.cloud",),
        example="fr-par",
        addressing_style="virtual",
        conditional_writes="yes",
        public_url="https://{bucket}.s3.{region}.scw.cloud",
    ),
    Provider(
        name="tigris",
        title="Tigris",
        endpoint="https://t3.storage.dev",
        hosts=("t3.storage.dev", "fly.storage.tigris.dev"),
        region="auto",
        example="auto",
        addressing_style="virtual",
        conditional_writes="yes",
        deletes_with="crc32",
        public_url="https://{bucket}.t3.tigrisfiles.io",
        public_by="the bucket's access «public»",
    ),
    Provider(
        name="bunny",
        title="Bunny Storage",
        endpoint="https://{region}-s3.storage.bunnycdn.com",
        hosts=("{region}-s3.storage.bunnycdn.com",),
        example="de",
        checksum="sha256",
        public_url="",
        public_by="a pull zone, whose address is the public_url",
    ),
    Provider(
        name="supabase",
        title="Supabase Storage",
        endpoint="https://{account}.storage.supabase.co/storage/v1/s3",
        hosts=("{account}.storage.supabase.co", "{account}.supabase.co"),
        region="us-east-1",
        example="us-east-1",
        public_url="https://{account}.supabase.co/storage/v1/object/public/{bucket}",
        public_by="the bucket's setting «Public bucket»",
    ),
    Provider(name="minio", title="MinIO", region="us-east-1", is_self_hosted=True, conditional_writes="yes"),
    Provider(
        name="garage",
        title="Garage",
        region="garage",
        is_self_hosted=True,
        conditional_writes="no",
        public_url="",
        public_by="its web server, which has an address of its own",
    ),
    Provider(name="seaweedfs", title="SeaweedFS", region="us-east-1", is_self_hosted=True, conditional_writes="yes"),
    Provider(name="ceph", title="Ceph", region="us-east-1", is_self_hosted=True, conditional_writes="yes"),
)
PATHS = frozenset({urlsplit(provider.endpoint).path for provider in PROVIDERS} - {""})
"""Paths that an endpoint may have: all other services have none, and what stands there is a bucket's name."""

_BY_NAME = {provider.name: provider for provider in PROVIDERS}


def named(name: str) -> Provider:
    """Return a provider of the table; raise ConfigError with the nearest name."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    near = closest(name, _BY_NAME)
    hint = f"did you mean {near!r}?" if near else f"known are {', '.join(_BY_NAME)}"
    raise ConfigError([f"{name!r} is unknown: {hint}"])


@lru_cache(maxsize=16)
def of_endpoint(endpoint_url: str) -> Provider:
    """Return the provider whose address this is ("" is AWS's), or `OTHER`."""
    if not endpoint_url:
        return _BY_NAME["aws"]
    return next((provider for provider in PROVIDERS if provider.knows(endpoint_url)), OTHER)
