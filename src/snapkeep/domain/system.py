"""The names that the templates give to a system and to its stacks."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


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


class SystemNames(Protocol):
    """The names of a system's resources, the same in every region, for a class that has the system's name."""

    @property
    def system(self) -> str:
        """The system's name, the value of the tag `snapkeep:managed`."""

    @property
    def queue_table(self) -> str:
        """The table of the copy queue in each DR region."""
        return f"{self.system}-queue"

    @property
    def bucket_parameter(self) -> str:
        """The SSM parameter with the name of the bucket in each DR region."""
        return f"/{self.system}/bucket"

    @property
    def policy_parameter(self) -> str:
        """The SSM parameter of the policy document in each region."""
        return f"/{self.system}/policy"

    @property
    def holds_path(self) -> str:
        """The path of the SSM parameters of holds in each region."""
        return f"/{self.system}/holds"


def system_name(suffix: str) -> str:
    """Return a system's name, the value of the tag `snapkeep:managed`, from its stacks' `FunctionNameSuffix`."""
    return f"snapkeep{suffix}"


def function_name(function: str, system: str) -> str:
    """Return the name of a system's Lambda function."""
    return f"{function}{system.removeprefix(system_name(''))}"


def stack_name(system: str, kind: StackKind) -> str:
    """Return the name of a system's stack."""
    return f"{system}-{kind}"
