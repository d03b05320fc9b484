"""Dataclasses <-> plain JSON values: times in ISO 8601, tuples as lists, enums as their values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_origin, get_type_hints

from snapkeep.domain.tags import format_time, parse_time

Record = TypeVar("Record")


def to_json_values(record: Any, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Return a dataclass's fields as JSON values, by name; without those that are named."""
    return {field.name: _to_json(getattr(record, field.name)) for field in fields(record) if field.name not in without}


def from_json_values(kind: type[Record], values: Mapping[str, Any], *, optional: Collection[str] = (), **others: Any) -> Record:
    """Return the dataclass that `to_json_values` was given, with the fields that it left out as `others`.

    Raise KeyError if a field is missing that is not `optional`; TypeError or ValueError if a value cannot be read.
    """
    record_type: Any = kind  # mypy takes no type[Record] for hashable
    readers = {name: read for name, read in _readers(record_type).items() if name not in others}
    expected = (name for name in readers if name in values or name not in optional)
    return kind(**{name: readers[name](values[name]) for name in expected}, **others)


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


@cache
def _readers(kind: Any) -> dict[str, Callable[[Any], Any]]:
    hints = get_type_hints(kind)
    return {field.name: _reader(hints[field.name]) for field in fields(kind)}


def _reader(hint: Any) -> Callable[[Any], Any]:
    if hint is datetime:
        return parse_time
    if get_origin(hint) is tuple:
        return tuple
    return hint if isinstance(hint, type) and issubclass(hint, Enum) else _same


def _same(value: Any) -> Any:
    return value
