"""A system over the model in virtual time, with the vocabulary of tests of the flows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from snapkeep.domain.copies.entry import QueueEntry, entry_key
from snapkeep.domain.copies.retries import RetryPolicy
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.lab.ebs_model import Faults, Quotas, Speeds, VirtualClock, World
from snapkeep.lab.ebs_model.store.records import SnapshotRecord
from snapkeep.lab.simulator.executions import Execution
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.lab.simulator.memory_ports import Hook, StepKill
from snapkeep.lab.simulator.runner import Runner

PRIMARY, DR = "us-east-1", "us-east-2"
HOUR, DAY = 3600.0, 86_400.0
INCLUDED = {"Backup": "yes"}


def policy_set(
    *,
    keep: int = 3,
    keep_copies: int = 2,
    regions: tuple[str, ...] = (DR,),
    kms_key: str = "",
    copy_within: timedelta = timedelta(hours=24),
    limits: Limits | None = None,
) -> PolicySet:
    """One policy for every volume that has the tag `Backup`."""
    copies = tuple(
        CopyRule(region, kms_key=kms_key, copy_within=copy_within, retention=Retention(keep_last=keep_copies))
        for region in regions
    )
    policy = Policy("default", Selector(tags={"Backup": ("*",)}), Retention(keep_last=keep), copies)
    return PolicySet((policy,), limits or Limits())


@dataclass
class Laboratory:
    """A world with one system in it."""

    policies: PolicySet = field(default_factory=policy_set)
    regions: tuple[str, ...] = (PRIMARY, DR)
    layout: SystemLayout = field(default_factory=SystemLayout)
    hook: Hook | None = None
    quotas: Quotas | None = None
    speeds: Speeds | None = None
    faults: Faults | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        self.world = World(
            clock=VirtualClock(), regions=self.regions, quotas=self.quotas, speeds=self.speeds, faults=self.faults, seed=self.seed
        )
        self.ended: list[Execution] = []
        self.events: list[dict[str, Any]] = []
        self.world.subscribe(self.events.append)
        self.runner = Runner(
            self.world, lambda: self.policies, self.layout, hook=self.hook, on_run_ended=self.ended.append, seed=self.seed
        )

    def ec2(self, region: str = PRIMARY) -> Any:
        return self.world.client("ec2", region, caller="person")

    def entry(self, source: str) -> QueueEntry:
        """Return the entry of a snapshot's copy."""
        return self.runner.composition.queues[DR].get(entry_key(PRIMARY, source, DR))

    def put(self, source: str, **changes: Any) -> None:
        """Change the entry of a snapshot's copy."""
        self.runner.composition.queues[DR].write(replace(self.entry(source), **changes))

    def make_volume(self, tags: Mapping[str, str] = INCLUDED, *, region: str = PRIMARY, size_gib: int = 8, **given: Any) -> str:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        specifications = [{"ResourceType": "volume", "Tags": listed}] if listed else []
        made = self.ec2(region).create_volume(
            AvailabilityZone=f"{region}a", Size=size_gib, VolumeType="gp3", TagSpecifications=specifications, **given
        )
        self.runner.advance(5)
        return str(made["VolumeId"])

    def start_snapshot(self, volume_id: str, *, region: str = PRIMARY) -> str:
        return str(self.ec2(region).create_snapshot(VolumeId=volume_id)["SnapshotId"])

    def protect(self, volume_id: str, *, region: str = PRIMARY) -> str:
        """Make a snapshot, and wait for the end of everything that it starts."""
        snapshot_id = self.start_snapshot(volume_id, region=region)
        self.settle()
        return snapshot_id

    def settle(self, limit_seconds: float = 7 * DAY) -> None:
        assert self.runner.run_until_idle(limit_seconds), "something is still under way"
        assert self.runner.unexpected == []

    def snapshots(self, region: str = PRIMARY) -> list[SnapshotRecord]:
        return sorted(self.world.region_account(region).snapshots.values(), key=lambda snapshot: snapshot.seq)

    def ids(self, region: str = PRIMARY) -> list[str]:
        return [snapshot.id for snapshot in self.snapshots(region)]

    def sources_of_copies(self, region: str = DR) -> list[str]:
        return sorted(snapshot.source_id for snapshot in self.snapshots(region) if snapshot.source_id)

    def tags(self, snapshot_id: str, region: str = PRIMARY) -> dict[str, str]:
        return self.world.resource_tags(region, self.world.account_id, snapshot_id)

    def runs(self, machine: str, status: str = "") -> list[Execution]:
        return [run for run in self.ended if run.machine == machine and status in ("", run.status)]

    @property
    def notified(self) -> list[tuple[str, str]]:
        return [(notice.kind, notice.subject) for notice in self.runner.composition.notices.added]


class KillAt:
    """Ends the step at the n-th time that a port's call is begun (`odd`) or has just been done."""

    def __init__(self, call: str, time: int = 1) -> None:
        self.call = call
        self.time = time
        self.seen = 0

    def __call__(self, name: str) -> None:
        if name == self.call:
            self.seen += 1
            if self.seen == self.time:
                raise StepKill(f"at {name}")


class CallCounter:
    """Counts port calls by name."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, name: str) -> None:
        self.calls.append(name)

    def count(self, name: str) -> int:
        """Return the number of begun calls (the hook is called before and after each)."""
        return (self.calls.count(name) + 1) // 2


def retry_policy(limit: int = 3, minutes: float = 5) -> RetryPolicy:
    return RetryPolicy(limit=limit, first_delay=timedelta(minutes=minutes))
