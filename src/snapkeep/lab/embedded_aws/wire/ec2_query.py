"""The request side of EC2's query protocol: form fields into the parameters of botocore's model."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.utils import parse_timestamp

from snapkeep.lab.embedded_aws.wire.errors import WireError
from snapkeep.lab.embedded_aws.wire.models import operation_model

_PROTOCOL_FIELDS = frozenset({"Action", "Version"})
# Fields of a signed or presigned request that are not parameters.
_SIGNATURE_PREFIX = "X-Amz-"
_NOT_IN_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 lacks: one of them in a tag would make every listing unreadable permanently."""

Tree = dict[str, Any]


def parse_fields(query_string: str, body: bytes) -> dict[str, str]:
    """Return the fields of a query string and a form body; the body's fields win."""
    fields = dict(parse_qsl(query_string, keep_blank_values=True))
    fields.update(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))
    return fields


def parse_parameters(action: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of an EC2 action in the form of botocore's callers.

    Raise WireError with EC2's own code for an unknown parameter, a missing one, or a value of the wrong type.
    """
    shape = operation_model("ec2", action).input_shape
    tree = _tree(fields)
    if shape is None:
        return {}
    parameters = _structure(shape, tree, "")
    for name in shape.required_members:
        if name not in parameters:
            raise WireError("MissingParameter", f"The request must contain the parameter {name}")
    return parameters


def _tree(fields: Mapping[str, str]) -> Tree:
    root: Tree = {}
    for name, value in fields.items():
        if name in _PROTOCOL_FIELDS or name.startswith(_SIGNATURE_PREFIX):
            continue
        if _NOT_IN_XML.search(value):
            raise WireError("InvalidParameterValue", f"The parameter {name} has a character that XML 1.0 does not have")
        node = root
        *parents, last = name.split(".")
        for parent in parents:
            child = node.setdefault(parent, {})
            if not isinstance(child, dict):
                raise WireError("InvalidParameterCombination", f"The parameter {name} is given both whole and in parts")
            node = child
        node[last] = value
    return root


def wire_name(shape: Shape, default: str) -> str:
    """Return a member's name in an EC2 request: its queryName, or else its capitalised locationName."""
    serialization = shape.serialization
    if "queryName" in serialization:
        return str(serialization["queryName"])
    name = str(serialization.get("name", default))
    return name[0].upper() + name[1:]


def _structure(shape: StructureShape, tree: Tree, path: str) -> dict[str, Any]:
    by_wire_name = {wire_name(member, name): (name, member) for name, member in shape.members.items()}
    values: dict[str, Any] = {}
    for key, node in tree.items():
        if key not in by_wire_name:
            raise WireError("UnknownParameter", f"The parameter {path}{key} is not recognized")
        name, member = by_wire_name[key]
        values[name] = _value(member, node, f"{path}{key}.")
    return values


def _list(shape: ListShape, tree: Tree, path: str) -> list[Any]:
    try:
        positions = sorted(tree, key=int)
    except ValueError as error:
        raise WireError("InvalidParameterValue", f"The parameter {path}* must be numbered from 1") from error
    return [_value(shape.member, tree[position], f"{path}{position}.") for position in positions]


def _value(shape: Shape, node: Any, path: str) -> Any:
    if isinstance(shape, StructureShape | ListShape | MapShape):
        if not isinstance(node, dict):
            if node == "" and isinstance(shape, ListShape):
                return []
            raise WireError("InvalidParameterValue", f"The parameter {path[:-1]} has parts and cannot be given whole")
        if isinstance(shape, StructureShape):
            return _structure(shape, node, path)
        if isinstance(shape, ListShape):
            return _list(shape, node, path)
        raise WireError("InvalidParameter", f"The parameter {path[:-1]} cannot be read: EC2 has no maps in requests")
    if isinstance(node, dict):
        raise WireError("UnknownParameter", f"The parameter {path}{next(iter(node))} is not recognized")
    return _scalar(shape, str(node), path[:-1])


def _scalar(shape: Shape, text: str, path: str) -> str | int | float | bool | datetime | bytes:
    try:
        match shape.type_name:
            case "boolean":
                return _boolean(text)
            case "integer" | "long":
                return int(text)
            case "float" | "double":
                return float(text)
            case "timestamp":
                return parse_timestamp(text)
            case "blob":
                return base64.b64decode(text, validate=True)
            case _:
                return text
    except (ValueError, binascii.Error) as error:
        raise WireError("InvalidParameterValue", f"Invalid value '{text}' for {path}: {shape.type_name} expected") from error


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered not in {"true", "false", "1", "0"}:
        raise ValueError(text)
    return lowered in {"true", "1"}
