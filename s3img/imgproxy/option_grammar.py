"""Read imgproxy's addresses, after their signature: options in any order and spelling, then the source."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import unquote_to_bytes

from s3img.errors import RequestError, TransformError
from s3img.imgproxy.arguments import decode_base64
from s3img.imgproxy.output_options import OUTPUT_OPTIONS, SECURITY_OPTIONS, written_format
from s3img.imgproxy.pipeline_options import PIPELINE_OPTIONS
from s3img.imgproxy.preset_reader import PresetReader, long_names
from s3img.imgproxy.processing_options import (
    OUTPUT_NAMES,
    PIPELINE_NAMES,
    RESIZING_TYPES,
    Pipeline,
    ProcessingOptions,
    spellings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.imgproxy.arguments import Args, State

SourceForm: TypeAlias = Literal["url", "encrypted"]
_BROKEN_SCHEME: Final = re.compile(r"(\S+):/([^/])")
_UNSUPPORTED: Final = long_names(
    # The other short name of crop_objects in imgproxy's documents is that of contrast.
    spellings(
        """objects_position obj_pos op, blur_detections bd, draw_detections dd, crop_objects c_obj,
        video_thumbnail_second vts, video_thumbnail_keyframes vtk, video_thumbnail_tile vtt,
        video_thumbnail_animation vta"""
    )
)
"""Options of imgproxy Pro that need a model or video."""
LONG_NAMES: Final[Mapping[str, str]] = long_names(PIPELINE_NAMES | OUTPUT_NAMES | spellings("preset pr"))
"""The long name of every spelling."""


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """What an address asks for: ``source`` is a URL, or the text that it was encrypted to.

    ``presets_only`` tells that presets alone say what is done, apart from a cache buster and an expiry.
    """

    options: ProcessingOptions
    source: str
    form: SourceForm = "url"
    presets_only: bool = False


@dataclass(slots=True)
class OptionsRead:
    """What has been read so far."""

    pipelines: list[State] = field(default_factory=lambda: [{}])
    output: State = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OptionGrammar(PresetReader[OptionsRead]):
    """Read addresses under one configuration; the fields are the settings of `config.imgproxy.ImgproxySettings`."""

    base_url: str = ""
    url_replacements: tuple[tuple[re.Pattern[str], str], ...] = ()
    base64_url_includes_filename: bool = False
    max_chained_pipelines: int = 0

    names = LONG_NAMES
    begin = OptionsRead

    def parse(self, path: str) -> ProxyRequest:
        """Read a path that begins after the signature, repaired by `repaired`.

        Raise TransformError, which names the option, and RequestError for a source that can't be read.
        """
        segments = path.removeprefix("/").split("/")
        if segments[0] in RESIZING_TYPES:
            raise RequestError("The address has imgproxy's old form, TYPE/WIDTH/HEIGHT/…; write rs:TYPE:WIDTH:HEIGHT.")
        reading, presets_only, rest = self.read_options(segments)
        source, extension, form = self.source(rest)
        if reading.output.get("raw") and any(reading.output.get("hashsum", ())):
            raise TransformError("hashsum: a source that is sent as it is (raw) is not checked.")
        if extension and not reading.output.get("raw"):
            reading.output["format"] = written_format("extension", extension)
        pipelines = tuple(Pipeline(**one) for one in reading.pipelines)
        return ProxyRequest(ProcessingOptions(pipelines=pipelines, **reading.output), source, form, presets_only)

    def check_options(self, options: list[tuple[str, Args]]) -> None:
        """Raise TransformError for too many pipelines; those of presets don't count, as in imgproxy."""
        count = 1 + sum(name == "-" for name, _ in options)
        if self.max_chained_pipelines and count > self.max_chained_pipelines:
            raise TransformError(f"-: {count} pipelines; {self.max_chained_pipelines} is the limit.")

    def apply(self, reading: OptionsRead, name: str, long: str, args: Args) -> None:
        """Apply one option."""
        if name == "-":
            reading.pipelines.append({})
        elif long in PIPELINE_OPTIONS:
            PIPELINE_OPTIONS[long](name, reading.pipelines[-1], args)
        elif long in OUTPUT_OPTIONS:
            if long in SECURITY_OPTIONS:
                self.allow_limits(name)
            OUTPUT_OPTIONS[long](name, reading.output, args)
        elif name in _UNSUPPORTED:
            raise TransformError(
                f"{name}: {_UNSUPPORTED[name]} of imgproxy Pro is not offered here: it needs a model or video.",
                token=name,
            )
        else:
            raise TransformError(f"{name[:80]}: imgproxy has no such option.", token=name[:80])

    def source(self, segments: list[str]) -> tuple[str, str, SourceForm]:
        """Return the source, the extension behind it, and its form."""
        if len(segments) > 1 and segments[0] == "plain":
            text, extension = _parted("/".join(segments[1:]), "@")
            if "%" in text.replace("%25", "") and re.search(r"%(?![0-9A-Fa-f]{2})", text):
                raise RequestError("The source's percent-encoding is broken.", fix="Encode its % as %25.")
            return self.located(_utf8(unquote_to_bytes(text))), extension, "url"
        is_encrypted = len(segments) > 1 and segments[0] == "enc"
        parts = segments[1:] if is_encrypted else segments
        if len(parts) > 1 and self.base64_url_includes_filename:
            parts = parts[:-1]
        text, extension = _parted("".join(parts), ".")
        if is_encrypted:
            return text, extension, "encrypted"
        try:
            decoded = decode_base64(text)
        except ValueError as error:
            message = f"{'/'.join(segments)[:80]!r} is neither an option nor a source in base64."
            raise RequestError(message, fix="Write plain/ in front of a source that is not encoded.") from error
        return self.located(_utf8(decoded)), extension, "url"

    def located(self, url: str) -> str:
        """Return a source's URL after the replacements, and below the base URL."""
        for pattern, replacement in self.url_replacements:
            url = pattern.sub(replacement, url)
        return url if url.startswith(self.base_url) else self.base_url + url


def repaired(path: str) -> str:
    """Undo what proxies do to a path after its signature: ``%3A`` in options, ``scheme:/`` in plain sources.

    What this returns is what was signed; it begins with a slash.
    """
    path = "/" + path.removeprefix("/")
    options, plain, source = path.partition("/plain/")
    options = options.replace("%3A", ":")
    if not plain:
        return options
    if match := _BROKEN_SCHEME.match(source):
        slashes = ":///" if match[1] == "local" else "://"
        source = match[1] + slashes + source[match.start(2) :]
    return options + plain + source


def _parted(text: str, mark: str) -> tuple[str, str]:
    """Split a source from its extension."""
    source, *extensions = text.split(mark)
    if not source:
        raise RequestError("The address names no source.", fix="Add plain/ and the source's address.")
    if len(extensions) > 1:
        fix = "Write an @ of the name as %40." if mark == "@" else "Leave one out."
        raise RequestError(f"The address has several extensions: {text[:80]!r}.", fix=fix)
    return source, extensions[0] if extensions else ""


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RequestError("The source is not UTF-8 when decoded, and keys are.") from error
