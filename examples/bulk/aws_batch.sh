#!/bin/sh
# Render a bucket as an array job of AWS Batch, a part a task. The command of the job definition:
#   aws batch submit-job --job-name s3img --job-queue QUEUE --job-definition s3img --array-properties size=32
# with PARTS=32 in its environment, and a role that may read and write the bucket. Several tries are safe.
s3img render --variants --shard "$((AWS_BATCH_JOB_ARRAY_INDEX + 1))/${PARTS:?}"
