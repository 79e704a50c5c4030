"""Which pages of a site are finished, kept inside the site: path and digest of the bytes that were written.

A page counts as finished while its bytes are the recorded ones; one that its generator wrote anew does not. A line
is added before its page is replaced, so a run that is killed in between leaves a line that matches nothing.
The form is that of ``sha256sum``.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from s3img.assets import OWN_FOLDER
from s3img.atomic import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

NAME = f"{OWN_FOLDER}/pages.sha256"


class PageManifest:
    """Hold the digests of finished pages."""

    def __init__(self, root: Path) -> None:
        self._file = root / NAME
        self._finished: dict[str, str] = {}
        self._journal = False
        if self._file.exists():
            lines = self._file.read_text("utf-8", "surrogateescape").split("\n")
            self._finished = {line[66:]: line[:64] for line in lines if len(line) > 66}

    @property
    def version(self) -> str:
        """Return what changes whenever the manifest does."""
        return hashlib.sha256(self._text()).hexdigest()

    def has(self, path: str) -> bool:
        """Tell whether an earlier run finished a page of this name."""
        return path in self._finished

    def is_finished(self, path: str, data: bytes) -> bool:
        """Tell whether these bytes are what an earlier run made of the page."""
        return self._finished.get(path) == hashlib.sha256(data).hexdigest()

    def add(self, path: str, data: bytes) -> None:
        """Record a page just before it is written; raise OSError."""
        digest = hashlib.sha256(data).hexdigest()
        self._finished[path] = digest
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab") as file:
            file.write(f"\n{digest}  {path}\n".encode("utf-8", "surrogateescape"))
        self._journal = True

    def save(self) -> None:
        """Put the lines in order, one a page, where any was added; raise OSError."""
        if self._journal:
            write_atomically(self._file, self._text())

    def _text(self) -> bytes:
        lines = [f"{digest}  {path}\n" for path, digest in sorted(self._finished.items()) if "\n" not in path]
        return "".join(lines).encode("utf-8", "surrogateescape")
