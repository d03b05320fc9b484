"""Byte-compiled files: a function's folder cannot be written to, so without them each cold start compiles all that it imports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_DEPLOYED_FOLDER = "/var/task"


def compile_folder(folder: Path) -> None:
    """Byte-compile a folder for this interpreter. The files are trusted whatever the sources' times are.

    Raise subprocess.CalledProcessError with the compiler's words if a file does not compile.
    """
    command = [sys.executable, "-m", "compileall", "-q", "-j", "0", "-d", _DEPLOYED_FOLDER]
    command += ["--invalidation-mode", "unchecked-hash", "."]
    # Sets of constants are stored in the order of their hashes: without a fixed seed no two builds are equal.
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)  # noqa: S603 - this one
