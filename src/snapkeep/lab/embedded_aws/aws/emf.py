"""CloudWatch's embedded metric format: metrics from log lines.

Source: CloudWatch user guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Datum:
    """One value of one metric under one set of dimensions. `timestamp` is in seconds since the epoch."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    timestamp: float
    value: float
    unit: str


def data_of(line: str) -> list[Datum]:
    """Return the metrics in a log line; none if the line is not in the format."""
    if '"_aws"' not in line:
        return []
    try:
        document = json.loads(line[line.index("{") :])
    except ValueError:
        return []
    head = document.get("_aws") if isinstance(document, dict) else None
    if not isinstance(head, Mapping) or "Timestamp" not in head:
        return []
    return [datum for directive in head.get("CloudWatchMetrics") or () for datum in _directive(directive, document, head)]


def _directive(directive: Mapping[str, Any], document: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[Datum]:
    for names in directive.get("Dimensions") or [[]]:
        if not all(name in document for name in names):
            continue
        dimensions = tuple(sorted((str(name), str(document[name])) for name in names))
        for metric in directive.get("Metrics") or ():
            values = document.get(metric.get("Name"))
            for value in values if isinstance(values, list) else [values]:
                if isinstance(value, int | float) and not isinstance(value, bool):
                    yield Datum(
                        str(directive.get("Namespace", "")),
                        str(metric["Name"]),
                        dimensions,
                        float(head["Timestamp"]) / 1000,
                        float(value),
                        str(metric.get("Unit", "None")),
                    )
