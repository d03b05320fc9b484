"""Checks of KMS keys by DescribeKey.

A key is checked before a copy uses it, because CopySnapshot itself fails late and silently (EBS user guide). The keys of
snapshots are checked because no snapshot under an unusable key can be restored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from snapkeep.adapters.aws_errors import translated
from snapkeep.domain.errors import AwsRefused, KeyNotUsable
from snapkeep.domain.model import EBS_KEY, KeyFault, Unusable
from snapkeep.usecases.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

NOT_THERE = frozenset({"NotFoundException", "InvalidArnException"})
NO_PERMISSION = frozenset({"AccessDeniedException", "AccessDenied"})
USABLE = frozenset({"Enabled", "Updating"})
"""The states in which a key encrypts and decrypts. Updating is temporary (botocore: kms 2014-11-01, UpdatePrimaryRegion)."""
WHY_UNUSABLE = {
    "Disabled": Unusable.KEY_DISABLED,
    "PendingDeletion": Unusable.KEY_PENDING_DELETION,
    "PendingReplicaDeletion": Unusable.KEY_PENDING_DELETION,
    "PendingImport": Unusable.KEY_PENDING_IMPORT,
}
"""`KeyState` -> why a key cannot be used; all other states: unavailable (KMS developer guide, "Key states of AWS KMS keys")."""


class KmsKeys:
    """`Keys` over a KMS client of one region."""

    def __init__(self, *, client_of: Callable[[], KMSClient], region: str) -> None:
        """`client_of` returns the client: unencrypted snapshots need none."""
        self._client_of = client_of
        self._region = region

    def check(self, key: str) -> str:
        """Return the ARN of a key given by id, ARN or alias. Raise KeyNotUsable, naming the key and why.

        EBS can use only its own AWS managed key: the policy of each such key admits one service (KMS developer guide, "AWS
        managed keys").
        """
        named_region = key.split(":")[3] if key.startswith("arn:") and key.count(":") > 4 else self._region  # noqa: PLR2004
        if named_region != self._region:
            raise KeyNotUsable(f"key {key} is in {named_region}; a copy to {self._region} needs a key of {self._region}")
        # DescribeKey resolves an alias, and returns the key's region and state in one call.
        metadata = self._described(key)
        if metadata.get("KeyManager") == "AWS" and key != EBS_KEY and metadata["Arn"] != self._described(EBS_KEY)["Arn"]:
            raise KeyNotUsable(
                f"key {key} in {self._region} is an AWS managed key of another service than EBS; "
                f"name a customer managed key, or none: then EBS takes the region's default"
            )
        state = metadata.get("KeyState", "Enabled")
        if state not in USABLE:
            raise KeyNotUsable(f"key {key} in {self._region} is {state}; enable it, or name another one")
        if (
            metadata.get("KeyUsage", "ENCRYPT_DECRYPT") != "ENCRYPT_DECRYPT"
            or metadata.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT"
        ):
            raise KeyNotUsable(f"key {key} in {self._region} is not a symmetric encryption key; EBS takes no other")
        return str(metadata["Arn"])

    def fault_of(self, key_arn: str) -> KeyFault | None:
        """Return why a key cannot be used; None if it can. Raise AwsThrottled or AwsUnavailable if KMS does not respond."""
        try:
            with translated(f"describe_key {key_arn}", dict.fromkeys(NOT_THERE, KeyNotUsable)):
                metadata = self._client_of().describe_key(KeyId=key_arn)["KeyMetadata"]
        except KeyNotUsable:
            return KeyFault(key_arn, Unusable.KEY_MISSING)
        except AwsRefused as error:
            # Without permission to describe it, a key is not known to be unusable: its snapshots still count.
            return KeyFault(key_arn, Unusable.KEY_NOT_KNOWN, cause=str(error))
        state = metadata.get("KeyState", "")
        if state in USABLE:
            return None
        return KeyFault(key_arn, WHY_UNUSABLE.get(state, Unusable.KEY_UNAVAILABLE), metadata.get("DeletionDate"))

    def managed_by_aws(self, key: str) -> bool:
        """Whether AWS manages a key; False if it may not be described."""
        try:
            return self._client_of().describe_key(KeyId=key)["KeyMetadata"].get("KeyManager") == "AWS"
        except (ClientError, BotoCoreError):
            return False

    def _described(self, key: str) -> Mapping[str, Any]:
        def refused(why: str) -> Callable[[str], KeyNotUsable]:
            return lambda text: KeyNotUsable(f"key {key} {why}: {text}")

        known = dict.fromkeys(NOT_THERE, refused(f"is not in {self._region}"))
        known |= dict.fromkeys(NO_PERMISSION, refused(f"in {self._region} cannot be used by Snapkeep's role"))
        try:
            with translated(f"describe_key {key}", known):
                return self._client_of().describe_key(KeyId=key)["KeyMetadata"]
        except AwsRefused as error:
            raise KeyNotUsable(str(error)) from error


class RecentKeys:
    """Faults of keys, each cached for `good_for`: a run and a sweep make one call for each key."""

    def __init__(self, *, keys: KmsKeys, clock: Clock, good_for: timedelta = timedelta(minutes=5)) -> None:
        self._keys = keys
        self._clock = clock
        self._good_for = good_for
        self._known: dict[str, tuple[datetime, KeyFault | None]] = {}

    def managed_by_aws(self, key: str) -> bool:
        """Whether AWS manages a key, so that no other account can use it; False if it may not be described."""
        return self._keys.managed_by_aws(key)

    def forget(self) -> None:
        """Clear the cache: a person who has enabled a key expects its effect in the next sweep."""
        self._known.clear()

    def fault_of(self, key_arn: str) -> KeyFault | None:
        """Return why a key cannot be used; None if it can. Raise AwsThrottled or AwsUnavailable."""
        known = self._known.get(key_arn)
        if known is None or self._clock.now() - known[0] > self._good_for:
            known = self._known[key_arn] = self._clock.now(), self._keys.fault_of(key_arn)
        return known[1]
