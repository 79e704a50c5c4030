"""The app's state: the two settings ``S3IMG`` and ``S3IMG_LOCK``, the lock, the static folders; and system checks."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from s3img import Images, S3ImgError
from s3img.config import LOCK_NAME
from s3img.config.load import SettingsSource, load
from s3img.pictures.catalog import Catalog, CatalogFile

_INSTALLED = {"site-packages", "dist-packages"}


class S3ImgApp(AppConfig):
    """Know what templates, storages and commands need; each part is read when it is first used."""

    name = "s3img.adapters.django"
    label = "s3img"
    verbose_name = "s3img"

    def ready(self) -> None:
        """Register the checks; forget everything when a test overrides a setting."""
        checks.register(lambda **_: self.problems(), checks.Tags.staticfiles)
        setting_changed.connect(self.forget)

    def forget(self, **_: Any) -> None:  # noqa: ANN401 - what a signal sends
        """Read the settings anew at the next use."""
        for name in ("images", "catalog_file", "folders"):
            self.__dict__.pop(name, None)

    @cached_property
    def images(self) -> Images:
        """Return the images under ``settings.S3IMG``; raise ImproperlyConfigured naming each setting that is wrong."""
        source = SettingsSource(getattr(settings, "S3IMG", {}), "S3IMG[{!r}]".format)
        try:
            return Images(load(host=source, folder=Path(getattr(settings, "BASE_DIR", ""))))
        except S3ImgError as error:
            raise ImproperlyConfigured(str(error)) from error

    @property
    def lock(self) -> Path:
        """Return ``S3IMG_LOCK``, a path below ``BASE_DIR``; by default s3img.lock there."""
        return Path(getattr(settings, "BASE_DIR", ""), getattr(settings, "S3IMG_LOCK", LOCK_NAME)).resolve()

    @cached_property
    def catalog_file(self) -> CatalogFile | None:
        """Return the lock's catalog, empty before the first sync; None without a bucket."""
        return CatalogFile(self.lock, self.images.config, missing_ok=True) if self.images.config.bucket else None

    @cached_property
    def folders(self) -> tuple[tuple[Path, str, str | None], ...]:
        """List folder, prefix of names, and path below the lock's folder, in the order of Django's finders.

        The path is None for a folder elsewhere, and for those of installed packages: their files are not the project's.
        """
        base, found = self.lock.parent, []
        for storage in (storage for finder in get_finders() for storage in getattr(finder, "storages", {}).values()):
            path = Path(storage.location).resolve()
            inside = path.relative_to(base) if path.is_relative_to(base) else None
            is_ours = inside is not None and _INSTALLED.isdisjoint(inside.parts)
            prefix = f"{storage.prefix}/" if getattr(storage, "prefix", "") else ""
            found.append((path, prefix, inside.as_posix() if inside is not None and is_ours else None))
        return tuple(found)

    def find(self, name: str) -> tuple[Catalog, str] | None:
        """Return the catalog and the path in the lock of a static file, None where Django serves the file itself."""
        catalog = self.catalog_file.current() if self.catalog_file else None
        hidden: list[Path] = []
        for folder, prefix, inside in self.folders if catalog else ():
            file = name.removeprefix(prefix) if name.startswith(prefix) else ""
            path = file if inside == "." else f"{inside}/{file}"
            if catalog and file and inside is not None and path in catalog.lock:
                # A folder that Django asks earlier may have another file of this name, which is not in the lock.
                return None if any(one.is_file() for one in hidden) else (catalog, path)
            hidden += [folder / file] if file else []
        return None

    def problems(self) -> list[checks.CheckMessage]:
        """Check the settings and the lock, without a request to the bucket."""
        try:
            config = self.images.config
            if not config.bucket:
                hint = 'Set S3IMG = {"bucket": "s3://NAME/PREFIX"}.'
                return [checks.Warning("S3IMG has no bucket: pages show local images.", hint=hint, id="s3img.W001")]
            if config.base_url.startswith("file:"):
                message = "S3IMG has no public_url: browsers can't open images in a folder of this machine."
                hint = "Set S3IMG['public_url'] to the address at which the folder is served."
                return [checks.Error(message, hint=hint, id="s3img.E002")]
            if not self.lock.exists():
                hint = "Write it with manage.py s3img sync."
                return [checks.Warning(f"{self.lock} does not exist: pages show local images.", hint, id="s3img.W002")]
            self.find("")
        except ImproperlyConfigured as error:
            return [checks.Error(f"The settings of s3img can't be used: {error}", id="s3img.E001")]
        except S3ImgError as error:
            return [checks.Error(str(error), id="s3img.E003")]
        return []
