"""The adapters of each region, put together once for the functions, the commands and the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from snapkeep.adapters.aws_errors import translated
from snapkeep.adapters.clock import WallClock
from snapkeep.adapters.dynamodb_queue import DynamoDbQueue
from snapkeep.adapters.ec2_guards import RecentGuards
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.kms_keys import KmsKeys, RecentKeys
from snapkeep.adapters.s3_documents import S3Documents
from snapkeep.usecases.recovery.record_ports import Documents
from snapkeep.usecases.retention.delete import PacingClock

if TYPE_CHECKING:
    from snapkeep.adapters.ssm_policies import SsmPolicyStore


class AwsClients(Protocol):
    """Makes AWS clients."""

    def get(self, service: str, *, region: str = "", once: bool = False) -> Any:
        """Return the client of a service in a region; without a region, in the caller's own.

        A client made with `once` never repeats a request.
        """
        ...


class SystemNames(Protocol):
    """Names of one system's resources, the same in every region."""

    @property
    def queue_table(self) -> str:
        """The table of the copy queue."""
        ...

    @property
    def bucket_parameter(self) -> str:
        """The SSM parameter with the name of a DR region's bucket."""
        ...

    @property
    def policy_parameter(self) -> str:
        """The SSM parameter of the policy document."""
        ...


class RegionalAdapters:
    """Makes what reads and keeps a system's data in each region, from clients and the system's names.

    It asks the clients for nothing but what a method needs: the IAM role of a function grants no more.
    """

    def __init__(self, clients: AwsClients, names: SystemNames, clock: PacingClock | None = None) -> None:
        self.clients = clients
        self.names = names
        self.clock: PacingClock = clock or WallClock()
        self._buckets: dict[str, str] = {}
        self._keys: dict[str, RecentKeys] = {}

    def reader_of(self, region: str) -> Ec2Reader:
        """Return a reader of EC2 that does not look at keys: for what relies on no snapshot."""
        return Ec2Reader(client=self.clients.get("ec2", region=region), region=region)

    def points_of(self, region: str) -> Ec2Reader:
        """Return a reader of EC2 that shows which snapshots can be restored: it looks at their KMS keys too."""
        client = self.clients.get("ec2", region=region)
        return Ec2Reader(client=client, region=region, fault_of_key=self.keys_of(region).fault_of)

    def keys_of(self, region: str) -> RecentKeys:
        """Return what knows the KMS keys of a region."""
        if region not in self._keys:
            keys = KmsKeys(client=self.clients.get("kms", region=region), region=region)
            self._keys[region] = RecentKeys(keys=keys, clock=self.clock)
        return self._keys[region]

    def forget_keys(self) -> None:
        """Look at the keys of all regions anew."""
        for keys in self._keys.values():
            keys.forget()

    def guards_of(self, region: str) -> RecentGuards:
        """Return what knows the AMIs and locks, from one listing of each within a minute."""
        return RecentGuards(reader=self.reader_of(region), clock=self.clock)

    def queue_of(self, region: str) -> DynamoDbQueue:
        """Return the queue of copies into a DR region."""
        return DynamoDbQueue(client=self.clients.get("dynamodb", region=region), table=self.names.queue_table, region=region)

    def documents_of(self, region: str) -> Documents:
        """Return the recovery documents of a DR region. The name of their bucket is read once.

        Raise AwsRefused where the region has no stack, AwsThrottled or AwsUnavailable.
        """
        if region not in self._buckets:
            name = self.names.bucket_parameter
            with translated(f"the parameter {name} in {region}"):
                answer = self.clients.get("ssm", region=region).get_parameter(Name=name)
            self._buckets[region] = answer["Parameter"]["Value"]
        return S3Documents(client=self.clients.get("s3", region=region), bucket=self._buckets[region])

    def policy_store_of(self, region: str) -> SsmPolicyStore:
        """Return the store of the policy document."""
        from snapkeep.adapters.ssm_policies import SsmPolicyStore  # noqa: PLC0415 - half of the functions need no policy

        return SsmPolicyStore(client=self.clients.get("ssm", region=region), name=self.names.policy_parameter, region=region)
