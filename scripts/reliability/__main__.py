"""Kill commands, break the network under them, and feed every parser damaged input, for as long as it is worth.

For a nightly job, in an environment with the test dependencies; each part prints its figures and ends with 1 when it
found something:

    python scripts/reliability kills --kills 100       # of each command on each kind of store: kill -9 at any moment
    python scripts/reliability faults --rounds 3       # each command through each fault of a network
    python scripts/reliability busy --rounds 3         # a bulk run through a store that refuses three in ten
    python scripts/reliability fuzz --minutes 60       # everything that reads what others wrote
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))

import faults
import fuzz_readers
import fuzzing
import kills
from s3_servers import running_seaweedfs
from store_commands import COMMANDS, KILLED

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS: dict[str, Callable[[argparse.Namespace, Any, Path], list[str]]] = {
    "kills": kills.kills,
    "faults": faults.faults,
    "busy": faults.busy,
    "fuzz": fuzzing.fuzz,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--kills", type=int, default=100, help="kills that land, for each command on each store")
    parser.add_argument("--rounds", type=int, default=3, help="tries of each fault, for each command")
    parser.add_argument("--pictures", type=int, default=200, help="pictures of a bucket on a busy store")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--kinds", nargs="*", default=[*fuzz_readers.READERS], choices=fuzz_readers.READERS)
    parser.add_argument("--keep", action="store_true", help="add inputs that led somewhere new to tests/data/fuzz")
    parser.add_argument("--current", help=argparse.SUPPRESS)  # a process that fuzzes: where its input is
    parser.add_argument("--stores", nargs="*", default=["folder", "seaweedfs"], choices=["folder", "seaweedfs"])
    parser.add_argument("--parallel", type=int, default=8, help="commands that wait for a broken network at a time")
    names = [*COMMANDS, *faults.SERVERS]
    parser.add_argument("--commands", nargs="*", choices=names, help="default: all that the part has a row for")
    arguments = parser.parse_args()
    if arguments.current:
        fuzzing.fuzz_one_process(arguments)
        return
    arguments.commands = arguments.commands or (KILLED if arguments.part == "kills" else names)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        needs_store = arguments.part != "fuzz"
        server = stack.enter_context(running_seaweedfs(folder)) if needs_store else None
        found = PARTS[arguments.part](arguments, server, folder)
    for problem in found[:50]:
        print(problem)
    print(f"seed {arguments.seed}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
