"""Byte-compiled files: a function's folder cannot be written to, so without them each cold start compiles all that it imports."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

RUNTIME_VERSION = (3, 13)
"""The templates' runtime, python3.13."""

_DEPLOYED_FOLDER = "/var/task"


def find_interpreter(version: tuple[int, int] = RUNTIME_VERSION) -> str:
    """Return the path of an interpreter of a version of Python, this one first; empty when there is none."""
    if sys.version_info[:2] == version:
        return sys.executable
    path = shutil.which(f"python{version[0]}.{version[1]}")
    if not path:
        return ""
    probe = [path, "-c", "import sys; print(sys.version_info[0], sys.version_info[1])"]
    answer = subprocess.run(probe, capture_output=True, text=True, check=False)  # noqa: S603 - an interpreter from PATH
    return path if answer.stdout.split() == [str(part) for part in version] else ""


def compile_folder(folder: Path, interpreter: str) -> None:
    """Byte-compile a folder with an interpreter. The files are trusted whatever the sources' times are.

    Raise subprocess.CalledProcessError with the compiler's words if a file does not compile.
    """
    command = [interpreter, "-m", "compileall", "-q", "-j", "0", "-d", _DEPLOYED_FOLDER]
    command += ["--invalidation-mode", "unchecked-hash", "."]
    # Sets of constants are stored in the order of their hashes: without a fixed seed no two builds are equal.
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(  # noqa: S603 - an interpreter that we found
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
