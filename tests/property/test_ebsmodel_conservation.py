"""No sequence of operations breaks the model: content, sizes, quotas and events are conserved."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from snapkeep.lab.ebs_model import ApiError, Quotas, World
from snapkeep.lab.ebs_model.store.blocks import Chain
from snapkeep.lab.ebs_model.store.records import SnapshotRecord
from snapkeep.lab.ebs_model.store.region_account import RegionAccount

pytestmark = pytest.mark.slow

PRIMARY, DR = "us-east-1", "us-east-2"
BLOCKS = 2048
QUOTAS = Quotas(copies_per_destination=3, pending_snapshots=4, snapshots_per_volume=2, snapshots_per_region=30)
REFUSALS = {
    "ResourceLimitExceeded",
    "PendingSnapshotLimitExceeded",
    "ConcurrentSnapshotLimitExceeded",
    "SnapshotCreationPerVolumeRateExceeded",
    "SnapshotLimitExceeded",
    "IncorrectState",
    "InvalidSnapshot.NotFound",
    "InvalidSnapshot.InUse",
    "InvalidVolume.NotFound",
    "OperationNotPermitted",
    "RequestLimitExceeded",
}


def stored_by_hand(chain: Chain) -> int:
    """Return how many distinct versions of blocks the members of a chain need, counted one by one."""
    versions = set()
    for snapshot in chain.members:
        for first, end in snapshot.log.extents(-1, snapshot.generation):
            versions.update((block, snapshot.log.version(block, snapshot.generation)) for block in range(first, end))
    return len(versions)


class ModelMachine(RuleBasedStateMachine):
    """Random work on two regions, beside a plain dict of what each snapshot must hold."""

    volumes = Bundle("volumes")
    snapshots = Bundle("snapshots")
    copies = Bundle("copies")

    def __init__(self) -> None:
        super().__init__()
        self.world = World(quotas=QUOTAS)
        self.content: dict[str, dict[int, int]] = {}
        self.needed: dict[str, dict[int, int]] = {}
        self.writes = 0
        self.open: set[str] = set()
        self.ended: list[str] = []
        self.world.subscribe(self.hear)

    def hear(self, event: dict[str, Any]) -> None:
        if event["detail"].get("event") in ("createSnapshot", "copySnapshot"):
            self.ended.append(event["detail"]["snapshot_id"].rpartition("/")[2])

    def call(self, action: str, region: str = PRIMARY, **params: Any) -> dict[str, Any]:
        try:
            return self.world.call("ec2", action, params, region=region)
        except ApiError as error:
            if error.code not in REFUSALS:
                raise
            return {}

    @initialize(target=volumes)
    def first_volumes(self) -> MultipleResults[str]:
        return multiple(*(self.create_volume() for _ in range(2)))

    def create_volume(self, **more: Any) -> str:
        made = self.call("CreateVolume", AvailabilityZone=PRIMARY + "a", **(more or {"Size": 1})).get("VolumeId", "")
        self.content[made] = {}
        self.world.clock.advance(1)  # type: ignore[attr-defined]
        return made

    @rule(volume_id=volumes, first=st.integers(0, 40), count=st.integers(1, 20))
    def write(self, volume_id: str, first: int, count: int) -> None:
        if volume_id in self.world.region_account(PRIMARY).volumes:
            self.writes += 1
            self.world.write(volume_id, first, count, region=PRIMARY)
            self.content[volume_id].update(dict.fromkeys(range(first, first + count), self.writes))

    @rule(target=volumes, snapshot_id=snapshots)
    def restore(self, snapshot_id: str) -> Any:
        volume_id = self.create_volume(SnapshotId=snapshot_id)
        self.content[volume_id] = dict(self.needed[snapshot_id])
        return volume_id or multiple()

    @rule(target=snapshots, volume_id=volumes, first=st.integers(0, 20), wait=st.sampled_from([0, 20, 200]))
    def write_and_snapshot(self, volume_id: str, first: int, wait: int) -> Any:
        self.write(volume_id, first, 5)
        return self.snapshot(volume_id, wait)

    @rule(target=snapshots, volume_id=volumes, wait=st.sampled_from([0, 200]))
    def snapshot(self, volume_id: str, wait: int) -> Any:
        made = self.call("CreateSnapshot", VolumeId=volume_id).get("SnapshotId")
        if made:
            self.open.add(made)
            self.needed[made] = dict(self.content[volume_id])
        self.world.clock.advance(wait)  # type: ignore[attr-defined]
        return made or multiple()

    @rule(target=copies, snapshot_id=snapshots, encrypted=st.booleans(), wait=st.sampled_from([0, 0, 20, 200]))
    def copy_snapshot(self, snapshot_id: str, encrypted: bool, wait: int) -> Any:
        more = {"Encrypted": True} if encrypted else {}
        made = self.call("CopySnapshot", DR, SourceRegion=PRIMARY, SourceSnapshotId=snapshot_id, **more).get("SnapshotId")
        if made:
            self.open.add(made)
            self.needed[made] = dict(self.needed[snapshot_id])
        self.world.clock.advance(wait)  # type: ignore[attr-defined]
        return made or multiple()

    def delete(self, region: str, snapshot_id: str) -> None:
        place = self.world.region_account(region)
        pending = snapshot_id in place.snapshots and place.snapshots[snapshot_id].state == "pending"
        self.call("DeleteSnapshot", region, SnapshotId=snapshot_id)
        if pending and snapshot_id not in place.snapshots:
            self.open.discard(snapshot_id)

    @rule(snapshot_id=consumes(snapshots))
    def delete_snapshot(self, snapshot_id: str) -> None:
        self.delete(PRIMARY, snapshot_id)

    @rule(snapshot_id=consumes(copies))
    def delete_copy(self, snapshot_id: str) -> None:
        self.delete(DR, snapshot_id)

    @rule(volume_id=volumes, really=st.sampled_from([False, False, True]))
    def delete_volume(self, volume_id: str, really: bool) -> None:
        if really:
            self.call("DeleteVolume", VolumeId=volume_id)

    @rule(snapshot_id=copies)
    def archive(self, snapshot_id: str) -> None:
        if self.world.region_account(DR).snapshots[snapshot_id].tier == "standard":
            self.call("ModifySnapshotTier", DR, SnapshotId=snapshot_id, StorageTier="archive")
        else:
            self.call("RestoreSnapshotTier", DR, SnapshotId=snapshot_id, PermanentRestore=True)

    @rule(snapshot_id=snapshots)
    def register_image(self, snapshot_id: str) -> None:
        mapping = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}
        if snapshot_id in self.world.region_account(PRIMARY).snapshots and not self.pending(snapshot_id):
            name = f"{snapshot_id} {self.world.state.next_seq()}"
            state = self.world.region_account(PRIMARY).snapshots[snapshot_id].state
            if state == "completed":
                self.call("RegisterImage", Name=name, RootDeviceName="/dev/xvda", BlockDeviceMappings=[mapping])

    def pending(self, snapshot_id: str) -> bool:
        return self.world.region_account(PRIMARY).snapshots[snapshot_id].state == "pending"

    @rule(seconds=st.sampled_from([1, 20, 200, 5000]))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(seconds)  # type: ignore[attr-defined]

    @rule()
    def save_and_restore(self) -> None:
        self.world = World.from_saved(self.world.save())
        self.world.subscribe(self.hear)

    def places(self) -> list[RegionAccount]:
        return [self.world.region_account(PRIMARY), self.world.region_account(DR)]

    def living(self) -> list[SnapshotRecord]:
        return [snapshot for place in self.places() for snapshot in place.snapshots.values()]

    @invariant()
    def a_block_that_a_living_snapshot_needs_is_never_gone(self) -> None:
        for snapshot in self.living():
            held = {b for first, end in snapshot.log.extents(-1, snapshot.generation) for b in range(first, end)}
            assert held == set(self.needed[snapshot.id])
            assert snapshot.full_blocks == len(held)

    @invariant()
    def equal_writes_mean_equal_content_and_others_do_not(self) -> None:
        seen: dict[tuple[int, int], tuple[str, int]] = {}
        for snapshot in self.living():
            for block, write in self.needed[snapshot.id].items():
                version = snapshot.log.version(block, snapshot.generation)
                assert seen.setdefault((block, write), version) == version
        assert len({(block, version) for (block, _), version in seen.items()}) == len(seen)

    @invariant()
    def sizes_add_up(self) -> None:
        for place in self.places():
            chains = {s.chain for s in place.snapshots.values() if s.chain is not None}
            for chain in chains:
                assert chain.stored_blocks == stored_by_hand(chain)
            assert place.stored_blocks == sum(chain.stored_blocks for chain in chains)
            archived = [s.full_blocks for s in place.snapshots.values() if s.tier == "archive"]
            assert place.archived_blocks == sum(archived)

    @invariant()
    def quotas_hold(self) -> None:
        for place in self.places():
            pending = [s for s in place.snapshots.values() if s.state == "pending"]
            copying = [s for s in pending if s.source_id]
            assert len(place.snapshots) <= QUOTAS.snapshots_per_region
            assert len(copying) == len(place.copies_in_flight) <= QUOTAS.copies_per_destination
            assert len(pending) - len(copying) == place.pending_creates <= QUOTAS.pending_snapshots
            for volume in place.volumes.values():
                of_volume = sum(s.volume_id == volume.id for s in pending)
                assert of_volume == volume.pending <= QUOTAS.snapshots_per_volume

    @invariant()
    def every_operation_that_started_ends_in_exactly_one_event(self) -> None:
        pending = {s.id for s in self.living() if s.state == "pending"}
        assert len(self.ended) == len(set(self.ended))
        assert self.open - pending == set(self.ended)
        assert pending <= self.open

    @invariant()
    def indexes_agree_with_the_listing(self) -> None:
        for place in self.places():
            listed = [s.id for s in place.ordered(-1)]
            assert sorted(listed) == sorted(place.snapshots)
            for snapshot in place.snapshots.values():
                assert snapshot in place.by_volume.get(snapshot.volume_id)


TestModel = ModelMachine.TestCase
TestModel.settings = settings(max_examples=150, stateful_step_count=60, deadline=None, derandomize=True)
