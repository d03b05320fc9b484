"""Worlds in which the system and others make snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector, SnapshotRule
from snapkeep.domain.tag_names import MADE
from snapkeep.lab.ebs_model import PUBLIC_LINUX
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.store.records import COMPLETED, ERROR, SnapshotRecord
from snapkeep.lab.ebs_model.store.tags import value_of
from snapkeep.lab.simulator.invariant_monitor import InvariantMonitor
from snapkeep.lab.simulator.memory_ports import StepKill
from support.flows import DR, HOUR, PRIMARY, Laboratory

TICK = 300.0
RPO = timedelta(hours=6)


def making(rule: SnapshotRule, *, rpo: timedelta = RPO, keep: int = 50, consistent: str = "instance", **copies: Any) -> PolicySet:
    """One policy for every volume with the tag Backup, whose snapshots the system makes and copies."""
    copy = CopyRule(DR, copy_within=rpo, retention=Retention(keep_last=keep), **copies)
    chosen = Selector(tags={"Backup": ("*",)})
    return PolicySet((Policy("made", chosen, Retention(keep_last=keep), (copy,), rpo, snapshots=rule, consistent=consistent),))


@dataclass
class MakingWorld:
    """A laboratory with a tick every five minutes. `kill_in` interrupts the tick at one of its calls."""

    policies: PolicySet
    kill_in: int = 0
    calls: int = 0
    missed: list[str] = field(default_factory=list)
    """Volumes whose newest copy was older than the RPO at a look."""

    def __post_init__(self) -> None:
        self.lab = Laboratory(policies=self.policies, hook=self._hook)
        self.watch = InvariantMonitor(self.lab.runner, lambda: self.policies, lambda _, tags: "Backup" in tags).attach()
        self.in_tick = False

    def _hook(self, name: str) -> None:
        if not self.in_tick:
            return
        self.calls += 1
        if self.kill_in and self.calls == self.kill_in:
            raise StepKill(f"at {name}")

    def tick(self, *, kill_in: int = 0) -> int:
        """Run one tick, interrupted at a call if one is named. Return the number of its calls."""
        self.kill_in, self.calls, self.in_tick = kill_in, 0, True
        self.lab.runner.make_snapshots(PRIMARY)
        self.in_tick = False
        return self.calls

    def run(self, seconds: float, kills: Sequence[int] = (), *, watch_rpo: bool = False) -> None:
        """Run the ticks of a period; the first ones are interrupted at the named calls."""
        ended, waiting = self.lab.world.now() + seconds, list(kills)
        while self.lab.world.now() < ended:
            self.tick(kill_in=waiting.pop(0) if waiting else 0)
            self.lab.runner.advance(TICK)
            if watch_rpo:
                self.look()
        assert self.lab.runner.unexpected == []
        assert self.watch.violations == []

    def look(self) -> None:
        """Record the volumes whose newest copy is too old, after each had the time for a first one."""
        rpo = self.policies.policies[0].rpo.total_seconds()
        if self.lab.world.now() - self.began < rpo:
            return
        newest: dict[str, float] = {}
        for copy in self.lab.snapshots(DR):
            if copy.state == COMPLETED and copy.source_id:
                truth = self.watch.truths[copy.id]
                newest[truth.volume_id] = max(truth.start, newest.get(truth.volume_id, 0.0))
        for volume in self.lab.world.region_account(PRIMARY).volumes.values():
            if value_of(volume.tags, "Backup") and self.lab.world.now() - newest.get(volume.id, 0.0) > rpo:
                self.missed.append(f"{volume.id} at {utc(self.lab.world.now()):%d %H:%M}")

    @property
    def began(self) -> float:
        """The start of the world."""
        return utc(0).timestamp() + datetime.fromisoformat("2026-01-01T00:00:00+00:00").timestamp()

    def attach(self, *volumes: str, profile: str = "agent") -> str:
        """Run an instance with these data volumes and an instance profile, which SSM agents need; return its id."""
        ec2 = self.lab.ec2()
        request: dict[str, Any] = {"ImageId": PUBLIC_LINUX, "Placement": {"AvailabilityZone": f"{PRIMARY}a"}}
        request |= {"IamInstanceProfile": {"Name": profile}} if profile else {}
        made = ec2.run_instances(MinCount=1, MaxCount=1, **request)
        instance: str = made["Instances"][0]["InstanceId"]
        self.lab.runner.advance(60)
        for volume, device in zip(volumes, ("/dev/sdf", "/dev/sdg", "/dev/sdh"), strict=False):
            ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device=device)
        self.lab.runner.advance(60)
        return instance

    def others_make(self, volume_id: str, every_hours: float, first_seconds: float = 60.0) -> None:
        """Make another tool's snapshots of a volume at this interval."""

        def make() -> None:
            with suppress(ClientError, BotoCoreError):
                self.lab.start_snapshot(volume_id)
            self.lab.runner.kernel.after(every_hours * HOUR, make)

        self.lab.runner.kernel.after(first_seconds, make)

    def made(self, volume_id: str = "") -> list[SnapshotRecord]:
        """The snapshots that the system made, of a volume or of all, without failed ones."""
        return [
            item
            for item in self.lab.snapshots()
            if value_of(item.tags, MADE) and item.state != ERROR and volume_id in ("", item.volume_id)
        ]
