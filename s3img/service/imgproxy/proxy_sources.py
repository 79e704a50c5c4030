"""From the URL or the encrypted text of a source to the origin and the key that it means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from s3img.config import address
from s3img.config.address import S3Address
from s3img.errors import ConfigError, NotServed, RequestError
from s3img.imgproxy.arguments import decode_base64
from s3img.pictures.result_names import OWN_BUCKET
from s3img.service.request_parsing import checked_key

if TYPE_CHECKING:
    from s3img.config import Config

_AES_BLOCK: Final = 16  # bytes
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class OriginNames:
    """Find the origin that a source's URL means, among those of a configuration; all others are refused."""

    def __init__(self, config: Config) -> None:
        buckets = {name: origin.bucket for name, origin in config.origins.items()} or {OWN_BUCKET: config.bucket}
        self.names = tuple(buckets)
        self._places = {name: address.parse(bucket) for name, bucket in buckets.items() if bucket}
        # Nobody gave the only bucket the name that it has in the program: an address that says s3://bucket/ means a
        # bucket of this name, which is another one. A folder has no other name that could follow s3://.
        self._callable = {
            name for name, place in self._places.items() if config.origins or not isinstance(place, S3Address)
        }

    def locate(self, url: str, separator: str = "?") -> tuple[str, str, str]:
        """Return origin, key and version of ``s3://BUCKET/KEY?VERSION`` or ``local:///KEY``.

        ``s3://`` may name an origin's bucket or an origin of the settings. Raise NotServed for any other source.
        """
        match = _SCHEME.match(url)
        scheme = match[1].lower() if match else ""
        if match is None or scheme not in {"s3", "local"}:
            what = f"{scheme}://" if scheme else "a source without s3:// or local://"
            raise NotServed(f"Sources of this kind are not served here: {what}")
        rest, mark, version = url[match.end() :], "", ""
        if scheme == "local":  # files have no versions, and their names may have a question mark
            return self._local(), checked_key(rest.lstrip("/")), ""
        if separator:
            rest, mark, version = rest.partition(separator)
        name, _, key = rest.partition("/")
        origin, key = self._named(name, key)
        if mark and not version:
            raise RequestError(f"The source ends in {separator!r}, behind which its version belongs.")
        return origin, checked_key(key), version

    def _local(self) -> str:
        folders = [name for name, place in self._places.items() if not isinstance(place, S3Address)]
        if len(self._places) == 1:
            return self.names[0]
        if len(folders) != 1:
            raise NotServed("local:// means the one origin that is a folder, and there is not exactly one.")
        return folders[0]

    def _named(self, name: str, key: str) -> tuple[str, str]:
        """Return the origin whose bucket is ``name`` and the key below its prefix; of several, the longest prefix.

        Without such a bucket, ``name`` may be that of an origin. Raise NotServed.
        """
        places = {one: place for one, place in self._places.items() if isinstance(place, S3Address)}
        ordered = sorted(places.items(), key=lambda item: -len(item[1].prefix))
        for origin, place in ordered:
            prefix = f"{place.prefix}/" if place.prefix else ""
            if place.bucket == name and key.startswith(prefix):
                return origin, key.removeprefix(prefix)
        # Messages don't repeat the name: an encrypted source would be shown to whoever has its address.
        if any(place.bucket == name for place in places.values()):
            # Another origin's name may be this word, too. What lies there is not the object that the address means.
            raise NotServed("The source is outside of what is served of its bucket.")
        if name in self._callable:
            return name, key
        raise NotServed("No origin has the bucket that the source names, or is called so.")


def check_decryption() -> None:
    """Raise ConfigError without the extra that decryption needs."""
    try:
        import cryptography.hazmat.primitives.ciphers  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ConfigError(["imgproxy.encryption_key: install s3img[imgproxy-enc]"]) from error


def decrypt_source(text: str, key: bytes) -> str:
    """Return the source behind ``enc/``, as imgproxy Pro encrypts it: AES-CBC with PKCS #7 padding.

    ``text`` is base64 of the initialisation vector and the blocks; ``key`` has 16, 24 or 32 bytes.

    Raise RequestError with one message for everything that is wrong, so that nobody learns whether it was the padding.
    Call this after the signature holds.
    """
    from cryptography.hazmat.primitives import padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    try:
        data = decode_base64(text)
        decryptor = Cipher(algorithms.AES(key), modes.CBC(data[:_AES_BLOCK])).decryptor()
        padded = decryptor.update(data[_AES_BLOCK:]) + decryptor.finalize()
        unpadder = padding.PKCS7(8 * _AES_BLOCK).unpadder()
        return (unpadder.update(padded) + unpadder.finalize()).decode()
    except ValueError as error:  # a length, a padding or bytes that are not text
        raise RequestError("The encrypted source can't be opened with the key of this service.") from error
