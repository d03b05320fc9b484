"""Holds as SSM parameters of one region, one for each, under one path.

Parameter Store has no conditional write: with one parameter, one of two writers would lose its hold. A parameter for each hold
also has room for its reason (4 KB in the standard tier), and the number of holds has no limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapkeep.adapters.aws_errors import accepted, pages
from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.json_codec import from_text, to_text
from snapkeep.domain.retention.placed_holds import PlacedHold
from snapkeep.domain.tag_names import SYSTEM

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


class SsmHolds:
    """`HoldStore` over an SSM client of one region; `path` is that of the system's holds, such as `/snapkeep/holds`."""

    def __init__(self, *, client: SSMClient, path: str, region: str) -> None:
        self._client = client
        self._path = path
        self._region = region

    def all(self) -> list[PlacedHold]:
        """Return every hold. Raise InvalidConfiguration, AwsRefused, AwsThrottled or AwsUnavailable."""
        doing = f"get_parameters_by_path {self._path} in {self._region}"
        # A page may be short, or empty, and still not be the last (SSM API reference: GetParametersByPath).
        return [
            self._read(parameter["Name"], parameter["Value"])
            for page in pages(self._client, "get_parameters_by_path", {"Path": self._path}, doing)
            for parameter in page["Parameters"]
        ]

    def _read(self, name: str, value: str) -> PlacedHold:
        try:
            return from_text(PlacedHold, value)
        except ValueError as error:
            raise InvalidConfiguration(f"the hold {name} in {self._region} cannot be read: {error}") from error

    def place(self, hold: PlacedHold) -> None:
        """Write a hold. Writing the same one again changes nothing. Raise as above; InvalidConfiguration if it is too long."""
        # SSM refuses a value with `{{` (PutParameter: Value). It occurs only within strings, where JSON has an escape for it.
        value, name = to_text(hold).replace("{{", "{\\u007b"), f"{self._path}/{hold.id}"
        if len(value) > LARGEST_BYTES:
            raise InvalidConfiguration(f"the hold is longer than {LARGEST_BYTES} bytes: place several, or shorten its reason")
        tags = [{"Key": SYSTEM, "Value": self._path.split("/")[1]}]
        parameter = {"Name": name, "Value": value, "Type": "String", "Tier": "Standard", "Tags": tags}
        doing = f"put_parameter {name} in {self._region}"
        accepted(self._client.put_parameter, doing, ("ParameterAlreadyExists",), **parameter)

    def release(self, hold_id: str) -> bool:
        """Remove a hold; return False if there is none with this id. Raise as above."""
        name = f"{self._path}/{hold_id}"
        doing = f"delete_parameter {name} in {self._region}"
        return accepted(self._client.delete_parameter, doing, ("ParameterNotFound",), Name=name)


LARGEST_BYTES = 4096
"""The size of an SSM parameter in the standard tier (SSM: parameter tiers)."""
