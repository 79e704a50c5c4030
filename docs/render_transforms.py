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
MARGIN = Transform.parse("w-1000,h-660,c-force:w-1200,h-800,cm-pad_resize_no_enlarge,bg-white,f-png")
THUMBNAIL = Transform.parse("w-150,h-150,c-at_max,f-webp,q-50")
QUARTER = Transform.parse("w-0.25,h-0.25,f-webp,q-50")
DETAIL = Transform.parse("w-150,h-100,cm-extract,x-840,y-580,f-webp,q-80")
SIZES = frozenset({"w", "h", "ar", "c", "cm", "dpr"})
"""Parameters that change the size: a quarter of the result tells which is larger."""
SHARPNESS = frozenset({"e-sharpen", "e-usm"})
"""Parameters that a thumbnail would hide: a part of the result is shown, px by px."""


def main() -> None:
    """Render each parameter's own example from a source of 1200 x 800 px, and show it as a thumbnail."""
    source = render(PHOTO, SOURCE).data
    inputs = {"logo.png": logo()}
    for prefix, rows in (("", PARAMETERS), ("", LAYER_PARAMETERS), ("text-", TEXT_PARAMETERS)):
        for row in rows:
            # a margin for what cuts margins off, another picture where the source is missing
            shown = {"t": render(source, MARGIN).data, "di": inputs["logo.png"]}.get(row.key, source)
            result = render(shown, Transform.parse(row.example), inputs=inputs).data
            small = DETAIL if row.key in SHARPNESS else QUARTER if row.key in SIZES else THUMBNAIL
            write_atomically(HERE / "images" / "transforms" / f"{prefix}{row.key}.webp", render(result, small).data)


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
