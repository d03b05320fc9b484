"""Entries in deployed tables and requests in running executions stay readable, and nothing else passes for one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.json_codec import from_json, to_json
from snapkeep.domain.model import Origin

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REQUEST = CopyRequest(
    origin=Origin("us-east-1", "vol-1", "snap-1", NOW),
    policy="gold",
    region="us-east-2",
    kms_key="alias/dr",
    deadline=NOW + timedelta(hours=24),
    size_gib=8,
    encrypted=True,
    tags={"Name": "é"},
    completion_minutes=45,
    source_kms_key="arn:key",
)
ENTRY = QueueEntry(REQUEST, EntryState.RUNNING, NOW, NOW, 2, "snap-copy", "a cause", ("token",), ("run",), "requester", 7)
STORED = {
    "wanted": {
        "source_region": "us-east-1",
        "volume_id": "vol-1",
        "snapshot_id": "snap-1",
        "start_time": "2026-11-23T12:00:00.000Z",
        "policy": "gold",
        "region": "us-east-2",
        "kms_key": "alias/dr",
        "deadline": "2026-11-24T12:00:00.000Z",
        "size_gib": 8,
        "encrypted": True,
        "tags": {"Name": "é"},
        "completion_minutes": 45,
        "source_kms_key": "arn:key",
    },
    "state": "RUNNING",
    "enqueued_at": "2026-11-23T12:00:00.000Z",
    "not_before": "2026-11-23T12:00:00.000Z",
    "attempts": 2,
    "copy_id": "snap-copy",
    "cause": "a cause",
    "tokens": ["token"],
    "runs": ["run"],
    "requester": "requester",
}
"""An entry as tables hold it."""


def test_an_entry_is_stored_as_deployed_systems_store_it() -> None:
    assert to_json(ENTRY) == STORED
    assert from_json(QueueEntry, json.loads(json.dumps(STORED))) == replace(ENTRY, version=0)
    assert to_json(REQUEST) == STORED["wanted"]


def test_fields_that_earlier_versions_did_not_write_are_empty() -> None:
    wanted = {key: value for key, value in STORED["wanted"].items() if key != "source_kms_key"}  # type: ignore[attr-defined]
    stored = {key: value for key, value in STORED.items() if key not in ("runs", "requester")} | {"wanted": wanted}
    assert from_json(QueueEntry, stored) == replace(
        ENTRY, version=0, runs=(), requester="", request=replace(REQUEST, source_kms_key="")
    )


@pytest.mark.parametrize("name", [key for key in STORED if key not in ("runs", "requester")])
def test_an_entry_without_one_of_its_fields_cannot_be_read(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        from_json(QueueEntry, {key: value for key, value in STORED.items() if key != name})


@pytest.mark.parametrize("name", [key for key in to_json(REQUEST) if key != "source_kms_key"])
def test_a_request_without_one_of_its_fields_cannot_be_read(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        from_json(CopyRequest, {key: value for key, value in to_json(REQUEST).items() if key != name})


@pytest.mark.parametrize(("name", "value"), [("state", "ASLEEP"), ("not_before", "noon"), ("enqueued_at", "2026-11-23T12:00:00")])
def test_a_value_that_its_enum_lacks_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=value):
        from_json(QueueEntry, STORED | {name: value})
