"""What is installed: the stacks' parameters, the policies in force, and readers that cannot write, for the commands that look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from snapkeep.cli.common import AwsSettings
from snapkeep.cli.errors import WrongUse, one_line, out_of_reach
from snapkeep.domain.copies.entry import OPEN
from snapkeep.domain.errors import AwsUnavailable, SnapkeepError
from snapkeep.domain.policy.model import Limits, PolicySet, from_dr_parameters, from_parameters
from snapkeep.usecases.policies import in_force, regions_known

if TYPE_CHECKING:
    from snapkeep.adapters.dynamodb_queue import DynamoDbQueue
    from snapkeep.adapters.ec2_reader import Ec2Reader
    from snapkeep.adapters.regional import RegionalAdapters
    from snapkeep.adapters.ssm_policies import SsmPolicyStore
    from snapkeep.domain.retention.holds import SnapshotInRegion
    from snapkeep.usecases.ports import DeletionGuards

PRIMARY, DR = "primary", "dr"
NOT_DEPLOYED = "the templates' defaults: no stack is deployed"
_WITHOUT = {PRIMARY: "nothing is protected until it is deployed", DR: "nothing is copied there until it is deployed"}
_LIMITS = {"MaxDeletions": "100", "MaxDeletionSharePercent": "75"}
PRIMARY_DEFAULTS = {"tagKeyValue": "none", "DRKmsKey": "", "CopyWithinHours": "24", "Retention": "7"} | _LIMITS
DR_DEFAULTS = {"Retention": "1"} | _LIMITS
"""The templates' defaults, which a test holds against the templates: reading those takes longer than planning."""


@dataclass(frozen=True, slots=True)
class RegionSeen:
    """One region, as far as it could be asked."""

    region: str
    stack: Mapping[str, str]
    """Its stack's parameters; empty if there is no stack, or nobody could ask."""
    policies: PolicySet
    """What is in force there; where nobody could ask, what the template's defaults say, or nothing in the primary region."""
    problem: str = ""
    """Why it could not be asked; empty when it could."""


@dataclass(frozen=True, slots=True)
class _CliClients:
    """Clients for `RegionalAdapters`. EC2's reads listings with the lean parser."""

    settings: AwsSettings

    def get(self, service: str, *, region: str = "", once: bool = False) -> Any:  # noqa: ARG002 - no command writes to EC2
        """Return the client of a service in a region. Raise NoCredentialsError (botocore's)."""
        client = self.settings.client(service, region or self.settings.region)
        return self._lean(client) if service == "ec2" else client

    def _lean(self, client: Any) -> Any:
        from botocore.exceptions import NoCredentialsError  # noqa: PLC0415 - imports botocore

        from snapkeep.adapters.clock import WallClock  # noqa: PLC0415
        from snapkeep.adapters.ec2_lean_listing import LeanEc2Client  # noqa: PLC0415

        credentials: Any = self.settings.session().get_credentials()
        if credentials is None:
            raise NoCredentialsError
        return LeanEc2Client(client=client, credentials=credentials, pause=WallClock().pause)


@dataclass(frozen=True)
class Installed:
    """A system in its regions, as far as the chosen AWS shows it."""

    settings: AwsSettings
    _stacks: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def region_of(self, kind: str) -> str:
        """Given `primary` or `dr`, return the region."""
        return self.settings.region if kind == PRIMARY else self.settings.dr_region

    @cached_property
    def _adapters(self) -> RegionalAdapters:
        from snapkeep.adapters.regional import RegionalAdapters  # noqa: PLC0415 - imports botocore

        return RegionalAdapters(_CliClients(self.settings), self.settings)

    def reader(self, region: str) -> Ec2Reader:
        """Return a reader of a region's EC2. Raise NoCredentialsError (botocore's)."""
        return self._adapters.reader_of(region)

    def guards(self, region: str) -> DeletionGuards:
        """Return what knows a region's AMIs and locks."""
        return self._adapters.guards_of(region)

    def store(self, region: str) -> SsmPolicyStore:
        """Return the store of a region's policy document."""
        return self._adapters.policy_store_of(region)

    def queue(self, region: str) -> DynamoDbQueue:
        """Return the queue of a DR region."""
        return self._adapters.queue_of(region)

    def regions(self, *policies: PolicySet) -> list[str]:
        """Given policies, return the primary region, the DR region, and every other region that they copy to."""
        known = [self.settings.region, self.settings.dr_region]
        copied_to = {rule.region for one in policies for policy in one.policies for rule in policy.copies}
        return known + sorted(copied_to.difference(known))

    def stack_parameters(self, kind: str, region: str = "") -> Mapping[str, str]:
        """Given `primary` or `dr`, return its stack's parameters, read once; empty if there is no such stack."""
        stack = self._stack(kind, region or self.region_of(kind))
        return {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", ())}

    def stack_outputs(self, kind: str) -> Mapping[str, str]:
        """Given `primary` or `dr`, return its stack's outputs. Raise WrongUse if there is no such stack."""
        region = self.region_of(kind)
        stack = self._stack(kind, region)
        if not stack:
            raise WrongUse(f"there is no stack {self.settings.system}-{kind} in {region}: run `snapkeep deploy`")
        return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}

    def _stack(self, kind: str, region: str) -> Mapping[str, Any]:
        """Given a stack, return what CloudFormation says of it, asked once; nothing if there is no such stack."""
        if (kind, region) not in self._stacks:
            self._stacks[kind, region] = self._describe_stack(kind, region)
        return self._stacks[kind, region]

    def _describe_stack(self, kind: str, region: str) -> Mapping[str, Any]:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - imports botocore

        client = self.settings.client("cloudformation", region)
        try:
            described: Mapping[str, Any] = client.describe_stacks(StackName=f"{self.settings.system}-{kind}")["Stacks"][0]
        except ClientError as error:
            if "does not exist" in error.response["Error"].get("Message", ""):
                return {}
            raise
        return described

    def stacks_missing(self, regions: Iterable[str]) -> list[str]:
        """Given regions, the primary's among them, return in words for each in which nothing is deployed what that means."""
        kinds = [(PRIMARY if region == self.settings.region else DR, region) for region in regions]
        return [
            f"there is no stack {self.settings.system}-{kind} in {region}: {_WITHOUT[kind]}"
            for kind, region in kinds
            if not self.stack_parameters(kind, region)
        ]

    def parameters_as_policies(self, regions: Sequence[str] = ()) -> dict[str, PolicySet]:
        """Return for each region (at least both) the policy that its stack's parameters make, or would by their defaults."""
        made = {self.settings.region: self._primary_parameters_as_policies(DR_DEFAULTS | dict(self.stack_parameters(DR)))}
        return made | {one: self._dr_parameters_as_policies(one) for one in (regions or self.regions())[1:]}

    def _primary_parameters_as_policies(self, there: Mapping[str, str]) -> PolicySet:
        """Given the parameters of the DR stack, return the policy that the primary stack's make."""
        primary = self.stack_parameters(PRIMARY)
        chosen = PRIMARY_DEFAULTS | dict(primary)
        policies = from_parameters(
            chosen["tagKeyValue"],
            primary.get("DRRegion", self.settings.dr_region),
            int(chosen["Retention"]),
            int(there["Retention"]),
            chosen["DRKmsKey"],
            int(chosen["CopyWithinHours"]),
            _limits(chosen),
            region=self.settings.region,
        )
        return policies if primary else replace(policies, source=NOT_DEPLOYED)

    def _dr_parameters_as_policies(self, region: str) -> PolicySet:
        given = self.stack_parameters(DR, region)
        chosen = DR_DEFAULTS | dict(given)
        policies = from_dr_parameters(region, int(chosen["Retention"]), _limits(chosen))
        return policies if given else replace(policies, source=NOT_DEPLOYED)

    def policies_in_force(self, *others: PolicySet) -> dict[str, PolicySet]:
        """Return what is in force in the primary region, in the DR region, and in every one that it or `others` copy to."""
        region = self.settings.region
        of_primary = in_force(self.store(region), self.parameters_as_policies()[region])
        return self.in_force_in(self.regions(of_primary, *others))

    def in_force_in(self, regions: Sequence[str]) -> dict[str, PolicySet]:
        """Given regions, the primary's first, return what is in force in each; `problem` says of which a document is broken."""
        made = self.parameters_as_policies(regions)
        return {one: in_force(self.store(one), policies) for one, policies in made.items()}

    def regions_dropped(self, policies: PolicySet) -> list[RegionSeen]:
        """Given policies, return the regions with a stack that they do not copy to, and that a former version copied to.

        One that cannot be asked is among them, and says why.
        """
        region = self.settings.region
        known = regions_known(self.store(region), self.parameters_as_policies()[region])
        copied_to = {rule.region for policy in policies.policies for rule in policy.copies}
        seen = [self.dr_region_seen(one) for one in sorted(known - copied_to - {region})]
        return [one for one in seen if one.stack or one.problem]

    def primary_seen(self) -> RegionSeen:
        """Return the primary region, which may be out of reach. Raise what else AWS refuses.

        The DR stack is asked nothing: the retention of copies is not what the primary region goes by.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - imports botocore

        region = self.settings.region
        try:
            policies = self._primary_parameters_as_policies(DR_DEFAULTS)
            return RegionSeen(region, self.stack_parameters(PRIMARY), in_force(self.store(region), policies))
        except (AwsUnavailable, BotoCoreError, ClientError) as error:
            if not out_of_reach(error):
                raise
            return RegionSeen(region, {}, PolicySet(()), f"{region} could not be read: {one_line(error)}")

    def dr_regions(self, of_primary: PolicySet) -> list[RegionSeen]:
        """Given what is in force in the primary region, return each region that it copies to, and the DR region if it is used.

        One that cannot be asked is among them, and says why.
        """
        named = {rule.region for policy in of_primary.policies for rule in policy.copies}
        seen = [self.dr_region_seen(region) for region in self.regions(of_primary)[1:]]
        asked_for = bool(of_primary.policies)
        return [one for one in seen if one.region in named or one.stack or (one.problem and not asked_for)]

    def dr_region_seen(self, region: str) -> RegionSeen:
        """Given a DR region, return it as far as it can be asked."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - imports botocore

        stack: Mapping[str, str] = {}
        policies = from_dr_parameters(region, int(DR_DEFAULTS["Retention"]), _limits(DR_DEFAULTS))
        try:
            stack = self.stack_parameters(DR, region)
            policies = self._dr_parameters_as_policies(region)
            if stack:
                policies = in_force(self.store(region), policies)
        except (SnapkeepError, BotoCoreError, ClientError) as error:
            return RegionSeen(region, stack, policies, f"{region} could not be read: {one_line(error)}")
        return RegionSeen(region, stack, policies)

    def waiting(self, regions: Iterable[str]) -> frozenset[SnapshotInRegion]:
        """Given DR regions, return what the queue of each still has to copy; nothing where there is no DR stack."""
        queues = [self.queue(region) for region in regions if self.stack_parameters(DR, region)]
        return frozenset(
            (entry.request.origin.snapshot_id, queue.region)
            for queue in queues
            for state in OPEN
            for entry in queue.in_state(state)
        )


def _limits(parameters: Mapping[str, str]) -> Limits:
    return Limits(int(parameters["MaxDeletions"]), int(parameters["MaxDeletionSharePercent"]))
