"""What pre-commit asks: images that are too large for git, images without a description."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sites import photo

from s3img.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, list[str]]]:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, list[str]]:
        with pytest.raises(SystemExit) as stopped:
            main(list(arguments))
        shown = capsys.readouterr()
        return int(stopped.value.code or 0), (shown.out + shown.err).splitlines()

    return run


def test_large_images_names_files_above_the_limit(run: Callable[..., tuple[int, list[str]]], tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_bytes(b" " * 2000)
    (tmp_path / "b.svg").write_bytes(b" " * 2001)
    found = ["b.svg: has 2 kB, at most 2 kB are allowed"]
    assert run("large-images", "--max-kb", "2", "a.svg", "b.svg") == (1, found)
    assert run("large-images", "--max-kb", "3", "a.svg", "b.svg") == (0, [])


def test_large_images_names_pictures_with_too_many_px(
    run: Callable[..., tuple[int, list[str]]], tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(photo(300, 20))
    (tmp_path / "b.svg").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg' width='900' height='9'/>")
    found = ["a.jpg: has 300 x 20 px, at most 299 px are allowed"]
    assert run("large-images", "--max-side", "299", "a.jpg") == (1, found)
    assert run("large-images", "--max-side", "300", "a.jpg") == (0, [])


def test_large_images_says_which_file_is_missing(run: Callable[..., tuple[int, list[str]]]) -> None:
    code, lines = run("large-images", "nope.jpg")
    assert (code, "nope.jpg: can't be read" in lines[0]) == (1, True)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.html", '<img src="x.png">', ["1: x.png"]),
        ("a.html", '<p>\n<IMG\nSRC=x.png title="x">', ["3: x.png"]),
        ("a.html", '<img src="x.png" alt="">', []),
        ("a.html", '<img src="x.png" alt>', []),
        ("a.html", '<picture><source srcset="y.avif"><img src="x.png" alt="a cat"></picture>', []),
        ("a.html", '<!-- <img src="x.png"> --><script>"<img src=x.png>"</script>', []),
        ("a.md", "a\n\n![](x.png)", ["3: x.png"]),
        ("a.md", '![ ](<x y.png> "title")', ["1: x y.png"]),
        ("a.md", "![a cat](x.png)", []),
        ("a.md", "`![](x.png)`\n\n    ![](x.png)\n\n```\n![](x.png)\n```", []),
        ("a.md", '<img src="x.png">', ["1: x.png"]),
        ("a.md", '<img src="x.png" alt="">', []),
        ("a.markdown", "[![](x.png)](y.html)", ["1: x.png"]),
    ],
)
def test_missing_alt_names_file_and_line(
    run: Callable[..., tuple[int, list[str]]], tmp_path: Path, name: str, text: str, found: list[str]
) -> None:
    (tmp_path / name).write_text(text)
    assert run("missing-alt", name) == (int(bool(found)), [f"{name}:{one} has no alt text" for one in found])


def test_missing_alt_prints_one_json_object(run: Callable[..., tuple[int, list[str]]], tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("![](x.png)")
    code, lines = run("missing-alt", "a.md", "--json")
    assert (code, json.loads(lines[0])["findings"]) == (1, ["a.md:1: x.png has no alt text"])


@pytest.mark.nightly
def test_pre_commit_runs_the_hooks(tmp_path: Path) -> None:
    """A repository with a good and a bad file for each hook; the hooks are read from the project's own manifest."""
    pytest.importorskip("pre_commit")
    yaml = pytest.importorskip("yaml")
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    for hook in hooks:  # the program that is under test, in place of one that pre-commit would install
        hook["language"] = "system"
        hook["entry"] = f"{Path(sys.executable).parent}/{hook['entry']}"
    (tmp_path / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{"repo": "local", "hooks": hooks}]}))
    (tmp_path / "good.md").write_text("![a cat](cat.jpg)\n")
    (tmp_path / "bad.md").write_text("![](cat.jpg)\n")
    (tmp_path / "cat.jpg").write_bytes(photo(300, 200))
    (tmp_path / "large.jpg").write_bytes(photo(300, 200) + b" " * 1_000_000)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    command = [sys.executable, "-m", "pre_commit", "run", "--all-files", "--color=never"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = re.findall(r"^(.*)\.{3,}(Failed|Passed)", done.stdout, re.MULTILINE)
    assert [(name.strip("."), result) for name, result in found][1:] == [
        ("no large images", "Failed"),
        ("images have alt text", "Failed"),
    ], done.stdout + done.stderr
    assert "bad.md:1: cat.jpg has no alt text" in done.stdout
    assert "large.jpg: has 1," in done.stdout
    assert "good.md" not in done.stdout
