"""Clean-up of a bucket: which objects nothing refers to any more, and how they go without hurting a running build.

The order of things, and why no build loses an object, is in ``docs/gc.md``. Nothing is imported here: whoever uploads
needs the marks and references, not the clean-up itself.
"""
