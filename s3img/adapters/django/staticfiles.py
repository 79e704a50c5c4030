"""Storages of static files that answer with the bucket's address for each image in the lock."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class LockedStaticFilesMixin:
    """Go before any storage of static files: ``class Storage(LockedStaticFilesMixin, WhiteNoiseStorage)``."""

    def url(self, name: str, *args: Any, **options: Any) -> str:  # noqa: ANN401 - those of the storage behind it
        """Return the public address of an image in the lock, what the storage says for everything else."""
        # A name with a fragment (icons.svg#cat) is never in the lock: browsers take <use> from one origin only.
        found = apps.get_app_config("s3img").images.find(name or "")
        return found[0].url(found[1]) if found else super().url(name, *args, **options)  # type: ignore[misc] # the storage's


class LockedStaticFilesStorage(LockedStaticFilesMixin, ManifestStaticFilesStorage):
    """Add the lock to Django's storage with hashed names."""
