"""Conditions: steps that are run only where the picture has a certain size."""

from __future__ import annotations

import operator
from fractions import Fraction
from typing import Final, Literal, Self, cast, get_args

import msgspec

from s3img.transform.expressions import format_number, parse_number, parse_ratio, write_ratio

Property = Literal["h", "w", "ar", "ih", "iw", "iar"]
Comparison = Literal["eq", "ne", "gt", "gte", "lt", "lte"]

MAX_TESTS: Final = 16
_COMPARE: Final = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


class SizeTest(msgspec.Struct, frozen=True):
    """Compare a side or ratio of the picture at this place of the chain, or of the source (``i…``), with a number."""

    name: Property
    comparison: Comparison
    value: Fraction

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``w_gt_300``; for ratios also ``ar_eq_4-3``."""
        name, comparison, number = [*text.split("_", 2), "", ""][:3]
        value = parse_number(number)
        if value is None and name.endswith("ar"):
            value = parse_ratio(number)
        if value is None or name not in get_args(Property) or comparison not in _COMPARE:
            return None
        return cls(cast("Property", name), cast("Comparison", comparison), value)

    def __str__(self) -> str:
        value = format_number(self.value)
        if self.name.endswith("ar") and parse_number(value) != self.value:
            value = write_ratio(self.value)
        return f"{self.name}_{self.comparison}_{value}"

    def holds(self, source: tuple[int, int], size: tuple[int, int]) -> bool:
        """Tell whether the test is true, exactly, for a picture of ``size`` made from one of ``source`` px."""
        width, height = source if self.name.startswith("i") else size
        measures = {"w": Fraction(width), "h": Fraction(height), "ar": Fraction(width, height)}
        return bool(_COMPARE[self.comparison](measures[self.name.removeprefix("i")], self.value))


def read_tests(text: str) -> tuple[tuple[SizeTest, ...], ...] | None:
    """Read ``w_gt_300_and_ar_eq_1_or_h_lt_9`` as groups, any of which is enough; ``and`` binds closer than ``or``."""
    groups = [[SizeTest.parse(part) for part in group.split("_and_")] for group in text.split("_or_")]
    found = [tuple(test for test in group if test is not None) for group in groups]
    is_whole = [len(group) for group in groups] == [len(group) for group in found]
    return tuple(found) if is_whole and sum(map(len, found)) <= MAX_TESTS else None
