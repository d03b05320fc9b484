"""An installed system as commands see it: its stacks, the policies in force, and the adapters of each region."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from snapkeep.cli.common import AwsSettings, default_dr_region
from snapkeep.cli.errors import WrongUse, known_errors, one_line, out_of_reach
from snapkeep.cli.side_by_side import side_by_side
from snapkeep.cli.stack_limits import allowance_reader, limits_of
from snapkeep.cli.vault_stack import refuse_vault
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.copies.known_copies import KnownCopies, known_copies
from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.policy.model import Limits, PolicySet
from snapkeep.domain.policy.parameters import from_dr_parameters, from_parameters
from snapkeep.domain.policy.source import DEFAULTS
from snapkeep.domain.system import StackKind, stack_name
from snapkeep.usecases.policies import in_force, regions_known

if TYPE_CHECKING:
    from snapkeep.adapters.regional import RegionalAdapters
    from snapkeep.adapters.ssm_policies import SsmPolicyStore
    from snapkeep.deploy.stack_descriptions import StackDescription
    from snapkeep.domain.retention.region_plan import RegionPlan
    from snapkeep.usecases.retention.plan_regions import RegionListing

_WITHOUT = {
    StackKind.PRIMARY: "nothing is protected until it is deployed",
    StackKind.DR: "nothing is copied there until it is deployed",
}
_LIMITS = {"MaxDeletions": str(Limits().max_deletions), "MaxDeletionSharePercent": str(Limits().max_share_percent)}
PRIMARY_DEFAULTS = {"tagKeyValue": "none", "DRKmsKey": "", "CopyWithinHours": "24", "Retention": "7"} | _LIMITS
DR_DEFAULTS = {"Retention": "1"} | _LIMITS
"""The templates' defaults. A test compares them with the templates, which take longer to read than a plan takes."""


class PlanMaker(Protocol):
    """Plans the regions that were listed, the primary first."""

    def __call__(
        self, policies: Mapping[str, PolicySet], now: datetime, *, adopt: bool = False, former: str = ""
    ) -> list[RegionPlan]:
        """Return each region's plan under the policies in force there."""


@dataclass(frozen=True, slots=True)
class RegionReading:
    """One region, as far as it could be read."""

    region: str
    stack: Mapping[str, str]
    """Its stack's parameters; empty where there is no stack, or the region could not be read."""
    policies: PolicySet
    """The policies in force there. Of an unreadable DR region, the template's defaults; of an unreadable primary region, none."""
    problem: str = ""
    """Why it could not be read; empty where it was."""


def policies_of(readings: Iterable[RegionReading]) -> PolicySet:
    """Return the policies of the first region that could be read; none where none could."""
    return next((reading.policies for reading in readings if not reading.problem), PolicySet(()))


@dataclass(frozen=True, slots=True)
class CliClients:
    """Clients for `RegionalAdapters`."""

    settings: AwsSettings

    def get(self, service: str, *, region: str = "", once: bool = False) -> Any:  # noqa: ARG002 - no command writes to EC2
        """Return the client of a service in a region. For EC2, whose errors are translated, raise NoCredentialsError."""
        from botocore.exceptions import NoCredentialsError  # noqa: PLC0415 - imports botocore

        if service == "ec2" and self.settings.session().get_credentials() is None:
            raise NoCredentialsError
        return self.settings.client(service, region or self.settings.region)


@dataclass(frozen=True)
class InstalledSystem:
    """One system in its regions."""

    settings: AwsSettings
    _stacks: dict[tuple[str, str], StackDescription] = field(default_factory=dict, init=False, repr=False, compare=False)
    _not_searched: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Why the stacks of a region could not be searched."""
    _unreachable: dict[str, Exception] = field(default_factory=dict, init=False, repr=False, compare=False)

    def region_of(self, kind: StackKind) -> str:
        """Return the region of `primary` or `dr`."""
        return self.settings.region if kind == StackKind.PRIMARY else self.dr_region

    @cached_property
    def deployed_dr_region(self) -> str:
        """The DR region that the primary stack names; empty where there is no stack, or the primary region is unreachable.

        Raise what else AWS refuses.
        """
        try:
            return self.stack_parameters(StackKind.PRIMARY).get("DRRegion", "")
        except known_errors() as error:
            if not out_of_reach(error):
                raise
            return ""

    @cached_property
    def dr_region(self) -> str:
        """The region of `--dr-region`, else the deployed one, else the default of a first deployment. Raise WrongUse."""
        return self.settings.dr_region or self.deployed_dr_region or default_dr_region(self.settings)

    @cached_property
    def adapters(self) -> RegionalAdapters:
        """Adapters of each region. Making a reader raises NoCredentialsError (botocore's)."""
        from snapkeep.adapters.regional import RegionalAdapters  # noqa: PLC0415 - imports botocore

        return RegionalAdapters(CliClients(self.settings), self.settings)

    def regions(self, *policies: PolicySet) -> list[str]:
        """Return, in this order, the primary region, the DR region, and every other region that the policies copy to."""
        known = [self.settings.region, self.dr_region]
        copied_to = {region for policy_set in policies for region in policy_set.copy_regions}
        return known + sorted(copied_to.difference(known))

    def stack_parameters(self, kind: StackKind, region: str = "") -> Mapping[str, str]:
        """Return the parameters of the stack `primary` or `dr`, read once; empty where there is no such stack."""
        return self.stack(kind, region or self.region_of(kind)).parameters

    def stack_outputs(self, kind: StackKind, region: str = "") -> Mapping[str, str]:
        """Return the outputs of the stack `primary` or `dr`. Raise WrongUse if there is no such stack."""
        from snapkeep.deploy.stack_descriptions import ABSENT  # noqa: PLC0415 - imports botocore

        region = region or self.region_of(kind)
        stack = self.stack(kind, region)
        if stack.status == ABSENT:
            raise WrongUse(f"{self._missing(kind, region)}; run `snapkeep deploy`")
        return stack.outputs

    def stack(self, kind: StackKind, region: str) -> StackDescription:
        """Return CloudFormation's description of the stack `primary` or `dr` of a region, read once.

        It is found by its name, else by its outputs. The status is `ABSENT` where neither finds one. Raise VaultAlone.
        """
        from snapkeep.deploy.stack_descriptions import ABSENT, StackDescription, find_stack  # noqa: PLC0415 - imports botocore

        if region in self._unreachable:
            raise self._unreachable[region]
        if (kind, region) not in self._stacks:
            name = self.settings.stack_name(kind)
            try:
                stack = find_stack(self.settings.client("cloudformation", region), name, self.settings.system, kind)
            except AwsRefused as error:
                self._not_searched[region] = str(error)
                stack = StackDescription(ABSENT, name=name)
            except Exception as error:
                if out_of_reach(error):
                    self._unreachable[region] = error  # asked once: each attempt takes seconds
                raise
            if kind is StackKind.PRIMARY and stack.status == ABSENT:
                refuse_vault(self.settings)
            self._stacks[kind, region] = stack
        return self._stacks[kind, region]

    def other_stack_names(self, kinds: Iterable[tuple[StackKind, str]]) -> dict[tuple[StackKind, str], str]:
        """Return, by kind and region, the names of those stacks that exist under another name than a deployment's."""
        names = {(kind, region): self.stack(kind, region).name for kind, region in kinds}
        return {key: name for key, name in names.items() if name and name != stack_name(self.settings.system, key[0])}

    def stacks_missing(self, regions: Iterable[str]) -> list[str]:
        """Return a message for each of the regions that has no stack."""
        kinds = [(self.settings.kind_of(region), region) for region in regions]
        return [self._missing(kind, region) for kind, region in kinds if not self.stack_parameters(kind, region)]

    def _missing(self, kind: StackKind, region: str) -> str:
        absent = f"there is no stack {self.settings.stack_name(kind)} in {region}"
        if region in self._not_searched:
            return (
                f"{absent}, and whether the system is deployed under another name is not known "
                f"({self._not_searched[region]}): give --{kind}-stack"
            )
        return f"{absent}: {_WITHOUT[kind]}"

    def parameters_as_policies(self, regions: Sequence[str] = ()) -> dict[str, PolicySet]:
        """Return for each region the policies that its stack's parameters make, or their defaults where there is no stack.

        Without regions: the primary and the DR region.
        """
        dr_parameters = DR_DEFAULTS | dict(self.stack_parameters(StackKind.DR))
        made = {self.settings.region: self._primary_parameters_as_policies(dr_parameters)}
        return made | {region: self._dr_parameters_as_policies(region) for region in (regions or self.regions())[1:]}

    def _primary_parameters_as_policies(self, dr_parameters: Mapping[str, str]) -> PolicySet:
        """Return the policies that the primary stack's parameters make, with the retention of copies from the DR stack's."""
        primary = self.stack_parameters(StackKind.PRIMARY)
        parameters = PRIMARY_DEFAULTS | dict(primary)
        policies = from_parameters(
            parameters["tagKeyValue"],
            primary.get("DRRegion") or self.dr_region,
            int(parameters["Retention"]),
            int(dr_parameters["Retention"]),
            parameters["DRKmsKey"],
            int(parameters["CopyWithinHours"]),
            _limits(parameters),
            region=self.settings.region,
        )
        return policies if primary else replace(policies, source=DEFAULTS)

    def _dr_parameters_as_policies(self, region: str) -> PolicySet:
        stack = self.stack_parameters(StackKind.DR, region)
        parameters = DR_DEFAULTS | dict(stack)
        policies = from_dr_parameters(region, int(parameters["Retention"]), _limits(parameters))
        return policies if stack else replace(policies, source=DEFAULTS)

    def primary_document(self) -> tuple[SsmPolicyStore, PolicySet]:
        """Return the store of the primary region's document, and the policies that its stack's parameters make."""
        region = self.settings.region
        return self.adapters.policy_store_of(region), self.parameters_as_policies()[region]

    def policies_in_force(self, *proposed: PolicySet) -> dict[str, PolicySet]:
        """Return the policies in force in the primary region, the DR region, and each region that they or `proposed` copy to."""
        return self.in_force_in(self.regions(in_force(*self.primary_document()), *proposed))

    def in_force_in(self, regions: Sequence[str]) -> dict[str, PolicySet]:
        """Return the policies in force in each region, the primary's first; `problem` names a broken document."""
        parameters = self.parameters_as_policies(regions)
        return {region: in_force(self.adapters.policy_store_of(region), policies) for region, policies in parameters.items()}

    def dr_stack_regions(self) -> list[str]:
        """Return the regions with a DR stack of the system: the DR region, and those that a version of its policies copies to.

        With `--dr-region` it is that region alone.
        """
        if self.settings.dr_region:
            return [self.settings.dr_region] if self.stack_parameters(StackKind.DR) else []
        known = regions_known(*self.primary_document())
        candidates = [self.dr_region, *sorted(known - {self.settings.region, self.dr_region})]
        return [candidate for candidate in candidates if self.stack_parameters(StackKind.DR, candidate)]

    def regions_dropped(self, policies: PolicySet) -> list[RegionReading]:
        """Return the regions with a stack that a former version copied to and these policies do not.

        A region that cannot be read is among them, with its problem.
        """
        known = regions_known(*self.primary_document()).difference(policies.copy_regions, {self.settings.region})
        dropped = [self.dr_region_seen(name) for name in sorted(known)]
        return [seen for seen in dropped if seen.stack or seen.problem]

    def read_regions(self) -> list[RegionReading]:
        """Return the primary region, the DR region, and every other region that the policies copy to, as far as they can be read.

        The regions are read at the same time. While the primary region is unreachable, the DR region's policies show the others.
        """
        primary, dr = self.settings.region, self.settings.dr_region
        readings = side_by_side({primary: self.primary_seen} | ({dr: partial(self.dr_region_seen, dr)} if dr else {}))
        if self.dr_region not in readings:
            readings |= self.read_dr_regions([self.dr_region])
        policies = policies_of([readings[primary], readings[self.dr_region]])
        further = sorted(set(policies.copy_regions).difference(readings))
        return [*readings.values(), *self.read_dr_regions(further).values()]

    def read_dr_regions(self, regions: Iterable[str]) -> dict[str, RegionReading]:
        """Return DR regions as far as they can be read, all at the same time."""
        return side_by_side({region: partial(self.dr_region_seen, region) for region in regions})

    def primary_seen(self) -> RegionReading:
        """Return the primary region, which may be unreachable. Raise AWS's other errors."""
        region = self.settings.region
        try:
            stack = self.stack_parameters(StackKind.PRIMARY)
            policies = self._primary_parameters_as_policies(self._dr_parameters())
            return RegionReading(region, stack, in_force(self.adapters.policy_store_of(region), policies))
        except known_errors() as error:
            if not out_of_reach(error):
                raise
            return RegionReading(region, {}, PolicySet(()), f"{region} could not be read: {one_line(error)}")

    def _dr_parameters(self) -> Mapping[str, str]:
        """Return the DR stack's parameters; the template's defaults where its region could not be read."""
        try:
            return DR_DEFAULTS | dict(self.stack_parameters(StackKind.DR))
        except known_errors():
            return DR_DEFAULTS

    def regions_in_use(self) -> list[RegionReading]:
        """Return the primary region, and of the others those that have a stack, that it copies to, or that could not be read.

        A DR region that only a default names is not a fact: while the primary region is unreachable, that is a problem.
        """
        primary, *others = self.read_regions()
        if not primary.problem:
            copied_to, known = primary.policies.copy_regions, bool(primary.policies.policies)
            # Without policies, an unreadable region may be one that the system copies to.
            used = [seen for seen in others if seen.region in copied_to or seen.stack or (seen.problem and not known)]
            return [primary, *used]
        guessed = [seen for seen in others if not (seen.stack or seen.problem or self.settings.dr_region)]
        advice = f"the DR region is not known while {primary.region} is unreachable: name it with --dr-region"
        return [primary, *(replace(seen, problem=advice) if seen in guessed else seen for seen in others)]

    def regions_with_points(self) -> tuple[list[str], str]:
        """Return the DR regions and the primary region, and why there may be more: a recovery looks where copies may be.

        It needs no stacks: without any, they are the regions of the settings.
        """
        known = [self.dr_region, self.settings.region]
        try:
            readings = self.read_regions()
        except known_errors() as error:
            return known, f"whether copies are in further regions is not known: {one_line(error)}"
        used = {region for seen in readings for region in seen.policies.copy_regions}
        further = [seen.region for seen in readings[2:] if seen.region in used or seen.stack]
        # The DR region's document names all regions too: of two that cannot be read, neither says more.
        unknown = all(seen.problem or not seen.policies.copy_regions for seen in readings)
        problem = next((seen.problem for seen in readings if seen.problem and unknown), "")
        return [*known, *further], f"whether copies are in further regions is not known: {problem}" if problem else ""

    def dr_region_seen(self, region: str) -> RegionReading:
        """Return a DR region as far as it can be read."""
        stack: Mapping[str, str] = {}
        policies = from_dr_parameters(region, int(DR_DEFAULTS["Retention"]), _limits(DR_DEFAULTS))
        try:
            stack = self.stack_parameters(StackKind.DR, region)
            policies = self._dr_parameters_as_policies(region)
            if stack:
                policies = in_force(self.adapters.policy_store_of(region), policies)
        except known_errors() as error:
            return RegionReading(region, stack, policies, f"{region} could not be read: {one_line(error)}")
        return RegionReading(region, stack, policies)

    def deployed_at(self) -> datetime | None:
        """Return when the primary stack was created; None where there is none."""
        return self.stack(StackKind.PRIMARY, self.settings.region).created_at

    def plan_maker(self, regions: Sequence[str]) -> PlanMaker:
        """List the regions once, the primary first; return what plans them under any policies. Raise if one is unreachable."""
        return self._plans_of(side_by_side({region: partial(self._listing, region) for region in regions}))

    def tolerant_plan_maker(self, regions: Sequence[str]) -> tuple[PlanMaker, list[str], dict[str, str]]:
        """List the regions once; return what plans those that answered, their names, and why the others could not be read."""

        def listing_or_problem(region: str) -> RegionListing | str:
            try:
                return self._listing(region)
            except known_errors() as error:
                return f"{region} could not be read: {one_line(error)}"

        results = side_by_side({region: partial(listing_or_problem, region) for region in regions})
        listings = {region: result for region, result in results.items() if not isinstance(result, str)}
        problems = {region: result for region, result in results.items() if isinstance(result, str)}
        return self._plans_of(listings, problems), list(listings), problems

    def _listing(self, region: str) -> RegionListing:
        from snapkeep.usecases.retention.plan_regions import list_region  # noqa: PLC0415

        if region == self.settings.region:
            return replace(list_region(self.adapters.points_of(region), with_volumes=True), since=self.deployed_at())
        known = self.known_copies(region)  # before the listing: every copy that the queue calls done is in the listing
        return list_region(self.adapters.points_of(region), known)

    def _plans_of(self, listings: Mapping[str, RegionListing], problems: Mapping[str, str] = MappingProxyType({})) -> PlanMaker:
        from snapkeep.usecases.retention.plan_regions import facts_of, make_plans  # noqa: PLC0415

        problems = {region: one_line(error) for region, error in self._unreachable.items()} | dict(problems)
        return partial(
            make_plans,
            [self.adapters.guards_of(region) for region in listings],
            facts_of(self.settings.region, listings.values()),
            system=self.settings.system,
            placed=self.adapters.placed_holds({self.settings.region, *listings}, problems),
            lock_limits={region: limits_of(self, region) for region in listings},
            allowances={region: allowance_reader(self, region) for region in listings},
        )

    def known_copies(self, region: str) -> KnownCopies:
        """Return the facts of a DR region's queue; nothing where there is no stack."""
        if not self.stack_parameters(StackKind.DR, region):
            return KnownCopies()
        queue = self.adapters.queue_of(region)
        return known_copies((entry for state in EntryState for entry in queue.in_state(state)), self.adapters.clock.now())


def _limits(parameters: Mapping[str, str]) -> Limits:
    return Limits(int(parameters["MaxDeletions"]), int(parameters["MaxDeletionSharePercent"]))
