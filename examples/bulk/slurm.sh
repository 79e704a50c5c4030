#!/bin/sh
#SBATCH --job-name=s3img
#SBATCH --array=1-32
#SBATCH --cpus-per-task=1
# Render a bucket as a job array, a part a task: sbatch slurm.sh; settings in s3img.toml of the folder it is sent from.
s3img render --variants --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --processes "${SLURM_CPUS_PER_TASK:-1}" --executor processes
