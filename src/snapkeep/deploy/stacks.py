"""One CloudFormation stack: change set, execution, events until it is done, and the cause of a failure."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.deploy.changes import ResourceChange
from snapkeep.deploy.progress import StackEvent, Watcher
from snapkeep.deploy.stack_descriptions import ABSENT, StackDescription, describe_stack, does_not_exist
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.labels import LabelledEnum

CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")
_NOTHING_TO_CHANGE = ("didn't contain changes", "No updates are to be performed")
_CASCADE = ("creation cancelled", "update cancelled", "deletion cancelled")
_RUN_ERROR, _RUN_CAUSE = "StackDeleted", "the stack of its state machine is deleted"
_STATE_MACHINE = "AWS::StepFunctions::StateMachine"
_LEFTOVERS = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"})
"""A stack in one of these was never whole, or is partly deleted: it can only be deleted (CloudFormation: stack status codes)."""
_NOT_THERE_YET = frozenset({ABSENT, "DELETE_COMPLETE", "REVIEW_IN_PROGRESS"})


class StackFailed(SnapkeepError):
    """A stack's operation failed; the message names the resource and why."""


_OVERTAKEN = ("ChangeSetNotFound", "InvalidChangeSetStatus")
"""Codes of ExecuteChangeSet where another change set was executed first (botocore: cloudformation 2010-05-15)."""


class StackBusy(SnapkeepError):
    """Another operation runs on the stack."""


class StackNested(SnapkeepError):
    """The stack is nested in another one, which alone can change it."""


class StackLeftover(SnapkeepError):
    """The stack is left over from an operation that failed, and has to be deleted first."""


class StackOutcome(LabelledEnum):
    """The outcome of an operation."""

    CREATED = "created", "created"
    UPDATED = "updated", "updated"
    UNCHANGED = "unchanged", "unchanged"
    DELETED = "deleted", "deleted"
    ABSENT = "absent", "was not there"


@dataclass(frozen=True, slots=True)
class StackResult:
    """One stack after an operation."""

    stack: str
    region: str
    outcome: StackOutcome
    outputs: Mapping[str, str] = field(default_factory=dict)
    retained: tuple[str, ...] = ()
    """The resources that a deletion retained, such as `AWS::S3::Bucket NAME` (`DeletionPolicy: RetainExceptOnCreate`)."""
    changes: tuple[ResourceChange, ...] = ()
    """The changes that a deployment made to the resources."""


@dataclass(frozen=True, slots=True)
class PreparedStack:
    """A change set that was made and not carried out."""

    before: StackDescription
    change_set: str
    """Its ARN; empty where nothing changes."""
    changes: tuple[ResourceChange, ...] = ()

    @property
    def creating(self) -> bool:
        """Whether it creates the stack."""
        return self.before.status in _NOT_THERE_YET


class Stack:
    """One stack in one region."""

    def __init__(
        self, cloudformation: Any, name: str, region: str, watcher: Watcher, *, poll_seconds: float, role_arn: str = ""
    ) -> None:
        self._cloudformation = cloudformation
        self.name = name
        self.region = region
        self._watcher = watcher
        self._poll_seconds = poll_seconds
        self._role = {"RoleARN": role_arn} if role_arn else {}

    def prepare(
        self,
        template_url: str,
        declared: Mapping[str, Any],
        new_values: Mapping[str, str],
        tags: Mapping[str, str],
        may_remove_leftover: Callable[[str], bool],
    ) -> PreparedStack:
        """Make the change set that creates or updates the stack with a template at a URL; return it. Nothing is carried out.

        A declared parameter without a value keeps the one that the stack has. `may_remove_leftover` is called, with the reason,
        before the rest of a failed creation is deleted. Raise StackBusy, StackLeftover, StackFailed.
        """
        before = self._ready_for_change(may_remove_leftover)
        creating = before.status in _NOT_THERE_YET
        parameters = _parameters(declared, new_values, {} if creating else before.parameters)
        kept_tags = {} if creating else before.tags  # a change set takes away every tag that it does not name
        kind = "CREATE" if creating else "UPDATE"
        change_set, changes = self._create_change_set(kind, template_url, parameters, {**kept_tags, **tags})
        return PreparedStack(before, change_set, tuple(changes))

    def execute(self, prepared: PreparedStack) -> StackResult:
        """Carry out a change set, wait until it has ended, and return the result. Raise StackBusy or StackFailed."""
        if not prepared.change_set:
            return StackResult(self.name, self.region, StackOutcome.UNCHANGED, prepared.before.outputs)
        # The ids of earlier events first: later events belong to this operation.
        self._watcher.expect(len(prepared.changes))
        seen = {event.id for event in self._events(self.name)}
        try:
            self._cloudformation.execute_change_set(ChangeSetName=prepared.change_set, StackName=self.name)
        except ClientError as error:
            # CloudFormation deletes a stack's other change sets when it executes one (user guide: change sets).
            if error.response["Error"].get("Code") in _OVERTAKEN:
                text = f"stack {self.name} in {self.region} was changed by another deployment meanwhile: deploy again"
                raise StackBusy(text) from error
            raise
        after = self._follow(self._describe().stack_id or self.name, seen)
        if not after.status.endswith("_COMPLETE") or "ROLLBACK" in after.status:
            raise StackFailed(self._why(after, seen))
        outcome = StackOutcome.CREATED if prepared.creating else StackOutcome.UPDATED
        return StackResult(self.name, self.region, outcome, after.outputs, changes=prepared.changes)

    def discard(self, prepared: PreparedStack) -> None:
        """Delete a change set, and the empty stack that exists because of it alone."""
        if prepared.change_set:
            self._delete_change_set(prepared.change_set)

    def _delete_change_set(self, change_set: str) -> None:
        """Delete a change set, and the empty stack of one of kind CREATE. A refusal is noted: it would hide the first error."""
        try:
            self._cloudformation.delete_change_set(ChangeSetName=change_set, StackName=self.name)
            # Another deployment may have carried out a change set of its own meanwhile: then the stack is not empty.
            if self._describe().status == "REVIEW_IN_PROGRESS":
                self._cloudformation.delete_stack(StackName=self.name)
        except (BotoCoreError, ClientError) as error:
            self._watcher.note(f"{self.region}: change set {change_set} of stack {self.name} stays: {error}")

    def delete(self) -> StackResult:
        """Delete the stack, wait until it is deleted, and return the result. Raise StackBusy, StackFailed."""
        before = self._describe()
        if before.status in (ABSENT, "DELETE_COMPLETE"):
            return StackResult(self.name, self.region, StackOutcome.ABSENT)
        if before.status.endswith("_IN_PROGRESS") and before.status not in ("REVIEW_IN_PROGRESS", "DELETE_IN_PROGRESS"):
            raise StackBusy(self._busy(before))
        self._refuse_nested(before)
        seen = {event.id for event in self._events(before.stack_id)}
        self._watcher.expect(self._count_resources(before.stack_id))
        # By its id: a deleted stack can be described by no other name.
        self._cloudformation.delete_stack(StackName=before.stack_id, **self._role)
        after = self._follow(before.stack_id, seen)
        if after.status not in ("DELETE_COMPLETE", ABSENT):
            raise StackFailed(self._why(after, seen))
        skipped = [event for event in self._events(before.stack_id, until=seen) if event.status == "DELETE_SKIPPED"]
        retained = tuple(f"{event.resource_type} {event.physical_id}" for event in reversed(skipped))
        return StackResult(self.name, self.region, StackOutcome.DELETED, retained=retained)

    def stop_runs(self, stepfunctions: Any) -> int:
        """Stop the executions of the stack's state machines that have not ended, and return how many there were.

        A state machine is deleted only when its last execution has ended (botocore: DeleteStateMachine).
        """
        stopped = 0
        for arn in self.resources(_STATE_MACHINE):
            running = stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=arn, statusFilter="RUNNING")
            for run in (run for page in running for run in page["executions"]):
                stepfunctions.stop_execution(executionArn=run["executionArn"], error=_RUN_ERROR, cause=_RUN_CAUSE)
                stopped += 1
        return stopped

    def resources(self, resource_type: str) -> list[str]:
        """Return the physical ids of the stack's resources of a type; none where there is no such stack."""
        try:
            answers = list(self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name))
        except ClientError as error:
            if does_not_exist(error):
                return []
            raise
        listed = (resource for page in answers for resource in page["StackResourceSummaries"])
        ids = [resource.get("PhysicalResourceId") for resource in listed if resource["ResourceType"] == resource_type]
        return [physical_id for physical_id in ids if physical_id]

    def parameters(self) -> Mapping[str, str]:
        """Return the parameters of the deployed stack; none where there is no such stack, or it was never whole."""
        stack = self._describe()
        return {} if stack.status in _NOT_THERE_YET | _LEFTOVERS else stack.parameters

    def tags(self) -> Mapping[str, str]:
        """Return the tags of the stack; none where there is no such stack."""
        return self._describe().tags

    def _ready_for_change(self, may_remove_leftover: Callable[[str], bool]) -> StackDescription:
        stack = self._describe()
        self._refuse_nested(stack)
        if stack.status in _LEFTOVERS:
            story = (
                f"stack {self.name} in {self.region} is left over from a failed operation ({stack.status}) and cannot be updated"
            )
            if not may_remove_leftover(story):
                raise StackLeftover(f"{story}: delete it, or deploy with --remove-failed")
            self.delete()
            return StackDescription(ABSENT)
        if stack.status == "UPDATE_ROLLBACK_FAILED":
            raise StackLeftover(
                f"stack {self.name} in {self.region} could not roll back: see its events, then "
                f"`aws cloudformation continue-update-rollback --stack-name {self.name} --region {self.region}`"
            )
        if stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS":
            raise StackBusy(self._busy(stack))
        return stack

    def _create_change_set(
        self, kind: str, template_url: str, parameters: list[dict[str, Any]], tags: Mapping[str, str]
    ) -> tuple[str, list[ResourceChange]]:
        """Make a change set and wait until it is ready; return its ARN, empty where nothing changes, and its changes."""
        change_set = self._cloudformation.create_change_set(
            StackName=self.name,
            ChangeSetName=f"snapkeep-{uuid.uuid4().hex[:12]}",
            ChangeSetType=kind,
            TemplateURL=template_url,
            Parameters=parameters,
            Capabilities=list(CAPABILITIES),
            **self._role,
            Tags=tag_list(tags),
        )["Id"]
        while True:
            description = self._cloudformation.describe_change_set(ChangeSetName=change_set, StackName=self.name)
            if description["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                break
            time.sleep(self._poll_seconds)
        if description["Status"] == "CREATE_COMPLETE":
            return str(change_set), list(self._changes(change_set))
        reason = str(description.get("StatusReason", "no reason given"))
        self._delete_change_set(change_set)
        # CloudFormation has no code for an update without changes, only this text.
        if any(words in reason for words in _NOTHING_TO_CHANGE):
            return "", []
        raise StackFailed(f"stack {self.name} in {self.region}: {' '.join(reason.split())}")

    def _changes(self, change_set: str) -> Iterator[ResourceChange]:
        """Yield the changes of resources of a change set."""
        pages = self._cloudformation.get_paginator("describe_change_set")
        for page in pages.paginate(ChangeSetName=change_set, StackName=self.name):
            for change in (entry["ResourceChange"] for entry in page.get("Changes", ())):
                action, name, kind = (change[key] for key in ("Action", "LogicalResourceId", "ResourceType"))
                replaced, policy_action = change.get("Replacement", ""), change.get("PolicyAction", "")
                yield ResourceChange(self.region, action, name, kind, replaced, policy_action)

    def _count_resources(self, stack_id: str) -> int:
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
        return sum(len(page["StackResourceSummaries"]) for page in pages)

    def _follow(self, stack_id: str, seen: set[str]) -> StackDescription:
        """Show new events until the stack rests; return how it then is. `seen` holds the ids of events from before."""
        shown = set(seen)
        while True:
            stack = self._describe(stack_id)  # before the events: then none that led to this state is missed
            for event in reversed(list(self._events(stack_id, until=shown))):
                shown.add(event.id)
                self._watcher.event(event)
            if not stack.status.endswith("_IN_PROGRESS"):
                return stack
            time.sleep(self._poll_seconds)

    def _events(self, stack_id: str, until: set[str] | None = None) -> Iterator[StackEvent]:
        """Yield events, newest first, down to the first that is known already."""
        try:
            for page in self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id):
                for raw in page["StackEvents"]:
                    if until is not None and raw["EventId"] in until:
                        return
                    yield StackEvent(
                        id=raw["EventId"],
                        stack=self.name,
                        region=self.region,
                        at=raw["Timestamp"],
                        logical_id=raw.get("LogicalResourceId", ""),
                        resource_type=raw.get("ResourceType", ""),
                        status=raw.get("ResourceStatus", ""),
                        reason=raw.get("ResourceStatusReason", ""),
                        physical_id=raw.get("PhysicalResourceId", ""),
                    )
        except ClientError as error:
            if not does_not_exist(error):
                raise

    def _why(self, after: StackDescription, seen: set[str]) -> str:
        """Describe the first failure, which caused those after it."""
        events = [event for event in reversed(list(self._events(after.stack_id or self.name))) if event.id not in seen]
        failures = [event for event in events if event.failed and not any(words in event.reason for words in _CASCADE)]
        failures.sort(key=lambda event: event.of_the_stack)  # stable: resources first, in the order they failed
        ended = f"stack {self.name} in {self.region} ended in {after.status}"
        if not failures:
            return f"{ended}, and no event says why"
        first = failures[0]
        return f"{ended}: {first.logical_id} ({first.resource_type}) {first.status}: {' '.join(first.reason.split())}"

    def _refuse_nested(self, stack: StackDescription) -> None:
        if stack.parent_id:
            raise StackNested(f"stack {self.name} in {self.region} is nested in {stack.parent_id}: change that stack")

    def _busy(self, stack: StackDescription) -> str:
        return f"stack {self.name} in {self.region} is in {stack.status}: wait until that has ended, then try again"

    def _describe(self, stack_id: str = "") -> StackDescription:
        return describe_stack(self._cloudformation, stack_id or self.name)


def _parameters(declared: Mapping[str, Any], new_values: Mapping[str, str], present: Mapping[str, str]) -> list[dict[str, Any]]:
    chosen: list[dict[str, Any]] = [{"ParameterKey": name, "ParameterValue": value} for name, value in new_values.items()]
    kept = [name for name in declared if name in present and name not in new_values]
    return chosen + [{"ParameterKey": name, "UsePreviousValue": True} for name in kept]
