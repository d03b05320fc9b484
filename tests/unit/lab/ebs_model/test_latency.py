"""How long requests take, in virtual time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from ebs_worlds import PRIMARY, Bench

from snapkeep.lab.ebs_model import ASSUMED_LATENCY, Latency, RealClock, ScaledClock, VirtualClock, World

LATENCY = Latency(read_seconds=1, change_seconds=4, item_seconds=0.25)


def test_changes_and_listings_take_their_seconds_and_items_their_share() -> None:
    bench = Bench(latency=LATENCY)
    began = bench.world.now()
    volumes = [bench.volume() for _ in range(6)]
    assert bench.world.now() - began == 6 * 4
    bench.primary.describe_volumes(MaxResults=5)
    assert bench.world.now() - began == 6 * 4 + 1 + 5 * 0.25
    pages = list(bench.primary.get_paginator("describe_volumes").paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["Volumes"]) for page in pages] == [5, 1]
    assert bench.world.now() - began == 6 * 4 + 1 + 5 * 0.25 + 2 * 1 + len(volumes) * 0.25


def test_requests_take_no_time_by_default(bench: Bench) -> None:
    began = bench.world.now()
    bench.start(bench.volume())
    bench.primary.describe_snapshots()
    assert bench.world.now() == began
    assert bench.world.state.latency == Latency()


def test_a_request_is_effective_at_once_and_timers_run_until_its_answer() -> None:
    bench = Bench(latency=Latency(change_seconds=45))
    volume_id = bench.volume()
    sent = bench.world.now()
    snapshot_id = bench.start(volume_id)
    assert bench.world.now() == sent + 45
    assert bench.described(bench.primary, snapshot_id)["State"] == "completed"
    (event,) = bench.named("createSnapshot")
    assert event["time"] == "2026-01-01T00:01:15Z", "30 seconds after the request, before its answer"


def test_an_error_takes_time_too() -> None:
    bench = Bench(latency=LATENCY)
    began = bench.world.now()
    with pytest.raises(ClientError):
        bench.primary.describe_snapshots(SnapshotIds=["snap-00000000000000000"])
    assert bench.world.now() == began + 1
    bench.world.take_region_away(PRIMARY)
    with pytest.raises(EndpointConnectionError):
        bench.primary.delete_snapshot(SnapshotId="snap-00000000000000000")
    assert bench.world.now() == began + 1 + 4


def test_throttling_sees_requests_as_far_apart_as_their_answers() -> None:
    """The bucket has 100 calls and 20 a second: a listing at ten a second never empties it, while concurrent requests do."""
    slow, quick = Bench(latency=Latency(read_seconds=0.1)), Bench()
    for _ in range(300):
        slow.primary.describe_volumes(MaxResults=5)
    for _ in range(100):
        quick.primary.describe_volumes(MaxResults=5)
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        quick.primary.describe_volumes(MaxResults=5)


def test_a_listener_s_requests_take_no_time_and_reorder_no_events() -> None:
    bench = Bench(latency=Latency(change_seconds=40))
    events: list[tuple[str, float]] = []

    def listener(event: dict[str, Any]) -> None:
        events.append((event["detail"]["event"], bench.world.now()))
        if event["detail"]["event"] == "createSnapshot":
            bench.copy(event["detail"]["snapshot_id"].rpartition("/")[2])
            assert bench.world.now() == events[-1][1], "time stood still"

    first, second = bench.volume(), bench.volume()
    bench.world.subscribe(listener)
    began = bench.world.now()
    bench.start(first)
    bench.start(second)
    bench.settle()
    # A snapshot takes 30 seconds, a copy 60; the second request is made when the first is answered.
    assert [(name, at - began) for name, at in events] == [
        ("createSnapshot", 30),
        ("createSnapshot", 70),
        ("copySnapshot", 90),
        ("copySnapshot", 130),
    ]


def test_a_listener_s_request_within_a_request_takes_no_time() -> None:
    """DeleteVolume sends its event before it answers."""
    bench = Bench(latency=LATENCY)
    volume_id = bench.volume()
    bench.world.subscribe(lambda event: bench.primary.describe_volumes() if event["detail"]["event"] == "deleteVolume" else None)
    began = bench.world.now()
    bench.primary.delete_volume(VolumeId=volume_id)
    assert bench.named("deleteVolume")
    assert bench.world.now() == began + 4


def test_a_call_beneath_the_client_is_answered_at_once() -> None:
    world = World(latency=LATENCY)
    began = world.now()
    world.call("ec2", "DescribeSnapshots", region=PRIMARY)
    assert world.now() == began


@pytest.mark.parametrize("clock", [RealClock(), ScaledClock(60)])
def test_a_running_clock_has_no_latency(clock: RealClock | ScaledClock) -> None:
    with pytest.raises(ValueError, match="latency: needs a virtual clock"):
        World(clock=clock, latency=LATENCY)
    assert World(clock=clock, latency=Latency()).state.latency == Latency()


def test_latency_is_kept_with_the_world() -> None:
    saved = json.loads(json.dumps(World(latency=LATENCY).save()))
    assert World.from_saved(saved).state.latency == LATENCY


def test_a_world_file_sets_latency() -> None:
    document = {"version": 1, "latency": {"read_seconds": 0.5}}
    assert World.from_document(document, clock=VirtualClock()).state.latency == Latency(read_seconds=0.5)
    with pytest.raises(ValueError, match=r"latency: item_seconds is -1: must be 0 or more"):
        World.from_document({"version": 1, "latency": {"item_seconds": -1}})
    with pytest.raises(ValueError, match=r"latency\.speed: is not known here"):
        World.from_document({"version": 1, "latency": {"speed": 1}})


def test_a_full_page_has_an_assumed_latency_of_900_ms() -> None:
    full_page = {"Snapshots": [{}] * 1000, "NextToken": "more"}
    assert ASSUMED_LATENCY.seconds_of("DescribeSnapshots", full_page) == pytest.approx(0.9)
    assert ASSUMED_LATENCY.seconds_of("DescribeSnapshotAttribute", {}) == pytest.approx(0.1)
    assert ASSUMED_LATENCY.seconds_of("DeleteSnapshot", {}) == pytest.approx(0.25)
