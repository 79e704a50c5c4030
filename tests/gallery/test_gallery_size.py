"""Large buckets and large uploads: what takes minutes, every night."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from gallery_visitor import Visitor, picture
from werkzeug.test import create_environ, run_wsgi_app

from s3img import Config
from s3img.buckets import open_bucket
from s3img.gallery import Gallery
from s3img.gallery.folder_page import PAGE

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket

UPLOAD = """
import json, resource, secrets, sys
from pathlib import Path
from werkzeug.test import create_environ, run_wsgi_app
from s3img import Config
from s3img.gallery import Gallery

FILES, BYTES, BORDER = 22, 45_000_000, b"----border"
folder = Path(sys.argv[1])
gallery = Gallery(Config(bucket=folder.as_uri()), authorize=lambda *_: True)
token = "t" * 43
block = secrets.token_bytes(1_000_000)

def body():
    yield b'--' + BORDER + b'\\r\\nContent-Disposition: form-data; name="token"\\r\\n\\r\\n' + token.encode() + b'\\r\\n'
    for number in range(FILES):
        head = f'Content-Disposition: form-data; name="files"; filename="{number}.jpg"'
        yield b'--' + BORDER + b'\\r\\n' + head.encode() + b'\\r\\nContent-Type: image/jpeg\\r\\n\\r\\n\\xff\\xd8\\xff'
        for _ in range(BYTES // len(block)):
            yield block
        yield b'\\r\\n'
    yield b'--' + BORDER + b'--\\r\\n'

with open(folder.with_name("body"), "wb") as file:
    file.writelines(body())
length = folder.with_name("body").stat().st_size
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
environ = create_environ("/upload?prefix=", method="POST",
    headers={"Accept": "application/json", "Cookie": "s3img_gallery=" + token})
with open(folder.with_name("body"), "rb") as file:
    environ |= {"wsgi.input": file, "CONTENT_LENGTH": str(length)}
    environ["CONTENT_TYPE"] = "multipart/form-data; boundary=" + BORDER.decode()
    body, status, _ = run_wsgi_app(gallery, environ)
    answer = json.loads(b"".join(body))
print(status[:3], len(answer.get("results", [])), length, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.nightly
def test_gigabyte_of_files_together_takes_the_memory_of_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UPLOAD, str(tmp_path / "bucket")],
        check=True,
        capture_output=True,
        text=True,
        timeout=280,
    )
    status, results, length, megabytes = map(int, done.stdout.split())
    assert (status, results) == (422, 22)
    assert length > 980_000_000
    assert megabytes < 250


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_bucket_of_a_hundred_thousand_is_looked_through(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    bucket = open_bucket(f"{seaweedfs_bucket.address}/docs", seaweedfs_bucket.options)
    number = 100_000
    with ThreadPoolExecutor(32) as pool:
        for _ in pool.map(
            lambda one: bucket.put(f"i/{one % 10}/{one:06}.png", b"x", media_type="image/png"), range(number)
        ):
            pass
    bucket.put("i/needle.png", picture(), media_type="image/png")
    config = Config(bucket=bucket.name, endpoint_url=seaweedfs_bucket.server.endpoint_url, cache_dir=str(tmp_path))
    gallery = Gallery(config, authorize=lambda action, key, environ: True, bucket=bucket)
    try:
        visitor = Visitor(gallery)
        before = bucket.requests["list"]
        page = visitor.get("/?prefix=i/3/").get_data(as_text=True)
        assert page.count('class="card"') == PAGE
        assert bucket.requests["list"] == before + 1
        assert ">1,000+</small>" in visitor.get("/?prefix=i/&counts=1").get_data(as_text=True)
        url, searched, found = "/?q=needle", 0, ""
        while url:  # as a person goes on who presses the link
            text = visitor.get(url).get_data(as_text=True)
            found += text if "needle.png" in text.partition("<ul")[2] else ""
            searched += int(re.findall(r"Searched (?:all )?([\d,]+) names", text)[0].replace(",", ""))
            more = re.findall(r'<a href="([^"]+)">Go on searching</a>', text)
            url = more[0].replace("&amp;", "&") if more else ""
        assert "i%2Fneedle.png" in found
        assert searched >= number
    finally:
        gallery.close()


def test_body_larger_than_all_files_may_be_is_refused_unread(visitor: Visitor) -> None:
    environ = create_environ("/upload?prefix=", "http://gallery.example", method="POST")
    body = io.BytesIO(b"x")
    length = {"CONTENT_LENGTH": str((1 << 30) + 1), "CONTENT_TYPE": "multipart/form-data; boundary=x"}
    _, status, _ = run_wsgi_app(visitor.client.application, {**environ, **length, "wsgi.input": body})
    assert status.startswith("413")
    assert body.tell() == 0
