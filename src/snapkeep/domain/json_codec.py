"""Dataclasses <-> JSON values: the state machines' payloads, the queue's entries, notices and reports.

Times are ISO 8601, spans are seconds, tuples are lists, enums are their values. The JSON of a dataclass has every field, under
its name, unless the field's `metadata` says otherwise. Keys that a type does not know are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache, partial
from operator import attrgetter
from types import UnionType
from typing import Any, TypeAlias, TypeVar, cast, get_args, get_origin, get_type_hints

from snapkeep.domain.tags import format_time, parse_time

Record = TypeVar("Record")
FieldWriter: TypeAlias = Callable[[Any], Any]
FieldReader: TypeAlias = Callable[[Any], Any]

_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Types whose values are JSON values already."""
_NAME, _OPTIONAL, _INLINE = "json_name", "json_optional", "json_inline"
OPTIONAL: dict[str, Any] = {_OPTIONAL: True}
"""Metadata of a field that JSON may lack: an empty value is not written."""
NOT_IN_JSON: dict[str, Any] = {_NAME: ""}
"""Metadata of a field that JSON never has."""


def named(name: str) -> dict[str, Any]:
    """Return the metadata of a field that has another name in JSON."""
    return {_NAME: name}


def inline(**names: str) -> dict[str, Any]:
    """Return the metadata of a field whose own fields are written in its place, some of them under other names."""
    return {_INLINE: names}


def to_text(value: Any) -> str:
    """Return a value as JSON text."""
    return json.dumps(to_json(value))


def from_text(kind: type[Record], text: str) -> Record:
    """Return the dataclass in a JSON text. Raise ValueError if it cannot be read."""
    return from_json(kind, json.loads(text))


def to_object(record: Any) -> dict[str, Any]:
    """Return a dataclass as a JSON object."""
    return cast("dict[str, Any]", to_json(record))


def to_json(value: Any) -> Any:
    """Return a dataclass, or a part of one, as JSON values."""
    kind: Any = type(value)
    return value if kind in _PLAIN else _writer(kind)(value)


def from_json(kind: type[Record], data: Any) -> Record:
    """Return the dataclass of JSON values that `to_json` made.

    Raise ValueError, naming the type and the field, if it cannot be read.
    """
    try:
        return cast("Record", _reader(cast("Any", kind))(data))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{kind.__name__} cannot be read: {error}") from error


@cache
def _writer(kind: Any) -> FieldWriter:
    """Return the function that writes values of a type. It is made once for each type, because payloads have many parts."""
    if is_dataclass(kind):
        return _dataclass_writer(cast("Any", kind))
    writers: tuple[tuple[type | tuple[type, ...], FieldWriter], ...] = (
        (datetime, format_time),
        (timedelta, timedelta.total_seconds),
        (Enum, lambda member: member.value),
        (Mapping, _write_mapping),
        ((list, tuple), _write_items),
    )
    return next((write for types, write in writers if issubclass(kind, types)), _same)


def _write_mapping(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): inner if type(inner) in _PLAIN else to_json(inner) for key, inner in mapping.items()}


def _write_items(items: Sequence[Any]) -> list[Any]:
    return [item if type(item) in _PLAIN else to_json(item) for item in items]


def _dataclass_writer(kind: Any) -> FieldWriter:
    parts = [(part.name, _key(part), _is_optional(part), _inline_names(part)) for part in _parts(kind)]
    values_of = attrgetter(*[name for name, *_ in parts]) if len(parts) > 1 else None

    def write(record: Any) -> dict[str, Any]:
        data: dict[str, Any] = {}
        values = values_of(record) if values_of else [getattr(record, name) for name, *_ in parts]
        for (_, key, optional, names), value in zip(parts, values, strict=True):
            if names:
                data |= {names.get(field, field): part for field, part in to_json(value).items()}
            # Empty optional fields are left out: states are limited to 256 KiB.
            elif value or not optional:
                data[key] = value if type(value) in _PLAIN else to_json(value)
        return data

    return write


@cache
def _reader(hint: Any) -> FieldReader:
    """Return the function that reads values of a type, made once for each type. It raises TypeError or ValueError."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _READERS:
        read = _READERS[hint]
    elif origin is UnionType:  # always "a type | None"
        read = partial(_read_optional, _reader(arguments[0]))
    elif origin is tuple:
        read = partial(_read_items, _reader(arguments[0]))
    elif origin is Mapping:
        read = partial(_read_mapping, _reader(arguments[0]))
    elif is_dataclass(hint):
        read = _dataclass_reader(cast("Any", hint))
    elif issubclass(hint, Enum):
        read = hint
    else:
        read = partial(_checked, hint)
    return read


def _dataclass_reader(kind: Any) -> FieldReader:
    hints = get_type_hints(kind)
    parts = [
        (part.name, _key(part), _plain(hints[part.name]), _reader(hints[part.name]), _is_optional(part), _inline_names(part))
        for part in _parts(kind)
    ]

    def read_fields(data: Any) -> Any:
        data, values = _checked(dict, data), {}
        for name, key, plain, read, optional, names in parts:
            if names:
                values[name] = read({**data, **{field: _required(data, name) for field, name in names.items()}})
            elif key in data or not optional:
                value = data[key] if key in data else _required(data, key)
                # The usual field needs no call: the plan of a sweep has tens of thousands of them.
                if type(value) is plain:
                    values[name] = value
                    continue
                try:
                    values[name] = read(value)
                except (TypeError, ValueError) as error:
                    raise ValueError(f"{key}: {error}") from error
        return kind(**values)

    return read_fields


def _parts(kind: Any) -> list[Field[Any]]:
    return [part for part in fields(kind) if _key(part)]


def _key(part: Field[Any]) -> str:
    return str(part.metadata.get(_NAME, part.name))


def _plain(hint: Any) -> Any:
    """Return a type whose values need no conversion; None for any other."""
    return hint if hint in _PLAIN else None


def _is_optional(part: Field[Any]) -> bool:
    return bool(part.metadata.get(_OPTIONAL))


def _inline_names(part: Field[Any]) -> Mapping[str, str] | None:
    return part.metadata.get(_INLINE)


def _required(data: Mapping[str, Any], key: str) -> Any:
    if key not in data:
        raise ValueError(f"'{key}' is missing")
    return data[key]


def _read_optional(read: FieldReader, data: Any) -> Any:
    return None if data is None else read(data)


def _read_items(read: FieldReader, data: Any) -> tuple[Any, ...]:
    return tuple([read(item) for item in _checked(list, data)])


def _read_mapping(read_key: FieldReader, data: Any) -> dict[Any, Any]:
    mapping = _checked(dict, data)
    # JSON keys are always texts: a key of type str needs no conversion.
    return dict(mapping) if read_key is _READ_TEXT else {read_key(key): value for key, value in mapping.items()}


def _read_time(data: Any) -> datetime:
    return parse_time(_checked(str, data))


def _read_span(data: Any) -> timedelta:
    return timedelta(seconds=data)


def _same(value: Any) -> Any:
    return value


def _checked(kind: type[Record], data: Any) -> Record:
    # In Python, True is an int; in JSON it is not.
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise TypeError(f"{data!r:.80} is no {kind.__name__}")
    return data


_READ_TEXT = partial(_checked, str)
_READERS: Mapping[Any, FieldReader] = {datetime: _read_time, timedelta: _read_span, Any: _same, str: _READ_TEXT}
