"""The start of workers by forking a template of their function: a cold start imports nothing, and costs a tenth."""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snapkeep.lab.embedded_aws.patches import template_process

SUPPORTED = hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal")
"""Whether this is Linux; elsewhere each worker starts by itself."""
# The number above which templates end, the oldest first: their functions may no longer be deployed.
MOST_TEMPLATES = 100
# The variables that differ between the workers of one function.
_OF_ONE_WORKER = ("AWS_LAMBDA_LOG_STREAM_NAME", "LAMBDA_TASK_ROOT")


class TemplateGoneError(Exception):
    """A template ended, or could not import its handler: the worker starts by itself, and reports why."""


class ForkedWorker:
    """A worker process that a template forked; it replaces `subprocess.Popen`."""

    def __init__(self, pid: int, descriptor: int, stdin: int, stdout: int, stderr: int) -> None:
        self.pid = pid
        self._descriptor = descriptor
        self.stdin = os.fdopen(stdin, "w", buffering=1, encoding="utf-8")
        self.stdout = os.fdopen(stdout, encoding="utf-8")
        self.stderr = os.fdopen(stderr, encoding="utf-8")

    def poll(self) -> int | None:
        """Return 0 after the end of the process: only its template could read its exit status."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raise TimeoutExpired after the time-out."""
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0)
        return 0

    def _ended(self, seconds: float | None) -> int | None:
        end = select.poll()
        end.register(self._descriptor, select.POLLIN)
        return 0 if end.poll(None if seconds is None else seconds * 1000) else None

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._descriptor, number)

    def __del__(self) -> None:
        """Close the descriptor; the streams close themselves."""
        os.close(self._descriptor)


@dataclass
class Template:
    """A template process, which starts with its first use."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    control: socket.socket | None = None
    """The server's end of its socket; none before its first use."""

    def fork(self, request: Mapping[str, Any], files: list[int]) -> tuple[int, int]:
        """Return the pid and the descriptor of a new child. Raise TemplateGoneError."""
        if self.control is None:
            raise TemplateGoneError
        try:
            socket.send_fds(self.control, [json.dumps(request).encode()], files)
            packet, descriptors, _, _ = socket.recv_fds(self.control, 64, 1)
        except OSError as error:
            raise TemplateGoneError from error
        if not packet:
            raise TemplateGoneError
        return int(packet), descriptors[0]

    def end(self) -> None:
        """End the process."""
        if self.control is not None:
            self.control.close()


class WorkerTemplates:
    """The templates of one server, by package and by function."""

    def __init__(self, interpreter: Path) -> None:
        self._interpreter = interpreter
        self._lock = threading.Lock()
        self._of_packages: dict[str, Template] = {}
        self._of_functions: dict[str, Template] = {}
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, handler: str, script: Path, folder: str, environment: Mapping[str, str]) -> ForkedWorker:
        """Return a new worker of a function, with its script, in its directory. Raise TemplateGoneError."""
        package = os.path.realpath(folder)
        shared = {name: value for name, value in environment.items() if name not in _OF_ONE_WORKER}
        key = hashlib.sha256(json.dumps([package, handler, shared], sort_keys=True).encode()).hexdigest()
        template = self._template_of(key)
        request = {"environment": dict(environment), "folder": folder}
        ours, theirs = zip(*(os.pipe()[::step] for step in (-1, 1, 1)), strict=True)
        try:
            with template.lock:
                if template.control is None:
                    module, _, function = handler.rpartition(".")
                    init = {"code_dir": package, "module": module.replace("/", "."), "handler": function}
                    more = {"script": script.read_text(encoding="utf-8"), "init": json.dumps(init)}
                    template.control = self._import_handler(package, request | more, theirs[2])
                return ForkedWorker(*template.fork(request, list(theirs)), *ours)
        except TemplateGoneError:
            with self._lock:
                self._of_functions.pop(key, None)
            for end in ours:
                os.close(end)
            raise
        finally:
            for end in theirs:
                os.close(end)

    def _template_of(self, key: str) -> Template:
        with self._lock:
            template = self._of_functions.setdefault(key, Template())
            if len(self._of_functions) > MOST_TEMPLATES:
                self._of_functions.pop(next(iter(self._of_functions))).end()
            return template

    def _import_handler(self, package: str, request: Mapping[str, Any], errors: int) -> socket.socket:
        """Fork the template of a function from that of its package; return its socket after it has imported the handler."""
        with self._lock:
            of_package = self._of_packages.setdefault(package, Template())
        ours, theirs = _socket_pair()
        with theirs, of_package.lock:
            of_package.control = of_package.control or self._start(package)
            try:
                _, descriptor = of_package.fork(request, [theirs.fileno(), errors])
            except TemplateGoneError:
                of_package.control = None
                raise
        os.close(descriptor)
        if not ours.recv(16):
            raise TemplateGoneError
        return ours

    def _start(self, package: str) -> socket.socket:
        """Start the template of a package; return its socket."""
        ours, theirs = _socket_pair()
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [str(self._interpreter), template_process.__file__, str(theirs.fileno()), package],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._processes.append(process)
        return ours


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a socket that preserves packet boundaries."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
