"""Remove objects to the trash, and bring them back; one that fails never keeps the others from it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from s3img.buckets import copy_object
from s3img.buckets.copying import digest_of
from s3img.errors import KeyTaken, ObjectChanged, ObjectNotFound, S3ImgError
from s3img.gc import trash
from s3img.manage.selection import KeyProblem, ObjectSelection, described, expression, is_most_of, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from s3img.buckets import Bucket, ObjectInfo

Item = TypeVar("Item")

TRASH: Final = trash.FOLDER
"""Where removed objects lie, each under its own key; a clean-up empties it in time."""


class RemoveResult(msgspec.Struct, frozen=True, kw_only=True):
    """Report keys that were removed or restored, or would be where ``applied`` is false.

    ``done`` are the keys that something became of, ``bytes`` what they take up, ``failed`` says why of each other one,
    and ``refused`` why nothing was done at all.
    """

    schema: str = "s3img.rm/1"
    target: str
    applied: bool = False
    done: tuple[str, ...] = ()
    failed: tuple[KeyProblem, ...] = ()
    bytes: int = 0
    refused: str = ""
    requests: dict[str, int] = {}

    @property
    def exit_code(self) -> int:
        """Return 1 where something was not done."""
        return int(bool(self.failed or self.refused))

    def __str__(self) -> str:
        word = "restored" if self.schema.startswith("s3img.restore") else "removed"
        head = "" if self.applied else "Nothing was changed. "
        verb = word if self.applied else f"would be {word}"
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"{head}{self.target}: {len(self.done)} {verb} ({self.bytes:,} bytes){failed}."


def remove(
    bucket: Bucket,
    names: Iterable[str],
    *,
    apply: bool = False,
    to_trash: bool = True,
    force: bool = False,
    literal: bool = False,
    workers: int = 16,
) -> RemoveResult:
    """Remove what ``names`` mean (keys, folders that end in ``/``, patterns); without ``apply`` only say what it is.

    With ``literal`` all names are keys. Each object is copied to the trash and the copy compared before it goes. More
    than half of a bucket at once looks like a mistake and needs ``force``. Raise BucketError where names can't be
    looked up; with ``literal`` that is a problem of each such key.
    """
    chosen: dict[str, ObjectSelection] = {}

    def look(name: str) -> None:
        chosen[name] = select(bucket, name, literal=literal)

    wanted = {name: name for name in names}
    problems: list[KeyProblem] = []
    if literal:
        _, problems = each(look, wanted, workers)
    else:
        with ThreadPoolExecutor(workers, thread_name_prefix="s3img-manage") as pool:
            [*pool.map(look, wanted)]
    selections = [chosen[name] for name in wanted if name in chosen]
    found = {info.key: info for selection in selections for info in selection.objects}
    problems += [selection.problem for selection in selections if selection.problem]
    refused = refusal(bucket, selections, "removed", force=force)
    done: dict[str, ObjectInfo] = {} if refused else found
    if apply and not refused:

        def put_away(info: ObjectInfo) -> None:
            if to_trash:
                copied = copy_object(bucket, info.key, TRASH + info.key)
                check_unchanged(bucket, info.key, copied)
            bucket.delete([info.key])

        done, failed = each(put_away, found, workers)
        problems += failed
    return RemoveResult(
        target=bucket.name,
        applied=apply and not refused,
        done=tuple(sorted(done)),
        failed=tuple(sorted(problems)),
        bytes=sum(info.size for info in done.values()),
        refused=refused,
        requests=dict(bucket.requests),
    )


def restore_from_trash(
    bucket: Bucket, names: Iterable[str], *, apply: bool = False, literal: bool = False, workers: int = 16
) -> RemoveResult:
    """Put objects of the trash back under their keys; ``names`` are keys, folders or patterns, ``*`` alone is all.

    What has another object in its place by now stays in the trash, and so nothing is lost. Raise BucketError where the
    trash can't be listed.
    """
    wanted = {name: name for name in names}
    trashed: dict[str, ObjectInfo] = {}
    problems: list[KeyProblem] = []

    def look_up(key: str) -> None:
        if info := described(bucket, TRASH + key):
            trashed[key] = info

    if literal:  # a trash may be large, and these keys are known
        wanted, problems = each(look_up, wanted, workers)
    else:
        trashed = {info.key.removeprefix(TRASH): info for info in bucket.list(TRASH)}
    found: dict[str, ObjectInfo] = {}
    for name in wanted:
        matches = {key for key in trashed if (key == name if literal else is_named(key, name))}
        if not matches:
            problems.append(KeyProblem(name, "no-object", "nothing in the trash has this key."))
        found |= {key: trashed[key] for key in matches}

    def put_back(info: ObjectInfo) -> None:
        key = info.key.removeprefix(TRASH)
        if not is_same(bucket, info.key, key):
            copy_object(bucket, info.key, key, only_new=True)
        bucket.delete([info.key])

    def look(info: ObjectInfo) -> None:
        is_same(bucket, info.key, info.key.removeprefix(TRASH))

    done, failed = each(put_back if apply else look, found, workers)
    return RemoveResult(
        schema="s3img.restore/1",
        target=bucket.name,
        applied=apply,
        done=tuple(sorted(done)),
        failed=tuple(sorted([*problems, *failed])),
        bytes=sum(info.size for info in done.values()),
        requests=dict(bucket.requests),
    )


def is_named(key: str, name: str) -> bool:
    """Tell whether a name means a key of the trash."""
    if name in {key, "*"}:
        return True
    return key.startswith(name) if name.endswith("/") else bool(expression(name).fullmatch(key))


def is_same(bucket: Bucket, key: str, other: str) -> bool:
    """Tell whether two keys have the same bytes, False where ``other`` is free; raise KeyTaken where they differ."""
    there = described(bucket, other)
    if there is None:
        return False
    here = described(bucket, key)
    if here and here.size == there.size:
        if here.etag == there.etag:
            return True
        with bucket.open(key) as one, bucket.open(other) as two:
            if digest_of(one) == digest_of(two):
                return True
    fix = "Move or remove that one first, or choose another key."
    raise KeyTaken(f"another object has the key {other!r}.", key=other, fix=fix)


def check_unchanged(bucket: Bucket, key: str, before: ObjectInfo) -> None:
    """Raise ObjectChanged for an object that somebody has replaced since it was copied: it must not be deleted."""
    now = bucket.head(key)
    if now is not None and (now.size, now.etag) != (before.size, before.etag):
        message = f"{key!r} was replaced meanwhile and stays."
        fix = "Look at it, then run the command again."
        raise ObjectChanged(message, action="delete", bucket=bucket.name, key=key, fix=fix)


def refusal(bucket: Bucket, selections: Iterable[ObjectSelection], verb: str, *, force: bool) -> str:
    """Return why an operation on so many objects is not begun, "" where it may be.

    One object that is named by its key is never too much; what patterns and folders bring together may be.
    """
    found = [*selections]
    number = len({info.key for selection in found for info in selection.objects})
    named_only = number <= 1 and all(selection.kind == "key" for selection in found)
    if force or not number or named_only or not is_most_of(bucket, number):
        return ""
    what = "1 object is" if number == 1 else f"{number} objects are"
    return f"{what} more than half of {bucket.name}: only {verb} with --force."


def each(
    act: Callable[[Item], None], items: Mapping[str, Item], workers: int
) -> tuple[dict[str, Item], list[KeyProblem]]:
    """Do something with each item, many at a time; return those it was done with by key, and why not of each other."""

    def attempt(key: str) -> KeyProblem | None:
        try:
            act(items[key])
        except ObjectNotFound:
            return KeyProblem(key, "no-object", "somebody else has removed it meanwhile.")
        except S3ImgError as error:
            return KeyProblem(key, error.reason, str(error))
        return None

    with ThreadPoolExecutor(workers, thread_name_prefix="s3img-manage") as pool:
        problems = [problem for problem in pool.map(attempt, items) if problem]
    failed = {problem.key for problem in problems}
    return {key: item for key, item in items.items() if key not in failed}, problems
