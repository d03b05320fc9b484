"""The progress of a deployment, as its watcher sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One event of a stack, as CloudFormation reports it."""

    id: str
    stack: str
    region: str
    at: datetime
    logical_id: str
    resource_type: str
    status: str
    reason: str = ""
    physical_id: str = ""

    @property
    def of_the_stack(self) -> bool:
        """Whether it is about the stack itself, not one of its resources."""
        return self.resource_type == "AWS::CloudFormation::Stack" and self.logical_id == self.stack

    @property
    def failed(self) -> bool:
        """Whether it says that something went wrong (`CREATE_FAILED`, `UPDATE_FAILED`, `DELETE_FAILED`)."""
        return self.status.endswith("_FAILED")


class Watcher(Protocol):
    """Shows a deployment's progress."""

    def step(self, text: str) -> None:
        """Begin a step, such as `us-east-2: uploading 3.1 MB`."""

    def note(self, text: str) -> None:
        """Show something that a user should know and that is not an error."""

    def expect(self, resources: int) -> None:
        """Announce how many resources the step changes."""

    def event(self, event: StackEvent) -> None:
        """Show one event of a stack."""


class SilentWatcher:
    """Shows nothing: for programs and tests."""

    def step(self, text: str) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def expect(self, resources: int) -> None:
        """Show nothing."""

    def event(self, event: StackEvent) -> None:
        """Show nothing."""
