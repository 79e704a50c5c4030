"""Read every page once and note what it needs; pages in which nothing is left to do are not even opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3img.publish.choices import Choice, Image, PageReader, Strip
from s3img.publish.library import Library
from s3img.publish.result import POLICY, Problem
from s3img.rewrite import OPTIONAL_KINDS, Reference, find_references, position

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.config import Config
    from s3img.publish.edits import Placement
    from s3img.publish.files import SiteFiles


@dataclass(frozen=True, slots=True)
class PagePlan:
    """Hold what to do in one page: choices by the offset of their reference, and a check that the page is the same."""

    media_type: str
    check: int
    choices: dict[int, Choice]

    def fits(self, data: bytes) -> bool:
        """Tell whether the offsets count in these bytes."""
        return hash(data) == self.check


@dataclass(slots=True)
class Survey:
    """Hold what the pages of a site need.

    ``plans`` are those of pages with something to do; ``settled`` the pages without; ``faulty`` the pages with a
    problem of their own; ``kept`` the paths of images that some page keeps pointing at.
    """

    pages: int = 0
    plans: dict[str, PagePlan] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    faulty: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def choices(self) -> Iterator[Choice]:
        """Yield every choice."""
        return (choice for plan in self.plans.values() for choice in plan.choices.values())

    def images(self) -> Iterator[Image]:
        """Yield every choice that may have variants."""
        return (choice for choice in self.choices() if isinstance(choice, Image))

    def needs_objects(self, placement: Placement) -> bool:
        """Tell whether any page needs something that has to be put somewhere."""
        if any(image.ladder.formats for image in self.images()):
            return True
        return bool(placement.base_url) and any(not isinstance(choice, Strip) for choice in self.choices())


class Surveyor:
    """Fill a survey from the files of a site."""

    def __init__(self, files: SiteFiles, config: Config, *, dimensions_only: bool = False) -> None:
        self._files = files
        self._config = config
        self._dimensions_only = dimensions_only
        self._survey = Survey()
        self._library = Library(files.root, files.state, config, self._fault)

    def run(self) -> Survey:
        """Survey all pages, in the order of their paths."""
        for path, media_type in self._files.pages:
            self._survey.pages += 1
            if self._files.is_settled(path):
                self._survey.settled.add(path)
            else:
                self._page(path, media_type)
        return self._survey

    def _page(self, path: str, media_type: str) -> None:
        try:
            data = self._files.root.file(path).read_bytes()
        except OSError as error:
            self._survey.faulty.add(path)
            self._fault(path, "unreadable", f"can't be read: {error.strerror}. Mend its permissions.")
            return

        def report(reference: Reference, code: str, message: str) -> None:
            self._report(path, data, reference, code, message)

        reader = PageReader(
            path,
            self._files.root,
            self._library,
            self._config,
            report,
            is_html=media_type == "text/html",
            dimensions_only=self._dimensions_only,
        )
        found = find_references(data, media_type, optional=OPTIONAL_KINDS)
        choices = {r.start: choice for r in found if (choice := reader.choose(r)) is not None}
        self._survey.kept |= reader.kept
        if choices:
            self._survey.plans[path] = PagePlan(media_type, hash(data), choices)
        elif path not in self._survey.faulty:
            self._survey.settled.add(path)

    def _report(self, path: str, data: bytes, reference: Reference, code: str, message: str) -> None:
        self._survey.faulty.add(path)
        severity = POLICY[self._config.missing]
        if severity is not None:
            line, column = position(data, reference.start)
            self._survey.problems.append(Problem(path, line, column, code, message, severity))

    def _fault(self, path: str, code: str, message: str) -> None:
        self._survey.problems.append(Problem(path, 0, 0, code, message))
