"""What an address below ``/info`` asks to know of a picture."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from s3img.errors import TransformError
from s3img.imgproxy.arguments import Args, at_most, bad, boolean, integer
from s3img.imgproxy.output_options import HASHES, OUTPUT_OPTIONS
from s3img.imgproxy.pipeline_options import PIPELINE_OPTIONS
from s3img.imgproxy.processing_options import CropArea, Gravity

_SWITCHES: Final = {
    "size": "s",
    "format": "f",
    "dimensions": "d",
    "exif": "",
    "iptc": "",
    "xmp": "",
    "video_meta": "vm",
    "colorspace": "cs",
    "bands": "b",
    "sample_format": "sf",
    "dominant_colors": "dc",
    "pages_number": "pn",
    "alpha": "a",
    "average": "avg",
    "thumb_hash": "th",
    "perceptual_hash": "phash ph",
}
_OTHERS: Final = {"palette": "p", "blurhash": "bh", "calc_hashsums": "chs", "cachebuster": "cb", "expires": "exp"}
_READ_ALIKE: Final = {name: PIPELINE_OPTIONS[name] for name in ("crop", "gravity")} | {
    name: OUTPUT_OPTIONS[name] for name in ("page", "hashsum")
}
"""Options that are those of pictures."""
_TWO: Final = frozenset({"alpha", "average", "dominant_colors", "exif"})
_UNSUPPORTED: Final = {"detect_objects": "do", "classify": "cl", "objects_position": "obj_pos op"}
LONG_NAMES: Final = {
    spelling: name
    for table in (_SWITCHES, _OTHERS, {name: short for name, (short, _) in _READ_ALIKE.items()}, _UNSUPPORTED)
    for name, short in table.items()
    for spelling in (name, *short.split())
}
"""The long name of every spelling."""


class InfoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Say what is told of a picture: ``palette`` colours, ``blurhash`` terms across and down, hashes of its bytes.

    ``video_meta`` is read and has no effect: there are no videos here.
    """

    size: bool = True
    format: bool = True
    dimensions: bool = True
    exif: bool = True
    iptc: bool = True
    xmp: bool = True
    video_meta: bool = True
    colorspace: bool = False
    bands: bool = False
    sample_format: bool = False
    dominant_colors: bool = False
    build_missed: bool = False
    crop: CropArea = CropArea()
    gravity: Gravity = Gravity()
    page: int = 0
    hashsum: tuple[str, str] = ("", "")
    pages_number: bool = False
    alpha: bool = False
    average: bool = False
    thumb_hash: bool = False
    perceptual_hash: bool = False
    palette: int = 0
    blurhash: tuple[int, int] = (0, 0)
    calc_hashsums: tuple[str, ...] = ()
    cachebuster: str = ""
    expires: int = 0


def read_info_options(options: list[tuple[str, Args]]) -> InfoOptions:
    """Read options by name; raise TransformError for one that is wrong, or that is not offered."""
    fields: dict[str, Any] = {}
    for name, args in options:
        long = LONG_NAMES.get(name, "")
        if long in _SWITCHES:
            fields |= _switch(name, long, args)
        elif long in _READ_ALIKE:
            _READ_ALIKE[long][1](name, fields, args)
        elif long == "palette":
            at_most(name, args, 1)
            fields[long] = integer(name, args[0], least=0, most=256, what="number of colours up to 256")
        elif long == "blurhash":
            terms = [integer(name, text, least=1, most=9, what="number from 1 to 9") for text in args]
            if len(terms) != 2:
                raise TransformError(f"{name}: write the terms across and down, as {name}:4:3.", token=name)
            fields[long] = tuple(terms)
        elif long == "calc_hashsums":
            if unknown := [text for text in args if text not in HASHES]:
                raise bad(name, unknown[0], f"hash: choose {', '.join(HASHES)}")
            fields[long] = tuple(sorted(set(args)))
        elif long in {"cachebuster", "expires"}:
            at_most(name, args, 1)
            fields[long] = integer(name, args[0], least=0, what="Unix timestamp") if long == "expires" else args[0]
        else:
            what = f"{long} is not offered here" if long else "imgproxy's info has no such option"
            raise TransformError(f"{name[:80]}: {what}.", token=name[:80])
    return InfoOptions(**fields)


def _switch(name: str, long: str, args: Args) -> dict[str, bool]:
    """Read what is told or not; of four, a second argument says how."""
    at_most(name, args, 2 if long in _TWO else 1)
    found = {long: boolean(name, args[0])}
    if long == "dominant_colors":
        found["build_missed"] = len(args) > 1 and boolean(name, args[1])
    return found
