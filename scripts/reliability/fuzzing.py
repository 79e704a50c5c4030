"""Feed damaged input to everything that reads what others wrote, and keep what leads somewhere new.

Each input is written to a file before it is read: a process that dies or hangs leaves it behind.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import random
import re
import resource
import subprocess
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz_readers import DATA, READERS, corpus_file, seeds

from s3img.errors import S3ImgError

if TYPE_CHECKING:
    import argparse

SLOW = 5.0
"""Seconds of a processor after which an input of a few kB counts as a find."""
HANGS = 120
"""Seconds by the clock after which a process that reads one input is ended."""
MOST_MEMORY = 6_000_000_000
MOST_KEPT = 40
"""Inputs of a kind that a corpus takes, each no larger than so many bytes."""
MOST_BYTES = 1200
SHOWN = 20
FOUND = "found"
WEIGHTS = {"image": 8, "text/html": 3, "text/markdown": 2, "signature": 2}
"""How many times the share of the others a kind gets of the time."""
_MARKS = (b"<", b'"', b"(", b"&#", b"</", b"<!--", b"`", b"[", b"%", b",", b":", b"-", b"\0", b"\r\n", b"\xed\xa0\x80")
_NUMBERS = (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"9" * 40, b"-1", b"1e999", b"0x", b"NaN")


def mutated(chance: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    data = bytearray(seed)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(8):
            case 0 if data:
                data[min(at, len(data) - 1)] = chance.randrange(256)
            case 1:
                del data[at : at + chance.choice([1, 4, 64, len(data)])]
            case 2:
                data[at:at] = data[at : at + chance.randrange(1, 64)] * chance.choice([1, 2, 50])
            case 3:
                data[at:at] = chance.randbytes(chance.choice([1, 4, 20]))
            case 4:
                other = chance.choice(others)
                data[at:] = other[chance.randrange(len(other) + 1) :]
            case 5:
                data[at : at + 4] = chance.choice(_NUMBERS)
            case 6:
                data[at : at + 1] = chance.choice(_MARKS) * chance.choice([1, 1, 3, 2000])
            case _:
                data[at:at] = chance.choice(_MARKS)
    return bytes(data[:200_000])


def outcome(kind: str, data: bytes) -> tuple[str, ...]:
    """Read an input; return where that led: what came out, or which line refused it. Raise what nobody expects."""
    try:
        found: tuple[str, ...] = ("read", str(READERS[kind](data)))
    except S3ImgError as error:
        frames = traceback.extract_tb(error.__traceback__)[-2:]
        found = (type(error).__name__, *(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames))
    return tuple(re.sub(r"\d{3,}", "", part)[:200] for part in found)


def fuzz_one_process(arguments: argparse.Namespace) -> None:
    """Fuzz until the time is over; print each find as a line of JSON, and the numbers of inputs as the last one."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    chance = random.Random(arguments.seed)
    inputs = {kind: found for kind, found in seeds().items() if kind in arguments.kinds}
    known = {kind: set[tuple[str, ...]]() for kind in inputs}
    kept: dict[str, list[bytes]] = {kind: [] for kind in inputs}
    tries = Counter[str]()
    spent = dict.fromkeys(inputs, 0.0)
    current = Path(arguments.current)
    end = time.monotonic() + arguments.minutes * 60
    while time.monotonic() < end:
        kind = min(spent, key=lambda name: (tries[name] >= len(inputs[name]), spent[name] / WEIGHTS.get(name, 1)))
        first = tries[kind] < len(inputs[kind])
        data = inputs[kind][tries[kind]] if first else mutated(chance, chance.choice(inputs[kind]), inputs[kind])
        tries[kind] += 1
        current.write_bytes(kind.encode() + b"\n" + data)
        faulthandler.dump_traceback_later(HANGS, exit=True)
        started = time.process_time()  # on a busy machine, waiting would count as slowness
        try:
            led = outcome(kind, data)
        except Exception as error:  # whatever else comes out is what this looks for; once from each place
            last = traceback.extract_tb(error.__traceback__)[-1]
            led = (FOUND, type(error).__name__, f"{last.filename}:{last.lineno}")
            if led not in known[kind]:
                print(json.dumps([kind, traceback.format_exc(limit=-4), data.decode("latin-1")]), flush=True)
        seconds = time.process_time() - started
        spent[kind] += seconds
        if seconds > SLOW:
            print(json.dumps([kind, f"{seconds:.1f} s for {len(data)} bytes", data.decode("latin-1")]), flush=True)
        if led not in known[kind]:
            known[kind].add(led)
            if not first and len(data) <= 20_000:
                inputs[kind].append(data)
                kept[kind] += [data] if len(data) <= MOST_BYTES and led[0] != FOUND else []
    faulthandler.cancel_dump_traceback_later()
    if arguments.keep:
        for kind, found in kept.items():
            keep(kind, found)
    print(json.dumps({"tries": tries, "seconds": sum(spent.values())}), flush=True)


def keep(kind: str, found: list[bytes]) -> None:
    """Add inputs to the corpus of a kind, as far as it has room."""
    file = corpus_file(kind)
    file.parent.mkdir(exist_ok=True)
    lines = file.read_text().splitlines() if file.exists() else []
    lines += [json.dumps(data.decode("latin-1")) for data in sorted(found, key=len)]
    file.write_text("".join(f"{line}\n" for line in dict.fromkeys(lines[:MOST_KEPT])))


def fuzz(arguments: argparse.Namespace, _: object, folder: Path) -> list[str]:
    """Let processes of their own fuzz, one after another as they die; return what they found."""
    found, tries, spent = list[str](), Counter[str](), 0.0
    end = time.monotonic() + arguments.minutes * 60
    number = 0
    while time.monotonic() < end and len(found) < SHOWN:
        current = folder / "current"
        command = [
            sys.executable,
            str(Path(__file__).parent),
            "fuzz",
            "--current",
            str(current),
            "--kinds",
            *arguments.kinds,
        ]
        command += ["--minutes", str((end - time.monotonic()) / 60), "--seed", f"{arguments.seed}-{number}"]
        command += ["--keep"] if arguments.keep else []
        number += 1
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            out, err = process.communicate()
        for line in out.splitlines():
            match json.loads(line):
                case [kind, what, data]:
                    found.append(f"{kind}: {what}\n{_kept(data.encode('latin-1'))}")
                case numbers:
                    tries.update(numbers["tries"])
                    spent += numbers["seconds"]
        if process.returncode:
            data = current.read_bytes() if current.exists() else b""
            found.append(f"a process ended with {process.returncode}: {err[-2000:]}\n{_kept(data)}")
    for kind, count in tries.items():
        print(f"fuzz   {count:9,} {kind}")
    print(f"fuzz   {tries.total():,} inputs of {len(tries)} kinds, {spent / 60:.1f} min of work, {len(found)} found")
    return found


def _kept(data: bytes) -> str:
    folder = DATA.parents[1] / ".cache" / "fuzz-found"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / hashlib.sha256(data).hexdigest()[:12]
    file.write_bytes(data)
    return f"input: {file}"
