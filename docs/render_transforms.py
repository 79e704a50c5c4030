"""Render the example pictures of ``transforms.md``: ``python docs/render_transforms.py``, then generate the page."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

from s3img.atomic import write_atomically
from s3img.imaging import render
from s3img.transform import Transform
from s3img.transform.parameters import LAYER_PARAMETERS, PARAMETERS, TEXT_PARAMETERS

HERE = Path(__file__).parent
PHOTO = HERE.parent / "examples/mkdocs_site/docs/images/summit-sunset.jpg"  # named in its CREDITS.md
SOURCE = Transform.parse("w-1200,h-800,f-png")
THUMBNAIL = Transform.parse("w-150,h-150,c-at_max,f-webp,q-50")


def main() -> None:
    """Render each parameter's own example from a source of 1200 x 800 px, and show it as a thumbnail."""
    source = render(PHOTO, SOURCE).data
    inputs = {"logo.png": logo()}
    for prefix, rows in (("", PARAMETERS), ("", LAYER_PARAMETERS), ("text-", TEXT_PARAMETERS)):
        for row in rows:
            result = render(source, Transform.parse(row.example), inputs=inputs).data
            write_atomically(HERE / "images" / "transforms" / f"{prefix}{row.key}.webp", render(result, THUMBNAIL).data)


def logo() -> bytes:
    """Return a disc with a ring, in a transparent margin."""
    image = Image.new("RGBA", (400, 400))
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 40, 360, 360), fill=(214, 40, 57))
    draw.ellipse((90, 90, 310, 310), outline=(255, 255, 255), width=30)
    stream = BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


if __name__ == "__main__":
    main()
