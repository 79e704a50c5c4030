"""Which files of a project are images, by their place and name; nothing is opened here."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from s3img.assets import OWN_FOLDER, AssetRoot, FileStat
from s3img.cache import stat_of
from s3img.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Iterable

# An .mpo is a JPEG with more behind it.
_SUFFIXES = "apng avif bmp gif ico j2k jfif jp2 jpe jpeg jpf jpg mpo png svg tif tiff webp"

SUFFIXES = frozenset([*_SUFFIXES.split(), *(["heic", "heif"] if find_spec("pillow_heif") else [])])

UNREAD_SUFFIXES = frozenset(["heic", "heif", "jxl", "svgz"]) - SUFFIXES
"""Pictures of kinds that s3img does not read; HEIC only with its user's own pillow-heif."""


class ScopeFiles(msgspec.Struct, frozen=True):
    """The pictures in a scope: images with their stat, and ``unread`` ones of a kind that s3img does not read."""

    images: dict[str, FileStat]
    unread: tuple[str, ...] = ()


class Scope(msgspec.Struct, frozen=True):
    """Name files and folders below a base folder; ``paths`` are relative to it, "" is the base itself.

    ``without`` are folders that are left out: those that s3img itself fills.
    """

    base: Path
    paths: tuple[str, ...]
    without: tuple[Path, ...] = ()

    @classmethod
    def of(cls, base: Path, where: Iterable[str | os.PathLike[str]], *, without: Iterable[Path] = ()) -> Self:
        """Place files and folders below ``base`` (all of it when none is named); raise AssetError for others."""
        base = Path(os.path.abspath(base))  # noqa: PTH100 - resolve() would follow links, which names must not
        paths = tuple(sorted({path_below(base, place) for place in where})) or ("",)
        return cls(base, paths, tuple(without))

    def covers(self, path: str) -> bool:
        """Tell whether a path is one of the files, or lies in one of the folders."""
        return any(scope in {"", path} or path.startswith(f"{scope}/") for scope in self.paths)

    def file(self, path: str) -> Path:
        """Return the place on disk of a path below the base."""
        return self.base / path

    def files(self) -> ScopeFiles:
        """Find the pictures in scope; raise AssetError for a place that does not exist or is not an image's name."""
        found: dict[str, FileStat] = {}
        unread = []
        for scope in self.paths:
            place = self.base / scope
            if not place.is_dir():
                found[scope] = image_stat(place, scope)
                continue
            front = f"{scope}/" if scope else ""
            for path, stat in AssetRoot(place).files.items():
                if is_image_path(path):
                    found[front + path] = stat
                elif path.rpartition(".")[2].lower() in UNREAD_SUFFIXES and "/." not in f"/{path}":
                    unread.append(front + path)
        own = tuple(f"{relative(folder, self.base)}/" for folder in self.without)
        images = {path: stat for path, stat in found.items() if not path.startswith(own)}
        return ScopeFiles(images, tuple(sorted(unread)))


def is_image_path(path: str) -> bool:
    """Tell whether a path is an image's by its suffix, and neither hidden nor something that s3img rendered."""
    if path.rpartition(".")[2].lower() not in SUFFIXES or f"/{OWN_FOLDER}/" in f"/{path}":
        return False
    return "/." not in f"/{path}"


def is_inside(base: Path, path: str) -> bool:
    """Tell whether a path that somebody else wrote is an image's and stays below ``base``, links followed."""
    if not is_image_path(path) or "\0" in path:
        return False
    return (base / path).resolve().is_relative_to(base.resolve())


def path_below(base: Path, place: str | os.PathLike[str]) -> str:
    """Return a place as a path below ``base``; raise AssetError for one outside."""
    path = relative(place, base)
    if path == ".." or path.startswith("../"):
        fix = "Run s3img in a folder above both, or name a lock there with --lock."
        raise AssetError(f"{place}: lies outside {base}, the folder of the lock.", path=str(place), fix=fix)
    return "" if path == "." else path


def relative(place: str | os.PathLike[str], base: Path) -> str:
    """Return a place as seen from ``base``, without following links; ".." for one on another drive."""
    try:
        return os.path.relpath(place, base).replace(os.sep, "/")
    except ValueError:
        return ".."


def image_stat(place: Path, path: str) -> FileStat:
    """Return the stat of a single image; raise AssetError for what is not an image by its name, or not there."""
    if os.path.lexists(place) and not is_image_path(path):
        fix = f"Known suffixes are {', '.join(sorted(SUFFIXES))}; hidden files are left out."
        raise AssetError(f"{place}: is not a folder and not named like an image.", path=path, fix=fix)
    try:
        return stat_of(place)
    except OSError as error:
        raise AssetError(f"{place}: {error.strerror}.", path=path, fix="Check the name.") from error
