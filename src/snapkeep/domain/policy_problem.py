"""One thing that is wrong with a policy document."""

from __future__ import annotations

from typing import NamedTuple


class PolicyProblem(NamedTuple):
    """Where it is, what stands there, what would be right, and the nearest valid word for a typing error."""

    path: str
    value: str
    right: str
    nearest: str = ""

    def __str__(self) -> str:
        """Return it as one sentence."""
        hint = f" (did you mean {self.nearest}?)" if self.nearest else ""
        return f"{self.path} is {self.value}: {self.right}{hint}"
