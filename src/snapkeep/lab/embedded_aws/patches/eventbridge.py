"""The model's events become ``aws.ec2`` events on the default bus of their region and account, at the world's time."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from snapkeep.lab.embedded_aws.host import Event, Host


def install(host: Host) -> None:
    """Given the host, publish every event of its world, and let scheduled rules follow its clock."""
    from ministack.services import eventbridge

    host.world.subscribe(publish)
    # Scheduled rules: the countdown of rate() and the calendar of cron() follow the world's clock.
    eventbridge._now_ts = host.clock.now
    # Real seconds between two looks at the schedules: half a minute of world time, at most ministack's own ten seconds.
    eventbridge._SCHEDULER_TICK_INTERVAL = min(1.0, max(0.05, 30.0 / host.scale))


def publish(event: Event) -> None:
    """Given an event as EventBridge shows it, deliver it to the rules of its region and account, with its own id and time."""
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
    """Given an account and a part of a rule's name (empty: any), let its scheduled rules fire now; return their ARNs."""
    from ministack.services import eventbridge

    fired = []
    for key, rule in list(eventbridge._rules._data.items()):
        if key[0] == account_id and rule.get("ScheduleExpression") and rule.get("State") == "ENABLED" and name in rule["Name"]:
            eventbridge._rule_last_fired[key] = 0
            fired.append(str(rule["Arn"]))
    eventbridge._tick_scheduled_rules()
    return fired
