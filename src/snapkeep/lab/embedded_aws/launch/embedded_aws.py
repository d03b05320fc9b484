"""Start, use and stop an embedded AWS from Python."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import urlencode

from snapkeep.domain.errors import SnapkeepError
from snapkeep.lab.embedded_aws.server.options import ACCOUNT_ID, HOST, MAX_WORKERS, REGION

# Modules of the packages in the extra `local`.
REQUIRED_MODULES = ("ministack", "samtranslator", "cryptography", "jsonata")
START_TIMEOUT_SECONDS = 180.0
STOP_TIMEOUT_SECONDS = 30.0
# The length of the log's end that explains a failed start.
_LOG_TAIL_BYTES = 4_000
_making_clients = threading.Lock()


class EmbeddedAwsError(SnapkeepError):
    """The embedded AWS cannot be started, reached or stopped; the message says why."""


@dataclass(frozen=True)
class Server:
    """The address, process and secret of a server. The secret signs for root and opens the administration pages."""

    endpoint_url: str
    port: int
    pid: int
    secret: str = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the server in JSON's form for people, without the secret."""
        return {"endpoint_url": self.endpoint_url, "port": self.port, "pid": self.pid}


class EmbeddedAws:
    """One embedded AWS: a context manager that starts the process and removes all its remains.

    The process runs in its own session, and ends with this one in any case.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        world_document: Mapping[str, Any] | None = None,
        world_file: Path | None = None,
        state_dir: Path | None = None,
        scale: float = 1.0,
        max_workers: int = MAX_WORKERS,
        log_level: str = "WARNING",
    ) -> None:
        self._port = port
        self._world_document = world_document
        self._world_file = world_file
        self._state_dir = state_dir
        self._scale = scale
        self._max_workers = max_workers
        self._log_level = log_level
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self._server: Server | None = None

    @classmethod
    def attach(cls, server: Server) -> Self:
        """Return an object for a running server; `stop` ends the server too."""
        attached = cls(port=server.port)
        attached._server = server
        return attached

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop it."""
        self.stop()

    @property
    def server(self) -> Server:
        """Return the server's address and process. Raise EmbeddedAwsError before `start`."""
        if self._server is None:
            raise EmbeddedAwsError("the embedded AWS has not been started")
        return self._server

    @property
    def endpoint_url(self) -> str:
        """Return the URL of every service."""
        return self.server.endpoint_url

    def start(self, *, detached: bool = False, log_file: Path | None = None) -> Server:
        """Start the process, and return the server once it is ready; if detached, it outlives this process.

        Raise EmbeddedAwsError.
        """
        if self._server is not None:
            return self._server
        check_installed()
        self._directory = Path(tempfile.mkdtemp(prefix="snapkeep-local-"))
        # The log is read through this handle, because the server removes the directory at its end.
        with (log_file or self._directory / "server.log").open("w+b") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                self._command(self._directory, detached=detached),
                stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                cwd=self._directory,
            )
            try:
                self._server = self._wait_until_ready(log)
            except BaseException:
                self.stop()
                raise
        return self._server

    def _command(self, directory: Path, *, detached: bool) -> list[str]:
        command = [
            sys.executable,
            "-m",
            "snapkeep.lab.embedded_aws.server",
            "--port",
            str(self._port),
            "--work-dir",
            str(directory),
        ]
        command += ["--scale", repr(self._scale), "--max-workers", str(self._max_workers), "--log-level", self._log_level]
        if self._world_document is not None:
            document = directory / "world.json"
            document.write_text(json.dumps(self._world_document), encoding="utf-8")
            command += ["--world", str(document)]
        elif self._world_file is not None:
            command += ["--world", str(self._world_file.resolve())]
        if self._state_dir is not None:
            command += ["--state", str(self._state_dir.resolve())]
        if not detached:
            command.append("--until-stdin-closes")
        return command

    def _wait_until_ready(self, log: BinaryIO) -> Server:
        process = self._process
        if process is None or process.stdout is None:
            raise EmbeddedAwsError("the embedded AWS has no process")
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        readable, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_SECONDS)
        line = process.stdout.readline() if readable else b""
        if not line:
            end_session(process.pid, wait=self._reap)
            log.seek(0)
            tail = log.read()[-_LOG_TAIL_BYTES:].decode(errors="replace")
            raise EmbeddedAwsError(f"the embedded AWS did not start:\n{tail}")
        announced = json.loads(line)
        server = Server(announced["endpoint_url"], int(announced["port"]), int(announced["pid"]), announced["secret"])
        while not is_answering(server):
            if time.monotonic() > deadline or process.poll() is not None:
                raise EmbeddedAwsError(f"the embedded AWS announced itself at {server.endpoint_url} and does not answer")
            time.sleep(0.02)
        return server

    def stop(self) -> None:
        """End the server and every process that it started, and remove its temporary files.

        Without a running server, do nothing.
        """
        if self._process is not None:
            end_session(self._process.pid, wait=self._reap)
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
        elif self._server is not None:
            end_session(self._server.pid, wait=lambda seconds: _wait_until_gone(self.server.pid, seconds))
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._process = self._server = self._directory = None

    def _reap(self, seconds: float) -> bool:
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def client(self, service: str, region: str = REGION, account_id: str = ACCOUNT_ID, config: Any = None) -> Any:
        """Return a boto3 client of the account's root. `config` is a botocore Config."""
        return _make_client(service, config=config, **self.client_arguments(region, account_id))

    def client_of(self, service: str, region: str, access_key_id: str, secret_access_key: str) -> Any:
        """Return a boto3 client with the access key of a user."""
        keys = {"aws_access_key_id": access_key_id, "aws_secret_access_key": secret_access_key}
        return _make_client(service, **{**self.client_arguments(region, access_key_id), **keys})

    def client_arguments(self, region: str, account_id: str) -> dict[str, Any]:
        """Return the arguments of `boto3.client` for the root of an account."""
        return {
            "endpoint_url": self.endpoint_url,
            "region_name": region,
            "aws_access_key_id": account_id,
            "aws_secret_access_key": self.server.secret,
        }

    def environment(self, region: str = REGION, account_id: str = ACCOUNT_ID) -> dict[str, str]:
        """Return the variables that let any AWS tool use this server as the account's root."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": account_id,
            "AWS_SECRET_ACCESS_KEY": self.server.secret,
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
        }

    def admin(self, method: str, page: str, document: Mapping[str, Any] | None = None, **query: str) -> dict[str, Any]:
        """Return the answer of a page under `/_snapkeep/`.

        Raise EmbeddedAwsError with the server's message if the server refuses.
        """
        return ask(self.server, method, page, document, query)

    def inbox(self, topic: str = "", account_id: str = "") -> list[dict[str, Any]]:
        """Return the messages published to a topic (name or ARN) of an account (empty for any), the oldest first."""
        return list(self.admin("GET", "inbox", topic=topic, account=account_id)["messages"])


@cache
def _session() -> Any:
    """Return the session of this process, which all clients share: reading a service's model takes longer than most calls."""
    import boto3

    return boto3.session.Session()


def _make_client(service: str, **arguments: Any) -> Any:
    """Return a client. Sessions are not thread-safe while they make one (boto3 guide: sessions)."""
    with _making_clients:
        return _session().client(service, **arguments)


def check_installed() -> None:
    """Raise EmbeddedAwsError if a package of the extra `local` is missing."""
    missing = [name for name in REQUIRED_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        advice = "install Snapkeep with its extra `local`, in the directory of its source: pip install '.[local]'"
        raise EmbeddedAwsError(f"the embedded AWS needs {', '.join(missing)}, not installed here: {advice}")


def ask(server: Server, method: str, page: str, document: Mapping[str, Any] | None, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer of an administration page. Raise EmbeddedAwsError if the server refuses or is unreachable."""
    url = f"{server.endpoint_url}/_snapkeep/{page}?{urlencode(query)}"
    body = json.dumps(document).encode() if document is not None else None
    headers = {"Authorization": f"Bearer {server.secret}"}
    request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310 - the loop-back address of our own server
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - see above
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        words = error.read().decode(errors="replace")
        raise EmbeddedAwsError(f"{method} {page}: {words}") from error
    except OSError as error:
        raise EmbeddedAwsError(f"{server.endpoint_url} cannot be reached: {error}") from error


def is_answering(server: Server) -> bool:
    """Return whether the server answers and is the same process."""
    try:
        return bool(ask(server, "GET", "health", None, {})["pid"] == server.pid)
    except (EmbeddedAwsError, ValueError, KeyError):
        return False


def end_session(pid: int, *, wait: Any) -> None:
    """Send SIGTERM to the leader of a session, wait for its end, then kill the rest of its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    stopped = wait(STOP_TIMEOUT_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    if not stopped:
        wait(STOP_TIMEOUT_SECONDS)


def _wait_until_gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            # Only this process can reap its child.
            os.waitpid(pid, os.WNOHANG)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


__all__ = ["HOST", "EmbeddedAws", "EmbeddedAwsError", "Server", "ask", "end_session", "is_answering"]
