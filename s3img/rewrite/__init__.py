"""Find and rewrite image references in HTML, CSS and more; every other byte stays as it is.

Pure: no input or output, no parser library, time linear in the length of the data, no exception for any data.
"""

from __future__ import annotations

from s3img.rewrite.document import find_references, rewrite
from s3img.rewrite.formats import OPTIONAL_KINDS
from s3img.rewrite.html import head_end, meta_contents
from s3img.rewrite.html.stream import Stream
from s3img.rewrite.reference import Attribute, Reference, Replace, Replacement, Tag, TagEdit, position
from s3img.rewrite.splice import splice

__all__ = [
    "OPTIONAL_KINDS",
    "Attribute",
    "Reference",
    "Replace",
    "Replacement",
    "Stream",
    "Tag",
    "TagEdit",
    "find_references",
    "head_end",
    "meta_contents",
    "position",
    "rewrite",
    "splice",
]
