"""The names that the templates give to a system and to its stacks."""

from __future__ import annotations

from enum import StrEnum


class StackKind(StrEnum):
    """The kind of a stack: of the primary region, of a DR region, of the network of instance drills, or of a vault."""

    PRIMARY = "primary"
    DR = "dr"
    DRILL = "drill"
    VAULT = "vault"


FUNCTIONS = (
    "CopySnapshotToDR",
    "CountSnapshots",
    "DeleteOldSnapshots",
    "Digest",
    "Dispatch",
    "Drill",
    "LockSnapshots",
    "MakeForDrill",
    "MakeSnapshots",
    "Notification",
    "Pull",
    "ReadBlocks",
    "RemoveAfterDrill",
    "ShareWithVault",
    "Signal",
    "Sweep",
    "TagSnapshotCopy",
    "TagSnapshots",
    "Verify",
)
"""The Lambda functions of all stacks, without the suffix of a system."""


def system_name(suffix: str) -> str:
    """Return a system's name, the value of the tag `snapkeep:managed`, from its stacks' `FunctionNameSuffix`."""
    return f"snapkeep{suffix}"


def function_name(function: str, system: str) -> str:
    """Return the name of a system's Lambda function."""
    return f"{function}{system.removeprefix(system_name(''))}"


def stack_name(system: str, kind: StackKind) -> str:
    """Return the name of a system's stack."""
    return f"{system}-{kind}"
