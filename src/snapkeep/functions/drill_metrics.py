"""Metrics of drills that ended."""

from __future__ import annotations

from snapkeep.domain.drills.run import DrillRun, DrillVerdict
from snapkeep.domain.policy.drill_rules import DrillLevel
from snapkeep.functions.metrics import POLICY, SYSTEM, metric_line

VERDICTS = {DrillVerdict.PASSED: "DrillsPassed", DrillVerdict.FAILED: "DrillsFailed"}
"""Verdicts of drills -> names of metrics."""
LEVEL = "Level"
"""Dimension of measured times: a volume is usable in seconds, an instance in minutes."""


def drill_lines(run: DrillRun, system: str, when_ms: int) -> list[str]:
    """Return the log lines of a drill that ended: its verdict, and by policy and level the times that it measured."""
    counts = {metric: (float(run.verdict is verdict), "Count") for verdict, metric in VERDICTS.items()}
    lines = [metric_line(counts, {SYSTEM: system}, when_ms)]
    measured = {"RecoveryTime": run.usable_after, "FullSpeedTime": run.full_speed_after}
    times = {metric: (after.total_seconds(), "Seconds") for metric, after in measured.items() if after is not None}
    dimensions = {SYSTEM: system, POLICY: run.policy, LEVEL: str(run.level or DrillLevel.VOLUME)}
    return lines + ([metric_line(times, dimensions, when_ms)] if times else [])
