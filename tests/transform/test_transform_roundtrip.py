"""Laws of the language: one form for each meaning, parse and str as inverses, nothing but TransformError."""

from __future__ import annotations

import pickle
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from s3img.errors import S3ImgError, TransformError
from s3img.transform import Transform
from s3img.transform.steps import Border, Color, Output, Radius, Step

if TYPE_CHECKING:
    from random import Random


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(str)


def words(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from(text.split())


operands = words("iw ih iar cw ch car") | numbers(0, 9999) | st.decimals(0, 9, places=3).map(str)
expressions = st.builds(
    lambda first, rest: "_".join([first, *(word for pair in rest for word in pair)]),
    operands,
    st.lists(st.tuples(words("add sub mul div mod"), operands), min_size=1, max_size=4),
).filter(lambda text: any(name in text for name in ("iw", "ih", "ar", "cw", "ch")))
shares = st.decimals("0.001", "0.999", places=3).map(str)
sides = numbers(1, 99_999) | shares | expressions
offsets = numbers(0, 9999) | numbers(1, 99).map("N{}".format) | expressions
corners = numbers(0, 99) | st.just("max")
colors = words("red pink FFF000 a94d34 FFF00050 00000000")
booleans = words("true false")
keys = st.text(
    st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters="%@/,:"), min_size=1, max_size=9
)
VALUES: dict[str, st.SearchStrategy[str]] = {
    "w": sides | st.just("auto"),
    "h": sides,
    "ar": words("4-3 16_9 4:3 1.91-1 0.5 iar_div_2"),
    "c": words("maintain_ratio force at_max at_max_enlarge at_least maintain_ratio_no_enlarge pad_resize extract"),
    "cm": words("pad_resize pad_resize_no_enlarge extract pad_extract pad_extract_no_shrink"),
    "fo": words("center top left bottom right top_left top_right bottom_left bottom_right"),
    "x": offsets,
    "y": offsets,
    "xc": offsets,
    "yc": offsets,
    "dpr": words("0.1 1 1.0 2 2.5 5 auto iw_div_100"),
    "t": words("true false 1 10 99"),
    "fl": words("h v h_v v_h"),
    "e-grayscale": st.just(""),
    "e-contrast": st.just(""),
    "bl": numbers(1, 100),
    "e-sharpen": st.just("") | numbers(1, 99),
    "e-usm": st.just("") | words("2-2-0.8-0.024 1-0.5-2-0"),
    "b": st.builds("{}{}{}".format, numbers(0, 20) | expressions, words("_ -"), colors),
    "r": corners | st.lists(corners, min_size=4, max_size=4).map("_".join),
    "rt": words("0 90 N90 360 N40 12.5 auto 720"),
    "e-shadow": words("bl-15_st-40_x-10_y-N5 y-3 x-2_bl-10") | st.just(""),
    "e-gradient": words("ld-top_right_from-red ld-45_to-00000050_sp-0.3 sp-iw_mul_0.2 sp-30") | st.just(""),
    "e-colorize": words("co-red_in-50 in-0 co-gray") | st.just(""),
    "e-distort": words("p-10_20_100_20_100_200_10_200 p-N5_0_90_0_90_40_0_40 a-30 a-N200"),
    "cr": words("red red_10 FF0000_50_00FF00 blue_35 blue_35_pink"),
    "o": numbers(0, 100) | words("0.8 0.25"),
    "bg": colors
    | words("blurred blurred_25 blurred_25_N30 blurred_auto_10 dominant gradient_dominant_4 gradient_dominant_2"),
    "f": words("auto orig jpg jpeg png webp avif gif"),
    "q": numbers(1, 100),
    "lo": booleans,
    "pr": booleans,
    "md": booleans,
    "cp": booleans,
    "dn": numbers(1, 1200),
    "orig": words("false false false true"),
    "di": keys.filter(lambda key: key.strip("/") not in {"", ".", ".."}),
}


def token(key: str) -> st.SearchStrategy[str]:
    return VALUES[key].map(lambda value: f"{key}-{value}" if value else key)


steps = st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=8).flatmap(
    lambda names: st.tuples(*map(token, names))
)
chains = st.lists(steps, min_size=1, max_size=4)


def join(chain: list[tuple[str, ...]]) -> str:
    """Write tokens with at least one literal separator, so that nothing in a value counts as one."""
    return ":".join(",".join(step) for step in chain) + ","


@given(chains)
def test_parse_and_str_are_inverses(chain: list[tuple[str, ...]]) -> None:
    transform = Transform.parse(join(chain))
    text = str(transform)
    assert Transform.parse(text) == transform
    assert str(Transform.parse(text)) == text


@given(chains)
def test_the_canonical_text_needs_no_escaping(chain: list[tuple[str, ...]]) -> None:
    safe = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~,:@%")
    assert set(str(Transform.parse(join(chain)))) <= safe


@given(chains, st.randoms(use_true_random=False))
def test_the_order_inside_a_step_means_nothing(chain: list[tuple[str, ...]], random: Random) -> None:
    shuffled = [tuple(random.sample(step, len(step))) for step in chain]
    assert Transform.parse(join(shuffled)) == Transform.parse(join(chain))


@given(chains)
def test_encoded_separators_mean_the_same(chain: list[tuple[str, ...]]) -> None:
    text = str(Transform.parse(join(chain)))
    assume("%" not in text)
    assert Transform.parse(text.replace(",", "%2C").replace(":", "%3A")) == Transform.parse(text)


@given(chains)
def test_equal_transforms_hash_and_pickle_alike(chain: list[tuple[str, ...]]) -> None:
    transform = Transform.parse(join(chain))
    copy = pickle.loads(pickle.dumps(transform))
    assert (copy, hash(copy)) == (transform, hash(Transform.parse(str(transform))))


@given(chains, chains)
def test_then_is_the_chain_of_both_texts(first: list[tuple[str, ...]], second: list[tuple[str, ...]]) -> None:
    together = Transform.parse(join(first)).then(Transform.parse(join(second)))
    assert Transform.parse(str(together)) == together


pieces = st.sampled_from(
    [*VALUES, *"-,:_.%N0123456789", "%2C", "%3A", "%25", "%FF", "tr:", "auto", "iw", "_div_", "n-"]
)


texts = st.text() | st.lists(pieces).map("".join)


def read(text: str) -> Transform | TransformError:
    try:
        return Transform.parse(text, presets={"a": "w-1:w-2", "": "h-3"})
    except TransformError as error:
        return error


@given(texts)
def test_any_text_is_a_transform_or_an_error_with_a_place(text: str) -> None:
    outcome = read(text)
    if isinstance(outcome, TransformError):
        assert 0 <= outcome.position <= len(text)
    else:
        assert Transform.parse(str(outcome)) == outcome


@given(chains, st.tuples(st.integers(1, 9999), st.integers(1, 9999)))
def test_any_transform_of_any_picture_has_a_size_or_an_error_of_ours(
    chain: list[tuple[str, ...]], size: tuple[int, int]
) -> None:
    with suppress(S3ImgError):
        assert min(Transform.parse(join(chain)).output_size(size)) >= 1


def test_a_transform_built_from_values_is_canonical_too() -> None:
    step = Step(width=70_000, rotate=Fraction(450), radius=Radius(0, 0, 0, 0), border=Border(0, Color(1, 2, 3)))
    transform = Transform((step, Step()), Output(metadata=True, color_profile=True))
    assert transform == Transform.parse("rt-90,md-true")


def test_then_lets_the_second_decide_the_output() -> None:
    first = Transform.parse("w-300,f-webp,q-50")
    assert str(first.then(Transform.parse("h-20,f-png"))) == "w-300:h-20,f-png,q-50"


def test_then_refuses_a_chain_above_the_limit() -> None:
    transform = Transform.parse(":".join(["rt-9"] * 11))
    with pytest.raises(TransformError, match=r"limits\.steps"):
        transform.then(transform)
