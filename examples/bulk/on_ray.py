"""Render a bucket on Ray, a part a task: ``python on_ray.py [PARTS]``; settings in s3img.toml."""

import sys

import ray

from s3img import Images
from s3img.bulk import BulkRequest, ShardPart
from s3img.config.load import load


@ray.remote
def render_part(number: int, count: int) -> str:
    """Do one part; what other tasks do need not be known."""
    request = BulkRequest(variants=True, part=ShardPart(number, count))
    return str(Images(load()).render_many(request, workers=1))


count = int(sys.argv[1]) if sys.argv[1:] else 64
ray.init()
for report in ray.get([render_part.remote(number, count) for number in range(1, count + 1)]):
    sys.stdout.write(f"{report}\n")
