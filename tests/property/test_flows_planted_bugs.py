"""The state machine test of the flows finds every bug that is planted into a copy of the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import snapkeep
from support.patience import COMMAND_SECONDS

pytestmark = pytest.mark.slow

PACKAGE = Path(snapkeep.__file__).parent
TESTS = Path(__file__).parents[1]
SUITE = TESTS / "property" / "test_flows_invariants.py"
BUGS = sorted((TESTS / "data" / "planted_bugs").glob("*.toml"))
EXAMPLES_WITHOUT_A_BUG = {"SNAPKEEP_FLOWS_EXAMPLES": "20"}
"""Few: that run does not end early, and the suite's own says that the package has no bug."""


def run_suite(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the suite against the package in a folder, without looking for the smallest example."""
    environment = os.environ | settings
    environment |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "SNAPKEEP_FLOWS_SHRINK": "no"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-s", str(SUITE)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=TESTS.parent, check=False, timeout=COMMAND_SECONDS
    )


def copy_package(folder: Path) -> Path:
    copied = folder / "snapkeep"
    shutil.copytree(PACKAGE, copied)  # with its byte-compiled files, which stand for what stays as it is
    return copied


def test_there_are_at_least_ten_bugs() -> None:
    assert len(BUGS) >= 10


@pytest.mark.parametrize("bug", BUGS, ids=lambda path: path.stem)
def test_the_suite_finds_the_planted_bug(bug: Path, tmp_path: Path) -> None:
    planted = tomllib.loads(bug.read_text(encoding="utf-8"))
    source = copy_package(tmp_path) / planted["file"]
    text = source.read_text(encoding="utf-8")
    assert text.count(planted["find"]) == 1, f"{bug.name} no longer fits {planted['file']}: say where the bug would be now"
    source.write_text(text.replace(planted["find"], planted["replace"]), encoding="utf-8")
    # As many examples as the suite's own run; a seed of its own where the suite's finds the bug late.
    done = run_suite(tmp_path, **({"SNAPKEEP_FLOWS_SEED": planted["seed"]} if "seed" in planted else {}))
    assert done.returncode == 1, f"not found: {planted['story']}\n{done.stdout[-2000:]}"
    assert planted["shows"] in done.stdout, done.stdout[-3000:]


def test_the_suite_finds_nothing_in_a_copy_without_a_bug(tmp_path: Path) -> None:
    copied = copy_package(tmp_path)
    with (copied / "__init__.py").open("a", encoding="utf-8") as package:
        package.write('\nprint("THE COPY")\n')
    done = run_suite(tmp_path, **EXAMPLES_WITHOUT_A_BUG)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "THE COPY" in done.stdout
