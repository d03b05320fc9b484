"""Bugs that are planted into a copy of the package, and the tests that have to find them there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import snapkeep
from support.patience import COMMAND_SECONDS

PACKAGE = Path(snapkeep.__file__).parent
TESTS = Path(__file__).parents[1]


def planted(kinds: str) -> list[Path]:
    """Return the files of the bugs in the folders of a pattern."""
    return sorted((TESTS / "data").glob(f"{kinds}/*.toml"))


def read_bug(bug: Path) -> dict[str, Any]:
    return tomllib.loads(bug.read_text(encoding="utf-8"))


def copy_package(folder: Path) -> Path:
    copied = folder / "snapkeep"
    shutil.copytree(PACKAGE, copied)  # with its byte-compiled files, which stand for what stays as it is
    return copied


def plant(bug: dict[str, Any], folder: Path) -> None:
    """Copy the package into a folder, with the bug."""
    source = copy_package(folder) / bug["file"]
    text = source.read_text(encoding="utf-8")
    assert text.count(bug["find"]) == 1, f"it no longer fits {bug['file']}: say where the bug would be now"
    source.write_text(text.replace(bug["find"], bug["replace"]), encoding="utf-8")


def run_tests(tests: str, folder: Path, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run tests against the package in a folder."""
    environment = os.environ | settings | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *options, tests]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=TESTS.parent, check=False, timeout=COMMAND_SECONDS
    )
