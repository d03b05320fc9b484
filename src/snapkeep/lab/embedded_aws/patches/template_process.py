"""A template: a process that has imported the modules that a function's workers share, and forks them.

It runs in Lambda's interpreter. The first template of a package imports botocore, as each worker does before its handler. It
forks one template for each function. This one imports the handler in the function's environment, and forks the function's
workers, like Lambda's SnapStart without a snapshot.

A request is one packet: JSON, and open files. The answer is one packet too: the child's pid, and a descriptor of its process.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import sys
from typing import Any

MOST_BYTES = 1 << 20


def main() -> None:
    """Serve requests for templates of functions; each child continues here as such a template."""
    package = sys.argv[2]
    sys.path[0] = package
    with contextlib.suppress(ImportError):
        import botocore.handlers  # noqa: F401
    request, (control, errors) = fork_for_each_request(socket.socket(fileno=int(sys.argv[1])))
    os.dup2(errors, 2)  # the log of the first worker gets the output of the handler's module
    os.close(errors)
    enter(request)
    sys.path[:] = [path for path in sys.path if path != package]
    sys.stdin = io.StringIO(request["init"])
    run_script(request, socket.socket(fileno=control))


def run_script(request: dict[str, Any], control: socket.socket) -> None:
    """Run the worker's script, which calls `become_worker` after it has imported the handler."""

    def become_worker(_init: dict[str, Any]) -> dict[str, Any]:
        control.send(b"ready")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        worker, files = fork_for_each_request(control)
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - until the worker ends
        enter(worker)
        init: dict[str, Any] = json.loads(sys.stdin.readline())
        return init

    script = compile(request["script"], "worker", "exec")
    exec(script, {"__name__": "__main__", "become_worker": become_worker})  # noqa: S102 - the emulator's own script
    # A template whose handler cannot be imported reaches this line, and so do workers at the end of their input.


def enter(request: dict[str, Any]) -> None:
    """Adopt the environment and the directory of a request."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])


def fork_for_each_request(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork a child for each request; return the request and its files in the child. End this process when its server ends."""
    while True:
        packet, files, _, _ = socket.recv_fds(control, MOST_BYTES, 3)
        if not packet:
            os._exit(0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        child = os.fork()
        if not child:
            control.close()
            return json.loads(packet), files
        descriptor = os.pidfd_open(child)
        socket.send_fds(control, [str(child).encode()], [descriptor])
        for file in (descriptor, *files):
            os.close(file)


if __name__ == "__main__":
    main()
