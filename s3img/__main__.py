"""Run the command line as ``python -m s3img``."""

from s3img.cli import main

main()
