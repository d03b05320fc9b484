"""CloudWatch Logs: filter patterns as on AWS.

ministack splits phrases, ignores case, and matches everything by a JSON pattern.
"""

from __future__ import annotations

from typing import Any

from snapkeep.lab.embedded_aws.aws.filter_patterns import InvalidFilterPattern, compile_pattern
from snapkeep.lab.embedded_aws.patches.patch_tools import replace


def apply() -> None:
    """Apply the patches."""
    from ministack.services import cloudwatch_logs

    replace(cloudwatch_logs, "_compile_filter_pattern", lambda _: compile_pattern)
    replace(cloudwatch_logs, "_filter_log_events", _refusing)


def _refusing(filter_events: Any) -> Any:
    def filter_log_events(data: dict[str, Any]) -> Any:
        from ministack.core.responses import error_response_json

        try:
            return filter_events(data)
        except InvalidFilterPattern as error:
            return error_response_json("InvalidParameterException", str(error), 400)

    return filter_log_events
