"""Kill commands, break the network under them, and feed every parser damaged input, for as long as it is worth.

For a nightly job, in an environment with the test dependencies; each part prints a line of figures and ends with 1 when
it found something:

    python scripts/reliability.py kills --kills 200       # of each command: kill -9 at any moment
    python scripts/reliability.py faults --rounds 5       # each command through each fault of a network
    python scripts/reliability.py busy --rounds 3         # a bulk run through a store that refuses three in ten
    python scripts/reliability.py fuzz --minutes 60       # scanners, decoders and grammars
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from fault_proxy import FAULTS, fault_proxy
from PIL import Image
from s3_servers import S3Server, TestBucket, new_bucket, running_seaweedfs
from sites import photo

from s3img import Config, Images, Transform
from s3img.bulk import BulkRequest
from s3img.errors import S3ImgError
from s3img.imaging import cleaned, describe, probe
from s3img.limits import Limits
from s3img.lock import read_lock
from s3img.rewrite import find_references, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

IMAGES = 8
PAGES = 6


@dataclass
class World:
    """A bucket, and a project with a site, a folder of images and a Markdown file that a command works on."""

    store: TestBucket
    folder: Path
    endpoint_url: str
    problems: list[str] = field(default_factory=list)

    @property
    def public_url(self) -> str:
        return f"{self.store.public_url}"

    def start_again(self) -> None:
        """Bring the project and the bucket back to their first state."""
        self.store.bucket.delete([info.key for info in self.store.bucket.list()])
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "site").mkdir(parents=True)
        (self.folder / "img").mkdir()
        for number in range(IMAGES):
            name = f"{number}.png"
            Image.effect_noise((200 + number, 150), 60).convert("RGB").save(self.folder / "img" / name)
            shutil.copy(self.folder / "img" / name, self.folder / "site" / name)
        images = "".join(f'<p><img src="{number}.png" alt="">' for number in range(IMAGES))
        for number in range(PAGES):
            (self.folder / "site" / f"page-{number}.html").write_text(f"<!doctype html><title>{number}</title>{images}")
        text = "".join(f"![{number}](img/{number}.png)\n\n" for number in range(IMAGES))
        (self.folder / "README.md").write_text(f"# Pictures\n\n{text}")
        settings = {
            "bucket": self.store.address,
            "endpoint_url": self.endpoint_url,
            "region": "us-east-1",
            "public_url": self.public_url,
            "cache_dir": str(self.folder / "cache"),
            "widths": [100],
            "formats": ["webp"],
            "site_url": "https://example.com/",
        }
        lines = (f"{name} = {json.dumps(value)}" for name, value in settings.items())
        (self.folder / "s3img.toml").write_text("\n".join(lines))

    def popen(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        environ = {**os.environ, "AWS_ACCESS_KEY_ID": self.store.server.access_key}
        environ |= {"AWS_SECRET_ACCESS_KEY": self.store.server.secret_key, "HOME": str(self.folder)}
        command = [sys.executable, "-m", "s3img", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, arguments: Sequence[str], *, seconds: float = 300) -> tuple[int, str]:
        """Run a command to its end; return its exit code and all that it printed."""
        with self.popen(arguments) as process:
            try:
                out, err = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                return -1, f"did not end within {seconds:.0f} s"
        return process.returncode, out + err

    def stored(self) -> dict[str, str]:
        """Return the SHA-256 of each object by key."""
        bucket = self.store.bucket
        return {info.key: hashlib.sha256(bucket.get(info.key)).hexdigest() for info in bucket.list()}

    def keys_in(self, text: str) -> set[str]:
        """Return the keys of the bucket that a text points at."""
        found = re.findall(rf"{re.escape(self.public_url)}/([^\s\"'<>),]+)", text)
        return {unquote(key) for key in found}


class Command:
    """One command: how a round begins, what must hold wherever it is killed, and after a run that ended."""

    arguments: tuple[str, ...]

    def __init__(self, world: World) -> None:
        self.world = world

    def prepare(self) -> None:
        """Bring the world to where the command starts."""
        self.world.start_again()

    def broken(self, *, printed: str, ended: bool) -> Iterator[str]:
        """Yield what is wrong with the world."""
        raise NotImplementedError


class Publish(Command):
    """A page is old or new as a whole, and points at nothing that is not there."""

    arguments = ("publish", "site")

    def broken(self, *, printed: str, ended: bool) -> Iterator[str]:  # noqa: ARG002 - the shape of all commands
        stored = self.world.stored()
        for page in sorted((self.world.folder / "site").glob("*.html")):
            text = page.read_text()
            keys = self.world.keys_in(text)
            if missing := keys - stored.keys():
                yield f"{page.name} points at {sorted(missing)[:2]}, which are not there"
            if not keys and 'src="0.png"' not in text:
                yield f"{page.name} is neither old nor new"
            if ended and not keys:
                yield f"{page.name} is still the old one"


class Sync(Command):
    """What the lock names is there, and whole."""

    arguments = ("sync", "img")

    def broken(self, *, printed: str, ended: bool) -> Iterator[str]:  # noqa: ARG002 - the shape of all commands
        stored = self.world.stored()
        entries = [*read_lock(self.world.folder / "s3img.lock", missing_ok=True)]
        for entry in entries:
            if stored.get(entry.key) != entry.sha256:
                yield f"the lock names {entry.key}, which is not there or another image"
        if ended and len(entries) != IMAGES:
            yield f"the lock has {len(entries)} lines of {IMAGES}"


class Upload(Command):
    """An address that was printed leads to the picture."""

    arguments = ("upload", *(f"img/{number}.png" for number in range(IMAGES)), "--template", "u/{{hash:16}}.{{ext}}")

    def broken(self, *, printed: str, ended: bool) -> Iterator[str]:
        keys = self.world.keys_in(printed)
        stored = {key for key in self.world.stored() if not key.startswith(".s3img/")}
        if missing := keys - stored:
            yield f"{sorted(missing)} were printed and are not there"
        if ended and len(stored) != IMAGES:
            yield f"{len(stored)} objects for {IMAGES} pictures"


class Markdown(Command):
    """The text is old or new, and points at nothing that is not there."""

    arguments = ("markdown", "README.md")

    def broken(self, *, printed: str, ended: bool) -> Iterator[str]:  # noqa: ARG002 - the shape of all commands
        text = (self.world.folder / "README.md").read_text()
        keys = self.world.keys_in(text)
        # A picture that could not be stored keeps its own reference, so some may be old where a run had failures.
        if len(keys) + text.count("](img/") != IMAGES or not text.startswith("# Pictures"):
            yield f"README.md has lost references: {len(keys)} of {IMAGES} are new"
        if missing := keys - self.world.stored().keys():
            yield f"README.md points at {sorted(missing)[:2]}, which are not there"
        if ended and len(keys) != IMAGES:
            yield f"README.md is not the new one: {len(keys)} of {IMAGES} references"


class Pull(Command):
    """A file is there whole, or not at all; the lock stays as it is."""

    arguments = ("pull",)

    def prepare(self) -> None:
        super().prepare()
        self.world.run(["sync", "img"])
        self.lock = (self.world.folder / "s3img.lock").read_bytes()
        shutil.rmtree(self.world.folder / "img")

    def broken(self, *, printed: str, ended: bool) -> Iterator[str]:  # noqa: ARG002 - the shape of all commands
        if (self.world.folder / "s3img.lock").read_bytes() != self.lock:
            yield "the lock has changed"
        there = 0
        for entry in read_lock(self.world.folder / "s3img.lock"):
            file = self.world.folder / entry.path
            if file.exists():
                there += 1
                if hashlib.sha256(file.read_bytes()).hexdigest() != entry.sha256:
                    yield f"{entry.path} is not the image of the lock"
        if ended and there != IMAGES:
            yield f"{there} of {IMAGES} files are back"


class Clean(Command):
    """What pages and locks show stays."""

    arguments = ("gc", "--apply", "--grace", "0d", "--history", "0d", "--force", "--keep", "s3img.lock")

    def prepare(self) -> None:
        super().prepare()
        self.world.run(["publish", "site"])
        self.world.run(["sync", "img"])
        for number in range(5):
            data = Image.effect_noise((20, 20), number).tobytes()
            self.world.store.bucket.put(f"old/{number}.png", data, media_type="image/png", metadata={"s3img": "1"})

    def broken(self, *, printed: str, ended: bool) -> Iterator[str]:  # noqa: ARG002 - the shape of all commands
        stored = self.world.stored().keys()
        shown = set().union(*(self.world.keys_in(page.read_text()) for page in self.world.folder.glob("site/*.html")))
        shown |= {entry.key for entry in read_lock(self.world.folder / "s3img.lock")}
        if missing := shown - stored:
            yield f"{sorted(missing)[:3]} are shown and were deleted"


class Managing(Command):
    """No picture is lost, and what the text and the lock show is there."""

    def prepare(self) -> None:
        super().prepare()
        self.world.run(["sync", "img"])
        self.world.run(["markdown", "README.md"])
        self.pictures = {hashlib.sha256(path.read_bytes()).hexdigest() for path in self.world.folder.glob("img/*")}

    def broken(self, *, printed: str, ended: bool) -> Iterator[str]:  # noqa: ARG002 - the shape of all commands
        stored = self.world.stored()
        if lost := self.pictures - {*stored.values()}:
            yield f"{len(lost)} of {IMAGES} pictures are gone"
        there = sum(digest in self.pictures for key, digest in stored.items() if key.startswith(self.target))
        if ended and there < IMAGES:
            yield f"{there} of {IMAGES} pictures are below {self.target}"

    target = ""


class Move(Managing):
    """References follow what is moved, and never lead nowhere."""

    arguments = ("mv", "img/", "pictures/", "--force", "--update", ".")
    target = "pictures/"

    def broken(self, *, printed: str, ended: bool) -> Iterator[str]:
        yield from super().broken(printed=printed, ended=ended)
        shown = self.world.keys_in((self.world.folder / "README.md").read_text())
        shown |= {entry.key for entry in read_lock(self.world.folder / "s3img.lock")}
        if missing := shown - self.world.stored().keys():
            yield f"{sorted(missing)[:3]} are shown and are not there"


class Remove(Managing):
    """What is removed is in the trash."""

    arguments = ("rm", "img/", "--force")
    target = ".s3img/trash/img/"


class Restore(Managing):
    """What is restored was in the trash, until it was there again."""

    arguments = ("restore", "*")
    target = "img/"

    def prepare(self) -> None:
        super().prepare()
        self.world.run(Remove.arguments)


COMMANDS: dict[str, type[Command]] = {
    "publish": Publish,
    "sync": Sync,
    "upload": Upload,
    "markdown": Markdown,
    "pull": Pull,
    "gc": Clean,
    "mv": Move,
    "rm": Remove,
    "restore": Restore,
}


def kills(arguments: argparse.Namespace, server: S3Server, folder: Path) -> list[str]:
    """Kill each command so many times at moments drawn by chance; a run after it must reach its end."""
    found = []
    chance = random.Random(arguments.seed)
    for name in arguments.commands:
        world = World(new_bucket(server), folder / name, server.endpoint_url)
        command = COMMANDS[name](world)
        command.prepare()
        started = time.monotonic()
        code, printed = world.run(command.arguments)
        length = time.monotonic() - started
        if code:
            return [f"{name} ends with {code} undisturbed: {printed[-300:]}"]
        landed = tries = 0
        is_running = False
        while landed < arguments.kills:
            if tries % 4 == 0 or not is_running:  # else the next run finds what the killed one left
                command.prepare()
            tries += 1
            with world.popen(command.arguments) as process:
                time.sleep(length * (0.3 + 0.7 * chance.random()))
                is_running = process.poll() is None
                process.kill()
                printed = process.communicate()[0]
            landed += is_running
            found += [f"{name}, killed: {problem}" for problem in command.broken(printed=printed, ended=False)]
            if tries % 4 == 0:
                code, printed = world.run(command.arguments)
                found += [f"{name}, then run: {problem}" for problem in command.broken(printed=printed, ended=not code)]
                if code:
                    found.append(f"{name} ends with {code} after kills: {printed[-300:]}")
        print(f"kills  {name:10} {landed} landed of {tries}, {len(found)} found", flush=True)
    return found


def faults(arguments: argparse.Namespace, server: S3Server, folder: Path) -> list[str]:
    """Run each command with each fault at each of its first requests; it ends, says why, and has broken nothing."""
    found = []
    names = [name for name in FAULTS if name] + ["slow down", "internal error", "denied"]
    chance = random.Random(arguments.seed)
    for name in arguments.commands:
        tries = 0
        with fault_proxy(server.endpoint_url) as proxy:
            world = World(new_bucket(server), folder / f"faults-{name}", proxy.endpoint_url)
            for fault, _ in itertools.product(names, range(arguments.rounds)):
                proxy.faults = itertools.repeat("")
                command = COMMANDS[name](world)
                command.prepare()
                proxy.faults = itertools.chain([""] * chance.randrange(10), [fault] * chance.choice([1, 3, 50]))
                code, printed = world.run(command.arguments)
                tries += 1
                where = f"{name}, {fault}"
                found += [f"{where}: {problem}" for problem in command.broken(printed=printed, ended=False)]
                if code == -1 or "Traceback" in printed:
                    found.append(f"{where}: {printed[-500:]}")
                proxy.faults = itertools.repeat("")
                code, printed = world.run(command.arguments)
                found += [f"{where}, then: {problem}" for problem in command.broken(printed=printed, ended=not code)]
                if code:
                    found.append(f"{where}: the next run ends with {code}: {printed[-300:]}")
        print(f"faults {name:10} {tries} tries, {len(found)} found", flush=True)
    return found


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


LIMITS = Limits(input_bytes=2_000_000, input_pixels=400_000, frame_pixels=1_000_000, seconds=5)
SLOW = 5.0
"""Seconds of a processor after which an input of a few kB counts as a find."""


def fuzz(arguments: argparse.Namespace, _: S3Server | None, folder: Path) -> list[str]:
    """Feed mutated documents, images and transforms to what reads them: a result or an S3ImgError, and soon."""
    chance = random.Random(arguments.seed)
    seeds = _seeds()
    found: list[str] = []
    tries = 0
    end = time.monotonic() + arguments.minutes * 60
    while time.monotonic() < end and len(found) < 20:
        kind = chance.choice([*seeds])
        data = _mutated(chance, chance.choice(seeds[kind]), seeds[kind])
        tries += 1
        started = time.process_time()  # on a busy machine, waiting would count as slowness
        try:
            READERS[kind](data)
        except S3ImgError:
            pass
        except Exception:  # whatever else comes out is what this looks for
            found.append(f"{kind}: {traceback.format_exc(limit=-3)}\n{_kept(folder, data)}")
        if time.process_time() - started > SLOW:
            found.append(f"{kind}: {time.process_time() - started:.1f} s for {len(data)} bytes\n{_kept(folder, data)}")
    print(f"fuzz   {tries} inputs of {len(seeds)} kinds, {len(found)} found", flush=True)
    return found


def _kept(folder: Path, data: bytes) -> str:
    file = folder.parent / f"s3img-found-{hashlib.sha256(data).hexdigest()[:12]}"
    file.write_bytes(data)
    return f"input: {file}"


def _images() -> list[bytes]:
    noise = Image.effect_noise((60, 40), 80).convert("RGB")
    images = []
    for name in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "ICO"):
        out = BytesIO()
        noise.save(out, name)
        images.append(out.getvalue())
    frames = [Image.effect_noise((30, 20), 20 * n + 1).convert("RGB") for n in range(4)]
    for name in ("GIF", "PNG", "WEBP", "AVIF"):
        out = BytesIO()
        frames[0].save(out, name, save_all=True, append_images=frames[1:])
        images.append(out.getvalue())
    out = BytesIO()
    noise.save(out, "JPEG", progressive=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")
    images.append(out.getvalue())
    images.append(b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 30 20"><style>a{b:url(c)}</style></svg>')
    return images


def _seeds() -> dict[str, list[bytes]]:
    tests = Path(__file__).parents[1] / "tests" / "data"
    pages = [
        b'<p><img src=a.jpg srcset="a.jpg 1x, b.jpg 2x" style="background:url(c.png)"><svg><image href=d.png /></svg>',
        b'<picture><source srcset="a.webp 10w"><img src="a.jpg"></picture><style>@import "x";a{b:image-set(url(c)1x)}',
        b'<script type="application/ld+json">{"image":["a.jpg"]}</script><!-- s3img:off --><noscript><img src=b>',
        b"<?xml version='1.0'?><rss><channel><item><description>&lt;img src=a&gt;</description></item></channel></rss>",
    ]
    return {
        "text/html": pages,
        "text/css": [b"a{background:url('b.png')}@media x{c{d:image-set('e' 1x,url(f)2x)}}/*g*/"],
        "application/rss+xml": pages[3:],
        "application/manifest+json": [b'{"icons":[{"src":"a.png","sizes":"1x1"}],"screenshots":[{"src":"\\u0062"}]}'],
        "text/markdown": [path.read_bytes()[:3000] for path in sorted(tests.glob("markdown/*.md"))],
        "image": _images(),
        "transform": [b"w-300,h-200,c-at_max:rt-90,fo-top", b"w-iw_div_2,ar-4-3,e-sharpen-5,q-80,f-auto", b"n-a:di-x"],
    }


def _document(media_type: str) -> Callable[[bytes], Any]:
    def read(data: bytes) -> None:
        references = find_references(data, media_type)
        changed = rewrite(data, media_type, lambda reference: reference.url)
        if references and not changed:
            raise AssertionError("a document was lost")

    return read


def _image(data: bytes) -> None:
    probe(data, limits=LIMITS)
    images = Images()
    images.config = type(images.config)(limits=LIMITS)
    images.render(data, "w-20,f-webp")
    describe(data, limits=LIMITS)
    cleaned(data, limits=LIMITS)


def _transform(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    parsed = Transform.parse(text)
    parsed.output_size((1000, 700))
    if str(Transform.parse(str(parsed))) != str(parsed):
        raise AssertionError("its canonical text reads as another transform")


READERS: dict[str, Callable[[bytes], Any]] = {
    **{kind: _document(kind) for kind in _seeds() if "/" in kind},
    "image": _image,
    "transform": _transform,
}


_MARKS = (b"<", b'"', b"(", b"&#", b"</", b"<!--", b"`", b"[", b"%", b",", b":", b"-")


def _mutated(chance: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    data = bytearray(seed)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(7):
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
                data[at : at + 4] = chance.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"9" * 40, b"-1"])
            case _:
                data[at:at] = chance.choice(_MARKS)
    return bytes(data[:200_000])


PARTS: dict[str, Callable[[argparse.Namespace, Any, Path], list[str]]] = {
    "kills": kills,
    "faults": faults,
    "busy": busy,
    "fuzz": fuzz,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--kills", type=int, default=200, help="kills that land, for each command")
    parser.add_argument("--rounds", type=int, default=3, help="tries of each fault, for each command")
    parser.add_argument("--pictures", type=int, default=200, help="pictures of a bucket on a busy store")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--commands", nargs="*", default=[*COMMANDS], choices=COMMANDS)
    arguments = parser.parse_args()
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
