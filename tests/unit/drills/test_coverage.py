"""Sweeps find volumes that no drill covered in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from snapkeep.domain.sweep.findings import FindingKind
from support.drilling import RULE, DrillLab

COVERED = replace(RULE, covered_within=timedelta(days=10))


def overdue(lab: DrillLab) -> list[str]:
    return [item.volume_id for item in lab.sweep().items if item.kind is FindingKind.DRILL_OVERDUE]


def test_a_volume_that_is_new_has_the_whole_time() -> None:
    lab = DrillLab(COVERED)
    assert overdue(lab) == []
    lab.advance(timedelta(days=9))
    assert overdue(lab) == []
    lab.advance(timedelta(days=1))
    assert overdue(lab) == lab.volume_ids


def test_a_passed_drill_covers_its_volume_for_a_time() -> None:
    lab = DrillLab(COVERED)
    overdue(lab)
    lab.drill()
    lab.advance(timedelta(days=8))
    assert overdue(lab) == []
    lab.advance(timedelta(days=1))
    assert overdue(lab) == lab.volume_ids


def test_a_drill_that_failed_covers_nothing() -> None:
    lab = DrillLab(replace(COVERED, rto=timedelta(seconds=1)))
    overdue(lab)
    lab.drill()
    lab.advance(timedelta(days=9))
    assert overdue(lab) == lab.volume_ids


def test_without_the_demand_nothing_is_overdue() -> None:
    lab = DrillLab(RULE)
    lab.sweep()
    lab.advance(timedelta(days=400))
    assert overdue(lab) == []


def test_a_ledger_that_cannot_be_read_is_a_finding() -> None:
    lab = DrillLab(COVERED)
    lab.lab.runner.composition.documents["us-east-2"].put("drills/ledger.json", "{")
    report = lab.sweep()
    assert [item.subject for item in report.items if item.kind is FindingKind.OUT_OF_REACH] == ["drills"]
