"""The image engine: what an image is, and what a transform makes of it.

``probe`` and the values need no Pillow; the names that do load it when they are first used (about 70 ms).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from s3img.imaging.image_info import FORMATS, MEDIA_TYPES, SUFFIXES, ImageInfo, Rendered, RenderTarget
from s3img.imaging.probing import ImageSource, probe
from s3img.keys import RENDER_VERSION

if TYPE_CHECKING:
    from s3img.imaging.clean import cleaned
    from s3img.imaging.description import average_color, describe
    from s3img.imaging.encode import DEFAULT_QUALITY, encoders
    from s3img.imaging.picture_summary import picture_facts
    from s3img.imaging.pipeline import Drawn, draw, render
    from s3img.imaging.processing import FormatChoice, draw_processed
    from s3img.imaging.pyramid import RenderedFile, render_job, render_variants

__all__ = [
    "DEFAULT_QUALITY",
    "FORMATS",
    "MEDIA_TYPES",
    "RENDER_VERSION",
    "SUFFIXES",
    "Drawn",
    "FormatChoice",
    "ImageInfo",
    "ImageSource",
    "RenderTarget",
    "Rendered",
    "RenderedFile",
    "average_color",
    "cleaned",
    "describe",
    "draw",
    "draw_processed",
    "encoders",
    "picture_facts",
    "probe",
    "render",
    "render_job",
    "render_variants",
]

_LAZY: Final = {
    "RenderedFile": "pyramid",
    "DEFAULT_QUALITY": "encode",
    "describe": "description",
    "average_color": "description",
    "cleaned": "clean",
    "Drawn": "pipeline",
    "draw": "pipeline",
    "FormatChoice": "processing",
    "draw_processed": "processing",
    "picture_facts": "picture_summary",
    "encoders": "encode",
    "render": "pipeline",
    "render_job": "pyramid",
    "render_variants": "pyramid",
}


def __getattr__(name: str) -> object:
    """Load a name that needs Pillow (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
