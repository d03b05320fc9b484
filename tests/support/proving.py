"""A source and its copy in the model of EBS, and the use case that compares them, in virtual time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from snapkeep.adapters.ebs_blocks import EbsBlocks
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.domain.model import Snapshot
from snapkeep.domain.recovery.methods import Method
from snapkeep.domain.recovery.proof import Proof, ProofProgress
from snapkeep.domain.tags import Origin, description_of_copy, tags_for_copy
from snapkeep.lab.ebs_model import ContentFaults, Speeds, World
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.simulator.memory_proofs import MemoryProofs, OneAfterAnother
from snapkeep.usecases.recovery.ports import BlockReader
from snapkeep.usecases.recovery.read_blocks import ReadBlocks
from snapkeep.usecases.recovery.verify import VerifyCopy

PRIMARY, DR, SYSTEM = "us-east-1", "us-east-2", "snapkeep"
Result = TypeVar("Result")


class Ticking:
    """A clock that moves only during a wait."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def pause(self, seconds: float) -> None:
        self.seconds += seconds


class WorldClock:
    """`Clock` and `Pacer` in the virtual time of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> datetime:
        return utc(self._world.now())

    def pause(self, seconds: float) -> None:
        self._world.clock.advance(seconds)  # type: ignore[attr-defined]


class ProvingWorld:
    """A world with one volume, its snapshots and their copies."""

    def __init__(self, size_gib: int = 1, written: int = 24, **options: Any) -> None:
        self.world = World(**{"speeds": Speeds(volume_create_seconds=0), **options})
        self.primary = self.world.client("ec2", PRIMARY)
        self.dr = self.world.client("ec2", DR)
        self.volume_id = self.primary.create_volume(AvailabilityZone=PRIMARY + "a", Size=size_gib)["VolumeId"]
        self.proofs = MemoryProofs()
        self.clock = WorldClock(self.world)
        if written:
            self.write(0, written)

    def write(self, first: int, count: int, *, zeros: bool = False) -> None:
        self.world.write(self.volume_id, first, count, region=PRIMARY, zeros=zeros)

    def snapshot(self) -> str:
        snapshot_id = str(self.primary.create_snapshot(VolumeId=self.volume_id)["SnapshotId"])
        self.world.run_until_idle(3 * 86_400)
        return snapshot_id

    def copy(self, source_id: str, **more: Any) -> Snapshot:
        started = self.primary.describe_snapshots(SnapshotIds=[source_id])["Snapshots"][0]["StartTime"]
        origin = Origin(PRIMARY, self.volume_id, source_id, started)
        tags = [{"Key": key, "Value": value} for key, value in tags_for_copy(SYSTEM, "gold", origin).items()]
        copy_id = self.dr.copy_snapshot(
            SourceRegion=PRIMARY,
            SourceSnapshotId=source_id,
            Description=description_of_copy(origin),
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}],
            **more,
        )["SnapshotId"]
        self.world.run_until_idle(3 * 86_400)
        return self.read(copy_id)

    def read(self, copy_id: str) -> Snapshot:
        return self.reader_of(DR).snapshots([copy_id])[copy_id]

    def reader_of(self, region: str) -> Ec2Reader:
        return Ec2Reader(client=self.world.client("ec2", region), region=region)

    def new_copy(self) -> Snapshot:
        return self.copy(self.snapshot())

    def plant(self, copy: Snapshot, **faults: Any) -> None:
        self.world.plant(copy.id, ContentFaults(**faults), region=DR)

    def blocks_of(self, region: str) -> BlockReader:
        api = EbsBlocks(client=self.world.client("ebs", region), region=region)
        return ReadBlocks(api=api, workers=OneAfterAnother(), clock=self.clock)

    def use_case(self, **more: Any) -> VerifyCopy:
        parts: dict[str, Any] = {
            "reader": self.reader_of(DR),
            "reader_of": self.reader_of,
            "blocks_of": self.blocks_of,
            "proofs": self.proofs,
            "clock": self.clock,
        }
        return VerifyCopy(**{**parts, "sides": OneAfterAnother(), **more})

    def verify(self, copy: Snapshot, method: Method, *, budget_usd: float = 0.0, **more: Any) -> Proof:
        """Compare to the end, portion by portion."""
        use_case = self.use_case(**more)
        return to_the_end(use_case, use_case.begin(copy.id, method, budget_usd))


def to_the_end(use_case: VerifyCopy, progress: ProofProgress, portions: int = 100_000) -> Proof:
    """Run portions until there is a proof."""
    for _ in range(portions):
        result = use_case.run(progress)
        if isinstance(result, Proof):
            return result
        progress = result
    raise AssertionError(f"no proof after {portions} portions")
