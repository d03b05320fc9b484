"""JSON of dataclasses: the codec behind `snapkeep.functions.payloads`.

A field is named as in the JSON, or gives its JSON name in `metadata`. An empty value of a field that has a default is left out of
the JSON, and keys that a type does not know are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache, partial
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from snapkeep.domain.copies.codec import request_from_json, request_to_json
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import InvalidEvent
from snapkeep.domain.tags import format_time, parse_time

Payload = TypeVar("Payload")


def to_object(payload: Any) -> dict[str, Any]:
    """Return a payload as a JSON object."""
    return cast("dict[str, Any]", to_json(payload))


def to_text(value: Any) -> str:
    """Return a payload as JSON text, such as SendTaskSuccess takes."""
    return json.dumps(to_json(value))


def to_json(value: Any) -> Any:
    """Return a payload, or a part of one, as JSON values. Times are ISO 8601."""
    kind: Any = type(value)
    return _writer(kind)(value)


@cache
def _writer(kind: Any) -> Callable[[Any], Any]:
    """Return what writes values of a type: made once for each type, for a state machine's payloads have many parts."""
    if issubclass(kind, datetime):
        write: Callable[[Any], Any] = format_time
    elif issubclass(kind, CopyRequest):
        write = request_to_json
    elif issubclass(kind, Enum):
        write = _enum_value
    elif issubclass(kind, Mapping):
        write = _write_mapping
    elif issubclass(kind, list | tuple):
        write = _write_items
    elif is_dataclass(kind):
        write = _dataclass_writer(cast("type[Any]", kind))
    else:
        write = _same
    return write


def _dataclass_writer(kind: type[Any]) -> Callable[[Any], dict[str, Any]]:
    parts = [(part.name, _key(part), _is_required(part)) for part in fields(kind)]

    def write(value: Any) -> dict[str, Any]:
        return {key: to_json(inner) for name, key, required in parts if (inner := getattr(value, name)) or required}

    return write


def _enum_value(value: Enum) -> Any:
    return value.value


def _write_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): to_json(inner) for key, inner in value.items()}


def _write_items(values: Sequence[Any]) -> list[Any]:
    return [to_json(value) for value in values]


def _same(value: Any) -> Any:
    return value


def from_json(kind: type[Payload], data: Any) -> Payload:
    """Return a payload of a type from JSON values. Raise InvalidEvent, naming the type and the field, if it cannot be read."""
    try:
        return cast("Payload", _reader(cast("Any", kind))(data))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidEvent(f"{kind.__name__} cannot be read: {error}") from error


@cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """Return what reads values of a type: made once for each type. It raises KeyError, TypeError or ValueError."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _READERS:
        read = _READERS[hint]
    elif origin is UnionType:  # always "a type | None"
        read = _optional_reader(_reader(arguments[0]))
    elif origin is tuple:
        read = _tuple_reader(_reader(arguments[0]))
    elif origin is Mapping:
        read = partial(_checked, dict)
    elif is_dataclass(hint):
        read = _dataclass_reader(cast("type[Any]", hint))
    elif issubclass(hint, Enum):
        read = hint
    else:
        read = partial(_checked, hint)
    return read


_READERS: Mapping[Any, Callable[[Any], Any]] = {datetime: parse_time, CopyRequest: request_from_json, Any: _same}


def _optional_reader(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda data: None if data is None else read(data)


def _tuple_reader(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda data: tuple([read(item) for item in _checked(list, data)])


def _dataclass_reader(kind: type[Any]) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    parts = [(part.name, _key(part), _is_required(part), _reader(hints[part.name])) for part in fields(kind)]

    def read_fields(data: Any) -> Any:
        data, values = _checked(dict, data), {}
        for name, key, required, read in parts:
            if key in data:
                try:
                    values[name] = read(data[key])
                except (KeyError, TypeError, ValueError) as error:
                    raise ValueError(f"{key}: {error}") from error
            elif required:
                raise ValueError(f"'{key}' is missing")
        return kind(**values)

    return read_fields


def _key(part: Field[Any]) -> str:
    return str(part.metadata.get("json", part.name))


def _is_required(part: Field[Any]) -> bool:
    return part.default is MISSING and part.default_factory is MISSING


def _checked(kind: type[Payload], data: Any) -> Payload:
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise TypeError(f"{data!r:.80} is no {kind.__name__}")
    return data
