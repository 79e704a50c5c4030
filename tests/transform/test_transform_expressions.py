"""Size expressions: ImageKit's order of operators, exact numbers, bounded cost."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.errors import TransformError
from s3img.transform.expressions import Expression, format_number, parse_number

PICTURE = {"iw": Fraction(600), "ih": Fraction(400), "iar": Fraction(3, 2), "cw": Fraction(160), "ch": Fraction(90)}


def value(text: str) -> Fraction:
    expression = Expression.parse(text)
    assert expression is not None
    return expression.evaluate(PICTURE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("iw_div_2", 300),
        ("cw_mul_0.05", 8),
        ("2_add_3_mul_4", 14),
        ("10_sub_2_mod_3", 2),
        ("10_sub_2_sub_3", 5),
        ("100_div_5_div_2", 10),
        ("100_div_5_mul_2", 40),
        ("2_mul_3_pow_2", 36),
        ("2_pow_3_pow_2", 64),
        ("10_mod_4_pow_2", 4),
        ("1_add_2_pow_2_mul_2", 81),
        ("iw_sub_ih_div_2", 400),
        ("iw_mul_iar", 900),
        ("N5_add_7", 2),
        ("N7_mod_4", -3),
        ("7_mod_N4", 3),
        ("iw_div_7", Fraction(600, 7)),
        ("2_pow_N2", Fraction(1, 4)),
        ("ih_pow_0.5", 20),
    ],
)
def test_operators_group_as_documented(text: str, expected: Fraction | int) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "text", ["1_div_0", "1_mod_0", "0_pow_N1", "N8_pow_0.5", "9_pow_99999", "99999_pow_99", "iw_sub_iw_pow_N1"]
)
def test_what_has_no_value_is_an_error(text: str) -> None:
    with pytest.raises(TransformError, match=text):
        value(text)


@pytest.mark.parametrize("text", ["", "_", "iw_", "iw_div", "iw_div_2_3", "iw_DIV_2", "1_add_x", "1__2", "iw-2"])
def test_other_texts_are_no_expressions(text: str) -> None:
    assert Expression.parse(text) is None


def test_numbers_that_grow_without_end_are_an_error() -> None:
    with pytest.raises(TransformError, match="no value"):
        value("iw" + "_mul_999999.999999" * 16)


def test_an_expression_of_too_many_operators_is_none() -> None:
    assert Expression.parse("_add_".join(["1"] * 17)) is not None
    assert Expression.parse("_add_".join(["1"] * 18)) is None


@pytest.mark.parametrize("text", ["iw_div_2", "N1.5_add_iw_mod_7", "ch"])
def test_str_writes_what_parse_reads(text: str) -> None:
    assert str(Expression.parse(text)) == text


@given(st.integers(-(10**6) + 1, 10**6 - 1), st.integers(0, 6))
def test_numbers_are_written_as_they_are_read(numerator: int, decimals: int) -> None:
    number = Fraction(numerator, 10**decimals)
    assert parse_number(format_number(number)) == number


@pytest.mark.parametrize(
    "text", ["", "N", "N-1", "+1", "1.", ".5", "1e3", "1234567", "0." + "1" * 21, "1_0", "nan", "\u0661"]
)
def test_other_texts_are_no_numbers(text: str) -> None:
    assert parse_number(text) is None
