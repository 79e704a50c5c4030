"""Verify a site from outside: every image reference leads to a file that is an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.assets import AssetRoot, Lead
from s3img.errors import S3ImgError
from s3img.imaging import probe
from s3img.publish.files import media_type_of
from s3img.rewrite import find_references, position

if TYPE_CHECKING:
    from pathlib import Path


def broken_references(site: Path, *, site_url: str = "") -> tuple[list[str], int]:
    """Return (a line for each reference that leads nowhere or to no image, how many were followed)."""
    root = AssetRoot(site, site_url=site_url)
    broken, checked = [], 0
    for path in sorted(root.files):
        media_type = media_type_of(path)
        if media_type is None:
            continue
        data = root.file(path).read_bytes()
        for reference in find_references(data, media_type):
            target = root.resolve(reference.url, document=path, base=reference.base)
            if target.lead is Lead.EXTERNAL:
                continue
            checked += 1
            if fault := _fault(root, target.lead, target.path):
                line, column = position(data, reference.start)
                broken.append(f"{path}:{line}:{column}: {reference.url}: {fault}")
    return broken, checked


def _fault(root: AssetRoot, lead: Lead, path: str) -> str:
    if lead not in {Lead.FILE, Lead.OWN}:
        return f"{path} does not exist"
    try:
        probe(root.file(path))
    except S3ImgError as error:
        return str(error)
    return ""
