"""Sign addresses, and check by whom and until when an address is signed.

A signature is the last parameter of the query, ``sig=1.KEY.EXPIRES.MAC``: the version, the key's id, Unix seconds
(0: never) and HMAC-SHA256 (RFC 2104) in base64url without padding (RFC 4648, section 5). It covers all three, the
audience, the path and the rest of the query. One address may be percent-encoded in several ways; those that mean the
same have one canonical form, which is what is signed.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote, unquote_to_bytes

from s3img.errors import ConfigError, SignatureError, SignatureExpired
from s3img.urls import imagekit_signature, imagekit_signed, imgproxy_signature

if TYPE_CHECKING:
    from collections.abc import Mapping

PARAMETER: Final = "sig"
_VERSION: Final = "1"
_NEVER: Final = "0"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SIGNATURE: Final = re.compile(r"1\.([A-Za-z0-9_-]{1,32})\.(0|[1-9][0-9]{0,11})\.([A-Za-z0-9_-]{43})")
_is_base64: Final = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_TRANSFORM: Final = re.compile(r"tr(?::|%3A)")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SENDABLE: Final = "%/?:@!$&'()*+,;=[]-._~"
_REFUSED: Final = "The signature does not fit the address."
_REFUSED_FIX: Final = "Ask the address's owner for a new one."
_FORM: Final = 'write "ID:SECRET", several with a blank between them; an id has letters, digits, - and _'


@dataclass(frozen=True, slots=True)
class Verified:
    """An address with a valid signature: canonical, without the signature; ``expires`` 0 means never."""

    target: str
    key_id: str
    expires: int = 0

    def check(self, now: float) -> None:
        """Raise SignatureExpired on or after the expiry, as RFC 7519 has it for tokens."""
        if self.expires and now >= self.expires:
            raise SignatureExpired("The address has expired.", fix="Ask its owner for a new one.")


@dataclass(frozen=True, slots=True)
class Signer:
    """Sign addresses with the first key, accept those that any key signed; addresses of one audience only."""

    keys: Mapping[str, bytes] = field(repr=False)
    audience: str = ""

    @classmethod
    def of(cls, keys: Mapping[str, str] | str, *, audience: str = "") -> Self:
        """Read keys as ``id:secret id2:secret2`` or as a mapping; raise ConfigError, which never repeats a secret.

        ``audience`` names what the addresses are for, such as an endpoint of the service: an address that is signed
        for another audience is refused.
        """
        if isinstance(keys, str):
            pairs = [(key_id, secret) for key_id, _, secret in (word.partition(":") for word in keys.split())]
        else:
            pairs = list(keys.items())
        ids = [key_id for key_id, _ in pairs]
        if not pairs or not all(_NAME.fullmatch(key_id) and secret.strip() for key_id, secret in pairs):
            raise ConfigError([f"signing_keys: a key needs an id and a secret: {_FORM}"])
        if len(set(ids)) < len(ids):
            raise ConfigError(["signing_keys: two keys have one id: give each its own"])
        if audience and not _NAME.fullmatch(audience):
            raise ConfigError([f"an audience has letters, digits, - and _, at most 32: {audience!r} does not"])
        return cls({key_id: secret.encode() for key_id, secret in pairs}, audience)

    def sign(self, path_and_query: str, *, expires: int | None = None) -> str:
        """Return the address with its signature; ``expires`` in Unix seconds.

        Characters that no address may contain are percent-encoded. Raise SignatureError for a path without its slash,
        an address that has a signature, and an expiry out of range.
        """
        target = _sendable(path_and_query)
        path, query = _parts(target)
        if not path.startswith("/"):
            raise SignatureError("An address to sign begins with a slash.", fix="Leave out scheme and host.")
        if any(_name(item) == PARAMETER for item in query):
            raise SignatureError(
                f"The address has a parameter {PARAMETER} already.", fix="Sign the address without it."
            )
        if expires is not None and not 0 < expires < 10**12:
            raise SignatureError(f"{expires} can't be an expiry.", fix="Give Unix seconds.")
        key_id, secret = next(iter(self.keys.items()))
        until = _NEVER if expires is None else str(int(expires))
        signature = f"{_VERSION}.{key_id}.{until}.{self._mac(secret, key_id, until, canonical(target))}"
        return f"{path}?{'&'.join([*query, f'{PARAMETER}={signature}'])}"

    def verify(self, raw_target: str, *, now: float) -> Verified:
        """Check an address as it was received, still percent-encoded; ``now`` in Unix seconds.

        Raise SignatureError for one that no known key signed, SignatureExpired from its expiry on.
        """
        verified = self.read(raw_target)
        verified.check(now)
        return verified

    def read(self, raw_target: str) -> Verified:
        """Check an address but not its expiry; raise SignatureError for one that no known key signed."""
        path, query = _parts(raw_target)
        last = query.pop() if query else ""
        if any(_name(item) == PARAMETER for item in query):
            raise SignatureError("Something follows the signature.", fix=f"Leave {PARAMETER} the last parameter.")
        if not last.startswith(f"{PARAMETER}="):
            raise SignatureError("The address is not signed.", fix="Ask its owner for a signed one.")
        match = _SIGNATURE.fullmatch(last.removeprefix(f"{PARAMETER}="))
        secret = self.keys.get(match[1]) if match else None
        target = canonical("?".join([path, "&".join(query)]) if query else path)
        # One error for unknown keys and wrong signatures: it tells nobody which keys there are.
        if (
            match is None
            or secret is None
            or not hmac.compare_digest(match[3], self._mac(secret, match[1], match[2], target))
        ):
            raise SignatureError(_REFUSED, fix=_REFUSED_FIX)
        return Verified(target, match[1], int(match[2]))

    def _mac(self, secret: bytes, key_id: str, until: str, target: str) -> str:
        message = "\n".join(["s3img", _VERSION, self.audience, key_id, until, target])  # no part contains a line break
        digest = hmac.digest(secret, message.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


IMAGEKIT_PARAMETERS: Final = ("ik-s", "ik-t")
_IMAGEKIT_NEVER: Final = "9999999999"
_IMAGEKIT_MAC: Final = re.compile(r"[0-9a-f]{40}")
_IMAGEKIT_EXPIRY: Final = re.compile(r"[1-9][0-9]{9}")


@dataclass(frozen=True, slots=True)
class ImageKitSigner:
    """Sign and check addresses as ImageKit's libraries do: ``ik-s`` is HMAC-SHA1 in hex, ``ik-t`` Unix seconds.

    The signature covers the address after the endpoint, without its first slash, directly followed by the expiry, or by
    9999999999 without one. Nothing stands between the two, so ``…w-300`` that ends at 1700000300 and ``…w-`` that ends
    at 3001700000300 have one signature: only expiries of ten digits are taken, which makes the split certain. The
    endpoint is not signed: each needs a key of its own. The first key signs, all are accepted.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    endpoint: str = ""

    @classmethod
    def of(cls, keys: str, *, endpoint: str = "") -> Self:
        """Read private keys with blanks between them; ``endpoint`` is named in messages."""
        return cls(tuple(key.encode() for key in keys.split()), endpoint)

    def sign(self, path_and_query: str, *, expires: int | None = None) -> str:
        """Return the address, which begins after the endpoint, with its signature; ``expires`` in Unix seconds."""
        until = None if expires is None else int(expires)
        if until is not None and not _IMAGEKIT_EXPIRY.fullmatch(str(until)):
            raise SignatureError(f"{expires} can't be an expiry.", fix="Give Unix seconds of ten digits.")
        return imagekit_signed(_sendable(path_and_query), key=self.keys[0], expires=until)

    def read(self, raw_target: str) -> Verified:
        """Check an address as it was received but not its expiry; raise SignatureError where no known key signed it.

        The two parameters may stand anywhere in the query: libraries and templates append others behind them.
        """
        path, query = _parts(raw_target)
        found = {name: [item for item in query if item.startswith(f"{name}=")] for name in IMAGEKIT_PARAMETERS}
        if len(found["ik-s"]) != 1 or len(found["ik-t"]) > 1:
            raise SignatureError("The address needs ik-s once, and ik-t at most once.", fix="Sign it anew.")
        mac = found["ik-s"][0].removeprefix("ik-s=")
        until = found["ik-t"][0].removeprefix("ik-t=") if found["ik-t"] else _IMAGEKIT_NEVER
        rest = [item for item in query if not item.startswith(tuple(f"{name}=" for name in IMAGEKIT_PARAMETERS))]
        target = "?".join([path, "&".join(rest)]) if rest else path
        is_formal = _IMAGEKIT_MAC.fullmatch(mac) and _IMAGEKIT_EXPIRY.fullmatch(until)
        if not is_formal or not any(
            hmac.compare_digest(mac, imagekit_signature(target, key=key, expires=int(until))) for key in self.keys
        ):
            where = f" of endpoint {self.endpoint}" if self.endpoint else ""
            raise SignatureError(
                f"ik-s does not fit the address and imagekit_private_key{where}.",
                fix="Sign the address exactly as it is sent, without the endpoint, with that key.",
            )
        return Verified(canonical(target), "imagekit", 0 if until == _IMAGEKIT_NEVER else int(until))


@dataclass(frozen=True, slots=True)
class ImgproxySigner:
    """Sign and check addresses as imgproxy does: the first pair of key and salt signs, all are accepted.

    ``size`` is the bytes of a signature, ``trusted`` are texts that stand for one.
    """

    pairs: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    size: int = 32
    trusted: frozenset[str] = field(default=frozenset(), repr=False)

    def sign(self, path: str) -> str:
        """Return the path, which begins with a slash, behind its signature; behind the word ``unsafe`` without keys."""
        if not self.pairs:
            return f"/unsafe{path}"
        key, salt = self.pairs[0]
        return f"/{imgproxy_signature(path, key=key, salt=salt, size=self.size)}{path}"

    def check(self, signature: str, path: str) -> None:
        """Raise SignatureError where ``signature`` is neither of this path nor trusted.

        Without keys anything is taken but what looks like an option, which is imgproxy's rule as well: whoever forgets
        the segment learns of it.
        """
        if not self.pairs:
            if ":" in signature:
                message = f"{signature[:80]!r} stands where the signature belongs."
                raise SignatureError(message, fix="Put any text in front of the options: /unsafe/w:300/…")
            return
        if signature in self.trusted:
            return
        try:
            # Without the check, Python passes over other characters: each signature would have any number of spellings.
            given = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)) if _is_base64(signature) else b""
        except ValueError:  # a length that base64 does not have
            given = b""
        for key, salt in self.pairs:
            wanted = hmac.digest(key, salt + path.encode(), "sha256")[: self.size]
            if hmac.compare_digest(given, wanted):
                return
        raise SignatureError(_REFUSED, fix=_REFUSED_FIX)


def canonical(target: str) -> str:
    """Return the one form of a percent-encoded path and query that all spellings of the same meaning share.

    ``%2F`` in a segment, ``%26`` and ``%2B`` in a query stay apart from the characters, which have another meaning
    there. Commas and colons may be encoded anywhere; in a transform that has a literal one, encoded ones belong to a
    value and stay.
    """

    def decode(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))  # RFC 3986, section 6.2.2: unreserved ones literally, hex in upper case
        return character if character in _UNRESERVED else match[0].upper()

    path, query = _parts(_ESCAPE.sub(decode, _sendable(target)))
    segments = []
    for segment in path.split("/"):
        match = _TRANSFORM.match(segment)
        segments.append("tr:" + _steps(segment[match.end() :]) if match else _text(segment))
    items = []
    for item in query:
        name, equals, value = item.partition("=")
        write = _steps if name == "tr" else _text
        items.append(_text(name) + equals + "+".join(map(write, value.split("+"))))
    return "/".join(segments) + ("?" + "&".join(items) if items else "")


def _parts(target: str) -> tuple[str, list[str]]:
    path, _, query = target.partition("?")
    return path, query.split("&") if query else []


def _name(item: str) -> str:
    return _text(item.partition("=")[0])


def _steps(text: str) -> str:
    """Write separators literally, as ``Transform.parse`` reads them."""
    if "," not in text and ":" not in text:
        return _text(text)
    return "".join(part if part in {",", ":"} else _text(part, safe="") for part in re.split("([,:])", text))


def _text(text: str, *, safe: str = ",:") -> str:
    return quote(unquote_to_bytes(text), safe=safe)


def _sendable(target: str) -> str:
    """Percent-encode characters that no address may contain; names that are not UTF-8 keep their bytes."""
    try:
        return quote(target, safe=_SENDABLE, errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise SignatureError("The address contains half a character.", fix="Percent-encode its bytes.") from error
