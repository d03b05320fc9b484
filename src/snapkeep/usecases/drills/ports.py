"""The ports of drills. Looking, making and removing are three ports because they have three IAM roles."""

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
        """Return the facts about the possible ways out of a network."""


class DrillReader(Protocol):
    """Reads the resources of a drill. Each port of this file raises AwsRefused, AwsThrottled or AwsUnavailable."""

    def volume(self, volume_id: str) -> VolumeState | None:
        """Return a volume; None if EC2 does not show it."""

    def initialised_percent(self, volume_id: str) -> int | None:
        """Return the initialised share of a volume in percent; None if EC2 does not return it."""

    def made_snapshot(self, snapshot_id: str) -> MadeSnapshot | None:
        """Return a snapshot; None if EC2 does not show it."""

    def images_of(self, tags: Mapping[str, str]) -> list[ImageState]:
        """Return the AMIs of the account that have all of these tags."""

    def instance(self, instance_id: str) -> InstanceState | None:
        """Return an instance; None if EC2 does not show it."""

    def checks_passed(self, instance_id: str) -> bool:
        """Whether an instance passes both status checks now."""


class InstanceCommands(Commands, Protocol):
    """Runs commands in instances that a drill launched, and checks whether they can receive one."""

    def agent_is_online(self, instance_id: str) -> bool:
        """Whether the SSM agent of an instance is connected."""


class MadeResources(Protocol):
    """Finds the resources of drills by tags."""

    def volumes_of(self, tags: Mapping[str, str]) -> list[VolumeState]:
        """Return the volumes that have all of these tags."""

    def snapshots_of(self, tags: Mapping[str, str]) -> list[MadeSnapshot]:
        """Return the snapshots of the account that have all of these tags."""

    def images_of(self, tags: Mapping[str, str]) -> list[ImageState]:
        """Return the AMIs of the account that have all of these tags."""

    def instances_of(self, tags: Mapping[str, str]) -> list[InstanceState]:
        """Return the instances that have all of these tags."""


class DrillMaker(MadeResources, DrillNetworks, Protocol):
    """Makes volumes, snapshots, AMIs and instances, with their tags in the call. Its role cannot delete."""

    def zones(self) -> list[str]:
        """Return the Availability Zones that can be used."""

    def create_volume(self, request: Mapping[str, Any], tags: Mapping[str, str], token: str) -> tuple[str, str]:
        """Make a volume; return its id, and a remark if it differs from the request."""

    def register_image(self, request: Mapping[str, Any], name: str, tags: Mapping[str, str]) -> bool:
        """Register an AMI; return False if its name is taken."""

    def run_instance(
        self, request: Mapping[str, Any], image_id: str, tags: Mapping[str, str], own: Mapping[str, str], token: str
    ) -> tuple[str, str]:
        """Launch an instance with its tags, and its volumes with theirs; return its id, and a remark."""

    def create_snapshot(self, volume_id: str, description: str, tags: Mapping[str, str]) -> str:
        """Start a snapshot of a volume; return its id."""


class DrillRemover(MadeResources, Protocol):
    """Removes resources with a drill's tag. Its role can remove nothing else, and cannot tag."""

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume; a missing one counts as deleted."""

    def end_instance(self, instance_id: str) -> None:
        """Start to terminate an instance; a missing one counts as terminated."""

    def deregister_image(self, image_id: str) -> None:
        """Deregister an AMI; a missing one counts as deregistered."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot; a missing one counts as deleted."""


class LeftResources(Protocol):
    """Finds the volumes, instances and AMIs of all drills."""

    def tagged_machines(self, key: str) -> dict[str, Mapping[str, str]]:
        """Return the tags of AMIs and of instances that are not terminated and that have a tag with this key, by id."""

    def tagged_volumes(self, key: str) -> list[VolumeState]:
        """Return the volumes that have a tag with this key."""


class DrillRuns(Protocol):
    """The state machine Drill of this region."""

    def start(self, run_id: str, name: str, *, end: bool = False) -> str:
        """Start an execution for a drill, or one that ends it; return its ARN. A name that is taken starts no new one."""


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
    """Whether something was removed or is being removed: another round has to find that nothing is left."""
    left: tuple[str, ...]
    """Ids of resources that cannot be removed, with the causes."""
    at: datetime | None = field(default=None, metadata=OPTIONAL)
    """The time of the round: the concluding step may be repeated, and must have the same result."""
    rounds: int = field(default=0, metadata=OPTIONAL)
    """The number of rounds so far, including this one."""
