"""Volumes whose snapshots fall on the same days share their reasons; what differs within a day must still be told apart."""

from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy import Retention
from snapkeep.domain.retention import decide
from support.lineages import SYSTEM, lineage, snapshot

NOW = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)


def kept(starts: list[str], retention: Retention) -> list[str]:
    verdicts = decide(lineage(starts), retention, NOW, system=SYSTEM)
    return [f"{verdict.snapshot.start_time:%dT%H:%M}" for verdict in verdicts if verdict.action == "keep"]


def test_hours_are_told_apart_on_the_same_days() -> None:
    retention = Retention(keep_hourly=2)
    assert kept(["2026-11-23T01:00", "2026-11-23T02:00", "2026-11-23T03:00"], retention) == ["23T02:00", "23T03:00"]
    assert kept(["2026-11-23T01:00", "2026-11-23T03:00", "2026-11-23T03:30"], retention) == ["23T01:00", "23T03:30"]


def test_what_is_within_is_told_apart_on_the_same_days() -> None:
    retention = Retention(keep_within=timedelta(hours=24), keep_monthly=1)
    assert kept(["2026-11-22T01:00", "2026-11-23T03:00"], retention) == ["23T03:00"]
    assert kept(["2026-11-22T04:00", "2026-11-23T03:00"], retention) == ["22T04:00", "23T03:00"]


def test_the_same_days_in_another_number_are_told_apart() -> None:
    retention = Retention(keep_daily=1)
    assert kept(["2026-11-22T01:00", "2026-11-23T03:00"], retention) == ["23T03:00"]
    assert kept(["2026-11-21T01:00", "2026-11-22T01:00", "2026-11-23T03:00"], retention) == ["23T03:00"]
    assert kept(["2026-11-23T03:00"], retention) == ["23T03:00"]


def test_snapshots_of_two_volumes_are_refused_together() -> None:
    mixed: list[Snapshot] = [snapshot("2026-11-22T01:00", 1), snapshot("2026-11-23T01:00", 2, volume="vol-0b")]
    with pytest.raises(ValueError, match="one lineage at a time"):
        decide(mixed, Retention(keep_last=1), NOW, system=SYSTEM)


def test_no_snapshots_are_no_verdicts() -> None:
    assert decide([], Retention(keep_last=1, keep_within=timedelta(days=1)), NOW, system=SYSTEM) == []
