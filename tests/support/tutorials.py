"""Read a tutorial as a reader does: ``console`` blocks are typed in order, blocks with a title are files to write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FENCE = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<body>.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A file to write (``path`` is not empty) or commands to type, and the line of the page where it begins."""

    line: int
    path: str
    text: str


def read_steps(page: Path) -> list[Step]:
    """Return the steps of a tutorial in order; other blocks (shortened examples) are for reading only."""
    text = page.read_text("utf-8")
    return [
        Step(text.count("\n", 0, fence.start()) + 1, fence["title"] or "", fence["body"])
        for fence in FENCE.finditer(text)
        if fence["title"] or fence["language"] == "console"
    ]


def as_script(steps: list[Step], replacements: dict[str, str]) -> str:
    """Return one shell script that does the steps in the current folder and stops at the first that fails."""
    parts = ["set -euo pipefail"]
    for step in steps:
        text = step.text
        for placeholder, value in replacements.items():
            text = text.replace(placeholder, value)
        if step.path:
            folder = step.path.rpartition("/")[0]
            parts += [f"mkdir -p {folder}"] if folder else []
            parts.append(f"cat > {step.path} <<'END-OF-FILE'\n{text}END-OF-FILE")
        else:
            parts.append(f"echo '== line {step.line}'\n{text.rstrip()}")
    return "\n".join(parts) + "\n"
