"""Status for machines: JSON values, and the text form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from snapkeep.domain import rpo
from snapkeep.domain.ledger import format_time
from snapkeep.usecases.ports import EntryState
from snapkeep.usecases.status import STATE_WORDS, QueuedRow, Status


def status_as_data(status: Status) -> dict[str, Any]:
    """Given a status, return it as JSON values."""
    return {
        "system": status.system,
        "region": status.region,
        "at": format_time(status.at),
        "all_right": status.all_right,
        "problems": list(status.problems),
        "totals": dict(status.totals),
        "policies": [
            {
                "policy": one.policy,
                "volumes": one.volumes,
                "missed": one.late,
                "asked_seconds": one.asked.total_seconds(),
                "worst_seconds": one.worst.total_seconds(),
                "median_seconds": one.median.total_seconds(),
            }
            for one in status.policies
        ],
        "volumes": [_volume(one) for one in status.volumes],
        "queue": [_row(one) for one in status.queue],
    }


def _volume(one: rpo.VolumeStanding) -> dict[str, Any]:
    return {
        "volume_id": one.volume.id,
        "name": one.volume.tags.get("Name", ""),
        "policy": one.policy,
        "why_policy": one.why_policy,
        "standing": str(one.standing),
        "wrong": one.wrong,
        "why": one.why,
        "rpo_asked_seconds": one.asked.total_seconds(),
        "rpo_age_seconds": one.age.total_seconds() if one.age is not None else None,
        "newest_snapshot": _newest(one.snapshot),
        "newest_copies": [_newest(copy) for copy in one.copies],
        "snapshots": one.snapshots,
        "pending": one.pending,
        "failed": one.failed,
    }


def _newest(one: rpo.Newest) -> dict[str, Any]:
    return {"region": one.region, "id": one.id, "start_time": format_time(one.start_time) if one.there else None}


def _row(row: QueuedRow) -> dict[str, Any]:
    return {
        "snapshot_id": row.snapshot_id,
        "volume_id": row.volume_id,
        "from": row.source_region,
        "to": row.region,
        "state": STATE_WORDS[row.state],
        "progress_percent": row.progress_percent,
        "copy_id": row.copy_id,
        "attempts": row.attempts,
        "size_gib": row.size_gib,
        "deadline": format_time(row.deadline),
        "expected_at": format_time(row.expected_at) if row.expected_at else None,
        "late": row.late,
        "cause": row.cause,
    }


def status_as_prometheus(status: Status) -> str:
    """Given a status, return it in Prometheus's text format: one sample for each volume that a policy governs.

    Source: Prometheus documentation, "Exposition formats".
    """
    base = {"system": status.system, "region": status.region}
    governed = [one for one in status.volumes if one.policy]
    waiting = [row for row in status.queue if row.state is not EntryState.FAILED]
    families: list[tuple[str, str, list[tuple[Mapping[str, str], float]]]] = [
        ("snapkeep_all_right", "1 when nothing is wrong.", [(base, float(status.all_right))]),
        (
            "snapkeep_volumes",
            "Volumes by how they stand.",
            [
                (base | {"standing": str(standing)}, sum(one.standing is standing for one in status.volumes))
                for standing in rpo.Standing
            ],
        ),
        (
            "snapkeep_rpo_age_seconds",
            "Age of what could be restored, by volume.",
            [
                (base | {"volume": one.volume.id, "policy": one.policy}, one.age.total_seconds())
                for one in governed
                if one.age is not None
            ],
        ),
        (
            "snapkeep_rpo_asked_seconds",
            "Age that the policy allows.",
            [(base | {"policy": one.policy}, one.asked.total_seconds()) for one in status.policies],
        ),
        (
            "snapkeep_copies",
            "Copies in the queue by state.",
            [
                (base | {"state": STATE_WORDS[state]}, sum(row.state is state for row in status.queue))
                for state in EntryState
                if state is not EntryState.DONE
            ],
        ),
        ("snapkeep_copies_late", "Copies past their deadline.", [(base, sum(row.late for row in waiting))]),
        ("snapkeep_snapshots_managed", "Managed snapshots.", [(base, status.totals["snapshots managed"])]),
    ]
    return "".join(_family(name, text, samples) for name, text, samples in families)


def _family(name: str, text: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> str:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        lines.append(f"{name}{{{inside}}} {value:g}")
    return "\n".join(lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
