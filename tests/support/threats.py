"""The tables of the threat model."""

from __future__ import annotations

import re
from pathlib import Path

from support.administrator import Answer

PAGE = (Path(__file__).parents[2] / "docs/threat-model.md").read_text(encoding="utf-8")
ADMINISTRATOR = "An administrator of production"


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables under a heading, without their heads."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    heads = {index - 1 for index, line in enumerate(lines) if re.fullmatch(r"[|\s:-]+", line)}
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for index, row in enumerate(cells) if index not in heads and index - 1 not in heads]


def answers_on_the_page() -> dict[tuple[str, str], Answer]:
    """The answer to each call of an administrator, by action and object."""
    return {(row[0].strip("`"), row[1]): Answer(row[2]) for row in rows(ADMINISTRATOR) if len(row) == 3}


def fates_on_the_page() -> dict[str, str]:
    """The effect on each kind of recovery point."""
    return {row[0]: row[1] for row in rows(ADMINISTRATOR) if len(row) == 2}
