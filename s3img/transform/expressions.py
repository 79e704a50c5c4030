"""Numbers of transforms: decimals, and size expressions such as ``iw_div_2``, evaluated exactly as fractions.

Operators group as ImageKit documents: ``mul`` and ``div`` first, then ``add`` and ``sub``, then ``mod``, then ``pow``;
each group from left to right. ``mod`` takes the sign of its left side, as in JavaScript (ImageKit does not say).
"""

from __future__ import annotations

import operator
import re
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from s3img.errors import TransformError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VARIABLES: Final = ("iw", "ih", "iar", "cw", "ch", "car", "bw", "bh", "bar")
"""Width, height and aspect ratio of the source (``i``), of the picture that enters the step (``c``), and of the picture
that a layer is laid on (``b``), which are known only inside layers."""
DENSITY_VARIABLE: Final = "idn"
"""The source's dots per inch, known only to ``dn``."""
MOST_DENSITY: Final = 1200
MAX_OPERATORS: Final = 16
LARGEST: Final = 10**6
"""Numbers of a transform are below this."""
_MAX_BITS: Final = 512
"""Of numerator and denominator together; keeps every later number inside what a float holds."""
_RATIO = re.compile(r"([0-9.]{1,16})[-_:]([0-9.]{1,16})")
_NUMBER = re.compile(r"([N-]?)([0-9]{1,6}(?:\.[0-9]{1,20})?)")


def parse_number(text: str) -> Fraction | None:
    """Read ImageKit's decimal number (``N`` is minus, or ``-``), or None.

    Programs write all digits of a ratio (``1.7777777777777777``); the first six behind the point count.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    whole, _, decimals = match[2].partition(".")
    value = Fraction(int(whole + decimals[:6].ljust(6, "0")), LARGEST) if decimals else Fraction(int(whole))
    return -value if match[1] else value


def format_number(value: Fraction | float) -> str:
    """Write a number of few decimals as ``parse_number`` reads it, without needless zeros."""
    text = f"{abs(float(value)):.6f}".rstrip("0").rstrip(".")
    return f"N{text}" if value < 0 else text


def write_number(value: object) -> str:
    """Write a number; any other value (an expression, a colour, ``auto``) has a text form of its own."""
    return format_number(Fraction(value)) if isinstance(value, int | Fraction) else str(value)


def parse_ratio(text: str) -> Fraction | None:
    """Read ``4-3``, ``4_3`` or ``4:3``; None for any other text, and for a side of 0."""
    match = _RATIO.fullmatch(text)
    width, height = (parse_number(match[1]), parse_number(match[2])) if match else (None, None)
    return width / height if width and height else None


def write_ratio(value: Fraction | Expression) -> str:
    """Write ``4-3``, or an expression."""
    return f"{value.numerator}-{value.denominator}" if isinstance(value, Fraction) else str(value)


def nearest(value: Fraction | int) -> int:
    """Round to the nearest whole number, halves up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


class Expression(msgspec.Struct, frozen=True):
    """Numbers and names of variables (``operands``) with one of ``operators`` between each two."""

    operands: tuple[Fraction | str, ...]
    operators: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, *, variables: tuple[str, ...] = VARIABLES) -> Expression | None:
        """Read ``iw_sub_10_div_2``; return None for anything that is not an expression of these variables."""
        words = text.split("_", 2 * MAX_OPERATORS + 1)  # a longer one is not an expression, whatever follows
        if len(words) % 2 == 0 or len(words) > 2 * MAX_OPERATORS + 1:
            return None
        operands = tuple(word if word in variables else parse_number(word) for word in words[::2])
        known = tuple(operand for operand in operands if operand is not None)
        operators = tuple(words[1::2])
        return cls(known, operators) if len(known) == len(operands) and _OPERATORS.keys() >= {*operators} else None

    def __str__(self) -> str:
        words = [operand if isinstance(operand, str) else format_number(operand) for operand in self.operands]
        return "_".join([words[0], *(word for pair in zip(self.operators, words[1:], strict=True) for word in pair)])

    @property
    def is_constant(self) -> bool:
        """Tell whether the value is the same for every picture."""
        return not any(isinstance(operand, str) for operand in self.operands)

    def evaluate(self, variables: Mapping[str, Fraction]) -> Fraction:
        """Return the exact value; raise TransformError for a division by zero and for numbers out of all bounds."""
        values = [variables[operand] if isinstance(operand, str) else operand for operand in self.operands]
        operators = list(self.operators)
        try:
            for group in _GROUPS:
                index = 0
                while index < len(operators):
                    if operators[index] not in group:
                        index += 1
                        continue
                    value = _OPERATORS[operators.pop(index)](values[index], values.pop(index + 1))
                    # Without a bound, 16 times "mul" or "pow" would make numbers that take seconds to multiply.
                    if value.numerator.bit_length() + value.denominator.bit_length() > _MAX_BITS:
                        raise OverflowError
                    values[index] = value
        except (ArithmeticError, ValueError):
            raise TransformError(f"{self} has no value for this picture.", token=str(self)) from None
        return values[0]


def read_value(text: str) -> Expression | Fraction | None:
    """Read an expression, worked out at once where it has no variable: to whole px, or six decimals below 1."""
    expression = Expression.parse(text)
    if expression is None or not expression.is_constant:
        return expression
    try:
        value = expression.evaluate({})
    except TransformError:
        return None
    if not expression.operators:
        return value
    return Fraction(nearest(value)) if abs(value) >= 1 else Fraction(nearest(value * LARGEST), LARGEST)


def _modulo(left: Fraction, right: Fraction) -> Fraction:
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    """Raise exactly for whole exponents; for others to 28 decimal digits, the same on every machine."""
    if abs(exponent) > _MAX_BITS:
        raise OverflowError
    if exponent.denominator == 1:
        if base.numerator.bit_length() * abs(exponent) > _MAX_BITS:
            raise OverflowError
        return Fraction(base**exponent.numerator)
    with localcontext(prec=28):
        root, power = (Decimal(number.numerator) / Decimal(number.denominator) for number in (base, exponent))
        return Fraction(root**power)


_OPERATORS: Final[dict[str, Callable[[Fraction, Fraction], Fraction]]] = {
    "mul": operator.mul,
    "div": operator.truediv,
    "add": operator.add,
    "sub": operator.sub,
    "mod": _modulo,
    "pow": _power,
}
_GROUPS: Final = (("mul", "div"), ("add", "sub"), ("mod",), ("pow",))

Side: TypeAlias = int | Fraction | Expression
"""A requested side: whole px, a share (0 < s < 1) of the source's side, or an expression in px."""
Offset: TypeAlias = int | Expression
"""A place or thickness in px."""
