"""Proofs in memory, and the started comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from snapkeep.domain.errors import ProofNotFound
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.recovery.methods import Method, MonthSpending
from snapkeep.domain.recovery.proof import Proof
from snapkeep.usecases.recovery.ports import ProofStore, Verifications, Workers

Result = TypeVar("Result")


class OneAfterAnother(Workers):
    """`Workers` without threads, because virtual time has none."""

    def run(self, calls: Sequence[Callable[[], Result]]) -> list[Result]:
        """Return the results in the order of the calls."""
        return [call() for call in calls]


class MemoryProofs(ProofStore):
    """`ProofStore` in memory."""

    def __init__(self) -> None:
        self.kept: list[Proof] = []

    def put(self, proof: Proof) -> str:
        """Store a proof; return its location."""
        self.kept.append(proof)
        return f"memory:{len(self.kept)}"

    def spending(self, policy: str, month: datetime) -> MonthSpending:
        """Return the cost of a policy's comparisons with a budget that ended in the calendar month (UTC) of a moment."""
        ended = [
            proof.progress
            for proof in self.kept
            if proof.progress.policy == policy and (proof.ended_at.year, proof.ended_at.month) == (month.year, month.month)
        ]
        return MonthSpending(sum(progress.dollars for progress in ended), any(progress.due for progress in ended))

    def last_base(self, volume_id: str, copy_region: str) -> Proof:
        """Return the newest proof of a volume's copies that decides the base of changes. Raise ProofNotFound."""
        for proof in reversed(self.kept):
            pair = proof.progress.pair
            if proof.decides_base and (pair.volume_id, pair.copy_region) == (volume_id, copy_region):
                return proof
        raise ProofNotFound(f"no copy of {volume_id} in {copy_region} was compared")


@dataclass(frozen=True, slots=True)
class Verification:
    """A started comparison."""

    region: str
    copy_id: str
    method: Method
    month_usd: float = 0.0

    @property
    def input(self) -> dict[str, Any]:
        """The input of its execution."""
        return {"copy": self.copy_id, "method": to_object(self.method), "month_usd": self.month_usd}


class MemoryVerifications(Verifications):
    """`Verifications` of one region. A name starts one comparison."""

    def __init__(self, region: str, start: Callable[[Verification], None]) -> None:
        self._region = region
        self._start = start
        self._names: set[str] = set()

    def start(self, copy_id: str, method: Method, name: str, *, month_usd: float = 0.0) -> str:
        """Start the comparison of a copy; return its execution."""
        if name not in self._names:
            self._names.add(name)
            self._start(Verification(self._region, copy_id, method, month_usd))
        return f"verify:{self._region}:{name}"
