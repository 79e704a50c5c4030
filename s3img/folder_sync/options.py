"""How a sync is to be done."""

from __future__ import annotations

from s3img.value import Value


class Options(Value, frozen=True):
    """Choose how to sync.

    ``verify`` lists the bucket whatever is known of it; ``prune`` drops lines of images that are not on disk;
    ``listed_only`` leaves out images that the lock does not name.
    """

    verify: bool = False
    prune: bool = False
    listed_only: bool = False
