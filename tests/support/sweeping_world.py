"""A system in virtual time whose sweeps run by hand, with the parts of the functions, over the model of EBS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from snapkeep.adapters.ec2_exposure import Ec2Exposure
from snapkeep.adapters.ec2_guards import RecentGuards
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.ec2_writers import Ec2Tagger
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.copies.known_copies import known_copies
from snapkeep.domain.errors import ReportNotFound, SnapkeepError
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention.deletion import deletion_orders
from snapkeep.domain.retention.region_plan import RegionFacts
from snapkeep.domain.sweep.findings import CopyWait, FindingKind
from snapkeep.domain.sweep.report import Handling, SweepReport
from snapkeep.domain.sweep.waiting_runs import OpenRun
from snapkeep.domain.system import StackKind
from snapkeep.functions.sweep import build_watch
from snapkeep.lab.ebs_model import World
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.simulator.executions import PROTECT, RECEIVE
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.lab.simulator.runner import Runner
from snapkeep.lab.simulator.sweeps import OpenRuns
from snapkeep.usecases.look.status import Destination, SystemStatus, gather_status
from snapkeep.usecases.placed_holds import HoldsInForce
from snapkeep.usecases.sweep.dead_letters import ReplayDeadLetters
from snapkeep.usecases.sweep.deletions_by_others import DeletionWatch
from snapkeep.usecases.sweep.dr import DrSweep
from snapkeep.usecases.sweep.exposure import ExposureCheck
from snapkeep.usecases.sweep.memory import StoredMemory
from snapkeep.usecases.sweep.ports import DeadLetter
from snapkeep.usecases.sweep.primary import PrimarySweep
from snapkeep.usecases.sweep.shared import SweepLimits, SweepOptions, SweepResult, complete
from support.all_facts import gather_all_facts

PRIMARY, DR = "us-east-1", "us-east-2"
DAY, HOUR = 86_400.0, 3_600.0


def kinds(report: SweepReport, handling: Handling | None = None) -> Counter[FindingKind]:
    """Return the number of findings of each kind in a report, without unblocked sharing, which every new account has."""
    found: Counter[FindingKind] = Counter()
    for item in report.items:
        if (handling is None or item.handling is handling) and item.kind is not FindingKind.SHARING_NOT_BLOCKED:
            found[item.kind] += item.times
    return found


def gold(*, keep: int = 7, keep_copies: int = 3, limits: Limits | None = None) -> PolicySet:
    rule = CopyRule(DR, retention=Retention(keep_last=keep_copies))
    policy = Policy("gold", Selector(tags={"Backup": ("*",)}), Retention(keep_last=keep), (rule,))
    return PolicySet((policy,), limits or Limits(max_deletions=1000, max_share_percent=100))


@dataclass
class Letters:
    """A dead-letter queue in memory."""

    held: list[DeadLetter] = field(default_factory=list)

    def receive(self, most: int) -> list[DeadLetter]:
        return self.held[:most]

    def delete(self, letters: Sequence[DeadLetter]) -> None:
        self.held = [notice for notice in self.held if notice not in letters]


class MemoryReports:
    """A bucket in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}

    def put(self, name: str, content: str, content_type: str) -> str:
        self.objects[name] = content
        return f"memory://{content_type}/{name}"

    def get(self, name: str) -> str:
        if name not in self.objects:
            raise ReportNotFound(name)
        return self.objects[name]


@dataclass
class Trail:
    """CloudTrail's event history in memory: the principal that deleted each snapshot, or the error of every lookup."""

    by: dict[str, str] = field(default_factory=dict)
    error: SnapkeepError | None = None

    def deleted_by(self, snapshot_id: str, since: datetime) -> str:
        assert since
        if self.error:
            raise self.error
        return self.by.get(snapshot_id, "")


class KernelRuns:
    """Starts executions in virtual time, by name as Step Functions does."""

    def __init__(self, runner: Runner, machine: str, region: str) -> None:
        self.runner = runner
        self.machine = machine
        self.region = region
        self.deployed = utc(runner.world.now())
        self.names: list[str] = []

    def start(self, event: Mapping[str, Any], name: str) -> bool:
        if name in self.names:
            return False
        self.names.append(name)
        self.runner.start(self.machine, self.region, event)
        return True

    def deployed_at(self) -> Any:
        return self.deployed


class CountedRuns:
    """The runs that have not ended, and the runs whose history was read."""

    def __init__(self, runs: OpenRuns) -> None:
        self.runs = runs
        self.read: list[str] = []

    def under_way(self) -> list[OpenRun]:
        return self.runs.under_way()

    def waits(self, run: str) -> list[CopyWait]:
        self.read.append(run)
        return self.runs.waits(run)


class SweepingWorld:
    """One system over one world: people make volumes and snapshots, events run, and sweeps are run by hand."""

    def __init__(
        self,
        world: World | None = None,
        policies: PolicySet | None = None,
        *,
        limits: SweepLimits | None = None,
        **layout: Any,
    ) -> None:
        self.world = world or World(seed=7)
        self.policies = policies or gold()
        self.policies_by_region: dict[str, PolicySet] = {}
        """Region -> its policies, where the parameters of its stack make others."""
        self.runner = Runner(self.world, lambda: self.policies, SystemLayout(**layout))
        self.runner.composition.policies_of = self.policies_of
        self.limits = limits or SweepLimits()
        destinations = self.runner.layout.destinations
        self.letters = {region: Letters() for region in (PRIMARY, *destinations)}
        self.runs = {PRIMARY: KernelRuns(self.runner, PROTECT, PRIMARY)}
        self.runs |= {region: KernelRuns(self.runner, RECEIVE, region) for region in destinations}
        self.waiting = {PRIMARY: CountedRuns(OpenRuns(self.runner, PRIMARY))}
        self.ec2 = self.world.client("ec2", PRIMARY)
        self.ec2_dr = self.world.client("ec2", DR)
        self.number = 0
        self.reports = {region: MemoryReports() for region in (PRIMARY, *destinations)}
        self.trail = Trail()

    def policies_of(self, region: str) -> PolicySet:
        return self.policies_by_region.get(region) or self.policies

    def later(self, seconds: float) -> None:
        self.runner.kernel.run_until(self.world.now() + seconds)

    def volume(self, size_gib: int = 8, **tags: str) -> str:
        listed = [{"Key": key, "Value": value} for key, value in (tags or {"Backup": "gold"}).items()]
        made = self.ec2.create_volume(
            AvailabilityZone=f"{PRIMARY}a",
            Size=size_gib,
            VolumeType="gp3",
            TagSpecifications=[{"ResourceType": "volume", "Tags": listed}],
        )
        self.later(5)
        return str(made["VolumeId"])

    def snapshot(self, volume_id: str) -> str:
        return str(self.ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"])

    def composition(self) -> Any:
        return self.runner.composition

    def exposure(self, region: str) -> ExposureCheck:
        return ExposureCheck(
            exposure=Ec2Exposure(client=self.world.client("ec2", region)),
            known_accounts=frozenset({"111122223333"}),
            vault_accounts=frozenset(self.runner.layout.vault_accounts) if region != PRIMARY else frozenset(),
        )

    def make_sweep(self, region: str) -> PrimarySweep | DrSweep:
        composition, client = self.runner.composition, self.world.client("ec2", region)
        shared: dict[str, Any] = {
            "system": self.runner.layout.system,
            "reader": composition.points(region),
            "guards": RecentGuards(reader=Ec2Reader(client=client, region=region), clock=composition.clock),
            "holds": HoldsInForce(region=region, store_of=composition.hold_store_of, policies=lambda: self.policies_of(region)),
            "policies": lambda: self.policies_of(region),
            "tagger": Ec2Tagger(client=client),
            "letters": ReplayDeadLetters(letters=self.letters[region], runs=self.runs[region]),
            "exposure": self.exposure(region),
            "watch": DeletionWatch(memories=StoredMemory(self.reports[region]), trail=self.trail),
            "clock": composition.clock,
            "limits": self.limits,
        }
        if region != PRIMARY:
            return DrSweep(
                reader_of=composition.reader,
                queue=composition.queue_of(region),
                receive=composition.receive(region),
                drills=build_watch(composition.stack(region, StackKind.DR)),
                verifications=composition.verifications_of(region) if self.runner.layout.verify else None,
                documents=composition.documents_of(region),
                **shared,
            )
        return PrimarySweep(
            reader_of=composition.points,
            queue_of=composition.queue_of,
            enqueue=composition.enqueue(),
            runs=self.runs[region],
            waiting_runs=self.waiting[region],
            **shared,
        )

    def sweep(self, region: str = PRIMARY, *, settle: float = HOUR, **options: bool) -> SweepReport:
        """Sweep a region, carry its deletions out, and wait for the end of everything that it started."""
        self.number += 1
        sweep = self.make_sweep(region)
        swept = sweep.run(f"sweep-{self.number}", SweepOptions(**options))
        assert swept.memory is not None
        sweep.watch.prepare(swept.report.id, swept.memory)
        sweep.watch.remember(swept.report.id)
        report = self.carried_out(region, swept)
        for destination in self.runner.layout.destinations:
            self.runner.wake(destination, 1.0)  # as its schedule does each minute
        self.later(settle)
        return report

    def facts(self, since: datetime | None = None) -> list[RegionFacts]:
        """Return the facts of `snapkeep plan`."""
        composition, destinations = self.composition(), self.runner.layout.destinations
        queues = {region: composition.queue_of(region) for region in destinations}
        now = composition.clock.now()
        known = {
            region: known_copies([entry for state in EntryState for entry in queue.in_state(state)], now)
            for region, queue in queues.items()
        }
        return gather_all_facts(
            composition.reader(PRIMARY), [composition.reader(region) for region in destinations], known, since
        )

    def carried_out(self, region: str, swept: SweepResult) -> SweepReport:
        orders = deletion_orders(swept.plan.deletions, swept.remove)
        results = self.runner.composition.delete_snapshots(region).run((), asked=orders).results
        failed = [result for result in results if not result.done]
        return complete(swept.report, orders, failed, self.runner.composition.clock.now())

    def status(self) -> SystemStatus:
        composition = self.runner.composition
        quota = self.runner.layout.copy_quota
        destinations = [
            Destination(reader=composition.points(region), queue=composition.queue_of(region), quota=quota)
            for region in self.runner.layout.destinations
        ]
        system = self.runner.layout.system
        return gather_status(composition.points(PRIMARY), destinations, self.policies, composition.clock.now(), system=system)

    def snapshots(self, region: str) -> list[dict[str, Any]]:
        pages = self.world.client("ec2", region).get_paginator("describe_snapshots").paginate(OwnerIds=["self"])
        return [item for page in pages for item in page["Snapshots"]]

    def managed(self, region: str) -> list[dict[str, Any]]:
        return [
            snapshot
            for snapshot in self.snapshots(region)
            if {"Key": "snapkeep:managed", "Value": self.runner.layout.system} in snapshot.get("Tags", [])
        ]
