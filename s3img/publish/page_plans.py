"""What to do in each page, kept in a temporary file until the page's turn: memory grows with pictures, not with pages.

Nothing in a site is changed before everything that its pages need is in its place, so the plans of all pages have to
wait. What several plans have in common (pictures, their variants, what their authors asked for) stays in memory, once.
"""

from __future__ import annotations

import io
import pickle
import tempfile
import types
import weakref
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from s3img.assets import Asset, LinkTarget, TargetKind
from s3img.errors import FileUnwritable
from s3img.pictures.choices import Choice, Image, Link, Strip
from s3img.pictures.directives import ImageDirectives
from s3img.pictures.variants import VariantSet
from s3img.rewrite import Reference, Tag

if TYPE_CHECKING:
    from collections.abc import Iterator, ValuesView

_SHARED = frozenset(
    # Classes and functions too, which would be looked up by name for each page.
    {Asset, VariantSet, ImageDirectives, TargetKind, type, type(Reference), types.FunctionType}
)
_NO_TAG = Tag("img", 0, 0)
_NOTHING: Mapping[str, Any] = types.MappingProxyType({})
_NO_TARGET = LinkTarget(TargetKind.EXTERNAL)


class PagePlan(msgspec.Struct, frozen=True):
    """What to do in one page: choices by the offset of their reference, and a check that the page is the same.

    ``found`` are the references themselves; none of them holds on to the page.
    """

    media_type: str
    check: int
    choices: dict[int, Choice]
    found: tuple[Reference, ...]

    def fits(self, data: bytes) -> bool:
        """Tell whether the offsets count in these bytes."""
        return hash(data) == self.check


class PagePlans(Mapping[str, PagePlan]):
    """The plans of pages by path, which come in the order of paths."""

    def __init__(self) -> None:
        self._paths: list[str] = []
        self._ends = array("Q", [0])  # where the plan of each page ends in the file, which begins where the last ends
        self._file: io.FileIO | None = None
        self._shared: list[object] = []
        self._numbers: dict[int, int] = {}  # by id, as `_shared` keeps what it has alive
        self._choices: dict[tuple[int, ...], Link | Image] = {}

    def add(self, path: str, plan: PagePlan) -> None:
        """Add the plan of a page whose path is higher than those before; raise FileUnwritable."""
        for choice in plan.choices.values():
            self._note(choice)
        written = io.BytesIO()
        _Writer(written, self).dump(plan)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0, prefix="s3img-")  # noqa: SIM115 - open until the plans go
                weakref.finalize(self, self._file.close)
            self._file.write(written.getbuffer())
        except OSError as error:
            raise FileUnwritable(tempfile.gettempdir(), error) from error
        self._paths.append(path)
        self._ends.append(self._ends[-1] + written.tell())

    def __getitem__(self, path: str) -> PagePlan:
        number = bisect_left(self._paths, path)
        if self._file is None or self._paths[number : number + 1] != [path]:
            raise KeyError(path)
        start, end = self._ends[number : number + 2]
        self._file.seek(start)
        plan: PagePlan = _Reader(io.BytesIO(self._file.read(end - start)), self).load()
        return plan

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def every_choice(self) -> ValuesView[Link | Image]:
        """Return what pages need, each once, without what only counts in one page: its tags and its links' places."""
        return self._choices.values()

    def _note(self, choice: Choice) -> None:
        if isinstance(choice, Strip):
            return
        if isinstance(choice, Link):
            self._choices.setdefault((id(choice.asset),), choice)
            return
        links = choice.links
        if choice.directives.mode == "picture":  # the author's own addresses of this very picture add nothing
            links = {url: link for url, link in links.items() if link.asset is not choice.asset}
        linked = [id(link.asset) for link in links.values()]
        key = (id(choice.asset), id(choice.variants), id(choice.directives), *linked)
        if key not in self._choices:
            bare = replace(choice, tag=_NO_TAG, target=_NO_TARGET, author=_NOTHING, links=links or _NOTHING)
            self._choices[key] = bare

    def number(self, value: object) -> int | None:
        """Return the number of something that several plans have in common, None for anything else."""
        if type(value) not in _SHARED:
            return None
        found = self._numbers.get(id(value))
        if found is None:
            found = self._numbers[id(value)] = len(self._shared)
            self._shared.append(value)
        return found

    def shared(self, number: int) -> object:
        """Return what has a number."""
        return self._shared[number]


class _Writer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, plans: PagePlans) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        # Not a method, which would be one call more for each value of each page.
        self.persistent_id = plans.number  # type: ignore[method-assign] # pickle asks for the attribute


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, plans: PagePlans) -> None:
        super().__init__(file)
        self.persistent_load = plans.shared  # type: ignore[method-assign] # as above
