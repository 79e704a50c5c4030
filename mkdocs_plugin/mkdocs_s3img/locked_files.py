"""Images out of git: MkDocs sees them as files of the site, and has nothing to copy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

from s3img.lock import read_lock

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files


class LockedFile(File):
    """An image that is in the bucket and not on disk; pages may link to it."""

    def copy_file(self, dirty: bool = False) -> None:  # noqa: FBT001, FBT002 - MkDocs' signature
        """Copy nothing: publishing writes the image's public address, or the image itself."""


def add_locked_files(files: Files, lock: Path, config: MkDocsConfig) -> None:
    """Add the images of a lock that belong below ``docs_dir`` and are not there; raise LockError.

    MkDocs then checks links to them like any others: no warning, and ``--strict`` can be used.
    """
    docs, root = Path(config.docs_dir).resolve(), lock.parent.resolve()
    for entry in read_lock(lock):
        path = root / entry.path
        if not path.is_relative_to(docs) or path.exists():
            continue
        name = path.relative_to(docs).as_posix()
        if files.get_file_from_path(name) is None:
            files.append(LockedFile(name, config.docs_dir, config.site_dir, config.use_directory_urls))
