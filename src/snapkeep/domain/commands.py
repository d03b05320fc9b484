"""Commands in instances, as Systems Manager's Run Command reports them."""

from __future__ import annotations

from enum import StrEnum

from snapkeep.domain.records import dataclass

MOST_OUTPUT = 1000
"""The number of characters that are kept of each instance's output: the states of a group's drill have 256 KiB."""
RESERVED_PREFIXES = ("aws", "amazon", "amzn")
"""The prefixes of the names of AWS's own documents, in any case (botocore: ssm 2014-11-06, CreateDocument)."""


class CommandStatus(StrEnum):
    """The status of a command in one instance (botocore: ssm 2014-11-06, CommandInvocationStatus)."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    DELAYED = "Delayed"
    SUCCESS = "Success"
    CANCELLED = "Cancelled"
    TIMED_OUT = "TimedOut"
    FAILED = "Failed"
    CANCELLING = "Cancelling"
    UNKNOWN = "Unknown"
    """A status that this version does not know: the command counts as running until its time-out."""

    @classmethod
    def _missing_(cls, value: object) -> CommandStatus:  # noqa: ARG003 - the enum's form
        return cls.UNKNOWN


_ENDED = frozenset({CommandStatus.SUCCESS, CommandStatus.CANCELLED, CommandStatus.TIMED_OUT, CommandStatus.FAILED})


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The status and the output of a command in one instance."""

    status: CommandStatus
    exit_code: int | None
    """The exit code of the first step that failed, or else of the last step; None while there is none."""
    output: str
    """The first characters of all steps' output."""
    details: str = ""
    """AWS's finer status, such as DeliveryTimedOut."""

    @property
    def ended(self) -> bool:
        """Whether the command has ended: its status is final."""
        return self.status in _ENDED

    @property
    def succeeded(self) -> bool:
        """Whether the command succeeded."""
        return self.status is CommandStatus.SUCCESS

    @property
    def text(self) -> str:
        """The result in words."""
        code = "" if self.exit_code is None else f", exit code {self.exit_code}"
        return f"{self.details or self.status}{code}"


def document_arn(document: str, region: str, account_id: str, partition: str) -> str:
    """Return the ARN that IAM has for an SSM document, given its name or ARN and the account that uses it.

    The ARN of one of AWS's own documents has no account [Systems Manager user guide: identity-based policies of Automation].
    """
    if document.startswith("arn:"):
        return document
    owner = "" if document.lower().startswith(RESERVED_PREFIXES) else account_id
    return f"arn:{partition}:ssm:{region}:{owner}:document/{document}"
