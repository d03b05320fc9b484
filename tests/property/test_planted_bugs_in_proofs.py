"""Fast tests of proofs and recoveries find every bug that is planted into a copy of the package."""

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
BUGS = sorted((TESTS / "data").glob("planted_bugs_in_*/*.toml"))


def test_there_are_at_least_ten_bugs() -> None:
    assert len(BUGS) >= 10


@pytest.mark.parametrize("bug", BUGS, ids=lambda path: path.stem)
def test_a_fast_test_finds_the_planted_bug(bug: Path, tmp_path: Path) -> None:
    planted = tomllib.loads(bug.read_text(encoding="utf-8"))
    copied = tmp_path / "snapkeep"
    shutil.copytree(PACKAGE, copied)  # with its byte-compiled files, which stand for what stays as it is
    source = copied / planted["file"]
    text = source.read_text(encoding="utf-8")
    assert text.count(planted["find"]) == 1, f"{bug.name} no longer fits {planted['file']}: say where the bug would be now"
    source.write_text(text.replace(planted["find"], planted["replace"]), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    test = f"{planted['suite']}::{planted['shows']}"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", test]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=TESTS.parent, check=False, timeout=COMMAND_SECONDS
    )
    assert done.returncode == 1, f"not found: {planted['story']}\n{done.stdout[-2000:]}"
    assert f"FAILED {test}" in done.stdout, done.stdout[-3000:]
