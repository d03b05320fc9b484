"""The state machine test of the flows finds every bug that is planted into a copy of the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.planted_bugs import TESTS, copy_package, plant, planted, read_bug, run_tests

pytestmark = pytest.mark.slow

SUITE = str(TESTS / "property" / "test_flows_invariants.py")
BUGS = planted("planted_bugs")
WITHOUT_SHRINKING = {"SNAPKEEP_FLOWS_SHRINK": "no"}
"""Nothing looks for the smallest example."""
EXAMPLES_WITHOUT_A_BUG = {"SNAPKEEP_FLOWS_EXAMPLES": "20"}
"""Few: that run does not end early, and the suite's own says that the package has no bug."""


def test_there_are_at_least_ten_bugs() -> None:
    assert len(BUGS) >= 10


@pytest.mark.parametrize("bug", BUGS, ids=lambda path: path.stem)
def test_the_suite_finds_the_planted_bug(bug: Path, tmp_path: Path) -> None:
    story = read_bug(bug)
    plant(story, tmp_path)
    # As many examples as the suite's own run; a seed of its own where the suite's finds the bug late.
    seed = {"SNAPKEEP_FLOWS_SEED": story["seed"]} if "seed" in story else {}
    done = run_tests(SUITE, tmp_path, "-s", **WITHOUT_SHRINKING, **seed)
    assert done.returncode == 1, f"not found: {story['story']}\n{done.stdout[-2000:]}"
    assert story["shows"] in done.stdout, done.stdout[-3000:]


def test_the_suite_finds_nothing_in_a_copy_without_a_bug(tmp_path: Path) -> None:
    copied = copy_package(tmp_path)
    with (copied / "__init__.py").open("a", encoding="utf-8") as package:
        package.write('\nprint("THE COPY")\n')
    done = run_tests(SUITE, tmp_path, "-s", **WITHOUT_SHRINKING, **EXAMPLES_WITHOUT_A_BUG)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "THE COPY" in done.stdout
