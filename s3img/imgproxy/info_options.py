"""What an address below ``/info`` asks to know of a picture."""

from __future__ import annotations

from typing import Final

import msgspec

from s3img.errors import TransformError
from s3img.imgproxy.option_grammar import Args, at_most, bad, boolean, integer

_SWITCHES: Final = {
    "size": "s",
    "format": "f",
    "dimensions": "d",
    "exif": "",
    "pages_number": "pn",
    "alpha": "a",
    "average": "avg",
    "thumb_hash": "th",
    "perceptual_hash": "phash ph",
}
_HASHES: Final = ("md5", "sha1", "sha256", "sha512")
_OTHERS: Final = {"palette": "p", "blurhash": "bh", "calc_hashsums": "chs", "cachebuster": "cb", "expires": "exp"}
_UNSUPPORTED: Final = {
    "iptc": "",
    "xmp": "",
    "video_meta": "vm",
    "detect_objects": "do",
    "classify": "cl",
    "colorspace": "cs",
    "bands": "b",
    "sample_format": "sf",
    "dominant_colors": "dc",
    "crop": "c",
    "page": "pg",
    "hashsum": "hs",
}
_LONG: Final = {
    spelling: name
    for table in (_SWITCHES, _OTHERS, _UNSUPPORTED)
    for name, short in table.items()
    for spelling in (name, *short.split())
}


class InfoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Say what is told of a picture: ``palette`` colours, ``blurhash`` terms across and down, hashes of its bytes."""

    size: bool = True
    format: bool = True
    dimensions: bool = True
    exif: bool = True
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
    fields: dict[str, object] = {}
    for name, args in options:
        long = _LONG.get(name, "")
        if long in _SWITCHES:
            at_most(name, args, 2 if long in {"alpha", "average"} else 1)
            fields[long] = boolean(name, args[0])
        elif long == "palette":
            at_most(name, args, 1)
            fields[long] = integer(name, args[0], least=0, most=256, what="number of colours up to 256")
        elif long == "blurhash":
            terms = [integer(name, text, least=1, most=9, what="number from 1 to 9") for text in args]
            if len(terms) != 2:
                raise TransformError(f"{name}: write the terms across and down, as {name}:4:3.", token=name)
            fields[long] = tuple(terms)
        elif long == "calc_hashsums":
            if unknown := [text for text in args if text not in _HASHES]:
                raise bad(name, unknown[0], f"hash: choose {', '.join(_HASHES)}")
            fields[long] = tuple(sorted(set(args)))
        elif long in {"cachebuster", "expires"}:
            at_most(name, args, 1)
            fields[long] = integer(name, args[0], least=0, what="Unix timestamp") if long == "expires" else args[0]
        else:
            what = f"{long} is not offered here" if long else "imgproxy's info has no such option"
            raise TransformError(f"{name[:80]}: {what}.", token=name[:80])
    return InfoOptions(**fields)  # type: ignore[arg-type] # read by name just now
