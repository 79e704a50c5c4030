"""Reading a transform or a key template takes steps in proportion to its length: counted, not timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from work_counter import Work, work_of

from s3img.errors import S3ImgError
from s3img.keys import KeyTemplate, path_problems, visible_name
from s3img.limits import Limits
from s3img.transform import Transform
from s3img.transform.colors import Color
from s3img.transform.expressions import Expression, parse_number
from s3img.transform.steps import Border, Radius, Unsharp
from s3img.uploads import UploadTemplate

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = Limits(steps=100_000)
TRANSFORMS = (
    "w-1,", "w-1:", ",", ":", "%2C", "%3A", "ar-4:3:", "ar-4:", "ar-4%3A3%3A", "w-", "w-9", "w-iw_add_1_", "-", "_", "N",
    "b-1_red_", "r-1_", "e-usm-1-", "di-a@@", "di-%41", "%", "%zz,", "tr:", "x", "e-", "bg-FFFFFF", "q-1.", "é",
)  # fmt: skip
TEMPLATES = (
    "{{ulid}}", "{{hash:8}}", "{{", "}}", "{{ ", "{", "}", "{{hsah}}", "{{hash:", "{{hash:9", "/", "..", "a/", "\\", "\0", "{{dir}}/", " ",
)  # fmt: skip


class Text(str):
    """Text that counts what is searched in it and copied from it."""

    def __getitem__(self, at: Any) -> str:
        found = super().__getitem__(at)
        Work.done += len(found)
        return found


@pytest.mark.parametrize("part", TRANSFORMS)
def test_parsing_takes_steps_in_proportion(part: str) -> None:
    half, whole = (
        work_of(lambda n=n: Transform.parse(Text("w-300," + part * n), limits=LIMITS))  # type: ignore[misc]
        for n in (250, 500)
    )
    assert whole <= 2.1 * half + 500


@pytest.mark.parametrize("part", TEMPLATES)
def test_reading_a_template_takes_steps_in_proportion(part: str) -> None:
    for read in (KeyTemplate.parse, UploadTemplate.parse, path_problems):
        half, whole = (work_of(lambda n=n: read(Text("{{dir}}/" + part * n))) for n in (250, 500))  # type: ignore[misc]  # noqa: B023 - called at once
        assert whole <= 2.1 * half + 500


@pytest.mark.parametrize("part", [".", " ", "\0", "\u200b", "a", ". .s", "\uff0e", "é", "\u2028", "\u202e."])
def test_cleaning_a_name_takes_steps_in_proportion(part: str) -> None:
    half, whole = (work_of(lambda n=n: visible_name(Text(part * n))) for n in (250, 500))  # type: ignore[misc]
    assert whole <= 2.1 * half + 500


@pytest.mark.parametrize(
    "text", ["9" * 5_000, "N" + "9" * 5_000, "0." + "1" * 5_000, "1" * 7, "_".join(["1", "mul"] * 5_000)]
)
@pytest.mark.parametrize(
    "read", [parse_number, Expression.parse, Border.parse, Radius.parse, Unsharp.parse, Color.parse]
)
def test_a_number_of_many_digits_is_none(read: Callable[[str], object], text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "w-" + "9" * 5_000,
        "w-999999_pow_512",
        "w-2_pow_512_pow_512_pow_512",
        "h-" + "_mul_".join(["999999"] * 17),
        "ar-" + "9" * 5_000 + "-1",
        "q-" + "9" * 5_000,
        "rt-" + "9" * 5_000,
        "b-" + "9" * 5_000 + "_red",
        "e-usm-" + "9" * 5_000 + "-1-1-1",
    ],
)
def test_a_transform_believes_no_number(text: str) -> None:
    with pytest.raises(S3ImgError):
        Transform.parse(text).output_size((600, 400))
