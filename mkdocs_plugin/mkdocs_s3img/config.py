"""The plugin's options: those of ``s3img.toml`` under the same names, and a few about the build."""

from __future__ import annotations

from typing import Any

from mkdocs.config import config_options as c
from mkdocs.config.base import Config

from s3img.config.mkdocs_yml import PLUGIN_OPTIONS

_TEXT = (str,)
_FLAG = (bool,)
_NUMBER = (int, float)


def _optional(types: tuple[type, ...]) -> Any:  # noqa: ANN401 - a descriptor of whatever type it holds
    return c.Optional(c.Type(types))


class PluginConfig(Config):
    """The plugin's options; s3img itself checks the values of its settings."""

    enabled = c.Type(bool, default=True)
    serve = c.Type(bool, default=False)
    require_upload = c.Type(bool, default=False)
    config_file = c.Optional(c.File(exists=True))

    bucket = _optional(_TEXT)
    provider = _optional(_TEXT)
    account = _optional(_TEXT)
    endpoint_url = _optional(_TEXT)
    region = _optional(_TEXT)
    addressing_style = _optional(_TEXT)
    aws_profile = _optional(_TEXT)
    role_arn = _optional(_TEXT)
    external_id = _optional(_TEXT)
    anonymous = _optional(_FLAG)
    public_url = _optional(_TEXT)
    key_template = _optional(_TEXT)
    widths = _optional((list,))
    formats = _optional((list,))
    quality = _optional((dict,))
    subsampling = _optional(_TEXT)
    sizes = _optional(_TEXT)
    markup = _optional(_TEXT)
    missing = _optional(_TEXT)
    remove_local = _optional(_FLAG)
    check_public = _optional(_FLAG)
    site_url = _optional(_TEXT)
    cache_dir = _optional(_TEXT)
    workers = _optional(_NUMBER)
    deadline = _optional(_NUMBER)
    executor = _optional(_TEXT)
    variants = _optional(_FLAG)
    presets = _optional((dict,))
    fonts = _optional((dict,))
    focus_detectors = _optional((dict,))
    rules = _optional((list,))
    limits = _optional((dict,))
    upload_origins = _optional((list,))
    upload_templates = _optional((dict,))
    link_templates = _optional((dict,))

    def settings(self) -> dict[str, Any]:
        """Return the settings of s3img that were written in ``mkdocs.yml``."""
        return {name: value for name, value in self.items() if name not in PLUGIN_OPTIONS and value is not None}
