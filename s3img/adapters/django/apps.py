"""The app: the settings ``S3IMG`` and ``S3IMG_LOCK``, Django's static folders, and system checks."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core import checks
from django.core.signals import setting_changed
from django.templatetags.static import static

from s3img.config import LOCK_NAME
from s3img.config.load import SettingsSource, load, path_setting
from s3img.pictures.static_images import StaticFolder, StaticImages, setup_problems

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from s3img import Config


class S3ImgApp(AppConfig):
    """Know the images of the project; the settings are read when they are first used."""

    name, label, verbose_name = "s3img.adapters.django", "s3img", "s3img"

    def ready(self) -> None:
        """Register the checks; read everything anew when a test overrides a setting."""
        checks.register(lambda **_: self.problems(), checks.Tags.staticfiles)
        setting_changed.connect(lambda **_: self.__dict__.pop("images", None), weak=False)

    @property
    def lock(self) -> Path:
        """Return ``S3IMG_LOCK``, a path below ``BASE_DIR``; by default s3img.lock there. Raise ConfigError."""
        return (path_setting(settings, "BASE_DIR", "") / path_setting(settings, "S3IMG_LOCK", LOCK_NAME)).resolve()

    def load(self, options: Mapping[str, Any], path: Path | None) -> Config:
        """Read ``settings.S3IMG`` and all other places; ``options`` and ``path`` are those of a command line."""
        host = SettingsSource(getattr(settings, "S3IMG", {}), "S3IMG[{!r}]".format)
        return load(options=options, host=host, path=path, folder=path_setting(settings, "BASE_DIR", ""))

    @cached_property
    def images(self) -> StaticImages:
        """Return the images in the order of Django's finders; raise ConfigError naming each setting that is wrong."""
        base = self.lock.parent
        found = (storage for finder in get_finders() for storage in getattr(finder, "storages", {}).values())
        folders = [StaticFolder.below(base, it.location, f"{getattr(it, 'prefix', '')}/".lstrip("/")) for it in found]
        config, sync = self.load({}, None), "manage.py s3img sync"
        return StaticImages(config, self.lock, folders, local=static, is_strict=settings.DEBUG, sync=sync)

    def problems(self) -> list[checks.CheckMessage]:
        """Check the settings and the lock, without a request to the bucket."""
        kinds, found = {"E": checks.Error, "W": checks.Warning}, setup_problems(lambda: self.images)
        return [kinds[one.code[0]](one.message, one.fix, id=f"s3img.{one.code}") for one in found]
