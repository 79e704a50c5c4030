"""Every command that talks to a store: where it starts, how it is called, and what must hold whatever happens to it.

`COMMANDS` are its rows. A command without one is in `SILENT`, with the reason.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from PIL import Image

from s3img.atomic import TEMPORARY_PREFIX
from s3img.buckets import Bucket, ObjectInfo, open_bucket
from s3img.buckets.key_claims import CLAIMS
from s3img.cache import RENDERING_PREFIX
from s3img.lock import read_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from forked_runs import Ended, ForkedRuns
    from s3_servers import TestBucket

IMAGES = 4
PAGES = 3
OLD = 7200
"""Seconds by which the temporary files of a killed run are made older, so that they belong to no run at work."""

SILENT = {
    "check": "compares files with s3img.lock",
    "completion": "prints a script for the shell",
    "config": "reads and writes settings",
    "demo": "has a bucket of its own, a new folder",
    "healthcheck": "asks the service, not a store",
    "large-images": "looks at files",
    "missing-alt": "looks at files",
    "probe": "looks at files",
    "sign": "computes a signature",
    "size": "computes a size",
    "url": "computes an address",
}
"""Commands that ask nothing of a store."""


@dataclass(frozen=True)
class Place:
    """A bucket in a store, and how commands are told of it."""

    address: str
    bucket: Bucket
    public_url: str
    endpoint_url: str = ""
    environ: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of_folder(cls, folder: Path) -> Place:
        return cls(folder.as_uri(), open_bucket(folder.as_uri()), "https://img.example.com")

    @classmethod
    def of_server(cls, store: TestBucket, endpoint_url: str = "") -> Place:
        keys = (("AWS_ACCESS_KEY_ID", store.server.access_key), ("AWS_SECRET_ACCESS_KEY", store.server.secret_key))
        return cls(store.address, store.bucket, store.public_url, endpoint_url or store.server.endpoint_url, keys)


class World:
    """A project beside its bucket: a site, a folder of images and a Markdown file that commands work on."""

    def __init__(self, folder: Path, place: Place, runs: ForkedRuns) -> None:
        self.folder = folder / "project"
        self.temporary = folder / "tmp"
        self.place = place
        self.runs = runs
        self._kept = folder / "kept"
        self._objects: dict[str, tuple[bytes, ObjectInfo]] = {}

    @property
    def bucket(self) -> Bucket:
        return self.place.bucket

    def begin(self) -> None:
        """Make the project and empty the bucket."""
        self.bucket.delete([info.key for info in self.bucket.list()])
        for folder in (self.folder, self.temporary):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.folder / "site", self.folder / "img", self.temporary):
            folder.mkdir(parents=True)
        for number in range(IMAGES):
            name = f"{number}.png"
            Image.effect_noise((120 + number, 80), 60).convert("RGB").save(self.folder / "img" / name)
            shutil.copy(self.folder / "img" / name, self.folder / "site" / name)
        images = "".join(f'<p><img src="{number}.png" alt="">' for number in range(IMAGES))
        for number in range(PAGES):
            (self.folder / "site" / f"page-{number}.html").write_text(f"<!doctype html><title>{number}</title>{images}")
        text = "".join(f"![{number}](img/{number}.png)\n\n" for number in range(IMAGES))
        (self.folder / "README.md").write_text(f"# Pictures\n\n{text}")
        settings: dict[str, Any] = {
            "bucket": self.place.address,
            "endpoint_url": self.place.endpoint_url,
            "region": "us-east-1",
            "public_url": self.place.public_url,
            "check_public": False,
            "cache_dir": str(self.folder / "cache"),
            "widths": [60],
            "formats": ["webp"],
            "site_url": "https://example.com/",
        }
        lines = (f"{name} = {json.dumps(value)}" for name, value in settings.items() if value != "")
        (self.folder / "s3img.toml").write_text("\n".join(lines))

    def keep(self) -> None:
        """Remember the project and the bucket as they are, for `go_back`."""
        shutil.rmtree(self._kept, ignore_errors=True)
        shutil.copytree(self.folder, self._kept)
        self._objects = {}
        for info in [*self.bucket.list()]:
            with self.bucket.open(info.key) as found:
                self._objects[info.key] = (found.read(), found.info)

    def go_back(self) -> None:
        """Bring the project and the bucket back to what was remembered."""
        for folder in (self.folder, self.temporary):
            shutil.rmtree(folder)
        shutil.copytree(self._kept, self.folder)
        self.temporary.mkdir()
        there = {info.key: info for info in self.bucket.list()}
        self.bucket.delete(there.keys() - self._objects.keys())
        for key, (data, info) in self._objects.items():
            if key not in there or there[key].etag != info.etag:
                kind, metadata = info.media_type or "image/png", info.metadata
                self.bucket.put(key, data, media_type=kind, cache_control=info.cache_control, metadata=metadata)
        if not self.place.endpoint_url:  # what was killed while it wrote
            for left in self.left_behind():
                left.unlink()  # of the bucket: the project is a new one

    def run(self, arguments: tuple[str, ...], *, seconds: float = 300, **options: Any) -> Ended:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder.parent), "TMPDIR": str(self.temporary)}
        return self.runs.run(
            arguments,
            folder=self.folder,
            environ={**environ, **dict(self.place.environ)},
            seconds=seconds,
            **options,
        )

    def stored(self) -> dict[str, str]:
        """Return the SHA-256 of each object by key, without s3img's own records."""
        infos = [info for info in self.bucket.list() if not info.key.startswith(".s3img/")]
        return {info.key: hashlib.sha256(self.bucket.get(info.key)).hexdigest() for info in infos}

    def names(self) -> set[str]:
        """Return the names of all that is in the project and in the bucket; digests in them count as one another.

        Claims of keys are left out: a killed run may leave one behind, which a clean-up deletes a day later.
        """
        files = (str(file.relative_to(self.folder)) for file in self.folder.rglob("*") if file.is_file())
        keys = (f"bucket:{info.key}" for info in self.bucket.list() if not info.key.startswith(CLAIMS))
        return {re.sub(r"[0-9a-f]{16,}(-[0-9a-zA-Z.-]+)?", "*", name) for name in (*files, *keys)}

    def contents(self) -> dict[str, str]:
        """Return the digests of pages, texts, images and locks, and of all objects."""
        files = (file for file in self.folder.rglob("*") if file.is_file() and "cache" not in file.parts)
        found = {str(file.relative_to(self.folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        return found | {f"bucket:{key}": digest for key, digest in self.stored().items()}

    def left_behind(self) -> list[Path]:
        """Return what is unfinished in the project, its cache, the folder of temporary files, and the bucket."""
        places = [self.folder]
        if not self.place.endpoint_url:
            places.append(Path(unquote(self.place.address.removeprefix("file://"))))
        found = [path for place in places for path in place.rglob(f"{TEMPORARY_PREFIX}*") if path.is_file()]
        found += [path for path in (self.folder / "cache").rglob("*") if path.name.startswith(RENDERING_PREFIX)]
        return sorted({*found, *self.temporary.iterdir()})

    def make_older(self) -> None:
        """Make what was left behind so old that the next run takes it away."""
        then = time.time() - OLD
        for path in self.left_behind():
            os.utime(path, (then, then), follow_symlinks=False)

    def keys_in(self, text: str) -> set[str]:
        """Return the keys of the bucket that a text points at."""
        found = re.findall(rf"{re.escape(self.place.public_url)}/([^\s\"'<>),]+)", text)
        return {unquote(key) for key in found}

    def shown(self) -> set[str]:
        """Return the keys that pages, texts and the lock show."""
        files = [*self.folder.glob("site/*.html"), *self.folder.glob("*.md")]
        shown = set().union(*(self.keys_in(file.read_text()) for file in files))
        return shown | {entry.key for entry in read_lock(self.folder / "s3img.lock", missing_ok=True)}


class Command:
    """One command: where it starts, and what must hold wherever it is killed, and after runs that ended."""

    arguments: tuple[str, ...] = ()
    before: tuple[tuple[str, ...], ...] = ()
    """Commands that bring a new world to where this one starts."""
    again: frozenset[int] = frozenset({0})
    """How a run may end that has nothing to do."""
    runs = 1
    """How many runs bring it to its end."""
    settles = True
    """Whether a run after the last one changes nothing."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pictures = frozenset[str]()

    def prepare(self) -> None:
        """Bring a new world to where the command starts."""
        self.world.begin()
        for arguments in self.before:
            ended = self.world.run(arguments)
            if ended.code:
                raise AssertionError(f"{arguments} ends with {ended.code}: {ended.printed}")

    def begin(self) -> None:
        """Bring a new world there, and remember it; the bucket's pictures may never be lost."""
        self.prepare()
        self.world.keep()
        self.pictures = frozenset(self.world.stored().values())

    def lost(self, printed: str) -> Iterator[str]:  # noqa: ARG002 - the shape of all commands
        """Yield what is wrong, wherever the command was stopped; ``printed`` is what it said."""
        stored = self.world.stored()
        if missing := self.world.shown() - stored.keys():
            yield f"{sorted(missing)[:3]} are shown and are not there"
        lines = read_lock(self.world.folder / "s3img.lock", missing_ok=True)
        for entry in lines:
            if entry.key in stored and stored[entry.key] != entry.sha256:
                yield f"{entry.key} is not the image of the lock"
        if gone := self.pictures - {*stored.values()}:
            yield f"{len(gone)} of {len(self.pictures)} pictures are gone from the bucket"

    def unfinished(self) -> Iterator[str]:
        """Yield what is missing after a run that ended well."""
        yield from ()


SYNCED = (("sync", "img"), ("markdown", "README.md"))


class Publish(Command):
    """A page is old or new as a whole, and points at nothing that is not there."""

    arguments: tuple[str, ...] = ("publish", "site")

    def lost(self, printed: str) -> Iterator[str]:
        yield from super().lost(printed)
        for page in sorted(self.world.folder.glob("site/*.html")):
            text = page.read_text()
            if not self.world.keys_in(text) and 'src="0.png"' not in text:
                yield f"{page.name} is neither old nor new"
            if not text.startswith("<!doctype html>") or text.count("<img") != IMAGES:
                yield f"{page.name} has lost a part"
            for number in range(IMAGES):
                if f'src="{number}.png"' in text and not (self.world.folder / f"site/{number}.png").exists():
                    yield f"{page.name} shows {number}.png, which was removed"

    def unfinished(self) -> Iterator[str]:
        for page in sorted(self.world.folder.glob("site/*.html")):
            if 'src="0.png"' in page.read_text():
                yield f"{page.name} is still the old one"


class PublishAndRemove(Publish):
    """The same, and images that no page shows any more are removed from the site."""

    arguments: tuple[str, ...] = ("publish", "site", "--remove-local")


class Sync(Command):
    """What the lock names is there, and whole."""

    arguments: tuple[str, ...] = ("sync", "img")

    def unfinished(self) -> Iterator[str]:
        if (lines := len(read_lock(self.world.folder / "s3img.lock"))) != IMAGES:
            yield f"the lock has {lines} lines of {IMAGES}"


class Push(Sync):
    """The same for images that the lock has, one of which was changed."""

    arguments: tuple[str, ...] = ("push", "img")
    before: tuple[tuple[str, ...], ...] = (("sync", "img"),)

    def prepare(self) -> None:
        super().prepare()
        Image.new("RGB", (30, 20), "teal").save(self.world.folder / "img/0.png")


class Add(Sync):
    """The same for single files."""

    arguments: tuple[str, ...] = ("add", *(f"img/{number}.png" for number in range(IMAGES)))


class Apply(Sync):
    """The same by a plan."""

    arguments: tuple[str, ...] = ("apply", "plan.json")
    again = frozenset({0, 1})  # the plan was for a project that had nothing in its bucket

    def prepare(self) -> None:
        super().prepare()
        (self.world.folder / "plan.json").write_text(self.world.run(("plan", "img")).printed)


class Upload(Command):
    """An address that was printed leads to the picture."""

    arguments: tuple[str, ...] = (
        "upload",
        *(f"img/{number}.png" for number in range(IMAGES)),
        "--template",
        "u/{{hash:16}}.{{ext}}",
    )

    def lost(self, printed: str) -> Iterator[str]:
        yield from super().lost(printed)
        if missing := self.world.keys_in(printed) - self.world.stored().keys():
            yield f"{sorted(missing)} were printed and are not there"

    def unfinished(self) -> Iterator[str]:
        if (stored := len(self.world.stored())) != IMAGES:
            yield f"{stored} objects for {IMAGES} pictures"


class Markdown(Command):
    """The text is old or new, and points at nothing that is not there."""

    arguments: tuple[str, ...] = ("markdown", "README.md")

    def lost(self, printed: str) -> Iterator[str]:
        yield from super().lost(printed)
        text = (self.world.folder / "README.md").read_text()
        # A picture that could not be stored keeps its own reference, so some may be old where a run had failures.
        if (
            len(self.world.keys_in(text)) + text.count("](img/") != IMAGES
            or not text.startswith("# Pictures")
            or not text.endswith("\n\n")
        ):
            yield "README.md has lost references"

    def unfinished(self) -> Iterator[str]:
        if old := (self.world.folder / "README.md").read_text().count("](img/"):
            yield f"README.md has {old} old references"


class Pull(Command):
    """A file is there whole, or not at all; the lock stays as it is."""

    arguments: tuple[str, ...] = ("pull",)
    before: tuple[tuple[str, ...], ...] = SYNCED[:1]

    def prepare(self) -> None:
        super().prepare()
        self.lock = (self.world.folder / "s3img.lock").read_bytes()
        shutil.rmtree(self.world.folder / "img")

    def lost(self, printed: str) -> Iterator[str]:
        yield from super().lost(printed)
        if (self.world.folder / "s3img.lock").read_bytes() != self.lock:
            yield "the lock has changed"
        for entry in read_lock(self.world.folder / "s3img.lock"):
            file = self.world.folder / entry.path
            if file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() != entry.sha256:
                yield f"{entry.path} is not the image of the lock"

    def unfinished(self) -> Iterator[str]:
        if (there := len([*self.world.folder.glob("img/*.png")])) != IMAGES:
            yield f"{there} of {IMAGES} files are back"


class Clean(Command):
    """What pages and locks show stays, and what was deleted is in the trash."""

    arguments: tuple[str, ...] = (
        "gc",
        "--apply",
        "--grace",
        "0d",
        "--history",
        "0d",
        "--force",
        "--keep",
        "s3img.lock",
    )
    before: tuple[tuple[str, ...], ...] = (("publish", "site"), *SYNCED)
    runs = 2  # the first one marks

    def prepare(self) -> None:
        super().prepare()
        for number in range(5):
            data = Image.effect_noise((20, 20), number).tobytes()
            self.world.bucket.put(f"old/{number}.png", data, media_type="image/png", metadata={"s3img": "1"})

    def lost(self, printed: str) -> Iterator[str]:  # noqa: ARG002 - the shape of all commands
        stored = self.world.stored()
        if missing := self.world.shown() - stored.keys():
            yield f"{sorted(missing)[:3]} are shown and were deleted"
        for key in (f"old/{number}.png" for number in range(5)):
            if key not in stored and self.world.bucket.head(f".s3img/trash/{key}") is None:
                yield f"{key} is neither there nor in the trash"


class Managing(Command):
    """No picture is lost, and what the text and the lock show is there."""

    before: tuple[tuple[str, ...], ...] = SYNCED
    target = ""
    again = frozenset({0, 1})  # nothing has the key any more

    def prepare(self) -> None:
        super().prepare()
        self.digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in self.world.folder.glob("img/*")}

    def everything(self) -> dict[str, str]:
        bucket = self.world.bucket
        return {info.key: hashlib.sha256(bucket.get(info.key)).hexdigest() for info in bucket.list()}

    def lost(self, printed: str) -> Iterator[str]:  # noqa: ARG002 - the shape of all commands
        if gone := self.digests - {*self.everything().values()}:
            yield f"{len(gone)} of {IMAGES} pictures are gone"

    def unfinished(self) -> Iterator[str]:
        found = self.everything().items()
        there = sum(digest in self.digests for key, digest in found if key.startswith(self.target))
        if there < IMAGES:
            yield f"{there} of {IMAGES} pictures are below {self.target}"


class Move(Managing):
    """References follow what is moved, and never lead nowhere."""

    arguments: tuple[str, ...] = ("mv", "img/", "pictures/", "--force", "--update", ".")
    target = "pictures/"

    def lost(self, printed: str) -> Iterator[str]:
        yield from super().lost(printed)
        if missing := self.world.shown() - self.world.stored().keys():
            yield f"{sorted(missing)[:3]} are shown and are not there"

    def unfinished(self) -> Iterator[str]:
        yield from super().unfinished()
        if old := [key for key in self.world.stored() if key.startswith("img/")]:
            yield f"{len(old)} objects are still below img/"
        if old := [key for key in self.world.shown() if key.startswith("img/")]:
            yield f"{len(old)} references are still to img/"


class Remove(Managing):
    """What is removed is in the trash."""

    arguments: tuple[str, ...] = ("rm", "img/", "--force")
    target = ".s3img/trash/img/"


class Restore(Managing):
    """What is restored was in the trash, until it was there again."""

    arguments: tuple[str, ...] = ("restore", "*")
    before: tuple[tuple[str, ...], ...] = (*SYNCED, Remove.arguments)
    target = "img/"


class Render(Command):
    """What is rendered is added; what was there stays."""

    arguments: tuple[str, ...] = ("render", "img/", "--tr", "w-50")
    before: tuple[tuple[str, ...], ...] = SYNCED

    def unfinished(self) -> Iterator[str]:
        found = [info.key for info in self.world.bucket.list(".s3img/results/")]
        if len(found) < IMAGES:
            yield f"{len(found)} renderings of {IMAGES} pictures"


class Reading(Command):
    """A command that changes nothing."""

    before: tuple[tuple[str, ...], ...] = SYNCED

    def begin(self) -> None:
        super().begin()
        place = self.world.place
        values = {"BUCKET": place.address, "ENDPOINT": place.endpoint_url, "KEY": min(self.world.stored())}
        self.arguments = tuple(values.get(word, word) for word in self.arguments)

    def lost(self, printed: str) -> Iterator[str]:
        yield from super().lost(printed)
        if len(self.pictures) != IMAGES or len(read_lock(self.world.folder / "s3img.lock")) != IMAGES:
            yield "something was changed"


def reading(*arguments: str, ends: Mapping[int, str] | None = None) -> type[Reading]:
    """Make the row of a command that changes nothing; ``ends`` are the codes that it may end with, and why."""
    return type("Reading", (Reading,), {"arguments": arguments, "again": frozenset(ends or {0: ""})})


class Transforming(Reading):
    """A rendering with a layer out of the bucket."""

    arguments: tuple[str, ...] = ("transform", "img/0.png", "out.png", "--tr")

    def begin(self) -> None:
        super().begin()
        layer = min(self.world.stored()).replace("/", "@@")
        self.arguments = (*self.arguments, f"w-50,l-image,i-{layer},l-end")


COMMANDS: dict[str, type[Command]] = {
    "add": Add,
    "apply": Apply,
    "cors": reading("cors", "--origin", "https://example.com", ends={0: "", 1: "the rules differ"}),
    "doctor": reading("doctor", ends={0: "", 1: "SeaweedFS has what doctor warns of"}),
    "gc": Clean,
    "init": reading("init", "--bucket", "BUCKET", "--endpoint-url", "ENDPOINT", "--config", "new.toml", "--force"),
    "ls": reading("ls", "--long"),
    "markdown": Markdown,
    "mv": Move,
    "plan": reading("plan", "img", "--verify"),
    "publish": Publish,
    "publish and remove": PublishAndRemove,
    "pull": Pull,
    "push": Push,
    "render": Render,
    "restore": Restore,
    "rm": Remove,
    "sync": Sync,
    "transform": Transforming,
    "upload": Upload,
    "used": reading("used", "KEY"),
}
"""Commands that end by themselves, by the name of the row, which begins with that of the command."""
KILLED = ("publish", "sync", "upload", "markdown", "gc", "pull", "mv", "rm", "restore", "publish and remove")
"""The rows that are killed: those that write."""
