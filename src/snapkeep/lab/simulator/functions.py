"""The functions of Protect and Receive over a world, with the payloads of the deployed ones, for the state machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

from snapkeep.domain import events
from snapkeep.domain.model import DeletionPlan
from snapkeep.domain.retention.deletion import DeletionOrder
from snapkeep.domain.system import StackKind
from snapkeep.functions import drill, make_for_drill, remove_after_drill, share_with_vault
from snapkeep.functions.drill_payloads import DrillAnswer, DrillCall, MakeCall, RemoveCall
from snapkeep.functions.payload_reader import from_json
from snapkeep.functions.payloads import (
    NOT_OURS,
    DeletionAnswer,
    DeletionCall,
    EnqueueCall,
    EventCall,
    ReceiveAnswer,
    TagAnswer,
    run_state,
    waiting_call,
)
from snapkeep.functions.share_with_vault import ShareCall
from snapkeep.functions.state_budget import deletion_answer, receive_answer, tag_answer
from snapkeep.functions.verify import answer_of, compare
from snapkeep.functions.verify_payloads import RecordAnswer, RecordCall, VerifyAnswer
from snapkeep.lab.simulator.composition import SystemComposition
from snapkeep.lab.simulator.executions import Execution
from snapkeep.usecases.copies.receive import ReceiveOutcome, ReceiveResult
from snapkeep.usecases.drills.ports import MadeResource, Removal
from snapkeep.usecases.notify import notices_of_run
from snapkeep.usecases.ports import DeletionResult
from snapkeep.usecases.vault.share import ShareWithVault

Function = Callable[[Execution, Mapping[str, Any]], Any]
"""Maps the calling execution and a payload to the answer: a payload, which the runner writes as JSON."""


class Surroundings(Protocol):
    """The hooks of the functions, besides the ports."""

    def wake_by_stream(self, region: str) -> None:
        """Wake a DR region's dispatcher by the queue's stream."""

    def plan_made(self, plan: DeletionPlan) -> None:
        """Show a plan that is about to be carried out to the observers."""

    def deleted(self, order: DeletionOrder, result: DeletionResult, plan_id: str) -> None:
        """Count a deletion, and show it to the observers."""


def sharing_of(composition: SystemComposition, region: str) -> ShareWithVault:
    """Return the use case of ShareWithVault in a DR region."""
    use_case = share_with_vault.build(composition.stack(region, StackKind.DR))
    return replace(use_case, sharer=composition.port("sharer", use_case.sharer))


class Functions:
    """The functions by the names of their resources."""

    def __init__(self, composition: SystemComposition, surroundings: Surroundings) -> None:
        self._composition = composition
        self._surroundings = surroundings

    @cached_property
    def by_name(self) -> dict[str, Function]:
        """Return each function under its name in the definitions."""
        return {
            "TagSnapshots": self.tag_snapshots,
            "CopySnapshotToDR": self.copy_snapshot_to_dr,
            "DeleteOldSnapshots": self.delete_old_snapshots,
            "Notification": self.notification,
            "TagSnapshotCopy": self.tag_snapshot_copy,
            "Verify": self.verify,
            "Drill": self.drill,
            "MakeForDrill": self.make_for_drill,
            "RemoveAfterDrill": self.remove_after_drill,
            "ShareWithVault": self.share_with_vault,
        }

    def tag_snapshots(self, execution: Execution, payload: Mapping[str, Any]) -> TagAnswer:
        """Tag the snapshots of an event. Return the copies that their policies request."""
        ended = events.parse_snapshot_event(from_json(EventCall, payload).event)
        if isinstance(ended, events.IgnoredEvent):
            return TagAnswer(NOT_OURS, (), (), ())
        tagged = self._composition.tag_snapshots(execution.region).run(ended)
        return tag_answer(tagged, self._composition.clock.now())[0]

    def copy_snapshot_to_dr(self, execution: Execution, payload: Mapping[str, Any]) -> None:
        """Put the copies of a set, or one for which the execution waits, into the queues of their DR regions."""
        enqueue = self._composition.enqueue()
        if "copies" in payload:
            orders = from_json(EnqueueCall, payload).copies
            try:
                enqueue.run_all([order.request for order in orders], execution.id)
            finally:  # an unreachable region does not prevent copies in other queues
                for region in dict.fromkeys(order.region for order in orders):
                    self._surroundings.wake_by_stream(region)
        else:
            token, request = waiting_call(payload)
            enqueue.run(request, token, execution.id)
            self._surroundings.wake_by_stream(request.region)

    def verify(self, execution: Execution, payload: Mapping[str, Any]) -> VerifyAnswer:
        """Compare a copy with its source for one portion."""
        return answer_of(compare(self._composition.verify(execution.region), payload))

    def drill(self, execution: Execution, payload: Mapping[str, Any]) -> DrillAnswer:
        """Advance a drill to its next step."""
        use_case = drill.build(self._composition.stack(execution.region, StackKind.DR))
        return drill.advance(use_case, from_json(DrillCall, payload))

    def make_for_drill(self, execution: Execution, payload: Mapping[str, Any]) -> MadeResource:
        """Make the next resource of a drill."""
        use_case = make_for_drill.build(self._composition.stack(execution.region, StackKind.DR))
        call = from_json(MakeCall, payload)
        return use_case.run(call.run, call.request)

    def remove_after_drill(self, execution: Execution, payload: Mapping[str, Any]) -> Removal:
        """Remove the resources of a drill."""
        use_case = remove_after_drill.build(self._composition.stack(execution.region, StackKind.DR))
        call = from_json(RemoveCall, payload)
        return use_case.run(call.run, call.removed)

    def share_with_vault(self, execution: Execution, payload: Mapping[str, Any]) -> dict[str, str]:
        """Share a proved copy with its vault."""
        return {"vault": sharing_of(self._composition, execution.region).share(from_json(ShareCall, payload).copy)}

    def tag_snapshot_copy(self, execution: Execution, payload: Mapping[str, Any]) -> ReceiveAnswer | RecordAnswer:
        """Check a copy that has ended, and answer the execution that waits for it; or record a proof."""
        if "proof" in payload:
            proof = from_json(RecordCall, payload).proof
            requested = self._composition.record_proof(execution.region).run(proof)
            self._surroundings.wake_by_stream(execution.region)
            vaults = self._composition.stack(execution.region, StackKind.DR).environment.vault_accounts
            return RecordAnswer(copy_requested=requested, share=proof.proved and bool(vaults))
        ended = events.parse_copy_event(from_json(EventCall, payload).event)
        if isinstance(ended, events.IgnoredEvent):
            received = ReceiveResult(ReceiveOutcome.NOT_OURS, ended.why)
        else:
            received = self._composition.receive(execution.region).run(ended)
            self._surroundings.wake_by_stream(execution.region)
        return receive_answer(received, execution.region, self._composition.clock.now())

    def delete_old_snapshots(self, execution: Execution, payload: Mapping[str, Any]) -> DeletionAnswer:
        """Plan retention, and delete the snapshots that it does not keep."""
        call = from_json(DeletionCall, payload)
        step = self._composition.delete_snapshots(execution.region, self._surroundings.deleted, self._surroundings.plan_made)
        return deletion_answer(step.run(call.volumes, call.copies, call.asked), call)

    def notification(self, execution: Execution, payload: Mapping[str, Any]) -> dict[str, int]:
        """Add a notice for each failure in an execution's state."""
        state = run_state(payload["state"])
        notices = notices_of_run(state, execution.region, execution.id, self._composition.clock.now())
        for notice in notices:
            self._composition.notices_of(execution.region).add(notice)
        return {"notices": len(notices)}
