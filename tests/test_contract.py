"""What others rely on: public names, documented settings, the shape of the source."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import s3img
from s3img.config import Config
from s3img.errors import S3ImgError

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "s3img").rglob("*.py"), *(ROOT / "mkdocs_plugin").rglob("*.py")])


def test_public_names_are_these() -> None:
    assert sorted(s3img._HOME) == ["Config", "Images", "S3ImgError", "Transform"]
    assert all(getattr(s3img, name).__name__ == name for name in s3img._HOME)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Imagse'"):
        s3img.Imagse  # noqa: B018


@pytest.mark.parametrize("name", Config.__struct_fields__)
def test_setting_is_documented(name: str) -> None:
    table = (ROOT / "docs/configuration.md").read_text().partition("<!-- settings -->")[2]
    assert re.search(rf"^\|[^|]*`{name}`", table, re.MULTILINE)


SERVICE_ONLY = (
    "access",
    "allowed",
    "signing_keys",
    "imagekit_private_key",
    "imgproxy",
    "service_url",
    "origins",
    "endpoints",
    "service",
)
"""Settings that a site's build has no use for, one of them too secret for ``mkdocs.yml``."""


@pytest.mark.parametrize("name", [name for name in Config.__struct_fields__ if name not in SERVICE_ONLY])
def test_setting_is_an_option_of_the_mkdocs_plugin(name: str) -> None:
    from mkdocs_s3img.config import PluginConfig

    assert name in dict(PluginConfig._schema)


def _tree(error: type[S3ImgError]) -> list[type[S3ImgError]]:
    return [error, *(found for child in error.__subclasses__() for found in _tree(child))]


@pytest.mark.parametrize("error", _tree(S3ImgError), ids=lambda error: error.__name__)
def test_error_is_drawn_in_the_tree_with_its_codes(error: type[S3ImgError]) -> None:
    from s3img import errors

    assert re.search(rf"\b{error.__name__}\s+{error.status}  exit {error.exit_code}\b", errors.__doc__ or "")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_file_says_what_it_is_about(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "a file says in its first lines what it is about"


def test_plugin_is_thin() -> None:
    files = (ROOT / "mkdocs_plugin/mkdocs_s3img").glob("*.py")
    counted = (path.read_text().count("\n") for path in files if path.name != "config.py")  # which has a line a setting
    assert sum(counted) < 160


@pytest.mark.parametrize("name", ["django/**/*.py", "sphinx.py"])
def test_adapter_is_thin(name: str) -> None:
    files = (ROOT / "s3img/adapters").glob(name)
    assert 0 < sum(path.read_text().count("\n") for path in files) < 150


def test_version_is_in_the_changelog_or_ahead_of_it() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
    assert re.fullmatch(r"\d+\.\d+\.\d+", s3img.__version__)


PUBLIC = re.findall(r"^\| `([\w.]+)` \| (.+?) \|", (ROOT / "docs/api.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize(("module", "names"), PUBLIC)
def test_public_name_is_there(module: str, names: str) -> None:
    found = importlib.import_module(module)
    missing = [name for name in re.findall(r"`(\w+)`", names) if not hasattr(found, name)]
    assert missing == []


def test_names_that_the_documents_import_are_public() -> None:
    """Whatever an example shows is what its reader relies on."""
    listed = dict(PUBLIC)
    examples = "\n".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    shown = re.findall(r"^from ((?:s3img|flask_s3img)[\w.]*) import ([\w, ]+)", examples, re.MULTILINE)
    private = {
        f"{module}.{name.strip()}"
        for module, names in shown
        for name in names.split(",")
        if listed.get(module) != "all" and f"`{name.strip()}`" not in listed.get(module, "")
    }
    assert private == set()


PRODUCT = [*SOURCES, *sorted((ROOT / "flask_ext").rglob("*.py"))]


def _twice(names: Iterable[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def test_module_name_occurs_once() -> None:
    """Django calls a tag library after its file, and a command as well."""
    ours = (path for path in PRODUCT if path.parent.name not in {"templatetags", "commands"})
    assert _twice(path.stem for path in ours if not path.stem.startswith("__")) == set()


@pytest.mark.slow
def test_class_name_occurs_once() -> None:
    trees = (ast.parse(path.read_text()) for path in PRODUCT)
    assert _twice(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)) == set()


@pytest.mark.slow
def test_docstring_says_what_a_thing_is_or_does() -> None:
    """Not that it holds something."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = (node for path in PRODUCT for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds))
    assert {node.name for node in nodes if (ast.get_docstring(node) or "").startswith("Hold ")} == set()
