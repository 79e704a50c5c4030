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
    quality,
    share,
    singles,
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


OUTPUT_OPTIONS: Final[Mapping[str, Handler]] = {
    **singles(boolean, "strip_metadata keep_copyright strip_color_profile preserve_hdr enforce_thumbnail"),
    **singles(boolean, "raw return_attachment disable_animation"),
    **singles(positive, "max_bytes max_src_file_size max_result_dimension"),
    **singles(megapixels, "max_src_resolution max_animation_frame_resolution"),
    **singles(quality, "quality"),
    **singles(written_format, "format"),
    **singles(text_argument, "cachebuster"),
    **singles(partial(integer, least=0, what="Unix timestamp"), "expires"),  # whether it is over shows when it is used
    **singles(partial(integer, least=1), "max_animation_frames"),
    **singles(partial(integer, least=0, most=65_535), "dpi"),
    **singles(partial(integer, least=0, most=100_000), "page"),
    **singles(partial(integer, least=1, most=1000), "pages"),
    **singles(color_profile, "color_profile"),
    **singles(base64_text, "fallback_image_url"),
    "format_quality": format_quality,
    "skip_processing": skip_processing,
    "filename": filename,
    "style": style,
    "bypass_cache": bypass_cache,
    "hashsum": hashsum,
    "cache_tags": cache_tags,
    "autoquality": nested(
        "auto_quality",
        AutoQuality(),
        {"method": quality_method, "target": not_negative, "least": quality, "most": quality, "error": share},
    ),
    "jpeg_options": nested(
        "jpeg_options",
        JpegOptions(),
        dict(zip(JpegOptions.__struct_fields__, (*[boolean] * 5, partial(integer, least=0, most=8)), strict=True)),
    ),
    "png_options": nested(
        "png_options",
        PngOptions(),
        {"interlaced": boolean, "quantize": boolean, "colors": partial(integer, least=2, most=256)},
    ),
    "webp_options": nested(
        "webp_options",
        WebpOptions(),
        {
            "compression": partial(one_of, words=get_args(WebpCompression)),
            "smart_subsample": boolean,
            "preset": partial(one_of, words=_PRESETS),
        },
    ),
    "avif_options": nested(
        "avif_options", AvifOptions(), {"subsample": partial(one_of, words=get_args(AvifSubsample))}
    ),
}
"""What reads each option of the whole request, by long names."""
