"""What the pages of a site need: each is read once; those in which nothing is left to do are not even opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from msgspec.structs import replace

from s3img import csp
from s3img.cache import Digests
from s3img.errors import BucketError, ImageError, S3ImgError, UnsupportedImage, unexpected
from s3img.keys import is_reserved
from s3img.pictures.choices import Choice, Image, Link, PageReader
from s3img.pictures.placement import InsideSite
from s3img.pictures.protocols import ReferenceFault
from s3img.publish import cross_origin, generators
from s3img.publish.digests import digests_in
from s3img.publish.files import STYLE_PATH
from s3img.publish.library import NO_END_MARKER, SiteLibrary
from s3img.publish.page_plans import PagePlan, PagePlans
from s3img.publish.result import POLICY, Problem
from s3img.rewrite import OPTIONAL_KINDS, Reference, find_references, position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Set

    from s3img.assets import Asset
    from s3img.config import Config
    from s3img.pictures.placement import Placement
    from s3img.publish.files import SiteFiles
    from s3img.publish.generators import Generator
    from s3img.publish.library import LockedOriginals
    from s3img.publish.page_styles import SiteStyles


@dataclass(slots=True)
class SiteSurvey:
    """What the pages of a site need.

    ``plans`` are those of pages with something to do; ``settled`` the pages without; ``faulty`` the pages with a
    problem of their own; ``rendered_again`` those that a script renders again; ``kept`` the paths of images that some
    page keeps pointing at; ``urls`` what the pages that were read point at below the bucket's public address;
    ``digests`` those of other files that each page holds.
    """

    pages: int = 0
    plans: PagePlans = field(default_factory=PagePlans)
    settled: set[str] = field(default_factory=set)
    faulty: set[str] = field(default_factory=set)
    rendered_again: dict[str, Generator] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    urls: set[str] = field(default_factory=set)
    digests: dict[str, Set[bytes]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def choices(self) -> Iterator[Link | Image]:
        """Yield what pages need, each once, whichever and however many pages show it."""
        return iter(self.plans.every_choice())

    def images(self) -> Iterator[Image]:
        """Yield those of them that may have variants."""
        return (choice for choice in self.choices() if isinstance(choice, Image))

    def needs_objects(self, placement: Placement) -> bool:
        """Tell whether any page needs something that has to be put somewhere."""
        if any(image.variants.formats for image in self.images()):
            return True
        return not isinstance(placement, InsideSite) and any(True for _ in self.choices())


_NO_DIGESTS: frozenset[bytes] = frozenset()
_NOTHING_TO_REMOVE = (
    "remove_local has no effect without a bucket: the pictures stay in the site's folder. Name one with --bucket."
)


class Surveyor:
    """Fill a survey from the files of a site; ``public_url`` is where pages will point, "" inside the site.

    Without ``styles`` images are taken to get all the markup there is.
    """

    def __init__(
        self,
        files: SiteFiles,
        config: Config,
        *,
        public_url: str = "",
        dimensions_only: bool = False,
        originals: LockedOriginals | None = None,
        styles: SiteStyles | None = None,
    ) -> None:
        self._files = files
        self._styles = styles
        self._public_url = public_url
        self._originals = originals
        self._config = config
        self._dimensions_only = dimensions_only
        self._base_url = f"{config.base_url}/" if config.base_url else ""
        self._survey = SiteSurvey()
        self._page = ""
        self._below_path: list[Problem] = []
        # A page with an image that can't be used is read in every run: what is wrong is said until it is put right,
        # and an image that can be used later (another decoder, higher limits) is found.
        self._library = SiteLibrary(
            files.root,
            files.state,
            config,
            self._fault,
            unusable=lambda: self._survey.faulty.add(self._page),
            originals=originals,
        )

    def run(self) -> SiteSurvey:
        """Survey all pages, in the order of their paths."""
        files = self._files
        if 2 * len(files.settled) < len(files.pages):  # the site was built anew, its images are most likely needed
            Digests(files.root.root, files.state).refresh(files.root.files)
        for path, media_type in files.pages:
            self._survey.pages += 1
            if path in files.settled:
                self._survey.settled.add(path)
            else:
                self._page = path
                try:
                    self.read_page(path, media_type)
                except S3ImgError:
                    raise  # concerns the whole run: the bucket, the settings
                except Exception as error:  # one page never ends a run
                    self._fault(path, "unexpected", f"met {unexpected(error)} The page stays as it is.")
        if doubt := files.doubt():
            self._survey.problems.append(Problem("", 0, 0, "no-site", doubt))
        if self._config.remove_local and not self._config.bucket:
            self._survey.problems.append(Problem("", 0, 0, "nothing-to-remove", _NOTHING_TO_REMOVE, "note"))
        self._survey.problems += generators.report(self._survey.rendered_again, self._config)
        if self._below_path:
            self._survey.problems.append(self._below_path[0])
        return self._survey

    def read_page(self, path: str, media_type: str) -> None:
        """Read one page and note what it needs."""
        try:
            data = self._files.root.read(path)
        except OSError as error:
            self._survey.faulty.add(path)
            self._fault(path, "unreadable", f"can't be read: {error.strerror}. Check its permissions.")
            return

        def report(reference: Reference, code: str, message: str) -> None:
            self.report(path, data, reference, code, message)

        # Our style sheet is in the page of an earlier run: its addresses of the bucket are ours, not the author's.
        is_ours = STYLE_PATH.encode() in data
        reader = PageReader(
            path,
            self._files.root,
            self._library,
            self._config,
            report,
            is_html=media_type == "text/html",
            dimensions_only=self._dimensions_only,
            find_object=(lambda _: None) if is_ours else self.find_object,
        )
        found = find_references(data, media_type, optional=OPTIONAL_KINDS)
        if self._public_url and not self._public_url.startswith(f"{self._files.root.origin or 'none'}/"):
            found = self.movable(path, data, found)
        generator = generators.generator_of(data) if media_type == "text/html" else None
        choices: dict[int, Choice] = {}
        if generator:
            self._survey.rendered_again[path] = generator
            self._survey.faulty.add(path)  # so that it is read, and its warning given, in every run
        elif not self.forbids_images(path, media_type, data):
            choices = {r.start: choice for r in found if (choice := reader.choose(r)) is not None}
            if self._styles and media_type == "text/html":
                choices = self._styles.limit(path, data, choices, found, self._library)
        self._survey.kept |= reader.kept
        if self._base_url:
            self._survey.urls |= {r.url for r in found if r.url.startswith(self._base_url)}
        self._survey.digests[path] = frozenset(digests_in(data, path)) or _NO_DIGESTS
        if choices:
            self._survey.plans.add(path, PagePlan(media_type, hash(data), choices, without_tags(found, choices)))
        elif path not in self._survey.faulty:
            self._survey.settled.add(path)

    def movable(self, path: str, data: bytes, found: list[Reference]) -> list[Reference]:
        """Return the references that may lead to another origin; tell of images that ask for its permission."""
        kept = cross_origin.movable(found, data)
        for reference in found:
            tag = reference.tag
            if reference.kind == "img src" and tag and tag.get("crossorigin") is not None:
                line, column = position(data, reference.start)
                text = (
                    "the image stays in the site: with crossorigin, browsers show one of another origin only where its"
                    " server allows that (CORS). Take the attribute off."
                )
                self._survey.problems.append(Problem(path, line, column, "cross-origin", text, "note", reference.url))
        return kept

    def find_object(self, url: str) -> Asset | ReferenceFault | None:
        """Find the image that an author names by its address in the site's own bucket."""
        front = f"{self._public_url}/"
        if not (self._public_url and self._originals and url.startswith(front)) or "?" in url or "#" in url:
            return None
        try:
            key = unquote(url.removeprefix(front))
            return None if is_reserved(key) else self._originals.pasted(key)
        except UnsupportedImage:
            return None
        except (BucketError, ImageError) as error:
            return ReferenceFault("bucket-image", f"{error} The reference stays as it is.")

    def forbids_images(self, path: str, media_type: str, data: bytes) -> bool:
        """Tell whether a page's own policy keeps browsers from loading what would be published; report that."""
        policies = csp.in_page(data) if self._public_url and media_type == "text/html" else []
        if csp.allows(policies, f"{self._public_url}/", own=self._files.root.origin):
            return False
        self._survey.faulty.add(path)
        text = (
            f"stays as it is: its Content-Security-Policy lets no browser show images from {self._public_url}."
            " Add this address to img-src."
        )
        self._fault(path, "policy", text)
        return True

    def report(self, path: str, data: bytes, reference: Reference, code: str, message: str) -> None:
        """Note a fault of a reference, as the setting `missing` wants it."""
        self._survey.faulty.add(path)
        severity = POLICY[self._config.missing]
        if severity is None:
            return
        line, column = position(data, reference.start)
        problem = Problem(path, line, column, code, message, severity, reference.url)
        if code == "missing":
            root = self._files.root
            target = root.resolve(reference.url, document=path, base=reference.base).path
            if below := root.path_below_site(reference.url, target):  # one cause for all such references: said once
                prefix = target[: -len(below)]
                text = (
                    f"image {target!r} does not exist, but {below!r} does: the site seems to be served below /{prefix}."
                    f" Give its address, for example --site-url https://example.com/{prefix} (setting site_url)."
                )
                self._below_path.append(replace(problem, message=text))
                return
        self._survey.problems.append(problem)

    def _fault(self, path: str, code: str, message: str) -> None:
        if code == "unexpected":
            self._survey.faulty.add(self._page)  # so that it is read, and this said, in every run
        self._survey.problems.append(Problem(path, 0, 0, code, message, "note" if code == NO_END_MARKER else "warning"))


def without_tags(found: Iterable[Reference], choices: Mapping[int, Choice]) -> tuple[Reference, ...]:
    """Return the references to replace, each without its tag (which holds the page) unless the tag is to be edited."""
    edited = {choice.tag.start for choice in choices.values() if not isinstance(choice, Link)}
    chosen = (reference for reference in found if reference.start in choices)
    return tuple(r if r.tag is None or r.tag.start in edited else replace(r, tag=None) for r in chosen)
