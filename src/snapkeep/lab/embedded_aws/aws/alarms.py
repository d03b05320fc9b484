"""The state of a CloudWatch alarm: periods, M out of N, missing data.

Source: CloudWatch user guide, "Evaluating an alarm" and "Configuring how CloudWatch alarms treat missing data".
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}
OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"


def windows(alarm: Mapping[str, Any], now: float) -> list[tuple[float, float]]:
    """Return the alarm's evaluation periods as (start, end) in seconds since the epoch, the current one first."""
    period = int(alarm.get("Period") or 60)
    end = (int(now) // period + 1) * period
    return [(end - (index + 1) * period, end - index * period) for index in range(int(alarm.get("EvaluationPeriods") or 1))]


def state_of(alarm: Mapping[str, Any], values: Sequence[float | None]) -> str:
    """Return the alarm's state. `values` has the statistic of each evaluation period (None: no data)."""
    compare = COMPARISONS[str(alarm["ComparisonOperator"])]
    threshold = float(alarm.get("Threshold") or 0)
    needed = int(alarm.get("DatapointsToAlarm") or alarm.get("EvaluationPeriods") or 1)
    breaching = sum(1 for value in values if value is not None and compare(value, threshold))
    missing = sum(1 for value in values if value is None)
    match str(alarm.get("TreatMissingData") or "missing"):
        case "breaching":
            return ALARM if breaching + missing >= needed else OK
        case "notBreaching":
            return ALARM if breaching >= needed else OK
        case "ignore" if missing == len(values):
            return str(alarm.get("StateValue", INSUFFICIENT))
        case _ if missing == len(values):
            return INSUFFICIENT
        case _:
            # With fewer data points than periods, the present ones decide.
            return ALARM if breaching >= min(needed, len(values) - missing) else OK
