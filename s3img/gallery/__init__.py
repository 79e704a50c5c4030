"""The bucket for people: web pages to look through it, and the door through which editors put pictures into it."""

from __future__ import annotations

from s3img.gallery.bucket_switch import BucketSwitch
from s3img.gallery.gallery_app import Gallery

__all__ = ["BucketSwitch", "Gallery"]
