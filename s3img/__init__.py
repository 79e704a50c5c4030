"""Plain image references become responsive, modern pictures, in an S3-compatible bucket or inside the site."""

from __future__ import annotations

TYPE_CHECKING = False  # typing takes as long to load as the rest of the interpreter
if TYPE_CHECKING:
    from s3img.config import Config as Config
    from s3img.errors import S3ImgError as S3ImgError
    from s3img.images import Images as Images
    from s3img.transform import Transform as Transform

__version__ = "0.1.0"

_HOME = {
    "Config": "s3img.config",
    "Images": "s3img.images",
    "S3ImgError": "s3img.errors",
    "Transform": "s3img.transform",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562): ``s3img --version`` needs none of them."""
    if name not in _HOME:
        raise AttributeError(f"module 's3img' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
