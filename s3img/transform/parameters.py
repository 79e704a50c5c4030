"""Every parameter of the language in one table: the parser, the canonical form and the documentation read it.

The table's order is the order of keys inside a canonical step.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from s3img.transform import kinds
from s3img.transform.kinds import ParameterKind, choice, whole
from s3img.transform.overlays import Align, LayerMode, Place
from s3img.transform.steps import Crop, Flip, OutputFormat, Subsampling

Support = Literal["same", "extended", "decided", "own"]
"""``same``: as ImageKit documents; ``extended``: that, and more; ``decided``: ImageKit leaves a part open;
``own``: ImageKit has none of it."""

MODES: Final = ("pad_resize", "pad_resize_no_enlarge", "extract", "pad_extract", "pad_extract_no_shrink")
"""The values of ``crop`` whose canonical key is ``cm``; ``c`` takes them as well, as ImageKit's examples write them."""
_CROPS: Final = tuple(crop for crop in get_args(Crop) if crop not in MODES)


class Parameter(msgspec.Struct, frozen=True):
    """One row: ImageKit's ``key``, our long ``name`` (a field of Step or Output), its values, the docs' words."""

    key: str
    name: str
    kind: ParameterKind
    default: str
    meaning: str
    example: str
    status: Support = "same"

    def token(self, value: object) -> str:
        """Return ``key-value`` in canonical form, or nothing when another key writes the value."""
        text = self.kind.write(value)
        return "" if text is None else f"{self.key}-{text}" if text else self.key


PARAMETERS: Final = (
    Parameter("w", "width", kinds.WIDTH, "from `h` and the ratio", "Width. Alone it keeps the ratio, and enlarges.",
              "w-300"),
    Parameter("h", "height", kinds.SIDE, "from `w` and the ratio", "Height. Alone it keeps the ratio, and enlarges.",
              "h-200"),
    Parameter("ar", "aspect_ratio", kinds.RATIO, "none", "Ratio of width to height; gives the side that is not asked "
              "for. Without `w` and `h`, crops to the ratio.", "w-400,ar-4-3", "extended"),
    Parameter("c", "crop", choice(get_args(Crop), own=_CROPS), "`maintain_ratio`", "How the picture meets `w` and `h`.",
              "w-300,h-300,c-at_max", "extended"),
    Parameter("cm", "crop", choice(MODES), "none", "Pad or cut instead of scaling to fill; wins over `c`.",
              "w-300,h-300,cm-pad_resize", "decided"),
    Parameter("fo", "focus", kinds.FOCUS, "`center`", "What a crop keeps; where padding puts the picture. `auto` keeps "
              "what draws attention, `face` and objects what a detector finds, `custom` the box that the picture's "
              "metadata name.", "w-300,h-300,fo-left", "decided"),
    Parameter("z", "zoom", kinds.ZOOM, "1", "Shows more (below 1) or less (above) around what a detector found; only "
              "beside `fo-face`, `fo-` with an object, and boxes of these.",
              "w-300,h-300,fo-object_700_300_300_300,z-2", "decided"),
    Parameter("x", "x", kinds.OFFSET, "by `fo`", "Left edge of an extract.", "w-600,h-400,cm-extract,x-500,y-250",
              "decided"),
    Parameter("y", "y", kinds.OFFSET, "by `fo`", "Top edge of an extract.", "w-600,h-400,cm-extract,x-500,y-250",
              "decided"),
    Parameter("xc", "xc", kinds.OFFSET, "by `fo`", "Horizontal centre of an extract; without effect beside `x`.",
              "w-300,h-200,cm-extract,xc-400,yc-300"),
    Parameter("yc", "yc", kinds.OFFSET, "by `fo`", "Vertical centre of an extract; without effect beside `y`.",
              "w-300,h-200,cm-extract,xc-400,yc-300"),
    Parameter("dpr", "dpr", kinds.DPR, "1", "Multiplies `w` and `h`; ignored where that gives less than 1 or more than "
              "5000 px.", "w-300,dpr-2", "decided"),
    Parameter("pg", "page", whole(1, 9999), "all frames, or the first", "Takes one frame of an animation (GIF, APNG, "
              "WebP, AVIF), or page of a TIFF, as a still picture.", "pg-1,w-300", "decided"),
    Parameter("t", "trim", kinds.TRIM, "`false`", "Cuts off edges of nearly one colour; higher cuts more.", "t-true",
              "decided"),
    Parameter("fl", "flip", choice(get_args(Flip), aliases={"v_h": "h_v"}), "none",
              "Mirrors from left to right (`h`), top to bottom (`v`) or both.", "fl-h"),
    Parameter("e-grayscale", "grayscale", kinds.FLAG, "off", "Removes colour.", "e-grayscale"),
    Parameter("e-contrast", "contrast", kinds.FLAG, "off", "Stretches brightness to the full range.", "e-contrast"),
    Parameter("e-colorize", "colorize", kinds.COLORIZE, "off; `co-gray_in-100` when bare", "Mixes a colour into the "
              "picture.", "e-colorize-co-blue_in-40"),
    Parameter("cr", "color_replace", kinds.COLOR_REPLACE, "none; tolerance 35", "Replaces colours near FROM (the most "
              "frequent one without it) by TO; shades stay.", "cr-green_40", "decided"),
    Parameter("bl", "blur", whole(1, 100), "none", "Gaussian blur; the value is its sigma in px.",
              "bl-10", "decided"),
    Parameter("e-sharpen", "sharpen", kinds.SHARPEN, "off; 10 when bare", "Sharpens.", "e-sharpen", "decided"),
    Parameter("e-usm", "unsharp", kinds.UNSHARP, "off; `2-2-0.8-0.024` when bare", "Unsharp mask; threshold 0 to 1.",
              "e-usm-2-2-0.8-0.024", "decided"),
    Parameter("e-gradient", "gradient", kinds.GRADIENT, "off; white to transparent, downwards, when bare",
              "Lays a linear gradient over the picture.", "e-gradient-ld-top_from-00000000_to-navy_sp-0.6", "decided"),
    Parameter("b", "border", kinds.BORDER, "none", "Frame around the picture; adds to its size.", "w-300,b-5_FFF000",
              "decided"),
    Parameter("r", "radius", kinds.RADIUS, "0", "Rounds the corners: one radius, or from the top left one "
              "clockwise.", "r-200"),
    Parameter("e-distort", "distort", kinds.DISTORT, "none", "Moves the corners (px, clockwise from the top left one) "
              "or bends into an arc; the canvas stays.", "w-300,e-distort-p-40_20_260_0_300_200_0_180", "decided"),
    Parameter("rt", "rotate", kinds.ANGLE, "0", "Turns; the canvas grows. `auto` is always on: EXIF "
              "orientation is applied before everything.", "w-300,rt-N40", "decided"),
    Parameter("e-shadow", "shadow", kinds.SHADOW, "off; `bl-10_st-30_x-2_y-2` when bare", "A soft shadow under what is "
              "not transparent: blur in px, strength and offsets in per cent.", "w-300,r-60,e-shadow-x-5_y-5",
              "decided"),
    Parameter("o", "opacity", kinds.OPACITY, "100", "Opacity in per cent.", "o-50", "extended"),
    Parameter("bg", "background", kinds.BACKGROUND, "black for padding, else none", "Behind padding, new corners and "
              "transparency: a colour, or one made from the picture.", "w-300,h-300,cm-pad_resize,bg-blurred",
              "decided"),
    Parameter("f", "format", choice(get_args(OutputFormat), aliases={"jpg": "jpeg"}), "`auto`", "Format of the result; "
              "`auto` takes what the client accepts, `orig` the source's.", "w-300,f-webp"),
    Parameter("q", "quality", whole(1, 100), "by format, from the configuration", "Quality of a lossy format.",
              "w-300,q-60", "extended"),
    Parameter("cs", "subsampling", choice(get_args(Subsampling)), "by the source", "Colour in AVIF and JPEG: at full "
              "resolution (`444`), or at half of it (`420`).", "w-300,f-jpg,cs-444", "own"),
    Parameter("lo", "lossless", kinds.BOOLEAN, "`false`", "Loses nothing, in WebP, AVIF and PNG.", "w-300,lo-true"),
    Parameter("pr", "progressive", kinds.BOOLEAN, "left to the encoder", "Progressive JPEG.", "w-300,pr-true",
              "extended"),
    Parameter("md", "metadata", kinds.BOOLEAN, "`false`", "Keeps metadata.", "w-300,md-true"),
    Parameter("cp", "color_profile", kinds.BOOLEAN, "`false`", "Keeps the colour profile; else colours become sRGB.",
              "w-300,cp-true", "extended"),
    Parameter("dn", "density", kinds.DENSITY, "none", "Dots per inch, as metadata of JPEG and PNG; `idn` is the "
              "source's (72 where it states none).", "dn-300"),
    Parameter("orig", "original", kinds.BOOLEAN, "`false`", "The source's own bytes; everything else but `di` is "
              "ignored.", "orig-true"),
    Parameter("di", "default_image", kinds.PATH, "none", "Key of the picture to show when the source is missing.",
              "w-300,di-errors@@missing.png", "decided"),
)  # fmt: skip
"""The order of rows is the order of keys in a canonical step."""

POSITION_NAMES: Final = ("layer_x", "layer_y", "layer_xc", "layer_yc", "layer_anchor", "layer_focus")
LAYER_PARAMETERS: Final = (
    Parameter("i", "input", kinds.PATH, "", "Key of the picture, or `ik_canvas` for a block of colour.",
              "l-image,i-logo.png,l-end"),
    Parameter("ie", "encoded", kinds.ENCODED_PATH, "", "The same in base64; wins over `i`.",
              "l-image,ie-bG9nby5wbmc,l-end"),
    Parameter("lx", "layer_x", kinds.LAYER_OFFSET, "none", "Left edge on the parent. Negative numbers count from "
              "the parent's right edge, and `N0` is that edge.",
              "l-image,i-logo.png,lx-N10,ly-10,l-end", "decided"),
    Parameter("ly", "layer_y", kinds.LAYER_OFFSET, "none", "Top edge on the parent. Negative numbers count from the "
              "parent's bottom edge, and `N0` is that edge.",
              "l-image,i-logo.png,lx-10,ly-N10,l-end", "decided"),
    Parameter("lxc", "layer_xc", kinds.LAYER_OFFSET, "none", "Horizontal centre on the parent; without effect beside "
              "`lx`.",
              "l-image,i-logo.png,lxc-bw_div_2,lyc-100,l-end", "decided"),
    Parameter("lyc", "layer_yc", kinds.LAYER_OFFSET, "none", "Vertical centre on the parent; without effect beside "
              "`ly`.",
              "l-image,i-logo.png,lxc-100,lyc-bh_div_2,l-end", "decided"),
    Parameter("lap", "layer_anchor", choice(get_args(Place)), "`top_left`", "The point of the parent from which "
              "`lx`, `ly`, `lxc` and `lyc` count.",
              "l-image,i-logo.png,lxc-0,lyc-0,lap-center,l-end", "decided"),
    Parameter("lfo", "layer_focus", choice(get_args(Place)), "`center`", "Where on the parent it lies, without "
              "`lx`, `ly`, `lxc` and `lyc`.",
              "l-image,i-logo.png,lfo-bottom_right,l-end"),
    Parameter("lm", "layer_mode", choice(get_args(LayerMode)), "none", "How it is mixed in: `multiply`; `displace`, as "
              "a map that moves the parent's px by up to `lx` and `ly`; `cutout` cuts its shape out of the parent; "
              "`cutter` cuts off all around it.",
              "l-image,i-logo.png,lm-multiply,l-end", "decided"),
    Parameter("al", "layer_alpha", kinds.TENTHS, "opaque", "Opacity in tenths, of a picture or a block. A block's "
              "colour must be in digits then, and have no opacity of its own.",
              "l-image,i-ik_canvas,bg-FF0000,al-5,w-200,h-100,l-end"),
)  # fmt: skip
"""Parameters that only layers of pictures have; inside, those of `PARAMETERS` that change pixels hold as well."""

TEXT_PARAMETERS: Final = (
    Parameter("i", "input", kinds.TEXT, "", "The text.", "l-text,i-Hello,fs-160,l-end"),
    Parameter("ie", "encoded", kinds.ENCODED_TEXT, "", "The same in base64; wins over `i`.",
              "l-text,ie-R3LDvMOfZSBhdXMgS8O2bG4,fs-120,l-end"),
    Parameter("w", "text_width", kinds.LENGTH, "none", "Width at which lines end.",
              "l-text,i-Hello%20wide%20world,fs-120,w-500,l-end"),
    Parameter("fs", "text_size", kinds.LENGTH, "45", "Size of the font.", "l-text,i-Hello,fs-200,l-end"),
    Parameter("ff", "text_font", kinds.FONT, "`OpenSans`", "Font.",
              "l-text,i-Hello,fs-120,ff-OpenSans,l-end", "decided"),
    Parameter("co", "text_color", kinds.COLOR, "black", "Colour of the letters.",
              "l-text,i-Hello,fs-200,co-FFD70080,l-end"),
    Parameter("bg", "background", kinds.COLOR, "none", "Colour behind text and padding.",
              "l-text,i-Hello,fs-120,bg-gold,pa-20,l-end"),
    Parameter("ia", "text_align", choice(get_args(Align)), "`center`", "Where shorter lines lie.",
              "l-text,i-Hello%20wide%20world,fs-120,w-500,ia-right,l-end"),
    Parameter("pa", "text_padding", kinds.PADDING, "0", "Room around the text.",
              "l-text,i-Hello,fs-120,bg-gold,pa-10_80,l-end"),
    Parameter("tg", "text_style", kinds.TYPOGRAPHY, "none", "Bold, italic, struck through.",
              "l-text,i-Hello,fs-120,tg-b_strikethrough,l-end"),
    Parameter("lh", "text_line_height", kinds.LENGTH, "the font's", "Height of a line.",
              "l-text,i-Hello%20wide%20world,fs-120,w-500,lh-100,l-end", "decided"),
    Parameter("al", "opacity", kinds.ALPHA, "opaque", "Opacity of the whole layer, in tenths.",
              "l-text,i-Hello,fs-200,al-4,l-end"),
)  # fmt: skip
"""Parameters of texts; those that change pixels, or say where a layer lies, hold as well."""

TEXT_NAMES: Final = frozenset({row.name for row in TEXT_PARAMETERS if row.name.startswith("text_")} - {"text_style"})
"""Names of fields of `Text`, behind ``text_``."""

PRESET: Final = "n"
BY_KEY: Final = {parameter.key: parameter for parameter in PARAMETERS}
BY_LAYER_KEY: Final = BY_KEY | {parameter.key: parameter for parameter in LAYER_PARAMETERS}
BY_TEXT_KEY: Final = BY_LAYER_KEY | {parameter.key: parameter for parameter in TEXT_PARAMETERS}
BY_NAME: Final = {parameter.name: parameter for parameter in reversed(PARAMETERS)}

REFUSED: Final = {
    "c2pa": "content credentials",
    **dict.fromkeys(
        ("e-bgremove", "e-removedotbg", "e-changebg", "e-edit", "e-dropshadow", "e-retouch", "e-upscale", "e-genvar"),
        "generative effects",
    ),
    **dict.fromkeys(("vc", "ac", "so", "eo", "du", "sr", "lso", "leo", "ldu"), "video"),
    **dict.fromkeys(
        (
            *("oi", "oiw", "oih", "oiar", "oic", "oicm", "oifo", "oibg", "oib", "oir", "oirt", "oit", "oiq", "oidpr"),
            *("ot", "ote", "otw", "ots", "otf", "otc", "otbg", "otp", "ott", "otia", "oa", "or"),
            *("ox", "oy", "ow", "oh", "ofo", "obg"),
        ),
        "overlays from before ImageKit's layers",
    ),
    **dict.fromkeys(("fol", "fsh"), "subtitles"),
}
"""Keys of ImageKit that are understood and refused, with what they are."""

REFUSED_VALUES: Final = {
    "bg": ("genfill",),
    "f": ("svg", "mp4", "webm"),
    "pg": ("name-",),
}
"""Beginnings of ImageKit's values that are understood and refused, by key."""
