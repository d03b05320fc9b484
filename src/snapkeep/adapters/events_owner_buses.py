"""Events to the owners of shared snapshots, over EventBridge."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import translated
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.vault.copy_event import DETAIL_TYPE, SOURCE, SUCCEEDED
from snapkeep.usecases.copies.pull import OwnerBuses, SharedSnapshot

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

MOST_ENTRIES = 10
"""The most entries of one PutEvents (EventBridge API reference: PutEvents)."""


class EventOwnerBuses(OwnerBuses):
    """`OwnerBuses` over EventBridge clients: events go to the default bus of the owner, in the region of the snapshot.

    EventBridge writes this account into each event: the sender cannot be forged.
    """

    def __init__(self, *, client_of: Callable[[str], EventBridgeClient], partition: str) -> None:
        """`client_of` returns the client of a region."""
        self._client_of = client_of
        self._partition = partition

    def send_complete(self, copies: Sequence[tuple[SharedSnapshot, str]]) -> None:
        """Send an event for each snapshot. Raise AwsUnavailable if some were not accepted: they are sent again later."""
        for region in sorted({share.snapshot.region for share, _ in copies}):
            entries = [self._entry(share, copy_id) for share, copy_id in copies if share.snapshot.region == region]
            for first in range(0, len(entries), MOST_ENTRIES):
                self._put(region, entries[first : first + MOST_ENTRIES])

    def _put(self, region: str, entries: list[Any]) -> None:
        with translated(f"put_events in {region}"):
            answer = self._client_of(region).put_events(Entries=entries)
        refused = [entry for entry in answer.get("Entries", ()) if entry.get("ErrorCode")]
        if refused:
            why = f"{refused[0]['ErrorCode']}: {refused[0].get('ErrorMessage', '')}"
            raise AwsUnavailable(f"put_events in {region} took {len(entries) - len(refused)} of {len(entries)} events: {why}")

    def _entry(self, share: SharedSnapshot, copy_id: str) -> dict[str, str]:
        bus = f"arn:{self._partition}:events:{share.snapshot.region}:{share.owner}:event-bus/default"
        detail = {"snapshot": share.snapshot.id, "copy": copy_id, "result": SUCCEEDED}
        return {"Source": SOURCE, "DetailType": DETAIL_TYPE, "Detail": json.dumps(detail), "EventBusName": bus}
