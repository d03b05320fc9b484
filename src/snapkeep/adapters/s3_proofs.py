"""Proofs in the S3 bucket of a DR region's reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapkeep.adapters.s3_bucket import S3Bucket
from snapkeep.domain.errors import ProofNotFound
from snapkeep.domain.json_codec import from_text, to_text
from snapkeep.domain.recovery.methods import Method, MonthSpending
from snapkeep.domain.recovery.proof import Pair, Proof
from snapkeep.domain.tags import format_time

if TYPE_CHECKING:
    from datetime import datetime

_MICRO = 1_000_000
_REDUCED = "reduced"


class S3Proofs(S3Bucket):
    """`ProofStore` over an S3 client. The bucket keeps earlier versions of each object."""

    def put(self, proof: Proof) -> str:
        """Store a proof under the pair's ids and its end, and under its volume if it decides the base of changes.

        Return its location. No later attempt overwrites it: an attempt without a result does not contradict it.
        """
        pair, name, text = proof.progress.pair, _name(proof), to_text(proof)
        self._write(name, text)
        if proof.progress.policy:
            self._write(_name_of_cost(proof), text)
        if proof.decides_base:
            self._write(_name_of_base(pair.volume_id, pair.copy_region), text)
        return self.location(name)

    def proof(self, pair: Pair, method: Method) -> Proof:
        """Return the newest attempt of a pair by a kind of method, whatever its verdict. Raise ProofNotFound."""
        prefix = _prefix(pair, method)
        newest = max(self._keys(prefix), default="")
        if not newest:
            raise ProofNotFound(f"there is no {self.location(prefix)}*")
        return self._get(newest)

    def spending(self, policy: str, month: datetime) -> MonthSpending:
        """Return the cost of a policy's comparisons with a budget that ended in the calendar month (UTC) of a moment.

        The names of the objects have the costs, a thousand in each answer: no object is read.
        """
        costs = [name.rpartition("/")[2].split("_") for name in self._keys(_folder_of_costs(policy, month))]
        return MonthSpending(sum(int(cost[1]) for cost in costs) / _MICRO, any(cost[2] == _REDUCED for cost in costs))

    def last_base(self, volume_id: str, copy_region: str) -> Proof:
        """Return the newest proof of a volume's copies in a region that decides the base of changes. Raise ProofNotFound."""
        return self._get(_name_of_base(volume_id, copy_region))

    def _get(self, name: str) -> Proof:
        return from_text(Proof, self._read(name, ProofNotFound)[0])


def _prefix(pair: Pair, method: Method) -> str:
    return f"proofs/{pair.copy_region}/{pair.volume_id}/{pair.source_id}/{pair.copy_id}/{method.kind}-"


def _name(proof: Proof) -> str:
    # The names have no colons, which tools for S3 encode. The names of a kind are in the order of time.
    return f"{_prefix(proof.progress.pair, proof.progress.method)}{format_time(proof.ended_at).replace(':', '')}.json"


def _name_of_base(volume_id: str, copy_region: str) -> str:
    return f"proofs/{copy_region}/{volume_id}/base.json"


def _folder_of_costs(policy: str, month: datetime) -> str:
    return f"proofs/costs/{policy}/{month:%Y-%m}/"


def _name_of_cost(proof: Proof) -> str:
    progress = proof.progress
    kind = _REDUCED if progress.due else "whole"
    name = f"{progress.pair.copy_id}-{proof.ended_at:%Y%m%dT%H%M%S}_{round(progress.dollars * _MICRO)}_{kind}_"
    return f"{_folder_of_costs(progress.policy, proof.ended_at)}{name}"
