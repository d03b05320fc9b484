"""The adapters of each region, composed once for the functions, the commands and the simulator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from snapkeep.adapters.aws_errors import translated
from snapkeep.adapters.clock import WallClock

if TYPE_CHECKING:
    from snapkeep.adapters.dynamodb_queue import DynamoDbQueue
    from snapkeep.adapters.ec2_guards import RecentGuards
    from snapkeep.adapters.ec2_reader import Ec2Reader
    from snapkeep.adapters.kms_keys import RecentKeys
    from snapkeep.adapters.ssm_holds import SsmHolds
    from snapkeep.adapters.ssm_policies import SsmPolicyStore
    from snapkeep.domain.retention.placed_holds import PlacedHolds
    from snapkeep.domain.system import SystemNames
    from snapkeep.usecases.ports import PacingClock
    from snapkeep.usecases.recovery.record_ports import Documents


class AwsClients(Protocol):
    """Makes AWS clients."""

    def get(self, service: str, *, region: str = "", once: bool = False) -> Any:
        """Return the client of a service in a region; without a region, in the caller's own.

        With `once`, the client never repeats a request.
        """


class RegionalAdapters:
    """Makes the adapters of a system's data in each region, from clients and the system's names.

    Each method gets only the clients that it needs: the IAM role of a function grants no more.
    """

    def __init__(self, clients: AwsClients, names: SystemNames, clock: PacingClock | None = None) -> None:
        self.clients = clients
        self.names = names
        self.clock: PacingClock = clock or WallClock()
        self._buckets: dict[str, str] = {}
        self._keys: dict[str, RecentKeys] = {}

    def reader_of(self, region: str) -> Ec2Reader:
        """Return a reader of EC2 that does not check keys, for callers that restore nothing."""
        from snapkeep.adapters.ec2_reader import Ec2Reader

        return Ec2Reader(client=self.clients.get("ec2", region=region), region=region)

    def points_of(self, region: str) -> Ec2Reader:
        """Return a reader of EC2 that also checks the KMS keys of snapshots, so that it shows which can be restored."""
        from snapkeep.adapters.ec2_reader import Ec2Reader

        client = self.clients.get("ec2", region=region)
        return Ec2Reader(client=client, region=region, fault_of_key=self.keys_of(region).fault_of)

    def keys_of(self, region: str) -> RecentKeys:
        """Return the adapter of the KMS keys of a region."""
        if region not in self._keys:
            from snapkeep.adapters.kms_keys import KmsKeys, RecentKeys

            keys = KmsKeys(client_of=lambda: self.clients.get("kms", region=region), region=region)
            self._keys[region] = RecentKeys(keys=keys, clock=self.clock)
        return self._keys[region]

    def forget_keys(self) -> None:
        """Clear the caches of keys in all regions."""
        for keys in self._keys.values():
            keys.forget()

    def guards_of(self, region: str) -> RecentGuards:
        """Return the adapter of AMIs and locks, which lists each at most once a minute."""
        from snapkeep.adapters.ec2_guards import RecentGuards

        return RecentGuards(reader=self.reader_of(region), clock=self.clock)

    def queue_of(self, region: str) -> DynamoDbQueue:
        """Return the queue of copies into a DR region."""
        from snapkeep.adapters.dynamodb_queue import DynamoDbQueue

        return DynamoDbQueue(client=self.clients.get("dynamodb", region=region), table=self.names.queue_table, region=region)

    def documents_of(self, region: str) -> Documents:
        """Return the recovery documents of a DR region. The name of their bucket is read once.

        Raise AwsRefused if the region has no stack, AwsThrottled or AwsUnavailable.
        """
        from snapkeep.adapters.s3_documents import S3Documents

        if region not in self._buckets:
            name = self.names.bucket_parameter
            with translated(f"the parameter {name} in {region}"):
                answer = self.clients.get("ssm", region=region).get_parameter(Name=name)
            self._buckets[region] = answer["Parameter"]["Value"]
        return S3Documents(client=self.clients.get("s3", region=region), bucket=self._buckets[region])

    def policy_store_of(self, region: str) -> SsmPolicyStore:
        """Return the store of the policy document."""
        from snapkeep.adapters.ssm_policies import SsmPolicyStore

        return SsmPolicyStore(client=self.clients.get("ssm", region=region), name=self.names.policy_parameter, region=region)

    def hold_store_of(self, region: str) -> SsmHolds:
        """Return the store of the holds in a region."""
        from snapkeep.adapters.ssm_holds import SsmHolds

        return SsmHolds(client=self.clients.get("ssm", region=region), path=self.names.holds_path, region=region)

    def placed_holds(self, regions: Iterable[str], problems: Mapping[str, str] = MappingProxyType({})) -> PlacedHolds:
        """Return the holds in these regions; `problems` are regions that are not read, with the reasons."""
        from snapkeep.usecases.placed_holds import read_holds

        placed = read_holds({region: partial(self.hold_store_of, region) for region in regions if region not in problems})
        not_asked = {region: f"the holds in {region} could not be read: {why}" for region, why in problems.items()}
        return replace(placed, unread={**placed.unread, **not_asked})
