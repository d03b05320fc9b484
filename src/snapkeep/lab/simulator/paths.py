"""The paths, intrinsic functions, payload templates and choice rules of the Amazon States Language in the definitions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

PathReader = Callable[[Any, Mapping[str, Any]], Any]
"""Maps a state's input and the context object to a value. It raises PathMissing if there is none."""

_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+|\*)\]")
_CALL = re.compile(r"States\.(\w+)\((.*)\)", re.DOTALL)
_ARGUMENT = re.compile(r"\s*('(?:[^'\\]|\\.)*'|[^,]+?)\s*(?:,|$)")


class UnknownDefinition(Exception):
    """A definition uses a feature that the simulator lacks. Nothing is skipped, because runs would differ from those on AWS."""


class PathMissing(Exception):
    """A path without a value. Step Functions fails the execution with States.Runtime."""


@cache
def reader(text: str) -> PathReader:
    """Return the reader of a path, a path into the context object (`$$`), or an intrinsic function. Raise UnknownDefinition."""
    if text.startswith("States."):
        return _intrinsic(text)
    of_context = text.startswith("$$")
    steps = _steps(text, text.removeprefix("$").removeprefix("$"))
    if None not in steps:
        return _direct_reader(steps, text, of_context=of_context)

    def read(data: Any, context: Mapping[str, Any]) -> Any:
        return _follow(context if of_context else data, steps, text)

    return read


def _direct_reader(steps: Sequence[str | int | None], text: str, *, of_context: bool) -> PathReader:
    """Return the reader of a path to one value, like most paths."""

    def read(data: Any, context: Mapping[str, Any]) -> Any:
        value: Any = context if of_context else data
        try:
            for step in steps:
                value = value[step]
        except (KeyError, IndexError, TypeError) as error:
            raise PathMissing(f"{text} leads to nothing") from error
        return value

    return read


def _steps(text: str, suffix: str) -> tuple[str | int | None, ...]:
    """Return the names and indexes of a path; None stands for `[*]`."""
    steps: list[str | int | None] = []
    position = 0
    while position < len(suffix):
        match = _STEP.match(suffix, position)
        if match is None:
            raise UnknownDefinition(f"the path {text}")
        name, index = match.groups()
        steps.append(name or (None if index == "*" else int(index)))
        position = match.end()
    if not text.startswith("$"):
        raise UnknownDefinition(f"the path {text}")
    return tuple(steps)


def _follow(value: Any, steps: Sequence[str | int | None], text: str) -> Any:
    """Follow a path to a value of each item of a list."""
    for number, step in enumerate(steps):
        if step is None:
            return [_follow(item, steps[number + 1 :], text) for item in value]
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError) as error:
            raise PathMissing(f"{text} leads to nothing") from error
    return value


def _intrinsic(text: str) -> PathReader:
    match = _CALL.fullmatch(text)
    if match is None or match[1] not in _INTRINSICS:
        raise UnknownDefinition(f"the intrinsic function {text}")
    call = _INTRINSICS[match[1]]
    arguments = [_argument(argument[1]) for argument in _ARGUMENT.finditer(match[2])]
    return lambda data, context: call(*(argument(data, context) for argument in arguments))


def _argument(text: str) -> PathReader:
    if not text.startswith("'"):
        return reader(text)
    literal = text[1:-1].replace("\\'", "'")
    return lambda _data, _context: literal


def _format(template: str, *values: Any) -> str:
    for value in values:
        template = template.replace("{}", str(value), 1)
    return template


def _json(value: Any) -> str:
    return json.dumps(value, default=str)


def _contains(values: Sequence[Any], value: Any) -> bool:
    return value in values


_INTRINSICS: Mapping[str, Callable[..., Any]] = {"ArrayContains": _contains, "Format": _format, "JsonToString": _json}


def template(fields: Mapping[str, Any]) -> PathReader:
    """Return the function that fills in a payload template (Parameters, ResultSelector, ItemSelector): `name.$` is a path."""
    parts: list[tuple[str, PathReader]] = []
    for key, value in fields.items():
        if key.endswith(".$"):
            parts.append((key.removesuffix(".$"), reader(value)))
        elif isinstance(value, Mapping):
            parts.append((key, template(value)))
        else:
            parts.append((key, _constant(value)))
    return lambda data, context: {key: read(data, context) for key, read in parts}


def _constant(value: Any) -> PathReader:
    return lambda _data, _context: value


Predicate = Callable[[Any, Mapping[str, Any]], bool]


def predicate(rule: Mapping[str, Any]) -> Predicate:
    """Return a function of the state's input and the context that evaluates a choice rule. Raise UnknownDefinition."""
    fields = set(rule) - {"Next", "Comment"}
    if fields == {"And"}:
        parts = [predicate(part) for part in rule["And"]]
        return lambda data, context: all(part(data, context) for part in parts)
    if fields == {"Or"}:
        parts = [predicate(part) for part in rule["Or"]]
        return lambda data, context: any(part(data, context) for part in parts)
    if fields == {"Not"}:
        part = predicate(rule["Not"])
        return lambda data, context: not part(data, context)
    (operator,) = fields - {"Variable"} or {""}
    read = reader(rule["Variable"]) if "Variable" in rule else None
    if read is None or operator not in ("IsPresent", "StringEquals", "BooleanEquals"):
        raise UnknownDefinition(f"the choice rule {dict(rule)}")
    expected = rule[operator]
    if operator == "IsPresent":
        return lambda data, context: _is_present(read, data, context) is expected
    return lambda data, context: bool(read(data, context) == expected)


def _is_present(read: PathReader, data: Any, context: Mapping[str, Any]) -> bool:
    try:
        read(data, context)
    except PathMissing:
        return False
    return True
