"""The fields that change between two sets of policies, with what the change means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from snapkeep.domain.policy.document import to_document
from snapkeep.domain.policy.model import PolicySet

MEANINGS = {
    "rpo": "decides when a volume counts as late, and its alarm is raised",
    "copy_within": "decides when a copy counts as late",
    "kms_key": "the next copy of each volume under another key is a full copy, with its transfer and storage",
    "completion_duration": "decides what AWS charges for each GiB copied in addition",
}


class FieldChange(NamedTuple):
    """One field of a policy, or of the limits, whose value changes. None stands for the default."""

    field: str
    before: Any
    after: Any


def field_changes(before: PolicySet, after: PolicySet) -> list[FieldChange]:
    """Return the changed fields, `policy.copies.region.field` where it is of a copy rule, in alphabetical order."""
    old, new = dict(_fields(to_document(before), "")), dict(_fields(to_document(after), ""))
    names = sorted(old.keys() | new.keys())
    return [FieldChange(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def field_lines(changes: list[FieldChange]) -> Iterator[str]:
    """Yield the changed fields in lines, with what the change means."""
    if changes:
        yield "fields that change"
    for name, before, after in changes:
        meaning = MEANINGS.get(name.rpartition(".")[2], "")
        values = f"{_text(before)} -> {_text(after)}"
        yield f"  {name}: {values}" + (f" ({meaning})" if meaning else "")


def _text(value: Any) -> str:
    return "default" if value is None else str(value)


def _fields(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a document by name; policies are named by their name, and copy rules by their region."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if (name or key != "version") and key not in {"name", "region"}:
                prefix = "" if not name and key == "policies" else f"{name}.{key}" if name else key
                yield from _fields(item, prefix)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for item in value:
            label = item.get("name") or item.get("region")
            yield from _fields(item, f"{name}.{label}" if name else str(label))
    else:
        yield name, value
