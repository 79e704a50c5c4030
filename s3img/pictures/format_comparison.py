"""Compare the bytes of an image's variants: which formats it is offered in, and which are rendered to know that.

Where a format loses to a plainer one, most of its variants need not be made: AVIF takes two thirds of a first build.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, starmap
from operator import lt
from typing import TYPE_CHECKING, Final, Self

from s3img.transform.worthwhile import worthwhile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from s3img.pictures.variants import VariantSet

NOT_SMALLER: Final = 1 << 62
"""Stands for the bytes of a variant that is not made, because its format is not offered whatever they are."""

_LEAST_SHARE: Final = 0.75
"""What a photograph's variant takes at least of a plainer format's bytes where the next narrower one takes as many."""


@dataclass(frozen=True, slots=True)
class ImageCandidate:
    """One image candidate: its URL, width in px and size in bytes; the image's own file is not a variant."""

    url: str
    width: int
    size: int
    is_variant: bool = False


def select(
    variant_set: VariantSet, made: Mapping[str, Sequence[ImageCandidate]], original: ImageCandidate | None
) -> tuple[dict[str, list[ImageCandidate]], list[ImageCandidate]]:
    """Return (candidates by format to offer first, candidates for every browser).

    Nothing as large in bytes as what it replaces is kept: the source, or any plainer format at the same width. A
    format goes as a whole where a screen that knows it would be worse off: a wide one whose variant is lost would be
    given a small picture, a small one would load the next wider file, which may be larger than its own of a plainer
    format. Without ``original`` (the author asked for something made from it) renderings stay whatever their size.
    """
    image = _own_candidates(made.get(variant_set.own, ()), original)
    most = original.size if original else 1 << 62
    least = {candidate.width: min(most, candidate.size) for candidate in image}
    sources = {}
    for name in [*made][::-1]:  # the plainest first
        candidates = made[name]
        if name == variant_set.own:
            if name != list(made)[-1]:  # a newer type than the next one: browsers take the first they know
                sources[name] = image
            continue
        kept = _smaller(candidates, least, most)
        if kept:
            sources[name] = kept
            least |= {candidate.width: candidate.size for candidate in kept if candidate.size}
    offered = {name: sources[name] for name in made if name in sources}
    return offered, image or list(made.get(next(iter(made)), ()))


def _smaller(candidates: Sequence[ImageCandidate], least: Mapping[int, int], most: int) -> list[ImageCandidate]:
    """Return those with fewer bytes than ``least`` has at their width, none if some screen would then load more."""
    kept: list[ImageCandidate] = []
    for candidate in reversed(candidates):
        limit = least.get(candidate.width, most)
        if worthwhile({"this": candidate.size}, source=limit):
            kept.append(candidate)
        elif not kept or kept[-1].size > limit:
            return []
    return kept[::-1]


def _own_candidates(candidates: Sequence[ImageCandidate], original: ImageCandidate | None) -> list[ImageCandidate]:
    """Return the candidates in the source's format: the widest is the rendering or the file, whichever is smaller."""
    if original is None:
        return list(candidates)
    kept = [candidate for candidate in candidates if candidate.size < original.size]
    if kept and kept[-1] is candidates[-1]:
        return kept
    return [*(candidate for candidate in kept if candidate.width < original.width), original]


@dataclass(frozen=True, slots=True)
class FormatComparison:
    """The variants of one image, in the order that decides with the least work which formats it is offered in.

    ``formats`` are those of a `VariantSet`, each variant as its width in px and its identity; ``source`` is width and
    bytes of the image's own file, ``known`` the bytes of variants, by identity. Plain values, for any process.
    """

    own: str
    formats: Mapping[str, tuple[tuple[int, str], ...]]
    source: tuple[int, int]
    known: Mapping[str, int]

    @classmethod
    def of(cls, variant_set: VariantSet, sizes: Mapping[str, int]) -> Self | None:
        """Return the comparison that decides a set, of whose variants ``sizes`` are known, by identity.

        None where everything is rendered: where the author asked for another picture, which nothing stands in for, and
        of moving pictures.
        """
        variants = variant_set.variants
        if not variants or any(len(variant.transform.steps) > 1 for variant in variants):
            return None
        asset = variants[0].asset
        if asset.facts.animated:
            return None
        formats = {name: tuple((v.width, v.identity) for v in found) for name, found in variant_set.formats.items()}
        known = {v.identity: sizes[v.identity] for v in variants if v.identity in sizes}
        return cls(variant_set.own, formats, (asset.facts.width, asset.size), known)

    def next_variant(self, made: Mapping[str, int]) -> str:
        """Return the identity of the variant to render next, "" where all that matters is known.

        ``made`` are the bytes, by identity, of what was rendered since. A format that this gives up is one that
        `select` drops, too: variants that were not asked for count as `NOT_SMALLER`.
        """
        sizes = {**self.known, **made}
        own = self.formats.get(self.own, ())
        for _, identity in own:
            if identity not in sizes:
                return identity
        original = ImageCandidate("", *self.source)
        image = _own_candidates([ImageCandidate("", width, sizes[identity]) for width, identity in own], original)
        most = original.size
        least = {candidate.width: min(most, candidate.size) for candidate in image}
        # Bytes of photographs grow with their width in every format. Those of drawings may not, and one may be a JPEG.
        grows = self.own == "jpeg" and _grow(sizes[identity] for _, identity in own)
        for name in [*self.formats][::-1]:
            if name == self.own:
                continue
            variants, share = self.formats[name], _LEAST_SHARE if grows else 0.0
            guesses = {identity: int(share * least.get(width, most)) for width, identity in variants}
            bytes_of = {**guesses, **sizes}
            kept = _smaller([ImageCandidate("", width, bytes_of[one]) for width, one in variants], least, most)
            if kept and (missing := [identity for _, identity in _tried(variants, share) if identity not in sizes]):
                return missing[0]
            least |= {candidate.width: candidate.size for candidate in kept if candidate.size}
            grows = grows and _grow(candidate.size for candidate in kept)
        return ""


def _grow(sizes: Iterable[int]) -> bool:
    """Tell whether each of them is more than the one before."""
    return all(starmap(lt, pairwise(sizes)))


def _tried(variants: Sequence[tuple[int, str]], share: float) -> list[tuple[int, str]]:
    """Return the variants of a format in the order in which they are tried.

    AVIF gains least at the widest, which takes longest; a narrow one tells as much of many photographs for a fraction.
    """
    probes = [variants[0], variants[len(variants) // 2], variants[-1]] if share else []
    return list(dict.fromkeys([*probes, *reversed(variants)]))


def not_needed(sets: Iterable[VariantSet], sizes: Mapping[str, int]) -> dict[str, int]:
    """Return `NOT_SMALLER`, by identity, for each variant that no set needs any more, as far as ``sizes`` are known."""
    spare: set[str] = set()
    needed: set[str] = set()
    for one in sets:
        comparison = FormatComparison.of(one, sizes)
        is_decided = comparison is not None and not comparison.next_variant({})
        (spare if is_decided else needed).update(variant.identity for variant in one.variants)
    return dict.fromkeys(spare - needed - sizes.keys(), NOT_SMALLER)
