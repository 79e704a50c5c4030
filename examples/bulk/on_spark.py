"""Render a bucket on Spark, a part a task: ``spark-submit on_spark.py [PARTS]``; settings in s3img.toml."""

import sys

from pyspark.sql import SparkSession

from s3img import Images
from s3img.bulk import BulkRequest, ShardPart
from s3img.config.load import load

count = int(sys.argv[1]) if sys.argv[1:] else 64


def render_part(number: int) -> str:
    """Do one part; what other tasks do need not be known."""
    request = BulkRequest(variants=True, part=ShardPart(number, count))
    return str(Images(load()).render_many(request, workers=1))


spark = SparkSession.builder.appName("s3img").getOrCreate()
for report in spark.sparkContext.parallelize(range(1, count + 1), count).map(render_part).collect():
    sys.stdout.write(f"{report}\n")
spark.stop()
