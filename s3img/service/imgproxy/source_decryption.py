"""Open encrypted sources, as imgproxy Pro does: AES-CBC with PKCS #7 padding, behind its initialisation vector."""

from __future__ import annotations

from s3img.errors import ConfigError, RequestError
from s3img.imgproxy.option_grammar import decode_base64

_BLOCK = 16


def check_decryption() -> None:
    """Raise ConfigError without the extra that decryption needs."""
    try:
        import cryptography.hazmat.primitives.ciphers  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ConfigError(["imgproxy.encryption_key: install s3img[imgproxy-enc]"]) from error


def decrypt_source(text: str, key: bytes) -> str:
    """Return the source behind ``enc/``: base64 of the vector and the blocks; ``key`` has 16, 24 or 32 bytes.

    Raise RequestError with one message for everything that is wrong, so that nobody learns whether it was the padding.
    Call this after the signature holds.
    """
    from cryptography.hazmat.primitives import padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    try:
        data = decode_base64(text)
        decryptor = Cipher(algorithms.AES(key), modes.CBC(data[:_BLOCK])).decryptor()
        padded = decryptor.update(data[_BLOCK:]) + decryptor.finalize()
        unpadder = padding.PKCS7(8 * _BLOCK).unpadder()
        return (unpadder.update(padded) + unpadder.finalize()).decode()
    except ValueError as error:  # a length, a padding or bytes that are not text
        raise RequestError("The encrypted source can't be opened with the key of this service.") from error
