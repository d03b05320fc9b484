"""The fields of policies that another document changes, for people and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from snapkeep.domain.durations import parse_duration
from snapkeep.domain.policy.document import default_of, to_document
from snapkeep.domain.policy.fields import DOCUMENT
from snapkeep.domain.policy.model import LockMode, PolicySet
from snapkeep.domain.policy.shapes import Shape, ValueType
from snapkeep.domain.prices import completion_price_usd_per_gib

_NOUNS = {"policies": "policy", "copies": "copy rule", "groups": "group", "drills": "drill", "vaults": "vault"}
"""The word for one item of a list, by the list's key."""
_LEFT_OUT = {"kms_key": "the region's default"}
_DEADLINES = ("rpo", "copy_within")
_EXTENDED = "locks in governance mode are extended, those in compliance mode are not: sweeps report them"
_ORDER = "policies"
"""The field that stands for the order of the policies."""


class FieldChange(NamedTuple):
    """One field whose value changes, or an item, such as a policy or a copy rule, that is added or removed."""

    field: str
    before: Any
    """None of an item that is not there, and of a field that is left out."""
    after: Any
    default: str | None
    """The meaning of a field that is left out, in words; None of an item."""


class _Leaf(NamedTuple):
    value: Any
    default: str | None
    parent: str
    """The path of the innermost object that may be left out with all its fields; empty if there is none."""


def field_changes(before: PolicySet, after: PolicySet) -> list[FieldChange]:
    """Return the changed fields, `policy.copies.region.field` where it is of a copy rule, in alphabetical order."""
    old, new = dict(_leaves(DOCUMENT, to_document(before))), dict(_leaves(DOCUMENT, to_document(after)))
    changes = []
    for name in sorted(old.keys() | new.keys()):
        leaf, was, becomes = old.get(name) or new[name], old.get(name), new.get(name)
        if was is None or becomes is None or was.value != becomes.value:
            other = new if becomes is None else old
            parents = {item.parent for item in other.values()}
            left_out = leaf.default if not leaf.parent or leaf.parent in parents else "none"
            changes.append(FieldChange(name, was and was.value, becomes and becomes.value, left_out))
    return changes


def field_lines(changes: list[FieldChange]) -> Iterator[str]:
    """Yield the changed fields in lines, with what the change means; of an item that is removed, that it is."""
    if changes:
        yield "fields that change"
    items = [change for change in changes if change.default is None]
    for change in changes:
        name = change.field.rpartition(".")[2]
        item = next((item for item in items if change.field.startswith(f"{item.field}.")), None)
        if item and not item.after:
            continue  # it is removed with all its fields
        if change.default is None:
            yield f"  {change.field}: " + (f"a new {change.after}" if change.after else f"this {change.before} is removed")
        else:
            before, after = (str(change.default if value is None else value) for value in (change.before, change.after))
            meaning = "" if item and name in _DEADLINES else _meaning(name, change)
            yield f"  {change.field}: " + (after if item else f"{before} -> {after}") + (f" ({meaning})" if meaning else "")


def _meaning(name: str, change: FieldChange) -> str:
    """Return the meaning of a changed field; empty where its name is clear, or the plan shows it."""
    if change.field == _ORDER:
        return "the first that takes a volume governs it"
    if name in _DEADLINES:
        before, after = (parse_duration(value or str(change.default)) for value in (change.before, change.after))
        when = "later" if after > before else "sooner"
        return f"a {'volume' if name == 'rpo' else 'copy'} counts as late, and its alarm is raised, {when}"
    if name == "kms_key":
        return "the next copy of each volume under another key is a full copy, with its transfer and storage"
    if name == "completion_duration":
        dollars = [_completion_usd(value) for value in (change.before, change.after)]
        return f"a time-based copy: AWS charges {dollars[1]:.3f} USD for each GiB copied in addition, now {dollars[0]:.3f}"
    return _lock_meaning(name, change) if change.field.endswith(f".lock.{name}") else ""


def _lock_meaning(name: str, change: FieldChange) -> str:
    """Return the effect of another lock on existing snapshots; empty where the line of its mode or duration has it."""
    if name == "mode" and change.after == LockMode.COMPLIANCE:
        for_good = "after the cool-off period no principal can unlock or delete one, and it is paid for until its lock ends"
        return f"existing ones are locked too; {for_good}"
    if name == "mode" and change.after:
        return "locks in compliance mode stay" if change.before else "existing ones are locked too"
    if name == "for" and change.before and change.after:
        longer = parse_duration(change.after) > parse_duration(change.before)
        return _EXTENDED if longer else "no existing lock is shortened"
    return "existing locks stay" if name == "mode" else ""


def _completion_usd(duration: Any) -> float:
    return completion_price_usd_per_gib(int(parse_duration(str(duration)).total_seconds() // 60)) if duration else 0.0


def _leaves(
    shape: Shape, document: Mapping[str, Any], path: str = "", parent: str = "", label: str = "version"
) -> Iterator[tuple[str, _Leaf]]:
    """Yield the fields and items of a document by path: policies by their names, copy rules by their regions.

    `label` is the key that is not a field of its own.
    """
    for field in shape.fields:
        if field.name == label or field.name not in document:
            continue
        value, here = document[field.name], f"{path}.{field.name}" if path else field.name
        if field.kind is ValueType.OBJECTS and field.shape:
            yield from _items(field.shape, value, here, _NOUNS[field.name])
        elif field.kind is ValueType.OBJECT and field.shape:
            # An object that may be left out is one item: where it comes or goes, its fields have no former values.
            optional = shape.default(field) is None
            leaves = list(_leaves(field.shape, value, here, here if optional else parent))
            yield from leaves if leaves or not optional else [(here, _Leaf("{}", "none", here))]
        else:
            default = default_of(shape, field)
            left_out = _LEFT_OUT.get(field.name, "none") if default is None else str(default)
            entries = value.items() if isinstance(value, Mapping) else [("", value)]
            yield from ((f"{here}.{key}" if key else here, _Leaf(entry, left_out, parent)) for key, entry in entries)


def _items(shape: Shape, items: Sequence[Mapping[str, Any]], path: str, noun: str) -> Iterator[tuple[str, _Leaf]]:
    """Yield the items of a list with their fields; of policies also their order."""
    label = "name" if not items or "name" in items[0] else "region"
    names = [str(item[label]) for item in items]
    if path == _ORDER:
        yield path, _Leaf(", ".join(names), "none", "")
    for name, item in zip(names, items, strict=True):
        of_item = name if path == _ORDER else f"{path}.{name}"
        yield of_item, _Leaf(noun, None, "")
        yield from _leaves(shape, item, of_item, label=label)
