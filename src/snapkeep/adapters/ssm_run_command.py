"""Commands in instances, through Systems Manager's Run Command."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import pages, translated
from snapkeep.domain.commands import MOST_OUTPUT, CommandResult, CommandStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mypy_boto3_ssm import SSMClient

LEAST_DELIVERY = timedelta(seconds=30)
"""The least `TimeoutSeconds` of SendCommand (botocore: ssm 2014-11-06)."""
_CLOCKS = timedelta(minutes=1)
"""The time by which clocks may differ."""


class SsmRunCommand:
    """`InstanceCommands` over an SSM client that must not retry by itself: SendCommand has no client token."""

    def __init__(self, *, client_of: Callable[[], SSMClient]) -> None:
        self._client_of = client_of

    def agent_is_online(self, instance_id: str) -> bool:
        """Return whether the SSM agent of an instance is connected (botocore: ssm 2014-11-06, PingStatus)."""
        with translated(f"describe_instance_information {instance_id}"):
            filters: Any = [{"Key": "InstanceIds", "Values": [instance_id]}]
            listed = self._client_of().describe_instance_information(Filters=filters)
        return any(item.get("PingStatus") == "Online" for item in listed["InstanceInformationList"])

    def send(self, instance_id: str, document: str, comment: str, *, within: timedelta) -> None:
        """Send a command."""
        with translated(f"send_command {document} to {instance_id}"):
            self._client_of().send_command(
                InstanceIds=[instance_id],
                DocumentName=document,
                Comment=comment,
                TimeoutSeconds=int(max(LEAST_DELIVERY, within).total_seconds()),
            )

    def find(self, instance_id: str, comment: str, since: datetime) -> CommandResult | None:
        """Return the command with a comment that was sent since a time; None if Systems Manager does not list it, or not yet."""
        after = {"key": "InvokedAfter", "value": f"{since - _CLOCKS:%Y-%m-%dT%H:%M:%SZ}"}
        request: dict[str, Any] = {"InstanceId": instance_id, "Filters": [after], "Details": True}
        for page in pages(self._client_of(), "list_command_invocations", request, f"list_command_invocations {instance_id}"):
            for item in page["CommandInvocations"]:
                if item.get("Comment") == comment:
                    return _result(item)
        return None


def _result(item: Any) -> CommandResult:
    steps = item.get("CommandPlugins") or []
    output = "".join(step.get("Output") or "" for step in steps)[:MOST_OUTPUT]
    codes = [step["ResponseCode"] for step in steps if step.get("ResponseCode") is not None]
    # Control characters, except line ends and tabs, would affect the terminal that shows the evidence.
    shown = "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in output)
    code = next((code for code in codes if code), codes[-1] if codes else None)
    return CommandResult(CommandStatus(item["Status"]), code, shown, str(item.get("StatusDetails") or ""))
