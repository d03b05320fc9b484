"""The JSON Schema of a policy document, generated from the one definition, for completion and checking in editors.

It accepts every document that the parser accepts, and refuses each wrong value, with exceptions that only
`snapkeep policy check` finds: a duration that is too short or too long, an unknown time zone, a schedule
that never comes, and values that contradict each other.
`python -m snapkeep.policyfile.schema` prints it; the published file is `docs/policy.schema.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from datetime import timedelta
from typing import Any

from snapkeep.domain.durations import PATTERN, format_duration
from snapkeep.domain.policy.completion import COMPLETION_STEP_MINUTES
from snapkeep.domain.policy.fields import DOCUMENT
from snapkeep.domain.policy.shapes import Field, Shape, ValueType

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def make_schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy document."""
    return {"$schema": DIALECT, "title": "Snapkeep policy document"} | _object(DOCUMENT)


def render_schema() -> str:
    """Return the schema as it is published."""
    return json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n"


def _object(shape: Shape) -> dict[str, Any]:
    return {
        "description": shape.about,
        "type": "object",
        "additionalProperties": False,
        "required": [field.name for field in shape.fields if field.required],
        "properties": {field.name: _property(shape, field) for field in shape.fields},
    }


def _property(shape: Shape, field: Field) -> dict[str, Any]:
    made = _of_kind(field) | {"description": _description(field)}
    default = _default(shape, field)
    if default is not None:
        made["default"] = default
    if field.example:
        made["examples"] = [[field.example]] if field.kind is ValueType.TEXTS else [field.example]
    return made


def _description(field: Field) -> str:
    """Return the text that an editor shows beside a key, with the limits of a value that no pattern expresses."""
    parts = [field.about]
    if field.kind is ValueType.OBJECT and field.shape:
        parts.append(field.shape.about)
    if field.kind in (ValueType.DURATION, ValueType.MINUTES):
        shortest, longest = (format_duration(timedelta(minutes=minutes)) for minutes in (field.minimum, field.maximum))
        steps = f", in steps of {COMPLETION_STEP_MINUTES} minutes" if field.kind is ValueType.MINUTES else ""
        parts.append(
            f"In {field.units or 'minutes, hours, days or weeks: 90m, 4h, 3d or 1w'}; from {shortest} to {longest}{steps}."
        )
    return " ".join(parts)


def _of_kind(field: Field) -> dict[str, Any]:
    if field.kind is ValueType.OBJECT and field.shape:
        return _object(field.shape)
    if field.kind is ValueType.OBJECTS and field.shape:
        return {"type": "array", "items": _object(field.shape)} | ({"minItems": 1} if field.required else {})
    return _SIMPLE[field.kind](field)


def _text(field: Field) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "string"}
    if field.choices:
        made["enum"] = list(field.choices)
    if field.pattern:
        made["pattern"] = field.pattern
    return made


def _tags(_: Field) -> dict[str, Any]:
    text = {"type": "string"}
    values = {"oneOf": [text, {"type": "array", "minItems": 1, "items": text}]}
    made = {"type": "object", "minProperties": 1, "propertyNames": {"minLength": 1}, "additionalProperties": values}
    return made | {"examples": [{"Backup": "gold"}]}


def _names(field: Field) -> dict[str, Any]:
    made = {"type": "object", "minProperties": 1, "propertyNames": {"pattern": field.pattern}}
    return made | {"additionalProperties": _text(field)}


def _count(field: Field) -> dict[str, Any]:
    if field.minimum == field.maximum:
        return {"type": "integer", "enum": [field.minimum]}
    return {"type": "integer", "minimum": field.minimum, "maximum": field.maximum}


_SIMPLE: Mapping[ValueType, Callable[[Field], dict[str, Any]]] = {
    ValueType.COUNT: _count,
    ValueType.DURATION: lambda field: {"type": "string", "pattern": field.pattern or PATTERN},
    ValueType.MINUTES: lambda _: {"type": "string", "pattern": PATTERN},
    ValueType.TEXT: _text,
    ValueType.FLAG: lambda _: {"type": "boolean"},
    ValueType.TEXTS: lambda field: {"type": "array", "minItems": 1, "items": _text(field)},
    ValueType.TAGS: _tags,
    ValueType.NAMES: _names,
}


def _default(shape: Shape, field: Field) -> Any:
    """Return the default to show; None where it only means that the key is left out."""
    value = shape.default(field)
    if field.required or value is MISSING or field.inherited:
        return None
    if isinstance(value, timedelta):
        return format_duration(value) if value else None
    return value if isinstance(value, (bool, str, int)) and value not in ("", 0) else None


if __name__ == "__main__":
    sys.stdout.write(render_schema())
