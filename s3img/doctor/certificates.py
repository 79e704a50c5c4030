"""Why a certificate is not accepted, by OpenSSL's own number for it (X509_V_ERR_*)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.doctor.model import fail

if TYPE_CHECKING:
    import ssl

    from s3img.doctor.case import Case
    from s3img.doctor.model import Finding

_OWN_ROOT = "If it is your own, set AWS_CA_BUNDLE to a file that holds the certificate of its authority."
_CLOCK = "Renew the certificate of the store; check this machine's date too."
_CAUSES: dict[int, tuple[str, str, str]] = {
    9: ("tls-not-yet-valid", "is not valid yet", _CLOCK),
    10: ("tls-expired", "has expired", _CLOCK),
    18: ("tls-self-signed", "is signed by itself", _OWN_ROOT),
    19: ("tls-self-signed", "ends at an authority that is not known here", _OWN_ROOT),
    20: ("tls-untrusted", "comes from an authority that is not known here", _OWN_ROOT),
    21: ("tls-untrusted", "comes without the certificates between it and its authority", _OWN_ROOT),
    62: ("tls-wrong-host", "is for another host", ""),
    64: ("tls-wrong-host", "is for another address", ""),
}
_UNKNOWN = ("tls-failed", "is not accepted", _OWN_ROOT)


def refused(case: Case, host: str, error: ssl.SSLCertVerificationError) -> Finding:
    """Say what is wrong with the certificate that ``host`` showed."""
    code, what, fix = _CAUSES.get(error.verify_code, _UNKNOWN)
    said = error.verify_message.rstrip(".")
    return fail("tls", code, f"the certificate of {host} {what} ({said}).", fix or _another_host(case, host))


def _another_host(case: Case, host: str) -> str:
    if host.startswith(f"{case.bucket_name}."):
        return 'Set addressing_style = "path": the bucket\'s name before the host is not covered by the certificate.'
    return "Write the name that the certificate is for in endpoint_url."
