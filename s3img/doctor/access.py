"""Who signs the requests: the link of the credential chain that answered, never what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.buckets.s3_facts import connection
from s3img.doctor.model import fail, ok, skip
from s3img.errors import S3ImgError

if TYPE_CHECKING:
    from s3img.buckets.s3_facts import Connection
    from s3img.doctor.case import Case
    from s3img.doctor.model import Finding

_LINKS = {
    "explicit": "S3IMG_ACCESS_KEY_ID and S3IMG_SECRET_ACCESS_KEY of the environment",
    "env": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment",
    "shared-credentials-file": "the shared credentials file, {profile}",
    "config-file": "the AWS configuration file, {profile}",
    "custom-process": "the credential process of {profile}",
    "sso": "single sign-on, {profile}",
    "sso-legacy": "single sign-on, {profile}",
    "login": "`aws login`, {profile}",
    "assume-role": "the assumed role {role}",
    "assume-role-with-web-identity": "a web identity (OIDC token)",
    "container-role": "the role of this container",
    "iam-role": "the role of this machine (instance metadata)",
    "boto-config": "a Boto2 configuration file",
}


def look(case: Case) -> Finding:
    """Find out which credentials will sign, without a request to the store."""
    if not case.is_s3:
        return skip("credentials", "a folder needs none.")
    try:
        case.connection = connection(case.s3)
    except S3ImgError as error:
        fix = error.fix or "Mend the source of the credentials that is named."
        return fail("credentials", "credentials-broken", error.message, fix)
    if case.config.anonymous:
        return ok("credentials", "none are used: anonymous = true signs nothing.")
    if not case.connection.credentials:
        return fail(
            "credentials",
            "no-credentials",
            "no credentials were found: publishing would leave pictures inside the site.",
            "Set S3IMG_ACCESS_KEY_ID and S3IMG_SECRET_ACCESS_KEY (or AWS_…), or name an aws_profile, or sign in.",
        )
    return ok("credentials", f"from {_link(case, case.connection)}.")


def _link(case: Case, found: Connection) -> str:
    words = _LINKS.get(found.credentials, found.credentials)
    profile = f"profile {found.profile}" if found.profile else "the default profile"
    return words.format(profile=profile, role=case.config.role_arn or f"of {profile}")
