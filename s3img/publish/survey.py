"""Read every page once and note what it needs; pages in which nothing is left to do are not even opened."""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from s3img.assets import OWN_FOLDER, AssetRoot
from s3img.publish.choices import Choice, Image, PageReader, Strip
from s3img.publish.library import Library
from s3img.publish.result import Problem, Severity
from s3img.render_version import RENDER_VERSION
from s3img.rewrite import OPTIONAL_KINDS, Reference, find_references, position

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.cache import SiteState
    from s3img.config import Config
    from s3img.publish.edits import Placement
    from s3img.publish.manifest import PageManifest

MEDIA_TYPES = {".html": "text/html", ".htm": "text/html", ".xhtml": "text/html", ".css": "text/css"}
_POLICY: dict[str, Severity | None] = {"error": "error", "warn": "warning", "keep": None}


@dataclass(slots=True)
class Survey:
    """Hold what the pages of a site need.

    ``choices`` are those of each page with something to do; ``settled`` the pages without; ``kept`` the paths of
    images that some page keeps pointing at.
    """

    pages: int = 0
    choices: dict[str, list[Choice]] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    faulty: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def images(self) -> Iterator[Image]:
        """Yield every choice that may have variants."""
        return (choice for choices in self.choices.values() for choice in choices if isinstance(choice, Image))

    def needs_objects(self, placement: Placement) -> bool:
        """Tell whether any page needs something that has to be put somewhere."""
        return any(image.ladder.formats for image in self.images()) or (
            bool(placement.base_url) and any(not isinstance(choice, Strip) for choice in self.every())
        )

    def every(self) -> Iterator[Choice]:
        """Yield every choice."""
        return (choice for choices in self.choices.values() for choice in choices)


class Surveyor:
    """Fill a survey from the files of a site."""

    def __init__(
        self,
        root: AssetRoot,
        state: SiteState,
        manifest: PageManifest,
        config: Config,
        *,
        dimensions_only: bool = False,
    ) -> None:
        self._root = root
        self._state = state
        self._manifest = manifest
        self._config = config
        self._dimensions_only = dimensions_only
        self.survey = Survey()
        self.library = Library(root, state, config.limits, self._fault)

    def run(self) -> Survey:
        """Survey all pages, in the order of their paths."""
        settings = self.fingerprint()
        if self._state.settings != settings:
            self._state.settled = {}
        for path in sorted(self._root.files):
            media_type = MEDIA_TYPES.get(posixpath.splitext(path)[1].lower())
            if media_type and not path.startswith(OWN_FOLDER + "/"):
                self.survey.pages += 1
                self._page(path, media_type)
        return self.survey

    def fingerprint(self) -> str:
        """Return what changes whenever a page that needed nothing may need something."""
        parts = msgspec.json.encode(self._config), str(RENDER_VERSION).encode(), self._manifest.version.encode()
        return hashlib.sha256(b"\n".join([*parts, str(self._dimensions_only).encode()])).hexdigest()

    def reader(self, path: str, data: bytes, *, is_quiet: bool) -> PageReader:
        """Return the reader of a page's references; quiet where its problems have been reported before."""

        def report(reference: Reference, code: str, message: str) -> None:
            self._report(path, data, reference, code, message)

        return PageReader(
            path,
            self._root,
            self.library,
            self._config,
            _ignore if is_quiet else report,
            dimensions_only=self._dimensions_only,
        )

    def read(self, path: str) -> bytes | None:
        """Return a page's bytes, or None and a reported problem."""
        try:
            return self._root.file(path).read_bytes()
        except OSError as error:
            self._fault(path, "unreadable", f"{path}: can't be read: {error.strerror}. Mend its permissions.")
            self.survey.faulty.add(path)
            return None

    def _page(self, path: str, media_type: str) -> None:
        if self._state.settled.get(path) == self._root.files[path]:
            self.survey.settled.add(path)
            return
        data = self.read(path)
        if data is None:
            return
        if self._manifest.is_finished(path, data):
            self.survey.settled.add(path)
            return
        reader = self.reader(path, data, is_quiet=False)
        found = find_references(data, media_type, optional=OPTIONAL_KINDS)
        choices = [choice for reference in found if (choice := reader.choose(reference)) is not None]
        self.survey.kept |= reader.kept
        if choices:
            self.survey.choices[path] = choices
        elif path not in self.survey.faulty:
            self.survey.settled.add(path)

    def _report(self, path: str, data: bytes, reference: Reference, code: str, message: str) -> None:
        self.survey.faulty.add(path)
        severity = _POLICY[self._config.missing]
        if severity is not None:
            line, column = position(data, reference.start)
            self.survey.problems.append(Problem(path, line, column, code, message, severity))

    def _fault(self, path: str, code: str, message: str) -> None:
        self.survey.problems.append(Problem(path, 0, 0, code, message.removeprefix(f"{path}: ")))


def _ignore(reference: Reference, code: str, message: str) -> None:
    """Drop a report that was made before."""
