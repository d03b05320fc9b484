"""Filters that read the answer itself: `metadata-options.http-tokens` is `MetadataOptions.HttpTokens`.

EC2 names most filters after the fields of the answer, in kebab case, lists in the singular. Filters with other names have a
path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from snapkeep.lab.ebs_model.conditions.clock import iso_milliseconds

Answer = Mapping[str, Any]
ValueReader = Callable[[Answer], Iterable[str]]


def readers(names: str, paths: Mapping[str, str] | None = None, *, prefix: str = "") -> dict[str, ValueReader]:
    """Return a reader for each filter: for names in one text, and for those with a path of their own, under a prefix."""
    derived = {name: _path(name) for name in names.split()}
    above = _path(prefix.rstrip(".")) + "." if prefix else ""
    return {prefix + name: _reader(f"{above}{path}".split(".")) for name, path in {**derived, **(paths or {})}.items()}


def _path(name: str) -> str:
    return ".".join(_pascal(part) for part in name.split("."))


def _pascal(part: str) -> str:
    return "".join(word.capitalize() for word in part.split("-"))


def _reader(path: list[str]) -> ValueReader:
    return lambda answer: list(_texts(answer, path))


def _texts(value: Any, path: list[str]) -> Iterable[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _texts(entry, path)
    elif not path:
        if value is not None:
            yield _text(value)
    elif isinstance(value, Mapping):
        name = path[0]
        # A list has a plural name, and a mapping's volume is in `Ebs`.
        for key in (name, name + "s", name + "es"):
            if key in value:
                yield from _texts(value[key], path[1:])
                return
        if "Ebs" in value and name in value["Ebs"]:
            yield from _texts(value["Ebs"][name], path[1:])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return iso_milliseconds(value.timestamp())
    return str(value)
