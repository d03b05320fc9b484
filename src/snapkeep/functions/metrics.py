"""Metrics as CloudWatch's embedded metric format: one log line, no call and no library to load.

Source: CloudWatch user guide, "Specification: Embedded metric format": at most 100 metrics in a directive.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

NAMESPACE = "Snapkeep"
SYSTEM = "System"
POLICY = "Policy"


def metric_line(values: Mapping[str, tuple[float, str]], dimensions: Mapping[str, str], when_ms: int) -> str:
    """Return the log line of metrics (name -> value and unit) at a moment, in milliseconds."""
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
