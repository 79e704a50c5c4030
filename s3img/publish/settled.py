"""What a site still needs where pages have nothing left to do: that nobody takes away the objects that they show.

Pages that an earlier run finished are not published again, and yet others can change what is true of them: a later
build of the site supersedes their reference, a clean-up marks or deletes what only they show.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from s3img.buckets.s3.s3_bucket import S3Bucket
from s3img.gc.references import is_named, reference_folder
from s3img.publish.files import record_keys, recorded_keys
from s3img.publish.result import Problem

if TYPE_CHECKING:
    from collections.abc import Set

    from s3img.buckets import Bucket
    from s3img.config import Config
    from s3img.pictures.placement import PublicAddress
    from s3img.publish.files import SiteFiles
    from s3img.transfer.delivery import Delivery

FRESH_SECONDS = 86_400.0
"""How long it is believed that the objects are there that a machine has seen."""


def is_fresh(files: SiteFiles) -> bool:
    """Tell whether what this machine has seen of the bucket is still believed; a clock that was set back is not."""
    return 0 <= time.time() - files.state.confirmed < FRESH_SECONDS


def is_confirmed(files: SiteFiles, config: Config, bucket: Bucket) -> bool:
    """Tell whether the site's last reference still is to what its finished pages show; takes at most one listing."""
    if not is_fresh(files):
        return False
    folder = reference_folder(config.site_url)
    # A store that passes half of a listing for all of it could hide a later reference, but never make one up.
    listed = bucket.list_few(folder) if isinstance(bucket, S3Bucket) else bucket.list(folder)
    return is_named(listed, recorded_keys(files.root.root), site=config.site_url)


def confirm(files: SiteFiles, config: Config, delivery: Delivery, address: PublicAddress) -> list[Problem]:
    """Claim what the finished pages show, unless the site's last reference does, and see that it is there.

    Takes one listing of the site's references; once a day, and where the claim is lost, one of the bucket. Raise
    BucketError, and AssetError where the site's record can't be read or written.
    """
    if is_fresh(files) and delivery.has_last_claim(recorded_keys(files.root.root), site=config.site_url):
        return []
    shown = shown_keys(files, address)
    delivery.snapshot()  # before the record is written: where the bucket can't be asked, nothing was claimed
    every = record_keys(files.root.root, shown, address=address.base_url)
    delivery.claim(every, site=config.site_url)
    return hold(every, shown, delivery)


def hold(every: Set[str], shown: Set[str], delivery: Delivery) -> list[Problem]:
    """Keep what finished pages show and somebody marked or deleted; name what is gone for good.

    ``every`` are the keys of the site's record, variants that were not worth an upload included: that one of those is
    missing means nothing.
    """
    marked = every & delivery.snapshot().marked
    gone = sorted(delivery.hold(marked | shown) & shown)
    if not gone:
        return []
    message = (
        f"{len(gone)} of the objects that finished pages show are not in the bucket any more, {gone[0]!r} for one. "
        "Build the site anew and publish it."
    )
    return [Problem("", 0, 0, "gone", message, "error")]


def shown_keys(files: SiteFiles, address: PublicAddress) -> frozenset[str]:
    """Return the keys that the finished pages of a site point at."""
    from s3img.rewrite import OPTIONAL_KINDS, find_references  # not above: most runs end without any page being read

    start = f"{address.base_url}/".encode()
    urls: set[str] = set()
    for path, media_type in files.pages:
        if path in files.settled:
            data = files.root.file(path).read_bytes()
            if start in data:
                found = find_references(data, media_type, optional=OPTIONAL_KINDS)
                urls.update(reference.url for reference in found if address.owns(reference.url))
    return frozenset(address.keys_of(urls))
