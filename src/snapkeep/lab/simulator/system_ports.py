"""The ports of a simulated system: the real adapters over the EC2 of a world, and the queue and the executions in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from snapkeep.adapters.ec2_reader import Ec2Reader, snapshot_from
from snapkeep.adapters.kms_keys import KmsKeys, RecentKeys
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import PolicySet
from snapkeep.lab.simulator.kernel import Kernel
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.lab.simulator.memory_ports import (
    Hook,
    HookedPort,
    KernelClock,
    KernelTaskTokens,
    MemoryDocuments,
    MemoryDrillRuns,
    MemoryHolds,
    MemoryLockRequests,
    MemoryNotices,
    MemoryPages,
    ReachablePort,
)
from snapkeep.lab.simulator.memory_proofs import MemoryProofs, MemoryVerifications, Verification
from snapkeep.lab.simulator.memory_queue import MemoryQueue
from snapkeep.lab.simulator.model_clients import ModelClients


class RememberedSnapshots:
    """`snapshot_from` with a cache: runs list a volume's snapshots many times, and few have changed."""

    MOST = 100_000

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[Mapping[str, Any], Snapshot]] = {}

    def __call__(self, item: Mapping[str, Any], region: str) -> Snapshot:
        """Return the snapshot that EC2 describes."""
        key = region, item["SnapshotId"]
        described, snapshot = self._known.get(key, (None, None))
        if snapshot is None or described != item:
            if len(self._known) >= self.MOST:  # most of them are deleted snapshots
                self._known.clear()
            snapshot = snapshot_from(item, region)
            self._known[key] = item, snapshot
        return snapshot


class SystemPorts:
    """The ports that all stacks of a system share, each made once."""

    def __init__(
        self, kernel: Kernel, layout: SystemLayout, policies: Callable[[], PolicySet], *, hook: Hook | None = None
    ) -> None:
        self.kernel = kernel
        self.world = kernel.world
        self.clock = KernelClock(kernel)
        self.deployed_at = self.clock.now()
        self.notices = MemoryNotices()
        self.queues = {region: MemoryQueue(region=region) for region in layout.destinations}
        self.documents = {region: MemoryDocuments() for region in (*layout.primaries, *layout.destinations)}
        self.hold_stores = {region: MemoryHolds() for region in (*layout.primaries, *layout.destinations)}
        self.policies_of: Callable[[str], PolicySet] = lambda _: policies()
        """Returns the policies in force in a region."""
        self.proofs = MemoryProofs()
        self.verifications: list[Verification] = []
        self.on_verification: Callable[[Verification], None] = self.verifications.append
        self.on_lock_request: Callable[[str, Sequence[str]], object] = lambda *_: None
        """Called with a region and the snapshots of a request to LockSnapshots there."""
        self.pages = MemoryPages()
        self.on_drill: Callable[[str, Mapping[str, Any]], object] = lambda *_: None
        """Called with the region and the input of each started execution of Drill."""
        self.on_word: list[Callable[[str, str], object]] = []
        """Called with the ids of the shared snapshot and its copy in each event of a vault."""
        self.hook, self._layout = hook, layout
        self._built: dict[tuple[str, str], Any] = {}
        self._snapshots = RememberedSnapshots()

    @property
    def layout(self) -> SystemLayout:
        """The system's regions and parameters."""
        return self._layout

    @layout.setter
    def layout(self, layout: SystemLayout) -> None:
        """Change parameters like an update of the stacks: everything is built again."""
        self._layout = layout
        self._built.clear()

    def clients(self, region: str) -> ModelClients:
        """Return clients of the system's account in a region."""
        return ModelClients(self.world, region, self.layout.account_id)

    def _once(self, name: str, region: str, build: Callable[[], Any]) -> Any:
        key = name, region
        if key not in self._built:
            self._built[key] = build()
        return self._built[key]

    def reach(self, region: str) -> None:
        """Raise AwsUnavailable while a region is unreachable."""
        if not self.world.is_reachable(region):
            raise AwsUnavailable(f"no answer from {region}")

    def _reachable(self, target: Any, region: str) -> ReachablePort:
        return ReachablePort(target, partial(self.reach, region))

    def port(self, name: str, target: Any) -> Any:
        """Return a port that calls the hook, if there is one, around every call."""
        return target if self.hook is None else HookedPort(target, name, self.hook)

    def reader(self, region: str) -> Any:
        """Return a reader of EC2."""

        def build() -> Any:
            return self.port("reader", Ec2Reader(client=self.clients(region).get("ec2"), region=region, convert=self._snapshots))

        return self._once("reader", region, build)

    def points(self, region: str) -> Any:
        """Return a reader of EC2 that shows which snapshots can be restored."""

        def build() -> Any:
            clients = self.clients(region)
            keys = RecentKeys(keys=KmsKeys(client_of=lambda: clients.get("kms"), region=region), clock=self.clock)
            ec2, faults = clients.get("ec2"), keys.fault_of
            return self.port("reader", Ec2Reader(client=ec2, region=region, fault_of_key=faults, convert=self._snapshots))

        return self._once("points", region, build)

    def queue_of(self, region: str) -> Any:
        """Return the queue of copies into a DR region, which is unreachable with the region."""
        return self._once("queue", region, lambda: self.port("queue", self._reachable(self.queues[region], region)))

    def hold_store_of(self, region: str) -> Any:
        """Return the store of the holds in a region, which is unreachable with the region."""
        return self._once("holds", region, lambda: self.port("holds", self._reachable(self.hold_stores[region], region)))

    def documents_of(self, region: str) -> Any:
        """Return the documents in a region's bucket, which are unreachable with the region."""
        return self._once("documents", region, lambda: self.port("documents", self._reachable(self.documents[region], region)))

    @property
    def task_tokens(self) -> Any:
        """Answers the executions that wait, in any region."""
        return self._once("task_tokens", "", lambda: self.port("task_tokens", KernelTaskTokens(self.kernel, self.reach)))

    def notices_of(self, region: str) -> Any:
        """Return the notices of a region's stack."""
        return self._once("notices", region, lambda: self.port("notices", self._reachable(self.notices, region)))

    def verifications_of(self, region: str) -> Any:
        """Return the port that starts the comparisons of a DR region."""

        def build() -> Any:
            return self.port("verifications", MemoryVerifications(region, self.on_verification))

        return self._once("verifications", region, build)

    def locks_of(self, region: str) -> Any:
        """Return the port that requests locks in a region."""
        return self._once("locks", region, lambda: self.port("locks", MemoryLockRequests(region, self.on_lock_request)))

    def drill_runs_of(self, region: str) -> Any:
        """Return the port that starts the drills of a DR region."""
        return self._once("drill_runs", region, lambda: self.port("drill_runs", MemoryDrillRuns(region, self.on_drill)))
