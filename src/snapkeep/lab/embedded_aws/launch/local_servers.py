"""The servers of `snapkeep local`: they outlive the command that starts them, and have a file by which others find them."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.lab.ebs_model import VirtualClock
from snapkeep.lab.embedded_aws.launch.embedded_aws import EmbeddedAws, EmbeddedAwsError, Server, ask, is_answering
from snapkeep.lab.embedded_aws.server.options import HOST, REGION
from snapkeep.lab.embedded_aws.world.open_world import world_of_file

_FILE_PATTERN = "local-*.json"


@dataclass(frozen=True)
class ServerStatus:
    """A running server: its address, its start (seconds since the epoch), and a summary of its world."""

    server: Server
    started_at: float
    world: Mapping[str, Any]


def run_directory() -> Path:
    """Return the directory with the files of running servers."""
    if os.environ.get("XDG_RUNTIME_DIR"):
        return Path(os.environ["XDG_RUNTIME_DIR"]) / "snapkeep"
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~").expanduser() / ".cache")
    return Path(cache) / "snapkeep"


def up(*, port: int, world_file: Path | None, state_dir: Path | None, scale: float, directory: Path | None = None) -> Server:
    """Start and return a server that outlives this process. Raise EmbeddedAwsError if one runs at that port.

    Raise InvalidConfiguration for an unusable world file or state directory.
    """
    directory = _prepared(directory, port, world_file, state_dir)
    embedded = EmbeddedAws(port=port, world_file=world_file, state_dir=state_dir, scale=scale)
    return start_detached(embedded, port, directory)


def start_detached(embedded: EmbeddedAws, port: int = 0, directory: Path | None = None) -> Server:
    """Start and return a server that outlives this process, and record it for `statuses` and `down`."""
    directory = _directory(directory)
    server = embedded.start(detached=True, log_file=directory / f"local-{port or os.getpid()}.log")
    _remember(directory, server)
    return server


def serve(
    *,
    port: int,
    world_file: Path | None,
    state_dir: Path | None,
    scale: float,
    on_ready: Any,
    directory: Path | None = None,
) -> None:
    """Run a server until SIGINT or SIGTERM; call `on_ready(server)` once it answers.

    Raise EmbeddedAwsError if the server ends by itself.
    """
    directory = _prepared(directory, port, world_file, state_dir)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with EmbeddedAws(port=port, world_file=world_file, state_dir=state_dir, scale=scale) as embedded:
        _remember(directory, embedded.server)
        try:
            on_ready(embedded.server)
            while not stop.wait(1.0):
                if not is_answering(embedded.server):
                    raise EmbeddedAwsError(f"the embedded AWS at {embedded.endpoint_url} has ended by itself")
        finally:
            _file_of(directory, embedded.server).unlink(missing_ok=True)


def down(port: int = 0, directory: Path | None = None) -> list[Server]:
    """Stop and return the server at a port (0: every server of this user)."""
    stopped = []
    for status in statuses(port, directory):
        EmbeddedAws.attach(status.server).stop()
        _file_of(directory or run_directory(), status.server).unlink(missing_ok=True)
        stopped.append(status.server)
    return stopped


def statuses(port: int = 0, directory: Path | None = None) -> list[ServerStatus]:
    """Return this user's servers at a port (0 for any). Remove the files of servers that no longer respond."""
    statuses = []
    for path in sorted((directory or run_directory()).glob(_FILE_PATTERN)):
        remembered = json.loads(path.read_text(encoding="utf-8"))
        server = Server(remembered["endpoint_url"], int(remembered["port"]), int(remembered["pid"]), remembered["secret"])
        if not is_answering(server):
            path.unlink(missing_ok=True)
        elif port in (0, server.port):
            statuses.append(ServerStatus(server, float(remembered["started_at"]), ask(server, "GET", "world", None, {})))
    return statuses


def exports(server: Server) -> dict[str, str]:
    """Return the variables that let any AWS tool use the server as the root of the world's default account."""
    return {
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_ACCESS_KEY_ID": str(ask(server, "GET", "health", None, {})["account"]),
        "AWS_SECRET_ACCESS_KEY": server.secret,
        "AWS_DEFAULT_REGION": REGION,
    }


def _prepared(directory: Path | None, port: int, world_file: Path | None, state_dir: Path | None) -> Path:
    if world_file is not None:
        world_of_file(world_file, VirtualClock())
    if state_dir is not None:
        _check_state_directory(state_dir)
    directory = _directory(directory)
    if port and statuses(port, directory):
        where, stopped_by = f"http://{HOST}:{port}", f"snapkeep local down --port {port}"
        raise EmbeddedAwsError(f"an embedded AWS runs at {where} already: `{stopped_by}` stops it")
    _check_port(port)
    return directory


def _directory(directory: Path | None) -> Path:
    directory = directory or run_directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def _check_port(port: int) -> None:
    """Raise EmbeddedAwsError if no server can listen at the port."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            advice = "give another with --port, or 0 for a free one"
            raise EmbeddedAwsError(f"port {port} of {HOST}: {error.strerror}: {advice}") from error


def _check_state_directory(state_dir: Path) -> None:
    """Raise InvalidConfiguration if the directory is not writable: at shutdown it would be too late."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=state_dir):
            pass
    except OSError as error:
        raise InvalidConfiguration(f"{state_dir}: cannot be written: {error.strerror}") from error


def _file_of(directory: Path, server: Server) -> Path:
    return directory / f"local-{server.port}.json"


def _remember(directory: Path, server: Server) -> None:
    document = {**asdict(server), "started_at": time.time()}
    path = _file_of(directory, server)
    path.unlink(missing_ok=True)
    # Only the owner can read the file, because it has the server's secret.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(document, file)
