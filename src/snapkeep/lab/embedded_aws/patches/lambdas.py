"""Lambda: AWS's error names, a limit of worker processes, and only AWS's packages besides the function's own.

- A handler's exception is reported by its class name, as on AWS; ministack reports all of them as ``Runtime.HandlerError``, so
  that no ``ErrorEquals`` of a state machine would match.
- At most `max_workers` functions run at once; the others wait for a slot. Idle workers of other functions are ended.
- Workers of one package share its unpacked and compiled files, so that a cold start costs as much as on Lambda.
- A worker imports the standard library, boto3 and its dependencies: a package that lacks a dependency fails as on AWS.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import threading
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snapkeep.lab.embedded_aws.patches import worker_templates
from snapkeep.lab.embedded_aws.patches.concurrency import FunctionSlots
from snapkeep.lab.embedded_aws.patches.patch_tools import replace, replace_text
from snapkeep.lab.embedded_aws.patches.worker_templates import TemplateGoneError, WorkerTemplates

# The packages in Lambda's Python runtimes.
RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
# The worker processes, running or idle, for each slot; above this number, idle ones of other functions are ended.
IDLE_WORKERS_PER_RUNNING = 6

# The part of the worker's script that returns a handler's exception.
_ERROR = '{"status": "error", "error": str(e), "trace": traceback.format_exc()}'
_HANDLER_ERROR = (
    '{"status": "ok", "handler_error": {"error": str(e), "error_type": type(e).__name__, "trace": traceback.format_exc()}}'
)

# The point after a worker's script has imported its handler, where a template forks workers.
_IMPORTED = "handler_fn = getattr(mod, handler_name)\n"
_FORKED = _IMPORTED + '        init = globals().get("become_worker", lambda own: own)(init)\n'

_last_error = threading.local()
_spawning = threading.local()


def apply(max_workers: int, work_dir: Path) -> None:
    """Apply the patches. At most `max_workers` functions run at once; the runtime's files go into `work_dir`."""
    from ministack.core import lambda_runtime

    replace_text(lambda_runtime, "_PYTHON_WORKER_SCRIPT", _ERROR, _HANDLER_ERROR)
    replace(lambda_runtime, "zipfile", lambda module: SharedPackages(module, work_dir / "lambda-code"))
    replace_text(lambda_runtime, "_PYTHON_WORKER_SCRIPT", _IMPORTED, _FORKED)
    interpreter = runtime_interpreter(work_dir)
    if worker_templates.SUPPORTED:
        replace(lambda_runtime, "subprocess", lambda module: WorkerProcesses(module, interpreter))
        replace(lambda_runtime.Worker, "_spawn", _note_worker)

    def with_our_interpreter(find: Any) -> Any:
        def detect(runtime: str) -> tuple[str, str]:
            binary, script = find(runtime)
            return (str(interpreter), script) if runtime.startswith("python") else (binary, script)

        return detect

    replace(lambda_runtime, "_detect_runtime_binary", with_our_interpreter)
    replace(lambda_runtime.Worker, "invoke", _keep_after_error)
    _bound_concurrency(max_workers)


def runtime_interpreter(work_dir: Path) -> Path:
    """Write and return a command that runs Python with only the packages of Lambda's runtime."""
    packages = work_dir / "lambda-runtime"
    packages.mkdir(parents=True, exist_ok=True)
    for name in RUNTIME_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        link = packages / source.name
        if not link.exists():
            link.symlink_to(source)
    command = work_dir / "lambda-python"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{packages}" exec "{sys.executable}" -S "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return command


class SharedPackages:
    """A replacement of the module `zipfile`: a worker's package is unpacked once, and each worker gets a link to it.

    The files are the same for all of them, and unpacking takes twice as long as the rest of a cold start.
    """

    def __init__(self, module: Any, folder: Path) -> None:
        self._module = module
        self._folder = folder
        self._unpacking = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self._module, name)

    def ZipFile(self, path: str, *arguments: Any) -> Any:  # noqa: N802 - the name in `zipfile`
        """Return an archive to read; a worker's package in `code.zip` is unpacked as a link."""
        if Path(path).name != "code.zip":
            return self._module.ZipFile(path, *arguments)
        return nullcontext(SimpleNamespace(extractall=partial(self._link, Path(path))))

    def _link(self, package: Path, target: str) -> None:
        unpacked = self._folder / hashlib.sha256(package.read_bytes()).hexdigest()
        with self._unpacking:
            if not unpacked.exists():
                half = unpacked.with_suffix(".half")
                with self._module.ZipFile(package) as archive:
                    archive.extractall(half)
                half.rename(unpacked)
        Path(target).rmdir()
        Path(target).symlink_to(unpacked)


class WorkerProcesses:
    """A replacement of the module `subprocess`: a Python worker is forked from a template of its function."""

    def __init__(self, module: Any, interpreter: Path) -> None:
        self._module = module
        self._interpreter = str(interpreter)
        self._templates = WorkerTemplates(interpreter)

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self._module, name)

    def Popen(self, command: list[str], **options: Any) -> Any:  # noqa: N802 - the name in `subprocess`
        """Start a process."""
        if command[0] == self._interpreter:
            handler = str(_spawning.worker.config.get("Handler", "index.handler"))
            with suppress(TemplateGoneError):
                return self._templates.start(handler, Path(command[1]), options["cwd"], options["env"])
        return self._module.Popen(command, **options)


def _note_worker(spawn: Any) -> Any:
    def noting(self: Any) -> None:
        _spawning.worker = self
        spawn(self)

    return noting


def _keep_after_error(invoke: Any) -> Any:
    """Keep a worker after an exception of its handler, as Lambda does; ministack ends it. The answer is that of ministack."""

    def remembering(self: Any, *arguments: Any, **named: Any) -> Any:
        _last_error.answer = None
        answer = invoke(self, *arguments, **named)
        if "handler_error" in answer:
            answer = {**answer, "status": "error", **answer["handler_error"]}
        _last_error.answer = answer
        return answer

    return remembering


def error_payload(payload: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Return the payload of Lambda for a Python exception, from ministack's payload and the worker's answer."""
    if "error_type" not in answer:
        return payload
    frames = str(answer.get("trace", "")).splitlines()[1:-1]
    return {"errorMessage": payload.get("errorMessage", ""), "errorType": answer["error_type"], "stackTrace": frames}


def _bound_concurrency(max_workers: int) -> None:
    from ministack.services import lambda_svc

    slots = FunctionSlots(max_workers)

    def with_slots(execute: Any) -> Any:
        def execute_in_slot(func: Any, event: Any, request_id: str) -> Any:
            # A call over the wire may be from a function, and must not wait for the slot that its caller holds.
            if lambda_svc._invoke_depth.get():
                return _named_error(execute(func, event, request_id))
            with slots.slot():
                _make_room(max_workers * IDLE_WORKERS_PER_RUNNING)
                return _named_error(execute(func, event, request_id))

        return execute_in_slot

    replace(lambda_svc, "_execute_function_warm", with_slots)


def _named_error(result: dict[str, Any]) -> dict[str, Any]:
    answer = getattr(_last_error, "answer", None)
    if result.get("error") and isinstance(result.get("body"), dict) and answer and answer.get("status") == "error":
        return {**result, "body": error_payload(result["body"], answer)}
    return result


def _make_room(kept: int) -> None:
    """End the workers that have been idle the longest until `kept` minus one are left, so that there is room for the next."""
    from ministack.core import lambda_runtime

    with lambda_runtime._lock:
        workers = [(key, worker) for key, entries in lambda_runtime._workers.items() for worker in entries]
        surplus = len(workers) - kept + 1
        idle = sorted((entry for entry in workers if not entry[1].in_use), key=lambda entry: float(entry[1].last_used))
        to_delete = idle[: max(0, surplus)]
        for key, worker in to_delete:
            lambda_runtime._workers[key].remove(worker)
    if to_delete:
        lambda_runtime.kill_workers([worker for _, worker in to_delete])
