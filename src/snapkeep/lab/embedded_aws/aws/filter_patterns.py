"""Filter patterns of CloudWatch Logs: terms and phrases, and comparisons of JSON fields.

Source: CloudWatch Logs user guide, "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live
Tail". Patterns are case-sensitive. Regular expressions and space-delimited patterns are refused.
"""

from __future__ import annotations

import fnmatch
import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

Matcher = Callable[[str], bool]

_TERM = re.compile(r'([-?]?)("(?:[^"\\]|\\.)*"|\S+)')
_COMPARISON = re.compile(r"\(?\s*\$\.([\w.\-]+)\s*(=|!=|<=|>=|<|>)\s*(\"(?:[^\"\\]|\\.)*\"|[^\s()&|]+)\s*\)?")
_ORDERS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class InvalidFilterPattern(Exception):
    """A pattern that CloudWatch Logs refuses, or that the embedded AWS does not support."""


def compile_pattern(pattern: str) -> Matcher:
    """Return the matcher of a pattern; an empty one matches everything. Raise InvalidFilterPattern."""
    text = pattern.strip()
    if not text:
        return lambda _: True
    if text.startswith("{"):
        return _json_matcher(text)
    if text.startswith(("[", "%")):
        raise InvalidFilterPattern(f"The embedded AWS does not know this form of a filter pattern: {pattern}")
    terms = [(prefix, _unquoted(term)) for prefix, term in _TERM.findall(text)]
    required = [term for prefix, term in terms if not prefix]
    optional = [term for prefix, term in terms if prefix == "?"]
    excluded = [term for prefix, term in terms if prefix == "-"]

    def matches(message: str) -> bool:
        if any(term in message for term in excluded) or not all(term in message for term in required):
            return False
        return not optional or bool(required) or any(term in message for term in optional)

    return matches


def _json_matcher(text: str) -> Matcher:
    """Return the matcher of a JSON pattern. && takes precedence over ||."""
    alternatives = [[_comparison(part) for part in side.split("&&")] for side in text.strip("{} ").split("||")]

    def matches(message: str) -> bool:
        try:
            document = json.loads(message)
        except ValueError:
            return False
        return any(all(holds(document) for holds in comparisons) for comparisons in alternatives)

    return matches


def _comparison(text: str) -> Callable[[Any], bool]:
    match = _COMPARISON.fullmatch(text.strip())
    if match is None:
        raise InvalidFilterPattern(f"Invalid filter pattern: {text.strip()}")
    path, comparison, value = match[1].split("."), match[2], match[3]

    def holds(document: Any) -> bool:
        for name in path:
            document = document.get(name) if isinstance(document, Mapping) else None
        if document is None:
            return False
        if comparison in _ORDERS:
            return isinstance(document, int | float) and _ORDERS[comparison](float(document), float(value))
        return _equals(document, value) == (comparison == "=")

    return holds


def _equals(field: Any, value: str) -> bool:
    if isinstance(field, int | float) and not isinstance(field, bool):
        try:
            return float(field) == float(value)
        except ValueError:
            return False
    text = field if isinstance(field, str) else json.dumps(field)
    return fnmatch.fnmatchcase(text, _unquoted(value))


def _unquoted(term: str) -> str:
    return term[1:-1].replace('\\"', '"') if len(term) > 1 and term.startswith('"') and term.endswith('"') else term
