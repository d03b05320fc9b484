"""The answer side of EC2's query protocol: botocore-shaped answers and errors into EC2's XML.

Each shape becomes a writer once, so that a page of a thousand snapshots only needs string building.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast
from xml.sax.saxutils import escape

from botocore.model import ListShape, Shape, StructureShape

from snapkeep.lab.embedded_aws.wire.models import operation_model

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

# Appends the text of one value to the pieces of a document.
Writer = Callable[[Any, list[str]], None]


def answer_document(action: str, answer: Mapping[str, Any], request_id: str) -> bytes:
    """Return the XML document for the botocore-shaped answer of an EC2 action."""
    pieces = [_DECLARATION, f'<{action}Response xmlns="{NAMESPACE}"><requestId>{request_id}</requestId>']
    shape = operation_model("ec2", action).output_shape
    if shape is not None:
        _answer_writer(action)(answer, pieces)
    else:
        # An action without an output answers <return>true</return>.
        pieces.append("<return>true</return>")
    pieces.append(f"</{action}Response>")
    return "".join(pieces).encode()


def error_document(code: str, message: str, request_id: str) -> bytes:
    """Return EC2's error document."""
    return (
        f"{_DECLARATION}<Response><Errors><Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error></Errors>"
        f"<RequestID>{request_id}</RequestID></Response>"
    ).encode()


@lru_cache(maxsize=512)
def _answer_writer(action: str) -> Writer:
    return _members_writer(cast("StructureShape", operation_model("ec2", action).output_shape), {})


def _members_writer(shape: StructureShape, known: dict[str, Writer]) -> Writer:
    members: dict[str, tuple[str, Writer]] = {}

    def write(value: Mapping[str, Any], pieces: list[str]) -> None:
        for name, part in value.items():
            if part is None or name not in members:
                continue
            tag, write_part = members[name]
            pieces.append(f"<{tag}>")
            write_part(part, pieces)
            pieces.append(f"</{tag}>")

    # The writer is registered before its members are visited, because a shape may contain itself.
    known[shape.name] = write
    for name, member in shape.members.items():
        members[name] = (str(member.serialization.get("name", name)), _writer(member, known))
    return write


def _writer(shape: Shape, known: dict[str, Writer]) -> Writer:
    if isinstance(shape, StructureShape):
        return known.get(shape.name) or _members_writer(shape, known)
    if isinstance(shape, ListShape):
        return _list_writer(shape, known)
    match shape.type_name:
        case "boolean":
            return lambda value, pieces: pieces.append("true" if value else "false")
        case "timestamp":
            return lambda value, pieces: pieces.append(_timestamp(value))
        case "blob":
            return lambda value, pieces: pieces.append(base64.b64encode(value).decode())
        case _:
            return lambda value, pieces: pieces.append(escape(str(value)))


def _list_writer(shape: ListShape, known: dict[str, Writer]) -> Writer:
    tag = str(shape.member.serialization.get("name", "item"))
    opening, closing = f"<{tag}>", f"</{tag}>"
    write_member = _writer(shape.member, known)

    def write(values: list[Any], pieces: list[str]) -> None:
        for value in values:
            pieces.append(opening)
            write_member(value, pieces)
            pieces.append(closing)

    return write


def _timestamp(value: datetime | str) -> str:
    if isinstance(value, str):
        return value
    moment = value.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
