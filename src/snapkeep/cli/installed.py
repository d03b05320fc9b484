"""What is installed: the stacks' parameters, the policies in force, and readers that cannot write, for the commands that look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snapkeep.cli.common import AwsSettings
from snapkeep.cli.errors import WrongUse
from snapkeep.domain.policy import Limits, PolicySet, from_dr_parameters, from_parameters
from snapkeep.usecases.policies import in_force

if TYPE_CHECKING:
    from snapkeep.adapters.ec2_reader import Ec2Reader
    from snapkeep.adapters.ssm_policies import SsmPolicyStore
    from snapkeep.domain.holds import SnapshotInRegion
    from snapkeep.usecases.ports import Guards

PRIMARY, DR = "primary", "dr"
NOT_DEPLOYED = "the templates' defaults: no stack is deployed"
_LIMITS = {"MaxDeletions": "100", "MaxDeletionSharePercent": "75"}
PRIMARY_DEFAULTS = {"tagKeyValue": "none", "DRKmsKey": "", "CopyWithinHours": "24", "Retention": "7"} | _LIMITS
DR_DEFAULTS = {"Retention": "1"} | _LIMITS
"""The templates' defaults, which a test holds against the templates: reading those takes longer than planning."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A system in its two regions, as far as the chosen AWS shows it."""

    settings: AwsSettings

    def region_of(self, kind: str) -> str:
        """Given `primary` or `dr`, return the region."""
        return self.settings.region if kind == PRIMARY else self.settings.dr_region

    def reader(self, region: str) -> Ec2Reader:
        """Given a region, return a reader of it, for listings of all that is there. Raise WrongUse without credentials."""
        from snapkeep.adapters.clock import WallClock  # noqa: PLC0415 - imports botocore
        from snapkeep.adapters.ec2_lean import LeanEc2Client  # noqa: PLC0415
        from snapkeep.adapters.ec2_reader import Ec2Reader  # noqa: PLC0415

        credentials: Any = self.settings.session().get_credentials()
        if credentials is None:
            raise WrongUse("no AWS credentials: configure them as for the AWS CLI, or give --profile")
        client: Any = LeanEc2Client(client=self.settings.client("ec2", region), credentials=credentials, pause=WallClock().pause)
        return Ec2Reader(client=client, region=region)

    def guards(self, reader: Ec2Reader) -> Guards:
        """Given a region's reader, return what knows its AMIs and locks, from one listing of each."""
        from snapkeep.adapters.clock import WallClock  # noqa: PLC0415
        from snapkeep.adapters.ec2_guards import RecentGuards  # noqa: PLC0415 - imports boto3

        return RecentGuards(reader=reader, clock=WallClock())

    def store(self, region: str) -> SsmPolicyStore:
        """Given a region, return the store of its policy document."""
        from snapkeep.adapters.ssm_policies import SsmPolicyStore  # noqa: PLC0415 - imports boto3

        name = f"/{self.settings.system}/policy"
        return SsmPolicyStore(client=self.settings.client("ssm", region), name=name, region=region)

    def stack_parameters(self, kind: str, region: str = "") -> Mapping[str, str]:
        """Given `primary` or `dr`, return its stack's parameters; empty if there is no such stack."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - imports botocore

        client = self.settings.client("cloudformation", region or self.region_of(kind))
        try:
            stack = client.describe_stacks(StackName=f"{self.settings.system}-{kind}")["Stacks"][0]
        except ClientError as error:
            if "does not exist" in error.response["Error"].get("Message", ""):
                return {}
            raise
        return {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", ())}

    def parameters_as_policies(self) -> dict[str, PolicySet]:
        """Return for each region the policy that its stack's parameters make, or would by their defaults."""
        primary, dr = self.stack_parameters(PRIMARY), self.stack_parameters(DR)
        region, dr_region = self.settings.region, self.settings.dr_region
        chosen, chosen_there = PRIMARY_DEFAULTS | dict(primary), DR_DEFAULTS | dict(dr)
        of_primary = from_parameters(
            chosen["tagKeyValue"],
            primary.get("DRRegion", dr_region),
            int(chosen["Retention"]),
            int(chosen_there["Retention"]),
            chosen["DRKmsKey"],
            int(chosen["CopyWithinHours"]),
            _limits(chosen),
            region=region,
        )
        of_dr = from_dr_parameters(dr_region, int(chosen_there["Retention"]), _limits(chosen_there))
        return {
            region: of_primary if primary else _renamed(of_primary, NOT_DEPLOYED),
            dr_region: of_dr if dr else _renamed(of_dr, NOT_DEPLOYED),
        }

    def policies_in_force(self) -> dict[str, PolicySet]:
        """Return for each region what is in force there. Raise InvalidPolicy if a document is broken."""
        return {region: in_force(self.store(region), made) for region, made in self.parameters_as_policies().items()}

    def waiting(self) -> frozenset[SnapshotInRegion]:
        """Return what the queue towards the DR region still has to copy; nothing if there is no DR stack."""
        from snapkeep.adapters.dynamodb_queue import DynamoDbQueue  # noqa: PLC0415 - imports boto3
        from snapkeep.usecases.retention import STILL_TO_COME  # noqa: PLC0415

        if not self.stack_parameters(DR):
            return frozenset()
        region = self.settings.dr_region
        client: Any = self.settings.client("dynamodb", region)
        queue = DynamoDbQueue(client=client, table=f"{self.settings.system}-queue", region=region)
        entries = (entry for state in STILL_TO_COME for entry in queue.in_state(state))
        return frozenset((entry.wanted.origin.snapshot_id, region) for entry in entries)


def _limits(parameters: Mapping[str, str]) -> Limits:
    return Limits(int(parameters["MaxDeletions"]), int(parameters["MaxDeletionSharePercent"]))


def _renamed(policies: PolicySet, source: str) -> PolicySet:
    return PolicySet(policies.policies, policies.limits, source)
