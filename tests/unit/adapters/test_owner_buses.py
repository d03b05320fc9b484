"""Word of a vault over EventBridge: each event goes to the default bus of the snapshot's owner, in the snapshot's region."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from snapkeep.adapters.events_owner_buses import MOST_ENTRIES, EventOwnerBuses
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.model import Origin, Snapshot, SnapshotState
from snapkeep.usecases.copies.pull import SharedSnapshot

AT = datetime(2026, 11, 30, tzinfo=UTC)
ORIGIN = Origin("us-east-1", "vol-1", "snap-1", AT)
SHARED = Snapshot("snap-shared", "us-east-2", SnapshotState.COMPLETED, AT, ORIGIN, 8)


class Events:
    """EventBridge of one region."""

    def __init__(self, answers: dict[str, str] | None = None, error: Exception | None = None) -> None:
        self.answer, self.error = answers or {}, error
        self.calls: list[list[dict[str, Any]]] = []

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        if self.error:
            raise self.error
        self.calls.append(Entries)
        return {
            "FailedEntryCount": len(self.answer),
            "Entries": [self.answer or {"EventId": "1"}, *[{"EventId": "2"}] * (len(Entries) - 1)],
        }


def buses(**clients: Events) -> EventOwnerBuses:
    by_region = {name.replace("_", "-"): client for name, client in clients.items()}
    return EventOwnerBuses(client_of=by_region.__getitem__, partition="aws-cn")  # type: ignore[arg-type]


def test_an_event_names_the_snapshot_and_its_copy_on_the_owners_bus() -> None:
    here, there = Events(), Events()
    other = SharedSnapshot(replace(SHARED, id="snap-other", region="eu-west-1"), "222222222222")
    sent = [(SharedSnapshot(SHARED, "111111111111"), "snap-copy"), (other, "snap-second")]
    buses(us_east_2=here, eu_west_1=there).send_complete(sent)
    ((entry,),) = here.calls
    assert (entry["Source"], entry["DetailType"]) == ("snapkeep.vault", "Vault copy ended")
    assert entry["EventBusName"] == "arn:aws-cn:events:us-east-2:111111111111:event-bus/default"
    assert json.loads(entry["Detail"]) == {"snapshot": "snap-shared", "copy": "snap-copy", "result": "succeeded"}
    ((second,),) = there.calls
    assert second["EventBusName"] == "arn:aws-cn:events:eu-west-1:222222222222:event-bus/default"


def test_many_events_are_sent_in_calls_of_ten() -> None:
    events = Events()
    buses(us_east_2=events).send_complete([(SharedSnapshot(SHARED, "111111111111"), f"snap-{number}") for number in range(25)])
    assert [len(entries) for entries in events.calls] == [MOST_ENTRIES, MOST_ENTRIES, 5]


@pytest.mark.parametrize(
    "events",
    [
        Events(answers={"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "no"}),
        Events(error=EndpointConnectionError(endpoint_url="https://events")),
    ],
)
def test_an_event_that_is_not_accepted_is_an_error(events: Events) -> None:
    with pytest.raises(AwsUnavailable, match="put_events in us-east-2"):
        buses(us_east_2=events).send_complete([(SharedSnapshot(SHARED, "111111111111"), "snap-copy")])
