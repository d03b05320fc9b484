"""Volumes whose snapshots fall on the same days share their reasons; differences within a day still count."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import Retention
from snapkeep.domain.retention.verdicts import decide
from support.lineages import SYSTEM, copy_of, lineage, snapshot

NOW = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)


def kept(starts: list[str], retention: Retention) -> list[str]:
    verdicts = decide(lineage(starts), retention, NOW, system=SYSTEM)
    return [f"{verdict.snapshot.start_time:%dT%H:%M}" for verdict in verdicts if verdict.action == "keep"]


def test_hours_of_one_day_are_distinguished() -> None:
    retention = Retention(keep_hourly=2)
    assert kept(["2026-11-23T01:00", "2026-11-23T02:00", "2026-11-23T03:00"], retention) == ["23T02:00", "23T03:00"]
    assert kept(["2026-11-23T01:00", "2026-11-23T03:00", "2026-11-23T03:30"], retention) == ["23T01:00", "23T03:30"]


def test_keep_within_distinguishes_times_of_the_same_days() -> None:
    retention = Retention(keep_within=timedelta(hours=24), keep_monthly=1)
    assert kept(["2026-11-22T01:00", "2026-11-23T03:00"], retention) == ["23T03:00"]
    assert kept(["2026-11-22T04:00", "2026-11-23T03:00"], retention) == ["22T04:00", "23T03:00"]


def test_a_start_in_another_zone_falls_into_the_policys_day() -> None:
    starts = ["2026-11-21T03:00", "2026-11-23T01:00+05:00", "2026-11-23T03:00"]
    assert kept(starts, Retention(keep_daily=2)) == ["23T01:00", "23T03:00"]


def test_counts_of_days_are_distinguished() -> None:
    retention = Retention(keep_daily=1)
    assert kept(["2026-11-22T01:00", "2026-11-23T03:00"], retention) == ["23T03:00"]
    assert kept(["2026-11-21T01:00", "2026-11-22T01:00", "2026-11-23T03:00"], retention) == ["23T03:00"]
    assert kept(["2026-11-23T03:00"], retention) == ["23T03:00"]


def test_two_copies_of_a_snapshot_count_once_even_without_a_start_tag() -> None:
    sources = lineage(["2026-11-21T03:00", "2026-11-22T03:00"])
    older, newer = (copy_of(source, "us-east-2", number) for number, source in enumerate(sources, start=1))
    unsure = replace(newer, id="snap-c9", origin=replace(newer.origin, start_time=newer.origin.start_time + timedelta(hours=5)))
    verdicts = decide([older, newer, unsure], Retention(keep_last=2), NOW, system=SYSTEM)
    assert {verdict.action for verdict in verdicts} == {"keep"}
    assert [verdict.snapshot.id for verdict in verdicts if "duplicate" in [reason.rule for reason in verdict.reasons]] == [
        newer.id
    ]


@pytest.mark.parametrize(("seconds", "counts"), [(0, True), (1, False)])
def test_a_clock_may_be_fifteen_minutes_ahead_and_no_more(seconds: int, counts: bool) -> None:
    ahead = snapshot(NOW + timedelta(minutes=15, seconds=seconds), 2)
    for others in ([], [snapshot("2026-11-23T02:00", 3, managed=False)]):
        verdicts = decide([snapshot("2026-11-23T01:00", 1), ahead, *others], Retention(keep_last=1), NOW, system=SYSTEM)
        assert [verdict.action for verdict in verdicts if verdict.snapshot.id[-1] == "1"] == ["delete" if counts else "keep"]


def test_keep_within_counts_from_the_newest_not_in_the_future() -> None:
    ahead, before = snapshot(NOW + timedelta(minutes=10), 2), snapshot(NOW - timedelta(minutes=55), 1)
    verdicts = decide([before, ahead], Retention(keep_within=timedelta(hours=1)), NOW, system=SYSTEM)
    assert [verdict.action for verdict in verdicts] == ["keep", "keep"]


def test_snapshots_of_two_volumes_are_refused_together() -> None:
    mixed: list[Snapshot] = [snapshot("2026-11-22T01:00", 1), snapshot("2026-11-23T01:00", 2, volume="vol-0b")]
    with pytest.raises(ValueError, match="one lineage at a time"):
        decide(mixed, Retention(keep_last=1), NOW, system=SYSTEM)


def test_no_snapshots_are_no_verdicts() -> None:
    assert decide([], Retention(keep_last=1, keep_within=timedelta(days=1)), NOW, system=SYSTEM) == []
