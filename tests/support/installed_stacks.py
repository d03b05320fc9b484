"""AWS as `InstalledSystem` reads it: stacks with their parameters, and policy documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from snapkeep.cli.common import AwsSettings

Stacks = Mapping[tuple[str, str], Mapping[str, str]]
"""Parameters by region and stack name."""


@dataclass
class Clients:
    """The clients of one region."""

    stacks: Stacks
    documents: Mapping[str, str]
    region: str

    def describe_stacks(self, StackName: str = "") -> dict[str, Any]:  # noqa: N803 - boto3's name
        if not StackName:
            return {"Stacks": [self._stack(name) for region, name in self.stacks if region == self.region]}
        if (self.region, StackName) not in self.stacks:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        return {"Stacks": [self._stack(StackName)]}

    def _stack(self, name: str) -> dict[str, Any]:
        """Return a stack; its parameters that begin with `output:` or `tag:` are outputs or tags."""
        values = self.stacks[self.region, name]
        tags = [{"Key": key.removeprefix("tag:"), "Value": value} for key, value in values.items() if key.startswith("tag:")]
        outputs = {key: value for key, value in values.items() if key.startswith("output:")}
        return {
            "StackStatus": "CREATE_COMPLETE",
            "StackId": name,
            "StackName": name,
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items() if ":" not in key],
            "Tags": tags,
            "Outputs": [{"OutputKey": key.removeprefix("output:"), "OutputValue": value} for key, value in outputs.items()],
        }

    def describe_regions(self) -> dict[str, Any]:
        return {"Regions": [{"RegionName": region} for region in dict.fromkeys(region for region, _ in self.stacks)]}

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        value = self.documents.get(self.region, "{}")
        return {"Parameter": {"Name": Name, "Version": 4, "Value": value, "LastModifiedDate": datetime(2026, 11, 1, tzinfo=UTC)}}

    def get_parameters_by_path(self, Path: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        assert Path.endswith("/holds")
        return {"Parameters": []}

    def get_parameter_history(self, Name: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        return {"Parameters": [self.get_parameter(Name)["Parameter"]]}


@dataclass(frozen=True)
class Settings(AwsSettings):
    """Settings whose clients are stand-ins."""

    stacks: Stacks = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)

    def client(self, service: Any, region: str) -> Any:
        return Clients(self.stacks, self.documents, region)
