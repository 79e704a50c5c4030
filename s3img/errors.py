"""Errors of s3img: one tree, each class with an HTTP status, an exit code and the data needed to act.

::

    S3ImgError                500  exit 1
    ├── ConfigError           500  exit 3   every problem of the settings at once
    ├── LockError             500  exit 3   an s3img.lock that is damaged, in conflict or can't be read; file and line
    ├── TransformError        400  exit 2   the bad token, its position, the nearest valid one
    │   └── TextError         400  exit 2   a text that can't be set with the fonts and libraries that are there
    ├── AssetError            404  exit 1   a local file that is missing or can't be used
    │   ├── FileUnreadable    404  exit 1   a local file that can't be read
    │   └── FileUnwritable    500  exit 5   a local file that can't be written: a full disk, somebody else's folder
    ├── ImageError            422  exit 1   not decodable: corrupt, truncated, empty
    │   ├── UnsupportedImage  415  exit 1   not an image, or of a kind that is not handled
    │   ├── ImageTooLarge     413  exit 1   above a limit of the configuration
    │   └── DigestMismatch    422  exit 1   its bytes have another digest than asked for
    ├── PublishError          500  exit 1   a site that can't be published under the policy in force
    ├── KeyTaken              409  exit 1   a key that another object has
    ├── RequestError          400  exit 1   a request to the service that can't be understood
    │   ├── NotServed         404  exit 1   an address at which the service has nothing
    │   ├── MethodNotAllowed  405  exit 1   ``allowed`` lists the methods that are
    │   ├── RequestTooLarge   413  exit 1   a body or an address above a limit
    │   └── TooManyRequests   429  exit 1   one client asks too often; ``retry_after`` seconds
    ├── SignatureError        403  exit 1   a signed address that is not signed, or not by a known key
    │   └── SignatureExpired  410  exit 1   a signed address whose time is over
    ├── Busy                  503  exit 1   it works on as much as it may; ``retry_after`` seconds
    │   └── ForkServerFailed  503  exit 1   processes that render can't be started
    ├── WorkerRefused         500  exit 3   a worker of a bulk run that has other versions than the run
    ├── ClientGone            499  exit 1   the client closed the connection before the answer
    ├── DeadlineExceeded      504  exit 1   the time for one piece of work is over
    └── BucketError           502  exit 5   the store answered with an error; ``code`` is its own word for it
        ├── ObjectNotFound    404  exit 5
        ├── ObjectChanged     502  exit 5   it changed during the work, or differs from its record
        ├── InvalidPrefix     400  exit 5   no key can begin with it
        ├── RangeNotSatisfiable 416  exit 5  bytes that the object does not have
        ├── CredentialsError  502  exit 4   no credentials, or refused ones
        ├── AccessDenied      502  exit 4   valid credentials without the permission
        ├── StoreBusy         503  exit 5   the store has too much to do; ``retry_after`` seconds
        └── Unreachable       504  exit 5   DNS, TCP, TLS or a time-out

Messages say what, where and what to do next; credentials are never part of one. ``reason`` is a stable code for the
cause, often finer than the class; ``docs/errors.md`` lists them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

DECODE_ERRORS: Final = (ValueError, RecursionError)
"""What msgspec and json raise for bytes that others wrote: of the wrong form, not UTF-8 (no MsgspecError), or nested
without end."""


def closest(text: str, names: Iterable[str]) -> str:
    """Return the name that a mistyped text is nearest to, or nothing.

    Only the first 40 characters count: the comparison takes time in the square of them.
    """
    import difflib  # most names have no mistake

    return next(iter(difflib.get_close_matches(text[:40].lower(), names, n=1)), "")


class S3ImgError(Exception):
    """Report a failure that the user can act on."""

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    reason: str = "failed"
    visitor: str = "Something went wrong. Please try again later."
    """A text for a visitor of a web site, who can change neither its settings nor its program."""

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".rstrip()

    def __reduce__(self) -> tuple[object, ...]:
        # Whatever the constructor takes. A pool breaks where the error of one of its workers can't be read.
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[S3ImgError], args: tuple[object, ...], state: dict[str, object]) -> S3ImgError:
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    return error


class ConfigError(S3ImgError):
    """Report all problems of the settings at once, each with the setting's name as it was written."""

    reason = "settings-invalid"
    exit_code = 3

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class LockError(S3ImgError):
    """Report a lock that can't be used: its file, and the line (from 1; 0 for all of it)."""

    reason = "lock-unusable"
    exit_code = 3

    def __init__(self, message: str, *, path: str = "", line: int = 0, fix: str = "") -> None:
        super().__init__(message, fix=fix or "Restore it from version control, then run s3img sync.")
        self.path = path
        self.line = line


class TransformError(S3ImgError):
    """Report a transform that can't be understood: its token, the token's offset in the text, a suggestion."""

    reason = "transform-invalid"
    status = 400
    exit_code = 2

    def __init__(self, message: str, *, token: str = "", position: int = 0, suggestion: str = "") -> None:
        super().__init__(message, fix=f"Did you mean {suggestion!r}?" if suggestion else "")
        self.token = token
        self.position = position
        self.suggestion = suggestion


class TextError(TransformError):
    """Report a layer of text that can't be set: a font or a letter that is missing, or libfribidi."""

    reason = "text-unsettable"

    def __init__(self, message: str, *, token: str = "", suggestion: str = "") -> None:
        super().__init__(message, token=token)
        self.suggestion = suggestion
        self.fix = (
            f"Write {suggestion}." if suggestion.startswith("ff-") else f"Please {suggestion}." if suggestion else ""
        )


class AssetError(S3ImgError):
    """Report a local file that is missing or can't be used."""

    reason = "file-unusable"
    status = 404

    def __init__(self, message: str, *, path: str = "", fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.path = path


class FileUnreadable(AssetError):
    """Report a local file that can't be read: it is gone, a folder, or somebody else's."""

    reason = "file-unreadable"

    def __init__(self, name: str, error: OSError, *, fix: str = "Check that it exists and may be read.") -> None:
        super().__init__(f"{name}: can't be read: {error.strerror or type(error).__name__}.", path=name, fix=fix)


class FileUnwritable(AssetError):
    """Report a local file that can't be written: a full disk, or a folder of somebody else."""

    reason = "file-unwritable"
    status = 500
    exit_code = 5  # as for a store: another try may help, and nothing is wrong with what was read

    def __init__(self, name: str, error: OSError, *, path: str = "", fix: str = "") -> None:
        fix = fix or "Free space, or let the user who runs s3img write to its folder."
        super().__init__(f"{name}: can't be written: {error.strerror}.", path=path or name, fix=fix)


class ImageError(S3ImgError):
    """Report image bytes that can't be decoded or encoded."""

    reason = "image-damaged"
    status = 422

    def __init__(self, message: str, *, fix: str = "Export or download the image again.") -> None:
        super().__init__(message, fix=fix)


class UnsupportedImage(ImageError):
    """Report bytes that are not an image, or an image of a kind that is not handled."""

    reason = "image-unsupported"
    status = 415

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message, fix=fix)


class ImageTooLarge(ImageError):
    """Report an image, or a requested result, above a limit; ``limit`` names the setting."""

    reason = "image-too-large"
    status = 413

    def __init__(self, message: str, *, limit: str = "", fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.limit = limit


class DigestMismatch(ImageError):
    """Report an image whose bytes have another digest than the request names."""

    reason = "digest-mismatch"


class PublishError(S3ImgError):
    """Report a site that can't be published under the policy in force."""

    reason = "site-unusable"


class KeyTaken(S3ImgError):
    """Report a key that another object has already; ``key`` is the key."""

    reason = "key-taken"
    status = 409

    def __init__(self, message: str, *, key: str = "", fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.key = key


class RequestError(S3ImgError):
    """Report a request to the service that can't be understood."""

    reason = "request-invalid"
    status = 400


class NotServed(RequestError):
    """Report an address at which the service has nothing."""

    reason = "not-served"
    status = 404


class MethodNotAllowed(RequestError):
    """Report a method that an address does not know; ``allowed`` lists those it does (RFC 9110, section 15.5.6)."""

    reason = "method-not-allowed"
    status = 405

    def __init__(self, message: str, *, allowed: Iterable[str] = ("GET", "HEAD"), fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.allowed = tuple(allowed)


class RequestTooLarge(RequestError):
    """Report a body or an address above a limit; ``limit`` names the setting."""

    reason = "request-too-large"
    status = 413

    def __init__(self, message: str, *, limit: str = "", fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.limit = limit


class TooManyRequests(RequestError):
    """Report a client that asks too often; it may ask again after ``retry_after`` seconds."""

    reason = "too-many-requests"
    status = 429

    def __init__(self, message: str, *, retry_after: int = 1, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.retry_after = retry_after


class SignatureError(S3ImgError):
    """Report a signed address that lacks its signature or has one that no known key made."""

    reason = "signature-invalid"
    status = 403


class SignatureExpired(SignatureError):
    """Report a signed address whose time is over."""

    reason = "signature-expired"
    status = 410


class Busy(S3ImgError):
    """Report a service that works on as much as it may; ask again after ``retry_after`` seconds."""

    reason = "busy"
    status = 503

    def __init__(self, message: str, *, retry_after: int = 1, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.retry_after = retry_after


class ForkServerFailed(Busy):
    """Report processes for rendering that can't be started."""

    reason = "no-render-process"


class WorkerRefused(S3ImgError):
    """Report a worker whose results would differ from those of the run it works for."""

    reason = "worker-refused"
    exit_code = 3


class ClientGone(S3ImgError):
    """Report a client that closed the connection before the answer (the status is nginx's)."""

    reason = "client-gone"
    status = 499


class DeadlineExceeded(S3ImgError):
    """Report work that took longer than its limit allows."""

    reason = "deadline-exceeded"
    status = 504


class BucketError(S3ImgError):
    """Report an error that a bucket's store answered with.

    ``code`` is the store's own error code, ``action`` the operation. ``region`` is the one that the store names
    where the bucket is in another.
    """

    reason = "store-failed"
    status = 502
    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        reason: str = "",
        action: str = "",
        bucket: str = "",
        key: str = "",
        region: str = "",
        fix: str = "",
    ) -> None:
        super().__init__(message, fix=fix)
        self.reason = reason or type(self).reason
        self.region = region
        self.code = code
        self.action = action
        self.bucket = bucket
        self.key = key


class ObjectNotFound(BucketError):
    """Report a key that the bucket does not hold."""

    reason = "no-object"
    status = 404


class ObjectChanged(BucketError):
    """Report an object that changed during the work, or that differs from what was recorded of it."""

    reason = "object-changed"


class InvalidPrefix(BucketError):
    """Report a prefix that no key of the bucket can begin with."""

    reason = "prefix-invalid"
    status = 400


class RangeNotSatisfiable(BucketError):
    """Report a range of bytes that an object does not have (RFC 9110, section 15.5.17)."""

    reason = "no-such-range"
    status = 416


class CredentialsError(BucketError):
    """Report missing or refused credentials."""

    reason = "credentials-refused"
    exit_code = 4


class AccessDenied(BucketError):
    """Report valid credentials that lack a permission."""

    reason = "denied"
    exit_code = 4


class StoreBusy(BucketError):
    """Report a store with too much to do; ``retry_after`` is when to ask again, in seconds."""

    reason = "store-busy"
    status = 503
    retry_after = 2


class Unreachable(BucketError):
    """Report an endpoint that does not answer: name look-up, connection, TLS or time-out."""

    reason = "unreachable"
    status = 504


def unexpected(error: Exception) -> str:
    """Describe an exception that nobody foresaw to the person whose file it concerns; the rest of a run goes on."""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"an unexpected {what}. {REPORT}"


REPORT = "This is a fault of s3img: please report it, with the file if you may."
"""How what `unexpected` describes ends."""
