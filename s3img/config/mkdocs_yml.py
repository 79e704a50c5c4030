"""Settings of s3img in the file of a site's generator: ``mkdocs.yml``, or ``zensical.toml``.

MkDocs hands them to the plugin. Zensical runs no plugins, so ``s3img publish`` reads the same block itself.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from s3img.config.load import SettingsSource, read_toml
from s3img.config.model import Config
from s3img.errors import DECODE_ERRORS, ConfigError

PLUGIN_OPTIONS: Final = frozenset({"enabled", "serve", "require_upload", "config_file"})
"""The plugin's own options, which stand in one block with s3img's settings."""

_MATERIAL: Final = "(min-width: 76.25em) 780px, (min-width: 60em) 70vw, 100vw"
_READ_THE_DOCS: Final = "(min-width: 1100px) 700px, (min-width: 769px) calc(100vw - 400px), 100vw"
THEME_SIZES: Final = {
    "material": _MATERIAL,
    "zensical": _MATERIAL,
    "mkdocs": "(min-width: 1200px) 830px, 100vw",
    "readthedocs": _READ_THE_DOCS,
    "alabaster": "(min-width: 940px) 660px, calc(100vw - 60px)",
    "furo": "(min-width: 97em) 810px, (min-width: 768px) 736px, calc(100vw - 32px)",
    "pydata_sphinx_theme": "(min-width: 1200px) 896px, (min-width: 960px) 928px, calc(100vw - 32px)",
    "sphinx_book_theme": (
        "(min-width: 1366px) 790px, (min-width: 1200px) calc(100vw - 576px), "
        "(min-width: 960px) calc(100vw - 284px), calc(100vw - 32px)"
    ),
    "sphinx_rtd_theme": _READ_THE_DOCS,
}
"""The width of the text column by theme: browsers choose the file of an image that isn't lazy by it.

Measured in Chromium at windows of 360 to 2,560 px, with an image wider than the column; never less than measured.
"""


class GeneratorFile(msgspec.Struct, frozen=True):
    """The contents of a generator's file: s3img's settings, the plugin's own options, and the theme's name."""

    source: SettingsSource
    require_upload: bool = False
    config_file: Path | None = None
    theme: str = ""


def with_theme_sizes(config: Config, theme: str) -> Config:
    """Return the settings with the ``sizes`` of a known theme, unless the user has set them."""
    sizes = THEME_SIZES.get(theme, "")
    return msgspec.structs.replace(config, sizes=sizes) if sizes and config.sizes == Config().sizes else config


def read_generator_file(folder: Path) -> GeneratorFile | None:
    """Return the settings of s3img in a generator's file, None without any; raise ConfigError."""
    toml, yml = folder / "zensical.toml", folder / "mkdocs.yml"
    if toml.is_file():
        project = read_toml(toml).get("project")
        place, usual_theme = "zensical.toml [project.plugins.s3img] ", "zensical"
    elif yml.is_file():
        project, place, usual_theme = _read_yaml(yml), "mkdocs.yml plugins: s3img: ", "mkdocs"
    else:
        return None
    if not isinstance(project, dict):
        return None
    # Plugins are a table or a list, whose entries are names alone or tables of one row.
    plugins = project.get("plugins")
    tables = plugins if isinstance(plugins, list) else [plugins]
    blocks = [entry["s3img"] for entry in tables if isinstance(entry, dict) and "s3img" in entry]
    block = (blocks or [{} if "s3img" in tables else False])[0]
    if not isinstance(block, dict | None):
        return None
    block = block or {}
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


def _read_yaml(path: Path) -> dict[str, Any]:
    """Read a ``mkdocs.yml``; ``!ENV`` works as in MkDocs, other tags (of Python objects) become None."""
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
    except (yaml.YAMLError, *DECODE_ERRORS) as error:
        raise ConfigError([f"{path.name}: can't be understood: {error}"]) from error
    return found if isinstance(found, dict) else {}
