"""Audit lines in the functions' CloudWatch logs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import pages
from snapkeep.usecases.look.explain import AuditLine

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient


class CloudWatchAudit:
    """`AuditTrail` over a CloudWatch Logs client and the log groups of one stack's functions."""

    def __init__(self, *, client: CloudWatchLogsClient, groups: Sequence[str]) -> None:
        self._client = client
        self._groups = groups

    def lines(self, about: str, since: datetime) -> list[AuditLine]:
        """Return the audit lines since a time that name an id, oldest first."""
        lines = (line for group in self._groups for line in self._of_group(group, about, since))
        return sorted(lines, key=lambda line: line.at)

    def _of_group(self, group: str, about: str, since: datetime) -> Iterator[AuditLine]:
        request = {"logGroupName": group, "filterPattern": f'"{about}"', "startTime": int(since.timestamp() * 1000)}
        doing, absent = f"filter_log_events of {group}", ("ResourceNotFoundException",)
        for page in pages(self._client, "filter_log_events", request, doing, more="nextToken", nothing=absent):
            for event in page.get("events", []):
                data = _parsed(event.get("message", ""))
                # The filter pattern matches whole terms; other lines of a function may name the id too.
                if "audit" in data and about in event["message"]:
                    moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                    yield AuditLine(moment, group.rpartition("/")[2], data)


def _parsed(message: str) -> dict[str, Any]:
    try:
        data = json.loads(message)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
