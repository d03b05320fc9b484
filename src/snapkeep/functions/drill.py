"""Drill: begin the drills that are due, or take one drill from a step to the next. It makes nothing and removes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snapkeep import __version__
from snapkeep.domain.drills.run import DrillStep, DrillVerdict
from snapkeep.domain.errors import DrillFailed
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.recovery.methods import FULL
from snapkeep.functions.caught_errors import CaughtError, step_error
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.drill_payloads import BeginAnswer, DrillAnswer, DrillCall, DrillState
from snapkeep.functions.log import started
from snapkeep.functions.payload_reader import from_json
from snapkeep.functions.verify_payloads import VerifyRequest
from snapkeep.usecases.drills.advance import AdvanceDrill, StepResult
from snapkeep.usecases.drills.plan import DrillPlanner
from snapkeep.usecases.ports import Problem

if TYPE_CHECKING:
    from snapkeep.domain.drills.ledger import DrillEvidence
    from snapkeep.domain.policy.model import PolicySet
    from snapkeep.usecases.drills.begin import BeginDrills


def build(parts: Composition) -> AdvanceDrill:
    """Make the use case that takes drills from one step to the next."""

    def policies() -> PolicySet:  # the plans of instance drills alone need them
        return parts.policies()

    return AdvanceDrill(
        reader=parts.drill_ec2,
        commands=parts.commands,
        planner=DrillPlanner(reader=parts.drill_ec2, points=parts.points, documents=parts.documents, policies=policies),
        holds=parts.point_holds,
        ledger=parts.drill_ledger,
        pages=parts.reports,
        render=_render,
        clock=parts.clock,
        version=__version__,
    )


def _render(evidence: DrillEvidence) -> str:
    from snapkeep.reports.drill_page import render_drill  # noqa: PLC0415 - only the last step of a drill needs it

    return render_drill(evidence)


def build_begin(parts: Composition) -> BeginDrills:
    """Make the use case that begins drills."""
    from snapkeep.usecases.drills.begin import BeginDrills  # noqa: PLC0415 - drills that are open need it not

    return BeginDrills(
        system=parts.environment.system,
        region=parts.environment.region,
        policies=parts.policies,
        points=parts.points,
        ledger=parts.drill_ledger,
        runs=parts.drill_runs,
        clock=parts.clock,
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return a `DrillAnswer` to the state of a `DrillCall`; begin what is due, and return a `BeginAnswer`, without one."""
    log = started(event, context)
    parts = composition()
    if "state" not in event:
        begun = build_begin(parts).run()
        return to_object(BeginAnswer(tuple(run.id for run in begun)))
    answer = advance(build(parts), from_json(DrillCall, event))
    if answer.verdict and answer.run is not None:
        from snapkeep.functions import drill_metrics, metrics  # noqa: PLC0415 - only the last step of a drill needs them

        when_ms = int(parts.clock.now().timestamp() * 1000)
        metrics.emit(drill_metrics.drill_lines(answer.run, parts.environment.system, when_ms))
        log.info("drill", extra={"audit": "drill", "run": to_object(answer.run), "verdict": answer.verdict})
    return to_object(answer)


def advance(use_case: AdvanceDrill, call: DrillCall) -> DrillAnswer:
    """Return the answer to the state of an execution."""
    state = call.state
    if state.drilled is None:
        run = use_case.begin(state.run, end=state.end)
    else:
        before = state.drilled.run
        result = _result(state, state.drilled.next)
        run = use_case.advance(before, result, repeated=call.retries > 0) if before is not None else None
    if run is None:
        return _without_ledger(state)
    step = run.step()
    if step is not DrillStep.CONCLUDE:
        # Every block is compared, from where the portion before ended.
        proof = VerifyRequest(run.snapshot_id, FULL, verified=state.verified, point=run.point)
        asked = proof if step is DrillStep.PROVE else None
        request = use_case.planner.request(run) if step is DrillStep.MAKE and run.of_instances else None
        return DrillAnswer(run, step, run.wait_seconds(use_case.clock.now()), "", asked, request=request)
    evidence = use_case.conclude(run)
    failed = (Problem(DrillFailed.__name__, run.volume_id, f"{run.drill}: {evidence.cause}"),)
    problems = () if evidence.verdict is DrillVerdict.PASSED else failed
    # A run that another execution ended counts in no metric twice.
    return DrillAnswer(run if evidence.run == run else None, step, 0, str(evidence.verdict), None, problems)


def _without_ledger(state: DrillState) -> DrillAnswer:
    """Return the answer for a drill that has ended, or that the ledger never had: resources with its tag are removed."""
    if state.drilled is None:
        return DrillAnswer(None, DrillStep.REMOVE, 0, "", None)
    causes = state.removed.left if state.removed and not state.removal_failure else (_text(state.removal_failure),)
    problems = tuple(Problem(DrillFailed.__name__, state.run, cause) for cause in causes)
    return DrillAnswer(None, DrillStep.CONCLUDE, 0, str(DrillVerdict.FAILED) if causes else "", None, problems)


def _result(state: DrillState, step: DrillStep) -> StepResult:
    match step:
        case DrillStep.MAKE:
            return StepResult(step, made=None if state.failure else state.made, failure=_text(state.failure))
        case DrillStep.PROVE:
            return _compared(state)
        case DrillStep.REMOVE:
            removed = None if state.removal_failure else state.removed
            return StepResult(step, removal=removed, failure=_text(state.removal_failure))
    return StepResult(step)


def _compared(state: DrillState) -> StepResult:
    verified = state.verified
    if state.failure or verified is None:
        return StepResult(DrillStep.PROVE, failure=_text(state.failure))
    gone = not verified.more and verified.proof is None
    return StepResult(DrillStep.PROVE, proof=verified.proof, failure="its snapshot was deleted by others" if gone else "")


def _text(caught: CaughtError | None) -> str:
    if caught is None:
        return ""
    error = step_error(caught)
    return f"{error.name}: {error.cause}"
