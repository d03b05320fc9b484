"""Policy documents in files: read, or every error printed with its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from snapkeep.cli.errors import WRONG_USE
from snapkeep.cli.output import warn
from snapkeep.domain.plural import counted

if TYPE_CHECKING:
    from snapkeep.domain.policy.model import Limits, PolicySet
    from snapkeep.domain.policy.problem import InvalidPolicy
    from snapkeep.policyfile.load import PolicyFile


def read_policies(path: Path, *, region: str, limits: Limits) -> tuple[Any, PolicySet]:
    """Return a file's document and its policies; `limits` hold where the document has none.

    Print every error and exit with the status of wrong use if the document cannot be used.
    """
    from snapkeep.domain.policy.problem import InvalidPolicy  # noqa: PLC0415
    from snapkeep.policyfile.load import read_file  # noqa: PLC0415 - imports yaml

    file = read_file(path)
    try:
        return parse_file(file, region=region, limits=limits)
    except InvalidPolicy as invalid:
        print_problems(invalid, file)
        raise typer.Exit(WRONG_USE) from invalid


def parse_file(
    file: PolicyFile, *, region: str, limits: Limits, partitions: Mapping[str, str] | None = None
) -> tuple[Any, PolicySet]:
    """Return a file's document and its policies; `limits` hold where the document has none.

    `partitions` names the partition of every region; without it regions are not checked.
    Raise InvalidPolicy with everything that a push would refuse, its size included.
    """
    from snapkeep.domain.policy.document import parse_document  # noqa: PLC0415
    from snapkeep.domain.policy.source import PolicySource, SourceKind  # noqa: PLC0415
    from snapkeep.policyfile.load import load_data  # noqa: PLC0415 - imports yaml
    from snapkeep.usecases.policies import stored_text  # noqa: PLC0415

    document = load_data(file.text)
    source = PolicySource(SourceKind.FILE, file=Path(file.name).name)
    policies = parse_document(document, region=region, source=source, limits=limits, partitions=partitions)
    stored_text(document)
    return document, policies


def print_problems(invalid: InvalidPolicy, file: PolicyFile) -> None:
    """Print the errors of a file in the order of their lines, a line for each."""
    in_order = sorted(invalid.problems, key=lambda problem: file.line(problem.path))
    problems = (f"{file.place(problem.path)}: {problem}" for problem in in_order)
    warn([*problems, counted(len(invalid.problems), "error")])
