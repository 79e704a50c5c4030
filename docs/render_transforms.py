"""Render the example pictures of ``transforms.md``: ``python docs/render_transforms.py``, then generate the page."""

from __future__ import annotations

from pathlib import Path

from s3img.atomic import write_atomically
from s3img.imaging import render
from s3img.transform import Transform
from s3img.transform.parameters import PARAMETERS

HERE = Path(__file__).parent
PHOTO = HERE.parent / "examples/mkdocs_site/docs/images/summit-sunset.jpg"  # named in its CREDITS.md
SOURCE = Transform.parse("w-1200,h-800,f-png")
THUMBNAIL = Transform.parse("w-150,h-150,c-at_max,f-webp,q-50")


def main() -> None:
    """Render each parameter's own example from a source of 1200 x 800 px, and show it as a thumbnail."""
    source = render(PHOTO, SOURCE).data
    for parameter in PARAMETERS:
        result = render(source, Transform.parse(parameter.example)).data
        write_atomically(HERE / "images" / "transforms" / f"{parameter.key}.webp", render(result, THUMBNAIL).data)


if __name__ == "__main__":
    main()
