"""Write the table of memory in ``service.md`` from the estimates that `limits.memory` goes by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from s3img.imaging.image_info import ImageInfo
from s3img.imaging.memory_estimate import decoding_bytes
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).with_name("service.md")
START, END = "<!-- memory: generated -->\n", "<!-- /memory -->"
IDLE = 150
"""MiB of a process that has served a while, without pictures; a test measures less."""
CORES = (1, 2, 4, 8)
MEGAPIXELS = (12, 24, 50, 100)
RESULT = Transform.parse("w-2000")
BYTES_A_PIXEL = 0.5
"""Of a source as it is stored: photographs of good quality have less."""


def rows() -> Iterator[str]:
    """Yield the table, a line each."""
    yield f"| largest source | formats | 1 core | {' | '.join(f'{cores} cores' for cores in CORES[1:])} |"
    yield f"| --- | --- |{' ---: |' * len(CORES)}"
    kinds = {"JPEG": ["jpeg"], "JPEG, PNG, GIF": ["jpeg", "png", "gif"], "any": ["jpeg", "png", "webp", "avif"]}
    for largest in MEGAPIXELS:
        for name, formats in kinds.items():
            each = max(most(one, largest) for one in formats)
            sums = (f"{IDLE + cores * each:,} MiB" for cores in CORES)
            yield f"| {largest} megapixels | {name} | {' | '.join(sums)} |"


def most(name: str, megapixels: int) -> int:
    """Return the MiB that a source of at most so many megapixels takes: a JPEG of fewer may be decoded larger."""
    sizes = (number * 1_000_000 for number in range(1, megapixels + 1))
    return max(-(-needed(name, size) // 2**20) for size in sizes)


def needed(name: str, pixels: int) -> int:
    """Return the bytes for one source of 4:3; a JPEG is taken for a progressive one, which costs more."""
    width = int((pixels * 4 / 3) ** 0.5)
    size = width, width * 3 // 4
    info = ImageInfo(name, *size, canvas=size, buffered=3 * pixels if name == "jpeg" else 0)
    return decoding_bytes(info, int(pixels * BYTES_A_PIXEL), RESULT)


def main() -> None:
    """Write the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{START}{table()}{END}{after}", encoding="utf-8")


def table() -> str:
    """Return the table as it stands in the page."""
    return "\n".join([*rows(), ""])


if __name__ == "__main__":
    main()
