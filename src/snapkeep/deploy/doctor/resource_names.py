"""CloudWatch Logs, Step Functions and DynamoDB: which names exist already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import code_of, pages, translated

_NO_TABLE = "ResourceNotFoundException"


def log_groups(client: Any, names: Sequence[str]) -> list[str]:
    """Return the log groups of these names that exist."""
    existing = []
    for name in names:
        request = {"logGroupNamePrefix": name}
        answers = pages(client, "describe_log_groups", request, "describe_log_groups", more="nextToken", sent_as="nextToken")
        existing += [name for page in answers if any(group["logGroupName"] == name for group in page["logGroups"])]
    return existing


def state_machines(client: Any, names: Sequence[str]) -> list[str]:
    """Return the state machines of these names that exist."""
    answers = pages(client, "list_state_machines", {}, "list_state_machines", more="nextToken", sent_as="nextToken")
    listed = {machine["name"] for page in answers for machine in page["stateMachines"]}
    return [name for name in names if name in listed]


def tables(client: Any, names: Sequence[str]) -> list[str]:
    """Return the tables of these names that exist."""
    return [name for name in names if _table_exists(client, name)]


def _table_exists(client: Any, name: str) -> bool:
    with translated(f"describe_table {name}"):
        try:
            client.describe_table(TableName=name)
        except ClientError as error:
            if code_of(error) == _NO_TABLE:
                return False
            raise
    return True
