"""Lambda: AWS's error names, a bound on worker processes, and only AWS's packages beside the function's own.

- A handler's exception is reported by its class name, as on AWS; ministack reports all of them as ``Runtime.HandlerError``, so
  that no ``ErrorEquals`` of a state machine would match.
- At most `max_workers` functions run at once; the others wait for a slot. Idle workers of other functions are ended.
- Workers of one package share its unpacked and compiled files: a cold start costs what it costs on Lambda, not a compilation.
- A worker imports the standard library, boto3 and its dependencies: a package that lacks a dependency fails as on AWS.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from pathlib import Path
from typing import Any

from snapkeep.lab.embedded_aws.patches.concurrency import FunctionSlots
from snapkeep.lab.embedded_aws.patches.patch_tools import replace, replace_text

# The packages in Lambda's Python runtimes.
RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
# Worker processes, running or idle, for each slot; beyond that, idle ones of other functions are ended.
IDLE_WORKERS_PER_RUNNING = 6

# In the worker: the workers of one package share its unpacked files, so that it is compiled once and not for each worker.
SHARED_CODE = """code_dir = init["code_dir"]
    import hashlib
    with open(os.path.join(os.path.dirname(code_dir), "code.zip"), "rb") as _sk_zip:
        _sk_shared = os.path.join(os.environ["SNAPKEEP_SHARED_CODE"], hashlib.sha256(_sk_zip.read()).hexdigest())
    try:
        os.rename(code_dir, _sk_shared)
    except OSError:
        pass
    os.chdir(_sk_shared)
    code_dir = _sk_shared"""

_last_error = threading.local()


def apply(max_workers: int, work_dir: Path) -> None:
    """Apply the patches. At most `max_workers` functions run at once; the runtime's files go into `work_dir`."""
    from ministack.core import lambda_runtime

    replace_text(
        lambda_runtime,
        "_PYTHON_WORKER_SCRIPT",
        '{"status": "error", "error": str(e), "trace": traceback.format_exc()}',
        '{"status": "error", "error": str(e), "error_type": type(e).__name__, "trace": traceback.format_exc()}',
    )
    replace_text(lambda_runtime, "_PYTHON_WORKER_SCRIPT", 'code_dir = init["code_dir"]', SHARED_CODE)
    interpreter = runtime_interpreter(work_dir)

    def with_our_interpreter(find: Any) -> Any:
        def detect(runtime: str) -> tuple[str, str]:
            binary, script = find(runtime)
            return (str(interpreter), script) if runtime.startswith("python") else (binary, script)

        return detect

    replace(lambda_runtime, "_detect_runtime_binary", with_our_interpreter)
    replace(lambda_runtime.Worker, "invoke", _remember_error)
    _bound_concurrency(max_workers)


def runtime_interpreter(work_dir: Path) -> Path:
    """Write and return a command that runs Python with the packages of Lambda's runtime alone."""
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
    shared_code = work_dir / "lambda-code"
    shared_code.mkdir(exist_ok=True)
    command = work_dir / "lambda-python"
    environment = f'PYTHONPATH="{packages}" SNAPKEEP_SHARED_CODE="{shared_code}"'
    command.write_text(f'#!/bin/sh\n{environment} exec "{sys.executable}" -S "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return command


def _remember_error(invoke: Any) -> Any:
    def remembering(self: Any, *arguments: Any, **named: Any) -> Any:
        _last_error.answer = None
        answer = invoke(self, *arguments, **named)
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
            # A call over the wire may come from a function, and must not wait for the slot that its caller holds.
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
    """End the workers that are idle for longest until `kept` are left, minus one for the next."""
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
