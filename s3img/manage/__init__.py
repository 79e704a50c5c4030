"""The objects of a bucket, managed: found, moved with what refers to them, removed to the trash and restored.

What the command line (``ls``, ``rm``, ``mv``, ``restore``, ``used``) and the gallery do, they do through here.
"""

from __future__ import annotations

from s3img.manage.moving import CopyResult, Move, MovePlan, MoveResult, copy_objects, move, plan_move
from s3img.manage.object_search import ObjectFilter, search, sort_objects
from s3img.manage.removal import RemoveResult, remove, restore_from_trash
from s3img.manage.usage import Use, find_uses

__all__ = [
    "CopyResult",
    "Move",
    "MovePlan",
    "MoveResult",
    "ObjectFilter",
    "RemoveResult",
    "Use",
    "copy_objects",
    "find_uses",
    "move",
    "plan_move",
    "remove",
    "restore_from_trash",
    "search",
    "sort_objects",
]
