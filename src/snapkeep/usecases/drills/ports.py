"""The ports of drills. Looking, making and removing are three ports, because they are three IAM roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.records import dataclass
from snapkeep.usecases.ports import Commands
from snapkeep.usecases.recovery.states import MadeSnapshot

if TYPE_CHECKING:
    from snapkeep.domain.drills.network import DrillNetwork, NetworkFacts
    from snapkeep.usecases.recovery.states import ImageState, InstanceState, VolumeState


class DrillNetworks(Protocol):
    """Reads the isolated network of instance drills."""

    def drill_network(self, system: str) -> DrillNetwork:
        """Return the network of a system's drills. Raise NotIsolated if there is none."""

    def network_facts(self, network: DrillNetwork) -> NetworkFacts:
        """Return what can lead out of a network."""


class DrillReader(Protocol):
    """Looks at what a drill made. Each port of this file raises AwsRefused, AwsThrottled or AwsUnavailable."""

    def volume(self, volume_id: str) -> VolumeState | None:
        """Return a volume; None if EC2 does not show it."""

    def initialised_percent(self, volume_id: str) -> int | None:
        """Return how much of a volume is initialised; None where EC2 does not say."""

    def made_snapshot(self, snapshot_id: str) -> MadeSnapshot | None:
        """Return a snapshot; None if EC2 does not show it."""

    def images_of(self, tags: Mapping[str, str]) -> list[ImageState]:
        """Return the AMIs of the account that have all of these tags."""

    def instance(self, instance_id: str) -> InstanceState | None:
        """Return an instance; None if EC2 does not show it."""

    def checks_passed(self, instance_id: str) -> bool:
        """Whether both status checks of an instance are passed now."""


class InstanceCommands(Commands, Protocol):
    """Runs commands in instances that a drill launched, and knows whether they can take one."""

    def agent_is_online(self, instance_id: str) -> bool:
        """Whether the SSM agent of an instance is connected."""


class MadeResources(Protocol):
    """Finds what drills made, by tags."""

    def volumes_of(self, tags: Mapping[str, str]) -> list[VolumeState]:
        """Return the volumes that have all of these tags."""

    def snapshots_of(self, tags: Mapping[str, str]) -> list[MadeSnapshot]:
        """Return the snapshots of the account that have all of these tags."""

    def images_of(self, tags: Mapping[str, str]) -> list[ImageState]:
        """Return the AMIs of the account that have all of these tags."""

    def instances_of(self, tags: Mapping[str, str]) -> list[InstanceState]:
        """Return the instances that have all of these tags."""


class DrillMaker(MadeResources, DrillNetworks, Protocol):
    """Makes volumes, snapshots, AMIs and instances, with their tags in the making call. The role behind it cannot delete."""

    def zones(self) -> list[str]:
        """Return the Availability Zones that can be used."""

    def create_volume(self, request: Mapping[str, Any], tags: Mapping[str, str], token: str) -> tuple[str, str]:
        """Make a volume; return its id, and a remark where it differs from the request."""

    def register_image(self, request: Mapping[str, Any], name: str, tags: Mapping[str, str]) -> bool:
        """Register an AMI; return False where its name is taken."""

    def run_instance(
        self, request: Mapping[str, Any], image_id: str, tags: Mapping[str, str], own: Mapping[str, str], token: str
    ) -> tuple[str, str]:
        """Launch an instance with tags, its volumes with those of its own; return its id, and a remark."""

    def create_snapshot(self, volume_id: str, description: str, tags: Mapping[str, str]) -> str:
        """Start a snapshot of a volume; return its id."""


class DrillRemover(MadeResources, Protocol):
    """Removes what carries a drill's tag. The role behind it can remove nothing else, and cannot tag."""

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume; one that does not exist is deleted."""

    def end_instance(self, instance_id: str) -> None:
        """Start to terminate an instance; one that does not exist is terminated."""

    def deregister_image(self, image_id: str) -> None:
        """Deregister an AMI; one that does not exist is deregistered."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot; one that does not exist is deleted."""


class LeftResources(Protocol):
    """Finds volumes, instances and AMIs that any drill made."""

    def tagged_machines(self, key: str) -> dict[str, Mapping[str, str]]:
        """Return the tags of the instances, but terminated ones, and of the AMIs that have a tag of this key, by id."""

    def tagged_volumes(self, key: str) -> list[VolumeState]:
        """Return the volumes that have a tag of this key."""


class DrillRuns(Protocol):
    """The state machine Drill of this region."""

    def start(self, run_id: str, name: str, *, end: bool = False) -> str:
        """Start an execution for a drill, or one that ends it; return its ARN. A name that was taken starts nothing anew."""


@dataclass(frozen=True, slots=True)
class MadeResource:
    """The result of the step MAKE."""

    volume_id: str = ""
    snapshot_id: str = ""
    image_id: str = ""
    instance_id: str = ""


@dataclass(frozen=True, slots=True)
class Removal:
    """The result of one round of the step REMOVE."""

    more: bool
    """Whether something was removed or is in between: another round has to see that nothing is there."""
    left: tuple[str, ...]
    """Ids of resources that cannot be removed, with why."""
    at: datetime | None = field(default=None, metadata=OPTIONAL)
    """When it was made: the step that concludes may be repeated, and then has to say the same."""
    rounds: int = field(default=0, metadata=OPTIONAL)
    """How many rounds there were, with this one."""
