"""The program that the commands run in: on their own, or as ``flask s3img`` with what the app knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from s3img.settings import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.config import Config

    Loader = Callable[[Mapping[str, Any], Path | None], Config]


class Host(msgspec.Struct, frozen=True):
    """Hold what a host program knows better: how settings are read, where the lock is, which folders hold images.

    ``template`` and ``policy`` are those of its uploads. It is the ``obj`` of a click context above the command's.
    """

    load: Loader
    lock: Path
    dirs: Callable[[], tuple[Path, ...]]
    template: str = ""
    policy: Any = None  # UploadPolicy, which is loaded when it is used


def host() -> Host | None:
    """Return the host of the running command, None on its own."""
    context = click.get_current_context(silent=True)
    return context.find_object(Host) if context else None


def load_config(options: Mapping[str, Any], path: Path | None) -> Config:
    """Read the settings; ``options`` are the command line's, ``path`` names a file. Raise ConfigError."""
    found = host()
    return found.load(options, path) if found else load(options=options, path=path)
