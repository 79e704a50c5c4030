"""Every setting, frozen, read once at the edge; all problems of all places are reported together.

Precedence: command line > ``S3IMG_*`` environment > host (``mkdocs.yml``, ``app.config``) > ``s3img.toml`` >
``[tool.s3img]`` in ``pyproject.toml`` > defaults.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit

import msgspec
from msgspec.structs import force_setattr

from s3img.config import address, providers
from s3img.config.imgproxy import ImgproxySettings
from s3img.config.service import (
    NO_RESULTS,
    Access,
    Endpoint,
    Origin,
    ServiceSettings,
    StoreSettings,
    endpoint_at,
    is_absolute_url,
    problems_of,
    service_problems,
    shown_url,
)
from s3img.config.type_problems import type_problem
from s3img.errors import ConfigError, TransformError, closest
from s3img.keys import KeyTemplate
from s3img.limits import Limits

Format = Literal["avif", "webp", "jpeg", "png"]
DEFAULT_KEY_TEMPLATE = "{{dir}}/{{stem}}.{{hash:8}}.{{ext}}"
LOCK_NAME = "s3img.lock"
SECRET_SETTINGS = frozenset({"signing_keys", "imagekit_private_key"})
"""Settings that are never shown and never read from a file."""

_TABLES: dict[str, Any] = {
    "origins": dict[str, Origin],
    "endpoints": dict[str, Endpoint],
    "service": ServiceSettings,
    "imgproxy": ImgproxySettings | None,
}


class Quality(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Set the encoder quality of each lossy format, 1 to 100; the defaults look alike to the eye."""

    jpeg: int = 80
    webp: int = 82
    avif: int = 67


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Set ``data-s3img*`` attributes for images whose path fits the glob ``match``; an image's own attributes win."""

    match: str
    s3img: str = ""
    widths: tuple[int, ...] = ()
    formats: tuple[Format, ...] = ()
    layout: Literal["", "constrained", "fixed", "full", "none"] = ""
    placeholder: Literal["", "color", "lqip", "none"] = ""
    markup: Literal["", "auto", "picture", "img"] = ""
    focus: str = ""


LOCAL_EXECUTORS: Final = ("threads", "processes", "dask")
"""What renders on this machine and runs no code but our own, so that any file of settings may name it."""


class Config(StoreSettings, msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of s3img; every one is optional.

    Without a ``bucket``, pictures stay inside the site. ``public_url`` is the public address of what ``bucket`` names,
    prefix included. ``widths`` in px; ``quality`` per format; ``subsampling`` of colour in AVIF and JPEG; ``workers``
    uploads at a time; ``deadline`` in seconds, after which a run begins no further upload (0: none); ``executor`` is
    what renders; ``check_public``: a publish asks for one object as a visitor would before it changes pages;
    ``variants``: a sync of folders renders too. Raise ConfigError listing every problem.
    """

    public_url: str = ""
    key_template: str = DEFAULT_KEY_TEMPLATE
    widths: tuple[int, ...] = (320, 640, 960, 1280, 1920)
    formats: tuple[Format, ...] = ("avif", "webp")
    quality: Quality = Quality()
    subsampling: Literal["auto", "4:4:4", "4:2:0"] = "auto"
    sizes: str = ""
    markup: Literal["auto", "picture", "img"] = "auto"
    missing: Literal["error", "warn", "keep"] = "warn"
    remove_local: bool = False
    check_public: bool = True
    site_url: str = ""
    cache_dir: str = ""
    workers: int = 32
    deadline: float = 0
    executor: str = "threads"
    variants: bool = False
    presets: dict[str, str] = {}
    fonts: dict[str, str] = {}
    focus_detectors: dict[str, str] = {}
    rules: tuple[Rule, ...] = ()
    limits: Limits = Limits()
    upload_origins: tuple[str, ...] = ()
    upload_templates: dict[str, str] = {}
    link_templates: dict[str, str] = {}
    access: Access = "signed"
    allowed: tuple[str, ...] = ()
    signing_keys: str | dict[str, str] = ""
    imagekit_private_key: str | dict[str, str] = ""
    imgproxy: ImgproxySettings | None = None
    service_url: str = ""
    origins: dict[str, Origin] = {}
    endpoints: dict[str, Endpoint] = {}
    service: ServiceSettings = ServiceSettings()

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """List what may be shown: every setting but the keys that sign."""
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in SECRET_SETTINGS]

    def __post_init__(self) -> None:
        # Python code may give plain dictionaries for what are tables in a file.
        for name, kind in {**_TABLES, "rules": tuple[Rule, ...]}.items():
            try:
                force_setattr(self, name, msgspec.convert(getattr(self, name), kind))
            except msgspec.ValidationError as error:
                raise ConfigError([f"{name}: {type_problem(error, kind)}"]) from error
        problems = [f"{name}: {text}" for name, text in self.problems()]
        if problems:
            raise ConfigError(problems)
        # What follows from the provider, or from the address of a known one, need not be written.
        endpoint_url = self.endpoint_url or self.store.endpoint_url(account=self.account, region=self.region)
        force_setattr(self, "endpoint_url", endpoint_url)
        force_setattr(self, "region", self.region or self.store.region_in(endpoint_url))

    def problems(self) -> list[tuple[str, str]]:
        """List (setting, what is wrong and what to write instead)."""
        of_service = service_problems(
            self.service,
            origins=self.origins,
            endpoints=self.endpoints,
            access=(self.access, self.allowed, self.presets),
            signing_keys=self.signing_keys,
            imagekit_private_key=self.imagekit_private_key,
        )
        return [*(problem for check in _CHECKS for problem in check(self)), *of_service]

    @property
    def address(self) -> address.Address | None:
        """Return the parsed ``bucket``, or None when pictures stay inside the site."""
        return address.parse(self.bucket) if self.bucket else None

    @property
    def store(self) -> providers.Provider:
        """Return what is known of the service that the bucket is on."""
        return providers.named(self.provider) if self.provider else providers.of_endpoint(self.endpoint_url)

    @property
    def results_bucket(self) -> str:
        """Return the address of the bucket for the service's renderings, "" where they stay on a machine's disk."""
        if self.service.results == NO_RESULTS:
            return ""
        return self.service.results or (self.bucket if isinstance(self.address, address.S3Address) else "")

    @property
    def base_url(self) -> str:
        """Return ``public_url`` or its usual form for the bucket; without a final slash."""
        where = self.address
        if self.public_url or where is None:
            return self.public_url.rstrip("/")
        return address.default_public_url(
            where,
            endpoint_url=self.endpoint_url,
            region=self.region,
            addressing_style=self.addressing_style,
            provider=self.store,
        )

    @property
    def service_audience(self) -> str:
        """Return the endpoint that ``service_url`` leads to, for which addresses are signed; "" without endpoints."""
        return endpoint_at(self.service_url, self.endpoints)


def bucket_problems(config: Config) -> list[tuple[str, str]]:
    """Check ``bucket``."""
    return problems_of("bucket", lambda: config.address)


def provider_problems(config: Config) -> list[tuple[str, str]]:
    """Check ``provider`` with ``account``, ``region``, ``endpoint_url`` and ``addressing_style``."""
    return [] if url_problems(config) else config.provider_problems()  # a bad endpoint_url would be reported twice


def url_problems(config: Config) -> list[tuple[str, str]]:
    """Check the settings that are URLs, without repeating credentials that one has in it."""
    found = []
    for name in ("endpoint_url", "public_url", "site_url", "service_url"):
        value = getattr(config, name)
        if name in {"public_url", "service_url"} and re.match(r"/(?!/)", value):
            continue  # a path of the site's own host
        if re.match(r"[a-z]+://[^/]*@", value, re.IGNORECASE):
            found.append((name, "contains credentials: remove everything between // and @, and the @"))
        elif value and not is_absolute_url(value):
            if not (name == "public_url" and is_absolute_url(value, schemes=("file",))):
                found.append((name, f"{shown_url(value)} is not an absolute URL: start with https:// (or http://)"))
        elif odd := re.search(r"[#\s]", value):
            what = "a #" if odd[0] == "#" else "a blank"
            found.append((name, f"{value!r} has {what}: write {quote(odd[0])} for it, or remove it"))
        elif name == "endpoint_url" and urlsplit(value).path.rstrip("/") not in {"", *providers.PATHS}:
            found.append((name, f'{value!r} has a path: name the bucket in bucket = "s3://NAME/PREFIX" instead'))
    return found


def key_template_problems(config: Config) -> list[tuple[str, str]]:
    """Check ``key_template``."""
    return problems_of("key_template", lambda: KeyTemplate.parse(config.key_template))


def preset_problems(config: Config) -> list[tuple[str, str]]:
    """Check that each preset is a transform."""
    presets = config.presets.items()
    return [(f"presets.{name}", problem) for name, text in presets for problem in _transform_problem(text, config)]


def _transform_problem(text: str, config: Config) -> list[str]:
    from s3img.transform import Transform  # a fifth of the start-up time, which most settings don't need

    try:
        Transform.parse(text, presets=config.presets)
    except TransformError as error:
        return [str(error)]
    return []


def font_problems(config: Config) -> list[tuple[str, str]]:
    """Check that ``fonts`` gives names of ImageKit's fonts, or cuts of them, a font's file each."""
    if not config.fonts:  # a run with nothing to do loads none of this
        return []
    from s3img.transform.overlays import FONT_CUTS, FONTS, is_font_file

    known = {name + cut for name in FONTS for cut in FONT_CUTS.values()}
    found = []
    for name, key in config.fonts.items():
        if name not in known:
            near = closest(name, known)
            hint = f"did you mean {near}?" if near else f"known are {', '.join(FONTS)}, and -Bold, -Italic of them"
            found.append((f"fonts.{name}", f"is not a font of ImageKit: {hint}"))
        elif not is_font_file(key) or key.startswith("/"):
            found.append((f"fonts.{name}", f'{key!r}: write the key of a TTF, OTF, WOFF or WOFF2, as "fonts/My.ttf"'))
    return found


def detector_problems(config: Config) -> list[tuple[str, str]]:
    """Check that ``focus_detectors`` gives what can be looked for a function of a module each."""
    if not config.focus_detectors:
        return []
    from s3img.transform.focus import FOUND, OBJECTS

    found = []
    for name, reference in config.focus_detectors.items():
        if name not in {*FOUND, OBJECTS}:
            near = closest(name, [*FOUND, OBJECTS])
            hint = f"did you mean {near}?" if near else "known are face, objects, and objects such as car"
            found.append((f"focus_detectors.{name}", f"is not a face or an object: {hint}"))
        elif not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", reference):
            found.append((f"focus_detectors.{name}", f'{reference!r}: write a function as "my_faces:find"'))
    return found


def rule_problems(config: Config) -> list[tuple[str, str]]:
    """Check ``rules``."""
    found = []
    for number, rule in enumerate(config.rules, 1):
        if not rule.match or rule.match.startswith("/"):
            found.append((f"rules.{number}", f"match = {rule.match!r}: write a path of the site, as img/icons/**"))
        if any(not 1 <= width <= config.limits.output_side for width in rule.widths):
            found.append((f"rules.{number}", f"widths: name px from 1 to {config.limits.output_side}"))
        if rule.s3img not in {"", "off", "url"}:
            found += [(f"rules.{number}", f"s3img: {text}") for text in _transform_problem(rule.s3img, config)]
        if rule.focus and not re.fullmatch(r"\d{1,6}(, ?\d{1,6}){3}", rule.focus, re.ASCII):
            found.append((f"rules.{number}", f'focus = {rule.focus!r}: write px as "LEFT,TOP,WIDTH,HEIGHT"'))
    return found


def number_problems(config: Config) -> list[tuple[str, str]]:
    """Check that numbers are in their ranges."""
    found = []
    bad = [width for width in config.widths if not 1 <= width <= config.limits.output_side]
    if bad or not config.widths:
        found.append(("widths", f"{list(config.widths)}: name px from 1 to {config.limits.output_side}"))
    for name in Quality.__struct_fields__:
        value = getattr(config.quality, name)
        if not 1 <= value <= 100:
            found.append((f"quality.{name}", f"{value}: name 1 to 100"))
    if not 1 <= config.workers <= 256:
        found.append(("workers", f"{config.workers}: name 1 to 256"))
    if not 0 <= config.deadline < float("inf"):
        found.append(("deadline", f"{config.deadline}: name seconds, or 0 for no limit"))
    found += [
        (f"limits.{name}", "name a number above 0")
        for name in Limits.__struct_fields__
        if name not in {"tolerant", "isolate", "memory"} and not 0 < getattr(config.limits, name) < float("inf")
    ]
    if config.limits.memory < 0:
        found.append(("limits.memory", f"{config.limits.memory}: name bytes, or 0 for no limit"))
    return found


def upload_origin_problems(config: Config) -> list[tuple[str, str]]:
    """Check ``upload_origins``."""
    form = r"\*|https?://(\*\.)?[A-Za-z0-9.-]+(:\d+)?"
    bad = [origin for origin in config.upload_origins if not re.fullmatch(form, origin)]
    problem = "is not an origin: write https://HOST, without a path"
    return [("upload_origins", f"{shown_url(origin)} {problem}") for origin in bad]


def combination_problems(config: Config) -> list[tuple[str, str]]:
    """Check settings that exclude or need each other."""
    found = []
    if config.anonymous and (config.aws_profile or config.role_arn):
        found.append(("anonymous", "can't go with aws_profile or role_arn: remove one"))
    name = config.executor
    if name not in LOCAL_EXECUTORS and not name.startswith("dask=") and name.count(":") != 1:
        known = f"{', '.join(LOCAL_EXECUTORS)}, dask=tcp://HOST:8786 or MODULE:FUNCTION"
        found.append(("executor", f"{name!r} is unknown: write {known}"))
    place = os.path.expanduser(config.cache_dir)  # noqa: PTH111 - a Path's own fails where there is no home
    if place.startswith("~") or "\0" in place:
        found.append(("cache_dir", f"{config.cache_dir!r} leads nowhere: write the whole path of a folder"))
    if config.external_id and not config.role_arn:
        found.append(("external_id", "has no effect without role_arn: add it"))
    is_usable = not (bucket_problems(config) or provider_problems(config) or url_problems(config))
    if config.bucket and not config.public_url and is_usable:
        found += problems_of("public_url", lambda: config.base_url)
    return found


def imgproxy_problems(config: Config) -> list[tuple[str, str]]:
    """Check the table of imgproxy's addresses."""
    found = config.imgproxy.problems() if config.imgproxy else ()
    return [(f"imgproxy.{name}", problem) for name, problem in found]


_CHECKS = (
    *(bucket_problems, provider_problems, url_problems, key_template_problems, preset_problems, font_problems),
    *(detector_problems, rule_problems, number_problems, upload_origin_problems, combination_problems),
    imgproxy_problems,
)
