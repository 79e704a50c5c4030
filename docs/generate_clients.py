"""Write the table of ImageKit's libraries in ``service.md``, of the addresses that they printed and tests ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).with_name("service.md")
ADDRESSES = Path(__file__).parent.parent / "tests/data/service/imagekit-sdks.json"
START, END = "<!-- clients: generated -->\n", "<!-- /clients -->"
FORMS = {"/tr:": "path", "?tr=": "query", "ik-s=": "signed", "ik-t=": "expiring"}


def rows() -> Iterator[str]:
    """Yield the table, a line each."""
    yield "| library | version | addresses that are served |"
    yield "| --- | --- | --- |"
    for library in json.loads(ADDRESSES.read_text(encoding="utf-8"))["libraries"]:
        forms = [name for form, name in FORMS.items() if any(form in url for url in library["urls"])]
        yield f"| `{library['library']}` | {library['version']} | {', '.join(forms)} |"


def table() -> str:
    """Return the table as it stands in the page."""
    return "\n".join([*rows(), ""])


def main() -> None:
    """Write the table into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    PAGE.write_text(f"{before}{START}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
