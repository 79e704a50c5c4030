"""Which renderings of a locked image are in the bucket, how they were made, and what their keys are made from."""

from __future__ import annotations

import re
from typing import Self

import msgspec

from s3img.config import DEFAULT_KEY_TEMPLATE, Config
from s3img.errors import ConfigError
from s3img.keys import RENDER_VERSION, KeyTemplate

SETTINGS_MARK = "# variants:"
"""What the line begins with that holds settings."""

_WIDTHS = r"[a-z]+=[1-9]\d{0,8}(?:,[1-9]\d{0,8})*"
# Compiled when they are used: most locks name no renderings.
_VARIANTS = rf"(?a)([0-9a-f]{{8}}):(-|{_WIDTHS}(?:;{_WIDTHS})*)"
_SETTINGS = rf"(?a){SETTINGS_MARK} widths=([1-9]\d{{0,8}}(?:,[1-9]\d{{0,8}})*) formats=([a-z]+(?:,[a-z]+)*|-) key=(.+)"
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Config)}
_LOSSY = ("jpeg", "webp", "avif")
_SUBSAMPLINGS = ("auto", "4:4:4", "4:2:0")
_VERSION_BITS = 6


def recipe(config: Config) -> str:
    """Return what the settings say about how pictures look: quality of JPEG, WebP and AVIF, and the renderer's version.

    Two hex digits each, so that a line alone tells how its renderings were made. The upper two bits of the version are
    the subsampling, which nearly all leave alone.
    """
    version = RENDER_VERSION | _SUBSAMPLINGS.index(config.subsampling) << _VERSION_BITS
    return "".join(f"{getattr(config.quality, name):02x}" for name in _LOSSY) + f"{version:02x}"


class LockedVariants(msgspec.Struct, frozen=True):
    """Name the renderings of an image that are in the bucket: widths in px by format, as browsers are offered them.

    ``recipe`` says how they were made; renderings of another `recipe` are not what the settings ask for. The text form
    is ``RECIPE:avif=320,640;jpeg=640``, with ``-`` where every rendering was larger than the image.
    """

    recipe: str
    formats: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form; raise ValueError for anything else."""
        match = re.fullmatch(_VARIANTS, text)
        if match is None:
            raise ValueError(f"{text[:60]!r} is damaged")
        pairs = [part.partition("=") for part in match[2].split(";")] if match[2] != "-" else []
        formats = tuple((name, tuple(map(int, widths.split(",")))) for name, _, widths in pairs)
        rises = all(list(widths) == sorted({*widths}) for _, widths in formats)
        if not rises or len({name for name, _ in formats}) < len(formats):
            raise ValueError(f"{text[:60]!r} is out of order")
        return cls(match[1], formats)

    def __str__(self) -> str:
        pairs = ";".join(f"{name}={','.join(map(str, widths))}" for name, widths in self.formats)
        return f"{self.recipe}:{pairs or '-'}"

    def quality(self, name: str) -> int | None:
        """Return the encoder quality of a format, None for one without."""
        place = 2 * _LOSSY.index(name) if name in _LOSSY else None
        return None if place is None else int(self.recipe[place : place + 2], 16)

    @property
    def version(self) -> int:
        """Return the version of the renderer."""
        return int(self.recipe[6:], 16) % (1 << _VERSION_BITS)

    def subsampling(self, name: str) -> str:
        """Return what the transforms of a format say of subsampling: ``444``, ``420`` or "" for the usual."""
        number = int(self.recipe[6:], 16) >> _VERSION_BITS
        has_choice = name in {"jpeg", "avif"} and 0 < number < len(_SUBSAMPLINGS)
        return _SUBSAMPLINGS[number].replace(":", "") if has_choice else ""


class VariantSettings(msgspec.Struct, frozen=True):
    """The settings that the variants of a lock were chosen and named under; written where they are not the usual.

    The text form is ``widths=320,640 formats=avif,webp key={{dir}}/{{stem}}.{{hash:8}}.{{ext}}``.
    """

    widths: tuple[int, ...] = _DEFAULTS["widths"]
    formats: tuple[str, ...] = _DEFAULTS["formats"]
    key_template: str = DEFAULT_KEY_TEMPLATE

    @classmethod
    def of(cls, config: Config) -> Self:
        """Take them from a configuration."""
        return cls(config.widths, config.formats, config.key_template)

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read the line; raise ValueError when it is damaged."""
        match = re.fullmatch(_SETTINGS, line)
        if match is None:
            raise ValueError(f"{line[:60]!r} is damaged")
        try:
            KeyTemplate.parse(match[3])
        except ConfigError as error:
            raise ValueError(str(error)) from error
        formats = () if match[2] == "-" else tuple(match[2].split(","))
        return cls(tuple(map(int, match[1].split(","))), formats, match[3])

    def __str__(self) -> str:
        widths, formats = ",".join(map(str, self.widths)), ",".join(self.formats) or "-"
        return f"{SETTINGS_MARK} widths={widths} formats={formats} key={self.key_template}"


USUAL = VariantSettings()
