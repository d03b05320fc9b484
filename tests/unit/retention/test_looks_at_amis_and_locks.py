"""Runs look at AMIs and locks before they delete, but for a region where the last sweep saw none: there EC2 alone refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from snapkeep.domain.locks import LockLimits
from snapkeep.domain.model import Volume
from snapkeep.domain.policy.model import Limits, LockMode, LockRule, PolicySet
from snapkeep.domain.retention.deletion import DeletionKind, DeletionOrder
from snapkeep.domain.retention.guarded_count import GuardedCount
from snapkeep.domain.retention.placed_holds import NOTHING_HELD
from snapkeep.domain.retention.region_plan import RegionFacts
from snapkeep.lab.ebs_model import FaultRule, Faults
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.lab.simulator.memory_ports import MemoryDocuments
from snapkeep.lab.simulator.model_clients import CALLER
from snapkeep.lab.simulator.sweeps import Sweeper
from snapkeep.usecases.ports import DeletionOutcome
from snapkeep.usecases.recovery.record_ports import Document
from snapkeep.usecases.retention.plan_regions import guarded_plan
from snapkeep.usecases.sweep.count_store import KEY, StoredCount
from snapkeep.usecases.sweep.shared import RegionSweep, SweepOptions
from support.flows import DR, HOUR, INCLUDED, PRIMARY, Laboratory, policy_set
from support.lineages import VOLUME, lineage

LOOKS = ("DescribeImages", "DescribeLockedSnapshots")
BOTH = pytest.mark.parametrize("region", [PRIMARY, DR])
HELD_BY = pytest.mark.parametrize("held_by", ["lock", "ami"])


class Looks:
    """The looks of the system at AMIs and locks, by region."""

    def __init__(self, lab: Laboratory) -> None:
        self.made: list[str] = []
        call = lab.world.call

        def counted(service: str, action: str, *arguments: Any, **keywords: Any) -> Any:
            if action in LOOKS and keywords.get("caller") == CALLER:
                self.made.append(keywords["region"])
            return call(service, action, *arguments, **keywords)

        lab.world.call = counted  # type: ignore[method-assign]

    def of(self, region: str) -> int:
        return self.made.count(region)


class Refusals:
    """The snapshots whose deletion by the system EC2 refused."""

    def __init__(self, lab: Laboratory) -> None:
        self.of: list[str] = []
        call = lab.world.call

        def watched(service: str, action: str, params: Mapping[str, Any] | None = None, **keywords: Any) -> Any:
            try:
                return call(service, action, params, **keywords)
            except ApiError:
                if action == "DeleteSnapshot":
                    self.of.append(str((params or {})["SnapshotId"]))
                raise

        lab.world.call = watched  # type: ignore[method-assign]


def steady(adopt: bool = False) -> tuple[Laboratory, str, Sweeper]:
    """Return a laboratory in which each further snapshot lets one snapshot and one copy go."""
    lab = Laboratory(policies=policy_set(keep=2, keep_copies=2))
    volume = lab.make_volume()
    for _ in range(2):
        lab.protect(volume)
    lab.runner.advance(HOUR)
    return lab, volume, Sweeper(lab.runner, adopt=adopt)


def sweep(lab: Laboratory, sweeper: Sweeper) -> None:
    sweeper.start()
    lab.runner.advance(HOUR)


def protect(lab: Laboratory, volume: str) -> None:
    """Protect a new snapshot, without waiting for the end of locks."""
    lab.start_snapshot(volume)
    lab.runner.advance(2 * HOUR)


def hold(lab: Laboratory, region: str, snapshot_id: str, held_by: str) -> None:
    if held_by == "lock":
        lab.ec2(region).lock_snapshot(SnapshotId=snapshot_id, LockMode="governance", LockDuration=5)
        return
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}]
    lab.ec2(region).register_image(Name="mine", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping)


def test_a_run_looks_where_no_sweep_has_counted() -> None:
    lab, volume, _ = steady()
    looks = Looks(lab)
    lab.protect(volume)
    assert (looks.of(PRIMARY), looks.of(DR)) == (2, 2)


@BOTH
def test_no_run_looks_where_the_last_sweep_saw_neither(region: str) -> None:
    lab, volume, sweeper = steady()
    oldest = lab.ids(region)[0]
    sweep(lab, sweeper)
    looks = Looks(lab)
    protect(lab, volume)
    assert oldest not in lab.ids(region)
    assert looks.of(region) == 0


@HELD_BY
@BOTH
def test_runs_look_where_the_last_sweep_saw_one(region: str, held_by: str) -> None:
    lab, volume, sweeper = steady()
    oldest = lab.ids(region)[0]
    hold(lab, region, oldest, held_by)
    sweep(lab, sweeper)
    looks = Looks(lab)
    protect(lab, volume)
    assert oldest in lab.ids(region)
    assert looks.of(region) == 2
    assert [run.status for run in lab.runs("protect")] == ["SUCCEEDED"] * 3


@HELD_BY
@BOTH
def test_ec2_refuses_the_first_one_since_the_sweep(region: str, held_by: str) -> None:
    lab, volume, sweeper = steady()
    sweep(lab, sweeper)
    oldest = lab.ids(region)[0]
    hold(lab, region, oldest, held_by)
    refused = Refusals(lab)
    protect(lab, volume)
    assert oldest in lab.ids(region)
    assert refused.of == [oldest]
    sweep(lab, sweeper)
    protect(lab, volume)
    assert oldest in lab.ids(region)
    assert refused.of == [oldest], "what a sweep saw is not attempted again"
    assert {run.status for run in lab.ended} == {"SUCCEEDED"}, "a snapshot that stays is no failure"
    assert lab.notified == []


@HELD_BY
def test_a_refusal_for_want_of_permission_is_no_failure_where_something_holds(held_by: str) -> None:
    lab, volume, sweeper = steady()
    sweep(lab, sweeper)
    oldest = lab.ids()[0]
    hold(lab, PRIMARY, oldest, held_by)
    refusal = {"code": "UnauthorizedOperation", "message": "blocked by a policy", "http_status": 403}
    rule = FaultRule("api_error", action="DeleteSnapshot", region=PRIMARY, **refusal)  # type: ignore[arg-type]
    lab.world.set_faults(Faults(script=(rule,)))
    protect(lab, volume)
    assert oldest in lab.ids()
    assert lab.notified == []
    assert {run.status for run in lab.ended} == {"SUCCEEDED"}


def test_a_run_looks_before_its_plan_is_refused() -> None:
    """Snapshots that an AMI uses since the last sweep counted as deletions, so that INV-08 refused a plan within its limits."""
    snapshots = lineage([f"2026-10-01T{hour:02}:00" for hour in range(12)])
    facts = RegionFacts(PRIMARY, (Volume(VOLUME, PRIMARY, 8, "gp3", tags=INCLUDED),), snapshots)
    policies = policy_set(keep=2, regions=(), limits=Limits(max_deletions=5))
    used = {snapshot.id: ("ami-1",) for snapshot in snapshots[:8]}
    guards: Any = SimpleNamespace(images_using=lambda ids: {name: used.get(name, ()) for name in ids}, locks=lambda _: {})
    now = snapshots[-1].start_time + timedelta(hours=1)
    plan = guarded_plan(
        guards,
        facts,
        policies,
        now,
        system="snapkeep",
        placed=lambda _: NOTHING_HELD,
        counted=lambda: GuardedCount(now - timedelta(minutes=1), 0),
    )
    assert [volume.refusals for volume in plan.volumes] == [()]
    assert [verdict.snapshot.id for verdict in plan.deletions] == [snapshot.id for snapshot in snapshots[8:10]]


def test_a_sweep_gets_the_refused_deletion() -> None:
    lab, volume, sweeper = steady()
    sweep(lab, sweeper)
    lab.policies = policy_set(keep=1, keep_copies=1)
    oldest = lab.ids()[0]
    hold(lab, PRIMARY, oldest, "lock")
    order = DeletionOrder(oldest, volume, utc(0), "default", (), DeletionKind.RETENTION)
    (result,) = lab.runner.composition.delete_snapshots(PRIMARY).run((), asked=[order]).results
    assert (result.snapshot_id, result.outcome) == (oldest, DeletionOutcome.LOCKED)


@BOTH
def test_a_refusal_without_ami_and_lock_is_a_failure(region: str) -> None:
    lab, volume, sweeper = steady()
    sweep(lab, sweeper)
    oldest = lab.ids(region)[0]
    refusal = {"code": "UnauthorizedOperation", "message": "blocked by a policy", "http_status": 403}
    rule = FaultRule("api_error", action="DeleteSnapshot", region=region, **refusal)  # type: ignore[arg-type]
    lab.world.set_faults(Faults(script=(rule,)))
    lab.protect(volume)
    assert [subject for _, subject in lab.notified] == [oldest]
    assert oldest in lab.ids(region)


@pytest.mark.parametrize(("hours", "looked"), [(10.5, 0), (12.5, 2)])
def test_a_count_is_good_for_twelve_hours(hours: float, looked: int) -> None:
    lab, volume, sweeper = steady()
    sweep(lab, sweeper)
    lab.runner.advance(hours * HOUR)
    looks = Looks(lab)
    lab.protect(volume)
    assert looks.of(PRIMARY) == looked


def test_a_run_checks_snapshots_newer_than_the_count() -> None:
    lab, volume, sweeper = steady()
    sweep(lab, sweeper)
    lab.policies = policy_set(keep=1, keep_copies=1)
    lab.runner.advance(60)
    lab.protect(volume)
    looks = Looks(lab)
    lab.protect(volume)  # gives up the one before, which no sweep saw
    assert (looks.of(PRIMARY), looks.of(DR)) == (2, 2)


FORGED = [
    "{",
    "[" * 100_000,
    '{"at": "2099-01-01T00:00:00.000Z", "number": 0}',
    '{"at": "9999-12-31T23:59:59.000Z", "number": 0}',
    '{"at": "0001-01-01T00:00:00.000Z", "number": 0}',
]


@pytest.mark.parametrize("text", FORGED, ids=["broken", "deep", "future", "last", "first"])
def test_a_count_that_is_unreadable_or_too_old_is_none(text: str) -> None:
    lab, volume, sweeper = steady()
    sweep(lab, sweeper)
    documents = lab.runner.composition.documents[PRIMARY]
    documents.put(KEY, text, documents.get(KEY).version)
    looks = Looks(lab)
    lab.protect(volume)
    assert (looks.of(PRIMARY), looks.of(DR)) == (2, 0)


def test_a_count_that_is_no_text_stops_no_sweep_and_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    get = MemoryDocuments.get

    def no_text(documents: MemoryDocuments, key: str) -> Document:
        if key == KEY:
            b"\xff".decode()
        return get(documents, key)

    lab, volume, sweeper = steady()
    monkeypatch.setattr(MemoryDocuments, "get", no_text)
    sweep(lab, sweeper)
    looks = Looks(lab)
    lab.protect(volume)
    assert looks.of(PRIMARY) == 2
    assert {run.status for run in lab.ended} == {"SUCCEEDED"}


OPTIONS = [SweepOptions(), SweepOptions(adopt=True), SweepOptions(former="snapkeep-old")]


@pytest.mark.parametrize(("options", "number"), list(zip(OPTIONS, (0, 1, 1), strict=True)))
def test_a_count_precedes_the_listing_and_includes_adopted_snapshots(options: SweepOptions, number: int) -> None:
    store, snapshots = StoredCount(MemoryDocuments()), [replace(lineage(["2026-10-01T03:00"])[0], tags={})]
    guards = SimpleNamespace(images_using=dict.fromkeys, locks=lambda _: {})
    sweep_of: Any = SimpleNamespace(count_store=store, system="snapkeep", guards=guards, locks=None)
    RegionSweep.count_guarded(sweep_of, snapshots, PolicySet(()), options, utc(0))
    assert store.load() == GuardedCount(utc(0), number)


def test_a_sweep_that_cannot_count_leaves_the_last_count() -> None:
    lab, volume, sweeper = steady()
    lab.world.set_faults(Faults(script=(FaultRule("api_error", action="DescribeLockedSnapshots"),)))
    sweep(lab, sweeper)
    assert lab.runner.composition.documents[PRIMARY].keys(KEY) == []
    lab.world.set_faults(Faults())
    looks = Looks(lab)
    lab.protect(volume)
    assert looks.of(PRIMARY) == 2


def test_snapshots_that_consent_would_manage_count_too() -> None:
    lab, volume, sweeper = steady(adopt=True)
    unmanaged = lab.make_volume({})
    foreign = lab.protect(unmanaged)
    hold(lab, PRIMARY, foreign, "lock")
    sweep(lab, sweeper)
    looks = Looks(lab)
    lab.protect(volume)
    assert looks.of(PRIMARY) == 2


def test_snapshots_that_policies_want_locked_count_before_their_locks() -> None:
    (policy,) = policy_set(keep=2).policies
    lab = Laboratory(policy_set(keep=2), layout=SystemLayout(lock_limits=LockLimits(30)))
    volume, sweeper = lab.make_volume(), Sweeper(lab.runner)
    for _ in range(2):
        lab.protect(volume)
    lab.policies = PolicySet((replace(policy, lock=LockRule(LockMode.GOVERNANCE, timedelta(days=7))),))
    sweep(lab, sweeper)
    counts = {region: StoredCount(lab.runner.composition.documents[region]).load() for region in (PRIMARY, DR)}
    assert {region: counted and counted.number for region, counted in counts.items()} == {PRIMARY: 2, DR: 0}


@pytest.mark.parametrize(("minutes", "unguarded"), [(15, False), (16, True)])
def test_a_snapshot_from_shortly_before_the_count_may_not_be_listed(minutes: int, unguarded: bool) -> None:
    (snapshot,) = lineage(["2026-10-01T03:00"])
    counted_at = snapshot.start_time + timedelta(minutes=minutes)
    assert GuardedCount(counted_at, 0).shows_unguarded(snapshot, counted_at) is unguarded


@pytest.mark.parametrize(("age", "good"), [(-16, False), (-15, True), (12 * 60, True), (12 * 60 + 1, False)])
def test_a_count_is_good_to_the_minute(age: int, good: bool) -> None:
    (snapshot,) = lineage(["2026-10-01T03:00"])
    counted_at = snapshot.start_time + timedelta(hours=1)
    assert GuardedCount(counted_at, 0).shows_unguarded(snapshot, counted_at + timedelta(minutes=age)) is good
