"""Runs commands in instances, through Systems Manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import translated
from snapkeep.domain.drills.commands import MOST_OUTPUT, CommandResult

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

DELIVERED_WITHIN_SECONDS = 300
"""A command whose agent does not take it by then does not run any more."""


class SsmCommands:
    """`InstanceCommands` over an SSM client. SendCommand has no client token, so no request may be repeated by the client."""

    def __init__(self, *, client: SSMClient) -> None:
        self._client = client

    def agent_is_online(self, instance_id: str) -> bool:
        """Return whether the SSM agent of an instance is connected (botocore: ssm 2014-11-06, PingStatus)."""
        with translated(f"describe_instance_information {instance_id}"):
            listed = self._client.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [instance_id]}])
        return any(item.get("PingStatus") == "Online" for item in listed["InstanceInformationList"])

    def command_of(self, instance_id: str, run_id: str) -> CommandResult | None:
        """Return the command that a drill sent to an instance; None if there is none yet.

        Its comment has the drill's run: whatever else runs there is not the drill's.
        """
        with translated(f"list_command_invocations {instance_id}"):
            listed = self._client.list_command_invocations(InstanceId=instance_id, Details=True)
        return next((_result(item) for item in listed["CommandInvocations"] if item.get("Comment") == run_id), None)

    def send_command(self, instance_id: str, document: str, run_id: str) -> None:
        """Send a command to an instance."""
        with translated(f"send_command {document}"):
            self._client.send_command(
                InstanceIds=[instance_id], DocumentName=document, Comment=run_id, TimeoutSeconds=DELIVERED_WITHIN_SECONDS
            )


def _result(item: Any) -> CommandResult:
    steps = item.get("CommandPlugins") or []
    output = "".join(step.get("Output") or "" for step in steps)[:MOST_OUTPUT]
    codes = [step["ResponseCode"] for step in steps if step.get("ResponseCode") is not None]
    # Control characters, but line ends and tabs, would act on the terminal of whoever reads the evidence.
    shown = "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in output)
    return CommandResult(str(item["Status"]), next((code for code in codes if code), codes[-1] if codes else None), shown)
