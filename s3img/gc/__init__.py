"""Clean-up of a bucket: which objects nothing refers to any more, and how they go without hurting a running build.

The order of things, and why no build loses an object, is in ``docs/gc.md``.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing takes as long to load as the rest of the interpreter
if TYPE_CHECKING:
    from s3img.gc.clean_up import collect as collect
    from s3img.gc.rules import Rules as Rules

_HOME = {"Rules": "s3img.gc.rules", "collect": "s3img.gc.clean_up"}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562): uploads need marks and references, not the clean-up."""
    if name not in _HOME:
        raise AttributeError(f"module 's3img.gc' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
