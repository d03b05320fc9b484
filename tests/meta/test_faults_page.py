"""`docs/operating/faults.md` names at least one test for each fault, and every named test exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operating/faults.md").read_text()
TEST = re.compile(r"`(tests/[\w./-]+\.py)(?:::(\w+))?`")
GROUPS = ("Protection", "Consent", "Flows", "Embedded AWS", "Daily use", "Security")


def rows(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def functions_of_tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("heading", GROUPS)
def test_each_fault_has_tests_and_nothing_else_in_their_cell(heading: str) -> None:
    faults = rows(heading)
    assert faults
    assert [row[0] for row in faults if len(row) != 3 or not all(map(TEST.fullmatch, row[2].split(", ")))] == []


def test_every_named_test_exists() -> None:
    missing = []
    for file, function in TEST.findall(PAGE):
        path = ROOT / file
        functions = functions_of_tests(path) if path.exists() else set()
        if not functions or (function and function not in functions):
            missing.append(f"{file}::{function}")
    assert missing == []
