"""The calls and the answers about proofs, apart from the others: most functions' cold starts need none of their types."""

from __future__ import annotations

from dataclasses import field

from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.methods import Method
from snapkeep.domain.recovery.proof import Proof, ProofProgress
from snapkeep.usecases.ports import Problem


@dataclass(frozen=True, slots=True)
class VerifyAnswer:
    """The answer of Verify: the progress of a portion, or the proof."""

    more: bool
    verdict: str = ""
    end: str = ""
    """Why there is no result; empty where there is one."""
    progress: ProofProgress | None = None
    proof: Proof | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """The input of an execution of Verify."""

    copy: str
    method: Method
    budget_usd: float = field(default=0.0, metadata=OPTIONAL)
    month_usd: float = field(default=0.0, metadata=OPTIONAL)
    """The budget of the copy's rule for a month; 0 for no limit."""
    verified: VerifyAnswer | None = field(default=None, metadata=OPTIONAL)
    """The answer of the portion before."""
    point: str = field(default="", metadata=OPTIONAL)
    """In a drill, the point whose restored volume `copy` is a snapshot of, to be compared in place of a source."""


@dataclass(frozen=True, slots=True)
class VerifyCall:
    """The call of Verify."""

    asked: VerifyRequest


@dataclass(frozen=True, slots=True)
class RecordCall:
    """The call of TagSnapshotCopy that records a proof."""

    proof: Proof


@dataclass(frozen=True, slots=True)
class RecordAnswer:
    """The answer of TagSnapshotCopy to a proof."""

    copy_requested: bool
    """Whether another copy is requested in place of one that differs."""
    share: bool = False
    """Whether the copy is proved, and the stack shares copies with vaults."""
