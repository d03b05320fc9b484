"""Commands that run on an instance before and after snapshots of its volumes are made."""

from __future__ import annotations

from snapkeep.domain.policy.shapes import Shape, text_field
from snapkeep.domain.records import dataclass

DOCUMENT_PATTERN = r"^[a-zA-Z0-9_.:/-]{3,128}$"
"""`DocumentName` of SendCommand (ssm 2014-11-06)."""
TIMEOUT_PATTERN = r"^([1-9][0-9]|1[01][0-9]|120)s$"
"""10 to 120 seconds, the limits of DLM's scripts (dlm 2018-01-12, ExecutionTimeout)."""


@dataclass(frozen=True, slots=True)
class Script:
    """An SSM document that runs on an instance, and its time-out."""

    ssm_document: str
    """Name or ARN."""
    timeout: str = "60s"

    @property
    def seconds(self) -> int:
        """The time after which the command counts as failed."""
        return int(self.timeout.removesuffix("s"))


SCRIPT = Shape(
    Script,
    "A command on the instance to which the volumes are attached.",
    (
        text_field(
            "ssm_document",
            "Name or ARN of an SSM document; the stack's `SsmDocuments` has its ARN.",
            pattern=DOCUMENT_PATTERN,
            example="freeze-database",
            missing="name the SSM document to run, such as freeze-database",
        ),
        text_field(
            "timeout",
            "The time after which it counts as failed: 10s to 120s.",
            pattern=TIMEOUT_PATTERN,
            example="60s",
            units="from 10s to 120s",
        ),
    ),
)
