"""Read the options that say how a result is written and sent, and what it is made from."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, get_args
from urllib.parse import unquote_to_bytes

from s3img.errors import TransformError
from s3img.imgproxy.arguments import (
    Args,
    Handler,
    State,
    at_most,
    bad,
    base64_text,
    boolean,
    image_format,
    integer,
    is_true,
    megapixels,
    nested,
    not_negative,
    one_of,
    positive,
    share,
    simple,
    text_argument,
)
from s3img.imgproxy.processing_options import (
    AutoQuality,
    AvifOptions,
    AvifSubsample,
    JpegOptions,
    PngOptions,
    QualityMethod,
    WebpCompression,
    WebpOptions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAG: Final = re.compile(r"[!#-+\--~]{1,1024}")
_MOST_TAGS: Final = 4096
_CSS: Final = re.compile(r"[^A-Za-z0-9_=-]")
_LONGEST_STYLE: Final = 4096
_PROFILE: Final = re.compile(r"[\w .()+-]{1,100}")
HASHES: Final = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
"""Digests of sources, with their hexadecimal digits."""
_MOST_PAGES: Final = 1000
_PAGES: Final = f"number of pages, from 1 to {_MOST_PAGES}"
_PRESETS: Final = ("default", "photo", "picture", "drawing", "icon", "text")
SECURITY_OPTIONS: Final = frozenset(
    {
        "max_src_resolution",
        "max_src_file_size",
        "max_animation_frames",
        "max_animation_frame_resolution",
        "max_result_dimension",
    }
)


def written_format(name: str, text: str) -> str:
    """Read the name of a format to write; two of imgproxy's can't be written here, and ``best`` names none."""
    if text == "best":  # without a format, the smallest of those that the client takes is written anyway
        return ""
    found = image_format(name, text)
    if found in {"heic", "jxl"}:
        raise bad(name, text, "format that can be written here: choose avif, webp, jpeg or png")
    return found


def format_quality(name: str, state: State, args: Args) -> None:
    """Read pairs of format and quality."""
    if len(args) % 2:
        raise TransformError(f"{name}: {args[-1][:80]!r} has no quality.", token=name)
    pairs = dict(state.get("format_quality", ()))
    for at in range(0, len(args), 2):
        pairs[image_format(name, args[at])] = quality(name, args[at + 1])
    state["format_quality"] = tuple(sorted(pairs.items()))


def quality_method(name: str, text: str) -> str:
    """Read how a quality is found; ``ml`` is ``dssim`` where there is no model, and here is none."""
    return "dssim" if text == "ml" else one_of(name, text, words=get_args(QualityMethod))


def hashsum(name: str, state: State, args: Args) -> None:
    """Read ``hs:TYPE:HEX``, the digest that the source must have."""
    at_most(name, args, 2)
    kind, digest = [*args, ""][:2]
    if kind == "none":
        state["hashsum"] = ("", "")
        return
    if kind not in HASHES:
        raise bad(name, kind, f"hash: choose none, {', '.join(HASHES)}")
    if not re.fullmatch(f"[0-9a-fA-F]{{{HASHES[kind]}}}", digest):
        raise bad(name, digest, f"{kind} in {HASHES[kind]} hexadecimal digits")
    state["hashsum"] = (kind, digest.lower())


def cache_tags(name: str, state: State, args: Args) -> None:
    """Read tags, percent-encoded, that a CDN may be told to drop; they go into a header, so they are plain ASCII."""
    tags = [unquote_to_bytes(text).decode("latin-1") for text in args if text]
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise bad(name, tag, "tag: write letters, digits and ASCII signs, no comma, blank or quote")
    if sum(map(len, tags)) > _MOST_TAGS:
        raise TransformError(f"{name}: the tags have more than {_MOST_TAGS} characters.", token=name)
    state["cache_tags"] = tuple(dict.fromkeys(tags))


def quality(name: str, text: str) -> int:
    """Read a quality, of which 0 stands for the default."""
    return integer(name, text, least=0, most=100, what="number from 0 to 100")


def skip_processing(name: str, state: State, args: Args) -> None:
    """Read formats of sources that are sent as they are."""
    formats = {*state.get("skip_processing", ()), *(image_format(name, text) for text in args)}
    state["skip_processing"] = tuple(sorted(formats))


def style(name: str, state: State, args: Args) -> None:
    """Read CSS from base64, or as it is: it has characters that base64 lacks, and clients send it either way."""
    text = ":".join(args)
    found = unquote_to_bytes(text).decode("utf-8", "replace") if _CSS.search(text) else base64_text(name, text)
    if len(found) > _LONGEST_STYLE:
        raise TransformError(f"{name}: {len(found)} characters; {_LONGEST_STYLE} is the limit.", token=name)
    state["style"] = found


def color_profile(name: str, text: str) -> str:
    """Read the name of a colour profile, percent-encoded, without the suffix of its file."""
    found = unquote_to_bytes(text).decode("utf-8", "replace").removesuffix(".icc").removesuffix(".icm")
    if found and not _PROFILE.fullmatch(found):
        raise bad(name, text, "name of a colour profile")
    return found


def bypass_cache(name: str, state: State, args: Args) -> None:  # noqa: ARG001 - readers have one signature
    """Read whether results that are kept are passed over, which can only be switched off."""
    at_most(name, args, 1)
    if is_true(args[0]):
        # Anybody with such an address could have the same picture made again and again.
        raise TransformError(
            f"{name}: results that are kept can't be passed over here; change cb for another one.", token=name
        )


def filename(name: str, state: State, args: Args) -> None:
    """Read ``fn:NAME``, percent-encoded, or ``fn:BASE64:1``."""
    at_most(name, args, 2)
    is_encoded = len(args) > 1 and is_true(args[1])
    plain = unquote_to_bytes(args[0]).decode("utf-8", "replace")
    state["filename"] = base64_text(name, args[0]) if is_encoded else plain


def expires(name: str, state: State, args: Args) -> None:
    """Read Unix seconds; whether they are over is checked when the address is used."""
    at_most(name, args, 1)
    state["expires"] = integer(name, args[0], least=0, what="Unix timestamp")


quant_table: Final = partial(integer, least=0, most=8, what="number from 0 to 8")
png_colors: Final = partial(integer, least=2, most=256, what="number from 2 to 256")
_ZERO_OR_MORE: Final = partial(integer, least=0, what="positive integer or 0")

OUTPUT_OPTIONS: Final[Mapping[str, tuple[str, Handler]]] = {
    "strip_metadata": ("sm", partial(simple, "strip_metadata", boolean)),
    "keep_copyright": ("kcr", partial(simple, "keep_copyright", boolean)),
    "strip_color_profile": ("scp", partial(simple, "strip_color_profile", boolean)),
    "preserve_hdr": ("ph", partial(simple, "preserve_hdr", boolean)),
    "enforce_thumbnail": ("eth", partial(simple, "enforce_thumbnail", boolean)),
    "quality": ("q", partial(simple, "quality", quality)),
    "format_quality": ("fq", format_quality),
    "max_bytes": ("mb", partial(simple, "max_bytes", positive)),
    "format": ("f ext", partial(simple, "format", written_format)),
    "skip_processing": ("skp sp", skip_processing),
    "raw": ("", partial(simple, "raw", boolean)),
    "cachebuster": ("cb", partial(simple, "cachebuster", text_argument)),
    "expires": ("exp", expires),
    "filename": ("fn", filename),
    "return_attachment": ("att", partial(simple, "return_attachment", boolean)),
    "max_src_resolution": ("msr", partial(simple, "max_src_resolution", megapixels)),
    "max_src_file_size": ("msfs", partial(simple, "max_src_file_size", _ZERO_OR_MORE)),
    "max_animation_frames": (
        "maf",
        partial(simple, "max_animation_frames", partial(integer, least=1, what="positive integer")),
    ),
    "max_animation_frame_resolution": ("mafr", partial(simple, "max_animation_frame_resolution", megapixels)),
    "max_result_dimension": ("mrd", partial(simple, "max_result_dimension", _ZERO_OR_MORE)),
    "dpi": ("", partial(simple, "dpi", partial(integer, least=0, most=65_535, what="number from 0 to 65535"))),
    "disable_animation": ("da", partial(simple, "disable_animation", boolean)),
    "page": ("pg", partial(simple, "page", partial(integer, least=0, most=100_000, what="number of a page, from 0"))),
    "pages": ("pgs", partial(simple, "pages", partial(integer, least=1, most=_MOST_PAGES, what=_PAGES))),
    "style": ("st stl", style),
    "color_profile": ("cp icc", partial(simple, "color_profile", color_profile)),
    "bypass_cache": ("bc", bypass_cache),
    "hashsum": ("hs", hashsum),
    "fallback_image_url": ("fiu", partial(simple, "fallback_image_url", base64_text)),
    "cache_tags": ("ct", cache_tags),
    "autoquality": ("aq", nested("auto_quality", AutoQuality, (quality_method, not_negative, quality, quality, share))),
    "jpeg_options": ("jpgo", nested("jpeg_options", JpegOptions, (*[boolean] * 5, quant_table))),
    "png_options": ("pngo", nested("png_options", PngOptions, (boolean, boolean, png_colors))),
    "webp_options": (
        "webpo",
        nested(
            "webp_options",
            WebpOptions,
            (partial(one_of, words=get_args(WebpCompression)), boolean, partial(one_of, words=_PRESETS)),
        ),
    ),
    "avif_options": ("avifo", nested("avif_options", AvifOptions, [partial(one_of, words=get_args(AvifSubsample))])),
}
"""Options of the whole request by their long names, with the short ones."""
