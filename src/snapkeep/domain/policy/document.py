"""The conversion of a policy document, as data, into a `PolicySet` and back. All errors are collected before one is raised."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from snapkeep.domain.durations import format_duration, parse_duration
from snapkeep.domain.policy.completion import COMPLETION_STEP_MINUTES
from snapkeep.domain.policy.contradictions import contradictions, time_between_copies
from snapkeep.domain.policy.cron import parse_cron
from snapkeep.domain.policy.drill_fields import DRILL
from snapkeep.domain.policy.fields import DOCUMENT, POLICY, VERSION
from snapkeep.domain.policy.group_fields import GROUP
from snapkeep.domain.policy.model import DEFAULT_RPO, Limits, PolicySet
from snapkeep.domain.policy.problem import InvalidPolicy, PolicyProblem
from snapkeep.domain.policy.regions import region_problems
from snapkeep.domain.policy.shapes import Field, Shape, ValueType
from snapkeep.domain.policy.source import PolicySource, SourceKind
from snapkeep.domain.policy.vault_fields import VAULT
from snapkeep.domain.records import dataclass
from snapkeep.domain.suggestion import nearest as nearest_word

_MINUTE = timedelta(minutes=1)
_SHOWN = 60
STANDARD_LIMITS = Limits()
DOCUMENT_SOURCE = PolicySource(SourceKind.DOCUMENT)


def parse_document(
    data: object,
    *,
    region: str = "",
    source: PolicySource = DOCUMENT_SOURCE,
    limits: Limits = STANDARD_LIMITS,
    partitions: Mapping[str, str] | None = None,
) -> PolicySet:
    """Return the policies of a document as data, as JSON or YAML load it. Raise InvalidPolicy with every error.

    `region` is the primary region, which cannot be a destination. Reports name the `source`. `limits` apply if the document
    leaves them out. `partitions` names the partition of every region; without it regions are not checked.
    """
    reader = _Reader()
    parsed = reader.read_object(DOCUMENT, data, "")
    # The parsed values lack those that could not be read: neither they nor the objects around them may also be reported as
    # missing.
    reported = {path for problem in reader.problems for path in (problem.path, problem.path.rpartition(".")[0])}
    problems = reader.problems + [problem for problem in contradictions(parsed, region) if problem.path not in reported]
    if partitions:
        problems += region_problems(parsed, region, partitions)
    if problems:
        raise InvalidPolicy(problems)
    # The default of a deadline is known only here: it derives from the policy around its rule.
    for policy in parsed["policies"]:
        for rule in policy.get("copies", ()):
            rule.setdefault("copy_within", policy.get("rpo", DEFAULT_RPO) - time_between_copies(rule))
    policies = tuple(_build(POLICY, policy) for policy in parsed["policies"])
    groups = tuple(_build(GROUP, group) for group in parsed.get("groups", ()))
    drills = tuple(_build(DRILL, drill) for drill in parsed.get("drills", ()))
    vaults = tuple(_build(VAULT, vault) for vault in parsed.get("vaults", ()))
    limits = replace(limits, **parsed.get("limits", {}))
    return PolicySet(policies, limits, source, groups=groups, drills=drills, vaults=vaults)


def to_document(policies: PolicySet) -> dict[str, Any]:
    """Return the document of policies, without the values that equal their defaults. The stack's limits do not change it."""
    return {"version": VERSION} | _write(DOCUMENT, policies)


def _build(shape: Shape, parsed: Mapping[str, Any]) -> Any:
    """Return the domain object of parsed values."""
    values = {}
    for field in shape.fields:
        if field.name in parsed:
            value = parsed[field.name]
            if field.shape:
                items = [_build(field.shape, item) for item in (value if field.kind is ValueType.OBJECTS else [value])]
                value = tuple(items) if field.kind is ValueType.OBJECTS else items[0]
            values[field.target] = value
    return shape.of(**values)


@dataclass(frozen=True, slots=True)
class _InvalidValue(Exception):
    """A value that cannot be used, with a valid one in words and the nearest valid word."""

    right: str
    nearest: str = ""


class _Reader:
    """Reader of a document: it follows the definition and collects the problems."""

    def __init__(self) -> None:
        self.problems: list[PolicyProblem] = []

    def note(self, path: str, value: object, right: str, nearest: str = "") -> None:
        """Add one problem."""
        self.problems.append(PolicyProblem(path or "document", _short(repr(value)), right, nearest))

    def read_object(self, shape: Shape, data: object, path: str) -> dict[str, Any]:
        """Return the valid values of the object at a path, by key; the others become problems."""
        if not isinstance(data, dict):
            self.note(path, data, "write an object with the keys " + ", ".join(field.name for field in shape.fields))
            return {}
        names = [field.name for field in shape.fields]
        for key in data:
            if key not in names:
                right = "no such key; there are: " + ", ".join(names)
                self.note(join_path(path, str(key)), data[key], right, nearest_word(str(key), names))
        values: dict[str, Any] = {}
        for field in shape.fields:
            here = join_path(path, field.name)
            if field.name not in data:
                if field.required:
                    self.problems.append(PolicyProblem(here, "missing", field.missing))
                continue
            try:
                values[field.name] = self._read(field, data[field.name], here)
            except _InvalidValue as wrong:
                self.note(here, data[field.name], wrong.right, wrong.nearest)
        return values

    def _read(self, field: Field, value: object, path: str) -> Any:
        if field.kind is ValueType.OBJECT and field.shape:
            return self.read_object(field.shape, value, path)
        if field.kind is ValueType.OBJECTS and field.shape:
            if not isinstance(value, list) or (field.required and not value):
                raise _InvalidValue(field.missing or "write a list")
            return [self.read_object(field.shape, item, f"{path}[{number}]") for number, item in enumerate(value)]
        if field.kind is ValueType.TEXTS:
            return self._texts(field, value, path)
        if field.kind is ValueType.TAGS:
            return self._tags(value, path)
        if field.kind is ValueType.NAMES:
            return self._names(field, value, path)
        return _SCALARS[field.kind](field, value)

    def _texts(self, field: Field, value: object, path: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise _InvalidValue(f"write a list with at least one value, such as [{field.example or field.choices[0]}]")
        texts = []
        for number, item in enumerate(value):
            try:
                texts.append(_text(field, item))
            except _InvalidValue as wrong:
                self.note(f"{path}[{number}]", item, wrong.right, wrong.nearest)
        return tuple(texts)

    def _tags(self, value: object, path: str) -> dict[str, tuple[str, ...]]:
        if not isinstance(value, dict) or not value:
            raise _InvalidValue("write tag keys with values, such as {Backup: gold}")
        tags: dict[str, tuple[str, ...]] = {}
        for key, patterns in value.items():
            listed = patterns if isinstance(patterns, list) else [patterns]
            if key == "":
                self.note(path, value, "write a key before each value: no tag has an empty one")
            elif not _is_text(key) or not listed or any(text != "" and not _is_text(text) for text in listed):
                right = 'write a value or a list of values as text, in quotes if it looks like a number or yes or no; "*" is any'
                self.note(join_path(path, str(key)), patterns, right)
            else:
                tags[key] = tuple(listed)
        return tags

    def _names(self, field: Field, value: object, path: str) -> dict[str, str]:
        if not isinstance(value, dict) or not value:
            raise _InvalidValue(f"write what takes the place of what, such as {{m5.4xlarge: {field.example}}}")
        names: dict[str, str] = {}
        for old, new in value.items():
            try:
                names[_text(field, old)] = _text(field, new)
            except _InvalidValue as wrong:
                self.note(join_path(path, str(old)), new, wrong.right, wrong.nearest)
        return names


def _count(field: Field, value: object) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if field.minimum == field.maximum and (not whole or value != field.minimum):
        raise _InvalidValue(f"write {field.minimum}")
    if not isinstance(value, int) or not whole:
        raise _InvalidValue(f"write a whole number from {field.minimum} to {field.maximum}")
    if value == 0 and field.minimum:
        raise _InvalidValue(f"write {field.minimum} or more, or leave it out: a count of 0 would keep nothing")
    if not field.minimum <= value <= field.maximum:
        raise _InvalidValue(f"write a number from {field.minimum} to {field.maximum}")
    return value


def _duration(field: Field, value: object) -> timedelta:
    if not isinstance(value, str):
        raise _InvalidValue("write a whole number and a unit: 90m, 4h, 3d or 1w")
    if field.pattern and not re.fullmatch(field.pattern, value):
        raise _InvalidValue(f"write a whole number of {field.units}")
    try:
        duration = parse_duration(value)
    except ValueError as error:
        raise _InvalidValue(str(error)) from error
    if not field.minimum * _MINUTE <= duration <= field.maximum * _MINUTE:
        shortest, longest = format_duration(field.minimum * _MINUTE), format_duration(field.maximum * _MINUTE)
        raise _InvalidValue(f"write a duration from {shortest} to {longest}")
    return duration


def _minutes(field: Field, value: object) -> int:
    minutes = _duration(field, value) // _MINUTE
    if minutes % COMPLETION_STEP_MINUTES:
        raise _InvalidValue(f"write a multiple of {COMPLETION_STEP_MINUTES}m, such as {field.example}")
    return minutes


def _is_text(value: object) -> bool:
    """Whether a value is text, not empty, that UTF-8 can encode: half a surrogate pair cannot be encoded."""
    return isinstance(value, str) and value != "" and _printable(value) == value


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _text(field: Field, value: object) -> str:
    if not isinstance(value, str) or _printable(value) != value:
        example = field.example or field.choices[0]
        raise _InvalidValue(f"write text, such as {_quoted(example)}")
    if field.choices and value not in field.choices:
        raise _InvalidValue("write one of " + ", ".join(field.choices), nearest_word(value, field.choices))
    if field.pattern and not re.fullmatch(field.pattern, value):
        raise _InvalidValue(f"write something like {field.example}" + (f", {field.units}" if field.units else ""))
    if field.name == "timezone":
        _check_timezone(value)
    if field.name == "cron":
        _check_cron(value)
    return field.choices[field.choices.index(value)] if field.choices else value  # the member of an enum's choices


def _quoted(example: str) -> str:
    """Return an example in YAML: digits without quotes would be a number."""
    return f'"{example}"' if example.isdecimal() else example


def _flag(_: Field, value: object) -> bool:
    if not isinstance(value, bool):
        raise _InvalidValue("write true or false")
    return value


_SCALARS = {
    ValueType.COUNT: _count,
    ValueType.DURATION: _duration,
    ValueType.MINUTES: _minutes,
    ValueType.TEXT: _text,
    ValueType.FLAG: _flag,
}


def _check_timezone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        nearest = nearest_word(name, available_timezones())
        raise _InvalidValue("write an IANA name of a time zone, such as Europe/Berlin", nearest) from error


def _check_cron(text: str) -> None:
    try:
        parse_cron(text)
    except ValueError as error:
        raise _InvalidValue(str(error)) from error


def _write(shape: Shape, value: Any) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for field in shape.fields:
        if not hasattr(value, field.target):
            continue
        attribute = getattr(value, field.target)
        if field.required or field.inherited or attribute != shape.default(field):
            written[field.name] = _write_value(field, attribute)
    return written


def default_of(shape: Shape, field: Field) -> Any:
    """Return the default of a key in the form of a document; None if the default is no value."""
    default = shape.default(field)
    return _write_value(field, default) if default is not MISSING and (default or default is False) else None


def _write_value(field: Field, value: Any) -> Any:
    if field.kind is ValueType.OBJECT and field.shape:
        return _write(field.shape, value)
    if field.kind is ValueType.OBJECTS and field.shape:
        return [_write(field.shape, item) for item in value]
    return _WRITERS[field.kind](value)


def _write_tags(tags: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    return {key: patterns[0] if len(patterns) == 1 else list(patterns) for key, patterns in tags.items()}


_WRITERS: Mapping[ValueType, Callable[[Any], Any]] = {
    ValueType.COUNT: int,
    ValueType.DURATION: format_duration,
    ValueType.MINUTES: lambda minutes: format_duration(minutes * _MINUTE),
    ValueType.TEXT: str,
    ValueType.FLAG: bool,
    ValueType.TEXTS: lambda texts: [str(text) for text in texts],
    ValueType.TAGS: _write_tags,
    ValueType.NAMES: dict,
}


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def join_path(path: str, key: str) -> str:
    """Return the path of a key of the object at a path."""
    return _printable(f"{path}.{_short(key)}" if path else _short(key))
