"""Settings of s3img in the file of a site's generator: ``mkdocs.yml``, or ``zensical.toml``.

MkDocs hands them to the plugin. Zensical runs no plugins, so ``s3img publish`` reads the same block itself.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from s3img.config.load import SettingsSource
from s3img.config.model import Config
from s3img.errors import ConfigError

PLUGIN_OPTIONS: Final = frozenset({"enabled", "serve", "require_upload", "config_file"})
"""What the plugin's block may say beside settings."""

_MATERIAL: Final = "(min-width: 76.25em) 780px, (min-width: 60em) 70vw, 100vw"
THEME_SIZES: Final = {
    "material": _MATERIAL,
    "zensical": _MATERIAL,
    "mkdocs": "(min-width: 1200px) 830px, 100vw",
    "readthedocs": "(min-width: 1100px) 700px, (min-width: 769px) calc(100vw - 400px), 100vw",
}
"""How wide the column of text is, by theme; what an image that is not lazy is chosen by."""


class GeneratorFile(msgspec.Struct, frozen=True):
    """What a generator's file says: s3img's settings, the plugin's own options, and the theme's name."""

    source: SettingsSource
    require_upload: bool = False
    config_file: Path | None = None
    theme: str = ""


def with_theme_sizes(config: Config, theme: str) -> Config:
    """Return the settings with the ``sizes`` of a known theme, unless the user has set them."""
    sizes = THEME_SIZES.get(theme, "")
    return msgspec.structs.replace(config, sizes=sizes) if sizes and config.sizes == Config().sizes else config


def read_generator_file(folder: Path) -> GeneratorFile | None:
    """Return what the generator's file in a folder says of s3img, None without such a block; raise ConfigError."""
    toml, yml = folder / "zensical.toml", folder / "mkdocs.yml"
    if toml.is_file():
        import tomllib  # most runs have no such file

        try:
            project = tomllib.loads(toml.read_text("utf-8")).get("project", {})
        except (OSError, ValueError) as error:
            raise ConfigError([f"{toml.name}: can't be read: {error}"]) from error
        block = project.get("plugins", {}).get("s3img")
        return _generator_file(project, block, folder, "zensical.toml [project.plugins.s3img] ", "zensical")
    if yml.is_file():
        project = _read_yaml(yml)
        blocks = (_plugin_of(entry) for entry in _plugins(project))
        block = next((options for name, options in blocks if name == "s3img"), None)
        return _generator_file(project, block, folder, "mkdocs.yml plugins: s3img: ", "mkdocs")
    return None


def _generator_file(
    project: dict[str, Any], block: object, folder: Path, place: str, usual_theme: str
) -> GeneratorFile | None:
    if not isinstance(block, dict):
        return None
    theme = project.get("theme") or usual_theme
    name = theme.get("name", usual_theme) if isinstance(theme, dict) else theme
    values = {key: value for key, value in block.items() if key not in PLUGIN_OPTIONS and value is not None}
    values.setdefault("site_url", project.get("site_url") or "")
    file = block.get("config_file")
    return GeneratorFile(
        SettingsSource(values, lambda setting: place + setting),
        require_upload=block.get("require_upload") is True,
        config_file=folder / file if isinstance(file, str) and file else None,
        theme=str(name),
    )


def _plugins(project: dict[str, Any]) -> list[Any]:
    """Return the entries of ``plugins``, which may be a list or a table."""
    plugins = project.get("plugins")
    if isinstance(plugins, dict):
        return [{name: options} for name, options in plugins.items()]
    return plugins if isinstance(plugins, list) else []


def _plugin_of(entry: object) -> tuple[str, object]:
    """Return (name, options) of one entry: a name alone, or a table of one row."""
    if isinstance(entry, dict) and len(entry) == 1:
        ((name, options),) = entry.items()
        return str(name), options or {}
    return str(entry), {}


def _read_yaml(path: Path) -> dict[str, Any]:
    """Read a ``mkdocs.yml``; ``!ENV`` means what it means to MkDocs, other tags of Python objects nothing."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError([f"{path.name}: can't be read: {error}"]) from error
    if not re.search(r"\bs3img\b", text):
        return {}  # nothing for us: whether PyYAML is there does not matter
    try:
        import yaml  # comes with MkDocs and with Zensical; s3img itself needs none
    except ImportError as error:
        fix = f"{path.name}: has settings of s3img, and PyYAML, which reads them, is not installed: pip install PyYAML"
        raise ConfigError([fix]) from error

    loader: Any = type("Loader", (yaml.SafeLoader,), {})  # a class of our own: constructors are added to classes

    def environment(loader: Any, node: Any) -> object:  # noqa: ANN401 - PyYAML ships no types
        if isinstance(node, yaml.SequenceNode):
            *names, default = loader.construct_sequence(node) or [None]
            if len(node.value) == 1:
                names, default = [default], None
        else:
            names, default = [loader.construct_scalar(node)], None
        found = next((os.environ[str(name)] for name in names if str(name) in os.environ), None)
        return default if found is None else yaml.safe_load(found)

    loader.add_constructor("!ENV", environment)
    for tag in ("!", "tag:yaml.org,2002:python/"):
        loader.add_multi_constructor(tag, lambda *_: None)
    try:
        found = yaml.load(text, loader)  # noqa: S506 - a SafeLoader that makes nothing of Python's tags
    except yaml.YAMLError as error:
        raise ConfigError([f"{path.name}: can't be understood: {error}"]) from error
    return found if isinstance(found, dict) else {}
