"""Why requests fail, and the remedy: by the store's code, or by the exception where the store gave no answer.

Codes: AWS's list of error responses, and what SeaweedFS, Ceph, R2, B2, OSS and COS answer in its place.
``{…}`` are facts of the one failure; see ``explain``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from s3img.errors import (
    AccessDenied,
    BucketError,
    CredentialsError,
    ObjectNotFound,
    RangeNotSatisfiable,
    StoreBusy,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class Cause(NamedTuple):
    """One reason: its stable code, the class it becomes, what happened (ends a sentence), what to do (sentences)."""

    reason: str
    kind: type[BucketError]
    what: str
    fix: str


WHERE_KEYS = (
    "Check S3IMG_ACCESS_KEY_ID and S3IMG_SECRET_ACCESS_KEY (or AWS_…, or the profile), "
    "and that they belong to {endpoint}."
)

SIGN_IN = "Sign in again (for example `aws sso login`) or renew the session token, then run the command again."

LATER = "Run the command again: what is stored already is not sent twice."

ROLE = Cause(
    "role-refused",
    CredentialsError,
    "the role can't be assumed; the store said: {said}",
    "Check role_arn and external_id, and that the role trusts the credentials in use.",
)

EXPIRED = Cause("expired-token", CredentialsError, "the session token has expired or is not valid", SIGN_IN)

REGION = Cause(
    "wrong-region", BucketError, "the bucket is in another region", 'Set region to {region} (`region = "…"`).'
)

NAME = Cause(
    "bucket-name", BucketError, "the store does not accept this bucket's name", "Correct the name in `bucket`."
)

_MISSING = Cause(
    "not-offered",
    BucketError,
    "the store does not offer this operation; it said: {said}",
    "Check that endpoint_url ({endpoint}) is the S3 interface of the store.",
)

KEY = Cause(
    "key-refused",
    BucketError,
    "the store does not accept this key; it said: {said}",
    "Rename the file or change `key_template`.",
)

NO_VERSION = Cause("no-version", ObjectNotFound, "no such version of the object", "Check the version, or leave it out.")

_CHECKSUM = Cause(
    "checksum-refused",
    BucketError,
    "the store does not know a checksum that was sent; it said: {said}",
    "Set `provider`, or the store's own address as endpoint_url ({endpoint}), so that s3img sends one that it knows.",
)

_NO_MD5 = Cause(
    "checksum-missing",
    BucketError,
    "the store did not get the header Content-MD5, which s3img sends",
    "Look at the proxy between here and {endpoint}: it drops headers.",
)

REFUSED = Cause(
    "store-refused", BucketError, "the store refused; it said: {said}", "Look the code up in the store's documentation."
)


def _each(table: dict[str, Cause]) -> dict[str, Cause]:
    """Give each of the names that share a row a row of its own."""
    return {name: cause for names, cause in table.items() for name in names.split("|")}


_CODES = {
    "InvalidAccessKeyId|InvalidClientTokenId|UnrecognizedClientException": Cause(
        "unknown-key", CredentialsError, "the store does not know this access key", WHERE_KEYS
    ),
    "SignatureDoesNotMatch": Cause(
        "wrong-secret",
        CredentialsError,
        "the signature is wrong, so the secret key does not fit the access key",
        WHERE_KEYS,
    ),
    "ExpiredToken|ExpiredTokenException|InvalidToken|TokenRefreshRequired": EXPIRED,
    "AccessDenied|AllAccessDisabled|AccountProblem|Forbidden|UnauthorizedAccess|401|403": Cause(
        "{action}-denied",
        AccessDenied,
        "permission denied; the store said: {said}",
        "Allow {permission} on this bucket and prefix for the credentials in use "
        "(listing: s3:ListBucket on the bucket).",
    ),
    "NoSuchBucket": Cause(
        "no-bucket", BucketError, "no such bucket", "Create it, or correct `bucket` or endpoint_url ({endpoint})."
    ),
    "NoSuchKey|NotFound|404": Cause(
        "no-object", ObjectNotFound, "no such object", "Check the key and the prefix in `bucket`."
    ),
    "PermanentRedirect|TemporaryRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException|InvalidRegion|"
    "301|307|308": REGION,
    "PreconditionFailed|ConditionalRequestConflict|412": Cause(
        "condition-failed",
        BucketError,
        "the object is there already, or is being written",
        "Read it again before you write it.",
    ),
    "MissingContentMD5": _NO_MD5,
    "NoSuchVersion": NO_VERSION,
    "InvalidRange": Cause(
        "no-such-range", RangeNotSatisfiable, "no byte of the object is in the range", "Ask for bytes inside of it."
    ),
    "RequestTimeTooSkewed": Cause(
        "clock-skew",
        BucketError,
        "this machine's clock and the store's differ too much",
        "Set the clock (NTP), then run it again.",
    ),
    "InvalidBucketName": NAME,
    "PathStyleDomainForbidden|SecondLevelDomainForbidden": Cause(
        "wrong-addressing",
        BucketError,
        "the store wants the bucket's name before the host",
        'Set addressing_style = "virtual".',
    ),
    "NotImplemented|MethodNotAllowed|405|501": _MISSING,
    "SlowDown|ServiceUnavailable|Throttling|ThrottlingException|RequestLimitExceeded|TooManyRequests|429|503": Cause(
        "store-busy", StoreBusy, "the store is overloaded and refused every attempt", f"Lower `workers`. {LATER}"
    ),
    "InternalError|500|502|504": Cause(
        "store-failed",
        BucketError,
        "the store failed on every attempt; it said: {said}",
        f"{LATER} If it stays, check that endpoint_url ({{endpoint}}) is the store's S3 interface.",
    ),
    "RequestTimeout": Cause(
        "upload-stalled",
        Unreachable,
        "the store waited too long for the data",
        f"Check the connection or lower `workers`. {LATER}",
    ),
    "MissingContentLength|411": Cause(
        "length-refused",
        BucketError,
        "something refused a body without Content-Length",
        "s3img always sends one: look at the proxy between here and {endpoint}.",
    ),
    "BadDigest|InvalidDigest|XAmzContentSHA256Mismatch|IncompleteBody": Cause(
        "bytes-changed",
        BucketError,
        "the data arrived changed; it was not stored",
        "Run the command again; if it stays, look at the proxy between here and {endpoint}.",
    ),
    "KeyTooLongError|KeyTooLong": Cause(
        "key-too-long",
        BucketError,
        "the key is longer than 1024 bytes",
        "Shorten the file's path or `key_template`.",
    ),
    "InvalidURI|InvalidObjectName|XMinioInvalidObjectName|InvalidKey": KEY,
    "EntityTooLarge|413": Cause(
        "object-too-large",
        BucketError,
        "the file is larger than the store accepts",
        "Make it smaller, or raise the store's limit.",
    ),
    "QuotaExceeded|InsufficientStorage|XMinioStorageFull|507": Cause(
        "store-full", BucketError, "the store is full or its quota is used up", f"Free space there. {LATER}"
    ),
}

_BY_CODE = _each(_CODES)
"""Causes by the store's codes, and by HTTP statuses where there is no code."""

_SUM_CODES = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest", "NotSupported", "501", "400"})

_SUM_WORDS = ("checksum", "aws-chunked", "x-amz-trailer")


def of_store(code: str, status: str, said: str = "", *, is_elsewhere: bool = False) -> Cause:
    """Find the cause of an answer by its code, else by its HTTP status (answers to HEAD have no code).

    ``said`` is the store's sentence, which alone tells a refused checksum from other things it does not offer;
    ``is_elsewhere``: it named a region, which with a bare 400 means that the bucket is in that one.
    """
    if code in _SUM_CODES and any(word in said.lower() for word in _SUM_WORDS):
        return _CHECKSUM
    if code in _SUM_CODES and "content-md5" in said.lower():
        return _NO_MD5
    if code in {"InvalidArgument", "InvalidRequest"} and "version" in said.lower():
        return NO_VERSION  # AWS calls what no version can be called an invalid argument
    if code == "400" and is_elsewhere:
        return REGION
    return _BY_CODE.get(code) or _BY_CODE.get(status) or REFUSED


OF_A_WRONG_NAME = frozenset({REFUSED, _MISSING})
"""What stores answer to an object or a version that can't be, for want of a better code.

AWS answers 405 to the id of a delete marker, SeaweedFS 400 to one with a slash, rclone 501 to any version:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html.
"""

_UNUSUAL = re.compile(r"[\x00-\x1f\x7f\\]|[^/]{256}|(?:^|/)\.{0,2}(?:/|$)")


def is_unusual(key: str) -> bool:
    """Tell whether some stores keep no object under a key: empty segments, ``.``, ``..``, controls, long names.

    Those that keep objects as files refuse them all: SeaweedFS, rclone, MinIO; B2 refuses half of them:
    https://www.backblaze.com/docs/cloud-storage-files#file-names.
    """
    return _UNUSUAL.search(key) is not None


def store_causes() -> dict[Cause, list[str]]:
    """List every cause of this module with the codes and HTTP statuses that stand for it."""
    found = {cause: names.split("|") for names, cause in _CODES.items()}
    return found | {ROLE: ["AssumeRole…"], _CHECKSUM: sorted(_SUM_CODES), REFUSED: ["any other"]}


_CLASSES = {
    "NoCredentialsError": Cause(
        "no-credentials",
        CredentialsError,
        "no credentials were found",
        "Set S3IMG_ACCESS_KEY_ID and S3IMG_SECRET_ACCESS_KEY, or AWS_PROFILE, or `aws_profile`; see `s3img doctor`.",
    ),
    "PartialCredentialsError": Cause(
        "half-credentials", CredentialsError, "only half of the credentials was found", WHERE_KEYS
    ),
    "ProfileNotFound": Cause(
        "no-profile",
        CredentialsError,
        "there is no profile {profile!r}",
        "Correct `aws_profile` or AWS_PROFILE (`aws configure list-profiles`).",
    ),
    "SSOError|TokenRetrievalError|SSOTokenLoadError|LoginError": EXPIRED,
    "CredentialRetrievalError|MetadataRetrievalError|InvalidConfigError|ConfigParseError|ConfigNotFound": Cause(
        "credentials-broken",
        CredentialsError,
        "the configured source of credentials failed",
        f"Check the AWS profile in use. {SIGN_IN}",
    ),
    "ProxyConnectionError": Cause(
        "proxy-failed", Unreachable, "the proxy does not answer", "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
    ),
    "SSLError": Cause(
        "tls-failed",
        Unreachable,
        "the TLS connection failed: the certificate is not trusted, or it is not a TLS port",
        "Check endpoint_url ({endpoint}); for a private certificate authority set AWS_CA_BUNDLE to its file.",
    ),
    "ConnectTimeoutError": Cause(
        "no-connection",
        Unreachable,
        "no connection in time",
        "Check endpoint_url ({endpoint}), the network and any firewall.",
    ),
    "ReadTimeoutError": Cause(
        "no-answer", Unreachable, "no answer in time", f"Check the store and the network. {LATER}"
    ),
    "EndpointConnectionError": Cause(
        "port-closed",
        Unreachable,
        "nothing answers there",
        "Check endpoint_url ({endpoint}), the port and the network.",
    ),
    "ResponseParserError|NoETagError": Cause(
        "not-s3",
        BucketError,
        "the answer is not that of an S3 store",
        "Check that endpoint_url ({endpoint}) is the S3 interface, not a console or a website.",
    ),
    "UnicodeEncodeError": Cause(
        "key-not-text", BucketError, "the key is not valid Unicode", "Rename the file: its name is not UTF-8."
    ),
    "ParamValidationError": Cause(
        "key-invalid", BucketError, "S3 does not allow such a key or version", "Correct the key or the version."
    ),
    "BrokenListingError": Cause(
        "listing-broken",
        BucketError,
        "the listing is incomplete: {detail}",
        "Check that endpoint_url ({endpoint}) is the store's S3 interface, and any proxy before it.",
    ),
    "AnswerTooSlowError": Cause(
        "answer-too-slow",
        Unreachable,
        "the answer was not complete in time",
        f"Check the store and the network. {LATER}",
    ),
    "NoVersionError": NO_VERSION,
    "UnprovenPutError": Cause(
        "not-stored",
        BucketError,
        "the store confirmed the upload, but it has other bytes",
        "Run the command again; if it stays, look at the proxy between here and {endpoint}.",
    ),
    "NoRegionError|InvalidRegionError|UnknownRegionError": Cause(
        "no-region", BucketError, "the region is missing or not valid", 'Set region (`region = "eu-central-1"`).'
    ),
    "EndpointProviderError|EndpointResolutionError": Cause(
        "endpoint-unusable",
        BucketError,
        "botocore can't build an address from these settings",
        "Check region and endpoint_url.",
    ),
    "HTTPClientError|HTTPError|ConnectionError|OSError|IncompleteReadError": Cause(
        "connection-broken", Unreachable, "the connection broke on every attempt", f"Check the network. {LATER}"
    ),
}

_BY_CLASS = _each(_CLASSES)

_WORDS = {
    "WRONG_VERSION_NUMBER|record layer failure": Cause(
        "not-tls",
        Unreachable,
        "the port does not speak TLS",
        "Write http:// in endpoint_url ({endpoint}), or correct its port.",
    ),
    "certificate has expired": Cause(
        "tls-expired",
        Unreachable,
        "the store's certificate has expired",
        "Renew it on {endpoint}, or set this machine's clock.",
    ),
    "doesn't match either of|' doesn't match '|Hostname mismatch|IP address mismatch": Cause(
        "tls-wrong-host",
        Unreachable,
        "the certificate is for another host",
        'Correct endpoint_url ({endpoint}); a bucket with dots in its name needs addressing_style = "path".',
    ),
    "NameResolutionError": Cause(
        "host-unknown",
        Unreachable,
        "the host's name can't be resolved",
        "Check endpoint_url ({endpoint}) for typing errors, and the network.",
    ),
    "Invalid header value": Cause(
        "credentials-malformed",
        CredentialsError,
        "the credentials hold a line break or another control character",
        WHERE_KEYS,
    ),
    "Invalid bucket name": NAME,
    "Invalid endpoint": Cause(
        "endpoint-invalid",
        BucketError,
        "the endpoint is not an address",
        "Write https://host in endpoint_url, or in AWS_ENDPOINT_URL.",
    ),
}

_BY_DETAIL = _each(_WORDS)

_UNKNOWN = Cause(
    "unexpected", BucketError, "an unexpected {name}", "Please report it, with the command and these words."
)


def of_client(names: Sequence[str], detail: str) -> Cause:
    """Find the cause of an exception by the names of its class and bases; ``detail`` only tells two apart."""
    told_apart = (cause for words, cause in _BY_DETAIL.items() if words in detail)
    by_class = (_BY_CLASS[name] for name in names if name in _BY_CLASS)
    return next(told_apart, None) or next(by_class, _UNKNOWN)


KEY_REASONS = frozenset({"key-too-long", "key-refused", "key-not-text", "key-invalid"})
"""What is wrong with a key: no object can have it, so who reads one is told that it is not there."""


def client_causes() -> dict[Cause, list[str]]:
    """List every cause of this module with the exceptions and words that stand for it."""
    found = {cause: names.split("|") for names, cause in (_CLASSES | _WORDS).items()}
    return found | {_UNKNOWN: ["any other"]}
