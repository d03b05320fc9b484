"""Read YAML, and so JSON, strictly: a duplicate key is an error, and so is a value with two readings, such as 012."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.policy.document import InvalidPolicy, to_document
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.policy.problem import PolicyProblem

LARGEST_FILE_BYTES = 1_000_000
"""Far more than can be pushed: a larger file is no policy document."""
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
                raise yaml.MarkedYAMLError(problem=f"the key '{key}' is here twice", problem_mark=key_node.start_mark)
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


def read_file(path: Path) -> Any:
    """Return a file of YAML or JSON as data. Raise InvalidPolicy or InvalidConfiguration if it cannot be read."""
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise InvalidConfiguration(f"{path} is larger than {LARGEST_FILE_BYTES} bytes: that is no policy document")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidConfiguration(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidConfiguration(f"{path} is not text in UTF-8") from error
    return load_data(text)


def readable_yaml(policies: PolicySet) -> str:
    """Return the document of policies as YAML for people, which loads to the same policies."""
    return yaml.safe_dump(to_document(policies), sort_keys=False, allow_unicode=True, width=100)
