"""Policy documents in files: read, or every error printed with its place; and what they leave unprotected, likewise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from snapkeep.cli.errors import WRONG_USE
from snapkeep.cli.output import warn
from snapkeep.domain.plural import counted

if TYPE_CHECKING:
    from snapkeep.domain.policy.gaps import PolicyGap
    from snapkeep.domain.policy.model import Limits, PolicySet
    from snapkeep.domain.policy.problem import InvalidPolicy
    from snapkeep.policyfile.load import PolicyFile


class ReadPolicies(NamedTuple):
    """A file, its document as data, and its policies."""

    file: PolicyFile
    document: Any
    policies: PolicySet


def read_policies(path: Path, *, region: str, limits: Limits) -> ReadPolicies:
    """Return a file with its document and its policies; `limits` hold where the document has none.

    Print every error and exit with the status of wrong use if the document cannot be used.
    """
    from snapkeep.domain.policy.problem import InvalidPolicy  # noqa: PLC0415
    from snapkeep.policyfile.load import read_file  # noqa: PLC0415 - imports yaml

    file = read_file(path)
    try:
        return ReadPolicies(file, *parse_file(file, region=region, limits=limits))
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


def show_gaps(policies: PolicySet, file: PolicyFile | None = None, *, json: bool) -> list[dict[str, Any]]:
    """Return what policies leave unprotected as JSON values, with the lines of their file; print it on stderr, unless as JSON.

    Those of a stored version have no file, and no lines.
    """
    from snapkeep.domain.policy.gaps import policy_gaps  # noqa: PLC0415
    from snapkeep.policyfile.load import PolicyFile  # noqa: PLC0415 - imports yaml

    file = file or PolicyFile(policies.source.label, "")
    gaps = list(policy_gaps(policies, datetime.now(UTC)))
    if not json:
        warn(f"{file.place(gap.path)}: warning: {gap.text}" for gap in gaps)
    return gaps_as_data(gaps, file)


def gaps_as_data(gaps: Iterable[PolicyGap], file: PolicyFile) -> list[dict[str, Any]]:
    """Return gaps as JSON values, with their lines in the file; 0 where it has none."""
    return [{"line": file.line(gap.path), **gap._asdict()} for gap in gaps]
