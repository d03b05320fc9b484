"""A sweep's report <-> plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from snapkeep.domain.protection import PolicyAges
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Figure, Handling, ReportItem, SweepReport
from snapkeep.domain.tags import format_time, parse_time


def report_to_json(report: SweepReport) -> dict[str, Any]:
    """Return a report as JSON values, failures first."""
    return {
        "id": report.id,
        "outcome": str(report.outcome),
        "system": report.system,
        "stack": report.stack,
        "region": report.region,
        "started_at": format_time(report.started_at),
        "ended_at": format_time(report.ended_at),
        "broken": report.broken,
        "counts": {str(figure): count for figure, count in report.counts.items()},
        "policies": [_ages_to_json(ages) for ages in report.policies],
        "items": [_item_to_json(item) for item in sorted(report.items, key=lambda item: not item.failure)],
    }


def report_from_json(data: Mapping[str, Any]) -> SweepReport:
    """Return the report that `report_to_json` wrote. Raise KeyError or ValueError on anything else."""
    return SweepReport(
        id=data["id"],
        system=data["system"],
        stack=data["stack"],
        region=data["region"],
        started_at=parse_time(data["started_at"]),
        ended_at=parse_time(data["ended_at"]),
        items=tuple(_item_from_json(item) for item in data["items"]),
        counts={Figure(name): count for name, count in data["counts"].items()},
        policies=tuple(_ages_from_json(ages) for ages in data["policies"]),
        broken=data["broken"],
    )


def _item_to_json(item: ReportItem) -> dict[str, Any]:
    return {
        "kind": str(item.kind),
        "handling": str(item.handling),
        "subject": item.subject,
        "volume_id": item.volume_id,
        "text": item.text,
        "cause": item.cause,
        "times": item.times,
    }


def _item_from_json(data: Mapping[str, Any]) -> ReportItem:
    return ReportItem(
        kind=FindingKind(data["kind"]),
        subject=data["subject"],
        volume_id=data["volume_id"],
        text=data["text"],
        handling=Handling(data["handling"]),
        cause=data["cause"],
        times=data["times"],
    )


def _ages_to_json(ages: PolicyAges) -> dict[str, Any]:
    return {
        "policy": ages.policy,
        "volumes": ages.volumes,
        "late": ages.late,
        "asked_seconds": ages.rpo.total_seconds(),
        "worst_seconds": ages.worst.total_seconds(),
        "median_seconds": ages.median.total_seconds(),
    }


def _ages_from_json(data: Mapping[str, Any]) -> PolicyAges:
    return PolicyAges(
        policy=data["policy"],
        rpo=timedelta(seconds=data["asked_seconds"]),
        volumes=data["volumes"],
        late=data["late"],
        worst=timedelta(seconds=data["worst_seconds"]),
        median=timedelta(seconds=data["median_seconds"]),
    )
