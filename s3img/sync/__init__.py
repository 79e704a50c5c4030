"""Folders and their lock: every image put into the bucket as it is, or with its variants."""
