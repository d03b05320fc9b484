"""The errors of a world file, each with its path, found before anything is built."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from snapkeep.lab.ebs_model.conditions.event_options import EventOptions
from snapkeep.lab.ebs_model.conditions.faults import FaultRule, Faults
from snapkeep.lab.ebs_model.conditions.latency import Latency
from snapkeep.lab.ebs_model.conditions.quotas import Quotas, Speeds
from snapkeep.lab.ebs_model.store.content import ContentFaults

Data = Mapping[str, Any]
TOP = (
    "version account seed start regions quotas speeds latency events faults clock_skew keys encryption_by_default instances "
    "volumes history images recycle_bin block_public_access subscriptions"
)  # fmt: skip
SECTIONS = {
    "keys": "region account alias description state denied",
    "instances": "name region account zone tags root_device image type details attributes",
    "volumes": "name count region account zone size_gib type tags key used_gib change_gib_per_day instance device deleted",
    "history": "volume every_hours count newest_hours_ago tags description copies",
    "images": "name region account volume disabled details",
    "recycle_bin": "region account retention_days tags exclude_tags",
}
COPY_FIELDS = "region tags key description content"
REQUIRED = {
    "keys": "region",
    "instances": "name region",
    "volumes": "name region size_gib",
    "history": "volume count",
    "images": "name region volume",
    "recycle_bin": "region retention_days",
}


class WorldFileError(ValueError):
    """All errors of a world file."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def check(document: Data) -> list[str]:
    """Return all errors of a world file's content, each with its path."""
    errors: list[str] = []
    _names(document, TOP, "", errors)
    if document.get("version") != 1:
        errors.append(f"version: is {document.get('version')!r}, must be 1")
    for section, known in SECTIONS.items():
        for index, entry in enumerate(document.get(section) or ()):
            path = f"{section}[{index}]"
            _names(entry, known, path, errors)
            errors.extend(f"{path}.{name}: is missing" for name in REQUIRED[section].split() if name not in entry)
            for number, copy in enumerate(entry.get("copies") or ()):
                _names(copy, COPY_FIELDS, f"{path}.copies[{number}]", errors)
                _try(ContentFaults, copy.get("content") or {}, f"{path}.copies[{number}].content", errors)
    errors.extend(f"{path}: is {value}, not a finite number" for path, value in _not_finite(document, ""))
    _check_settings(document, errors)
    _check_references(document, errors)
    return errors


def _not_finite(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _not_finite(entry, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _not_finite(entry, f"{path}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, value


def _names(entry: Data, known: str, path: str, errors: list[str]) -> None:
    for name in entry:
        if name not in known.split():
            where = f"{path}.{name}" if path else str(name)
            errors.append(f"{where}: is not known here; known are {', '.join(known.split())}")


def _check_settings(document: Data, errors: list[str]) -> None:
    kinds: dict[str, Callable[..., Any]] = {"speeds": Speeds, "latency": Latency, "events": EventOptions}
    for name, kind in kinds.items():
        _try(kind, document.get(name) or {}, name, errors)
    quotas = dict(document.get("quotas") or {})
    for region, own in quotas.pop("regions", {}).items():
        _try(Quotas, own, f"quotas.regions.{region}", errors)
    _try(Quotas, quotas, "quotas", errors)
    faults = dict(document.get("faults") or {})
    for index, rule in enumerate(faults.pop("script", ())):
        _try(FaultRule, rule, f"faults.script[{index}]", errors)
    _try(Faults, faults, "faults", errors)


def _try(kind: Callable[..., Any], data: Data, path: str, errors: list[str]) -> None:
    known = " ".join(field.name for field in fields(kind))  # type: ignore[arg-type]
    before = len(errors)
    _names(data, known, path, errors)
    if len(errors) == before:
        try:
            kind(**data)
        except (TypeError, ValueError) as error:
            errors.append(f"{path}: {error}")


def _check_references(document: Data, errors: list[str]) -> None:
    volumes_known = {entry.get("name") for entry in document.get("volumes") or ()}
    instances_known = {entry.get("name") for entry in document.get("instances") or ()}
    for index, entry in enumerate(document.get("volumes") or ()):
        if entry.get("instance") is not None and entry["instance"] not in instances_known:
            errors.append(f"volumes[{index}].instance: there is no instance named {entry['instance']!r}")
    for section in ("history", "images"):
        for index, entry in enumerate(document.get(section) or ()):
            if entry.get("volume") not in volumes_known:
                errors.append(f"{section}[{index}].volume: there is no volume named {entry.get('volume')!r}")
