"""Metrics of finished sweeps, and of the volumes that they saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from snapkeep.domain.protection import PolicyAges
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Figure, SweepReport
from snapkeep.functions.metrics import POLICY, SYSTEM, metric_line

COUNTED = {
    Figure.VOLUMES_PROTECTED: "VolumesProtected",
    Figure.VOLUMES_NOT_AS_ASKED: "VolumesNotAsAsked",
    Figure.VOLUMES_NOT_RECOVERABLE: "VolumesNotRecoverable",
    Figure.VOLUMES_NOT_PROVED: "VolumesNotProved",
    Figure.VOLUMES_WITHOUT_POLICY: "VolumesWithoutPolicy",
    Figure.VOLUMES_WITH_COPY: "VolumesWithRecoveryPoint",
    Figure.SNAPSHOTS_MANAGED: "SnapshotsManaged",
    Figure.COPIES_MANAGED: "CopiesManaged",
    Figure.COPIES_WAITING: "CopiesWaiting",
    Figure.COPIES_RUNNING: "CopiesRunning",
    Figure.COPIES_FAILED: "CopiesFailed",
    Figure.SNAPSHOTS_DELETED: "SnapshotsDeleted",
    Figure.DELETIONS_FAILED: "DeletionsFailed",
}
"""Figures of a report -> names of metrics. The names stay, since alarms and dashboards know them."""
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
    FindingKind.DRILL_OVERDUE: "DrillsOverdue",
    FindingKind.UNUSUAL_CHANGE: "UnusualChanges",
    FindingKind.LOCK_MISSING: "LocksMissing",
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
    unproved = report.counts.get(Figure.OLDEST_UNPROVED_HOURS)
    if unproved is not None:
        values["OldestUnproved"] = (unproved * 3600, "Seconds")
    when = int(report.ended_at.timestamp() * 1000)
    lines = [metric_line(values, {SYSTEM: report.system}, when)]
    return lines + [_policy_line(ages, report.system, when) for ages in report.policies]


def volume_lines(ages_seconds: Mapping[str, float], system: str, when_ms: int) -> list[str]:
    """Return a log line for each volume's RPO age. Each is a metric that CloudWatch charges for, so stacks opt in."""
    return [
        metric_line({"RpoAge": (seconds, "Seconds")}, {SYSTEM: system, "Volume": volume_id}, when_ms)
        for volume_id, seconds in ages_seconds.items()
    ]


def _policy_line(ages: PolicyAges, system: str, when_ms: int) -> str:
    values = {"VolumesMissingRpo": (float(ages.late), "Count")}
    # Zero would be the best age of all.
    if ages.worst is not None and ages.median is not None:
        values["RpoAgeWorst"] = (ages.worst.total_seconds(), "Seconds")
        values["RpoAgeMedian"] = (ages.median.total_seconds(), "Seconds")
    return metric_line(values, {SYSTEM: system, POLICY: ages.policy}, when_ms)
