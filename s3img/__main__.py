"""Run the command line as ``python -m s3img``, and as ``s3img``."""

from __future__ import annotations

import gc


def main() -> None:
    """Load the command line and run it."""
    gc.set_threshold(200_000)  # or a tenth of a quick command is spent on looking for garbage in what it imports
    from s3img.cli import main as run

    try:
        run()
    finally:
        gc.freeze()  # what ends with the process needs no collecting


if __name__ == "__main__":
    main()
