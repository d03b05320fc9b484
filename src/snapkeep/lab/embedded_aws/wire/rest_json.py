"""The REST-JSON protocol, as far as the EBS direct API uses it: path, query and header parameters, JSON or binary bodies."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from botocore.model import ListShape, OperationModel, Shape, StructureShape
from botocore.utils import parse_timestamp

from snapkeep.lab.embedded_aws.wire.errors import WireError
from snapkeep.lab.embedded_aws.wire.models import operation_model, service_model

_LABEL = re.compile(r"\{(\w+)\+?\}")


@dataclass(frozen=True)
class Route:
    """The HTTP method of an operation and a pattern for its path."""

    method: str
    pattern: re.Pattern[str]
    action: str


@dataclass(frozen=True)
class HttpAnswer:
    """An answer to send."""

    status: int
    headers: dict[str, str]
    body: bytes


@lru_cache(maxsize=8)
def routes(service: str) -> tuple[Route, ...]:
    """Return the routes of a service, those with the longest pattern first."""
    routes = []
    for action in service_model(service).operation_names:
        http = operation_model(service, action).http
        path = str(http["requestUri"]).partition("?")[0]
        pattern = "".join(f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(_LABEL.split(path)))
        routes.append(Route(str(http["method"]), re.compile(f"^{pattern}/?$"), action))
    return tuple(sorted(routes, key=lambda route: -len(route.pattern.pattern)))


def find_action(service: str, method: str, path: str) -> tuple[str, dict[str, str]]:
    """Return the action of a method and path, and the path's labels. Raise WireError if there is no such operation."""
    for route in routes(service):
        match = route.pattern.match(path)
        if match and route.method == method:
            return route.action, {name: unquote(value) for name, value in match.groupdict().items()}
    raise WireError("UnknownOperationException", f"{method} {path} is no operation of {service}", 404)


def parse_request(
    operation: OperationModel, labels: Mapping[str, str], query: Mapping[str, list[str]], headers: Mapping[str, str], body: bytes
) -> dict[str, Any]:
    """Return a request's parameters in the form of botocore's callers. Raise WireError if one is invalid."""
    shape = operation.input_shape
    if shape is None:
        return {}
    payload = shape.serialization.get("payload")
    document = {} if payload or not body else _json(body)
    parameters: dict[str, Any] = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire = str(member.serialization.get("name", name))
        if name == payload:
            parameters[name] = body
        elif location == "uri" and wire in labels:
            parameters[name] = _from_text(member, labels[wire])
        elif location == "querystring" and wire in query:
            parameters[name] = _from_text(member, query[wire][0])
        elif location == "header" and wire.lower() in headers:
            parameters[name] = _from_text(member, headers[wire.lower()])
        elif location is None and wire in document:
            parameters[name] = _from_json(member, document[wire])
    missing = [name for name in shape.required_members if name not in parameters]
    if missing:
        raise WireError("ValidationException", f"The request must contain {', '.join(missing)}")
    return parameters


def answer(operation: OperationModel, values: Mapping[str, Any], request_id: str) -> HttpAnswer:
    """Return the HTTP answer for a botocore-shaped one, with each member in the place that the operation's model defines."""
    shape = operation.output_shape
    headers = {"x-amzn-RequestId": request_id, "Content-Type": "application/json"}
    status = int(operation.http.get("responseCode", 200))
    if shape is None:
        return HttpAnswer(status, headers, b"")
    payload = shape.serialization.get("payload")
    document: dict[str, Any] = {}
    body = b""
    for name, member in shape.members.items():
        if values.get(name) is None:
            continue
        wire = str(member.serialization.get("name", name))
        if name == payload:
            body = bytes(values[name])
            headers["Content-Type"] = "application/octet-stream"
        elif member.serialization.get("location") == "header":
            headers[wire] = _to_text(values[name])
        elif member.serialization.get("location") is None:
            document[wire] = _to_json(member, values[name])
    return HttpAnswer(status, headers, body if payload else json.dumps(document).encode())


def error_answer(code: str, message: str, http_status: int, request_id: str, reason: str = "") -> HttpAnswer:
    """Return the HTTP answer for an error in the shape of REST-JSON services."""
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code, "x-amzn-RequestId": request_id}
    document = {"Message": message, "__type": code, **({"Reason": reason} if reason else {})}
    return HttpAnswer(http_status, headers, json.dumps(document).encode())


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise WireError("ValidationException", "The request's body is not JSON") from error
    if not isinstance(document, dict):
        raise WireError("ValidationException", "The request's body is not a JSON object")
    return document


def _from_text(shape: Shape, text: str) -> Any:
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(text)
            case "boolean":
                return text.lower() == "true"
            case "timestamp":
                return parse_timestamp(text)
            case _:
                return text
    except ValueError as error:
        raise WireError("ValidationException", f"Invalid value '{text}' for {shape.name}") from error


def _from_json(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return {name: _from_json(member, value[name]) for name, member in shape.members.items() if name in value}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_from_json(shape.member, item) for item in value]
    if shape.type_name == "timestamp":
        return parse_timestamp(value)
    if shape.type_name == "blob":
        return base64.b64decode(value)
    return value


def _to_json(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape):
        return {
            str(member.serialization.get("name", name)): _to_json(member, value[name])
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [_to_json(shape.member, item) for item in value]
    if isinstance(value, datetime):
        return value.timestamp()
    if shape.type_name == "blob":
        return base64.b64encode(value).decode()
    return value


def _to_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
