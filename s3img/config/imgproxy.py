"""Settings of the addresses of imgproxy that the transform service answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from s3img.errors import ConfigError, S3ImgError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from s3img.imgproxy import OptionGrammar
    from s3img.imgproxy.info_options import InfoGrammar
    from s3img.signing import ImgproxySigner

IMGPROXY_SECRETS: Final = frozenset({"keys", "salts", "trusted_signatures", "encryption_key", "secret"})
"""Fields that are never shown and never read from a file."""
_MOUNT: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_HEX: Final = re.compile(r"([0-9A-Fa-f]{2})+")
_SIGNATURE_SIZE: Final = 32
ResultFormat: TypeAlias = Literal["jpeg", "png", "gif", "webp", "avif", "tiff", "bmp"]
_NUMBERS: Final = (
    "max_result_dimension",
    "max_animation_frames",
    "max_animation_frame_resolution",
    "max_chained_pipelines",
    "autoquality_max_resolution",
)
CacheTagsFormat: TypeAlias = Literal["all", "cloudfront", "cloudflare", "none"]
_KEY, _SALT = "IMGPROXY_KEY", "IMGPROXY_SALT"


class ImgproxySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer imgproxy's addresses below ``mount`` ("": at the root), and below ``path_prefix`` in it.

    The other fields are imgproxy's own settings, and the page of all settings says what each of them means. Those with
    ``info`` are of addresses below ``/info``. ``keys`` and ``salts`` are hexadecimal, the first pair signs.
    """

    mount: str = "/imgproxy"
    keys: str | tuple[str, ...] = ""
    salts: str | tuple[str, ...] = ""
    signature_size: int = _SIGNATURE_SIZE
    trusted_signatures: tuple[str, ...] = ()
    presets: dict[str, str] = {}
    only_presets: bool = False
    allowed_options: tuple[str, ...] = ()
    allow_security_options: bool = False
    base_url: str = ""
    url_replacements: tuple[tuple[str, str], ...] = ()
    base64_url_includes_filename: bool = False
    query_separator: str = "?"
    arguments_separator: str = ":"
    encryption_key: str = ""
    path_prefix: str = ""
    auto_formats: tuple[Literal["avif", "webp"], ...] = ("avif", "webp")
    max_result_dimension: int = 0
    max_animation_frames: int = 0
    watermark: str = ""
    watermark_opacity: float = 1.0
    fallback_image: str = ""
    fallback_image_http_code: int = 200
    fallback_image_ttl: int = 0
    cache_tags_format: CacheTagsFormat = "all"
    secret: str = ""
    allowed_sources: tuple[str, ...] = ()
    preferred_formats: tuple[ResultFormat, ...] = ("jpeg", "png", "gif")
    enforced_formats: tuple[Literal["avif", "webp"], ...] = ()
    client_hints: bool = False
    max_chained_pipelines: int = 0
    max_animation_frame_resolution: float = 0
    etag_buster: str = ""
    cache_control_passthrough: bool = False
    color_profiles_dir: str = ""
    autoquality_format_min: dict[str, int] = {}
    autoquality_format_max: dict[str, int] = {}
    autoquality_max_resolution: float = 0
    watermark_preprocess_url: bool = False
    fallback_image_preprocess_url: bool = False
    info_presets: dict[str, str] = {}
    info_only_presets: bool | None = None
    allowed_info_options: tuple[str, ...] = ()
    health_check_path: str = ""

    def __repr__(self) -> str:
        return f"ImgproxySettings({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """List what may be shown: every field but the secrets."""
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in IMGPROXY_SECRETS]

    @property
    def place(self) -> str:
        """Return the path below which addresses are answered."""
        return self.mount.rstrip("/") + self.path_prefix.rstrip("/")

    @property
    def health_paths(self) -> frozenset[str]:
        """Return the paths that load balancers in front of imgproxy ask for."""
        return frozenset(f"{self.place}{path}" for path in ("/health", self.health_check_path) if path)

    @property
    def pairs(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return keys with their salts."""
        return tuple(zip(map(bytes.fromhex, _words(self.keys)), map(bytes.fromhex, _words(self.salts)), strict=True))

    def with_variables(self, environ: Mapping[str, str]) -> ImgproxySettings:
        """Return the settings with the keys of IMGPROXY_KEY and IMGPROXY_SALT where they have none of their own.

        Raise ConfigError for keys that are not hexadecimal.
        """
        if self.keys or not environ.get(_KEY):
            return self
        changed = msgspec.structs.replace(self, keys=environ[_KEY], salts=environ.get(_SALT, ""))
        if problems := [f"imgproxy.{name}: {text} ({_KEY}, {_SALT})" for name, text in changed.problems()]:
            raise ConfigError(problems)
        return changed

    def signer(self) -> ImgproxySigner:
        """Return what signs and checks addresses."""
        from s3img.signing import ImgproxySigner

        return ImgproxySigner(self.pairs, self.signature_size, frozenset(self.trusted_signatures))

    def grammar(self) -> OptionGrammar:
        """Return what reads addresses."""
        from s3img.imgproxy.option_grammar import LONG_NAMES, OptionGrammar

        return OptionGrammar(
            presets=self.presets,
            only_presets=self.only_presets,
            allowed_options=frozenset(LONG_NAMES.get(name, name) for name in self.allowed_options),
            allow_security_options=self.allow_security_options,
            arguments_separator=self.arguments_separator,
            base_url=self.base_url,
            url_replacements=tuple((_pattern(text), _template(new)) for text, new in self.url_replacements),
            base64_url_includes_filename=self.base64_url_includes_filename,
            max_chained_pipelines=self.max_chained_pipelines,
        )

    def info_grammar(self) -> InfoGrammar:
        """Return what reads addresses that ask for facts; presets alone where pictures have presets alone."""
        from s3img.imgproxy.info_options import LONG_NAMES, InfoGrammar

        only = self.info_only_presets
        return InfoGrammar(
            presets=self.info_presets,
            only_presets=self.only_presets and bool(self.info_presets) if only is None else only,
            allowed_options=frozenset(LONG_NAMES.get(name, name) for name in self.allowed_info_options),
            allow_security_options=self.allow_security_options,
            arguments_separator=self.arguments_separator,
        )

    @property
    def source_patterns(self) -> tuple[re.Pattern[str], ...]:
        """Return the patterns one of which a source has to begin with; none where all may be asked for."""
        return tuple(map(_pattern, self.allowed_sources))

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield (field, what is wrong and what to write instead); never repeat a secret."""
        yield from self._key_problems()
        for name in ("mount", "path_prefix", "health_check_path"):
            if not _MOUNT.fullmatch(getattr(self, name).rstrip("/")):
                yield name, f"{getattr(self, name)!r} is not a path: write /imgproxy, or nothing for the root"
        for name in _NUMBERS:
            if not 0 <= getattr(self, name) < float("inf"):
                yield name, f"{getattr(self, name)}: name a number, or 0 for none"
        if not 0 < self.watermark_opacity <= 1:
            yield "watermark_opacity", f"{self.watermark_opacity:g}: name a number above 0, up to 1"
        if not self.arguments_separator or "/" in self.arguments_separator:
            yield "arguments_separator", f"{self.arguments_separator!r} can't separate arguments: write :"
        yield from self._result_problems()
        yield from self._preset_problems()
        yield from self._info_problems()

    def _result_problems(self) -> Iterator[tuple[str, str]]:
        code = self.fallback_image_http_code
        if code and not 200 <= code <= 599:
            yield "fallback_image_http_code", f"{code}: name a status of HTTP, or 0 for that of the failure"
        if self.fallback_image_ttl < 0:
            yield "fallback_image_ttl", f"{self.fallback_image_ttl}: name seconds, or 0 for a minute"
        for name in ("autoquality_format_min", "autoquality_format_max"):
            if not all(1 <= quality <= 100 for quality in getattr(self, name).values()):
                yield name, "name 1 to 100 for each format"
        if not self.preferred_formats:
            yield "preferred_formats", "name at least one: jpeg, png, gif"

    def _key_problems(self) -> Iterator[tuple[str, str]]:
        for name in ("keys", "salts"):
            if not all(_HEX.fullmatch(word) for word in _words(getattr(self, name))):
                yield name, "is not hexadecimal: write an even number of the digits 0 to 9 and a to f"
        if len(_words(self.keys)) != len(_words(self.salts)):
            yield "salts", "as many salts as keys are needed: each key has its own"
        if not 1 <= self.signature_size <= _SIGNATURE_SIZE:
            yield "signature_size", f"{self.signature_size}: name 1 to 32 bytes"
        key = self.encryption_key
        if key and not (_HEX.fullmatch(key) and len(key) in {32, 48, 64}):
            yield "encryption_key", "is not a key: write 32, 48 or 64 hexadecimal digits"

    def _preset_problems(self) -> Iterator[tuple[str, str]]:
        if self.allowed_options:
            from s3img.imgproxy.option_grammar import LONG_NAMES

            for name in self.allowed_options:
                if name not in LONG_NAMES:
                    yield "allowed_options", f"{name!r} is not an option"
        if self.only_presets and not self.presets:
            yield "only_presets", "nothing can be asked for without presets: name some"
        if self.presets:
            try:
                self.grammar().check()
            except S3ImgError as error:
                yield "presets", str(error)

    def _info_problems(self) -> Iterator[tuple[str, str]]:
        if not (self.allowed_info_options or self.info_presets or self.info_only_presets):
            return
        from s3img.imgproxy.info_options import LONG_NAMES as INFO_NAMES

        for name in self.allowed_info_options:
            if name not in INFO_NAMES:
                yield "allowed_info_options", f"{name!r} is not an option of /info"
        if self.info_only_presets and not self.info_presets:
            yield "info_only_presets", "nothing can be asked for without info_presets: name some"
        try:
            self.info_grammar().check()
        except S3ImgError as error:
            yield "info_presets", str(error)


def _words(text: str | tuple[str, ...]) -> tuple[str, ...]:
    words = text.split(",") if isinstance(text, str) else text
    return tuple(word.strip() for word in words if word.strip())


def _pattern(text: str) -> re.Pattern[str]:
    """Read a pattern in which ``*`` stands for anything without a slash, to which the replacement can refer."""
    return re.compile("^" + "([^/]*)".join(map(re.escape, text.split("*"))))


def _template(text: str) -> str:
    """Write a replacement's ``${1}`` as Python's ``re`` does."""
    return re.sub(r"\$\{([0-9]{1,2})\}", r"\\g<\1>", text.replace("\\", r"\\"))
