"""Why requests fail before a store has answered, and the remedy, by botocore's class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.buckets.s3_causes import EXPIRED, LATER, NAME, SIGN_IN, WHERE_KEYS, Cause
from s3img.errors import BucketError, CredentialsError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOT_TLS = Cause(
    "not-tls",
    Unreachable,
    "the port does not speak TLS",
    "Write http:// in endpoint_url ({endpoint}), or correct its port.",
)
_TLS_HOST = Cause(
    "tls-wrong-host",
    Unreachable,
    "the certificate is for another host",
    'Correct endpoint_url ({endpoint}); a bucket with dots in its name needs addressing_style = "path".',
)

_BY_CLASS: dict[str, Cause] = {
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
    **dict.fromkeys(("SSOError", "TokenRetrievalError", "SSOTokenLoadError", "LoginError"), EXPIRED),
    **dict.fromkeys(
        (
            "CredentialRetrievalError",
            "MetadataRetrievalError",
            "InvalidConfigError",
            "ConfigParseError",
            "ConfigNotFound",
        ),
        Cause(
            "credentials-broken",
            CredentialsError,
            "the configured source of credentials failed",
            f"Check the AWS profile in use. {SIGN_IN}",
        ),
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
    **dict.fromkeys(
        ("ResponseParserError", "NoETagError"),
        Cause(
            "not-s3",
            BucketError,
            "the answer is not that of an S3 store",
            "Check that endpoint_url ({endpoint}) is the S3 interface, not a console or a website.",
        ),
    ),
    "UnicodeEncodeError": Cause(
        "key-not-text", BucketError, "the key is not valid Unicode", "Rename the file: its name is not UTF-8."
    ),
    **dict.fromkeys(
        ("NoRegionError", "InvalidRegionError", "UnknownRegionError"),
        Cause(
            "no-region", BucketError, "the region is missing or not valid", 'Set region (`region = "eu-central-1"`).'
        ),
    ),
    **dict.fromkeys(
        ("EndpointProviderError", "EndpointResolutionError"),
        Cause(
            "endpoint-unusable",
            BucketError,
            "botocore can't build an address from these settings",
            "Check region and endpoint_url.",
        ),
    ),
    **dict.fromkeys(
        ("HTTPClientError", "HTTPError", "ConnectionError", "OSError", "IncompleteReadError"),
        Cause("connection-broken", Unreachable, "the connection broke on every attempt", f"Check the network. {LATER}"),
    ),
}
_BY_DETAIL: dict[str, Cause] = {
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "record layer failure": _NOT_TLS,
    "certificate has expired": Cause(
        "tls-expired",
        Unreachable,
        "the store's certificate has expired",
        "Renew it on {endpoint}, or set this machine's clock.",
    ),
    **dict.fromkeys(
        ("doesn't match either of", "' doesn't match '", "Hostname mismatch", "IP address mismatch"), _TLS_HOST
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
_UNKNOWN = Cause(
    "unexpected", BucketError, "an unexpected {name}", "Please report it, with the command and these words."
)


def of_client(names: Sequence[str], detail: str) -> Cause:
    """Find the cause of an exception by the names of its class and bases; ``detail`` only tells two apart."""
    told_apart = (cause for words, cause in _BY_DETAIL.items() if words in detail)
    by_class = (_BY_CLASS[name] for name in names if name in _BY_CLASS)
    return next(told_apart, None) or next(by_class, _UNKNOWN)


def code_of(name: str) -> str:
    """Name an exception the way stores name theirs: ``NoCredentialsError`` is ``NoCredentials``."""
    return name.removesuffix("Error")


def client_causes() -> dict[Cause, list[str]]:
    """List every cause of this module with the exceptions and words that stand for it."""
    found: dict[Cause, list[str]] = {}
    for table in (_BY_CLASS, _BY_DETAIL):
        for name, cause in table.items():
            found.setdefault(cause, []).append(name)
    return found | {_UNKNOWN: ["any other"]}
