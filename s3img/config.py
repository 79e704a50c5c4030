"""Every setting, frozen, read once at the edge; all problems of all places are reported together.

Precedence: command line > ``S3IMG_*`` environment > host (``mkdocs.yml``, ``app.config``) > ``s3img.toml`` >
``[tool.s3img]`` in ``pyproject.toml`` > defaults.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from s3img import address
from s3img.errors import ConfigError, TransformError
from s3img.keys import KeyTemplate
from s3img.limits import Limits

Format = Literal["avif", "webp", "jpeg", "png"]
DEFAULT_KEY_TEMPLATE = "{{dir}}/{{stem}}.{{hash:8}}.{{ext}}"


class Quality(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Set the encoder quality of each lossy format, 1 to 100; the defaults look alike to the eye."""

    jpeg: int = 80
    webp: int = 82
    avif: int = 67


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hold all settings of s3img; every one is optional.

    ``bucket`` is ``s3://name/prefix``, ``file:///folder`` or empty (pictures stay inside the site). ``public_url`` is
    the public address of what ``bucket`` names, prefix included. ``widths`` in px; ``quality`` per format;
    ``workers`` uploads at a time. Raise ConfigError listing every problem.
    """

    bucket: str = ""
    endpoint_url: str = ""
    region: str = ""
    addressing_style: Literal["auto", "virtual", "path"] = "auto"
    aws_profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    anonymous: bool = False
    public_url: str = ""
    key_template: str = DEFAULT_KEY_TEMPLATE
    widths: tuple[int, ...] = (320, 640, 960, 1280, 1920)
    formats: tuple[Format, ...] = ("avif", "webp")
    quality: Quality = Quality()
    sizes: str = ""
    missing: Literal["error", "warn", "keep"] = "warn"
    remove_local: bool = False
    site_url: str = ""
    cache_dir: str = ""
    workers: int = 32
    presets: dict[str, str] = {}
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        problems = [f"{name}: {text}" for name, text in self.problems()]
        if problems:
            raise ConfigError(problems)

    def problems(self) -> list[tuple[str, str]]:
        """List (setting, what is wrong and what to write instead)."""
        checks = (_bucket, _urls, _key_template, _presets, _numbers, _together)
        return [problem for check in checks for problem in check(self)]

    @property
    def address(self) -> address.Address | None:
        """Return the parsed ``bucket``, or None when pictures stay inside the site."""
        return address.parse(self.bucket) if self.bucket else None

    @property
    def base_url(self) -> str:
        """Return ``public_url`` or its usual form for the bucket; without a final slash."""
        where = self.address
        if self.public_url or where is None:
            return self.public_url.rstrip("/")
        return address.default_public_url(
            where, endpoint_url=self.endpoint_url, region=self.region, addressing_style=self.addressing_style
        )


def _bucket(config: Config) -> list[tuple[str, str]]:
    if not config.bucket:
        return []
    try:
        config.address  # noqa: B018 - parsed for its errors
    except ConfigError as error:
        return [("bucket", problem) for problem in error.problems]
    return []


def _urls(config: Config) -> list[tuple[str, str]]:
    found = []
    for name in ("endpoint_url", "public_url", "site_url"):
        value = getattr(config, name)
        if value and not _is_absolute(value, schemes=("http", "https")):
            if not (name == "public_url" and _is_absolute(value, schemes=("file",))):
                found.append((name, f"{value!r} is no absolute URL: start with https:// (or http://)"))
        elif name == "endpoint_url" and urlsplit(value).path.strip("/"):
            found.append((name, f'{value!r} has a path: name the bucket in bucket = "s3://NAME/PREFIX" instead'))
    return found


def _is_absolute(url: str, *, schemes: tuple[str, ...]) -> bool:
    parts = urlsplit(url)
    return parts.scheme in schemes and bool(parts.netloc or parts.scheme == "file")


def _key_template(config: Config) -> list[tuple[str, str]]:
    try:
        KeyTemplate.parse(config.key_template)
    except ConfigError as error:
        return [("key_template", problem) for problem in error.problems]
    return []


def _presets(config: Config) -> list[tuple[str, str]]:
    found = []
    if config.presets:
        from s3img.transform import Transform  # a fifth of the start-up time, which most settings don't need
    for name, text in config.presets.items():
        try:
            Transform.parse(text, presets=config.presets)
        except TransformError as error:
            found.append((f"presets.{name}", str(error)))
    return found


def _numbers(config: Config) -> list[tuple[str, str]]:
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
    found += [
        (f"limits.{n}", "name a number above 0") for n in Limits.__struct_fields__ if getattr(config.limits, n) <= 0
    ]
    return found


def _together(config: Config) -> list[tuple[str, str]]:
    found = []
    if config.anonymous and (config.aws_profile or config.role_arn):
        found.append(("anonymous", "can't go with aws_profile or role_arn: remove one"))
    if config.external_id and not config.role_arn:
        found.append(("external_id", "means nothing without role_arn: add it"))
    if config.bucket and not config.public_url and not _bucket(config):
        try:
            config.base_url  # noqa: B018 - worked out for its errors
        except ConfigError as error:
            found += [("public_url", problem) for problem in error.problems]
    return found
