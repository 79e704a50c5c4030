"""Write the generated tables of ``transforms.md`` from the code: ``python docs/generate_transforms.py``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from s3img.transform import Transform
from s3img.transform.parameters import (
    LAYER_PARAMETERS,
    PARAMETERS,
    PRESET,
    REFUSED,
    REFUSED_VALUES,
    TEXT_PARAMETERS,
    Parameter,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE = Path(__file__).with_name("transforms.md")
PICTURES = PAGE.parent / "images" / "transforms"
SOURCE = (1200, 800)
STATUS = {
    "same": "as documented",
    "extended": "as documented, and more",
    "decided": "documented in part",
    "own": "not there",
}


def parameters() -> Iterator[str]:
    """Yield the table of parameters, one row each, with the size that its example gives."""
    yield "| key, long name | example, what it gives | meaning | values | default | ImageKit |"
    yield "|---|---|---|---|---|---|"
    for row in PARAMETERS:
        width, height = Transform.parse(row.example).output_size(SOURCE)
        yield (
            f"| `{row.key}`<br>`{row.name}` | `{row.example}`<br>{width}x{height}{picture(row.key)} | {row.meaning} "
            f"| {row.kind.values} | {row.default} | {STATUS[row.status]} |"
        )
    yield f"| `{PRESET}`<br>`preset` | | All that a preset of the settings says. | name | none | {STATUS['same']} |"


def layer_parameters(rows: Iterable[Parameter], prefix: str) -> Iterator[str]:
    """Yield the table of what only layers have, one row each; names of pictures begin with ``prefix``."""
    yield "| key | example | meaning | values | default | ImageKit |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        shown = f"`{row.example}`{picture(prefix + row.key)}"
        yield f"| `{row.key}` | {shown} | {row.meaning} | {row.kind.values} | {row.default} | {STATUS[row.status]} |"


def picture(key: str) -> str:
    """Return the picture of an example, where one was rendered."""
    file = PICTURES / f"{key}.webp"
    return f"<br>![{key}]({file.relative_to(PAGE.parent).as_posix()})" if file.exists() else ""


def refused() -> Iterator[str]:
    """Yield the table of what ImageKit knows and s3img refuses."""
    yield "| refused | what it is |"
    yield "|---|---|"
    yield "| `l-video`, `l-subtitles` | layers of videos and subtitles |"
    for what in dict.fromkeys(REFUSED.values()):
        yield f"| {', '.join(f'`{key}`' for key, name in REFUSED.items() if name == what)} | {what} |"
    for key, values in REFUSED_VALUES.items():
        yield f"| {', '.join(f'`{key}-{value}`' for value in values)} | values of `{key}` |"


def page(text: str) -> str:
    """Return the page with its tables as the code has them."""
    text = with_table(text, "parameters", parameters())
    text = with_table(text, "layers", layer_parameters(LAYER_PARAMETERS, ""))
    text = with_table(text, "texts", layer_parameters(TEXT_PARAMETERS, "text-"))
    return with_table(text, "refused", refused())


def with_table(text: str, name: str, rows: Iterable[str]) -> str:
    """Return the page with the rows between the two comments of that name."""
    begin, end = f"<!-- {name}: generated -->\n", f"<!-- /{name} -->"
    head, _, rest = text.partition(begin)
    return "".join([head, begin, *(f"{row}\n" for row in rows), end, rest.partition(end)[2]])


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
