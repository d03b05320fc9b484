"""Ports in memory and in virtual time, and wrappers of ports: hooks, and checks that a region is reachable."""

from __future__ import annotations

import sys
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from snapkeep.domain.errors import DocumentChanged, DocumentNotFound
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.model import DeletionPlan
from snapkeep.domain.retention.deletion import DeletionOrder
from snapkeep.domain.retention.placed_holds import PlacedHold
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.simulator.kernel import Kernel, TokenAnswer
from snapkeep.usecases.copies.pull import OwnerBuses, SharedSnapshot
from snapkeep.usecases.drills.ports import DrillRuns
from snapkeep.usecases.placed_holds import HoldStore
from snapkeep.usecases.ports import Clock, CopyResult, DeletionResult, LockRequests, Notice, Notices, TaskTokens
from snapkeep.usecases.recovery.record_ports import LISTED, Document, Documents

Hook = Callable[[str], None]
"""Called with `port.method` before and after every call of a port. It may raise to end the step at this point."""

LAST_CHARACTER = chr(sys.maxunicode)


class StepKill(Exception):
    """The interruption of a step between two calls, like a function's time-out."""


def no_audit(_: DeletionOrder, __: DeletionResult, ___: str) -> None:
    """Ignore an audit line of a deletion."""


def no_notice(_: DeletionPlan) -> None:
    """Ignore a notice of a plan."""


class KernelClock(Clock):
    """`Clock` and `Pacer` in virtual time."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return utc(self._kernel.clock.now())

    def pause(self, seconds: float) -> None:
        """Wait, while everything else continues."""
        self._kernel.pause(seconds)


class MemoryBuses(OwnerBuses):
    """`OwnerBuses` that passes the ids of each shared snapshot and its copy to receivers."""

    def __init__(self, receivers: Sequence[Callable[[str, str], object]]) -> None:
        self._receivers = receivers

    def send_complete(self, copies: Sequence[tuple[SharedSnapshot, str]]) -> None:
        """Pass the ids to the receivers."""
        for share, copy_id in copies:
            for receive in self._receivers:
                receive(share.snapshot.id, copy_id)


class KernelTaskTokens(TaskTokens):
    """`TaskTokens` of executions that run in the kernel."""

    def __init__(self, kernel: Kernel, reach: Callable[[str], None]) -> None:
        self._kernel = kernel
        self._reach = reach

    def send_success(self, region: str, token: str, output: CopyResult) -> bool:
        """Answer with success. Return False if no execution waits for it."""
        self._reach(region)
        return self._kernel.answer(token, TokenAnswer(output=to_object(output)))

    def send_failure(self, region: str, token: str, error: str, cause: str) -> bool:
        """Answer with failure. Return False if no execution waits for it."""
        self._reach(region)
        return self._kernel.answer(token, TokenAnswer(error=error, cause=cause))


class MemoryNotices(Notices):
    """`Notices` in memory: all are counted, and the first `kept` are stored."""

    def __init__(self, *, kept: int = 1_000_000) -> None:
        self._kept = kept
        self.count = 0
        self.added: list[Notice] = []

    def add(self, notice: Notice) -> None:
        """Add one notice."""
        self.count += 1
        if len(self.added) < self._kept:
            self.added.append(notice)


class MemoryDocuments(Documents):
    """`Documents` in memory."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self._sorted: list[str] = []  # its sorted keys: runs list those of one day among those of a year

    def get(self, key: str) -> Document:
        """Return a document. Raise DocumentNotFound."""
        if key not in self.documents:
            raise DocumentNotFound(f"there is no {key}")
        return self.documents[key]

    def put(self, key: str, text: str, version: str = "") -> str:
        """Write a document over a version, or a new one; return its version. Raise DocumentChanged."""
        if version != (self.documents[key].version if key in self.documents else ""):
            raise DocumentChanged(f"{key} was written meanwhile")
        if not version:
            insort(self._sorted, key)
        written = str(int(version or 0) + 1)
        self.documents[key] = Document(text, written)
        return written

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, in order."""
        return self._sorted[self._first(prefix) : self._first(prefix + LAST_CHARACTER)]

    def first_keys(self, prefix: str) -> list[str]:
        """Return the first `LISTED` keys that begin with a prefix, in order."""
        first = self._first(prefix)
        return self._sorted[first : min(first + LISTED, self._first(prefix + LAST_CHARACTER))]

    def remove(self, key: str) -> None:
        """Remove a document if it exists, as S3 does."""
        if self.documents.pop(key, None):
            self._sorted.remove(key)

    def _first(self, prefix: str) -> int:
        return bisect_left(self._sorted, prefix)


class MemoryHolds(HoldStore):
    """`HoldStore` in memory."""

    def __init__(self) -> None:
        self.holds: dict[str, PlacedHold] = {}

    def all(self) -> list[PlacedHold]:
        """Return every hold."""
        return list(self.holds.values())

    def place(self, hold: PlacedHold) -> None:
        """Write a hold."""
        self.holds.setdefault(hold.id, hold)

    def release(self, hold_id: str) -> bool:
        """Remove a hold; return False if there is none with this id."""
        return self.holds.pop(hold_id, None) is not None


class MemoryPages:
    """Pages of drills in memory."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}

    def put(self, name: str, content: str, content_type: str) -> str:  # noqa: ARG002 - the port's form
        """Store a page under a name; return its location."""
        self.pages[name] = content
        return f"memory:{name}"


class MemoryDrillRuns(DrillRuns):
    """`DrillRuns` of one region. A name starts one execution."""

    def __init__(self, region: str, start: Callable[[str, Mapping[str, Any]], object]) -> None:
        self._region = region
        self._start = start
        self._names: set[str] = set()

    def start(self, run_id: str, name: str, *, end: bool = False) -> str:
        """Start an execution for a drill, or one that ends it; return its name."""
        if name not in self._names:
            self._names.add(name)
            self._start(self._region, {"run": run_id, "end": end})
        return f"drill:{self._region}:{name}"


class MemoryLockRequests(LockRequests):
    """`LockRequests` of one region."""

    def __init__(self, region: str, start: Callable[[str, Sequence[str]], object]) -> None:
        self._region = region
        self._start = start

    def request(self, snapshot_ids: Sequence[str], version: int = 0) -> None:  # noqa: ARG002 - its policies are always the newest
        """Request the locks of snapshots."""
        self._start(self._region, tuple(snapshot_ids))


class HookedPort:
    """A port that calls a hook before and after every call."""

    def __init__(self, target: Any, name: str, hook: Hook) -> None:
        self._target = target
        self._name = name
        self._hook = hook

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._target, attribute)
        if not callable(value):
            return value
        name = f"{self._name}.{attribute}"

        def call(*arguments: Any, **keywords: Any) -> Any:
            self._hook(name)
            result = value(*arguments, **keywords)
            if isinstance(result, Iterator):
                result = iter(list(result))
            self._hook(name)
            return result

        setattr(self, attribute, call)
        return call


class ReachablePort:
    """A port of a region that raises before a call while the region is unreachable."""

    def __init__(self, target: Any, reach: Callable[[], None]) -> None:
        self._target = target
        self._reach = reach

    def __getattr__(self, attribute: str) -> Any:
        value, reach = getattr(self._target, attribute), self._reach
        if not callable(value):
            return value

        def call(*arguments: Any, **keywords: Any) -> Any:
            reach()
            return value(*arguments, **keywords)

        setattr(self, attribute, call)
        return call
