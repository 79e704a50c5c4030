"""Transforms parsed, planned and written per second on one core; no pixels are touched.

Run ``python benchmarks/geometry.py``; it prints the table of ``docs/benchmarks.md``.
"""

from __future__ import annotations

import platform
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING

from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Callable

TEXTS = (
    "w-640",
    "w-300,h-200,c-at_max,f-webp,q-75",
    "w-400,ar-16-9,fo-top_left,dpr-2",
    "w-iw_div_2,h-ih_mul_0.25_add_10,cm-pad_resize,bg-F3F3F3",
    "w-1200,h-800,cm-extract,x-10,y-20:w-300,r-max:rt-N40,bg-white",
)
SIZE = (4000, 3000)
ROUNDS = 7


def main() -> None:
    print("| transform | parse | size in HTML | parse + size | canonical text |\n|---|---|---|---|---|")
    for text in TEXTS:
        transform = Transform.parse(text)
        calls = (
            partial(Transform.parse, text),
            partial(transform.output_size, SIZE),
            partial(parse_and_size, text),
            partial(str, transform),
        )
        print(f"| `{text}` | " + " | ".join(f"{rate(call):,.0f}/s" for call in calls) + " |")
    print(f"\nCPython {platform.python_version()}, {platform.machine()}, median of {ROUNDS} runs, CPU time.")


def parse_and_size(text: str) -> tuple[int, int]:
    return Transform.parse(text).output_size(SIZE)


def rate(call: Callable[[], object], calls: int = 2_000) -> float:
    """Return calls per CPU second, the median of several runs."""
    return statistics.median(calls / seconds(call, calls) for _ in range(ROUNDS))


def seconds(call: Callable[[], object], calls: int) -> float:
    begin = time.process_time()
    for _ in range(calls):
        call()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
