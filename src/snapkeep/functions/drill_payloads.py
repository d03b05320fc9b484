"""The calls and the answers of a drill's functions, apart from the others, whose cold starts need none of their types."""

from __future__ import annotations

from dataclasses import field

from snapkeep.domain.drills.instances import InstanceRequests
from snapkeep.domain.drills.run import DrillRun, DrillStep
from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.records import dataclass
from snapkeep.functions.caught_errors import CaughtError
from snapkeep.functions.verify_payloads import VerifyAnswer, VerifyRequest
from snapkeep.usecases.drills.ports import MadeResource, Removal
from snapkeep.usecases.ports import Problem


@dataclass(frozen=True, slots=True)
class DrillAnswer:
    """The answer of Drill to the state machine."""

    run: DrillRun | None
    """None: the ledger has no open drill of this name; resources with its tag are removed nevertheless."""
    next: DrillStep
    wait_seconds: int
    verdict: str
    """Empty until the drill is concluded."""
    asked: VerifyRequest | None
    """The next call of Verify."""
    problems: tuple[Problem, ...] = ()
    request: InstanceRequests | None = None
    """The requests of MakeForDrill for the instance that is made next."""


@dataclass(frozen=True, slots=True)
class DrillState:
    """The state of an execution: its input, and the answers of its steps."""

    run: str
    end: bool = field(default=False, metadata=OPTIONAL)
    drilled: DrillAnswer | None = field(default=None, metadata=OPTIONAL)
    made: MadeResource | None = field(default=None, metadata=OPTIONAL)
    verified: VerifyAnswer | None = field(default=None, metadata=OPTIONAL)
    removed: Removal | None = field(default=None, metadata=OPTIONAL)
    failure: CaughtError | None = field(default=None, metadata=OPTIONAL)
    """The error of making or comparing."""
    removal_failure: CaughtError | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class DrillCall:
    """The call of Drill by the state machine; a schedule calls it without a state, for what is due."""

    state: DrillState
    retries: int = field(default=0, metadata=OPTIONAL)
    """How many calls with this state came before (Step Functions developer guide: context object, RetryCount)."""


@dataclass(frozen=True, slots=True)
class MakeCall:
    """The call of MakeForDrill."""

    run: DrillRun
    request: InstanceRequests | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class RemoveCall:
    """The call of RemoveAfterDrill: the name of the drill whose things are removed, and the round before."""

    run: str
    removed: Removal | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class BeginAnswer:
    """The answer of Drill to its schedule: the drills that are open."""

    open: tuple[str, ...]
