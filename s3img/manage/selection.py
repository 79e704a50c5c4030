"""Which objects a command names: one key, all of a folder (``img/``), or those that fit a pattern (``img/*.jpg``)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from s3img.errors import ConfigError, ObjectNotFound
from s3img.keys import MAX_KEY, OWN_FOLDER, UNSAFE, is_reserved
from s3img.manage.object_search import is_own

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3img.buckets import Bucket, ObjectInfo

SelectionKind: TypeAlias = Literal["key", "folder", "pattern"]

_WILDCARD = re.compile(r"\*\*|\*|\?")
_AS_EXPRESSION = {"**": "(.*)", "*": "([^/]*)", "?": "([^/])"}


class KeyProblem(msgspec.Struct, frozen=True, order=True):
    """Say why nothing became of one key; ``code`` is a stable word, as in ``docs/errors.md``."""

    key: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


@dataclass(frozen=True, slots=True)
class ObjectSelection:
    """The objects that a text names, in the order of their keys.

    ``kind`` is ``key``, ``folder`` or ``pattern``. A text that is a key names this object, whatever characters it has.
    """

    text: str
    kind: SelectionKind
    objects: tuple[ObjectInfo, ...] = ()
    problem: KeyProblem | None = field(default=None, compare=False)

    def renamed(self, key: str, target: str) -> str:
        """Return what a selected key is called under ``target``.

        A target that ends in ``/`` is a folder. The wildcards of a pattern's target stand for what the source's do, one
        after the other.
        """
        if self.kind == "folder":
            return target + key.removeprefix(self.text)
        if target.endswith("/") or not target:
            return target + key.rpartition("/")[2]
        if self.kind == "key":
            return target
        found = expression(self.text).fullmatch(key)
        parts = iter(found.groups() if found else ())
        return _WILDCARD.sub(lambda _: next(parts), target)


def expression(pattern: str) -> re.Pattern[str]:
    """Return a pattern's regular expression: ``*`` and ``?`` stay within a folder, ``**`` does not."""
    parts, at = [], 0
    for wildcard in _WILDCARD.finditer(pattern):
        parts += [re.escape(pattern[at : wildcard.start()]), _AS_EXPRESSION[wildcard[0]]]
        at = wildcard.end()
    return re.compile("".join((*parts, re.escape(pattern[at:]))), re.DOTALL)


def select(bucket: Bucket, text: str, *, literal: bool = False) -> ObjectSelection:
    """Find what a text names; where that is nothing, the selection has a problem. Raise BucketError.

    A key is looked up before the text is read as a pattern: ``a*b.png`` may be the name of an object. With ``literal``
    it is a key and nothing else, as where a person has chosen objects that may be gone by now.
    """
    if is_own(text) or text == OWN_FOLDER:
        return ObjectSelection(
            text, "key", problem=KeyProblem(text, "reserved", "is s3img's own: s3img gc cleans it up.")
        )
    if not literal and (text.endswith("/") or not text):
        return in_order(text, "folder", (info for info in bucket.list(text) if not is_own(info.key)))
    info = described(bucket, text)
    if info or literal:
        return in_order(text, "key", [info] if info else [])
    if wildcard := _WILDCARD.search(text):
        fits = expression(text).fullmatch
        listed = bucket.list(text[: wildcard.start()])
        return in_order(text, "pattern", (info for info in listed if fits(info.key) and not is_own(info.key)))
    message = "no such object."
    if next(iter(bucket.list(f"{text}/")), None):
        message = f"no such object, but there is such a folder: write {text}/ to mean all of it."
    return ObjectSelection(text, "key", problem=KeyProblem(text, "no-object", message))


def in_order(text: str, kind: SelectionKind, infos: Iterable[ObjectInfo]) -> ObjectSelection:
    """Return a selection in the order of keys, as folders on disk have none; it says when it is empty."""
    found = tuple(sorted(infos, key=lambda info: info.key))
    problem = None if found else KeyProblem(text, "no-object", "the bucket has no such object.")
    return ObjectSelection(text, kind, found, problem)


def described(bucket: Bucket, key: str) -> ObjectInfo | None:
    """Describe an object; None without one, also where the bucket could never have such a key."""
    try:
        return bucket.head(key)
    except ObjectNotFound:
        return None


def key_fault(key: str) -> str:
    """Say why no object may be written under a key, "" where it may.

    Keys that programs could take for paths to elsewhere are refused when they are made; those that are there already
    can be read, moved away and removed.
    """
    if not key or key.startswith("/") or any(part in {"", ".", ".."} for part in key.split("/")):
        return "a key may have no empty, '.' or '..' segment."
    if UNSAFE.search(key):
        return "a key may have no control characters and no backslashes."
    if is_reserved(key):
        return f"{OWN_FOLDER} is s3img's own folder."
    if len(key.encode()) > MAX_KEY:
        return f"a key may have at most {MAX_KEY} bytes."
    return ""


def check_wildcards(source: ObjectSelection, target: str) -> None:
    """Raise ConfigError for a target that does not say what each object shall be called."""
    wanted = len(_WILDCARD.findall(target))
    if source.kind == "folder" and not target.endswith("/") and target:
        raise ConfigError([f"{target!r}: {source.text!r} is a folder, and so must be its new name: write {target}/"])
    if source.kind == "pattern" and target and not target.endswith("/"):
        given = len(_WILDCARD.findall(source.text))
        if wanted != given:
            raise ConfigError(
                [f"{target!r}: needs the {given} wildcards of {source.text!r}, in their order, or a / at its end"]
            )


def is_most_of(bucket: Bucket, number: int) -> bool:
    """Tell whether so many objects are more than half of a bucket; list it only as far as it takes to know."""
    others = 0
    for info in bucket.list():
        others += not is_own(info.key)
        if others >= 2 * number:
            return False
    return 2 * number > others
