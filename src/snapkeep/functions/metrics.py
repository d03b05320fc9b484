"""Metrics as CloudWatch's embedded metric format: one log line, no call and no library to load.

Source: CloudWatch user guide, "Specification: Embedded metric format": at most 100 metrics in a directive.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from snapkeep.domain.protection import PolicyAges
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Figure, SweepReport, age_known

if TYPE_CHECKING:
    from snapkeep.domain.recovery.proof import Proof

NAMESPACE = "Snapkeep"
SYSTEM = "System"
POLICY = "Policy"

COUNTED = {
    Figure.VOLUMES_PROTECTED: "VolumesProtected",
    Figure.VOLUMES_NOT_AS_ASKED: "VolumesNotAsAsked",
    Figure.VOLUMES_WITHOUT_POLICY: "VolumesWithoutPolicy",
    Figure.SNAPSHOTS_MANAGED: "SnapshotsManaged",
    Figure.COPIES_MANAGED: "CopiesManaged",
    Figure.COPIES_WAITING: "CopiesWaiting",
    Figure.COPIES_RUNNING: "CopiesRunning",
    Figure.COPIES_FAILED: "CopiesFailed",
    Figure.SNAPSHOTS_DELETED: "SnapshotsDeleted",
    Figure.DELETIONS_FAILED: "DeletionsFailed",
}
"""Figures of a report -> names of metrics. The names stay, since alarms and dashboards know them."""
PROVED = {
    ProofVerdict.PROVED: "CopiesProved",
    ProofVerdict.DIFFERS: "CopiesDiffering",
    ProofVerdict.UNREADABLE: "CopiesUnreadable",
    ProofVerdict.INCOMPLETE: "ProofsIncomplete",
}
"""Verdicts of proofs -> names of metrics."""
FOUND = {
    FindingKind.UNHANDLED: "FoundUnhandled",
    FindingKind.COPY_MISSING: "FoundCopiesMissing",
    FindingKind.COPY_UNSEEN: "FoundEventsLost",
    FindingKind.PLAN_REFUSED: "PlansRefused",
    FindingKind.UNDELIVERED: "FoundUndelivered",
    FindingKind.PUBLIC: "SnapshotsPublic",
    FindingKind.SHARED: "SnapshotsShared",
    FindingKind.DELETED_BY_OTHERS: "SnapshotsDeletedByOthers",
    FindingKind.OUT_OF_REACH: "RegionsOutOfReach",
    FindingKind.KEY_AT_RISK: "KeysAtRisk",
    FindingKind.COPY_FULL: "CopiesFull",
}
"""Kinds of findings -> names of metrics.

All are written at every sweep that looked, and none at one that could not work: that ends no alarm.
"""


def report_lines(report: SweepReport) -> list[str]:
    """Return the log lines of a finished report: one for the region, one for each policy."""
    found_by_kind: Counter[FindingKind] = Counter()
    for item in report.items:
        found_by_kind[item.kind] += item.times
    values: dict[str, tuple[float, str]] = {
        metric: (report.counts[figure], "Count") for figure, metric in COUNTED.items() if figure in report.counts
    }
    # A sweep that saw nothing has not found zero: no data, so that the alarm of missing sweeps speaks.
    if not report.broken:
        values |= {metric: (found_by_kind[kind], "Count") for kind, metric in FOUND.items()}
    values["SweepFindings"] = (found_by_kind.total(), "Count")
    values["SweepFailures"] = (len(report.failures) + bool(report.broken), "Count")
    values["SweepsDone"] = (int(not report.broken), "Count")
    waited = report.counts.get(Figure.OLDEST_WAIT_MINUTES)
    if waited is not None:
        values["OldestWait"] = (waited * 60, "Seconds")
    when = int(report.ended_at.timestamp() * 1000)
    lines = [_line(values, {SYSTEM: report.system}, when)]
    return lines + [_policy_line(ages, report.system, when) for ages in report.policies]


def proof_lines(proof: Proof, system: str, when_ms: int) -> list[str]:
    """Return the log line of a proof: how it ended, and what it took."""
    progress = proof.progress
    values = {metric: (float(proof.verdict is verdict), "Count") for verdict, metric in PROVED.items()}
    values["BlocksCompared"] = (progress.compared, "Count")
    values["BlockRequests"] = (progress.list_requests + progress.reads, "Count")
    return [_line(values, {SYSTEM: system}, when_ms)]


def volume_lines(ages_seconds: Mapping[str, float], system: str, when_ms: int) -> list[str]:
    """Return a log line for each volume's RPO age. Each is a metric that CloudWatch charges for, so stacks opt in."""
    return [
        _line({"RpoAge": (seconds, "Seconds")}, {SYSTEM: system, "Volume": volume_id}, when_ms)
        for volume_id, seconds in ages_seconds.items()
    ]


def _policy_line(ages: PolicyAges, system: str, when_ms: int) -> str:
    values = {"VolumesMissingRpo": (float(ages.late), "Count")}
    # Zero would be the best age of all.
    if age_known(ages):
        values["RpoAgeWorst"] = (ages.worst.total_seconds(), "Seconds")
        values["RpoAgeMedian"] = (ages.median.total_seconds(), "Seconds")
    return _line(values, {SYSTEM: system, POLICY: ages.policy}, when_ms)


def _line(values: Mapping[str, tuple[float, str]], dimensions: Mapping[str, str], when_ms: int) -> str:
    head: dict[str, Any] = {
        "Timestamp": when_ms,
        "CloudWatchMetrics": [
            {
                "Namespace": NAMESPACE,
                "Dimensions": [list(dimensions)],
                "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in values.items()],
            }
        ],
    }
    return json.dumps({"_aws": head, **dimensions, **{name: value for name, (value, _) in values.items()}})


def emit(lines: Iterable[str]) -> None:
    """Write lines to the log, where CloudWatch takes the metrics out of them."""
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
