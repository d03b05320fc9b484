"""Reads payloads: apart from their types, of which functions that read others need none."""

from __future__ import annotations

from typing import Any, TypeVar

from snapkeep.domain import json_codec
from snapkeep.domain.errors import InvalidEvent

Payload = TypeVar("Payload")


def from_json(kind: type[Payload], data: Any) -> Payload:
    """Return a payload of a type. Raise InvalidEvent, naming the type and the field, if it cannot be read."""
    try:
        return json_codec.from_json(kind, data)
    except ValueError as error:
        raise InvalidEvent(str(error)) from error
