"""What a process that renders is sent and what it answers; both go through one stream socket.

A call is two lengths, a pickle (what to do) and the source's bytes. A reply is a length, a head and the results' bytes.
The head is plain data: a decoder that was taken over could put anything into a pickle, and the reader would run it.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from s3img.errors import (
    DigestMismatch,
    ImageError,
    ImageTooLarge,
    S3ImgError,
    TextError,
    TransformError,
    UnsupportedImage,
)
from s3img.imaging.image_info import Rendered

if TYPE_CHECKING:
    from collections.abc import Sequence

CALL: Final = struct.Struct(">QQ")
"""Bytes of the pickle and of the source."""
REPLY: Final = struct.Struct(">I")
"""Bytes of the head."""
LONGEST_HEAD: Final = 1 << 20
LONGEST_REPLY: Final = 1 << 31
"""Bytes of results; more is not an answer to any call."""

_CLASSES: Final = (ImageError, DigestMismatch, UnsupportedImage, ImageTooLarge, TextError, TransformError)
_KINDS: Final = {kind.__name__: kind for kind in _CLASSES}


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What a task made: pictures, or the errors that took their place, and the seconds of its steps by name."""

    pictures: Sequence[Rendered | S3ImgError]
    seconds: dict[str, float] = field(default_factory=dict)


Task: TypeAlias = Callable[[bytes], TaskResult]
"""A function of a module, or a ``partial`` of one, called with the source's bytes."""


class TaskCall(msgspec.Struct, frozen=True):
    """What to do: ``memory`` bytes may be taken for it beyond what the process has at its start."""

    task: Task
    memory: int

    def pack(self, data: bytes) -> bytes:
        """Return what stands before the source's bytes."""
        body = pickle.dumps((self.task, self.memory), pickle.HIGHEST_PROTOCOL)
        return CALL.pack(len(body), len(data)) + body

    @classmethod
    def unpack(cls, body: bytes) -> TaskCall:
        """Read a call, which comes from the process that started this one."""
        return cls(*pickle.loads(body))  # noqa: S301 - from the parent, which could run anything here anyway


class ErrorRecord(msgspec.Struct, frozen=True, array_like=True):
    """An error as plain data; ``details`` are what its class takes beside message and fix."""

    kind: str
    message: str
    fix: str
    details: dict[str, str | int] = {}

    @classmethod
    def of(cls, error: S3ImgError) -> ErrorRecord:
        """Describe an error; one of an unknown class is an `ImageError`."""
        name = next((one.__name__ for one in type(error).__mro__ if one.__name__ in _KINDS), "ImageError")
        text, transform = ("token", "suggestion"), ("token", "position", "suggestion")
        names = {"ImageTooLarge": ("limit",), "TextError": text, "TransformError": transform}.get(name, ())
        return cls(name, error.message, error.fix, {name: getattr(error, name) for name in names})

    def error(self) -> S3ImgError:
        """Return the error; what does not describe one is an `ImageError`."""
        try:
            error = _KINDS[self.kind](self.message, **self.details)  # type: ignore[arg-type] # checked by calling it
        except (KeyError, TypeError):
            error = ImageError(self.message)
        error.fix = self.fix
        return error


class PictureRecord(msgspec.Struct, frozen=True, array_like=True):
    """A picture of ``size`` bytes as plain data, or an error."""

    media_type: str = ""
    width: int = 0
    height: int = 0
    size: int = 0
    error: ErrorRecord | None = None


class ReplyHead(msgspec.Struct, frozen=True, array_like=True):
    """What a task made, without the bytes; ``bug`` is the traceback of an exception that nobody foresaw."""

    pictures: list[PictureRecord] = []
    seconds: dict[str, float] = {}
    error: ErrorRecord | None = None
    bug: str = ""


def pack_reply(result: TaskResult) -> list[bytes]:
    """Return the parts of a reply, in order."""
    records = [
        PictureRecord(one.media_type, one.width, one.height, len(one.data))
        if isinstance(one, Rendered)
        else PictureRecord(error=ErrorRecord.of(one))
        for one in result.pictures
    ]
    bodies = [one.data for one in result.pictures if isinstance(one, Rendered)]
    return [*pack_head(ReplyHead(records, result.seconds)), *bodies]


def pack_head(head: ReplyHead) -> list[bytes]:
    """Return the parts of a reply that has no bytes."""
    packed = msgspec.msgpack.encode(head)
    return [REPLY.pack(len(packed)), packed]


def unpack_reply(head: ReplyHead, read: Callable[[int], bytes]) -> TaskResult:
    """Return what a task made, or raise what it raised; ``read`` gives the next bytes."""
    if head.error is not None:
        raise head.error.error()
    if head.bug:
        bug = RuntimeError("A process that renders met an exception that nobody foresaw.")
        bug.add_note(head.bug)
        raise bug
    pictures = [
        Rendered(read(one.size), one.media_type, one.width, one.height) if one.error is None else one.error.error()
        for one in head.pictures
    ]
    return TaskResult(pictures, head.seconds)
