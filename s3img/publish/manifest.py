"""Which pages of a site are finished, kept inside the site: path and digest of the bytes that were written.

A page counts as finished while its bytes are the recorded ones; one that its generator wrote anew does not. A line
is added before its page is replaced, so a run that is killed in between leaves a line that matches nothing.
The form is that of ``sha256sum``.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from s3img.assets import OWN_FOLDER
from s3img.atomic import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

NAME = f"{OWN_FOLDER}/pages.sha256"


class PageManifest:
    """Hold the digests of finished pages; the file is read when somebody asks."""

    def __init__(self, root: Path) -> None:
        self._file = root / NAME
        self._has_news = False

    @cached_property
    def _finished(self) -> dict[str, str]:
        try:
            lines = self._file.read_text("utf-8", "surrogateescape").split("\n")
        except OSError:
            return {}
        return {line[66:]: line[:64] for line in lines if len(line) > 66}

    def digest(self, path: str) -> str | None:
        """Return the sha256 (hex) of what an earlier run made of a page, None if it finished no page of this name."""
        return self._finished.get(path)

    def add(self, path: str, data: bytes) -> None:
        """Record a page just before it is written; raise OSError."""
        import hashlib  # a run with nothing to do needs none

        self._finished[path] = digest = hashlib.sha256(data).hexdigest()
        if not self._has_news:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._has_news = True
        with self._file.open("ab", buffering=0) as journal:
            journal.write(f"\n{digest}  {path}\n".encode("utf-8", "surrogateescape"))

    def save(self) -> None:
        """Put the lines in order, one a page, where any was added; raise OSError."""
        if self._has_news:
            write_atomically(self._file, self._text())

    def _text(self) -> bytes:
        lines = [f"{digest}  {path}\n" for path, digest in sorted(self._finished.items()) if "\n" not in path]
        return "".join(lines).encode("utf-8", "surrogateescape")
