"""On a day with far more deletions than usual, runs stop before the one that exceeds it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapkeep.domain.errors import AwsRefused, AwsThrottled, SnapkeepError
from snapkeep.domain.sweep.deletion_days import LEAST
from snapkeep.lab.simulator.memory_ports import MemoryDocuments
from snapkeep.usecases.ports import Notice
from snapkeep.usecases.sweep.announced_deletions import AnnouncedDeletions, DayLimit
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


@pytest.mark.parametrize("name", ["-a-{}", "0z-{}", "{}"])
def test_forged_names_count_nothing_and_stop_no_run(name: str) -> None:
    documents = MemoryDocuments()
    for snapshot_id in IDS[:1_000]:
        documents.put(f"deletions/{TODAY}/{name.format(snapshot_id)}", "")
    assert AnnouncedDeletions(documents).of(TODAY).number == 0


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


@settings(max_examples=50)
@given(st.data())
def test_runs_at_the_same_time_never_exceed_the_number(data: st.DataObject) -> None:
    """Each run announces, and lists later: between the two any other one may do either."""
    world = World()
    sizes = data.draw(st.lists(st.integers(1, 30), min_size=2, max_size=6))
    order = data.draw(st.permutations([run for run in range(len(sizes)) for _ in range(2)]))
    snapshot_ids = {run: IDS[100 * run : 100 * run + size] for run, size in enumerate(sizes)}
    announced: set[int] = set()
    deleted = 0
    for run in order:
        if run in announced:
            deleted += 0 if world.announced.of(TODAY).is_unusual(10) else sizes[run]
        else:
            world.announced.announce(TODAY, snapshot_ids[run])
            announced.add(run)
    assert deleted <= LEAST


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


def test_a_run_that_may_not_list_deletes_nothing_and_says_so() -> None:
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
