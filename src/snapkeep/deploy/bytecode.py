"""Byte-compiled files: a function's folder cannot be written to, so without them each cold start compiles all that it imports."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

RUNTIME_VERSION = "3.13"
"""The templates' runtime, python3.13."""

_DEPLOYED_FOLDER = "/var/task"


def find_interpreter() -> str:
    """Return the path of an interpreter of the runtime's version: that of PATH, else this one; empty if neither is of it.

    The interpreter on PATH comes first: every Python that builds a package then compiles with the same interpreter.
    """
    candidates = filter(None, (shutil.which(f"python{RUNTIME_VERSION}"), sys.executable))
    return next((path for path in candidates if version_of(path).startswith(f"{RUNTIME_VERSION}.")), "")


def version_of(interpreter: str) -> str:
    """Return an interpreter's version, such as `3.13.1`; empty if it does not run."""
    command = [interpreter, "-c", "import platform; print(platform.python_version())"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - of PATH, or this one
    return answer.stdout.strip() if answer.returncode == 0 else ""


def compile_folder(folder: Path, interpreter: str) -> None:
    """Byte-compile a folder with an interpreter. The files are trusted whatever the sources' times are.

    Raise subprocess.CalledProcessError with the compiler's words if a file does not compile.
    """
    command = [interpreter, "-m", "compileall", "-q", "-j", "0", "-d", _DEPLOYED_FOLDER]
    command += ["--invalidation-mode", "unchecked-hash", "."]
    # Variables such as PYTHONOPTIMIZE change what is written. Sets of constants are stored in the order of their hashes: without
    # a fixed seed no two builds are equal.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | {"PYTHONHASHSEED": "0"}
    subprocess.run(  # noqa: S603 - of PATH, or this one
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
