"""Sources that are not locked as their policy requires: a sweep of the primary region finds them and has them locked."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from snapkeep.domain.locks import LockLimits
from snapkeep.domain.model import LockState, SnapshotLock
from snapkeep.domain.policy.model import LockMode, LockRule
from snapkeep.domain.policy.source import PolicySource, SourceKind
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.locks import missing_locks, required_locks
from snapkeep.domain.sweep.report import Handling, SweepOutcome, SweepReport
from snapkeep.domain.tag_names import PROOF
from snapkeep.functions.sweep_metrics import report_lines
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.lab.simulator.sweeps import Sweeper
from snapkeep.usecases.sweep.dr import DrSweep
from snapkeep.usecases.sweep.primary import PrimarySweep
from support.flows import DAY, DR, PRIMARY, Laboratory, policy_set
from support.lineages import SYSTEM, copy_of, snapshot
from support.sweeping_world import HOUR, SweepingWorld

WEEK = LockRule(LockMode.GOVERNANCE, timedelta(days=7))
FOR_GOOD = LockRule(LockMode.COMPLIANCE, timedelta(days=7), timedelta(hours=24))


class Locking(Laboratory):
    """A snapshot and its copy from a day before their policy locks, with sweeps."""

    def __post_init__(self) -> None:
        self.layout = SystemLayout(lock_limits=LockLimits(30))
        super().__post_init__()
        self.sweeper = Sweeper(self.runner)
        self.protect(self.make_volume())
        self.runner.advance(DAY)
        self.lock(WEEK)

    def lock(self, rule: LockRule | None) -> None:
        (policy,) = self.policies.policies
        self.policies = replace(self.policies, policies=(replace(policy, lock=rule),))

    def report(self) -> SweepReport:
        """Sweep; return the report of the primary region."""
        self.sweeper.start()
        self.runner.advance(600)
        (report,) = [report for report in self.sweeper.reports[-2:] if report.region == PRIMARY]
        return report

    def missing(self) -> list[tuple[str, Handling]]:
        """Sweep the primary region; return the locks that it found to be missing."""
        return [(item.subject, item.handling) for item in self.report().items if item.kind is FindingKind.LOCK_MISSING]

    def days_locked(self) -> list[int]:
        return [lock["LockDuration"] for lock in self.ec2().describe_locked_snapshots()["Snapshots"]]


def test_a_source_older_than_the_rule_is_locked_for_its_remaining_time() -> None:
    lab = Locking(policy_set())
    assert lab.missing() == [(lab.ids()[0], Handling.REPAIRED)]
    assert lab.days_locked() == [6]
    assert lab.missing() == []


class Unheard:
    """Takes requests, and AWS makes none of the locks."""

    def __init__(self) -> None:
        self.versions: list[int] = []

    def request(self, _: Sequence[str], version: int = 0) -> None:
        self.versions.append(version)


class Remembering(SweepingWorld):
    """Sweeps that remember, whose requests of locks come to nothing."""

    def make_sweep(self, region: str) -> PrimarySweep | DrSweep:
        return replace(super().make_sweep(region), locks=Unheard(), lock_limits=LockLimits(30))


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_requested_lock_that_is_not_made_is_not_repaired(region: str) -> None:
    world = Remembering()
    world.snapshot(world.volume())
    world.later(2 * HOUR)
    (policy,) = world.policies.policies
    copies = tuple(replace(rule, lock=WEEK) for rule in policy.copies)
    world.policies = replace(world.policies, policies=(replace(policy, lock=WEEK, copies=copies),))
    items = [item for _ in range(4) for item in world.sweep(region, settle=600).items if item.kind is FindingKind.LOCK_MISSING]
    # Ten minutes later it may still be made.
    assert [item.handling for item in items] == [Handling.REPAIRED] * 2 + [Handling.NEEDS_ATTENTION] * 2
    ends = [re.search("(requested.*)", item.text) for item in items]
    assert [end[1] for end in ends if end] == ["requested"] * 2 + ["requested at 2026-01-01 02:00 UTC already"] * 2


def test_a_sweep_names_the_version_of_the_document_that_requires_the_lock() -> None:
    lab, requests = Locking(policy_set()), Unheard()
    lab.runner.composition.locks_of = lambda _: requests  # type: ignore[method-assign]
    lab.policies = replace(lab.policies, source=PolicySource(SourceKind.DOCUMENT, 7))
    lab.missing()
    assert requests.versions == [7]


def test_a_shortened_lock_is_extended_again() -> None:
    lab = Locking(policy_set())
    lab.missing()
    lab.ec2().lock_snapshot(SnapshotId=lab.ids()[0], LockMode="governance", LockDuration=1)
    assert lab.missing() == [(lab.ids()[0], Handling.REPAIRED)]
    assert lab.days_locked() == [7]


def test_a_snapshot_that_has_just_completed_is_left_to_its_run() -> None:
    lab = Locking(policy_set())
    lab.missing()
    lab.lock(None)
    lab.start_snapshot(lab.make_volume())
    lab.runner.advance(60)
    lab.lock(WEEK)
    assert lab.missing() == []


def test_a_snapshot_with_a_required_lock_is_locked_and_not_deleted() -> None:
    lab = Locking(policy_set(keep=1))
    lab.lock(None)
    volume = lab.snapshots()[0].volume_id
    lab.ec2().lock_snapshot(SnapshotId=lab.ids()[0], LockMode="governance", LockDuration=1)
    lab.start_snapshot(volume)
    lab.runner.advance(1800)
    old, new = lab.ids()
    lab.ec2().unlock_snapshot(SnapshotId=old)
    lab.lock(WEEK)
    assert set(dict(lab.missing())) == {old, new}
    assert lab.ids() == [old, new]


def locks_missing(report: SweepReport) -> list[float]:
    """Return the values of the metric whose alarm is LockMissingAlarm."""
    return [json.loads(line)["LocksMissing"] for line in report_lines(report) if "LocksMissing" in line]


def test_a_compliance_lock_before_a_raised_duration_is_noted_until_it_ends() -> None:
    """The alarm was raised on all these days, although the snapshot could not be deleted."""
    lab = Locking(policy_set())
    lab.lock(LockRule(LockMode.COMPLIANCE, timedelta(days=7)))
    lab.ec2().lock_snapshot(SnapshotId=lab.ids()[0], LockMode="compliance", LockDuration=2)
    report = lab.report()
    (item,) = [item for item in report.items if item.kind is FindingKind.LOCK_ENDS_EARLY]
    assert (item.subject, item.handling) == (lab.ids()[0], Handling.NOTED)
    assert report.outcome is SweepOutcome.OK
    assert locks_missing(report) == [0]
    lab.runner.advance(2 * DAY)
    report = lab.report()
    assert locks_missing(report) == [1]
    assert lab.missing() == []
    assert lab.days_locked() == [4]


def test_a_short_compliance_lock_where_the_policy_requires_governance_mode_raises_the_alarm() -> None:
    """Somebody else made it: it shortened the lock that the policy requires."""
    lab = Locking(policy_set())
    lab.ec2().lock_snapshot(SnapshotId=lab.ids()[0], LockMode="compliance", LockDuration=1)
    report = lab.report()
    assert locks_missing(report) == [1]
    assert [item.handling for item in report.items if item.kind is FindingKind.LOCK_MISSING] == [Handling.NEEDS_ATTENTION]


def test_a_compliance_lock_in_its_cool_off_period_that_is_too_short_raises_the_alarm() -> None:
    """Whoever may lock can shorten it then, and whoever may unlock can remove it."""
    lab = Locking(policy_set())
    lab.ec2().lock_snapshot(SnapshotId=lab.ids()[0], LockMode="compliance", LockDuration=2, CoolOffPeriod=24)
    assert locks_missing(lab.report()) == [1]


@pytest.mark.parametrize(
    ("lock", "limit", "why"),
    [
        (
            SnapshotLock(LockState.COOL_OFF, snapshot("2026-11-30T03:00").start_time + timedelta(days=1), 1),
            30,
            "is never changed",
        ),
        (None, 0, "the stack allows at most 0 days (MaxLockDays)"),
    ],
)
def test_a_lock_that_cannot_be_made_is_found_with_the_cause(lock: SnapshotLock | None, limit: int, why: str) -> None:
    source = replace(snapshot("2026-11-30T03:00", policy="default"), completed_at=snapshot("2026-11-30T03:00").start_time)
    (policy,) = policy_set().policies
    policies = replace(policy_set(), policies=(replace(policy, lock=WEEK),))
    locks, now = {source.id: lock} if lock else {}, source.start_time + timedelta(hours=1)
    (missing,) = missing_locks([source], locks, policies, now, LockLimits(limit), system=SYSTEM)
    assert not missing.allowed
    assert missing.finding.text.endswith(why)


@pytest.mark.parametrize("proved", [True, False])
def test_a_proved_copy_that_is_locked_in_governance_mode_only_is_found(proved: bool) -> None:
    (policy,) = policy_set().policies
    policies = replace(policy_set(), policies=(replace(policy, copies=(replace(policy.copies[0], lock=FOR_GOOD),)),))
    copy = copy_of(snapshot("2026-11-30T03:00", policy="default"), "us-east-2", 1)
    copy = replace(copy, completed_at=copy.start_time, tags={**copy.tags, **({PROOF: "PROVED structure x"} if proved else {})})
    now = copy.start_time + timedelta(hours=1)
    locks = {copy.id: SnapshotLock(LockState.GOVERNANCE, copy.start_time + timedelta(days=7), 7)}
    wanted = required_locks([copy], policies, SYSTEM)
    found = missing_locks(wanted, locks, policies, now, LockLimits(30, compliance=True), system=SYSTEM)
    assert [one.allowed for one in found] == [True] * proved
