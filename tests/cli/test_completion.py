"""The scripts that shells complete with, run by real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from s3img.cli import group

PROGRAMS = Path(sys.executable).parent
_BASH = """
source <(s3img completion bash)
COMP_WORDS=({words}) COMP_CWORD={index}
_s3img_completion s3img
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def complete(words: str, index: int) -> list[str]:
    """Return what bash offers for a word."""
    script = _BASH.format(words=words, index=index)
    environ = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_bash_completes_commands_and_options() -> None:
    if not (PROGRAMS / "s3img").exists():
        pytest.skip("s3img is not installed as a program")
    assert complete("s3img pu", 1) == ["publish", "pull", "push"]
    assert "--expires" in complete("s3img sign --", 2)
    assert complete("s3img completion z", 2) == ["zsh"]


def test_zsh_accepts_its_script() -> None:
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    script = CliRunner().invoke(group, ["completion", "zsh"]).output
    code = f"autoload -U compinit; compinit -D\n{script}\nprint $_comps[s3img]"
    done = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "_s3img_completion"


def test_fish_script_names_the_program() -> None:
    assert "complete --no-files --command s3img" in CliRunner().invoke(group, ["completion", "fish"]).output


def test_unknown_shell_is_refused() -> None:
    result = CliRunner().invoke(group, ["completion", "cmd"])
    assert (result.exit_code, "'bash', 'zsh', 'fish'" in result.output) == (2, True)
