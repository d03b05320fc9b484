"""Commands on instances around snapshots, through Systems Manager's Run Command."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import pages, translated
from snapkeep.usecases.creation.scripts import ScriptEnd

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mypy_boto3_ssm import SSMClient

    from snapkeep.domain.policy.scripts import Script

LEAST_DELIVERY_SECONDS = 30
"""`TimeoutSeconds` of SendCommand: a command that has not started by then does not run (ssm 2014-11-06)."""
_RUNNING = ("Pending", "InProgress", "Delayed", "Cancelling")
_CLOCKS = timedelta(minutes=1)
"""By how much clocks may differ."""


class SsmScripts:
    """`Scripts` over an SSM client, which must not retry by itself."""

    def __init__(self, *, client_of: Callable[[], SSMClient]) -> None:
        self._client_of = client_of

    def send(self, instance_id: str, script: Script, comment: str) -> None:
        """Send a command."""
        with translated(f"send_command {script.ssm_document} to {instance_id}"):
            self._client_of().send_command(
                InstanceIds=[instance_id],
                DocumentName=script.ssm_document,
                Comment=comment,
                TimeoutSeconds=max(LEAST_DELIVERY_SECONDS, script.seconds),
            )

    def find(self, instance_id: str, comment: str, since: datetime) -> ScriptEnd | bool:
        """Return the end of a command with a comment that was sent since a moment; True while it runs, False if there is none."""
        after = {"key": "InvokedAfter", "value": f"{since - _CLOCKS:%Y-%m-%dT%H:%M:%SZ}"}
        request: dict[str, Any] = {"InstanceId": instance_id, "Filters": [after]}
        for page in pages(self._client_of(), "list_command_invocations", request, f"list_command_invocations {instance_id}"):
            for item in page["CommandInvocations"]:
                if item.get("Comment") == comment:
                    return _end(item)
        return False


def _end(item: Any) -> ScriptEnd | bool:
    status = str(item["Status"])
    return True if status in _RUNNING else ScriptEnd(status == "Success", str(item.get("StatusDetails") or status))
