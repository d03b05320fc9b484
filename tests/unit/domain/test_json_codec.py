"""Dataclasses become JSON and are read back as they were; what is missing or of another type is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest

from snapkeep.domain.json_codec import NOT_IN_JSON, OPTIONAL, from_json, inline, named, to_json, to_text


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Place:
    region: str
    at: datetime


@dataclass(frozen=True)
class Record:
    place: Place = field(metadata=inline(region="source_region"))
    region: str
    count: int = field(metadata=named("times"))
    age: timedelta
    colours: tuple[Colour, ...]
    totals: Mapping[Colour, int]
    other: Place | None = field(default=None, metadata=OPTIONAL)
    note: str = field(default="", metadata=OPTIONAL)
    empty: str = ""
    version: int = field(default=0, metadata=NOT_IN_JSON)


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RECORD = Record(Place("us-east-1", NOON), "us-east-2", 3, timedelta(minutes=2), (Colour.RED,), {Colour.RED: 1}, version=7)
DATA = {
    "source_region": "us-east-1",
    "at": "2026-11-23T12:00:00.000Z",
    "region": "us-east-2",
    "times": 3,
    "age": 120.0,
    "colours": ["red"],
    "totals": {"red": 1},
    "empty": "",
}


def test_a_record_is_written_by_its_metadata_and_read_back() -> None:
    assert to_json(RECORD) == DATA
    assert from_json(Record, json.loads(to_text(RECORD))) == replace(RECORD, version=0)


def test_optional_fields_are_read_and_unknown_keys_ignored() -> None:
    data = DATA | {"other": {"region": "us-west-2", "at": DATA["at"]}, "note": "n", "unknown": 1, "version": 9}
    assert from_json(Record, data) == replace(RECORD, other=Place("us-west-2", NOON), note="n", version=0)


@pytest.mark.parametrize("key", DATA)
def test_every_other_field_is_required(key: str) -> None:
    with pytest.raises(ValueError, match=f"Record cannot be read: '{key}' is missing"):
        from_json(Record, {name: value for name, value in DATA.items() if name != key})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("at", 1),
        ("at", "noon"),
        ("times", True),
        ("times", "3"),
        ("age", "2"),
        ("colours", "red"),
        ("colours", ["blue"]),
        ("totals", []),
    ],
)
def test_a_value_of_another_type_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match="Record cannot be read"):
        from_json(Record, DATA | {key: value})


@pytest.mark.parametrize("data", [None, [], "text", 1])
def test_a_value_that_is_no_object_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="is no dict"):
        from_json(Record, data)
