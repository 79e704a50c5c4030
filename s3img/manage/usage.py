"""Where an object is used: lines of the lock, builds that the bucket knows, pages and sources on disk."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

import msgspec

from s3img.gc.references import ReferenceReader
from s3img.keys import KeyTemplate
from s3img.manage.source_files import KeyUrls, references_in, source_files
from s3img.rewrite import position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from s3img.buckets import Bucket
    from s3img.config import Config
    from s3img.lock import Lock
    from s3img.manage.source_files import SourceFile


class Use(msgspec.Struct, frozen=True, order=True):
    """One place that uses a key: ``lock``, ``site`` (a build that named it), ``source`` (a reference) or ``text``.

    ``place`` is a path with line and column, or the site's folder of references; ``text`` is an address in a file of
    a kind that s3img knows no rules for.
    """

    kind: Literal["lock", "site", "source", "text"]
    place: str
    key: str
    url: str = ""

    def __str__(self) -> str:
        return f"{self.kind:6} {self.place}" + (f"  {self.url}" if self.url else "")


def find_uses(
    keys: Iterable[str],
    *,
    bucket: Bucket | None = None,
    lock: Lock | None = None,
    lock_folder: Path | None = None,
    places: Iterable[Path] = (),
    config: Config | None = None,
) -> tuple[Use, ...]:
    """Return each place that uses one of the keys, as far as is told where to look.

    ``places`` are folders or files of pages and sources, whose addresses ``config`` tells to be the bucket's; paths in
    them count where the ``lock``, in ``lock_folder``, has that picture. Raise BucketError, AssetError, ConfigError.
    """
    wanted = frozenset(keys)
    found = [*uses_of_lock(wanted, lock)] if lock else []
    if bucket:
        for reference in ReferenceReader(bucket).read():
            site = reference.site.removeprefix(".s3img/refs/").rstrip("/")
            found += [Use("site", site, key) for key in wanted & reference.keys]
    if config:
        urls = KeyUrls(config)
        paths = {use.place: use.key for use in uses_of_lock(wanted, lock)} if lock else {}
        for file in source_files(places):
            found += uses_in_file(file, wanted, urls, paths, lock_folder)
    return tuple(sorted({*found}))


def uses_of_lock(wanted: frozenset[str], lock: Lock) -> Iterator[Use]:
    """Yield the lines of a lock that name a key as an original or as a rendering."""
    template = KeyTemplate(lock.settings.key_template)
    for entry in lock:
        for key in (entry.key, *entry.variant_keys(template).values()):
            if key in wanted:
                yield Use("lock", entry.path, key)


def uses_in_file(
    file: SourceFile, wanted: frozenset[str], urls: KeyUrls, paths: Mapping[str, str], lock_folder: Path | None
) -> Iterator[Use]:
    """Yield the references of one file that lead to a key, by address or by a path that the lock has."""
    text = file.read()
    if text is None:
        return
    seen = set()
    for reference in references_in(text, file.kind) if file.kind else ():
        found = urls.read(reference.url)
        key = found.key if found else local_key(file, reference.url, paths, lock_folder)
        if key in wanted:
            line, column = position(text, reference.start)
            seen.add(line)
            yield Use("source", f"{file.path}:{line}:{column}", key, reference.url)
    for offset, found in urls.in_text(text):
        line, column = position(text, offset)
        if found.key in wanted and line not in seen:
            yield Use("text", f"{file.path}:{line}:{column}", found.key, found.at(found.key))


def local_key(file: SourceFile, url: str, paths: Mapping[str, str], lock_folder: Path | None) -> str:
    """Return the key of a picture that is named by its path, "" for what the lock does not have.

    A path from the root of a site may have any prefix of its own, so its end counts.
    """
    if not paths or lock_folder is None or "://" in url or url.startswith("//"):
        return ""
    path = unquote(url.partition("?")[0].partition("#")[0], errors="surrogateescape")
    if path.startswith("/"):
        ends = (key for known, key in paths.items() if f"/{known}".endswith(path) or path.endswith(f"/{known}"))
        return next(ends, "")
    try:
        folder = file.path.resolve().parent.relative_to(lock_folder.resolve()).as_posix()
    except ValueError:
        return ""
    return paths.get(posixpath.normpath(posixpath.join(folder, path)), "")
