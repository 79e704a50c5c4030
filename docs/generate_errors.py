"""Write the generated tables of ``errors.md`` from the code: ``python docs/generate_errors.py``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from s3img import errors
from s3img.buckets.s3.causes import client_causes, store_causes
from s3img.buckets.s3.explain import PERMISSIONS
from s3img.errors import S3ImgError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from s3img.buckets.s3.causes import Cause

PAGE = Path(__file__).with_name("errors.md")

ADVICE = {
    errors.S3ImgError: "Read the message.",
    errors.ConfigError: "Each line names a setting and what to write: see [the settings](configuration.md).",
    errors.LockError: "Restore `s3img.lock` from version control, then run `s3img sync`.",
    errors.TextError: "Name a font that has the letters, or install libfribidi: see [transforms](transforms.md).",
    errors.TransformError: "Correct the token that is named: see [transforms](transforms.md).",
    errors.AssetError: "Check the file's name, that it exists and that it may be read.",
    errors.FileUnreadable: "Check that the file exists, and that the user who runs s3img may read it.",
    errors.FileUnwritable: "Free space, or let the user who runs s3img write to the file's folder.",
    errors.ImageError: "Open the image in another program and save it again.",
    errors.UnsupportedImage: "Convert it to JPEG, PNG, WebP, AVIF, GIF or SVG.",
    errors.ImageTooLarge: "Make the image smaller, or raise the limit that is named.",
    errors.DigestMismatch: "Write the digest of the image as it is now, or ask without one.",
    errors.PublishError: "The message names page and line; `missing` in the settings is the policy.",
    errors.KeyTaken: "Choose another name (for uploads: a key template with `{{ulid}}`), or move what is there.",
    errors.RequestError: "Correct the address as the message says.",
    errors.NotServed: "Check the path, and what the service may show.",
    errors.MethodNotAllowed: "Use one of the methods in `Allow`.",
    errors.RequestTooLarge: "Send less, or raise the limit that is named.",
    errors.TooManyRequests: "Wait for as long as `Retry-After` says.",
    errors.SignatureError: "Sign the address with one of `signing_keys`, exactly as it is sent.",
    errors.SignatureExpired: "Make a new address, with a later end.",
    errors.Busy: "Wait for as long as `Retry-After` says; if it stays, give the service more workers.",
    errors.ForkServerFailed: "Look at the log for why it ended, or set `limits.isolate = false`.",
    errors.WorkerRefused: "Install the versions that the message names on every worker.",
    errors.ClientGone: "Nothing: the client no longer waits.",
    errors.DeadlineExceeded: "Try again with a smaller image or a simpler transform, or raise the limit.",
    errors.BucketError: "Run the command again; if it stays, run `s3img doctor`.",
    errors.ObjectNotFound: "Check the key and the prefix in `bucket`.",
    errors.ObjectChanged: "Find out who replaced it, then run the command again.",
    errors.InvalidPrefix: "Name a folder of the bucket, such as `img/`.",
    errors.RangeNotSatisfiable: "Ask for bytes inside of the object.",
    errors.CredentialsError: "See which credentials are in use: `s3img doctor`.",
    errors.AccessDenied: "Give the credentials, or the user, the permission that is named.",
    errors.StoreBusy: "Lower `workers` and run the command again; a service's clients respect `Retry-After`.",
    errors.Unreachable: "Run the command again; `s3img doctor` shows which step fails.",
}
HEAD = ("| code | class | exit | HTTP | meaning | what to do |", "|---|---|---|---|---|---|")
FACTS = {
    "detail": "…",
    "endpoint": "the endpoint",
    "said": "…",
    "profile": "of that name",
    "region": "the one that is named",
    "name": "error",
}


def kinds() -> Iterator[str]:
    """Yield the table of classes, one row each."""
    yield from HEAD
    for kind in tree(S3ImgError):
        meaning = (kind.__doc__ or "").partition("\n")[0].removeprefix("Report ").rstrip(".")
        yield row(kind.reason, kind, meaning, ADVICE[kind])


def tree(kind: type[S3ImgError]) -> Iterator[type[S3ImgError]]:
    """Yield a class and all below it that `s3img.errors` defines, in the order of the file."""
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from tree(below)


def causes(found: dict[Cause, list[str]]) -> Iterator[str]:
    """Yield the table of what a request to a store can fail of, with the words that stores and botocore have for it."""
    yield f"{HEAD[0]} seen as |"
    yield f"{HEAD[1]}---|"
    for cause, seen in found.items():
        for reason, facts in reasons(cause):
            texts = [text.replace(" ({endpoint})", "").replace("{profile!r}", "{profile}") for text in cause[2:]]
            what, fix = (text.format_map(FACTS | facts) for text in texts)
            yield f"{row(reason, cause.kind, what, fix)} {', '.join(f'`{name}`' for name in seen)} |"


def reasons(cause: Cause) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the codes of a cause: one of each action where it is about a permission."""
    if "{action}" not in cause.reason:
        yield cause.reason, {}
        return
    for action, permission in PERMISSIONS.items():
        if action != "head":  # the permission of get
            yield cause.reason.format(action=action), {"permission": permission}


def row(reason: str, kind: type[S3ImgError], meaning: str, advice: str) -> str:
    """Return one row, without the last column of a longer one."""
    cells = (f"`{reason}`", f"`{kind.__name__}`", str(kind.exit_code), str(kind.status), meaning, advice)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace('``', '`') for cell in cells)} |"


def page(text: str) -> str:
    """Return the page with its tables as the code has them."""
    text = with_table(text, "classes", kinds())
    text = with_table(text, "answers", causes(store_causes()))
    return with_table(text, "connections", causes(client_causes()))


def with_table(text: str, name: str, rows: Iterable[str]) -> str:
    """Return the page with the rows between the two comments of that name."""
    begin, end = f"<!-- {name}: generated -->\n", f"<!-- /{name} -->"
    head, _, rest = text.partition(begin)
    return "".join([head, begin, *(f"{row}\n" for row in rows), end, rest.partition(end)[2]])


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
