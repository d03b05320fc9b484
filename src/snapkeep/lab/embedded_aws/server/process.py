"""The server's process: command line, signals, start-up and shutdown."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from snapkeep.domain.errors import SnapkeepError
from snapkeep.lab.embedded_aws.server.options import HOST, MAX_WORKERS, ServerOptions, apply_environment

_LOGGER = logging.getLogger("snapkeep.lab.embedded_aws.server")
_GRACE_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM, SIGINT, or with ``--until-stdin-closes`` the end of standard input."""
    options = parse_arguments(arguments)
    listener = _listen(options.port)
    port = int(listener.getsockname()[1])
    if options.work_dir is None:
        options = _with_work_dir(options, Path(tempfile.mkdtemp(prefix="snapkeep-local-")))
    apply_environment(options, port, os.environ)
    tempfile.tempdir = os.environ["TMPDIR"]
    status = 1
    try:
        asyncio.run(_serve(options, listener, port))
        status = 0
    except SnapkeepError as error:
        print(f"snapkeep local: {error}", file=sys.stderr)  # noqa: T201 - the program's answer
    except Exception:  # noqa: BLE001 - the error is shown, and workers and files are removed
        traceback.print_exc()
    _leave(options, status)


def parse_arguments(arguments: Sequence[str] | None) -> ServerOptions:
    """Return the options on the command line. Exit with status 2 on wrong use, as argparse does."""
    parser = argparse.ArgumentParser(prog="python -m snapkeep.lab.embedded_aws.server", description="The embedded AWS.")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 picks a free one")
    parser.add_argument("--world", type=Path, help="file that describes the world")
    parser.add_argument("--state", type=Path, help="directory that keeps the state between runs")
    parser.add_argument("--scale", type=float, default=1.0, help="seconds of world time in a second")
    parser.add_argument("--max-workers", type=int, default=MAX_WORKERS, help="processes that may run functions at once")
    parser.add_argument("--work-dir", type=Path, help="directory for temporary files; removed at the end")
    parser.add_argument("--log-level", default="WARNING")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end when standard input ends: with the process that started this one"
    )
    options = parser.parse_args(arguments)
    if options.scale <= 0:
        parser.error(f"--scale must be greater than 0, not {options.scale}")
    return ServerOptions(
        port=options.port,
        world_file=options.world,
        state_dir=options.state,
        scale=options.scale,
        max_workers=options.max_workers,
        log_level=options.log_level,
        work_dir=options.work_dir,
        until_stdin_closes=options.until_stdin_closes,
    )


def _with_work_dir(options: ServerOptions, work_dir: Path) -> ServerOptions:
    from dataclasses import replace

    return replace(options, work_dir=work_dir)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen(512)
    return listener


async def _serve(options: ServerOptions, listener: socket.socket, port: int) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    from snapkeep.lab.embedded_aws.server.application import build
    from snapkeep.lab.embedded_aws.server.guard import Guard

    application = build(options)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = _GRACE_SECONDS
    config.shutdown_timeout = 10
    config.loglevel = options.log_level
    config.accesslog = None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.until_stdin_closes:
        await _watch_stdin(loop, stop)
    tasks = [
        asyncio.create_task(application.drive_clock()),
        asyncio.create_task(application.evaluate_alarms()),
        asyncio.create_task(application.save_regularly()),
        asyncio.create_task(_announce(application.ready, port, options.secret)),
    ]

    async def stopped() -> None:
        """Wait for the signal, and then end the workers: a caller that waits for a function would delay the shutdown."""
        await stop.wait()
        _end_workers()

    try:
        await serve(Guard(application, options.secret, application.regions), config, shutdown_trigger=stopped)
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        application.save()


async def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` when the pipe from the parent process closes, which happens at every end of the parent."""

    class Watch(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
            stop.set()

        def eof_received(self) -> None:
            stop.set()

    await loop.connect_read_pipe(Watch, sys.stdin)


async def _announce(ready: asyncio.Event, port: int, secret: str) -> None:
    await ready.wait()
    line: dict[str, Any] = {"endpoint_url": f"http://{HOST}:{port}", "port": port, "pid": os.getpid(), "secret": secret}
    print(json.dumps(line), flush=True)  # noqa: T201 - the announcement is this program's answer


def _leave(options: ServerOptions, status: int) -> None:
    """End every worker process, remove the temporary files, and exit without waiting for threads of running executions."""
    _end_workers()
    if options.work_dir is not None:
        shutil.rmtree(options.work_dir, ignore_errors=True)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.getpgid(0) == os.getpid():
        # This process leads its own session: every other process in it is a child of the server.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
    os._exit(status)


def _end_workers() -> None:
    if "ministack.core.lambda_runtime" in sys.modules:
        from ministack.core import lambda_runtime

        lambda_runtime._REAP_GRACE = 0.2  # noqa: SLF001 - a worker has nothing to finish when its server ends
        lambda_runtime.reset()
