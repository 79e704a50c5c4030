"""What a lock says of images, for pages that are made on request: addresses and markup, without asking anybody."""

from __future__ import annotations

from s3img.catalog.catalog import Catalog
from s3img.catalog.file import CatalogFile
from s3img.catalog.picture import LockedPicture

__all__ = ["Catalog", "CatalogFile", "LockedPicture"]
