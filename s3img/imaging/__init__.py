"""The image engine: what an image is, what it becomes, and nothing half done.

``probe`` and the values need no Pillow; the names that do load it when they are first used (about 70 ms).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from s3img.imaging.model import MEDIA_TYPES, SUFFIXES, ImageInfo, Rendered, Target
from s3img.imaging.probing import Source, probe
from s3img.render_version import RENDER_VERSION

if TYPE_CHECKING:
    from s3img.imaging.clean import cleaned
    from s3img.imaging.description import describe
    from s3img.imaging.encode import DEFAULT_QUALITY, encoders
    from s3img.imaging.ladder import RenderedFile, render_job, render_ladder
    from s3img.imaging.palette import average_color
    from s3img.imaging.pipeline import Drawn, draw, render

__all__ = [
    "DEFAULT_QUALITY",
    "MEDIA_TYPES",
    "RENDER_VERSION",
    "SUFFIXES",
    "Drawn",
    "ImageInfo",
    "Rendered",
    "RenderedFile",
    "Source",
    "Target",
    "average_color",
    "cleaned",
    "describe",
    "draw",
    "encoders",
    "probe",
    "render",
    "render_job",
    "render_ladder",
]

_LAZY: Final = {
    "RenderedFile": "ladder",
    "DEFAULT_QUALITY": "encode",
    "describe": "description",
    "average_color": "palette",
    "cleaned": "clean",
    "Drawn": "pipeline",
    "draw": "pipeline",
    "encoders": "encode",
    "render": "pipeline",
    "render_job": "ladder",
    "render_ladder": "ladder",
}


def __getattr__(name: str) -> object:
    """Load a name that needs Pillow (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
