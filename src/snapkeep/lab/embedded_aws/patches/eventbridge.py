"""Publish the model's events as ``aws.ec2`` events on the default bus of their region and account, at the world's time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from snapkeep.lab.embedded_aws.patches.patch_tools import replace
from snapkeep.lab.embedded_aws.world.locked_world import Event, LockedWorld

_RATE = re.compile(r"rate\((1\s+(minute|hour|day)|([2-9]|[1-9]\d+)\s+(minutes|hours|days))\)")


def apply(locked_world: LockedWorld) -> None:
    """Publish every event of the world, and make scheduled rules follow its clock."""
    from ministack.services import eventbridge

    locked_world.world.subscribe(publish)
    # The countdown of rate() and the calendar of cron() follow the world's clock.
    eventbridge._now_ts = locked_world.clock.now
    replace(eventbridge, "_validate_schedule_expression", _with_singular_units)
    # The real seconds between two evaluations of the schedules: half a minute of world time, at most one second.
    eventbridge._SCHEDULER_TICK_INTERVAL = min(1.0, max(0.05, 30.0 / locked_world.scale))


def _with_singular_units(is_valid: Callable[[str], bool]) -> Callable[[str], bool]:
    """Refuse rates of 0, a unit in the plural for 1 and in the singular for more (EventBridge user guide: rate expressions)."""

    def validate(expression: str) -> bool:
        return is_valid(expression) and (not expression.startswith("rate(") or _RATE.fullmatch(expression) is not None)

    return validate


def publish(event: Event) -> None:
    """Deliver an event to the rules of its region and account, with its own id and time."""
    from ministack.core.responses import request_scope
    from ministack.services import eventbridge

    record: dict[str, Any] = {
        "EventId": event["id"],
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"]),
        "EventBusName": "default",
        "Time": int(datetime.fromisoformat(str(event["time"])).timestamp()),
        "Resources": list(event["resources"]),
        "Account": event["account"],
        "Region": event["region"],
    }
    with request_scope(event["account"], event["region"]):
        eventbridge._events_log_list().append(record)
        view = eventbridge._pattern_event_view(record)
        eventbridge._dispatch_event(record, view)
        eventbridge._archive_event(record, view)


def fire_schedules(account_id: str, name: str) -> list[str]:
    """Fire an account's scheduled rules whose name contains `name` (empty for all) now; return their ARNs."""
    from ministack.services import eventbridge

    fired = []
    for key, rule in list(eventbridge._rules._data.items()):
        if key[0] == account_id and rule.get("ScheduleExpression") and rule.get("State") == "ENABLED" and name in rule["Name"]:
            eventbridge._rule_last_fired[key] = 0
            fired.append(str(rule["Arn"]))
    eventbridge._tick_scheduled_rules()
    return fired
