"""The principal that deleted a snapshot, from CloudTrail's event history."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from snapkeep.adapters.aws_errors import pages


class CloudTrailDeletions:
    """`DeletionTrail` over a CloudTrail client of the snapshots' region.

    The event history has the management events of the last 90 days, whether or not there is a trail (CloudTrail API reference:
    LookupEvents). An event appears some minutes after its call.
    """

    def __init__(self, *, client: Any) -> None:
        self._client = client

    def deleted_by(self, snapshot_id: str, since: datetime) -> str:
        """Return the ARN of the principal that deleted a snapshot since a time; empty if the history does not show it."""
        attribute = {"AttributeKey": "ResourceName", "AttributeValue": snapshot_id}
        request = {"LookupAttributes": [attribute], "StartTime": since}
        for page in pages(self._client, "lookup_events", request, f"lookup_events of {snapshot_id}", more="NextToken"):
            for event in page.get("Events", []):
                detail = json.loads(event.get("CloudTrailEvent") or "{}")
                if event.get("EventName") == "DeleteSnapshot" and "errorCode" not in detail:
                    return str(detail.get("userIdentity", {}).get("arn") or event.get("Username") or "")
        return ""
