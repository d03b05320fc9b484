"""Read YAML, and so JSON, strictly: a duplicate key is an error, and so is a value with two readings, such as 012."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.policy.document import join_path, to_document
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.policy.problem import InvalidPolicy, PolicyProblem

STANDARD_INPUT = Path("-")
LARGEST_FILE_BYTES = 1_000_000
"""Far more than can be pushed: a larger file is not a policy document."""
DEEPEST = 50
"""A policy document has seven levels. PyYAML reads thousands of levels in quadratic time, until Python's stack overflows."""

_PLAIN = {
    "tag:yaml.org,2002:int": (re.compile(r"[-+]?(0|[1-9][0-9]{0,17})"), "a plain whole number"),
    "tag:yaml.org,2002:bool": (re.compile("true|false", re.IGNORECASE), "true or false"),
}
"""The forms that YAML 1.1 and 1.2 read alike: they differ about `012`, `yes` and `off`."""
_MERGE = "tag:yaml.org,2002:merge"


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses duplicate keys, aliases (which could expand without bound), and values with two readings."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose as SafeLoader does, without aliases."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not allowed: write it out", problem_mark=event.start_mark)
        if self.depth >= DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="it is nested deeper than any policy document", problem_mark=mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct as SafeLoader does; an impossible value (the 45th of a month) is an error with its line."""
        plain, right = _PLAIN.get(node.tag, (None, ""))
        if plain and not plain.fullmatch(str(node.value)):
            problem = f"{str(node.value)[:20]} can be read in two ways or in none: write {right}, or text in quotes"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError) as error:
            problem = f"'{node.value}' is not what it looks like: write text in quotes"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct as SafeLoader does, each key once."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key_node.tag == _MERGE:
                raise yaml.MarkedYAMLError(problem="merging (<<) is not allowed: write it out", problem_mark=key_node.start_mark)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key '{key}' appears twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_data(text: str, name: str = "document") -> Any:
    """Return YAML or JSON as data. Raise InvalidPolicy, with the line, if it is neither."""
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise InvalidPolicy([PolicyProblem(name, *why_not_readable(error))]) from error


def why_not_readable(error: yaml.YAMLError) -> tuple[str, str]:
    """Return where the text cannot be read, and why, from PyYAML's error."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return "not readable", str(error).splitlines()[0]
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
    return f"not readable at {place}", str(error.problem or error.context)


@dataclass(frozen=True)
class PolicyFile:
    """The text of a file, and the lines of the paths in it."""

    name: str
    text: str

    def line(self, path: str) -> int:
        """Return the line of a path, such as `policies[0].name`, or of what surrounds it; 0 for the document as a whole."""
        while path and path not in self._lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self._lines[path] if path else 0

    def place(self, path: str) -> str:
        """Return the file and the line of a path, as compilers write them."""
        line = self.line(path)
        return f"{self.name}:{line}" if line else self.name

    @cached_property
    def _lines(self) -> dict[str, int]:
        try:
            return dict(_lines_of(yaml.compose(self.text, Loader=_StrictLoader), ""))
        except yaml.YAMLError:  # its problem names the line
            return {}


def _lines_of(node: yaml.Node | None, path: str) -> Iterator[tuple[str, int]]:
    """Yield every path in a node with its line, from 1: that of an item, or of the key of a value."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = join_path(path, str(key.value))
            yield below, key.start_mark.line + 1
            yield from _lines_of(value, below)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            below = f"{path}[{number}]"
            yield below, item.start_mark.line + 1
            yield from _lines_of(item, below)


def read_file(path: Path) -> PolicyFile:
    """Return the text of a file, or of standard input for `-`. Raise InvalidConfiguration if it cannot be read."""
    name = "<stdin>" if path == STANDARD_INPUT else str(path)
    try:
        if path == STANDARD_INPUT:
            content = sys.stdin.buffer.read(LARGEST_FILE_BYTES + 1)
        else:
            with path.open("rb") as file:
                content = file.read(LARGEST_FILE_BYTES + 1)
        if len(content) > LARGEST_FILE_BYTES:
            raise InvalidConfiguration(f"{name} is larger than {LARGEST_FILE_BYTES} bytes: that is not a policy document")
        return PolicyFile(name, content.decode("utf-8"))
    except OSError as error:
        raise InvalidConfiguration(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidConfiguration(f"{name} is not text in UTF-8") from error


def readable_yaml(policies: PolicySet) -> str:
    """Return the document of policies as YAML for people, which loads to the same policies."""
    return yaml_text(to_document(policies))


def yaml_text(document: Mapping[str, Any]) -> str:
    """Return a document as YAML for people."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
