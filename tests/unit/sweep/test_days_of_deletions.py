"""A day with far more deletions than usual stops those of sweeps, and is a finding."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapkeep.domain.errors import AwsRefused, AwsThrottled, SnapkeepError
from snapkeep.domain.retention.deletion_days import DAYS, FEWEST_DAYS, LEAST, after, is_unusual, usual
from snapkeep.domain.retention.placed_holds import PlacedHold
from snapkeep.domain.sweep.findings import Finding, FindingKind, SweepDecision
from snapkeep.domain.sweep.report import Handling
from snapkeep.lab.simulator.memory_ports import MemoryDocuments, MemoryHolds
from snapkeep.usecases.sweep.announced_deletions import AnnouncedDeletions, DayLimit
from snapkeep.usecases.sweep.deletions_by_others import WatchResult
from snapkeep.usecases.sweep.memory import MEMORY
from snapkeep.usecases.sweep.shared import SweepLimits
from support.sweeping_world import DR, HOUR, PRIMARY, SweepingWorld, gold, kinds

TODAY = date(2026, 11, 30)
COUNTS = st.lists(st.integers(0, 10_000), max_size=30)


def days_of(counts: list[int]) -> dict[str, int]:
    """The deletions of days until yesterday, counted by a sweep a day."""
    days: dict[str, int] = {}
    for number, count in enumerate(counts):
        days = after(days, TODAY - timedelta(days=len(counts) - number), count)
    return days


@given(COUNTS, st.integers(0, 10**6), st.integers(2, 1000))
def test_a_day_far_beyond_the_median_is_unusual(counts: list[int], number: int, times: int) -> None:
    days = after(days_of(counts), TODAY, number)
    normal = usual(days, TODAY)
    assert (normal is None) == (len(counts) < FEWEST_DAYS or not any(counts[-DAYS:]))
    assert is_unusual(days, TODAY, times) == (normal is not None and number > max(LEAST, times * normal))
    assert len(days) <= DAYS + 1


@given(COUNTS, st.lists(st.integers(0, 1000), max_size=6))
def test_several_sweeps_of_a_day_add_up(counts: list[int], sweeps: list[int]) -> None:
    days = days_of(counts)
    for number in sweeps:
        days = after(days, TODAY, number)
    assert days.get(str(TODAY), 0) == sum(sweeps)


@pytest.mark.parametrize("earlier", [[], [100], [100, 100, 100]])
def test_a_fleet_whose_snapshots_begin_to_expire_is_not_unusual(earlier: list[int]) -> None:
    assert not is_unusual(after(days_of([0] * 14 + earlier), TODAY, 100), TODAY, 2)


def test_days_without_deletions_do_not_lower_the_usual() -> None:
    days = after({str(TODAY - timedelta(days=10)): 500}, TODAY, 5_001)
    assert usual(days, TODAY) == 500
    assert is_unusual(days, TODAY, 10)


@pytest.mark.parametrize(("number", "times", "found"), [(101, 10, 1), (100, 10, 0), (10_000, 0, 0)])
def test_the_finding_names_both_numbers(number: int, times: int, found: int) -> None:
    findings = WatchResult([], after(days_of([10] * 8), TODAY, number)).unusual(TODAY, times)
    assert [finding.kind for finding in findings] == [FindingKind.DELETIONS_UNUSUAL] * found
    assert all("101 managed snapshots" in finding.text and "usual are 10 a day" in finding.text for finding in findings)


@pytest.mark.parametrize(("today", "handling"), [(LEAST, Handling.REPAIRED), (LEAST + 1, Handling.LEFT)])
def test_a_sweep_stops_its_own_deletions_on_such_a_day(today: int, handling: Handling) -> None:
    world = SweepingWorld(policies=gold(keep=3, keep_copies=3), limits=SweepLimits(times_usual=2))
    volume_id = world.volume()
    for _ in range(3):
        world.snapshot(volume_id)
        world.later(2 * HOUR)
    world.sweep()
    memory = world.reports[PRIMARY].objects
    now = world.runner.composition.clock.now().date()
    days = {str(now - timedelta(days=number)): 1 for number in range(1, FEWEST_DAYS + 1)} | {str(now): today}
    memory[MEMORY] = json.dumps(json.loads(memory[MEMORY]) | {"deletions": days})
    world.policies = gold(keep=2, keep_copies=2)
    report = world.sweep()
    handlings = {item.kind: item.handling for item in report.items}
    assert handlings[FindingKind.PAST_RETENTION] is handling
    assert (FindingKind.DELETIONS_UNUSUAL in handlings) == (handling is Handling.LEFT)
    assert len(world.snapshots(PRIMARY)) == (3 if handling is Handling.LEFT else 2)
    assert json.loads(memory[MEMORY])["deletions"] == days


NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
NOTHING = SweepDecision((), ())


@dataclass
class Sweeps:
    """Sweeps of a region, a bucket in which runs announce deletions, and the holds that sweeps place."""

    usual: int = 1
    announced: AnnouncedDeletions = field(default_factory=lambda: AnnouncedDeletions(MemoryDocuments()))
    holds: MemoryHolds = field(default_factory=MemoryHolds)
    times: int = 10

    def at(self, now: datetime, *, since: datetime | None = None, by_others: int = 0) -> list[Finding]:
        """Sweep, and return the findings of an unusual day."""
        world = SweepingWorld(policies=gold(keep=3, keep_copies=3), limits=SweepLimits(times_usual=self.times))
        sweep = replace(world.make_sweep(PRIMARY), announced=self.announced, hold_store=lambda: self.holds)
        watched = WatchResult([], after(days_of([self.usual] * 8), now.date(), by_others), since=since)
        return sweep.deletions(NOTHING, watched, now)[2]

    def runs_plan(self, number: int, now: datetime = NOON) -> None:
        """Let runs announce deletions, and stop where these are too many."""
        notices = SimpleNamespace(add=lambda _: None)
        clock = SimpleNamespace(now=lambda: now)
        limit = DayLimit(announced=self.announced, times_usual=self.times, notices=notices, region=PRIMARY, clock=clock)  # type: ignore[arg-type]
        self.announced.write_usual(now.date(), self.usual)
        limit([f"snap-{number}" for number in range(number)])


def test_such_a_day_puts_the_system_on_hold() -> None:
    sweeps = Sweeps()
    assert sweeps.at(NOON) == []
    assert sweeps.holds.all() == []
    (finding,) = sweeps.at(NOON, by_others=LEAST + 1)
    (hold,) = sweeps.holds.all()
    assert (hold.id, hold.covers_everything, hold.reason) == ("deletions-2026-11-30", True, finding.text)


@pytest.mark.parametrize("by_others", [0, LEAST + 1])
def test_a_released_hold_is_not_placed_again_until_the_day_after(by_others: int) -> None:
    sweeps = Sweeps()
    sweeps.runs_plan(LEAST + 1)
    assert sweeps.at(NOON, by_others=by_others)
    (hold,) = sweeps.holds.all()
    sweeps.holds.release(hold.id)
    assert sweeps.at(NOON + timedelta(hours=1), by_others=by_others)  # the day stays one without deletions
    assert sweeps.at(NOON + timedelta(days=1), since=NOON + timedelta(hours=1)) == []
    assert sweeps.holds.all() == []


def test_a_day_that_was_allowed_is_not_judged_by_a_later_parameter() -> None:
    sweeps = Sweeps(times=100)
    sweeps.runs_plan(LEAST + 1)
    sweeps.times = 10
    assert sweeps.at(NOON + timedelta(days=1), since=NOON) == []


def test_a_hold_that_cannot_be_placed_is_found_and_placed_later() -> None:
    class Refusing(MemoryHolds):
        def place(self, hold: PlacedHold) -> None:
            raise AwsRefused("put_parameter: AccessDenied")

    sweeps = Sweeps(holds=Refusing())
    kinds = [finding.kind for finding in sweeps.at(NOON, by_others=LEAST + 1)]
    assert kinds == [FindingKind.DELETIONS_UNUSUAL, FindingKind.OUT_OF_REACH]
    sweeps.holds = MemoryHolds()
    sweeps.at(NOON + timedelta(hours=1), by_others=LEAST + 1)
    assert len(sweeps.holds.all()) == 1


@pytest.mark.parametrize("by_others", [0, LEAST + 1])
def test_a_sweep_writes_the_usual_number_also_on_an_unusual_day(by_others: int) -> None:
    sweeps = Sweeps(usual=2)
    assert bool(sweeps.at(NOON, by_others=by_others)) == bool(by_others)
    assert [sweeps.announced.of(TODAY + timedelta(days=more)).usual for more in (0, 1, 2)] == [2, 2, None]


@pytest.mark.parametrize(("day", "since", "found"), [(0, 0, 1), (1, 1, 1), (1, 0, 0)])
def test_a_sweep_finds_the_day_on_which_runs_stopped(day: int, since: int, found: int) -> None:
    sweeps, stopped_on = Sweeps(), NOON - timedelta(days=day)
    sweeps.runs_plan(LEAST + 1, stopped_on)
    unusual = sweeps.at(NOON, since=NOON - timedelta(days=since))
    text = f"runs planned {LEAST + 1} deletions on {stopped_on:%Y-%m-%d}, usual are 1 a day"
    assert [(finding.kind, finding.text) for finding in unusual] == [(FindingKind.DELETIONS_UNUSUAL, text)] * found
    assert [hold.id for hold in sweeps.holds.all()] == [f"deletions-{stopped_on:%Y-%m-%d}"] * found


class Unlisted(MemoryDocuments):
    """A bucket that may not be listed, or does not answer."""

    def __init__(self, error: SnapkeepError) -> None:
        super().__init__()
        self.error = error

    def first_keys(self, prefix: str) -> list[str]:
        raise self.error


class SweepingUnlisted(SweepingWorld):
    """Sweeps that cannot list the announced deletions."""

    def make_sweep(self, region: str) -> Any:
        documents = Unlisted(AwsRefused("list_objects_v2: AccessDenied"))
        return replace(super().make_sweep(region), announced=AnnouncedDeletions(documents))


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_sweep_that_cannot_list_announcements_repairs_and_deletes_nothing(region: str) -> None:
    world = SweepingUnlisted(policies=gold(keep=3, keep_copies=3), limits=SweepLimits(times_usual=10))
    volume_id = world.volume()
    for _ in range(3):
        world.snapshot(volume_id)
        world.later(2 * HOUR)
    ids = sorted(snapshot["SnapshotId"] for snapshot in world.managed(region))
    world.world.client("ec2", region).delete_tags(Resources=ids[:1], Tags=[{"Key": "snapkeep:managed"}])
    world.policies = gold(keep=1, keep_copies=1)
    report = world.sweep(region, settle=0)
    (item,) = [item for item in report.items if item.subject == "deletions of the day"]
    assert (item.kind, item.handling) == (FindingKind.OUT_OF_REACH, Handling.NEEDS_ATTENTION)
    assert item.text == "they are not known, and retention deletes nothing in this sweep: list_objects_v2: AccessDenied"
    assert kinds(report, Handling.REPAIRED) == {FindingKind.TAGS_LOST: 1}
    assert kinds(report, Handling.LEFT)[FindingKind.PAST_RETENTION] >= 1
    assert sorted(snapshot["SnapshotId"] for snapshot in world.snapshots(region)) == ids


@pytest.mark.parametrize("error", [AwsRefused("AccessDenied"), AwsThrottled("SlowDown")])
def test_deletions_by_others_place_a_hold_though_announcements_are_not_known(error: SnapkeepError) -> None:
    sweeps = Sweeps(announced=AnnouncedDeletions(Unlisted(error)))
    kinds = [finding.kind for finding in sweeps.at(NOON, by_others=LEAST + 1)]
    assert kinds == [FindingKind.DELETIONS_UNUSUAL, FindingKind.OUT_OF_REACH]
    assert len(sweeps.holds.all()) == 1
