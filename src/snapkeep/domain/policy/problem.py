"""The errors of a policy document."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.plural import counted


class PolicyProblem(NamedTuple):
    """The path of an invalid value, the value, a valid one in words, and the nearest valid word for a typing error."""

    path: str
    value: str
    right: str
    nearest: str = ""

    def __str__(self) -> str:
        """Return one sentence in one line. Control characters are escaped, because terminals and messages show it."""
        hint = f" (did you mean {self.nearest}?)" if self.nearest else ""
        sentence = f"{self.path} is {self.value}: {self.right}{hint}"
        return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in sentence)


class InvalidPolicy(InvalidConfiguration):
    """A policy document that cannot be used; `problems` are all its errors."""

    def __init__(self, problems: Collection[PolicyProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            f"the policy document has {counted(len(self.problems), 'error')}: "
            + "; ".join(str(problem) for problem in self.problems)
        )
