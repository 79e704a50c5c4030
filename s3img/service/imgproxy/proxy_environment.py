"""imgproxy's own environment variables, read into settings: a service takes them over as they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from s3img.config.load import SettingsSource
from s3img.errors import ConfigError
from s3img.imgproxy.arguments import is_true
from s3img.imgproxy.processing_options import FORMATS

if TYPE_CHECKING:
    from s3img.config.imgproxy import ImgproxySettings

PREFIX: Final = "IMGPROXY_"
Read: TypeAlias = Callable[[str], Any]


def words(text: str) -> list[str]:
    """Read a list with commas."""
    return [word for part in text.split(",") if (word := part.strip())]


def replacements(text: str) -> list[list[str]]:
    """Read ``PATTERN=NEW;PATTERN=NEW``."""
    return [list(pair.partition("=")[::2]) for pair in text.split(";") if pair]


def millions(text: str) -> int:
    """Read megapixels."""
    return int(float(text) * 1_000_000)


def formats(text: str) -> list[str]:
    """Read names of formats; those that can't be written here are passed over."""
    found = (FORMATS.get(word, word) for word in words(text))
    return [name for name in found if name not in {"heic", "jxl", "ico", "svg"}]


def qualities(text: str) -> dict[str, int]:
    """Read ``jpeg=70,avif=40``; raise ValueError for anything else."""
    pairs = (word.partition("=") for word in words(text))
    return {FORMATS.get(name.strip(), name.strip()): int(quality) for name, _, quality in pairs}


FIELDS: Final[Mapping[str, tuple[str, Read]]] = {
    "KEY": ("keys", str),
    "SALT": ("salts", str),
    "SIGNATURE_SIZE": ("signature_size", int),
    "TRUSTED_SIGNATURES": ("trusted_signatures", words),
    "SOURCE_URL_ENCRYPTION_KEY": ("encryption_key", str),
    "PATH_PREFIX": ("path_prefix", str),
    "BASE_URL": ("base_url", str),
    "URL_REPLACEMENTS": ("url_replacements", replacements),
    "ARGUMENTS_SEPARATOR": ("arguments_separator", str),
    "SOURCE_URL_QUERY_SEPARATOR": ("query_separator", str),
    "BASE64_URL_INCLUDES_FILENAME": ("base64_url_includes_filename", is_true),
    "ALLOWED_PROCESSING_OPTIONS": ("allowed_options", words),
    "ONLY_PRESETS": ("only_presets", is_true),
    "ALLOW_SECURITY_OPTIONS": ("allow_security_options", is_true),
    "MAX_ANIMATION_FRAMES": ("max_animation_frames", int),
    "MAX_RESULT_DIMENSION": ("max_result_dimension", int),
    "FALLBACK_IMAGE_HTTP_CODE": ("fallback_image_http_code", int),
    "FALLBACK_IMAGE_TTL": ("fallback_image_ttl", int),
    "CACHE_TAGS_FORMAT": ("cache_tags_format", str),
    "WATERMARK_OPACITY": ("watermark_opacity", float),
    "SECRET": ("secret", str),
    "ALLOWED_SOURCES": ("allowed_sources", words),
    "PREFERRED_FORMATS": ("preferred_formats", formats),
    "ENABLE_CLIENT_HINTS": ("client_hints", is_true),
    "MAX_CHAINED_PIPELINES": ("max_chained_pipelines", int),
    "MAX_ANIMATION_FRAME_RESOLUTION": ("max_animation_frame_resolution", float),
    "ETAG_BUSTER": ("etag_buster", str),
    "CACHE_CONTROL_PASSTHROUGH": ("cache_control_passthrough", is_true),
    "COLOR_PROFILES_DIR": ("color_profiles_dir", str),
    "AUTOQUALITY_FORMAT_MIN": ("autoquality_format_min", qualities),
    "AUTOQUALITY_FORMAT_MAX": ("autoquality_format_max", qualities),
    "AUTOQUALITY_MAX_RESOLUTION": ("autoquality_max_resolution", float),
    "WATERMARK_PREPROCESS_URL": ("watermark_preprocess_url", is_true),
    "FALLBACK_IMAGE_PREPROCESS_URL": ("fallback_image_preprocess_url", is_true),
    "ALLOWED_INFO_OPTIONS": ("allowed_info_options", words),
    "INFO_ONLY_PRESETS": ("info_only_presets", is_true),
    "HEALTH_CHECK_PATH": ("health_check_path", lambda text: f"/{text.strip('/')}"),
}
"""Variables that are a field of the table ``imgproxy``, and how they are read."""

SETTINGS: Final[Mapping[str, tuple[str, Read]]] = {
    "S3_REGION": ("region", str),
    "S3_ENDPOINT": ("endpoint_url", str),
    "S3_ENDPOINT_USE_PATH_STYLE": ("addressing_style", lambda text: "path" if is_true(text) else "virtual"),
    "S3_ASSUME_ROLE_ARN": ("role_arn", str),
    "S3_ASSUME_ROLE_EXTERNAL_ID": ("external_id", str),
    "MAX_SRC_RESOLUTION": ("limits.input_pixels limits.jpeg_pixels", millions),
    "MAX_SRC_FILE_SIZE": ("limits.input_bytes", int),
    "TIMEOUT": ("service.seconds", float),
    "WORKERS": ("service.renders", int),
    "REQUESTS_QUEUE_SIZE": ("service.queue", int),
    "TTL": ("service.max_age", int),
    "QUALITY": ("quality.jpeg quality.webp quality.avif", int),
    "ALLOW_ORIGIN": ("service.cors_origins", words),
}
"""Variables that are settings of the service, or fields of its tables."""

_USUAL: Final = {
    "STRIP_METADATA": "sm",
    "KEEP_COPYRIGHT": "kcr",
    "STRIP_COLOR_PROFILE": "scp",
    "AUTO_ROTATE": "ar",
    "RETURN_ATTACHMENT": "att",
    "AVIF_SUBSAMPLE": "avifo",
    "WEBP_COMPRESSION": "webpo",
    "STRIP_METADATA_DPI": "dpi",
}
"""Variables that are the default of an option of one argument."""

_USUAL_LISTS: Final = {
    "jpgo": ("JPEG_PROGRESSIVE", "JPEG_NO_SUBSAMPLE"),
    "pngo": ("", "PNG_QUANTIZE", "PNG_QUANTIZATION_COLORS"),
    "ush": ("UNSHARP_MASKING_MODE", "UNSHARP_MASKING_WEIGHT", "UNSHARP_MASKING_DIVIDER"),
    "aq": (
        "AUTOQUALITY_METHOD",
        "AUTOQUALITY_TARGET",
        "AUTOQUALITY_MIN",
        "AUTOQUALITY_MAX",
        "AUTOQUALITY_ALLOWED_ERROR",
    ),
}
"""Options of several arguments, and the variables that are their defaults."""

_BOUNDS: Final = frozenset({"REQUESTS_QUEUE_SIZE", "MAX_SRC_FILE_SIZE"})
_AS_IT_IS: Final = {
    "USE_ETAG": True,
    "USE_LAST_MODIFIED": True,
    "SET_CANONICAL_HEADER": False,
    "BEST_FORMAT_BY_DEFAULT": True,
    "IGNORE_SSL_VERIFICATION": False,
    "PRESERVE_HDR": False,
    "ENFORCE_THUMBNAIL": False,
    "AUTO_JXL": False,
    "ENFORCE_JXL": False,
    "PNG_INTERLACED": False,
    "JPEG_TRELLIS_QUANT": False,
    "JPEG_OVERSHOOT_DERINGING": False,
    "JPEG_OPTIMIZE_SCANS": False,
    "WEBP_SMART_SUBSAMPLE": False,
    "ALWAYS_RASTERIZE_SVG": False,
    "ALLOW_BYPASS_CACHE": False,
    "ENABLE_VIDEO_THUMBNAILS": False,
    "ENABLE_RAW_FORMATS": False,
    "USE_GCS": False,
    "USE_ABS": False,
    "USE_SWIFT": False,
    "S3_USE_DECRYPTION_CLIENT": False,
    "ENABLE_DEBUG_HEADERS": False,
    "DEVELOPMENT_ERRORS_MODE": False,
    "COOKIE_PASSTHROUGH": False,
    "COOKIE_PASSTHROUGH_ALL": False,
    "SVG_UNLIMITED": False,
    "PNG_UNLIMITED": False,
    "CACHE_REPORT_ERRORS": False,
}
"""Switches that can't be moved here, and how they stand: a variable that says so has its effect."""

_ELSEWHERE: Final = frozenset(
    {
        *_USUAL,
        *(name for names in _USUAL_LISTS.values() for name in names),
        "SKIP_PROCESSING_FORMATS",
        "USE_S3",  # origins tell
        "S3_ALLOWED_BUCKETS",
        "S3_DENIED_BUCKETS",
        "LOCAL_FILESYSTEM_ROOT",
        "PRESETS",
        "INFO_PRESETS",
        "INFO_PRESETS_PATH",
        "PRESETS_SEPARATOR",
        "PRESETS_PATH",
        "AUTO_WEBP",
        "AUTO_AVIF",
        "ENABLE_WEBP_DETECTION",
        "ENABLE_AVIF_DETECTION",
        "ENFORCE_WEBP",
        "ENFORCE_AVIF",
        "FORMAT_QUALITY",
        "FALLBACK_IMAGE_DATA",
        "FALLBACK_IMAGE_PATH",
        "FALLBACK_IMAGE_URL",
        "WATERMARK_DATA",
        "WATERMARK_PATH",
        "WATERMARK_URL",
    }
)


def ignored_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the names of imgproxy's variables that have a value and no effect here."""
    known = {*FIELDS, *SETTINGS, *_ELSEWHERE}
    given = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX) and value}
    return sorted(
        f"{PREFIX}{name}"
        for name, value in given.items()
        if name not in known and not (name in _AS_IT_IS and is_true(value) == _AS_IT_IS[name])
    )


def imgproxy_source(
    environ: Mapping[str, str], table: ImgproxySettings | None, *, insecure: bool, has_bucket: bool = False
) -> SettingsSource | None:
    """Return the settings that imgproxy's variables stand for, None without any; raise ConfigError for bad values.

    ``table`` is what other places say: variables replace its fields one by one. Without keys, imgproxy serves
    everybody; here that has to be allowed (``insecure``), and presets alone need nothing. ``has_bucket`` says that
    other places name what is served.
    """
    given = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX) and value}
    if not given:
        return None
    # There 0 stands for any number; here something bounds them in any case.
    given = {name: value for name, value in given.items() if not (name in _BOUNDS and value.strip() == "0")}
    problems: list[str] = []
    fields = _read(FIELDS, given, problems)
    fields |= _presets(given, problems)
    fields |= negotiated_formats(given, is_complete=table is None)
    values: dict[str, Any] = {}
    for name, value in _read(SETTINGS, given, problems).items():
        for place in name.split():
            outer, _, inner = place.partition(".")
            if inner:
                values.setdefault(outer, {})[inner] = value
            else:
                values[outer] = value
    values.setdefault("quality", {}).update(_format_quality(given, problems))
    places = _origins(given)
    if is_true(given.get("USE_S3", "")) and not places and not has_bucket:
        problems.append(f"{PREFIX}S3_ALLOWED_BUCKETS: only buckets that are named are served: name them, with commas")
    values |= places
    before = {"mount": ""} if table is None else msgspec.to_builtins(table)
    fields |= _pictures(given)
    values["imgproxy"] = {**before, **fields}
    if not fields.get("keys") and not (table and table.keys) and insecure:
        values["access"] = "open"
    elif not fields.get("keys") and fields.get("only_presets"):
        values["access"] = "named"
    if problems:
        raise ConfigError(problems)
    return SettingsSource({name: value for name, value in values.items() if value != {}}, f"{PREFIX}* ({{}})".format)


def _read(table: Mapping[str, tuple[str, Read]], given: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    found = {}
    for variable, (field, read) in table.items():
        if variable in given:
            try:
                found[field] = read(given[variable])
            except ValueError:
                problems.append(f"{PREFIX}{variable}: {given[variable]!r} is not a number")
    return found


def negotiated_formats(given: Mapping[str, str], *, is_complete: bool) -> dict[str, Any]:
    """Return the formats that are negotiated or enforced; where variables say it all, those of them alone."""
    switches = {
        "auto_formats": ("AUTO_{}", "ENABLE_{}_DETECTION", "ENFORCE_{}"),  # what is enforced is offered, as there
        "enforced_formats": ("ENFORCE_{}",),
    }
    found = {}
    for field, names in switches.items():
        written = {name.format(kind) for name in names for kind in ("AVIF", "WEBP")}
        if is_complete or written & given.keys():
            found[field] = [
                kind.lower()
                for kind in ("AVIF", "WEBP")
                if any(is_true(given.get(name.format(kind), "")) for name in names)
            ]
    return found


def _presets(given: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    presets = preset_lines(given, "PRESETS", problems)
    if usual := usual_options(given):
        presets["default"] = "/".join([*usual, *([presets["default"]] if presets.get("default") else [])])
    found = {"presets": presets, "info_presets": preset_lines(given, "INFO_PRESETS", problems)}
    return {name: value for name, value in found.items() if value}


def preset_lines(given: Mapping[str, str], variable: str, problems: list[str]) -> dict[str, str]:
    """Read the presets of a variable, and of the file that another one names."""
    lines = given[variable].split(given.get("PRESETS_SEPARATOR", ",")) if variable in given else []
    if path := given.get(f"{variable}_PATH"):
        try:
            lines += Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{PREFIX}{variable}_PATH: {path}: can't be read: {error}")
    presets = {}
    for line in (one.strip() for one in lines):
        name, equals, options = line.partition("=")
        if line and not line.startswith("#"):
            if not equals:
                problems.append(f"{PREFIX}{variable}: {line!r} is not a preset: write NAME=OPTIONS")
            presets[name.strip()] = options.strip()
    return presets


def usual_options(given: Mapping[str, str]) -> list[str]:
    """Return the options that variables set for all addresses; they come before those of the preset ``default``."""
    separator = given.get("ARGUMENTS_SEPARATOR", ":")
    found = [separator.join((name, argument_of(given[one]))) for one, name in _USUAL.items() if one in given]
    for name, variables in _USUAL_LISTS.items():
        if any(one in given for one in variables):
            found.append(separator.join((name, *(argument_of(given.get(one, "")) for one in variables))))
    if formats := words(given.get("SKIP_PROCESSING_FORMATS", "")):
        found.append(separator.join(("skp", *formats)))
    return found


def argument_of(value: str) -> str:
    """Write a value as the argument of an option: words for on and off as numbers, density without a fraction."""
    if value.lower() in {"true", "false"}:
        return str(int(is_true(value)))
    return value.removesuffix(".0")


def _pictures(given: Mapping[str, str]) -> dict[str, str]:
    """Return the URLs of pictures of the settings; data comes before a file and this before an address, as there."""
    found = {}
    for field, name in (("watermark", "WATERMARK"), ("fallback_image", "FALLBACK_IMAGE")):
        if data := given.get(f"{name}_DATA"):
            found[field] = f"data:;base64,{''.join(data.split())}"
        elif path := given.get(f"{name}_PATH"):
            found[field] = Path(path).resolve().as_uri()
        elif url := given.get(f"{name}_URL"):
            found[field] = url
    return found


def _format_quality(given: Mapping[str, str], problems: list[str]) -> dict[str, int]:
    """Read ``webp=79,avif=63``; formats without a quality of their own here are passed over."""
    found = {}
    for pair in words(given.get("FORMAT_QUALITY", "")):
        name, _, quality = pair.partition("=")
        if not quality.strip().isdecimal():
            problems.append(f"{PREFIX}FORMAT_QUALITY: {pair!r} is not a quality: write webp=79")
        elif name.strip() in {"jpeg", "jpg", "webp", "avif"}:
            found["jpeg" if name.strip() in {"jpg", "jpeg"} else name.strip()] = int(quality)
    return found


def _origins(given: Mapping[str, str]) -> dict[str, Any]:
    """Return an origin for each bucket that is allowed, and for the folder; the only one is the bucket itself."""
    denied = words(given.get("S3_DENIED_BUCKETS", ""))
    buckets = [name for name in words(given.get("S3_ALLOWED_BUCKETS", "")) if name not in denied]
    places = {re.sub(r"[^a-z0-9-]", "-", name.lower())[:32]: f"s3://{name}" for name in buckets}
    if root := given.get("LOCAL_FILESYSTEM_ROOT"):
        places["local"] = Path(root).resolve().as_uri()
    if len(places) == 1:
        return {"bucket": next(iter(places.values()))}
    return {"origins": {name: {"bucket": bucket} for name, bucket in places.items()}} if places else {}
