"""Render what a whole bucket lacks, in shards, on threads, processes or machines.

``Images.render_many`` is the way in. A listing becomes shards (`shards`), each shard one task of an executor
(`bulk_run`, `shard_worker`), and what became of it a report and a checkpoint in the bucket (`shard_report`).
"""

from s3img.bulk.bulk_run import BulkRequest
from s3img.bulk.shards import ShardPart

__all__ = ["BulkRequest", "ShardPart"]
