"""Draw the pictures of the documents that show s3img at work, from what Chromium and the program really do.

    python docs/generate_screens.py      needs Chromium, and the test dependencies

``images/srcset.webp``: the example page on a phone and on a laptop, and which files each of them loads.
``images/before-after.webp``: the same page as it was built and as it was published, on the same phone.
``images/network.webp``: the browser's network log of the published page, drawn as its network panel shows it.
``images/doctor.webp``: what ``s3img doctor`` prints for a public address without its prefix.
"""

from __future__ import annotations

import base64
import html
import io
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from PIL import Image
from playwright.sync_api import sync_playwright

from s3img import Config, Images
from s3img.config.mkdocs_yml import with_theme_sizes

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))
IMAGES = ROOT / "docs" / "images"
PHONE, WIDE = (390, 640, 2), (1440, 900, 2)
STYLE = """
body { font: 15px/1.4 'Liberation Sans', sans-serif; margin: 20px; background: #fff; color: #111; width: max-content }
.row { display: flex; gap: 28px }
h1 { font-size: 16px; margin: 0 0 8px }
img { border: 1px solid #aaa; border-radius: 6px }
td, th { padding: 2px 14px 2px 0; text-align: left; font-weight: normal }
th { color: #666; border-bottom: 1px solid #bbb }
.size { text-align: right }
code, pre { font: 13px/1.5 'Liberation Mono', monospace }
.bar { background: #e8e8e8; width: 220px; height: 10px; position: relative }
.bar i { background: #3b7dd8; position: absolute; height: 10px; min-width: 2px }
pre { margin: 0; padding: 14px 18px; background: #1c1f26; color: #e6e6e6; border-radius: 8px }
.ok { color: #7bd88f } .fail { color: #ff6b6b } .skip, .warn { color: #e5c07b }
"""


@dataclass
class Loaded:
    """One file that the browser loaded: what its network log says; times in seconds since the page was asked for."""

    name: str
    status: int = 0
    media_type: str = ""
    priority: str = ""
    bytes: int = 0
    start: float = 0.0
    end: float = 0.0


def main() -> None:
    """Build and publish the example, look at it, and draw what was seen."""
    from chromium import FLAGS, NAMES
    from static_server import serving

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        built, site = Path(folder) / "built", Path(folder) / "site"
        example = ROOT / "examples" / "mkdocs_site" / "mkdocs.yml"
        command = [sys.executable, "-m", "mkdocs", "build", "-q", "-f", str(example), "-d", str(built)]
        subprocess.run(command, check=True)  # noqa: S603 - our own arguments
        shutil.copytree(built, site)
        Images(with_theme_sizes(Config(), "mkdocs")).publish(site)  # as the command does, which reads mkdocs.yml
        browser = playwright.chromium.launch(executable_path=next(filter(None, map(shutil.which, NAMES))), args=FLAGS)
        with serving(built) as before_url, serving(site) as url:
            before, phone, wide = (
                visit(browser, before_url, PHONE),
                visit(browser, url, PHONE),
                visit(browser, url, WIDE),
            )
        screens = {"a phone: 390 px, two device pixels each": phone, "a laptop: 1,440 px, two device pixels each": wide}
        parts = [f"<div><h1>{title}</h1>{shown(shot, 380)}{files(log)}</div>" for title, (shot, log) in screens.items()]
        draw(browser, "srcset", f"<div class=row>{''.join(parts)}</div>")
        screens = {"before: as the generator built it": before, "after: s3img publish site/": phone}
        parts = [f"<div><h1>{title}</h1>{shown(shot, 420)}{files(log)}</div>" for title, (shot, log) in screens.items()]
        draw(browser, "before-after", f"<div class=row>{''.join(parts)}</div>")
        draw(browser, "network", f"<div class=row><div>{shown(phone[0], 300)}</div><div>{panel(phone[1])}</div></div>")
        draw(browser, "doctor", f"<pre>{doctor()}</pre>")


def visit(browser: Browser, url: str, screen: tuple[int, int, int]) -> tuple[bytes, list[Loaded]]:
    """Open a page over a slow line (9 Mbit/s, 60 ms); return a screenshot, and its pictures in the order they came."""
    width, height, scale = screen
    page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
    log, first = {}, []

    def asked(event: dict[str, Any]) -> None:
        first.append(event["timestamp"])
        request = event["request"]
        name = unquote(request["url"]).rpartition("/")[2]
        log[event["requestId"]] = Loaded(name, priority=request["initialPriority"], start=event["timestamp"] - first[0])

    def answered(event: dict[str, Any]) -> None:
        one, response = log[event["requestId"]], event["response"]
        one.status, one.media_type = response["status"], response["mimeType"]

    def finished(event: dict[str, Any]) -> None:
        one = log[event["requestId"]]
        one.bytes, one.end = int(event["encodedDataLength"]), event["timestamp"] - first[0]

    session = page.context.new_cdp_session(page)
    for name, action in {"requestWillBeSent": asked, "responseReceived": answered, "loadingFinished": finished}.items():
        session.on(f"Network.{name}", action)
    session.send("Network.enable")
    line = {"offline": False, "latency": 60, "downloadThroughput": 9e6 / 8, "uploadThroughput": 1e6 / 8}
    session.send("Network.emulateNetworkConditions", line)
    page.goto(url, wait_until="networkidle")
    shot = page.screenshot()
    page.close()
    pictures = (one for one in log.values() if one.media_type.startswith("image/") and one.bytes > 2_000)
    return shot, [one for one in pictures if one.name != "favicon.ico"]  # which is the theme's, and stays as it is


def shown(shot: bytes, height: int) -> str:
    """Return a screenshot as an element of this height in px."""
    return f"<img height={height} src='data:image/png;base64,{base64.b64encode(shot).decode()}'>"


def files(log: list[Loaded]) -> str:
    """Return a table of the first files of a log, and the sum of all."""
    rows = "".join(row(f"<code>{shortened(one.name)}</code>", size(one.bytes)) for one in log[:4])
    more = f"{len(log)} pictures" + (", the first four above" if len(log) > 4 else "")
    return f"<table>{rows}{row(f'<b>{more}</b>', f'<b>{size(sum(one.bytes for one in log))}</b>')}</table>"


def panel(log: list[Loaded]) -> str:
    """Return a network log as a browser's panel shows it."""
    names = ("Name", "Status", "Type", "Priority", "Size", "Time", "Waterfall")
    end = max(one.end for one in log)
    lines = [f"<tr>{''.join(f'<th>{name}' for name in names)}"]
    for one in log:
        left, width = 220 * one.start / end, 220 * (one.end - one.start) / end
        bar = f"<div class=bar><i style='left:{left:.0f}px;width:{width:.0f}px'></i></div>"
        kind = one.media_type.partition("/")[2]
        time = f"{(one.end - one.start) * 1000:,.0f} ms"
        lines.append(
            row(f"<code>{shortened(one.name)}</code>", one.status, kind, one.priority, size(one.bytes), time, bar)
        )
    return f"<table>{''.join(lines)}</table>"


def row(*cells: object) -> str:
    """Return a row of a table; what ends in a unit stands on the right."""
    return "<tr>" + "".join(
        f"<td class={'size' if str(cell).rstrip('</b>').endswith('B') else 'text'}>{cell}" for cell in cells
    )


def size(count: int) -> str:
    """Return a number of bytes as kB or MB."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1000:,.0f} kB"


def shortened(name: str) -> str:
    """Return ``harbour.5b1e….w-640.avif`` of a variant's whole name, and any other name as it is."""
    parts = name.split(".", 2)
    return f"{parts[0]}.{parts[1][:4]}….{parts[2]}" if len(parts) == 3 else name


def doctor() -> str:
    """Return what ``s3img doctor`` prints, with classes for colours, about a public_url that lacks the prefix."""
    from moto.server import ThreadedMotoServer
    from s3_servers import S3Server, new_bucket

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else it tells of each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        bucket = new_bucket(S3Server(address))
        key = {"S3IMG_ACCESS_KEY_ID": bucket.server.access_key, "S3IMG_SECRET_ACCESS_KEY": bucket.server.secret_key}
        where = ["--bucket", f"{bucket.address}/docs", "--endpoint-url", address, "--public-url", bucket.public_url]
        done = subprocess.run(  # noqa: S603 - our own arguments
            [sys.executable, "-m", "s3img", "doctor", *where],
            env={**os.environ, **key},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        server.stop()
    # names as a reader has them, in place of the test server's
    text = done.stdout.replace(bucket.name, "my-images").replace(address.partition("//")[2], "s3.example.com")
    text = text.replace("127.0.0.1 is 127.0.0.1", "s3.example.com is 203.0.113.7").replace(str(Path.home()), "/home/me")
    return "\n".join(coloured(html.escape(line)) for line in f"$ s3img doctor\n{text}".rstrip().split("\n"))


def coloured(line: str) -> str:
    """Return a line of doctor's report with its first word in the colour that a terminal gives it."""
    word = line.partition(" ")[0]
    return f"<b class={word}>{word}</b>{line[len(word) :]}" if word in {"ok", "fail", "skip", "warn"} else line


def draw(browser: Browser, name: str, body: str) -> None:
    """Save a page as a picture of the documents."""
    page = browser.new_page(viewport={"width": 1000, "height": 560}, device_scale_factor=1.5)
    page.set_content(f"<!doctype html><style>{STYLE}</style>{body}")
    picture = Image.open(io.BytesIO(page.locator("body").screenshot()))
    picture.convert("RGB").save(IMAGES / f"{name}.webp", quality=72, method=6)
    page.close()


if __name__ == "__main__":
    main()
