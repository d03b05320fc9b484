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
# CloudWatch retrieves more periods than EvaluationPeriods. AWS documents no number; its example retrieves 5 periods for 3.
PERIODS_MORE = 2


def windows(alarm: Mapping[str, Any], now: float) -> list[tuple[float, float]]:
    """Return the alarm's evaluation range as (start, end) in seconds since the epoch, the current period first."""
    period = int(alarm.get("Period") or 60)
    end = (int(now) // period + 1) * period
    return [(end - (index + 1) * period, end - index * period) for index in range(_periods(alarm) + PERIODS_MORE)]


def state_of(alarm: Mapping[str, Any], values: Sequence[float | None]) -> str:
    """Return the alarm's state.

    `values` has the statistic of each period of the range, the newest first (None for no data). The newest periods with data
    are evaluated; missing data up to the number of evaluation periods is filled as configured.
    """
    compare = COMPARISONS[str(alarm["ComparisonOperator"])]
    threshold = float(alarm.get("Threshold") or 0)
    present = [value for value in values if value is not None][: _periods(alarm)]
    breaching = sum(1 for value in present if compare(value, threshold))
    missing = _periods(alarm) - len(present)
    needed = int(alarm.get("DatapointsToAlarm") or _periods(alarm))
    match str(alarm.get("TreatMissingData") or "missing"):
        case "breaching":
            return ALARM if breaching + missing >= needed else OK
        case "notBreaching":
            return ALARM if breaching >= needed else OK
        case "ignore" if breaching < needed <= breaching + missing:
            return str(alarm.get("StateValue", INSUFFICIENT))
        case _ if not present:
            return INSUFFICIENT
        case _:
            # With fewer data points than periods, the existing ones decide.
            return ALARM if breaching >= min(needed, len(present)) else OK


def _periods(alarm: Mapping[str, Any]) -> int:
    return int(alarm.get("EvaluationPeriods") or 1)
