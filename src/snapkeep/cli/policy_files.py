"""Policy documents that a person names as files: read, or every problem told with its place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from snapkeep.cli.errors import WRONG_USE
from snapkeep.domain.wording import counted

if TYPE_CHECKING:
    from snapkeep.domain.policy import Limits, PolicySet
    from snapkeep.domain.policy_document import InvalidPolicy


def read_policies(file: Path, *, region: str, limits: Limits) -> tuple[Any, PolicySet]:
    """Given a file, the primary region and the limits that hold where it says nothing, return the document and its policies.

    Print every problem and exit with the status of wrong use if it cannot be used.
    """
    from snapkeep.domain.policy_document import InvalidPolicy, parse_document  # noqa: PLC0415
    from snapkeep.policyfile.load import read_file  # noqa: PLC0415 - imports yaml

    try:
        document = read_file(file)
        return document, parse_document(document, region=region, source=file.name, limits=limits)
    except InvalidPolicy as invalid:
        print_problems(invalid, file)
        raise typer.Exit(WRONG_USE) from invalid


def print_problems(invalid: InvalidPolicy, file: Path) -> None:
    """Given what is wrong with a file, print it, a line for each."""
    for problem in invalid.problems:
        typer.echo(f"{file}: {problem}", err=True)
    typer.echo(counted(len(invalid.problems), "error"), err=True)
