"""From an imgproxy address to a request that may be served: signature, options, and the origin of its source."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from s3img.config.imgproxy import ImgproxySettings
from s3img.errors import ConfigError, NotServed, RequestError, SignatureError, SignatureExpired, TransformError
from s3img.imaging.color import transform_to_profile
from s3img.imaging.profiles import srgb_icc
from s3img.imgproxy import ProcessingOptions, ProxyRequest
from s3img.imgproxy.option_grammar import repaired
from s3img.service.access import Grant
from s3img.service.engine.jobs import SourceRef
from s3img.service.imgproxy.kept_pictures import keep_picture
from s3img.service.imgproxy.proxy_sources import OriginNames, check_decryption, decrypt_source
from s3img.service.request_parsing import ParsedRequest, remember_short
from s3img.service.request_reader import Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.config import Config
    from s3img.imgproxy.info_options import InfoOptions


def color_profiles(folder: str) -> dict[str, bytes]:
    """Return the profiles that ``cp`` may name, and ``srgb``; raise ConfigError for what is not a profile."""
    found = {"srgb": srgb_icc()}
    if not folder:
        return found
    place = Path(folder)
    if not place.is_dir():
        raise ConfigError([f"imgproxy.color_profiles_dir: {folder} is not a folder"])
    for file in sorted(place.iterdir()):
        if file.suffix.lower() in {".icc", ".icm"}:
            try:
                data = file.read_bytes()
            except OSError as error:
                raise ConfigError([f"imgproxy.color_profiles_dir: {file} can't be read: {error.strerror}"]) from error
            # ICC.1:2022, 7.2: the signature, and the space of the colours; those for print are passed over.
            if data[36:40] != b"acsp" or data[16:20] != b"RGB ":
                continue
            try:
                transform_to_profile(b"", data)
            except ValueError as error:
                raise ConfigError([f"imgproxy.color_profiles_dir: {file} is not a profile that can be used"]) from error
            found[file.stem] = data
    return found


_MOST_WATERMARKS: Final = 8


@dataclass(frozen=True, slots=True)
class ProxiedRequest:
    """What an imgproxy address asks for and why it may; ``text`` has all that the rendering depends on.

    ``watermarks`` are the pictures that it names besides, by their URLs ("" for the service's own),
    ``fallback`` is what takes the place of a source that can't be fetched, ``profile`` the ICC profile of the result.
    """

    route: Route
    parsed: ParsedRequest
    options: ProcessingOptions
    grant: Grant
    text: str
    watermarks: tuple[tuple[str, SourceRef], ...] = ()
    fallback: SourceRef | None = None
    info: InfoOptions | None = None
    profile: bytes = b""

    def check(self, now: float) -> None:
        """Raise SignatureExpired after the second that ``exp`` names; ``now`` in Unix seconds."""
        if self.options.expires and now > self.options.expires:
            raise SignatureExpired("The address has expired (exp).", fix="Ask its owner for a new one.")


class ProxyMount:
    """Read the addresses of imgproxy under one configuration; raise ConfigError for one that can't be served."""

    def __init__(self, config: Config, settings: ImgproxySettings, environ: Mapping[str, str]) -> None:
        settings = settings.with_variables(environ)
        self._settings = settings
        self._access = config.access
        self._signer = settings.signer()
        self._grammar = settings.grammar()
        self._info_grammar = settings.info_grammar()
        self._patterns = settings.source_patterns
        self._profiles = color_profiles(settings.color_profiles_dir)
        self._look = look_of(settings, self._profiles)
        self._origins = OriginNames(config)
        self._route = Route("imgproxy", self._origins.names, config.access)
        self._read_short = remember_short(self._read)
        self._watermark = self._own_picture(config, "watermark", settings.watermark)
        self._fallback = self._own_picture(config, "fallback_image", settings.fallback_image)
        if config.access == "signed" and not self._signer.pairs:
            fix = 'set IMGPROXY_KEY and IMGPROXY_SALT, or access = "named" with presets'
            raise ConfigError([f'imgproxy.keys: access = "signed" needs keys and salts: {fix}'])
        if settings.encryption_key:
            check_decryption()

    def below(self, path: str) -> str | None:
        """Return the path below the mount, None for one that is elsewhere."""
        place = self._settings.place
        return path.removeprefix(place) if path.startswith(f"{place}/") else None

    def read(self, path: str, *, now: float, authorization: str = "") -> ProxiedRequest:
        """Return what a path below the mount asks for, if it may; raise SignatureError, RequestError, TransformError.

        ``path`` is as it was sent, still percent-encoded, without its query, which imgproxy neither signs nor reads.
        ``authorization`` is the header of this name.
        """
        if self._settings.secret:
            token = f"Bearer {self._settings.secret}".encode()
            if not hmac.compare_digest(authorization.encode("latin-1", "replace"), token):
                raise SignatureError(
                    "The request has no bearer token, or a wrong one.", fix="Send Authorization: Bearer SECRET."
                )
        found = self._read_short(path)
        found.check(now)
        return found

    def _read(self, path: str) -> ProxiedRequest:
        if path.startswith("/info/"):
            return self._read_info(path.removeprefix("/info"))
        signature, slash, rest = path.removeprefix("/").partition("/")
        if not signature or not slash or not rest:
            raise RequestError("The address is not /SIGNATURE/OPTIONS/SOURCE.")
        rest = repaired(rest)
        self._signer.check(signature, rest)
        request = self._grammar.parse(rest)
        grant = self._grant(request)
        origin, key, version = self._locate(self._source(request))
        options = self._with_limits(request.options)
        name = options.filename or None
        parsed = ParsedRequest(
            kind="original" if options.raw else "image",
            key=key,
            origin=origin,
            version=version,
            attachment=(name or "") if options.return_attachment else None,
        )
        return ProxiedRequest(
            self._route,
            parsed,
            options,
            grant,
            str(options.rendering) + self._look,
            self._watermarks(options.watermark_urls),
            self._chosen_fallback(options.fallback_image_url),
            profile=self._profile(options.color_profile),
        )

    def _read_info(self, path: str) -> ProxiedRequest:
        """Read an address that asks for facts; what follows the signature is signed, without ``/info``."""
        signature, _, rest = path.removeprefix("/").partition("/")
        if not signature or not rest:
            raise RequestError("The address is not /info/SIGNATURE/OPTIONS/SOURCE.")
        rest = repaired(rest)
        self._signer.check(signature, rest)
        wanted, presets_only, segments = self._info_grammar.read(rest.removeprefix("/").split("/"))
        source, _, form = self._grammar.source(segments)
        shown = ProcessingOptions(expires=wanted.expires)
        request = ProxyRequest(shown, source, form, presets_only)
        grant = self._grant(request)
        origin, key, version = self._locate(self._source(request))
        parsed = ParsedRequest(kind="info", key=key, origin=origin, version=version)
        named = msgspec.structs.replace(wanted, expires=0, cache_tags=())
        return ProxiedRequest(self._route, parsed, shown, grant, repr(named) + self._look, info=wanted)

    def _grant(self, request: ProxyRequest) -> Grant:
        expires = request.options.expires
        if self._signer.pairs:
            return Grant(signed=True, expires=expires)
        if self._access == "open":
            return Grant(expires=expires)
        if request.presets_only:
            return Grant(named=True, expires=expires)
        raise SignatureError(
            "Without a key of imgproxy's, presets alone may be asked for.", fix="Write preset:NAME, or set keys."
        )

    def _source(self, request: ProxyRequest) -> str:
        if request.form == "url":
            return request.source
        if not self._settings.encryption_key:
            raise RequestError("The source is encrypted, and imgproxy.encryption_key is not set here.")
        return self._grammar.located(decrypt_source(request.source, bytes.fromhex(self._settings.encryption_key)))

    def _locate(self, url: str) -> tuple[str, str, str]:
        """Return origin, key and version of a source that an address names; raise NotServed for one not allowed."""
        if self._patterns and not any(pattern.match(url) for pattern in self._patterns):
            raise NotServed("The source is not among those that are allowed here.", fix="See imgproxy.allowed_sources.")
        return self._origins.locate(url, self._settings.query_separator)

    def _chosen_fallback(self, url: str) -> SourceRef | None:
        if not url:
            return self._fallback
        is_completed = self._settings.fallback_image_preprocess_url
        return self._named("fallback_image_url", self._grammar.located(url) if is_completed else url)

    def _profile(self, name: str) -> bytes:
        if not name:
            return b""
        if name not in self._profiles:
            # A profile for print makes a CMYK picture, which no browser shows.
            raise TransformError(
                f"color_profile: {name!r} is not a profile of this service; it has {', '.join(self._profiles)}.",
                token=f"color_profile:{name}",
            )
        return self._profiles[name]

    def _watermarks(self, urls: frozenset[str]) -> tuple[tuple[str, SourceRef], ...]:
        # Each is a source that is fetched and decoded for one answer.
        if len(urls) > _MOST_WATERMARKS:
            raise TransformError(f"watermark_url: {len(urls)} pictures; {_MOST_WATERMARKS} is the limit.")
        if "" in urls and not self._watermark:
            raise RequestError("watermark: this service has none.", fix="Set imgproxy.watermark, or write wmu or wmt.")
        own = [("", self._watermark)] if "" in urls and self._watermark else []
        complete = self._grammar.located if self._settings.watermark_preprocess_url else str
        return (*own, *((url, self._named("watermark_url", complete(url))) for url in sorted(urls) if url))

    def _named(self, option: str, url: str) -> SourceRef:
        """Return the picture that an option of an address names; raise NotServed, which names the option."""
        try:
            return SourceRef(*self._locate(url))
        except RequestError as error:
            raise NotServed(f"{option}: {error}") from error

    def _own_picture(self, config: Config, field: str, url: str) -> SourceRef | None:
        """Return the picture that a setting names, None without one; raise ConfigError where no origin has it."""
        if not url:
            return None
        try:
            kept = keep_picture(config, field, url)
            return kept or SourceRef(*self._origins.locate(url, self._settings.query_separator))
        except NotServed as error:
            raise ConfigError([f"imgproxy.{field}: {error}"]) from error

    def _with_limits(self, options: ProcessingOptions) -> ProcessingOptions:
        """Return options under the limits of the settings, where an address has none of its own."""
        strength = self._settings.watermark_opacity
        pipelines = options.pipelines
        if strength != 1:
            marks = (
                msgspec.structs.replace(one.watermark, opacity=one.watermark.opacity * strength) for one in pipelines
            )
            pairs = zip(pipelines, marks, strict=True)
            pipelines = tuple(msgspec.structs.replace(one, watermark=mark) for one, mark in pairs)
        return msgspec.structs.replace(
            options,
            pipelines=pipelines,
            max_result_dimension=options.max_result_dimension or self._settings.max_result_dimension,
            max_animation_frames=options.max_animation_frames or self._settings.max_animation_frames,
            max_animation_frame_resolution=options.max_animation_frame_resolution
            or int(self._settings.max_animation_frame_resolution * 1_000_000),
            auto_quality=msgspec.structs.replace(
                options.auto_quality,
                leasts=tuple(sorted(self._settings.autoquality_format_min.items())),
                mosts=tuple(sorted(self._settings.autoquality_format_max.items())),
                pixels=int(self._settings.autoquality_max_resolution * 1_000_000),
            ),
        )


def look_of(settings: ImgproxySettings, profiles: Mapping[str, bytes]) -> str:
    """Return what of the settings a result depends on besides its options, as text for its name."""
    usual = ImgproxySettings()
    names = ("preferred_formats", "autoquality_format_min", "autoquality_format_max", "autoquality_max_resolution")
    parts = [f"{name}={getattr(settings, name)}" for name in names if getattr(settings, name) != getattr(usual, name)]
    parts += [f"buster={settings.etag_buster}"] if settings.etag_buster else []
    if settings.color_profiles_dir:
        digest = hashlib.sha256(b"".join(profiles.values())).hexdigest()
        parts.append(f"profiles={digest[:16]}")
    return "".join(f"\n{part}" for part in parts)
