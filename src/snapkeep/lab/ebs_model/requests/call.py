"""A request to an action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.errors import ApiError, snapshot_not_found, volume_not_found
from snapkeep.lab.ebs_model.store.ids import well_formed

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.records import InstanceRecord, SnapshotRecord, VolumeRecord
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

Params = Mapping[str, Any]
VISIBLE_AFTER_END_SECONDS = 3600.0
Response = dict[str, Any]


@dataclass(slots=True)
class Call:
    """A request: the account in its region, the caller, the region's own time, the parameters."""

    world: WorldState
    account: RegionAccount
    params: Params
    caller: str
    now: float

    def snapshot(self, parameter: str = "SnapshotId") -> SnapshotRecord:
        """Return the account's own snapshot that a parameter names. Raise InvalidSnapshot.NotFound."""
        return self.own_snapshot(str(self.params[parameter]))

    def own_snapshot(self, snapshot_id: str) -> SnapshotRecord:
        """Return the account's own snapshot. Raise InvalidSnapshot.NotFound, or an error of its form."""
        snapshot = self.account.snapshots.get(snapshot_id)
        if snapshot is None:
            check_snapshot_id(snapshot_id)
            raise snapshot_not_found(snapshot_id)
        return snapshot

    def volume(self, parameter: str = "VolumeId") -> VolumeRecord:
        """Return the volume that a parameter names. Raise InvalidVolume.NotFound or an error of its form."""
        volume_id = str(self.params[parameter])
        volume = self.account.volumes.get(volume_id)
        if volume is None:
            if not volume_id.startswith("vol-"):
                raise ApiError(
                    "InvalidParameterValue",
                    f"Value ({volume_id}) for parameter volumeId is invalid. Expected: 'vol-...'.",
                )
            raise volume_not_found(volume_id)
        return volume

    def instance(self, instance_id: str) -> InstanceRecord:
        """Return an instance. Raise InvalidInstanceID.Malformed or NotFound.

        A terminated one is found for about an hour [EC2 API reference: TerminateInstances].
        """
        instance = self.account.instances.get(instance_id)
        if instance is None or (instance.ended and self.now > instance.ended + VISIBLE_AFTER_END_SECONDS):
            if not well_formed(instance_id, "i"):
                raise ApiError("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
            raise ApiError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
        return instance


ActionHandler = Callable[[Call], Response]


@dataclass(frozen=True, slots=True)
class ApiAction:
    """An action: its handler, and its required parameters (botocore's service model)."""

    run: ActionHandler
    required: tuple[str, ...] = ()


def check_snapshot_id(snapshot_id: str) -> None:
    """Raise an error unless a text has the form of a snapshot id [EC2 API reference: error codes]."""
    if not snapshot_id.startswith("snap-"):
        raise ApiError(
            "InvalidParameterValue",
            f"Value ({snapshot_id}) for parameter snapshotId is invalid. Expected: 'snap-...'.",
        )
    if not well_formed(snapshot_id, "snap"):
        raise ApiError("InvalidSnapshotID.Malformed", f'Invalid id: "{snapshot_id}" (expecting "snap-...")')
