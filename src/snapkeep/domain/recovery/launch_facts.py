"""EC2's facts about instances, AMIs and a region, by which launches are planned and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from snapkeep.domain.records import dataclass

if TYPE_CHECKING:
    from snapkeep.domain.recovery.record import ImageSettings


@dataclass(frozen=True, slots=True)
class Billing:
    """The billing of an instance or an AMI: the licences that it carries."""

    platform_details: str
    usage_operation: str
    product_codes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The billing in words."""
        codes = f", product codes {', '.join(self.product_codes)}" if self.product_codes else ""
        return f"{self.platform_details or 'not known'} ({self.usage_operation or 'not known'}){codes}"


def billing_of(image: ImageSettings) -> Billing:
    """Return the billing of the recorded instance."""
    return Billing(image.platform_details, image.usage_operation, tuple(sorted(image.product_codes)))


@dataclass(frozen=True, slots=True)
class RegionResource:
    """A subnet or a security group of a region."""

    id: str
    name: str
    """The group's name, or the subnet's tag `Name`."""
    vpc_id: str
    zone: str = ""
    cidr: str = ""
    free_addresses: int = 0


@dataclass(frozen=True, slots=True)
class LaunchInventory:
    """The resources of a region for the launch of instances."""

    subnets: tuple[RegionResource, ...]
    security_groups: tuple[RegionResource, ...]
    key_pairs: frozenset[str]
    instance_types: frozenset[str]
    """The requested types that the region offers."""


@dataclass(frozen=True, slots=True)
class InstanceTypeFacts:
    """EC2's description of an instance type in a region."""

    architectures: tuple[str, ...]
    ena_required: bool
    boot_modes: tuple[str, ...]
    tpm: bool
    default_cpu: tuple[int, int]
    """Cores, and threads for each core."""


@dataclass(frozen=True, slots=True)
class LaunchSite:
    """The site of an instance's launch, as its region describes it."""

    region: str
    subnet: RegionResource | None
    """None if it does not exist."""
    groups: Mapping[str, str]
    """The VPC of each security group that exists."""
    type_facts: InstanceTypeFacts | None
    """None if the region has no such type."""
    offered: bool
    """Whether the subnet's zone offers the type."""
    key_pair_exists: bool
    address_free: bool
    """Whether no network interface of the subnet has the recorded private address."""
    standing: str = ""
    """The state of the recorded instance, if it is in this region and still exists."""
