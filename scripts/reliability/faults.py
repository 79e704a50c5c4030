"""Break the network between commands and their store, in every way that the proxy knows."""

from __future__ import annotations

import itertools
import random
import re
import signal
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fault_proxy import FAULTS, FaultProxy, fault_proxy
from forked_runs import ForkedRuns
from s3_servers import S3Server, free_ports, new_bucket
from sites import photo
from store_commands import COMMANDS, Command, Place, Reading, World

from s3img import Config, Images
from s3img.bulk import BulkRequest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

NAMES = [name for name in FAULTS if name] + ["reset while sending", "slow down", "internal error", "denied"]
LONGEST = 300.0
"""Seconds within which a run ends, whatever the store does."""
RECOVERS = 60.0
"""Seconds in which a program that serves is itself again after the last fault."""


class Serving(Reading):
    """A program that serves: it answers each request, and goes on when the store is well again."""

    paths: tuple[str, ...] = ("/",)
    body: bytes | None = None

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.port = free_ports(1)[0]
        self.arguments = (*self.arguments, "--port", str(self.port))
        self.problems: list[str] = []
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def enter(self) -> None:
        """Wait until it answers, and get in."""
        self.well(self.paths[0])

    def ask(self, path: str) -> int:
        """Return the status of the answer to one request; 0 where there is none."""
        kind = {"Content-Type": "application/json"} if self.body else {}
        body = self.body.replace(b"FOLDER", str(self.world.folder).encode()) if self.body else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, kind)
        try:
            with self.opener.open(request, timeout=LONGEST) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def well(self, path: str) -> None:
        """Ask until the answer is a good one."""
        end = time.monotonic() + RECOVERS
        while (status := self.ask(path)) != 200:
            if time.monotonic() > end:
                self.problems.append(f"{path} is answered with {status} though the store is well")
                return
            time.sleep(0.2)

    def served(self, proxy: FaultProxy, faults: list[str]) -> None:
        """Ask for everything without faults, through faults, and without them again."""
        proxy.faults = itertools.repeat("")
        self.enter()
        proxy.faults = iter(faults)
        for path in self.paths:
            if (status := self.ask(path)) in {0, 500}:
                self.problems.append(f"{path} is answered with {status or 'nothing'}")
        proxy.faults = itertools.repeat("")
        for path in self.paths:
            self.well(path)


class Serve(Serving):
    """The transform service."""

    arguments = ("serve", "--access", "open", "--insecure")

    def begin(self) -> None:
        super().begin()
        keys = sorted(self.world.stored())
        self.paths = tuple(f"/tr:w-{20 + number}/{key}" for number, key in enumerate(keys[:4]))


class Gallery(Serving):
    """The bucket as web pages."""

    arguments = ("gallery", "--no-open")
    paths = ("/", "/?prefix=img/", "/?q=png")

    def enter(self) -> None:
        """Follow the link that it prints, which works once."""
        end = time.monotonic() + RECOVERS
        while not (link := re.search(r"/\?token=\S+", self.world.runs.printed())) and time.monotonic() < end:
            time.sleep(0.1)
        if link:
            self.well(link[0])


class PicGo(Serving):
    """Uploads of editors."""

    arguments = ("picgo",)
    paths = ("/upload",)
    body = b'{"list": ["FOLDER/img/0.png", "FOLDER/img/1.png"]}'


SERVERS: dict[str, type[Serving]] = {"gallery": Gallery, "picgo": PicGo, "serve": Serve}
"""Commands that serve until they are ended, by name."""


@dataclass
class Figures:
    """What came of one command's runs."""

    name: str
    tries: int = 0
    injected: int = 0
    found: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"faults {self.name:18} {self.tries} runs, {self.injected} faults, {len(self.found)} found"


class FaultLoop:
    """Run one command through every fault, each followed by a run without any."""

    def __init__(self, name: str, command: Command, proxy: FaultProxy, chance: random.Random) -> None:
        self.figures = Figures(name)
        self._command = command
        self._proxy = proxy
        self._chance = chance

    def run(self, rounds: int, names: Sequence[str] = NAMES) -> Figures:
        """Run through each of the faults."""
        self._command.begin()
        requests = self._count_requests()
        for fault, _ in itertools.product(names, range(rounds)):
            self._proxy.faults = itertools.repeat("")
            self._command.world.go_back()
            skipped, times = self._chance.randrange(requests), self._chance.choice([1, 3, 50])
            before = self._proxy.injected
            if isinstance(self._command, Serving):
                self._serve(fault, [""] * skipped + [fault] * min(times, 9))
            else:
                self._end(fault, [""] * skipped + [fault] * times)
            self.figures.tries += 1
            self.figures.injected += self._proxy.injected - before
        return self.figures

    def _count_requests(self) -> int:
        """Return how many requests a run sends, so that a fault can hit each of them; of programs that serve, a few."""
        if isinstance(self._command, Serving):
            return 3
        numbers = itertools.count()
        self._proxy.faults = ("" for _ in numbers)
        ended = self._command.world.run(self._command.arguments)
        if ended.code not in self._command.again or not (requests := next(numbers)):
            raise AssertionError(f"an undisturbed run ends with {ended.code} and asks nothing: {ended.printed[-300:]}")
        return requests

    def _end(self, fault: str, faults: list[str]) -> None:
        """Run a command that ends by itself."""
        command = self._command
        self._proxy.faults = iter(faults)
        ended = command.world.run(command.arguments, seconds=LONGEST)
        self._note(fault, [*command.lost(ended.printed)])
        if ended.code < 0:
            self._note(fault, [f"did not end within {LONGEST:g} s: {ended.printed[-300:]}"])
        if "Traceback" in ended.printed:
            self._note(fault, [ended.printed[-700:]])
        self._proxy.faults = itertools.repeat("")
        for _ in range(command.runs):
            ended = command.world.run(command.arguments)
            if ended.code not in command.again:
                self._note(fault, [f"the next run ends with {ended.code}: {ended.printed[-300:]}"])
        self._note(f"{fault}, then", [*command.lost(ended.printed), *command.unfinished()])

    def _serve(self, fault: str, faults: list[str]) -> None:
        """Ask a program that serves."""
        command = self._command
        assert isinstance(command, Serving)
        command.problems.clear()
        ended = command.world.run(
            command.arguments, meanwhile=lambda: command.served(self._proxy, faults), ends_with=signal.SIGTERM
        )
        self._note(fault, [*command.problems, *command.lost("")])
        if "Traceback" in ended.printed or ended.code == -signal.SIGKILL:
            self._note(fault, [f"ends with {ended.code}: {ended.printed[-700:]}"])

    def _note(self, fault: str, problems: list[str]) -> None:
        self.figures.found += [f"{self.figures.name}, {fault}: {problem}" for problem in problems]


def faults(arguments: argparse.Namespace, server: S3Server, folder: Path) -> list[str]:
    """Run each command with each fault; it ends, says why, and has broken nothing. Most of the time is waiting."""
    rows: dict[str, type[Command]] = {**COMMANDS, **SERVERS}

    def run(name: str) -> Figures:
        with fault_proxy(server.endpoint_url) as proxy, ForkedRuns() as runs:
            world = World(folder / f"faults-{name}", Place.of_server(new_bucket(server), proxy.endpoint_url), runs)
            loop = FaultLoop(name, rows[name](world), proxy, random.Random(f"{arguments.seed} {name}"))
            try:
                figures = loop.run(arguments.rounds)
            except Exception as error:
                loop.figures.found.append(f"{name}: the loop itself ended: {error!r}")
                figures = loop.figures
        print(figures, *figures.found, sep="\n       ", flush=True)
        return figures

    names = [name for name in rows if name in arguments.commands]
    with ThreadPoolExecutor(arguments.parallel) as pool:
        results = [*pool.map(run, names)]
    tries, injected = sum(one.tries for one in results), sum(one.injected for one in results)
    print(f"faults {tries} runs of {len(results)} commands, {injected} faults")
    return [problem for one in results for problem in one.found]


REFUSED = 0.3
"""Share of requests that the busy store refuses, and the times as long that a run may take through it."""
LONGER = 3.0


def busy(arguments: argparse.Namespace, server: S3Server, _: Path) -> list[str]:
    """Render a bucket through a store that refuses three requests in ten with 503, and one that refuses none, in turn.

    Nothing may be lost, and the busy one may take three times as long, by the median of the pairs.
    """
    chance = random.Random(arguments.seed)
    pairs, waited, found = [], 0.0, []
    with fault_proxy(server.endpoint_url) as proxy:
        for number in range(arguments.rounds):
            seconds = []
            for share in (0.0, REFUSED):
                store = new_bucket(server)
                for picture in range(arguments.pictures):
                    store.bucket.put(f"{picture:04}.jpg", photo(640, 480, seed=picture % 8), media_type="image/jpeg")
                proxy.faults = ("slow down" if chance.random() < share else "" for _ in itertools.count())
                config = Config(
                    bucket=store.address,
                    endpoint_url=proxy.endpoint_url,
                    addressing_style="path",
                    region="us-east-1",
                    widths=(160, 320),
                    formats=("webp",),
                )
                environ = {"S3IMG_ACCESS_KEY_ID": server.access_key, "S3IMG_SECRET_ACCESS_KEY": server.secret_key}
                started = time.monotonic()
                report = Images(config, environ=environ).render_many(BulkRequest(variants=True), workers=2)
                seconds.append(time.monotonic() - started)
                waited += report.done.waited
                if (report.done.rendered, report.exit_code) != (4 * arguments.pictures, 0):
                    found.append(f"round {number}, {share:.0%} refused: {report}")
            pairs.append(seconds[1] / seconds[0])
    times = sorted(pairs)[len(pairs) // 2]
    if times >= LONGER:
        found.append(f"three requests in ten refused: {times:.1f} times as long")
    print(f"busy   {times:.2f} times as long, {proxy.injected} refusals, {waited:.1f} s of pauses, {len(found)} found")
    return found
