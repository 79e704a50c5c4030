"""Markdown sources: put the images they show into the bucket and write the public URLs into the text.

For text that no site build touches, such as a README on a package index. A file is written back only as far as
rendering before and after proves that nothing but the URLs changes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from s3img.assets import AssetRoot, TargetKind
from s3img.atomic import remove_stale_in, write_atomically
from s3img.cache import SiteState
from s3img.errors import AssetError, FileUnreadable, FileUnwritable
from s3img.keys import KeyTemplate
from s3img.pictures.choices import Link, PageReader, is_placeholder
from s3img.pictures.placement import PublicAddress
from s3img.publish.library import SiteLibrary
from s3img.publish.result import POLICY, Problem, PublishResult
from s3img.rewrite import Reference, find_references, position
from s3img.rewrite.markdown.proof import rewrite_markdown
from s3img.transfer import Upload, UploadResult
from s3img.transfer.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from s3img.buckets import Bucket
    from s3img.config import Config
    from s3img.errors import S3ImgError

_MEDIA_TYPE = "text/markdown"


@dataclass(frozen=True, slots=True)
class _Source:
    """A file: its path below the root, its text, and the image that each reference shows."""

    path: str
    text: str
    links: dict[str, Link] = field(default_factory=dict)


class SourcePublisher:
    """Publish the images of Markdown files that lie below one root."""

    def __init__(self, root: Path, config: Config, *, bucket: Bucket, render: Callable[[str], str]) -> None:
        self._root = AssetRoot(root, site_url=config.site_url)
        self._config = config
        self._target = bucket.name
        self._delivery = Delivery(lambda: bucket, workers=config.workers, deadline=config.deadline)
        self._render = render
        self._address = PublicAddress(KeyTemplate.parse(config.key_template), config.base_url)
        self._problems: list[Problem] = []

        def fault(path: str, code: str, message: str) -> None:
            self._problems.append(Problem(path, 0, 0, code, message))

        self._library = SiteLibrary(self._root, SiteState(), config, fault)

    def run(self, files: Iterable[Path], *, dry_run: bool = False) -> PublishResult:
        """Upload what is missing, then write the files; raise S3ImgError when a file can't be read.

        A file that can't be written stays as it is, and is an error of the result.
        """
        files = [*files]
        sources = {source.path: source for source in map(self.read, files)}.values()
        if not dry_run:
            remove_stale_in({file.resolve().parent for file in files})
        links = [link for source in sources for link in source.links.values()]
        has_errors = any(problem.severity == "error" for problem in self._problems)
        failed: Mapping[str, S3ImgError] = {}
        code, changed = 0, 0
        if links and not has_errors and not dry_run:
            result = self.upload(links)
            failed, code = result.failed, result.exit_code
            changed = sum(self.write(source, failed.keys()) for source in sources)
        self._problems += [Problem("", 0, 0, "upload", text, "error") for text in sorted({*map(str, failed.values())})]
        return PublishResult(
            target=self._target,
            pages=len(sources),
            pages_changed=changed,
            images=len({link.asset.path for link in links}),
            uploaded=len(self._delivery.uploaded),
            present=len(self._delivery.found),
            requests=dict(self._delivery.requests),
            problems=tuple(sorted(self._problems)),
            failed=tuple(sorted(failed)),
            exit_code=code or max((exit_code(problem) for problem in self._problems), default=0),
            dry_run=dry_run,
        )

    def read(self, file: Path) -> _Source:
        """Read a file and find what it shows; a symbolic link is the file that it leads to. Raise AssetError."""
        path = os.path.relpath(file.resolve(), self._root.root.resolve()).replace(os.sep, "/")
        if path.startswith("../"):
            raise AssetError(
                f"{file}: lies outside {self._root.root}.", path=str(file), fix="Name its folder with --root."
            )
        try:
            text = file.read_bytes().decode("utf-8")
        except IsADirectoryError as error:
            raise AssetError(f"{file}: is a folder.", path=str(file), fix="Name Markdown files.") from error
        except OSError as error:
            raise FileUnreadable(str(file), error) from error
        except UnicodeDecodeError as error:
            raise AssetError(f"{file}: is not UTF-8.", path=str(file), fix="Save it as UTF-8.") from error

        def report(reference: Reference, code: str, message: str) -> None:
            severity = POLICY[self._config.missing]
            if severity is not None:
                self._problems.append(Problem(path, *position(text, reference.start), code, message, severity))

        reader = PageReader(path, self._root, self._library, self._config, report, is_html=False)
        links: dict[str, Link] = {}
        for reference in find_references(text, _MEDIA_TYPE):
            choice = reader.choose(reference)
            if isinstance(choice, Link):
                links[reference.url] = choice
            elif reason := self._why_left(reference, path):
                message = f"{reference.url!r} stays: {reason}."
                self._problems.append(Problem(path, *position(text, reference.start), "left", message, "note"))
        return _Source(path, text, links)

    def _why_left(self, reference: Reference, path: str) -> str:
        """Return why a reference that is not a fault stays as it is, "" for one that is reported or finished."""
        if reference.tag is not None and reference.tag.off:
            return "its author excluded it"
        if is_placeholder(reference.url):
            return "a template has yet to fill it in"
        kind = self._root.resolve(reference.url, document=path, base=reference.base).kind
        if kind is TargetKind.OUTSIDE:
            return f"it leads out of {self._root.root}; name another folder with --root"
        is_finished = self._address.owns(reference.url) or reference.url.startswith(("data:", "#"))
        return "it is an address elsewhere, not a file" if kind is TargetKind.EXTERNAL and not is_finished else ""

    def upload(self, links: Iterable[Link]) -> UploadResult:
        """Put what is missing. Nobody knows where the text goes, so its images count as in use for ever."""
        assets = {self._address.original_key(link.asset): link.asset for link in links}
        self._delivery.claim(frozenset(assets), site="")
        return self._delivery.send(
            Upload(key, self._root.file(asset.path), asset.size, asset.facts.media_type, sha256=asset.digest)
            for key, asset in assets.items()
        )

    def write(self, source: _Source, failed: Iterable[str]) -> bool:
        """Write a file back; return whether it changed."""
        broken = set(failed)

        def replace(reference: Reference) -> str | None:
            link = source.links.get(reference.url)
            if link is None or (key := self._address.original_key(link.asset)) in broken:
                return None
            return self._address.url(key) + link.target.tail

        result = rewrite_markdown(source.text, replace, self._render)
        for refusal in result.refusals:
            message = f"{refusal.url!r} stays: {refusal.reason}"
            self._problems.append(Problem(source.path, refusal.line, refusal.column, "refused", message))
        if not result.changed:
            return False
        try:
            write_atomically(self._root.file(source.path), result.text.encode("utf-8"))
        except OSError as error:
            message = str(FileUnwritable(source.path, error)).removeprefix(f"{source.path}: ")
            self._problems.append(Problem(source.path, 0, 0, FileUnwritable.reason, message, "error"))
            return False
        return True


def exit_code(problem: Problem) -> int:
    """Return what a problem alone would end the command with."""
    return FileUnwritable.exit_code if problem.code == FileUnwritable.reason else int(problem.severity == "error")


def place_of(url: str, file: str | None) -> str:
    """Return ``:line:column`` of the first image in a file that became ``url`` in its page, "" if that is unknown.

    MkDocs adapts URLs to where the page lies: steps upwards don't count.
    """
    if not url or file is None:
        return ""
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
    for reference in find_references(text, "text/markdown"):
        if _from_below(reference.url) == _from_below(url):
            line, column = position(text, reference.start)
            return f":{line}:{column}"
    return ""


def _from_below(url: str) -> str:
    while url.startswith(("../", "./")):
        url = url.partition("/")[2]
    return url
