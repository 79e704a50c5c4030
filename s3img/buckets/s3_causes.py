"""Why requests to S3-compatible stores fail, and the remedy: two tables, by the store's code and by botocore's class.

Codes: AWS's list of error responses, and what SeaweedFS, Ceph, R2, B2, OSS and COS answer in its place.
``{…}`` are facts of the one failure; see ``s3_errors``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from s3img.errors import AccessDenied, BucketError, CredentialsError, ObjectNotFound, Unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence


class Cause(NamedTuple):
    """One reason: the class it becomes, what happened (ends a sentence), what to do (sentences)."""

    kind: type[BucketError]
    what: str
    fix: str


_WHERE_KEYS = (
    "Check S3IMG_ACCESS_KEY_ID and S3IMG_SECRET_ACCESS_KEY (or AWS_…, or the profile), "
    "and that they belong to {endpoint}."
)
_SIGN_IN = "Sign in again (for example `aws sso login`) or renew the session token, then run the command again."
_LATER = "Run the command again: what is stored already is not sent twice."

ROLE = Cause(
    CredentialsError,
    "the role can't be assumed; the store said: {said}",
    "Check role_arn and external_id, and that the role trusts the credentials in use.",
)
_KEY_ID = Cause(CredentialsError, "the store does not know this access key", _WHERE_KEYS)
_SECRET = Cause(CredentialsError, "the signature is wrong, so the secret key does not fit the access key", _WHERE_KEYS)
_EXPIRED = Cause(CredentialsError, "the session token has expired or is not valid", _SIGN_IN)
_DENIED = Cause(
    AccessDenied,
    "permission denied; the store said: {said}",
    "Allow {permission} on this bucket and prefix for the credentials in use (listing: s3:ListBucket on the bucket).",
)
_NO_BUCKET = Cause(BucketError, "no such bucket", "Create it, or correct `bucket` or endpoint_url ({endpoint}).")
_NO_KEY = Cause(ObjectNotFound, "no such object", "Check the key and the prefix in `bucket`.")
_REGION = Cause(BucketError, "the bucket is in another region", 'Set region to {region} (`region = "…"`).')
_CLOCK = Cause(
    BucketError, "this machine's clock and the store's differ too much", "Set the clock (NTP), then run it again."
)
_NAME = Cause(BucketError, "the store does not accept this bucket's name", "Correct the name in `bucket`.")
_VIRTUAL = Cause(BucketError, "the store wants the bucket's name before the host", 'Set addressing_style = "virtual".')
_MISSING = Cause(
    BucketError,
    "the store does not offer this operation; it said: {said}",
    "Check that endpoint_url ({endpoint}) is the S3 interface of the store.",
)
_BUSY = Cause(BucketError, "the store is overloaded and refused every attempt", f"Lower `workers`. {_LATER}")
_BROKEN = Cause(
    BucketError,
    "the store failed on every attempt; it said: {said}",
    f"{_LATER} If it stays, check that endpoint_url ({{endpoint}}) is the store's S3 interface.",
)
_SLOW = Cause(
    Unreachable, "the store waited too long for the data", f"Check the connection or lower `workers`. {_LATER}"
)
_LENGTH = Cause(
    BucketError,
    "something refused a body without Content-Length",
    "s3img always sends one: look at the proxy between here and {endpoint}.",
)
_CHANGED = Cause(
    BucketError,
    "the data arrived changed; it was not stored",
    "Run the command again; if it stays, look at the proxy between here and {endpoint}.",
)
_KEY_LENGTH = Cause(BucketError, "the key is longer than 1024 bytes", "Shorten the file's path or `key_template`.")
_LARGE = Cause(BucketError, "the file is larger than the store accepts", "Make it smaller, or raise the store's limit.")
_FULL = Cause(BucketError, "the store is full or its quota is used up", f"Free space there. {_LATER}")
_REFUSED = Cause(BucketError, "the store refused; it said: {said}", "Look the code up in the store's documentation.")

_BY_CODE: dict[str, Cause] = {
    **dict.fromkeys(("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"), _KEY_ID),
    "SignatureDoesNotMatch": _SECRET,
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"), _EXPIRED),
    **dict.fromkeys(
        ("AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden", "UnauthorizedAccess"), _DENIED
    ),
    "NoSuchBucket": _NO_BUCKET,
    **dict.fromkeys(("NoSuchKey", "NotFound"), _NO_KEY),
    **dict.fromkeys(
        (
            "PermanentRedirect",
            "TemporaryRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "InvalidRegion",
        ),
        _REGION,
    ),
    "RequestTimeTooSkewed": _CLOCK,
    "InvalidBucketName": _NAME,
    **dict.fromkeys(("PathStyleDomainForbidden", "SecondLevelDomainForbidden"), _VIRTUAL),
    **dict.fromkeys(("NotImplemented", "MethodNotAllowed"), _MISSING),
    **dict.fromkeys(
        (
            "SlowDown",
            "ServiceUnavailable",
            "Throttling",
            "ThrottlingException",
            "RequestLimitExceeded",
            "TooManyRequests",
        ),
        _BUSY,
    ),
    "InternalError": _BROKEN,
    "RequestTimeout": _SLOW,
    "MissingContentLength": _LENGTH,
    **dict.fromkeys(("BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"), _CHANGED),
    "KeyTooLongError": _KEY_LENGTH,
    "EntityTooLarge": _LARGE,
    **dict.fromkeys(("QuotaExceeded", "InsufficientStorage", "XMinioStorageFull"), _FULL),
}

_BY_STATUS: dict[str, Cause] = {
    **dict.fromkeys(("301", "307", "308"), _REGION),
    **dict.fromkeys(("401", "403"), _DENIED),
    "404": _NO_KEY,
    **dict.fromkeys(("405", "501"), _MISSING),
    "411": _LENGTH,
    "413": _LARGE,
    **dict.fromkeys(("429", "503"), _BUSY),
    **dict.fromkeys(("500", "502", "504"), _BROKEN),
    "507": _FULL,
}

_BY_CLASS: dict[str, Cause] = {
    "NoCredentialsError": Cause(
        CredentialsError,
        "no credentials were found",
        "Set S3IMG_ACCESS_KEY_ID and S3IMG_SECRET_ACCESS_KEY, or AWS_PROFILE, or `aws_profile`; see `s3img doctor`.",
    ),
    "PartialCredentialsError": Cause(CredentialsError, "only half of the credentials was found", _WHERE_KEYS),
    "ProfileNotFound": Cause(
        CredentialsError,
        "there is no profile {profile!r}",
        "Correct `aws_profile` or AWS_PROFILE (`aws configure list-profiles`).",
    ),
    **dict.fromkeys(("SSOError", "TokenRetrievalError", "SSOTokenLoadError", "LoginError"), _EXPIRED),
    **dict.fromkeys(
        (
            "CredentialRetrievalError",
            "MetadataRetrievalError",
            "InvalidConfigError",
            "ConfigParseError",
            "ConfigNotFound",
        ),
        Cause(
            CredentialsError, "the configured source of credentials failed", f"Check the AWS profile in use. {_SIGN_IN}"
        ),
    ),
    "ProxyConnectionError": Cause(
        Unreachable, "the proxy does not answer", "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
    ),
    "SSLError": Cause(
        Unreachable,
        "the TLS connection failed: the certificate is not trusted, or it is not a TLS port",
        "Check endpoint_url ({endpoint}); for a private certificate authority set AWS_CA_BUNDLE to its file.",
    ),
    "ConnectTimeoutError": Cause(
        Unreachable, "no connection in time", "Check endpoint_url ({endpoint}), the network and any firewall."
    ),
    "ReadTimeoutError": Cause(Unreachable, "no answer in time", f"Check the store and the network. {_LATER}"),
    "EndpointConnectionError": Cause(
        Unreachable, "nothing answers there", "Check endpoint_url ({endpoint}), the port and the network."
    ),
    **dict.fromkeys(
        ("ResponseParserError", "NoETagError"),
        Cause(
            BucketError,
            "the answer is not that of an S3 store",
            "Check that endpoint_url ({endpoint}) is the S3 interface, not a console or a website.",
        ),
    ),
    "UnicodeEncodeError": Cause(BucketError, "the key is not valid Unicode", "Rename the file: its name is not UTF-8."),
    **dict.fromkeys(
        ("NoRegionError", "InvalidRegionError", "UnknownRegionError"),
        Cause(BucketError, "the region is missing or not valid", 'Set region (`region = "eu-central-1"`).'),
    ),
    **dict.fromkeys(
        ("EndpointProviderError", "EndpointResolutionError"),
        Cause(BucketError, "botocore can't build an address from these settings", "Check region and endpoint_url."),
    ),
    **dict.fromkeys(
        ("HTTPClientError", "HTTPError", "ConnectionError", "OSError", "IncompleteReadError"),
        Cause(Unreachable, "the connection broke on every attempt", f"Check the network. {_LATER}"),
    ),
}
_BY_DETAIL: dict[str, Cause] = {
    "NameResolutionError": Cause(
        Unreachable,
        "the host's name can't be resolved",
        "Check endpoint_url ({endpoint}) for typing errors, and the network.",
    ),
    "Invalid header value": Cause(
        CredentialsError, "the credentials hold a line break or another control character", _WHERE_KEYS
    ),
    "Invalid bucket name": _NAME,
    "Invalid endpoint": Cause(
        BucketError, "the endpoint is not an address", "Write https://host in endpoint_url, or in AWS_ENDPOINT_URL."
    ),
}
_UNKNOWN = Cause(BucketError, "an unexpected {name}", "Please report it, with the command and these words.")


def of_store(code: str, status: str) -> Cause:
    """Find the cause of an answer by its code, else by its HTTP status (answers to HEAD have no code)."""
    return _BY_CODE.get(code) or _BY_STATUS.get(status) or _BY_STATUS.get(code) or _REFUSED


def of_client(names: Sequence[str], detail: str) -> Cause:
    """Find the cause of an exception by the names of its class and bases; ``detail`` only tells two apart."""
    told_apart = (cause for words, cause in _BY_DETAIL.items() if words in detail)
    by_class = (_BY_CLASS[name] for name in names if name in _BY_CLASS)
    return next(told_apart, None) or next(by_class, _UNKNOWN)


def code_of(name: str) -> str:
    """Name an exception the way stores name theirs: ``NoCredentialsError`` is ``NoCredentials``."""
    return name.removesuffix("Error")
