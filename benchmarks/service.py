"""The transform service under gunicorn and granian against ipx and thumbor, paired in one run, from one SeaweedFS.

    python -m pip install -e . --group test        (Debian: apt-get install wrk nodejs npm)
    python benchmarks/service.py WORK_FOLDER --rounds 5 --seconds 10 --requests 100000

ipx (npm) and thumbor (PyPI, an environment of its own) are installed into the folder once. Every service is up all the
time; wrk asks one after the other, in rotating order, over four connections. A ratio is the median over the rounds of
s3img / other in the same round. ``cpu`` is the CPU time per request of the service's processes, without the store's.
Empty applications show the servers' own part of a 304. Cold rows ask for every URL once; those for one core keep the
service on the first and everything else on the second. The memory row mixes hot, current, cold and wrong requests.
Prints the table of ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests" / "support")]

from engine_inputs import prepare  # noqa: E402 - found by the line above, like the next ones
from fault_proxy import FaultProxy, fault_proxy  # noqa: E402 - as above
from PIL import Image  # noqa: E402 - as above
from s3_servers import S3Server, TestBucket, free_ports, new_bucket, running_seaweedfs  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from email.message import Message

SOURCES = 8
CONNECTIONS = 4
LONGEST = 60
"""Seconds that a service gets to answer anything at all, in rounds that are doubled."""
_TICKS = os.sysconf("SC_CLK_TCK")
_WRK = """
local requests, number = {}, 0
init = function()
  for line in io.lines(os.getenv("BENCH_URLS")) do
    local url, tag = line:match("(%S+) ?(%S*)")
    wrk.headers["If-None-Match"] = tag ~= "" and tag or nil
    requests[#requests + 1] = wrk.format("GET", url)
  end
end
request = function()
  number = number + 1
  return requests[(number - 1) % #requests + 1]
end
done = function(summary, latency)
  local wrong = summary.errors.connect + summary.errors.read + summary.errors.timeout
  local text, late = "RESULT %d %f %d %d %f %f", latency:percentile(99) / 1e3
  print(text:format(summary.requests, summary.duration / 1e6, wrong, summary.errors.status, latency.max / 1e3, late))
end
"""
_APP = """
import os
from s3img import Config
from s3img.service import TransformService
from s3img.service.asgi import AsgiService
from s3img.config.service import ServiceSettings

application = TransformService(
    Config(
        bucket=os.environ["BENCH_BUCKET"],
        endpoint_url=os.environ["BENCH_ENDPOINT"],
        addressing_style="path",
        region="us-east-1",
        access="open",
        cache_dir=os.environ["BENCH_CACHE"],
        service=ServiceSettings(results=os.environ["BENCH_RESULTS"], fresh=3600.0),
    )
)
asgi = AsgiService(application)
"""
_EMPTY = """
HEADERS = {
    "ETag": '"c2d2ddf1b5a173726b6e0deeb3ff67b1"',
    "Cache-Control": "public, max-age=86400",
    "X-Request-ID": "49251a07e2065058",
    "X-Content-Type-Options": "nosniff",
}


def application(environ, start_response):
    start_response("304 Not Modified", list(HEADERS.items()))
    return []


async def asgi(scope, receive, send):
    headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
    await send({"type": "http.response.start", "status": 304, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
"""
_IPX = """
import { createServer } from "node:http";
import { createIPX, createIPXNodeServer, ipxHttpStorage } from "ipx";
const ipx = createIPX({ httpStorage: ipxHttpStorage({ domains: ["127.0.0.1"] }) });
createServer(createIPXNodeServer(ipx)).listen(Number(process.env.BENCH_PORT), "127.0.0.1");
"""


@dataclass
class Service:
    """A running service: how it writes an address, and which process to account."""

    name: str
    port: int
    path: Callable[[str, int, int, int], str]
    command: list[str]
    environ: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self, log: Path, *, core: int | None = None) -> Iterator[None]:
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [*pinned, *self.command], env={**os.environ, **self.environ}, cwd=self.folder, stdout=file, stderr=file
            )
        try:
            self._wait()
            yield
        finally:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=2).close()
            except urllib.error.HTTPError as answer:
                answer.close()
                return
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise SystemExit(f"{self.name} does not start")

    def ask(self, paths: Iterable[str]) -> Message:
        """Ask for each path once and return the last answer's headers."""
        for path in paths:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                answer.read()
        return answer.headers

    def processes(self) -> list[int]:
        """Return the service's process and all below it."""
        assert self.process is not None
        found, parents = [self.process.pid], {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def cpu(self) -> float:
        return sum(_cpu_of(pid) for pid in self.processes())

    def memory(self) -> int:
        """Return the MiB that all processes have for themselves, and their part of what they share."""
        total = 0
        for pid in self.processes():
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"Pss:\s+(\d+)", rollup)[1])  # type: ignore[index]  # the kernel always writes it
        return total // 1024


@dataclass(frozen=True)
class Figures:
    """What one run of wrk found: requests a second, CPU ms a request, ms of the slowest answer and of 99 in 100."""

    rate: float
    cpu: float
    slowest: float
    late: float

    @property
    def rate_per_core(self) -> float:
        return 1000 / self.cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=100_000, help="for the memory row; 0 leaves it out")
    parser.add_argument("--thumbor-processes", type=int, default=1, help="1 is thumbor's default")
    parser.add_argument("--only", default="", help="cold, small, stored, hot, busy, start, same or memory")
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    install(options.folder)
    shutil.rmtree(options.folder / "run", ignore_errors=True)
    (options.folder / "run").mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(running_seaweedfs(options.folder / "run"))
        bench = Bench(options, server, fill(options.folder, server))
        rows = {
            "cold": lambda: bench.cold("12 MP jpeg", "12 MP JPEG -> 300x300 WebP, cold"),
            "small": lambda: bench.cold("small jpeg", "0.8 MP JPEG -> 300x300 WebP, cold"),
            "stored": lambda: bench.cold("12 MP jpeg", "the same, results also stored in the bucket", stored=True),
            "hot": bench.hot,
            "busy": bench.busy,
            "start": bench.start,
            "same": bench.same,
            "memory": bench.memory,
        }
        for name in options.only.split(",") if options.only else rows:
            rows[name]()


def install(folder: Path) -> None:
    """Install what is compared; a second run finds it."""
    if missing := [name for name in ("wrk", "npm", "taskset") if shutil.which(name) is None]:
        raise SystemExit(f"{', '.join(missing)}: not found; on Debian: apt-get install wrk nodejs npm util-linux")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules" / "ipx").exists():
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
        subprocess.run(["npm", "install", "--silent", "ipx@3.1.1"], cwd=folder, check=True, timeout=300)
    if not (folder / "thumbor" / "bin" / "thumbor").exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "thumbor"], check=True, timeout=120)
        pip = [str(folder / "thumbor" / "bin" / "pip"), "install", "-q", "thumbor==7.8.0"]
        subprocess.run(pip, check=True, timeout=600)
    (folder / "wrk.lua").write_text(_WRK)
    (folder / "bench_app.py").write_text(_APP)
    (folder / "bench_empty.py").write_text(_EMPTY)
    (folder / "ipx_server.mjs").write_text(_IPX)
    (folder / "thumbor.conf").write_text(
        "LOADER = 'thumbor.loaders.http_loader'\nSTORAGE = 'thumbor.storages.no_storage'\n"
        "ALLOW_UNSAFE_URL = True\nQUALITY = 80\nHTTP_LOADER_DEFAULT_USER_AGENT = 'bench'\n"
    )


def fill(folder: Path, server: S3Server) -> TestBucket:
    """Put copies of each photograph into a bucket that everyone may read; a turn by 180 degrees makes them differ."""
    bucket = new_bucket(server)
    inputs = prepare(folder / "inputs")
    for name in ("12 MP jpeg", "small jpeg"):
        data = inputs[name].read_bytes()
        for number in range(SOURCES):
            bucket.bucket.put(key(name, number), data + bytes([0] * number), media_type="image/jpeg")
    with Image.open(io.BytesIO(inputs["12 MP jpeg"].read_bytes())) as image:
        print(f"12 MP is {image.size[0]} x {image.size[1]}, {inputs['12 MP jpeg'].stat().st_size:,} bytes", flush=True)
    return bucket


def key(name: str, number: int) -> str:
    return f"{name.replace(' ', '-')}-{number}.jpg"


class Bench:
    """Hold the services and print one row of the table after the other."""

    def __init__(self, options: argparse.Namespace, server: S3Server, bucket: TestBucket) -> None:
        self.options = options
        self.folder: Path = options.folder
        self.server = server
        self.bucket = bucket
        print("| task | service | requests/s | CPU ms | slowest ms | s3img / it (requests/s) | s3img / it (CPU) |")
        print("|---|---|---|---|---|---|---|", flush=True)

    def cold(self, source: str, title: str, *, stored: bool = False) -> None:
        s3img = self.s3img(workers=2, results="" if stored else "none")
        services = [s3img] if stored else [s3img, self.ipx(), self.thumbor()]
        found: dict[str, list[Figures]] = {service.name: [] for service in services}
        with ExitStack() as stack:
            for service in services:
                stack.enter_context(service.running(self.folder / "run" / "log"))
                service.ask(service.path(key(source, n), 300, 300, 80) for n in range(SOURCES))
            for number in range(self.options.rounds):
                order = services[number % len(services) :] + services[: number % len(services)]
                for service in order:
                    found[service.name].append(self.wrk(service, cold_paths(service, source, number)))
        self.table(title, found)

    def hot(self) -> None:
        """One core, one URL: s3img answers from its disk cache, ipx has none."""
        ours, fast = self.s3img(workers=1), self.s3img(workers=1, server="granian")
        services = [ours, fast, self.ipx()]
        empty = [self.empty(), self.empty("granian")]
        hot: dict[str, list[Figures]] = {service.name: [] for service in services}
        current: dict[str, list[Figures]] = {service.name: [] for service in (ours, fast, *empty)}
        with ExitStack() as stack:
            for service in (*services, *empty):
                stack.enter_context(service.running(self.folder / "run" / "log", core=0))
            paths = {
                one.name: [one.path(key("12 MP jpeg", n), 300, 300, 80) for n in range(SOURCES)] for one in services
            }
            tags = [service.ask(paths[service.name])["ETag"] for service in services]
            for _ in range(self.options.rounds):
                for service in services:
                    hot[service.name].append(self.wrk(service, paths[service.name], core=1))
                for service in (ours, fast, *empty):
                    conditional = f"{paths[ours.name][-1]} {tags[0]}"
                    current[service.name].append(self.wrk(service, [conditional], core=1))
        self.table("hot, one core (s3img: disk cache)", hot)
        self.table("304, one core", current)

    def busy(self) -> None:
        """Ask for hot pictures while eight AVIFs are being made all the time."""
        for server in SERVERS:
            service, stop, made = self.s3img(workers=2, server=server), threading.Event(), list[int]()

            def pictures(first: int, service: Service = service, made: list[int] = made) -> None:
                for width in range(1000 + first, 2000, 8):
                    if stop.is_set():  # noqa: B023 - of this turn, which waits for its threads
                        return
                    service.ask([f"/tr:w-{width},f-avif/{key('12 MP jpeg', first)}"])
                    made.append(width)

            with service.running(self.folder / "run" / "log"):
                paths = [service.path(key("12 MP jpeg", n), 300, 300, 80) for n in range(SOURCES)]
                service.ask(paths)
                threads = [threading.Thread(target=pictures, args=(number,)) for number in range(8)]
                for thread in threads:
                    thread.start()
                runs = [self.wrk(service, paths) for _ in range(self.options.rounds)]
                stop.set()
                for thread in threads:
                    thread.join()
            late, slowest = median(run.late for run in runs), median(run.slowest for run in runs)
            text = f"{late:.1f} ms for 99 %, {len(made)} AVIFs meanwhile"
            print(f"| hot while eight AVIFs are made | {service.name} | {text} | | {slowest:.0f} | | |", flush=True)

    def start(self) -> None:
        """Load the application and answer once, as a worker does; the processor time of a process of its own."""
        service = self.s3img(workers=1)
        code = (
            "import resource, bench_app as app, werkzeug.test as test; test.Client(app.application).get('/');"
            "used = resource.getrusage(resource.RUSAGE_SELF); print(used.ru_utime + used.ru_stime)"
        )
        command, environ = [sys.executable, "-c", code], os.environ | service.environ
        found = [float(subprocess.check_output(command, env=environ, cwd=self.folder)) for _ in range(9)]
        print(f"| start of a worker, first answer included | s3img | | {1000 * median(found):.0f} in all | | | |")

    def same(self) -> None:
        """Ask for one cold URL twenty times at once and count what the store is asked for."""
        with fault_proxy(self.server.endpoint_url) as proxy:
            seen = Counting(proxy)
            for service in (self.s3img(workers=4, endpoint=proxy.endpoint_url), self.ipx(proxy), self.thumbor(proxy)):
                with service.running(self.folder / "run" / "log"):
                    seen.count = 0
                    url = f"http://127.0.0.1:{service.port}{service.path(key('12 MP jpeg', 0), 311, 311, 80)}"
                    before = service.cpu()
                    bodies = at_once(url, 20)
                    used = service.cpu() - before
                    text = f"{len(bodies)} answers, {len(set(bodies))} different, {seen.count} requests to the store"
                    print(f"| 20 at once | {service.name} | {text} | {1000 * used:.0f} in all | | | |", flush=True)

    def memory(self) -> None:
        if not self.options.requests:
            return
        for server in ("gunicorn", "granian"):
            service = self.s3img(workers=2, server=server)
            with service.running(self.folder / "run" / "log"):
                cold = iter(cold_paths(service, "small jpeg", 0))
                hot = list(itertools.islice(cold, 200))
                tags = {path: service.ask([path])["ETag"] for path in hot}
                done, sizes = 0, []
                while done < self.options.requests:
                    figures = self.wrk(service, mixed(tags, itertools.islice(cold, 100)), 5, wrong=True)
                    done += round(figures.rate * 5)
                    sizes.append((done, service.memory()))
            shown = sizes[:: max(1, len(sizes) // 8)]
            text = ", ".join(f"{done:,}: {size} MiB" for done, size in [*shown, sizes[-1]])
            print(f"| memory of all processes after requests | {service.name} | {text} | | | | |", flush=True)

    def table(self, title: str, found: dict[str, list[Figures]]) -> None:
        ours = found["s3img"]
        for name, figures in found.items():
            ratios = "|"
            if name != "s3img":
                rate = median(mine.rate / other.rate for mine, other in zip(ours, figures, strict=True))
                cpu = median(mine.cpu / other.cpu for mine, other in zip(ours, figures, strict=True))
                ratios = f"{rate:.2f} | {cpu:.2f}"
            rate, cpu, slowest = (median(getattr(one, what) for one in figures) for what in ("rate", "cpu", "slowest"))
            print(f"| {title} | {name} | {rate:.1f} | {cpu:.2f} | {slowest:.0f} | {ratios} |", flush=True)

    def wrk(
        self,
        service: Service,
        paths: list[str],
        seconds: int = 0,
        *,
        core: int | None = None,
        wrong: bool = False,
    ) -> Figures:
        """Ask for ``paths``, each alone or with the tag of a copy; unless ``wrong``, no answer may be an error."""
        (self.folder / "run" / "urls").write_text("\n".join(paths) + "\n")
        environ = {**os.environ, "BENCH_URLS": str(self.folder / "run" / "urls")}
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        command = [*pinned, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds or self.options.seconds}", "--timeout=30s"]
        command += ["-s", str(self.folder / "wrk.lua"), f"http://127.0.0.1:{service.port}"]
        before = service.cpu()
        output = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=120).stdout
        used = service.cpu() - before
        count, duration, lost, errors, slowest, late = (float(word) for word in output.split("RESULT ")[1].split())
        time_given = seconds or self.options.seconds
        if not count and not lost and time_given < LONGEST:  # on a busy machine a cold picture may take longer
            return self.wrk(service, paths, 2 * time_given, core=core, wrong=wrong)
        if lost or not count or bool(errors) != wrong:
            raise SystemExit(f"{service.name}: {lost + errors:.0f} of {count:.0f} failed; see {self.folder}/run/log")
        return Figures(count / duration, 1000 * used / count, slowest, late)

    def s3img(self, *, workers: int, results: str = "none", endpoint: str = "", server: str = "gunicorn") -> Service:
        (port,) = free_ports(1)
        cache = self.folder / "run" / f"cache-{port}"
        environ = {
            "BENCH_BUCKET": self.bucket.address,
            "BENCH_ENDPOINT": endpoint or self.server.endpoint_url,
            "BENCH_CACHE": str(cache),
            "BENCH_RESULTS": results,
            "S3IMG_ACCESS_KEY_ID": self.server.access_key,
            "S3IMG_SECRET_ACCESS_KEY": self.server.secret_key,
            "MALLOC_ARENA_MAX": "2",
        }
        path = lambda name, w, h, q: f"/tr:w-{w},h-{h},f-webp,q-{q}/{name}"  # noqa: E731 - one of three alike
        name = "s3img" if server == "gunicorn" else f"s3img, {server}"
        return Service(name, port, path, SERVERS[server](port, workers, "bench_app"), environ, self.folder)

    def empty(self, server: str = "gunicorn") -> Service:
        """Return what a server itself costs."""
        (port,) = free_ports(1)
        path = lambda name, w, h, q: f"/{name}-{w}-{h}-{q}"  # noqa: E731 - one of four alike
        name = f"an empty application, {server}"
        return Service(name, port, path, SERVERS[server](port, 1, "bench_empty"), {}, self.folder)

    def ipx(self, proxy: FaultProxy | None = None) -> Service:
        (port,) = free_ports(1)
        base = self._public(proxy)
        path = lambda name, w, h, q: f"/s_{w}x{h},f_webp,q_{q}/{base}/{name}"  # noqa: E731 - one of three alike
        environ = {"BENCH_PORT": str(port), "NODE_ENV": "production"}
        return Service("ipx", port, path, ["node", "ipx_server.mjs"], environ, self.folder)

    def thumbor(self, proxy: FaultProxy | None = None) -> Service:
        (port,) = free_ports(1)
        base = self._public(proxy)
        path = lambda name, w, h, q: f"/unsafe/{w}x{h}/filters:format(webp):quality({q})/{base}/{name}"  # noqa: E731 - alike
        command = ["thumbor/bin/thumbor", "-p", str(port), "-i", "127.0.0.1", "-c", "thumbor.conf", "-l", "error"]
        command += ["--processes", str(self.options.thumbor_processes)]
        return Service("thumbor", port, path, command, folder=self.folder)

    def _public(self, proxy: FaultProxy | None) -> str:
        return f"{proxy.endpoint_url}/{self.bucket.name}" if proxy else self.bucket.public_url


def gunicorn(port: int, workers: int, app: str) -> list[str]:
    command = [sys.executable, "-m", "gunicorn", "-w", str(workers), "-k", "gthread", "--threads", "100"]
    return [*command, "-b", f"127.0.0.1:{port}", "--log-level", "error", app]


def granian(port: int, workers: int, app: str) -> list[str]:
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--no-ws", "--workers", str(workers)]
    return [*command, "--port", str(port), "--log-level", "error", f"{app}:asgi"]


SERVERS = {"gunicorn": gunicorn, "granian": granian}


def mixed(tags: dict[str, str], cold: Iterable[str]) -> list[str]:
    """Return hot and conditional requests, one in fifty of them followed by a cold one and three wrong ones."""
    lines = [line for path, tag in tags.items() for line in (path, f"{path} {tag}")] * 12
    for number, path in enumerate(cold):
        lines[number * 50 : number * 50] = [
            path,
            f"/tr:w-9/missing{path}",
            f"/tr:w-{number}x/cat.jpg",
            f"{path}?tr=w-1",
        ]
    return lines


class Counting:
    """Count the requests that pass through a proxy."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.count = 0
        proxy.faults = self.faults()

    def faults(self) -> Iterator[str]:
        while True:
            self.count += 1
            yield ""


def cold_paths(service: Service, source: str, number: int) -> list[str]:
    """Return thousands of addresses that cost the same and that no other round asks for."""
    sizes = itertools.product(range(70, 90), range(292 + 4 * number, 296 + 4 * number), range(292, 308), range(SOURCES))
    return [service.path(key(source, n), width, height, quality) for quality, height, width, n in sizes]


def at_once(url: str, count: int) -> list[bytes]:
    barrier, bodies = threading.Barrier(count), []

    def request() -> None:
        barrier.wait(30)
        with urllib.request.urlopen(url, timeout=60) as answer:
            bodies.append(answer.read())

    threads = [threading.Thread(target=request) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return bodies


def _cpu_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS  # its own, and that of children that have ended


if __name__ == "__main__":
    main()
