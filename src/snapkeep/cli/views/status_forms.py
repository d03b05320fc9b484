"""Status for machines: JSON values, and Prometheus's text format."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from snapkeep.cli.output import prometheus_label
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.protection import NewestSnapshot, VolumeHealth, VolumeProtection
from snapkeep.domain.retention.placed_holds import PlacedHold
from snapkeep.domain.tags import format_time
from snapkeep.domain.vault.shares import VaultStatus
from snapkeep.usecases.look.status import StatusTotal, SystemStatus


def status_as_data(status: SystemStatus) -> dict[str, Any]:
    """Return a status as JSON values."""
    return {
        "system": status.system,
        "region": status.region,
        "at": format_time(status.at),
        "healthy": status.healthy,
        "problems": list(status.problems),
        "primary_known": status.primary_known,
        "recoverable": to_object(status.recoverability),
        "keys_at_risk": [to_object(key) | {"step": key.step} for key in status.keys],
        "holds": [hold_as_data(hold) for hold in status.holds],
        "totals": {total.value: count for total, count in status.totals.items()},
        "policies": [
            {
                "policy": ages.policy,
                "volumes": ages.volumes,
                "missed": ages.late,
                "rpo_seconds": ages.rpo.total_seconds(),
                "worst_seconds": _seconds(ages.worst),
                "median_seconds": _seconds(ages.median),
            }
            for ages in status.policies
        ],
        "rules": [to_object(rule) for rule in status.rules],
        "dr_regions": [to_object(destination) for destination in status.destinations],
        "volumes": [_volume(protection) for protection in status.volumes],
        "queue": [to_object(row) | {"state": row.state.value.lower()} for row in status.queue],
        "copy_budgets": [to_object(budget) for budget in status.budgets],
        "vaults": [_vault(standing) for standing in status.vaults],
    }


def _vault(standing: VaultStatus) -> dict[str, Any]:
    vault = standing.vault
    place = {"name": vault.name, "account": vault.account, "region": vault.region, "from": vault.from_region}
    return to_object(standing) | {"vault": place}


def hold_as_data(hold: PlacedHold) -> dict[str, Any]:
    """Return a hold as JSON values, with its scope in words."""
    return to_object(hold) | {"everything": hold.covers_everything, "scope": hold.scope}


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _volume(protection: VolumeProtection) -> dict[str, Any]:
    return {
        "volume_id": protection.volume.id,
        "name": protection.volume.tags.get("Name", ""),
        "policy": protection.policy,
        "why_policy": protection.why_policy,
        "health": protection.health.value,
        "needs_attention": protection.needs_attention,
        "why": protection.why,
        "cause": protection.cause,
        "instance_ids": list(protection.volume.instance_ids),
        "rpo_seconds": protection.rpo.total_seconds(),
        "rpo_age_seconds": _seconds(protection.age),
        "newest_snapshot": _newest(protection.snapshot),
        "newest_copies": [_newest(copy) for copy in protection.copies],
        "snapshots": protection.snapshots,
        "pending": protection.pending,
        "failed": protection.failed,
    }


def _newest(newest: NewestSnapshot) -> dict[str, Any]:
    return to_object(newest) if newest.there else to_object(newest) | {"start_time": None}


Samples = list[tuple[Mapping[str, str], float]]
"""The labels beside `system` and `region`, and the value, of each sample of a metric."""
_HELP = {
    "snapkeep_healthy": "1 when nothing needs attention.",
    "snapkeep_read_timestamp_seconds": ("Time of this reading, in seconds since 1970: old samples look like new ones."),
    "snapkeep_volumes": "Volumes by health.",
    "snapkeep_rpo_age_seconds": "Age of the data that could be restored, by volume.",
    "snapkeep_copy_age_seconds": "Age of the newest copy, by volume and DR region.",
    "snapkeep_rpo_seconds": "RPO of a policy.",
    "snapkeep_volumes_recoverable": (
        "Volumes that a policy governs and that have a copy that can be restored, or a snapshot where it makes no copies."
    ),
    "snapkeep_keys_at_risk": "KMS keys of snapshots or copies that cannot be used, or are not known.",
    "snapkeep_holds": "Holds that people placed; without a sample while those of a region could not be read.",
    "snapkeep_snapshots_managed": "Managed snapshots in the primary region; without a sample while that could not be read.",
    "snapkeep_reachable": "1 for a region that could be read, the primary region and each DR region.",
    "snapkeep_dr_region_known": "1 for a DR region that could be read; one that could not has no other samples.",
    "snapkeep_copies": "Copies in the queue of a DR region by state.",
    "snapkeep_copies_late": "Copies past their deadline, by DR region.",
    "snapkeep_copies_managed": "Managed copies that are completed, by DR region.",
    "snapkeep_copy_budget_dollars": "Budget of a month for time-based copies, by policy and DR region.",
    "snapkeep_copy_budget_spent_dollars": (
        "The part of this month's budget for time-based copies that is spent at most, by policy and DR region."
    ),
}
"""Every metric, in the order of the output."""


def status_as_prometheus(status: SystemStatus) -> str:
    """Return a status in Prometheus's text format, with a sample for each volume that a policy governs.

    Source: Prometheus documentation, "Exposition formats".
    """
    base = {"system": status.system, "region": status.region}
    samples = _of_volumes(status) | _of_regions(status)
    lines: list[str] = []
    for name, text in _HELP.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        for labels, value in samples[name]:
            inside = ",".join(f'{key}="{prometheus_label(label)}"' for key, label in {**base, **labels}.items())
            lines.append(f"{name}{{{inside}}} {_exact(value)}")
    return "\n".join(lines) + "\n"


def _of_volumes(status: SystemStatus) -> dict[str, Samples]:
    governed = [({"volume": each.volume.id, "policy": each.policy}, each) for each in status.volumes if each.policy]
    managed = StatusTotal.SNAPSHOTS_MANAGED
    return {
        "snapkeep_healthy": [({}, status.healthy)],
        "snapkeep_read_timestamp_seconds": [({}, int(status.at.timestamp()))],
        "snapkeep_volumes": [
            ({"health": health.value}, sum(volume.health is health for volume in status.volumes)) for health in VolumeHealth
        ],
        "snapkeep_rpo_age_seconds": [(labels, each.age.total_seconds()) for labels, each in governed if each.age is not None],
        "snapkeep_copy_age_seconds": [
            (labels | {"to": copy.region}, copy.age(status.at).total_seconds())
            for labels, each in governed
            for copy in each.copies
            if copy.there
        ],
        "snapkeep_rpo_seconds": [({"policy": ages.policy}, ages.rpo.total_seconds()) for ages in status.policies],
        "snapkeep_volumes_recoverable": [({}, status.recoverability.recoverable)],
        "snapkeep_holds": [({}, len(status.holds))] if status.holds_known else [],
        "snapkeep_snapshots_managed": [({}, status.totals[managed])] if managed in status.totals else [],
    }


def _of_regions(status: SystemStatus) -> dict[str, Samples]:
    known = [({"to": dr.region}, dr) for dr in status.destinations if dr.known]
    reachable = {status.region: status.primary_known} | {dr.region: dr.known for dr in status.destinations}
    budgets = [({"policy": budget.policy, "to": budget.region}, budget) for budget in status.budgets]
    return {
        "snapkeep_keys_at_risk": [
            ({"in": region}, sum(key.region == region for key in status.keys))
            for region, is_known in reachable.items()
            if is_known
        ],
        "snapkeep_reachable": [({"read": region}, is_known) for region, is_known in reachable.items()],
        "snapkeep_dr_region_known": [({"to": dr.region}, dr.known) for dr in status.destinations],
        "snapkeep_copies": [
            (labels | {"state": state.value.lower()}, sum((row.state, row.region) == (state, dr.region) for row in status.queue))
            for labels, dr in known
            for state in EntryState
            if state is not EntryState.DONE
        ],
        "snapkeep_copies_late": [(labels, dr.late) for labels, dr in known],
        "snapkeep_copies_managed": [(labels, dr.copies) for labels, dr in known],
        "snapkeep_copy_budget_dollars": [(labels, budget.limit_usd) for labels, budget in budgets],
        "snapkeep_copy_budget_spent_dollars": [(labels, budget.spent_usd) for labels, budget in budgets],
    }


def _exact(value: float) -> str:
    """Return a number with every digit; a whole number without a point."""
    return str(int(value)) if value == int(value) else repr(value)
