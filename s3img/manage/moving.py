"""Move objects to other keys: copy, write the new addresses where the old ones stand, then remove the old objects.

In this order a page never points at an object that is not there, and a run that is killed can be run again: a copy that
is there already is taken as made, an object that has gone already lies in the trash.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from s3img.atomic import remove_stale_in
from s3img.buckets import MARKER, copy_object
from s3img.errors import S3ImgError
from s3img.gc.references import FOLDER as REFERENCES
from s3img.gc.references import write_reference
from s3img.lock import read_lock, write_lock
from s3img.manage.object_search import is_own
from s3img.manage.removal import TRASH, check_unchanged, each, is_same, refusal
from s3img.manage.selection import (
    KeyProblem,
    ObjectSelection,
    check_wildcards,
    described,
    expression,
    key_fault,
    select,
)
from s3img.manage.sibling_variants import renamed_variant, sibling_variants
from s3img.manage.source_files import KeyUrls, rename_references, source_files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from s3img.buckets import Bucket, ObjectInfo
    from s3img.config import Config
    from s3img.lock import Lock


class Move(msgspec.Struct, frozen=True):
    """One object's old and new key; ``is_variant`` where it goes along with its original."""

    old: str
    new: str
    bytes: int = 0
    is_variant: bool = False


class MoveNote(msgspec.Struct, frozen=True):
    """Something that a person should know: what it is about (a key, or a place in a file), and what."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class MoveResult(msgspec.Struct, frozen=True, kw_only=True):
    """Report a move, or what it would do where ``applied`` is false.

    ``files`` are the sources that were changed, ``references`` how many addresses in them, ``lock_lines`` how many
    lines of the lock have other keys. ``refused`` says why nothing was done at all.
    """

    schema: str = "s3img.mv/1"
    target: str
    applied: bool = False
    moved: tuple[Move, ...] = ()
    failed: tuple[KeyProblem, ...] = ()
    files: tuple[str, ...] = ()
    references: int = 0
    lock_lines: int = 0
    notes: tuple[MoveNote, ...] = ()
    refused: str = ""
    requests: dict[str, int] = {}

    @property
    def exit_code(self) -> int:
        """Return 1 where something was not done."""
        return int(bool(self.failed or self.refused))

    def __str__(self) -> str:
        head = "" if self.applied else "Nothing was changed. "
        verb = "" if self.applied else "would be "
        parts = [f"{len(self.moved)} {verb}moved"]
        if self.files:
            parts.append(f"{self.references} references in {len(self.files)} files {verb}rewritten")
        if self.lock_lines:
            parts.append(f"{self.lock_lines} lines of the lock {verb}changed")
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        return f"{head}{self.target}: {', '.join(parts)}."


@dataclass(frozen=True, slots=True)
class MovePlan:
    """What there is to move. ``finished`` are moves whose object an earlier run has put into the trash already."""

    moves: tuple[Move, ...] = ()
    finished: tuple[Move, ...] = ()
    problems: tuple[KeyProblem, ...] = ()
    notes: tuple[MoveNote, ...] = ()
    refused: str = ""
    objects: Mapping[str, ObjectInfo] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ReferenceUpdate:
    """Where references follow a move: folders or files of sources, the lock, and what renders Markdown."""

    config: Config
    places: tuple[Path, ...]
    lock: Path
    render: Callable[[str], str]


def plan_move(
    bucket: Bucket,
    source: str,
    target: str,
    *,
    lock: Lock | None = None,
    force: bool = False,
    literal: bool = False,
) -> MovePlan:
    """Decide what a move comes to; nothing is written.

    ``source`` is a key, a folder (``img/``) or a pattern; ``target`` a key, a folder, or a pattern with the same
    wildcards; with ``literal`` the source is a key. Renderings that lie beside an object go along, but those that
    ``lock`` names stay: it finds them by their picture's path. Raise ConfigError for a target that does not fit,
    BucketError.
    """
    selection = select(bucket, source, literal=literal)
    check_wildcards(selection, target)
    pinned = lock.keys() - {entry.key for entry in lock} if lock else frozenset[str]()
    objects = {info.key: info for info in selection.objects}
    notes = [
        MoveNote(key, "stays: the lock finds this rendering by its picture's path.") for key in objects.keys() & pinned
    ]
    moves = [
        Move(info.key, selection.renamed(info.key, target), info.size)
        for info in selection.objects
        if info.key not in pinned
    ]
    if selection.kind != "folder":  # a folder has its renderings with it
        for move_ in [*moves]:
            for end, variant in sibling_variants(bucket, objects[move_.old]):
                if variant.key in pinned:
                    notes.append(MoveNote(variant.key, "stays: the lock finds this rendering by its picture's path."))
                elif variant.key not in objects:
                    objects[variant.key] = variant
                    new = renamed_variant(end, move_.new)
                    moves.append(Move(variant.key, new, variant.size, is_variant=True))
    moves = [one for one in moves if one.old != one.new]
    finished = tuple(finished_moves(bucket, selection, target))
    problems = [selection.problem] if selection.problem and not finished else []
    problems += conflicts(bucket, moves)
    return MovePlan(
        tuple(moves),
        finished,
        tuple(problems),
        tuple(sorted(notes, key=str)),
        refusal(bucket, [selection], "moved", force=force),
        objects,
    )


def finished_moves(bucket: Bucket, selection: ObjectSelection, target: str) -> Iterator[Move]:
    """Yield moves of an earlier run: the old key is in the trash, the new one is taken, references may still be old."""
    text = selection.text
    if selection.kind == "key" and (selection.problem is None or selection.problem.code == "reserved"):
        return
    prefix = text if selection.kind != "pattern" else text.partition("*")[0].partition("?")[0]
    for trashed in bucket.list(TRASH + prefix):
        old = trashed.key.removeprefix(TRASH)
        if selection.kind == "pattern" and not expression(text).fullmatch(old):
            continue
        if selection.kind == "key" and old != text:
            continue
        new = selection.renamed(old, target)
        there = described(bucket, new) if not key_fault(new) and described(bucket, old) is None else None
        if there and there.size == trashed.size:
            yield Move(old, new, trashed.size)


def conflicts(bucket: Bucket, moves: Iterable[Move]) -> Iterator[KeyProblem]:
    """Yield what keeps objects from their new keys: one that can't be written, one that two would have, a taken one."""
    found = [*moves]
    wanted = Counter(one.new for one in found)
    for one in found:
        if fault := key_fault(one.new):
            yield KeyProblem(one.old, "bad-key", f"can't become {one.new!r}: {fault}")
        elif wanted[one.new] > 1:
            yield KeyProblem(one.old, "key-taken", f"{wanted[one.new]} objects would become {one.new!r}.")
        elif described(bucket, one.new):
            try:  # a copy that an earlier run has made is not an obstacle
                is_same(bucket, one.old, one.new)
            except S3ImgError as error:
                yield KeyProblem(one.old, error.reason, f"can't become {one.new!r}: {error}")


def move(
    bucket: Bucket,
    plan: MovePlan,
    *,
    apply: bool = False,
    update: ReferenceUpdate | None = None,
    lock: Lock | None = None,
    workers: int = 16,
) -> MoveResult:
    """Carry out a plan, or say what it would do; what failed is in the result, and can be tried again.

    With any conflict nothing is moved at all. Raise LockError and AssetError for a lock or source that can't be read.
    """
    refused = plan.refused or ("" if not plan.problems else "nothing was moved, because some objects can't be.")
    moves, finished = ((), ()) if refused else (plan.moves, plan.finished)
    copies, uncopied = make_copies(bucket, moves, plan.objects, workers) if apply and moves else ({}, [])
    done = [one for one in moves if one.old in copies or not apply]
    renamed = {one.old: one.new for one in (*done, *finished)}
    # What the lock can't follow would be gone for it: it is read and written before anything is removed.
    lock_lines = update_lock(update.lock, renamed, apply=apply) if update and renamed else 0
    sources = update_sources(update, renamed, apply=apply) if update and renamed else SourceUpdate()
    notes = [*plan.notes, *sources.notes]
    if update is None:
        named = {entry.key for entry in lock or ()} & renamed.keys()
        notes += [
            MoveNote(key, "the lock names this key: run the same command again with --update.") for key in sorted(named)
        ]
    undeleted: list[KeyProblem] = []
    if apply and sources.failed:  # what such a file shows must stay there, and nobody knows what it shows
        notes += [
            MoveNote(one.old, "stays beside its copy until the files above can be read and written.") for one in done
        ]
        done = []
    elif apply and done:
        removed, undeleted = put_into_trash(bucket, {one.old: copies[one.old] for one in done}, workers)
        done = [one for one in done if one.old in removed]
    return MoveResult(
        target=bucket.name,
        applied=apply and not refused,
        moved=tuple(done),
        failed=tuple(sorted([*plan.problems, *uncopied, *sources.failed, *undeleted])),
        files=tuple(sources.files),
        references=sources.references,
        lock_lines=lock_lines,
        notes=tuple(notes),
        refused=refused,
        requests=dict(bucket.requests),
    )


def make_copies(
    bucket: Bucket, moves: Iterable[Move], objects: Mapping[str, ObjectInfo], workers: int
) -> tuple[dict[str, ObjectInfo], list[KeyProblem]]:
    """Copy each object to its new key; return the objects whose copies are there, as they were copied."""
    new_keys = {one.old: one.new for one in moves}
    latest: dict[str, ObjectInfo] = {}

    def look(info: ObjectInfo) -> None:
        if found := bucket.head(info.key):
            latest[info.key] = found

    _, problems = each(look, {key: objects[key] for key in new_keys}, workers)
    # A folder keeps no metadata: what a clean-up takes for its own there is what references name.
    has_references = any(info.metadata is None for info in latest.values()) and any(bucket.list(REFERENCES))
    own = [
        new_keys[key]
        for key, info in latest.items()
        if (has_references if info.metadata is None else MARKER.items() <= info.metadata.items())
    ]
    if own:
        # A clean-up deletes what s3img put and nothing names, and nothing names the new keys yet. Nobody knows where
        # people write them, so they count as in use for ever, like those of `s3img markdown`.
        write_reference(bucket, own, site="")

    def copy(info: ObjectInfo) -> None:
        if is_same(bucket, info.key, new_keys[info.key]):
            latest[info.key] = bucket.head(info.key) or info
        else:
            latest[info.key] = copy_object(bucket, info.key, new_keys[info.key], only_new=True)

    copied, more = each(copy, latest, workers)
    return {key: latest[key] for key in copied}, [*problems, *more]


class CopyResult(msgspec.Struct, frozen=True, kw_only=True):
    """Report copies: each with its old and new key, and why there is none of each other object."""

    copied: tuple[Move, ...] = ()
    failed: tuple[KeyProblem, ...] = ()


def copy_objects(bucket: Bucket, keys: Mapping[str, str], *, workers: int = 16) -> CopyResult:
    """Copy each object to another key; an object that has the same bytes there counts as its copy.

    What another object has stays as it is.
    """
    found: dict[str, ObjectInfo | None] = {}
    objects: dict[str, ObjectInfo] = {}
    wanted = Counter(keys.values())

    def look_up(key: str) -> None:
        found[key] = None if is_own(key) else described(bucket, key)

    known, problems = each(look_up, {key: key for key in keys}, workers)
    for old in known:
        info, new = found[old], keys[old]
        if info is None:
            problems.append(KeyProblem(old, "no-object", "the bucket has no such object."))
        elif fault := key_fault(new):
            problems.append(KeyProblem(old, "bad-key", f"can't be copied to {new!r}: {fault}"))
        elif wanted[new] > 1:
            problems.append(KeyProblem(old, "key-taken", f"{wanted[new]} objects would become {new!r}."))
        else:
            objects[old] = info
    moves = [Move(old, keys[old], info.size) for old, info in objects.items()]
    copies, failed = make_copies(bucket, moves, objects, workers)
    return CopyResult(
        copied=tuple(one for one in moves if one.old in copies), failed=tuple(sorted([*problems, *failed]))
    )


def put_into_trash(
    bucket: Bucket, originals: dict[str, ObjectInfo], workers: int
) -> tuple[Collection[str], list[KeyProblem]]:
    """Copy originals, as they were when they were copied, to the trash and remove them; return the keys that went."""

    def put_away(info: ObjectInfo) -> None:
        check_unchanged(bucket, info.key, copy_object(bucket, info.key, TRASH + info.key))
        # Somebody may have replaced the object since its copy was made: then nothing has a copy of the new one.
        check_unchanged(bucket, info.key, info)
        bucket.delete([info.key])

    return each(put_away, originals, workers)


def update_lock(path: Path, keys: Mapping[str, str], *, apply: bool) -> int:
    """Give the lines of a lock their new keys; return how many. Raise LockError."""
    lock = read_lock(path, missing_ok=True)
    lines = [msgspec.structs.replace(entry, key=keys[entry.key]) for entry in lock if entry.key in keys]
    if lines and apply:
        write_lock(path, lock.updated(lines))
    return len(lines)


@dataclass(slots=True)
class SourceUpdate:
    """What became of sources: those that changed, how many addresses in them, and what could not be read or written."""

    files: list[str] = field(default_factory=list)
    references: int = 0
    notes: list[MoveNote] = field(default_factory=list)
    failed: list[KeyProblem] = field(default_factory=list)


def update_sources(update: ReferenceUpdate, keys: Mapping[str, str], *, apply: bool) -> SourceUpdate:
    """Write the new addresses into the sources."""
    found = SourceUpdate()
    urls, folders = KeyUrls(update.config), {update.lock.parent}
    for file in source_files(update.places):
        folders.add(file.path.parent)
        try:
            change = rename_references(file, keys, urls, update.render, apply=apply)
        except S3ImgError as error:
            found.failed.append(KeyProblem(str(file.path), error.reason, str(error)))
            continue
        if change is None:
            continue
        found.references += change.changed
        found.files += [str(file.path)] if change.changed else []
        for line, column, url, why in change.left:
            found.notes.append(MoveNote(f"{file.path}:{line}:{column}", f"{url} stays: {why}."))
    if apply:
        remove_stale_in(folders)
    return found
