"""The call of ShareWithVault, apart from the others: no other function's cold start needs it."""

from __future__ import annotations

from snapkeep.domain.records import dataclass


@dataclass(frozen=True, slots=True)
class ShareCall:
    """The call of ShareWithVault for one copy that was proved."""

    copy: str
    """Its id."""
