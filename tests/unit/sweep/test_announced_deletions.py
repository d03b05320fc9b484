"""On a day with far more deletions than usual, runs stop before the one that exceeds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snapkeep.domain.errors import AwsRefused, AwsThrottled, SnapkeepError
from snapkeep.domain.retention.deletion import DeletionKind, DeletionOrder
from snapkeep.domain.retention.deletion_days import LEAST
from snapkeep.lab.simulator.memory_ports import MemoryDocuments
from snapkeep.usecases.ports import Notice
from snapkeep.usecases.sweep.announced_deletions import AnnouncedDeletions, DayLimit, DayOfDeletions
from support.flows import DR, HOUR, PRIMARY, Laboratory, policy_set

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TODAY = NOW.date()
IDS = [f"snap-{number:017x}" for number in range(20_000)]


class World:
    """A bucket, and what runs tell of it."""

    def __init__(self, usual: int | None = 5, now: datetime = NOW, documents: MemoryDocuments | None = None) -> None:
        self.announced = AnnouncedDeletions(documents or MemoryDocuments())
        self.time = now
        self.notices: list[Notice] = []
        if usual is not None:
            self.announced.write_usual(now.date(), usual)

    def now(self) -> datetime:
        return self.time

    def add(self, notice: Notice) -> None:
        self.notices.append(notice)

    def may(self, snapshot_ids: Sequence[str]) -> bool:
        limit = DayLimit(announced=self.announced, times_usual=10, notices=self, region=PRIMARY, clock=self)
        return not limit(snapshot_ids)


def test_runs_delete_as_many_as_usual_times_ten_and_no_more() -> None:
    world = World(usual=6)
    assert [world.may([snapshot_id]) for snapshot_id in IDS[:62]] == [True] * 60 + [False] * 2


@pytest.mark.parametrize("usual", [0, 5])
def test_fifty_deletions_of_a_day_are_never_unusual(usual: int) -> None:
    world = World(usual)
    assert world.may(IDS[:LEAST])
    assert not world.may(IDS[LEAST : LEAST + 1])


@pytest.mark.parametrize("name", ["-a-{}", "runs/0z-{}", "runs/{}", "0123456789abcdef-{}"])
def test_forged_names_count_nothing_and_stop_no_run(name: str) -> None:
    documents = MemoryDocuments()
    for snapshot_id in IDS[:1_000]:
        documents.put(f"deletions/{TODAY}/{name.format(snapshot_id)}", "")
    assert AnnouncedDeletions(documents).of(TODAY).number == 0


@pytest.mark.parametrize("name", ["runs/-{}", "runs/0000000000000000-{}", "runs/{}"])
def test_no_name_that_runs_write_hides_the_usual_number(name: str) -> None:
    """`tests/infra/test_keys_and_buckets_of_roles.py` shows that a run can write no other."""
    world = World(usual=7)
    for number in range(2_000):
        world.announced.documents.put(f"deletions/{TODAY}/{name.format(f'snap-{number}')}", "")
    assert world.announced.of(TODAY).usual == 7


def test_a_retried_run_counts_once() -> None:
    world = World()
    assert all(world.may(IDS[:LEAST]) for _ in range(3))
    assert world.announced.of(TODAY).number == LEAST


def test_nothing_stops_runs_while_no_usual_number_is_known() -> None:
    world = World(usual=None)
    assert world.may(IDS[:500])
    assert world.notices == []


def test_each_day_has_its_own_number() -> None:
    world = World()
    assert not world.may(IDS[: LEAST + 1])
    world.time += timedelta(days=1)
    world.announced.write_usual(world.time.date(), 5)
    assert world.may(IDS[:1])


def test_a_day_that_stops_runs_is_notified_once() -> None:
    world = World()
    assert not any(world.may(IDS[: LEAST + more]) for more in (1, 2, 3))
    (notice,) = world.notices
    assert (notice.kind, notice.subject) == ("DeletionsUnusual", "2026-11-30")
    assert notice.cause == "runs planned 51 deletions on 2026-11-30, usual are 5 a day"


class Busy(MemoryDocuments):
    """A bucket whose requests are so slow that others continue during each."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self.meanwhile = meanwhile

    def put(self, key: str, text: str, version: str = "") -> str:
        self.meanwhile()
        return super().put(key, text, version)

    def first_keys(self, prefix: str) -> list[str]:
        self.meanwhile()
        return super().first_keys(prefix)


def number_deleted(seed: int) -> int:
    """Runs begin at any request of another one, or are throttled there and retried, and some share snapshots."""
    random = Random(seed)
    deleted: set[str] = set()
    ranges = [(random.randrange(70), random.randint(1, 30)) for _ in range(random.randint(2, 6))]
    waiting = [IDS[first : first + size] for first, size in ranges]

    def meanwhile() -> None:
        if not random.randrange(4):
            begin()
        if not random.randrange(40):
            raise AwsThrottled("SlowDown")

    def begin() -> None:
        if waiting:
            snapshot_ids = waiting.pop()
            try:
                may = world.may(snapshot_ids)
            except AwsThrottled:
                waiting.insert(0, snapshot_ids)
                return
            deleted.update(snapshot_ids if may else ())

    documents = Busy(lambda: None)
    world = World(documents=documents)
    documents.meanwhile = meanwhile
    while waiting:
        begin()
    return len(deleted)


@settings(max_examples=50)
@given(st.integers(0, 8), st.integers(0, 90), st.integers(1, 90), st.integers(0, 90))
@example(usual=5, before=10, planned=LEAST - 10, first=10)
@example(usual=8, before=0, planned=81, first=0)
@example(usual=5, before=LEAST, planned=LEAST, first=0)
@example(usual=5, before=LEAST + 1, planned=1, first=LEAST)
@example(usual=150, before=1_400, planned=200, first=1_300)
@example(usual=150, before=900, planned=800, first=850)
def test_a_plan_warns_exactly_if_a_run_would_stop(usual: int, before: int, planned: int, first: int) -> None:
    """Also where runs announced some of the deletions already, and beyond the thousand that one listing holds."""
    world = World(usual)
    world.announced.announce(TODAY, IDS[:before])
    ids = IDS[first : first + planned]
    allowance = world.announced.allowance_of(TODAY, 10)(ids)
    assert (allowance.planned, allowance.announced) == (planned, world.announced.of(TODAY).number)
    assert allowance.is_exceeded == bool(allowance.warning) == (not world.may(ids))
    assert allowance.together == world.announced.of(TODAY).number


def test_runs_at_the_same_time_never_exceed_the_number() -> None:
    numbers = [number_deleted(seed) for seed in range(200)]
    assert max(numbers) <= LEAST
    assert len([number for number in numbers if number > LEAST / 2]) > 50


def look_first(self: DayLimit, snapshot_ids: Sequence[str]) -> str:
    found = self.announced.of(TODAY)
    self.announced.announce(TODAY, snapshot_ids)
    more = replace(found, number=found.number + len(snapshot_ids))
    return more.text if more.is_unusual(self.times_usual) else ""


def announce_one(self: AnnouncedDeletions, day: date, snapshot_ids: Sequence[str]) -> None:
    real_announce(self, day, snapshot_ids[:1])


def announce_each_run_anew(self: AnnouncedDeletions, day: date, snapshot_ids: Sequence[str]) -> None:
    for key in self.documents.keys(f"deletions/{day}/runs/"):
        self.documents.remove(key)  # type: ignore[attr-defined]
    real_announce(self, day, snapshot_ids)


real_announce = AnnouncedDeletions.announce
PLANTED: dict[str, tuple[type, str, object]] = {
    "a run looks before it announces": (DayLimit, "__call__", look_first),
    "a run counts as one deletion": (AnnouncedDeletions, "announce", announce_one),
    "a run overwrites the announcements of others": (AnnouncedDeletions, "announce", announce_each_run_anew),
    "the deletion that exceeds the number is made": (DayOfDeletions, "is_unusual", lambda self, _: self.number > LEAST + 1),
    "no usual number is found": (AnnouncedDeletions, "write_usual", lambda *_: None),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_that_test_finds_a_planted_bug(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*PLANTED[bug])
    assert any(number_deleted(seed) > LEAST for seed in range(200))


@pytest.mark.parametrize("number", [990, 1_500, 20_000])
def test_a_day_of_thousands_is_estimated_by_one_listing(number: int) -> None:
    world = World()
    world.announced.announce(TODAY, IDS[:number])
    found = world.announced.of(TODAY)
    assert found.usual == 5
    assert found.number == number if number < 1000 else abs(found.number - number) < 0.1 * number


class Broken(MemoryDocuments):
    def __init__(self, error: SnapkeepError) -> None:
        super().__init__()
        self.error = error

    def first_keys(self, prefix: str) -> list[str]:
        raise self.error


def test_a_run_that_may_not_list_deletes_nothing_and_reports_it() -> None:
    world = World(documents=Broken(AwsRefused("AccessDenied")))
    assert not world.may(IDS[:1])
    (notice,) = world.notices
    assert notice.kind == "AwsRefused"
    assert "is not known: AccessDenied" in notice.cause


def test_a_throttled_listing_is_retried_by_the_state_machine() -> None:
    with pytest.raises(AwsThrottled):
        World(documents=Broken(AwsThrottled("SlowDown"))).may(IDS[:1])


@pytest.mark.parametrize("name", ["-usual-x", "-usual-9-snap-1", "-usual-"])
def test_a_name_that_is_no_number_is_no_usual_number(name: str) -> None:
    world = World(usual=None)
    world.announced.documents.put(f"deletions/{TODAY}/{name}", "")
    assert world.announced.of(TODAY).usual is None


def test_of_several_usual_numbers_of_a_day_the_largest_counts() -> None:
    world = World(usual=100)
    for number in (7, 20, 9):
        world.announced.write_usual(TODAY, number)
    assert world.announced.of(TODAY).usual == 100


def full_day(lab: Laboratory, region: str) -> AnnouncedDeletions:
    announced = AnnouncedDeletions(lab.runner.composition.documents[region])
    day: date = lab.runner.composition.clock.now().date()
    for each in (day, day + timedelta(days=1)):
        announced.write_usual(each, 0)
        announced.announce(each, IDS[:LEAST])
    return announced


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_the_runs_of_a_full_day_succeed_and_delete_nothing(region: str) -> None:
    lab = Laboratory(policies=policy_set(keep=2, keep_copies=2))
    volume = lab.make_volume()
    for _ in range(2):
        lab.protect(volume)
    lab.runner.advance(HOUR)
    oldest = lab.ids(region)[0]
    full_day(lab, region)
    lab.start_snapshot(volume)
    lab.runner.advance(2 * HOUR)
    assert oldest in lab.ids(region)
    assert {run.status for run in lab.ended} == {"SUCCEEDED"}
    assert [len(lab.ids(each)) for each in (PRIMARY, DR)] == ([3, 2] if region == PRIMARY else [2, 3])


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_the_orders_of_a_sweep_are_carried_out_on_a_full_day(region: str) -> None:
    """They have a limit of their own, and the hold of such a day stops them where it is placed."""
    lab = Laboratory(policies=policy_set(keep=3, keep_copies=3))
    volume = lab.make_volume()
    for _ in range(3):
        lab.protect(volume)
    lab.policies = policy_set(keep=2, keep_copies=2)
    full_day(lab, region)
    oldest = lab.ids(region)[0]
    order = DeletionOrder(oldest, volume, NOW, "default", ("beyond last 2",), DeletionKind.RETENTION)
    delete = lab.runner.composition.delete_snapshots(region)
    assert delete.run([volume]).results == []
    assert [result.snapshot_id for result in delete.run((), asked=[order]).results if result.done] == [oldest]
