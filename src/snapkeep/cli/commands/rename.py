"""`snapkeep rename`: a system takes over the snapshots and copies of a former one, which is no longer deployed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.commands.deploy import are_confirmed, make_deployment, make_watcher
from snapkeep.cli.common import AwsSettings, Json, Yes, argument, require_consent, with_aws_settings
from snapkeep.cli.errors import WrongUse
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.cli.output import make_console, print_json
from snapkeep.deploy.changes import FORMER_SYSTEM, Change, ParameterChange, Risk
from snapkeep.domain.errors import DocumentAbsent
from snapkeep.domain.plural import counted
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.system import StackKind, system_name
from snapkeep.usecases.policies import regions_known

if TYPE_CHECKING:
    from snapkeep.adapters.ssm_policies import SsmPolicyStore

app = typer.Typer(help="Let a system take over the snapshots of a former one.")


@app.command()
@with_aws_settings
def rename(
    settings: AwsSettings,
    former: Annotated[str, argument("OLD", "The former system's name, such as snapkeep. It must be destroyed.")],
    successor: Annotated[str, argument("NEW", "The name of the system that takes over, such as snapkeep2.")],
    *,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Set the parameter FormerSystem of the system NEW: its sweeps then adopt the snapshots and copies of OLD.

    First shows how many, and how many of them retention then deletes.
    """
    if settings.suffix:
        raise WrongUse("--name: rename takes the names of both systems as its arguments")
    if former == successor:
        raise WrongUse(f"{former} is both OLD and NEW: write two names, such as `snapkeep rename snapkeep snapkeep2`")
    for name in (former, successor):
        if not name.startswith(system_name("")):
            raise WrongUse(f"{name} is not the name of a system: names begin with {system_name('')}, such as snapkeep2")
    settings = replace(settings, suffix=successor.removeprefix(system_name("")))
    installed = InstalledSystem(replace(settings, read_only=True))
    dr_regions = installed.dr_stack_regions()
    if not installed.stack_parameters(StackKind.PRIMARY) or not dr_regions:
        raise WrongUse(f"system {successor} is not deployed: deploy it first, with --name '{settings.suffix}'")
    before = InstalledSystem(replace(settings, suffix=former.removeprefix(system_name("")), read_only=True))
    own_regions = [settings.region, *dr_regions]
    former_regions = _regions_of(before, own_regions)
    _refuse_deployed(settings, former, former_regions)
    _refuse_lost_document(before, installed, former)
    _refuse_lost_holds(before, successor, former_regions)
    question, adopted = _question(installed, former, successor, [name for name in former_regions if name not in own_regions])
    require_consent(question, yes=yes, json=json, otherwise="nothing was changed")
    parameters = {FORMER_SYSTEM: former}
    names = installed.other_stack_names(
        [(StackKind.PRIMARY, settings.region), *((StackKind.DR, region) for region in dr_regions)]
    )
    with make_watcher(json=json) as watcher:
        for region in reversed(dr_regions):  # the first is that of the primary stack
            kinds = (StackKind.DR, StackKind.PRIMARY) if region == dr_regions[0] else (StackKind.DR,)
            make_deployment(settings, region, watcher, names).deploy(
                parameters if StackKind.PRIMARY in kinds else {},
                parameters,
                kinds=kinds,
                may_change=lambda changes: _may_change(changes, watcher, yes=yes, json=json),
            )
    if json:
        print_json({"former": former, "system": successor, "snapshots_to_adopt": adopted})
    else:
        make_console().print(f"The next sweeps of {successor} adopt them; now: `snapkeep sweep --name '{settings.suffix}'`")


def _may_change(changes: Sequence[Change], watcher: Any, *, yes: bool, json: bool) -> bool:
    """Return whether the changes are confirmed: the question before named those of FormerSystem, and no others."""
    risky = [change for change in changes if change.risk is not Risk.NONE]
    unnamed = [change for change in risky if not (isinstance(change, ParameterChange) and change.name == FORMER_SYSTEM)]
    return not unnamed or are_confirmed(unnamed, watcher, yes=yes, move_dr_region=False, json=json)


def _refuse_deployed(settings: AwsSettings, former: str, regions: Sequence[str]) -> None:
    """Raise WrongUse if the former system still has functions. Raise AwsRefused where that cannot be read."""
    from snapkeep.deploy.doctor.lambdas import functions  # noqa: PLC0415 - imports botocore

    for region in regions:
        names = [function.name for function in functions(settings.client("lambda", region)) if function.system == former]
        if names:
            raise WrongUse(
                f"system {former} is still deployed in {region} ({', '.join(names[:3])}): both would manage the same snapshots; "
                f"`snapkeep destroy --name '{former.removeprefix(system_name(''))}'` first. Snapshots stay"
            )


def _regions_of(before: InstalledSystem, own_regions: Sequence[str]) -> list[str]:
    """Return the regions of the new system, and every other one that a version of the former one's document copies to."""
    store = before.adapters.policy_store_of(before.settings.region)
    return [*own_regions, *sorted(regions_known(store, PolicySet(())).difference(own_regions))]


def _refuse_lost_document(before: InstalledSystem, installed: InstalledSystem, former: str) -> None:
    """Raise WrongUse if the former system has a policy document and the new one has none: other rules would delete."""
    settings = installed.settings
    region = settings.region
    store, own = before.adapters.policy_store_of(region), installed.adapters.policy_store_of(region)
    if _has_document(store) and not _has_document(own):
        raise WrongUse(
            f"system {former} has a policy document and {settings.system} has none: its snapshots would come under other rules. "
            f"Push the document first: `snapkeep policy show --name '{before.settings.suffix}' > policy.yaml`, then "
            f"`snapkeep policy push policy.yaml --name '{settings.suffix}'`"
        )


def _refuse_lost_holds(before: InstalledSystem, successor: str, regions: Sequence[str]) -> None:
    """Raise WrongUse if holds are placed in the former system, or could not be read: the new one does not know them."""
    placed, old, new = before.adapters.placed_holds(regions), before.settings.suffix, successor.removeprefix(system_name(""))
    if placed.unread:
        raise WrongUse(f"the holds of system {before.settings.system} are not known: {'; '.join(placed.unread.values())}")
    if placed.holds:
        raise WrongUse(
            f"system {before.settings.system} has holds that {successor} does not know: "
            f"{'; '.join(f'{hold.id} of {hold.scope}' for hold in placed.holds)}. Place them in the new one "
            f"(`snapkeep hold … --name '{new}'`), then release them in the former (`snapkeep hold release ID --name '{old}'`)"
        )


def _has_document(store: SsmPolicyStore) -> bool:
    try:
        store.current()
    except DocumentAbsent:
        return False
    return True


def _question(installed: InstalledSystem, former: str, successor: str, left_regions: Sequence[str]) -> tuple[str, int]:
    """Return the question with its figures, and the number of snapshots that would be adopted.

    The copies in `left_regions` are not adopted: the new system has no stack there.
    """
    policies = installed.policies_in_force()
    plans = installed.plan_maker(list(policies))(policies, datetime.now(UTC), former=former)
    adopted = sum(len(volume.adopted) for plan in plans for volume in plan.volumes)
    now, later = (sum(len(getattr(plan, kind)) for plan in plans) for kind in ("deletions", "deletions_after_copies"))
    unadopted = ""
    if left_regions:
        unadopted = f" Copies of {former} in {' and '.join(left_regions)} stay as they are: {successor} has no DR stack there."
    return (
        f"System {successor} takes over {counted(adopted, 'snapshot')} of {former}. Its retention then deletes "
        f"{counted(now + later, 'snapshot')}, {later} of them once missing copies are made.{unadopted} Continue?"
    ), adopted
