"""Filters of the describe calls: names, exact values, and the wildcards `*` and `?`.

Values of one filter are joined with OR, filters with AND; values are case-sensitive; a backslash makes a wildcard literal [EC2
user guide: list and filter using the CLI and API].
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.store.tags import FlatTags, value_of

Item = TypeVar("Item")
Matcher = Callable[[str], bool]
VALUES_PER_FILTER = 200
_PIECES = re.compile(r"\\.|\*|\?|[^\\*?]+|\\$")


def has_wildcard(value: str) -> bool:
    """Return whether a filter value needs a pattern."""
    return "*" in value or "?" in value or "\\" in value


@lru_cache(maxsize=1024)
def _pattern(value: str) -> re.Pattern[str]:
    parts = []
    for piece in _PIECES.findall(value):
        if piece == "*":
            parts.append(".*")
        elif piece == "?":
            parts.append(".")
        elif piece.startswith("\\") and len(piece) == 2:  # noqa: PLR2004 - a backslash and the escaped character
            parts.append(re.escape(piece[1]))
        else:
            parts.append(re.escape(piece))
    return re.compile("".join(parts), re.DOTALL)


def matcher(values: Collection[str]) -> Matcher:
    """Return a function that returns whether a text matches any value of a filter."""
    patterns = {value: _pattern(value) for value in values if has_wildcard(value)}
    exact = frozenset(values).difference(patterns)
    if not patterns:
        return exact.__contains__
    return lambda text: text in exact or any(pattern.fullmatch(text) for pattern in patterns.values())


def parsed(filters: Sequence[Mapping[str, Any]] | None) -> list[tuple[str, list[str]]]:
    """Return the names and values of a request's Filters. Raise ApiError when they are malformed or too long."""
    result = []
    for entry in filters or ():
        name, values = entry.get("Name"), entry.get("Values")
        if not name:
            raise ApiError("InvalidParameterValue", "The filter 'null' is invalid")
        if not values:
            raise ApiError("InvalidParameterValue", f"The filter '{name}' has no values")
        if len(values) > VALUES_PER_FILTER:
            raise ApiError("FilterLimitExceeded", f"The maximum number of filter values is {VALUES_PER_FILTER}")
        result.append((str(name), [str(value) for value in values]))
    return result


def tag_test(name: str, values: list[str]) -> Callable[[FlatTags], bool] | None:
    """Return a test on tags for `tag:<key>`, `tag-key` or `tag-value`, else None."""
    if not name.startswith("tag"):
        return None
    matches = matcher(values)
    if name.startswith("tag:"):
        key = name[4:]
        return lambda tags: (value := value_of(tags, key)) is not None and matches(value)
    if name == "tag-key":
        return lambda tags: any(matches(key) for key in tags[::2])
    if name == "tag-value":
        return lambda tags: any(matches(value) for value in tags[1::2])
    return None


def tests_for(
    filters: Sequence[tuple[str, list[str]]],
    fields: Mapping[str, Callable[[Item], Iterable[str]]],
    tags_of: Callable[[Item], FlatTags],
) -> list[Callable[[Item], bool]]:
    """Return one test for each filter, from the readers of fields and of tags.

    Raise InvalidParameterValue on a name that the call does not know.
    """
    tests: list[Callable[[Item], bool]] = []
    for name, values in filters:
        on_tags = tag_test(name, values)
        if on_tags is not None:
            tests.append(_tags_test(tags_of, on_tags))
            continue
        read = fields.get(name)
        if read is None:
            raise ApiError("InvalidParameterValue", f"The filter '{name}' is invalid")
        tests.append(_field_test(read, values))
    return tests


def _tags_test(tags_of: Callable[[Item], FlatTags], test: Callable[[FlatTags], bool]) -> Callable[[Item], bool]:
    return lambda item: test(tags_of(item))


def _field_test(read: Callable[[Item], Iterable[str]], values: Collection[str]) -> Callable[[Item], bool]:
    if not any(map(has_wildcard, values)):
        none_of = frozenset(values).isdisjoint
        return lambda item: not none_of(read(item))
    matches = matcher(values)
    return lambda item: any(matches(text) for text in read(item))


def flat_tags_of(answer: Mapping[str, Any]) -> FlatTags:
    """Return the tags of an answer in their compact form."""
    return tuple(text for tag in answer.get("Tags", ()) for text in (tag["Key"], tag["Value"]))


def truth(value: bool) -> tuple[str]:
    """Return the text that a filter compares with a flag."""
    return ("true" if value else "false",)
