"""The policy document as an SSM parameter: compact JSON, with the versions that Parameter Store keeps (the last 100)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import code_of, pages, translated
from snapkeep.domain.errors import DocumentAbsent
from snapkeep.domain.tag_names import SYSTEM
from snapkeep.usecases.policies import NOTHING, StoredDocument

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.literals import ParameterTierType
    from mypy_boto3_ssm.type_defs import TagTypeDef


class SsmPolicyStore:
    """`PolicyStore` over an SSM client of one region."""

    def __init__(self, *, client: SSMClient, name: str, region: str) -> None:
        self._client = client
        self._name = name
        self.region = region

    def current(self) -> StoredDocument:
        """Return the newest version. Raise DocumentAbsent if there is none, AwsUnavailable, AwsThrottled or AwsRefused."""
        with translated(f"get_parameter {self._name} in {self.region}", {"ParameterNotFound": DocumentAbsent}):
            parameter = self._client.get_parameter(Name=self._name)["Parameter"]
        stored = StoredDocument(parameter["Version"], parameter["Value"], parameter["LastModifiedDate"])
        # A removed document is an empty version: SSM cannot delete one version of a parameter.
        if stored.is_empty:
            raise DocumentAbsent
        return stored

    def history(self) -> list[StoredDocument]:
        """Return all stored versions, the newest first, including empty ones."""
        doing, absent = f"get_parameter_history {self._name} in {self.region}", ("ParameterNotFound",)
        versions = [
            StoredDocument(version["Version"], version["Value"], version["LastModifiedDate"], version.get("LastModifiedUser", ""))
            for page in pages(self._client, "get_parameter_history", {"Name": self._name}, doing, nothing=absent)
            for version in page["Parameters"]
        ]
        return sorted(versions, key=lambda stored: -stored.version)

    def put(self, text: str, *, advanced: bool) -> int:
        """Store a new version and return its number.

        The first one makes the parameter, because no stack does. The tier never changes back: SSM refuses to lower it.
        """
        tier: ParameterTierType = "Advanced" if advanced else "Intelligent-Tiering"
        with translated(f"put_parameter {self._name} in {self.region}"):
            try:
                # The first attempt is as a new parameter, with its tag: PutParameter does not accept tags together with
                # Overwrite.
                tags: list[TagTypeDef] = [{"Key": SYSTEM, "Value": self._name.split("/")[1]}]
                made = self._client.put_parameter(Name=self._name, Value=text, Type="String", Tier=tier, Tags=tags)
                return made["Version"]
            except ClientError as error:
                if code_of(error) != "ParameterAlreadyExists":
                    raise
            # The parameter exists and gets a new version; the earlier ones stay readable.
            answer = self._client.put_parameter(Name=self._name, Value=text, Type="String", Overwrite=True, Tier=tier)
            return answer["Version"]

    def remove(self) -> None:
        """Store an empty version: the stack's parameters are the policy again. The parameter stays, with its earlier versions."""
        try:
            self.current()
        except DocumentAbsent:
            return
        self.put(NOTHING, advanced=False)
