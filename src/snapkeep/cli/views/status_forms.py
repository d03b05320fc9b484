"""Status for machines: JSON values, and Prometheus's text format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from snapkeep.cli.output import prometheus_label
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.protection import Newest, VolumeHealth, VolumeProtection
from snapkeep.domain.tags import format_time
from snapkeep.usecases.look.status import QueuedCopy, Status, StatusTotal


def status_as_data(status: Status) -> dict[str, Any]:
    """Return a status as JSON values."""
    return {
        "system": status.system,
        "region": status.region,
        "at": format_time(status.at),
        "healthy": status.healthy,
        "problems": list(status.problems),
        "totals": {total.value: count for total, count in status.totals.items()},
        "policies": [
            {
                "policy": one.policy,
                "volumes": one.volumes,
                "missed": one.late,
                "rpo_seconds": one.rpo.total_seconds(),
                "worst_seconds": one.worst.total_seconds(),
                "median_seconds": one.median.total_seconds(),
            }
            for one in status.policies
        ],
        "rules": [to_object(one) for one in status.rules],
        "dr_regions": [to_object(one) for one in status.destinations],
        "volumes": [_volume(one) for one in status.volumes],
        "queue": [_row(one) for one in status.queue],
    }


def _volume(one: VolumeProtection) -> dict[str, Any]:
    return {
        "volume_id": one.volume.id,
        "name": one.volume.tags.get("Name", ""),
        "policy": one.policy,
        "why_policy": one.why_policy,
        "health": one.health.value,
        "needs_attention": one.needs_attention,
        "why": one.why,
        "rpo_seconds": one.rpo.total_seconds(),
        "rpo_age_seconds": one.age.total_seconds() if one.age is not None else None,
        "newest_snapshot": _newest(one.snapshot),
        "newest_copies": [_newest(copy) for copy in one.copies],
        "snapshots": one.snapshots,
        "pending": one.pending,
        "failed": one.failed,
    }


def _newest(one: Newest) -> dict[str, Any]:
    return to_object(one) if one.there else to_object(one) | {"start_time": None}


def _row(row: QueuedCopy) -> dict[str, Any]:
    return to_object(row) | {"state": row.state.value.lower()}


def status_as_prometheus(status: Status) -> str:
    """Return a status in Prometheus's text format, with a sample for each volume that a policy governs.

    Source: Prometheus documentation, "Exposition formats".
    """
    families = [*_of_volumes(status), *_of_regions(status)]
    return "".join(_family(name, text, samples) for name, text, samples in families)


Family = tuple[str, str, list[tuple[Mapping[str, str], float]]]


def _labels(status: Status) -> dict[str, str]:
    return {"system": status.system, "region": status.region}


def _of_volumes(status: Status) -> list[Family]:
    base = _labels(status)
    governed = [one for one in status.volumes if one.policy]
    return [
        ("snapkeep_healthy", "1 when nothing needs attention.", [(base, float(status.healthy))]),
        (
            "snapkeep_volumes",
            "Volumes by health.",
            [(base | {"health": health.value}, sum(one.health is health for one in status.volumes)) for health in VolumeHealth],
        ),
        (
            "snapkeep_rpo_age_seconds",
            "Age of the data that could be restored, by volume.",
            [
                (base | {"volume": one.volume.id, "policy": one.policy}, one.age.total_seconds())
                for one in governed
                if one.age is not None
            ],
        ),
        (
            "snapkeep_copy_age_seconds",
            "Age of the newest copy, by volume and DR region.",
            [
                (base | {"volume": one.volume.id, "policy": one.policy, "to": copy.region}, copy.age(status.at).total_seconds())
                for one in governed
                for copy in one.copies
                if copy.there
            ],
        ),
        (
            "snapkeep_rpo_seconds",
            "RPO of a policy.",
            [(base | {"policy": one.policy}, one.rpo.total_seconds()) for one in status.policies],
        ),
        ("snapkeep_snapshots_managed", "Managed snapshots.", [(base, status.totals[StatusTotal.SNAPSHOTS_MANAGED])]),
    ]


def _of_regions(status: Status) -> list[Family]:
    base = _labels(status)
    known = [one for one in status.destinations if one.known]
    return [
        (
            "snapkeep_dr_region_known",
            "1 for a DR region that could be read; one that could not has no other samples.",
            [(base | {"to": one.region}, float(one.known)) for one in status.destinations],
        ),
        (
            "snapkeep_copies",
            "Copies in the queue of a DR region by state.",
            [
                (
                    base | {"to": one.region, "state": state.value.lower()},
                    sum(row.state is state and row.region == one.region for row in status.queue),
                )
                for one in known
                for state in EntryState
                if state is not EntryState.DONE
            ],
        ),
        (
            "snapkeep_copies_late",
            "Copies past their deadline, by DR region.",
            [(base | {"to": one.region}, one.late) for one in known],
        ),
        (
            "snapkeep_copies_managed",
            "Managed copies that are completed, by DR region.",
            [(base | {"to": one.region}, one.copies) for one in known],
        ),
    ]


def _family(name: str, text: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> str:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        inside = ",".join(f'{key}="{prometheus_label(label)}"' for key, label in labels.items())
        lines.append(f"{name}{{{inside}}} {_exact(value)}")
    return "\n".join(lines) + "\n"


def _exact(value: float) -> str:
    """Return a number with every digit; a whole number without a point."""
    return str(int(value)) if value == int(value) else repr(value)
