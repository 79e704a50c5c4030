"""What an address below ``/info`` asks to know of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from s3img.errors import TransformError
from s3img.imgproxy.arguments import Args, at_most, bad, boolean, integer
from s3img.imgproxy.output_options import HASHES, OUTPUT_OPTIONS
from s3img.imgproxy.pipeline_options import PIPELINE_OPTIONS
from s3img.imgproxy.preset_reader import PresetReader, long_names
from s3img.imgproxy.processing_options import OUTPUT_NAMES, PIPELINE_NAMES, CropArea, Gravity, spellings

if TYPE_CHECKING:
    from collections.abc import Mapping

_SWITCHES: Final = spellings(
    """size s, format f, dimensions d, exif, iptc, xmp, video_meta vm, colorspace cs, bands b, sample_format sf,
    dominant_colors dc, pages_number pn, alpha a, average avg, thumb_hash th, perceptual_hash phash ph"""
)
_OTHERS: Final = spellings("palette p, blurhash bh, calc_hashsums chs, preset pr")
_LIMITS: Final = frozenset({"max_src_resolution", "max_src_file_size"})
_READ_ALIKE: Final = (
    "page",
    "hashsum",
    "cachebuster",
    "expires",
    "cache_tags",
    "bypass_cache",
    "crop",
    "gravity",
    *_LIMITS,
)
"""Options that are those of pictures."""
_TWO: Final = {
    "alpha": "check_transparency",
    "average": "ignore_transparent",
    "dominant_colors": "build_missed",
    "exif": "canonical_names",
}
"""Options with a second argument, and the field that it is."""
_UNSUPPORTED: Final = spellings(
    """detect_objects do, classify cl, objects_position obj_pos op, video_thumbnail_second vts,
    video_thumbnail_keyframes vtk"""
)
_SHARED: Final = PIPELINE_NAMES | OUTPUT_NAMES
LONG_NAMES: Final[Mapping[str, str]] = long_names(
    {**_SWITCHES, **_OTHERS, **{name: _SHARED[name] for name in _READ_ALIKE}, **_UNSUPPORTED}
)
"""The long name of every spelling."""


class InfoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Say what is told of a picture: ``palette`` colours, ``blurhash`` terms across and down, hashes of its bytes.

    ``video_meta`` is read and has no effect: there are no videos here. Limits are those of this request alone: px,
    bytes; 0 leaves them to the settings.
    """

    size: bool = True
    format: bool = True
    dimensions: bool = True
    exif: bool = True
    canonical_names: bool = False
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
    check_transparency: bool = False
    average: bool = False
    ignore_transparent: bool = True
    thumb_hash: bool = False
    perceptual_hash: bool = False
    palette: int = 0
    blurhash: tuple[int, int] = (0, 0)
    calc_hashsums: tuple[str, ...] = ()
    cachebuster: str = ""
    expires: int = 0
    cache_tags: tuple[str, ...] = ()
    max_src_resolution: int = 0
    max_src_file_size: int = 0


def blurhash_terms(name: str, args: Args) -> tuple[int, int]:
    """Read how many terms a BlurHash has across and down; 0 for none at all."""
    terms = [integer(name, text, least=0, most=9, what="number from 0 to 9") for text in args]
    if len(terms) != 2 or (0 in terms and terms != [0, 0]):
        raise TransformError(f"{name}: write the terms across and down, as {name}:4:3.", token=name)
    return terms[0], terms[1]


@dataclass(frozen=True, kw_only=True)
class InfoGrammar(PresetReader[dict[str, Any]]):
    """Read the options of addresses below ``/info``; the fields are settings of `config.imgproxy.ImgproxySettings`."""

    names = LONG_NAMES
    begin = dict

    def read(self, segments: list[str]) -> tuple[InfoOptions, bool, list[str]]:
        """Return the options, whether presets alone made them, and the segments of the source.

        Raise TransformError for an option that is wrong, or that is not offered.
        """
        fields, presets_only, rest = self.read_options(segments)
        return InfoOptions(**fields), presets_only, rest

    def apply(self, reading: dict[str, Any], name: str, long: str, args: Args) -> None:
        """Apply one option."""
        if long in _LIMITS:
            self.allow_limits(name)
        if long in _SWITCHES:
            at_most(name, args, 2 if long in _TWO else 1)
            reading[long] = boolean(name, args[0])
            if len(args) > 1:
                reading[_TWO[long]] = boolean(name, args[1])
        elif long in _READ_ALIKE:
            (PIPELINE_OPTIONS.get(long) or OUTPUT_OPTIONS[long])(name, reading, args)
        elif long == "palette":
            at_most(name, args, 1)
            reading[long] = integer(name, args[0], least=0, most=256)
        elif long == "blurhash":
            reading[long] = blurhash_terms(name, args)
        elif long == "calc_hashsums":
            if unknown := [text for text in args if text not in HASHES]:
                raise bad(name, unknown[0], f"hash: choose {', '.join(HASHES)}")
            reading[long] = tuple(sorted(set(args)))
        else:
            what = f"{long} needs a model or video" if long else "imgproxy's info has no such option"
            raise TransformError(f"{name[:80]}: {what}.", token=name[:80])
