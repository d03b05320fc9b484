"""Listings go the way that boto3's environment variables name: through a proxy, and with certificates of one's own."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from snapkeep.cli import common
from snapkeep.cli.common import AwsSettings
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.usecases.ports import SnapshotReader
from support.lineages import REGION

PAGE = b"<DescribeSnapshotsResponse><snapshotSet/></DescribeSnapshotsResponse>"


class Server(ThreadingHTTPServer):
    """A proxy that refuses, or an AWS without snapshots. `seen` has the requests."""

    seen: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_CONNECT(self) -> None:
        self.server.seen.append(self.path)
        self.send_error(502)

    def do_POST(self) -> None:
        self.server.seen.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.seen = []
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    common._session.cache_clear()  # a session keeps its credentials
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    yield
    common._session.cache_clear()


def reader(endpoint_url: str = "") -> SnapshotReader:
    settings = AwsSettings(REGION, "", endpoint_url=endpoint_url, read_only=True)
    return InstalledSystem(settings).adapters.reader_of(REGION)


def test_a_listing_uses_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        with pytest.raises(AwsUnavailable, match="proxy"):
            list(reader().all_snapshots())
        assert set(proxy.seen) == {f"ec2.{REGION}.amazonaws.com:443"}


def test_a_listing_uses_the_ca_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with serving(tls) as server:
        url = f"https://127.0.0.1:{server.server_port}"
        with pytest.raises(AwsUnavailable, match="SSL"):
            list(reader(url).all_snapshots())
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        assert list(reader(url).all_snapshots()) == []
        assert server.seen == ["/"]


def make_certificate(folder: Path) -> Path:
    """Write a key and a certificate for 127.0.0.1, signed by itself, into one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, text = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = folder / "own.pem"
    path.write_bytes(key.private_bytes(pem, text, serialization.NoEncryption()) + certificate.public_bytes(pem))
    return path
