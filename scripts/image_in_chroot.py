"""Build and try the Dockerfile without a Docker daemon: each instruction in a folder, by chroot. Needs root, on Linux.

    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,python3-pip trixie BASE
    python scripts/image_in_chroot.py BASE WORK

BASE stands for ``python:3.13-slim``, which is Debian with a Python in /usr/local. WORK gets a folder for each stage.
When both are built, the last one is run as the Dockerfile says: as its user, on a read-only root but for the volume and
/tmp, with `HEALTHCHECK`'s command asked until it says yes. What a daemon adds is not tried: layers, labels, a registry.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOST_FILES = ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt", "etc/pip.conf")
"""What connects the chroot to the network of this machine, as a daemon would; taken away again afterwards."""

FETCH = """
from urllib.request import urlopen
answer = urlopen("http://127.0.0.1:8000/tr:w-300,f-webp/cat.jpg")
print(answer.status, answer.headers["Content-Type"], len(answer.read()))
"""


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions in order, each on one line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines()) if name]


class Stage:
    """One stage of the build: a root folder, and what ENV, WORKDIR, USER and VOLUME have said so far."""

    def __init__(self, root: Path, base: Path) -> None:
        subprocess.run(["cp", "-a", str(base), str(root)], check=True)
        self.root, self.folder, self.user, self.volumes = root, "/", "0", ["/tmp"]
        self.environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")

    def run(self, command: list[str], *, user: str = "0", **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command inside; return it when it has ended."""
        return subprocess.run(self.inside(command, user=user), text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]

    def inside(self, command: list[str], *, user: str) -> list[str]:
        """Return the command that runs another one in the stage's root, with its environment and nothing else's."""
        given = [f"{name}={value}" for name, value in self.environ.items()]
        root = [f"--userspec={user}:{user}", str(self.root)]
        return ["chroot", *root, "/usr/bin/env", "-i", f"--chdir={self.folder}", *given, *command]

    def copy(self, words: list[str], stages: dict[str, Stage]) -> None:
        """Do a COPY, from the checkout or from another stage."""
        place = ROOT
        if words[0].startswith("--from="):
            place = stages[words.pop(0).partition("=")[2]].root
        *sources, target = words
        inside = self.root / os.path.normpath(f"{self.folder}/{target}").lstrip("/")
        for source in sources:
            found = place / source.lstrip("/")
            into = inside / found.name if target.endswith("/") or target == "." else inside
            into.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", f"{found}/." if found.is_dir() else str(found), str(into)], check=True)

    def do_run(self, rest: str) -> None:
        """Run a command as root; raise CalledProcessError where it fails."""
        start = time.monotonic()
        self.run(["/bin/sh", "-c", rest]).check_returncode()
        print(f"RUN {time.monotonic() - start:.1f} s: {rest[:90]}", flush=True)

    def do_env(self, rest: str) -> None:
        """Set variables, which may name the PATH."""
        for name, _, value in (pair.partition("=") for pair in shlex.split(rest)):
            self.environ[name] = value.replace("$PATH", self.environ["PATH"])

    def do_workdir(self, rest: str) -> None:
        """Make the folder of what follows."""
        self.folder = rest
        (self.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def do_user(self, rest: str) -> None:
        """Remember who runs the program."""
        self.user = rest

    def do_volume(self, rest: str) -> None:
        """Remember what may be written."""
        self.volumes.append(rest)


def build(base: Path, work: Path) -> tuple[Stage, dict[str, str]]:
    """Do all instructions; return the last stage, and those that are for running it by name."""
    stages: dict[str, Stage] = {}
    running: dict[str, str] = {}
    for name, rest in instructions():
        if name == "FROM":
            stage = Stage(work / f"stage-{len(stages)}", base)
            stages[rest.split()[-1]] = stage
            for file in HOST_FILES:
                (stage.root / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path("/") / file, stage.root / file)
        elif name == "COPY":
            stage.copy(shlex.split(rest), stages)
        elif name in {"RUN", "ENV", "WORKDIR", "USER", "VOLUME"}:
            getattr(stage, f"do_{name.lower()}")(rest)
        else:
            running[name] = rest
    for file in HOST_FILES:
        (stage.root / file).unlink()
    return stage, running


def main() -> int:
    """Build, start the service read-only as its user, and wait until the health check passes."""
    base, work = Path(sys.argv[1]), Path(sys.argv[2])
    work.mkdir(parents=True)
    stage, running = build(base, work)
    print(f"the image has {size_of(stage.root)} MB, of which the base {size_of(base)} MB")
    pictures = stage.root / "pictures"
    pictures.mkdir()
    shutil.copy(ROOT / "examples/mkdocs_site/docs/images/summit-sunset.jpg", pictures / "cat.jpg")
    stage.environ |= {"S3IMG_BUCKET": "file:///pictures", "S3IMG_ACCESS": "open", "S3IMG_INSECURE": "1"}
    stage.environ["HOME"] = "/nonexistent"
    mounts = [["mount", "--bind", str(stage.root), str(stage.root)]]
    for path in stage.volumes:
        (stage.root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        mounts.append(["mount", "-t", "tmpfs", "-o", f"uid={stage.user}", "tmpfs", f"{stage.root}{path}"])
    mounts.append(["mount", "-o", "remount,bind,ro", str(stage.root)])
    for mount in mounts:
        subprocess.run(mount, check=True)
    server = None
    try:
        server = subprocess.Popen(stage.inside(json.loads(running["CMD"]), user=stage.user))
        check = json.loads(running["HEALTHCHECK"].partition("CMD ")[2])
        for _ in range(60):
            if stage.run(check, user=stage.user, capture_output=True).returncode == 0:
                break
            time.sleep(1)
        else:
            print("the health check never passed")
            return 1
        stage.run(["python", "-c", FETCH], user=stage.user).check_returncode()
        written = stage.run(["touch", "/opt/s3img/x"], user=stage.user, capture_output=True).returncode
        print("a file outside of the volume", "can't be written" if written else "CAN BE WRITTEN")
        return 0 if written else 1
    finally:
        if server:
            server.terminate()
            server.wait()
        for mount in reversed(mounts[:-1]):
            subprocess.run(["umount", "-l", mount[-1]], check=False)


def size_of(folder: Path) -> int:
    """Return the size of a folder in MB."""
    return int(subprocess.run(["du", "-sm", folder], capture_output=True, text=True, check=True).stdout.split()[0])


if __name__ == "__main__":
    sys.exit(main())
