"""Identifiers that machines read stay as they are, and each is documented; a reworded label changes none of them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from snapkeep.domain.drills.run import DrillRun
from snapkeep.domain.protection import PolicyAges
from snapkeep.domain.recovery.methods import STRUCTURE
from snapkeep.domain.recovery.proof import Pair, ProofProgress, conclude
from snapkeep.domain.retention.deletion import DeletionKind
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Figure, Handling, ReportItem, SweepReport
from snapkeep.functions import drill_metrics, proof_metrics, sweep_metrics
from snapkeep.usecases.ports import DeletionOutcome

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "src/snapkeep/infra"
AT = datetime(2026, 11, 23, tzinfo=UTC)
AGES = PolicyAges("gold", timedelta(hours=4), 3, 1, timedelta(hours=9), timedelta(hours=2))
METRICS = {
    "BlockRequests",
    "BlocksCompared",
    "CopiesDiffering",
    "CopiesProved",
    "CopiesUnreadable",
    "ProofsIncomplete",
    "CopiesFailed",
    "CopiesFull",
    "CopiesManaged",
    "CopiesRunning",
    "CopiesWaiting",
    "DeletionsFailed",
    "DrillsFailed",
    "DrillsOverdue",
    "UnusualChanges",
    "DrillsPassed",
    "FullSpeedTime",
    "RecoveryTime",
    "FoundCopiesMissing",
    "FoundEventsLost",
    "FoundUndelivered",
    "FoundUnhandled",
    "KeysAtRisk",
    "LocksMissing",
    "OldestUnproved",
    "OldestWait",
    "PlansRefused",
    "RegionsOutOfReach",
    "RpoAge",
    "RpoAgeMedian",
    "RpoAgeWorst",
    "SnapshotsDeleted",
    "SnapshotsManaged",
    "SnapshotsDeletedByOthers",
    "SnapshotsPublic",
    "SnapshotsShared",
    "SweepFailures",
    "SweepFindings",
    "SweepsDone",
    "VolumesMissingRpo",
    "VolumesNotAsAsked",
    "VolumesNotProved",
    "VolumesNotRecoverable",
    "VolumesProtected",
    "VolumesWithRecoveryPoint",
    "VolumesWithoutPolicy",
}
"""Alarms and dashboards of users know these names: none may be renamed."""
FINDINGS = {
    "copy_end_missed",
    "copy_failed",
    "copy_full",
    "copy_late",
    "copy_made_twice",
    "copy_missing",
    "copy_not_shared",
    "copy_unproved",
    "drill_left",
    "drill_overdue",
    "unusual_change",
    "deletions_unusual",
    "entry_orphaned",
    "event_undelivered",
    "event_unreadable",
    "failed_copy_left",
    "hold_placed",
    "key_at_risk",
    "lock_ends_early",
    "lock_missing",
    "plan_refused",
    "policy_document_broken",
    "policy_not_known",
    "policy_unknown",
    "record_missing",
    "region_unreachable",
    "rpo_missed",
    "run_unanswered",
    "share_refused",
    "share_stale",
    "sharing_not_blocked",
    "snapshot_adoptable",
    "snapshot_deleted_by_others",
    "snapshot_held_long",
    "snapshot_not_copyable",
    "snapshot_of_other_system",
    "snapshot_past_retention",
    "snapshot_public",
    "snapshot_shared",
    "snapshot_unhandled",
    "tags_lost",
    "vault_idle",
    "vault_not_allowed",
    "volume_deleted",
}


PROOF = conclude(ProofProgress(Pair("vol-1", "us-east-1", "snap-1", "us-east-2", "snap-2"), STRUCTURE, AT, 1, 1), AT)

DRILL = DrillRun(
    "drill-1",
    "weekly",
    "gold",
    "vol-1",
    "us-east-2",
    "snap-1",
    AT,
    8,
    AT,
    AT,
    timedelta(0),
    0.1,
    available_at=AT,
    initialised_at=AT,
)


def emitted() -> set[str]:
    """The names of all metrics that the functions can write."""
    report = SweepReport("sweep-1", "snapkeep", "primary", "us-east-1", AT, AT, counts=dict.fromkeys(Figure, 1), policies=(AGES,))
    lines = [
        *sweep_metrics.report_lines(report),
        *sweep_metrics.volume_lines({"vol-1": 1.0}, "snapkeep", 0),
        *proof_metrics.proof_lines(PROOF, "snapkeep", 0),
        *drill_metrics.drill_lines(DRILL, "snapkeep", 0),
    ]
    return {name for line in lines for name in re.findall(r'"Name": "(\w+)"', line)}


def test_the_names_of_metrics_stay() -> None:
    assert emitted() == METRICS


def test_a_reworded_label_changes_no_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {figure: number for number, figure in enumerate(sweep_metrics.COUNTED, 1)}
    times = {kind: number for number, kind in enumerate(sweep_metrics.FOUND, 1)}
    items = tuple(ReportItem(kind, "", "", "", Handling.NOTED, times=number) for kind, number in times.items())
    for member in (*Figure, *FindingKind):
        monkeypatch.setattr(member, "label", f"reworded {member.value}")
    report = SweepReport("sweep-1", "snapkeep", "primary", "us-east-1", AT, AT, items=items, counts=counts)
    values = json.loads(sweep_metrics.report_lines(report)[0])
    assert {figure: values[metric] for figure, metric in sweep_metrics.COUNTED.items()} == counts
    assert {kind: values[metric] for kind, metric in sweep_metrics.FOUND.items()} == times


@pytest.mark.parametrize("template", ["primary.yaml", "dr.yaml", "vault.yaml"])
def test_alarms_and_dashboards_read_metrics_that_exist(template: str) -> None:
    text = (INFRA / template).read_text(encoding="utf-8")
    alarms = re.findall(r"Namespace: Snapkeep\n\s+MetricName: (\w+)", text)
    charts = re.findall(r'\["Snapkeep", "(\w+)"', text) + re.findall(r'MetricName=\\?"(\w+)', text)
    read = {*alarms, *charts}
    assert len(read) > 10
    assert read <= METRICS


def test_the_identifiers_in_reports_stay() -> None:
    assert {kind.value for kind in FindingKind} == FINDINGS
    assert [handling.value for handling in Handling] == ["failed", "needs_attention", "left", "repaired", "noted"]
    assert [kind.value for kind in DeletionKind] == ["retention", "failed_copy", "second_copy"]


@pytest.mark.parametrize("identifiers", [FindingKind, Handling, Figure, DeletionKind, DeletionOutcome])
def test_an_identifier_is_no_prose(identifiers: type[FindingKind | Handling | Figure | DeletionKind | DeletionOutcome]) -> None:
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", member.value) for member in identifiers)


def test_the_operations_page_lists_every_kind_of_finding_by_its_label() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    section = page.partition("## What a sweep finds")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]
    assert sorted(rows[1:]) == sorted(f"{kind.label} (`{kind.value}`)" for kind in FindingKind)


def test_a_finding_that_needs_attention_says_what_to_do() -> None:
    assert [kind for kind in FindingKind if kind.needs_attention and not kind.advice] == []
