"""A system whose dispatcher runs only when a test calls it, and its ports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.tags import description_of_copy
from snapkeep.usecases.copies.dispatch import Dispatch, DispatchResult
from support.flows import DR, PRIMARY, Laboratory

QUOTA = 3


class Copier:
    """Starts copies, or raises the given errors, call by call; None starts a copy."""

    def __init__(self, real: Any, *errors: SnapkeepError | None) -> None:
        self.real, self.errors, self.asked = real, list(errors), list[str]()
        self.before: Callable[[], object] = lambda: None

    def start_copy(self, request: CopyRequest) -> str:
        self.asked.append(request.origin.snapshot_id)
        self.before()
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return str(self.real.start_copy(request))


class RecordingKeys:
    """Finds every key good, or raises its fault, and records the keys that were checked."""

    def __init__(self, error: SnapkeepError | None = None) -> None:
        self.error, self.asked = error, list[str]()

    def check(self, key: str) -> str:
        self.asked.append(key)
        if self.error is not None:
            raise self.error
        return key


class ManualClock:
    """A clock that a test sets."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def turn(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class PausedDispatcher(Laboratory):
    """A system whose dispatcher runs only when a test calls it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.runner.dispatch = lambda _: None  # type: ignore[method-assign]

    def waiting(self, count: int) -> list[str]:
        """Return snapshots whose copies wait, in this order."""
        made = []
        for _ in range(count):
            made.append(self.start_snapshot(self.make_volume()))
            self.runner.advance(60)
        assert [self.state(snapshot_id) for snapshot_id in made] == [EntryState.WAITING] * count
        return made

    def dispatcher(self, *errors: SnapkeepError | None, **changes: Any) -> tuple[Dispatch, Copier]:
        real = self.runner.composition.dispatch(DR)
        copier = Copier(real.copier, *errors)
        return replace(real, copier=copier, **changes), copier

    def run(self, *errors: SnapkeepError | None, **changes: Any) -> tuple[DispatchResult, Sequence[str]]:
        dispatch, copier = self.dispatcher(*errors, **changes)
        return dispatch.run("the dispatcher"), copier.asked

    def state(self, source: str) -> EntryState:
        return self.entry(source).state

    def name_key(self, source: str, key: str) -> None:
        self.put(source, request=replace(self.entry(source).request, kms_key=key))

    def copy_by_hand(self, source: str, **tags: str) -> str:
        listed = [{"ResourceType": "snapshot", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
        given: dict[str, Any] = {"TagSpecifications": listed} if tags else {}
        if tags:
            given["Description"] = description_of_copy(self.entry(source).request.origin)
        return str(self.ec2(DR).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=source, **given)["SnapshotId"])
