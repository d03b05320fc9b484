"""Clocks, saved states, world files."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from ebs_worlds import DR, PRIMARY, Bench

from snapkeep.lab.ebs_model import PUBLIC_LINUX, FaultRule, RealClock, ScaledClock, Speeds, VirtualClock, World

DOCUMENT = {
    "version": 1,
    "seed": 3,
    "start": "2026-03-01T00:00:00Z",
    "quotas": {"copies_per_destination": 5, "regions": {DR: {"copies_per_destination": 2}}},
    "speeds": {"copy_base_seconds": 10},
    "events": {"arn_shape": "mixed"},
    "faults": {"event_lost": 0.1, "script": [{"kind": "copy_fails", "region": DR, "times": 1}]},
    "clock_skew": {DR: 2.5},
    "keys": [{"region": DR, "alias": "alias/dr"}, {"region": DR, "alias": "alias/off", "state": "Disabled"}],
    "encryption_by_default": {DR: "alias/dr"},
    "instances": [{"name": "web", "region": PRIMARY}],
    "volumes": [
        {"name": "db", "region": PRIMARY, "size_gib": 100, "used_gib": 10, "change_gib_per_day": 1, "instance": "web"},
        {"name": "w", "count": 3, "region": PRIMARY, "size_gib": 8, "tags": {"Backup": "gold"}},
        {"name": "old", "region": PRIMARY, "size_gib": 8, "deleted": True},
    ],
    "history": [
        {"volume": "db", "count": 5, "copies": [{"region": DR, "key": "alias/dr", "tags": {"origin": "{snapshot}"}}]},
        {"volume": "old", "every_hours": 12, "count": 2},
    ],
    "images": [{"name": "golden", "region": PRIMARY, "volume": "db", "disabled": True}],
    "recycle_bin": [{"region": DR, "retention_days": 3}],
    "block_public_access": {DR: "block-all-sharing"},
}


def test_a_virtual_clock_runs_timers_in_order_at_their_time(bench: Bench) -> None:
    bench.start(bench.volume())
    assert bench.world.next_due() == bench.world.now() + 30
    bench.advance(29)
    assert bench.named("createSnapshot") == []
    bench.world.run_until(datetime(2026, 1, 1, 1, tzinfo=UTC))
    assert bench.named("createSnapshot")[0]["time"] == "2026-01-01T00:00:30Z"
    assert bench.world.next_due() is None


def test_time_does_not_go_back(bench: Bench) -> None:
    with pytest.raises(ValueError, match="does not go back"):
        bench.advance(-1)


def test_a_listener_can_make_requests(bench: Bench) -> None:
    bench.world.subscribe(
        lambda event: (
            bench.copy(event["detail"]["snapshot_id"].rpartition("/")[2])
            if event["detail"]["event"] == "createSnapshot"
            else None
        )
    )
    bench.snapshot(bench.volume())
    assert len(bench.named("copySnapshot")) == 1


def test_on_a_real_or_scaled_clock_requests_see_due_changes() -> None:
    class Turned(ScaledClock):
        offset = 0.0

        def now(self) -> float:
            return 1_800_000_000 + self.offset

    clock = Turned(60)
    world = World(clock=clock, speeds=Speeds(volume_create_seconds=0))
    client = world.client("ec2", PRIMARY)
    volume_id = client.create_volume(AvailabilityZone=PRIMARY + "a", Size=1)["VolumeId"]
    client.create_snapshot(VolumeId=volume_id)
    clock.offset = 31
    assert client.describe_snapshots()["Snapshots"][0]["State"] == "completed"
    with pytest.raises(TypeError, match="VirtualClock"):
        world.run_until(0)


def test_a_scaled_clock_runs_faster_than_the_machine_s() -> None:
    scaled = ScaledClock(1_000_000, start=datetime(2030, 1, 1, tzinfo=UTC))
    first = scaled.now()
    assert first >= datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    assert scaled.now() > first
    assert RealClock().now() > 1_700_000_000
    with pytest.raises(ValueError, match="greater than 0"):
        ScaledClock(0)
    with pytest.raises(ValueError, match="time zone"):
        VirtualClock(datetime(2030, 1, 1))  # noqa: DTZ001 - that it is refused is the point


def busy() -> Bench:
    bench = Bench()
    bench.world.add_fault(FaultRule("copy_fails", skip=1, times=1))
    volume_id = bench.volume()
    bench.write(volume_id, 0, 10)
    first = bench.snapshot(volume_id)
    restored = bench.primary.create_volume(AvailabilityZone=PRIMARY + "a", SnapshotId=first)["VolumeId"]
    bench.write(restored, 5, 10)
    bench.primary.lock_snapshot(SnapshotId=bench.snapshot(restored), LockMode="governance", LockDuration=1)
    bench.world.add_recycle_bin_rule(DR, 2)
    bench.dr.delete_snapshot(SnapshotId=bench.settled_copy(first))
    bench.copy(first)
    bench.copy(first, Encrypted=True)
    bench.primary.run_instances(ImageId=PUBLIC_LINUX, MinCount=1, MaxCount=1)
    bench.start(volume_id)
    return bench


def test_a_saved_world_continues_unchanged() -> None:
    bench = busy()
    saved = json.loads(json.dumps(bench.world.save(), allow_nan=False))
    again = World.from_saved(saved)
    events: list[dict] = []
    again.subscribe(events.append)
    earlier = len(bench.events)
    for world in (bench.world, again):
        world.clock.advance(3 * 86_400)  # type: ignore[attr-defined]
        world.client("ec2", PRIMARY).create_volume(AvailabilityZone=PRIMARY + "a", Size=1)
    assert bench.events[earlier:] == events
    assert json.dumps(bench.world.save()) == json.dumps(again.save())


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version of the state"):
        World.from_saved({"version": 99})


def test_a_world_file_builds_volumes_history_images_keys_quotas_and_faults() -> None:
    world = World.from_document(DOCUMENT)
    primary, dr = world.region_account(PRIMARY), world.region_account(DR)
    assert (primary.quotas.copies_per_destination, dr.quotas.copies_per_destination) == (5, 2)
    assert len(primary.volumes) == 4
    assert len(primary.snapshots) == 7
    assert [copy.tags[1] for copy in dr.snapshots.values()] == [
        s.id for s in list(primary.snapshots.values()) if s.size_gib == 100
    ]
    assert all(copy.key_arn == dr.default_key for copy in dr.snapshots.values())
    moved = [copy.moved_blocks for copy in dr.ordered(-1)]
    assert moved[0] == 10 * 2048
    assert moved[1:] == [2048] * 4
    assert len(primary.image_uses) == 1
    assert dr.block_public_access == "block-all-sharing"
    assert world.now() == datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    starts = [s.start for s in primary.ordered(-1)]
    assert starts == sorted(starts)
    assert starts[-1] < world.now()


def test_a_world_file_with_errors_is_refused_with_all_of_them() -> None:
    wrong = {
        "version": 2,
        "colour": 1,
        "volumes": [{"name": "x", "zoen": 1, "instance": "none"}],
        "speeds": {"warp": 9},
        "faults": {"script": [{"kind": "flood"}]},
        "history": [{"volume": "y", "count": 1, "copies": [{"regon": DR}]}],
    }
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its text is looked at
        World.from_document(wrong)
    for path in (
        "colour: is not known",
        "version: is 2",
        "volumes[0].zoen",
        "volumes[0].size_gib: is missing",
        "volumes[0].instance: there is no instance named 'none'",
        "speeds.warp",
        "faults.script[0]: unknown kind",
        "history[0].volume: there is no volume named 'y'",
        "history[0].copies[0].regon",
    ):
        assert path in str(caught.value)
