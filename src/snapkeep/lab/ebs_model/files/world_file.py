"""World files: volumes, instances, history, images, keys, quotas, speeds and faults as plain data.

The format is described in docs/ebs-model.md. The caller reads YAML or JSON; every error is collected with its path
before anything is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from snapkeep.lab.ebs_model.conditions.clock import VIRTUAL_START, VirtualClock, WorldClock, seconds_of
from snapkeep.lab.ebs_model.conditions.event_options import EventOptions
from snapkeep.lab.ebs_model.conditions.faults import FaultRule, Faults
from snapkeep.lab.ebs_model.conditions.latency import Latency
from snapkeep.lab.ebs_model.conditions.quotas import Speeds
from snapkeep.lab.ebs_model.files.saved_world import quotas_from
from snapkeep.lab.ebs_model.files.world_builder import WorldBuilder
from snapkeep.lab.ebs_model.files.world_file_checks import WorldFileError, check
from snapkeep.lab.ebs_model.store.world_state import WorldState

Data = Mapping[str, Any]


def build(document: Data, clock: WorldClock | None) -> WorldState:
    """Return the state of the world that a world file describes. Raise WorldFileError."""
    errors = check(document)
    if errors:
        raise WorldFileError(errors)
    quotas = dict(document.get("quotas") or {})
    per_region = quotas.pop("regions", {})
    faults = dict(document.get("faults") or {})
    script = tuple(FaultRule(**rule) for rule in faults.pop("script", ()))
    more: dict[str, Any] = {"account": str(document["account"])} if "account" in document else {}
    if "regions" in document:
        more["regions"] = tuple(document["regions"])
    world = WorldState(
        clock=clock or VirtualClock(_moment(document.get("start", VIRTUAL_START))),
        seed=int(document.get("seed", 0)),
        quotas=quotas_from(quotas),
        region_quotas={region: quotas_from({**quotas, **own}) for region, own in per_region.items()},
        speeds=Speeds(**(document.get("speeds") or {})),
        latency=Latency(**(document.get("latency") or {})),
        faults=Faults(script=script, **faults),
        events=EventOptions(**(document.get("events") or {})),
        **more,
    )
    WorldBuilder(world).build(document)
    return world


def _moment(value: Any) -> float:
    return seconds_of(datetime.fromisoformat(value) if isinstance(value, str) else value)
