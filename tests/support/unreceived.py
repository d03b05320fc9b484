"""A system in which a test receives the copies by hand, and a port whose calls come too late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from snapkeep.domain.events import CopyEndEvent
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.ebs_model.store.records import SnapshotRecord
from snapkeep.lab.simulator.executions import PROTECT
from snapkeep.usecases.copies.receive import ReceiveResult
from support.flows import DR, PRIMARY, Laboratory


class Unreceived(Laboratory):
    """A system in which nothing receives copies, so that a test can do it by hand, at its own moment."""

    def __post_init__(self) -> None:
        super().__post_init__()
        start = self.runner.start

        def start_protect_alone(machine: str, region: str, event: Any) -> Any:
            return start(machine, region, event) if machine == PROTECT else None

        self.runner.start = start_protect_alone  # type: ignore[method-assign]

    def copy(self, **rule: Any) -> tuple[str, SnapshotRecord]:
        """A new volume's snapshot, and the copy of it, which has ended without anybody having seen it."""
        if rule:
            self.world.add_fault(FaultRule(**rule))
        source = self.start_snapshot(self.make_volume())
        self.runner.advance(300)
        (made,) = [copy for copy in self.snapshots(DR) if copy.source_id == source]
        return source, made

    def two_copies(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Two snapshots of one volume and the copies of them, earlier first, as `copy` makes them."""
        volume = self.make_volume()
        copies = []
        for _ in range(2):
            source = self.start_snapshot(volume)
            self.runner.advance(300)
            (made,) = [copy for copy in self.snapshots(DR) if copy.source_id == source]
            copies.append((source, made.id))
        first, second = copies
        return first, second

    def receive(
        self, source: str, copy_id: str, *, succeeded: bool = True, source_region: str = PRIMARY, cause: str = ""
    ) -> ReceiveResult:
        ended = CopyEndEvent(copy_id, DR, source, source_region, succeeded, cause)
        return self.runner.composition.receive(DR).run(ended)

    def copy_by_hand(self, source: str, tags: dict[str, str], description: str = "") -> str:
        listed = [{"ResourceType": "snapshot", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
        given: dict[str, Any] = {"TagSpecifications": listed} if tags else {}
        given["Description"] = description
        made = self.ec2(DR).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=source, **given)
        self.runner.advance(300)
        return str(made["SnapshotId"])


class Meanwhile:
    """A port of which a call comes too late: something else happens first."""

    def __init__(self, real: Any, first: Callable[[], object]) -> None:
        self.real, self.first = real, first

    def __getattr__(self, name: str) -> Any:
        self.first()
        return getattr(self.real, name)
