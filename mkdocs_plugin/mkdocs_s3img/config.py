"""The plugin's options: those of ``s3img.toml`` under the same names, and a few about the build."""

from __future__ import annotations

from typing import Any, Final

from mkdocs.config import config_options as c
from mkdocs.config.base import Config

from s3img.config import Config as Settings
from s3img.config.mkdocs_yml import PLUGIN_OPTIONS

_SERVICE_ONLY: Final = {
    "access", "allowed", "signing_keys", "imagekit_private_key", "imgproxy", "service_url", "origins", "endpoints",
    "service",
}  # fmt: skip
"""Settings that the build of a site has no use for, one of them too secret for ``mkdocs.yml``."""
_TYPES: Final = {str: (str,), bool: (bool,), int: (int, float), float: (int, float), tuple: (list,)}
"""What stands in YAML for a setting of a type; the others are tables."""


class PluginConfig(Config):
    """The plugin's options; s3img itself checks the values of its settings."""

    enabled = c.Type(bool, default=True)
    serve = c.Type(bool, default=False)
    require_upload = c.Type(bool, default=False)
    config_file = c.Optional(c.File(exists=True))

    for _name in (name for name in Settings.__struct_fields__ if name not in _SERVICE_ONLY):
        locals()[_name] = c.Optional(c.Type(_TYPES.get(type(getattr(Settings(), _name)), (dict,))))

    def settings(self) -> dict[str, Any]:
        """Return the settings of s3img that were written in ``mkdocs.yml``."""
        return {name: value for name, value in self.items() if name not in PLUGIN_OPTIONS and value is not None}
