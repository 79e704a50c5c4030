"""Kill each command at moments drawn by chance, and let it run again."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

from forked_runs import ForkedRuns
from s3_servers import S3Server, new_bucket
from store_commands import COMMANDS, Command, Place, World

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

TWICE = 0.75
"""Share of the tries in which the run after a kill is killed as well."""


class KillLoop:
    """Kill one command on one store until so many kills have landed."""

    def __init__(self, command: Command, chance: random.Random) -> None:
        self._command = command
        self._world = command.world
        self._chance = chance
        self.landed = self.tries = 0
        self._expected: set[str] = set()
        self._length = 0.0

    def measure(self) -> Iterator[str]:
        """Run the command undisturbed, twice, and remember how long it takes and where it ends."""
        self._command.begin()
        lengths = []
        for _ in range(2):
            self._world.go_back()
            ended = self._world.run(self._command.arguments)
            if ended.code:
                yield f"it ends with {ended.code} undisturbed: {ended.printed[-500:]}"
            lengths.append(ended.seconds)
        self._length = max(lengths)
        yield from self._finish(self._command.runs - 1)
        self._expected = self._world.names()

    def one(self) -> Iterator[str]:
        """Kill one run, or two in a row, then let it end; yield what is wrong."""
        self._world.go_back()
        is_last = False
        while not is_last:
            ended = self._world.run(self._command.arguments, seconds=self._length * self._chance.random())
            self.tries += 1
            self.landed += ended.is_landed
            if ended.code >= 0:  # the machine was less busy than it was when this was measured
                self._length = 0.7 * self._length + 0.3 * ended.seconds
            yield from (f"killed: {problem}" for problem in self._command.lost(ended.printed))
            if "Traceback" in ended.printed:
                yield f"killed: {ended.printed[-500:]}"
            is_last = self._chance.random() > TWICE
        self._world.make_older()
        yield from self._finish(self._command.runs)
        names = self._world.names()
        if names != self._expected:
            more, fewer = sorted(names - self._expected)[:3], sorted(self._expected - names)[:3]
            yield f"the end is another one: {more} are too many, {fewer} are missing"

    def _finish(self, runs: int) -> Iterator[str]:
        """Let runs end, and one more, which has nothing to do."""
        command = self._command
        for number in range(runs):
            ended = self._world.run(command.arguments)
            # One that was killed at its last moment has left nothing to do.
            if ended.code not in command.again:
                yield f"run {number + 1} ends with {ended.code}: {ended.printed[-500:]}"
            yield from (f"run {number + 1}: {problem}" for problem in command.lost(ended.printed))
        yield from (f"at its end: {problem}" for problem in command.unfinished())
        if left := self._world.left_behind():
            yield f"left behind: {[str(path.relative_to(self._world.folder.parent)) for path in left][:3]}"
        before = self._world.contents()
        ended = self._world.run(command.arguments)
        if ended.code not in command.again:
            yield f"with nothing to do: ends with {ended.code}: {ended.printed[-500:]}"
        if command.settles and (after := self._world.contents()) != before:
            yield f"with nothing to do: changes {sorted({name for name, _ in before.items() ^ after.items()})[:3]}"


def kills(arguments: argparse.Namespace, server: S3Server, folder: Path) -> list[str]:
    """Kill each command so many times in a folder, and as many times in a store."""
    found: list[str] = []
    with ForkedRuns() as runs:
        for name in arguments.commands:
            for kind in arguments.stores:
                root = folder / f"{name}-{kind}"
                (root / "bucket").mkdir(parents=True)
                place = Place.of_folder(root / "bucket") if kind == "folder" else Place.of_server(new_bucket(server))
                loop = KillLoop(
                    COMMANDS[name](World(root, place, runs)), random.Random(f"{arguments.seed} {name} {kind}")
                )
                problems = [*loop.measure()]
                while loop.landed < arguments.kills and len(problems) < 10:
                    problems += loop.one()
                print(f"kills  {name:18} {kind:9} {loop.landed} landed of {loop.tries}, {len(problems)} found")
                for problem in problems:
                    print(f"       {problem}")
                sys.stdout.flush()
                found += [f"{name}, {kind}: {problem}" for problem in problems]
    return found
