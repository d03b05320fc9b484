"""CloudWatch: metrics from functions' logs, and AWS's evaluation of alarms. ministack ignores metrics in logs.

Its alarms merge all dimensions, do not support missing data and M out of N, and are evaluated only by PutMetricData.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from snapkeep.lab.embedded_aws.aws import alarms, emf
from snapkeep.lab.embedded_aws.patches.patch_tools import replace
from snapkeep.lab.embedded_aws.patches.permissions import role_allows
from snapkeep.lab.embedded_aws.patches.topics import refusal_of_topic
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld

CLOUDWATCH = "cloudwatch.amazonaws.com"
_LOGGER = logging.getLogger("snapkeep.lab.embedded_aws.cloudwatch")


def apply(locked_world: LockedWorld) -> None:
    """Apply the patches; alarms follow the world's clock."""
    from ministack.services import cloudwatch, lambda_svc

    replace(lambda_svc, "_emit_lambda_logs", lambda emit: _with_metrics(emit, locked_world.clock.now))
    replace(cloudwatch, "_evaluate_alarm", lambda _: lambda alarm: evaluate(alarm, locked_world.clock.now()))
    replace(cloudwatch, "_dispatch_alarm_actions", _with_permissions)


def evaluate_all(now: float) -> None:
    """Evaluate every alarm of every account and region. `now` is in seconds since the epoch."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch

    for (account_id, region, _), alarm in list(cloudwatch._alarms._data.items()):
        with request_scope(account_id, region):
            evaluate(alarm, now)


def evaluate(alarm: dict[str, Any], now: float) -> None:
    """Set the state of an alarm of the current account and region, and run its actions if the state changes."""
    from ministack.services import cloudwatch

    if alarm.get("ComparisonOperator") not in alarms.COMPARISONS or not alarm.get("MetricName"):
        return
    points = _points(alarm)
    values = [
        _statistic(alarm, [p for p in points if start <= p["Timestamp"] < end]) for start, end in alarms.windows(alarm, now)
    ]
    old, new = str(alarm["StateValue"]), alarms.state_of(alarm, values)
    if old == new:
        return
    reason = (
        f"Of the last {len(values)} periods (newest first): {values} against {alarm['ComparisonOperator']} {alarm['Threshold']}"
    )
    alarm.update(StateValue=new, StateReason=reason, StateUpdatedTimestamp=int(now))
    cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _points(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    from ministack.services import cloudwatch

    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
    points = cloudwatch._metrics.get((alarm["Namespace"], alarm["MetricName"], dimensions)) or []
    unit = alarm.get("Unit")
    return [point for point in points if not unit or point.get("Unit") == unit]


def _statistic(alarm: dict[str, Any], points: list[dict[str, Any]]) -> float | None:
    from ministack.services import cloudwatch

    if not points:
        return None
    name = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    value = cloudwatch._stat_value(cloudwatch._calc_stats(points), name, points)
    return None if value is None else float(value)


def _with_metrics(emit: Any, now: Callable[[], float]) -> Any:
    def emit_logs(func: Any, request_id: str, log_text: str, *positional: Any, **named: Any) -> Any:
        from ministack.services import cloudwatch

        if not may_log(func):
            return None
        data = [datum for line in (log_text or "").splitlines() for datum in emf.data_of(line)]
        for datum in data:
            cloudwatch._store_datum(
                datum.namespace, datum.name, dict(datum.dimensions), datum.timestamp, datum.unit, datum.value, None, None, None
            )
        if data:
            evaluate_all(now())
        return emit(func, request_id, log_text, *positional, **named)

    return emit_logs


def may_log(func: Any) -> bool:
    """Return whether the function's role may write its logs.

    Without this permission, AWS has no logs and no metrics from them.
    """
    config = func.get("config") or func
    _, _, _, region, account_id, _, name = str(config["FunctionArn"]).split(":")[:7]
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
    arn = f"arn:aws:logs:{region}:{account_id}:log-group:{group}:log-stream:new"
    return all(role_allows(str(config["Role"]), f"logs:{action}", arn, region) for action in ("CreateLogStream", "PutLogEvents"))


def _with_permissions(dispatch: Any) -> Any:
    def dispatch_alarm_actions(alarm: dict[str, Any], old_state: str, new_state: str, reason: str) -> Any:
        account_id = str(alarm["AlarmArn"]).split(":")[4]
        allowed = dict(alarm)
        for field in ("AlarmActions", "OKActions", "InsufficientDataActions"):
            allowed[field] = [arn for arn in alarm.get(field) or () if not _refused(arn, str(alarm["AlarmArn"]), account_id)]
        return dispatch(allowed, old_state, new_state, reason)

    return dispatch_alarm_actions


def _refused(topic_arn: str, alarm_arn: str, account_id: str) -> bool:
    refusal = refusal_of_topic(topic_arn, CLOUDWATCH, alarm_arn, account_id)
    if refusal:
        _LOGGER.warning("%s does not reach %s: %s", alarm_arn, topic_arn, refusal)
    return bool(refusal)
