"""Render the variants of a bucket on Dask: ``python render.py [tcp://SCHEDULER:8786]``; settings in s3img.toml."""

import sys

from s3img import Images
from s3img.bulk import BulkRequest
from s3img.config.load import load


def main(address: str = "") -> int:
    """Run, print the report, and return the exit code."""
    executor = f"dask={address}" if address else "dask"
    report = Images(load()).render_many(BulkRequest(variants=True), executor=executor)
    sys.stdout.write(f"{report}\n")
    return report.exit_code


if __name__ == "__main__":  # worker processes import this file
    sys.exit(main(*sys.argv[1:2]))
