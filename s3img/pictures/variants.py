"""Decide which variants an image gets, from its size and type, its author's attributes and the settings alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, cast

from s3img.assets import Asset
from s3img.keys import EXTENSIONS, KeyFields, KeyTemplate, variant_digest
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3img.config import Config
    from s3img.limits import Limits
    from s3img.transform.steps import OutputFormat, Subsampling

Layout = Literal["constrained", "fixed", "full", "none"]
NEAR = 1.25
"""Two widths closer than this factor look the same and cost twice; the larger one stays."""

FORMATS = {"image/jpeg": "jpeg", "image/png": "png", "image/gif": "gif", "image/webp": "webp", "image/avif": "avif"}
"""The format a source is in, where it is one that browsers show and the renderer writes."""

MEDIA_TYPES = {name: media_type for media_type, name in FORMATS.items()}
LayerInputs = tuple[tuple[str, Asset], ...]
"""Pictures and fonts of a transform's layers, each with the name that the transform has for it."""

_QUALITY_FORMATS = frozenset({"jpeg", "webp", "avif"})
_LABEL_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Variant:
    """Name one rendering of an asset: its transform, the size in px and format that come out.

    ``identity`` (hex) is a digest of source, layers and transform, so it stays the same wherever the source lies;
    ``key`` is that of the rendering's object; ``inputs`` are what the transform's layers are made of.
    """

    asset: Asset
    transform: Transform
    width: int
    height: int
    format: str
    identity: str
    key: str
    inputs: LayerInputs = ()

    @property
    def media_type(self) -> str:
        """Return the media type of the rendering."""
        return MEDIA_TYPES[self.format]


def original_key(asset: Asset, template: KeyTemplate) -> str:
    """Return the key of an asset's own bytes; its extension is that of what the bytes are."""
    if asset.key:
        return asset.key
    facts = asset.facts
    return template.key(KeyFields.of_original(asset.path, asset.digest, facts.media_type, facts.width, facts.height))


@dataclass(frozen=True, slots=True)
class VariantRequest:
    """What one image is wanted as: its layout width in css px (0: unknown), and what differs from the settings."""

    width: int = 0
    layout: Layout = "constrained"
    transform: Transform = field(default_factory=Transform)
    widths: tuple[int, ...] = ()
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VariantSet:
    """The variants of an image: size of the whole picture in px, and its variants by format.

    ``formats`` maps each format to its variants by rising width, in the order browsers are offered them; ``own`` is
    the source's format, "" where browsers can't be given it in other sizes.
    """

    width: int
    height: int
    own: str
    formats: dict[str, tuple[Variant, ...]]

    @property
    def variants(self) -> list[Variant]:
        """List all variants."""
        return [variant for variants in self.formats.values() for variant in variants]

    @property
    def inputs(self) -> LayerInputs:
        """Return what the layers of all variants are made of."""
        return next((variant.inputs for variant in self.variants), ())


def choose(
    asset: Asset, request: VariantRequest, config: Config, template: KeyTemplate, *, inputs: LayerInputs = ()
) -> VariantSet:
    """Decide an image's variants; an image that can't be rendered to other sizes gets none.

    ``inputs`` are what the layers of the request's transform are made of.
    """
    facts = asset.facts
    own = FORMATS.get(facts.media_type, "")
    if not facts.width or not is_rendered(asset):
        return unchanged(asset)
    width, height = _size(request.transform, (facts.width, facts.height), config.limits)
    # The source's own format comes last, for browsers that know none of the others: they take the first they know.
    wanted = ["webp"] if facts.animated else [*(request.formats or config.formats)]
    names = [*wanted, *([own] if own and own not in wanted else [])]
    widths = wanted_widths(width, request, config)
    return VariantSet(
        width, height, own, {name: _variants(asset, request, config, template, name, widths, inputs) for name in names}
    )


def unchanged(asset: Asset) -> VariantSet:
    """Return the variants of an image that is used as it is."""
    facts = asset.facts
    return VariantSet(facts.width, facts.height, FORMATS.get(facts.media_type, ""), {})


def is_rendered(asset: Asset) -> bool:
    """Tell whether an image is made in other sizes and formats: one of px, whose motion would not be lost."""
    facts = asset.facts
    if facts.animated:  # the renderer writes no animated AVIF or PNG
        return facts.media_type in {"image/gif", "image/webp"}
    return facts.media_type.startswith("image/") and facts.media_type not in {
        "image/svg+xml",
        "image/vnd.microsoft.icon",
    }


def wanted_widths(width: int, request: VariantRequest, config: Config) -> tuple[int, ...]:
    """Return the rising widths in px that a picture of ``width`` px is wanted in."""
    if request.layout == "none":
        return (width,)
    if request.widths:
        wanted = set(request.widths)
    elif request.layout == "fixed":
        wanted = {request.width or width, 2 * (request.width or width)}
    elif request.width:
        wanted = {request.width, 2 * request.width} | {w for w in config.widths if w < 2 * request.width}
    else:
        wanted = set(config.widths)
    return collapse(wanted, width)


def collapse(wanted: Iterable[int], limit: int) -> tuple[int, ...]:
    """Return rising widths, none above ``limit`` and none within a factor of 1.25 of the next one."""
    kept = [min(limit, max(wanted))]  # the widest always stays: going down from it drops the narrower of a close pair
    for width in sorted(set(wanted), reverse=True):
        if width * NEAR < kept[-1]:
            kept.append(width)
    return tuple(reversed(kept))


def _variants(
    asset: Asset,
    request: VariantRequest,
    config: Config,
    template: KeyTemplate,
    name: str,
    widths: tuple[int, ...],
    inputs: LayerInputs,
) -> tuple[Variant, ...]:
    quality = getattr(config.quality, name) if name in _QUALITY_FORMATS else None
    subsampling = subsampling_of(config.subsampling, name)
    source = (asset.facts.width, asset.facts.height)
    found = []
    for width in widths:
        transform, text, label = _transform(request.transform, width, quality, name, subsampling)
        w, h = _size(transform, source, config.limits)
        identity = variant_digest(asset.digest, text, inputs=(one.digest for _, one in inputs))
        key = template.key(KeyFields(asset.path, identity, f"{label}.{EXTENSIONS[MEDIA_TYPES[name]]}", w, h))
        found.append(Variant(asset, transform, w, h, name, identity, key, inputs))
    return tuple(found)


def subsampling_of(setting: str, name: str) -> Subsampling | None:
    """Return what transforms to a format say of subsampling under a setting (``4:4:4``); WebP and PNG have no choice.

    A format that is left open (``auto``, ``orig``) may come to be one that has.
    """
    is_chosen = setting != "auto" and name in {"avif", "jpeg", "auto", "orig"}
    return cast("Subsampling", setting.replace(":", "")) if is_chosen else None


@lru_cache(maxsize=1024)
def _transform(
    first: Transform, width: int, quality: int | None, name: str, subsampling: Subsampling | None
) -> tuple[Transform, str, str]:
    """Return a variant's transform, its text, and its name in keys; most images of a site share them."""
    last = Transform.of(width=width, format=cast("OutputFormat", name), quality=quality, subsampling=subsampling)
    transform = first.then(last)
    text = str(transform)
    # How it is encoded is left out, and so are layers: the extension and the digest in the key tell them apart already.
    shown = re.sub(r"l-(?:image|text),.*,l-end", "layers", text)
    words = [word for word in shown.replace(":", ",").split(",") if not word.startswith(("f-", "q-", "cs-"))]
    return transform, text, "_".join(words)[:_LABEL_LENGTH] or "o"


@lru_cache(maxsize=4096)
def _size(transform: Transform, source: tuple[int, int], limits: Limits) -> tuple[int, int]:
    """Return the size in px that a transform gives a picture; many of a site's are of one size."""
    return transform.output_size(source, limits=limits)
