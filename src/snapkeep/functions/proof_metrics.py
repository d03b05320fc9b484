"""Metrics of proofs, apart from those of sweeps: a cold start of Verify needs none of their types."""

from __future__ import annotations

from snapkeep.domain.recovery.proof import Proof
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.functions.metrics import SYSTEM, metric_line

PROVED = {
    ProofVerdict.PROVED: "CopiesProved",
    ProofVerdict.DIFFERS: "CopiesDiffering",
    ProofVerdict.UNREADABLE: "CopiesUnreadable",
    ProofVerdict.INCOMPLETE: "ProofsIncomplete",
}
"""Verdicts of proofs -> names of metrics."""


def proof_lines(proof: Proof, system: str, when_ms: int, *, of_drill: bool = False) -> list[str]:
    """Return the log line of a proof: its verdict, unless it is of a drill, which is not a copy, and its requests."""
    progress = proof.progress
    verdicts = {} if of_drill else PROVED
    values = {metric: (float(proof.verdict is verdict), "Count") for verdict, metric in verdicts.items()}
    values["BlocksCompared"] = (progress.compared, "Count")
    values["BlockRequests"] = (progress.list_requests + progress.reads, "Count")
    return [metric_line(values, {SYSTEM: system}, when_ms)]
