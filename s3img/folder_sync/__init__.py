"""Folders of images and the lock: plan, sync, check and pull; see ``docs/sync.md``."""
