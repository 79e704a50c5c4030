"""Which formats an image is offered in, and that no more is rendered than has to be known for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.assets import Asset, ImageFacts
from s3img.config import Config
from s3img.keys import KeyTemplate
from s3img.pictures.format_comparison import NOT_SMALLER, FormatComparison, ImageCandidate, not_needed, select
from s3img.pictures.variants import VariantRequest, VariantSet, choose
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Mapping

WIDTHS = (320, 640, 960, 1280, 1920)
CONFIG = Config(widths=WIDTHS, formats=("avif", "webp"))


def candidates(name: str, **sizes: int) -> list[ImageCandidate]:
    return [ImageCandidate(f"a.{w}.{name}", int(w[1:]), size, is_variant=True) for w, size in sizes.items()]


@pytest.mark.parametrize(
    ("avif", "webp", "own", "offered"),
    [
        ((40, 90), (50, 100), (60, 120), {"avif": [320, 640], "webp": [320, 640]}),
        ((70, 90), (50, 100), (60, 120), {"webp": [320, 640]}),  # a small screen would load 90 bytes where WebP has 50
        ((52, 48), (50, 100), (60, 120), {"avif": [640], "webp": [320, 640]}),  # it loads 48 where WebP has 50
        ((40, 110), (50, 100), (60, 120), {"webp": [320, 640]}),  # the widest is lost, and all with it
        ((40, 110), (50, 130), (60, 120), {"avif": [320, 640]}),  # what is not offered takes no other's place
        ((40, 200), (50, 100), (60, 400), {"webp": [320, 640]}),
        ((40, 90), (0, 0), (60, 120), {"avif": [320, 640], "webp": [320, 640]}),  # 0: bytes that nobody knows
    ],
)
def test_format_is_offered_where_it_is_smaller_than_every_plainer_one(
    avif: tuple[int, int], webp: tuple[int, int], own: tuple[int, int], offered: dict[str, list[int]]
) -> None:
    made = {
        name: candidates(name, w320=small, w640=large)
        for name, (small, large) in {"avif": avif, "webp": webp, "jpeg": own}.items()
    }
    sources, image = select(VariantSet(640, 480, "jpeg", {}), made, ImageCandidate("a.jpg", 640, 150))
    assert {name: [one.width for one in found] for name, found in sources.items()} == offered
    assert [one.width for one in image] == [320, 640]


def variants_of(media_type: str, request: VariantRequest | None = None, *, animated: bool = False) -> VariantSet:
    """Return the variants of an image of 2,000 px and 1 MB."""
    asset = Asset("a", "ab" * 32, 1_000_000, ImageFacts(media_type, 2000, 1000, animated=animated))
    return choose(asset, request or VariantRequest(), CONFIG, KeyTemplate.parse(CONFIG.key_template))


def rendered(one: VariantSet, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the bytes, by identity, of what is rendered until everything is known."""
    comparison = FormatComparison.of(one, {})
    assert comparison
    made: dict[str, int] = {}
    while identity := comparison.next_variant(made):
        assert identity not in made
        made[identity] = sizes[identity]
    return made


def offered(one: VariantSet, sizes: Mapping[str, int]) -> dict[str, list[int]]:
    """Return the widths that an image of these variants is offered in, by format."""
    made = {
        name: [ImageCandidate(v.identity, v.width, sizes.get(v.identity, NOT_SMALLER), is_variant=True) for v in found]
        for name, found in one.formats.items()
    }
    sources, image = select(one, made, ImageCandidate("a", 2000, 1_000_000))
    return {name: [candidate.width for candidate in found] for name, found in {**sources, "image": image}.items()}


def named(one: VariantSet, sizes: Mapping[str, int]) -> dict[str, list[int]]:
    """Return the widths of some variants by format."""
    found = {name: [v.width for v in variants if v.identity in sizes] for name, variants in one.formats.items()}
    return {name: widths for name, widths in found.items() if widths}


def bytes_of(one: VariantSet, **by_format: tuple[int, ...]) -> dict[str, int]:
    """Return the bytes by identity, from those of each format by rising width."""
    return {
        v.identity: size for name, found in by_format.items() for v, size in zip(one.formats[name], found, strict=False)
    }


JPEG, WEBP = (10, 30, 60, 100, 200), (7, 20, 40, 70, 140)


@pytest.mark.parametrize(
    ("avif", "tried"),
    [
        ((6, 19, 38, 66, 130), [*WIDTHS]),  # it is smaller everywhere
        ((7, 19, 38, 66, 130), [320]),
        ((6, 19, 41, 66, 130), [320, 960]),
        ((6, 19, 38, 66, 150), [320, 960, 1920]),
        ((6, 19, 38, 71, 130), [320, 960, 1280, 1920]),
    ],
)
def test_format_that_loses_at_one_width_is_rendered_no_further(avif: tuple[int, ...], tried: list[int]) -> None:
    one = variants_of("image/jpeg")
    sizes = bytes_of(one, avif=avif, webp=WEBP, jpeg=JPEG)
    made = rendered(one, sizes)
    assert named(one, made) == {"avif": tried, "webp": [*WIDTHS], "jpeg": [*WIDTHS]}
    assert offered(one, made) == offered(one, sizes)


def test_what_is_known_already_is_not_rendered_again() -> None:
    one = variants_of("image/jpeg")
    sizes = bytes_of(one, avif=(6, 19, 41, 66, 130), webp=WEBP, jpeg=JPEG)
    known = bytes_of(one, avif=(6, 19, 41), webp=WEBP, jpeg=JPEG)
    comparison = FormatComparison.of(one, known)
    assert comparison
    assert comparison.next_variant({}) == ""
    assert not_needed([one], known) == dict.fromkeys(sizes.keys() - known.keys(), NOT_SMALLER)


def test_variant_that_another_set_of_the_image_needs_is_needed() -> None:
    one, narrow = variants_of("image/jpeg"), variants_of("image/jpeg", VariantRequest(widths=(960, 1280)))
    known = bytes_of(one, avif=(7,), webp=WEBP, jpeg=JPEG)
    spare = not_needed([one, narrow], known)
    assert named(one, spare) == {"avif": [640, 1920]}


@given(st.data())
def test_offer_of_photographs_is_that_of_all_variants(data: st.DataObject) -> None:
    """Whatever formats win where, if a wider picture takes more bytes than a narrower one of any format."""
    one = variants_of("image/jpeg")
    by_width = [data.draw(st.tuples(*[st.integers(3**n, 2 * 3**n)] * 3)) for n in range(3, 3 + len(WIDTHS))]
    sizes = bytes_of(one, **dict(zip(("avif", "webp", "jpeg"), zip(*by_width, strict=True), strict=True)))
    assert offered(one, rendered(one, sizes)) == offered(one, sizes)


@pytest.mark.parametrize(
    ("avif", "webp", "jpeg"),
    [
        ((2423, 3418, 4327, 4400, 991), (2256, 3260, 3974, 4000, 1308), (3633, 9695, 14068, 15000, 3070)),  # squares
        ((24, 34, 43, 44, 9), (22, 32, 39, 40, 13), (36, 96, 140, 150, 160)),
    ],
)
def test_offer_of_a_drawing_in_a_jpeg_is_that_of_all_variants(
    avif: tuple[int, ...], webp: tuple[int, ...], jpeg: tuple[int, ...]
) -> None:
    """Where its whole picture has sharp edges on the borders of blocks, it takes less than a narrower one."""
    one = variants_of("image/jpeg")
    sizes = bytes_of(one, avif=avif, webp=webp, jpeg=jpeg)
    assert offered(one, rendered(one, sizes)) == offered(one, sizes)
    assert "avif" in offered(one, sizes)


@given(st.lists(st.integers(1, 9), min_size=15, max_size=15))
def test_offer_of_drawings_is_that_of_all_variants(every: list[int]) -> None:
    """Whatever the bytes are: those of a drawing may shrink where it gets wider."""
    one = variants_of("image/png")
    sizes = bytes_of(one, avif=tuple(every[:5]), webp=tuple(every[5:10]), png=tuple(every[10:]))
    assert offered(one, rendered(one, sizes)) == offered(one, sizes)


@pytest.mark.parametrize(
    "one",
    [
        variants_of("image/jpeg", VariantRequest(transform=Transform.parse("rt-90"))),
        variants_of("image/gif", animated=True),
        variants_of("image/svg+xml"),
    ],
)
def test_other_pictures_and_moving_ones_are_not_compared(one: VariantSet) -> None:
    assert FormatComparison.of(one, {}) is None
    assert not_needed([one], {}) == {}
