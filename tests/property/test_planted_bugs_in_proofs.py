"""Fast tests of proofs and recoveries find every bug that is planted into a copy of the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.planted_bugs import plant, planted, read_bug, run_tests

pytestmark = pytest.mark.slow

BUGS = planted("planted_bugs_in_*")


def test_there_are_at_least_ten_bugs() -> None:
    assert len(BUGS) >= 10


@pytest.mark.parametrize("bug", BUGS, ids=lambda path: path.stem)
def test_a_fast_test_finds_the_planted_bug(bug: Path, tmp_path: Path) -> None:
    story = read_bug(bug)
    plant(story, tmp_path)
    test = f"{story['suite']}::{story['shows']}"
    done = run_tests(test, tmp_path, "-x")
    assert done.returncode == 1, f"not found: {story['story']}\n{done.stdout[-2000:]}"
    assert f"FAILED {test}" in done.stdout, done.stdout[-3000:]
