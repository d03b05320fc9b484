"""`snapkeep simulate`: a fleet under a policy for a period of virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.common import DEFAULT_DR_REGION, AwsSettings, EndpointUrl, Json, Profile, completed_by_file, pairs_of
from snapkeep.cli.errors import NOT_ALL_RIGHT, WrongUse
from snapkeep.cli.output import make_console, print_json
from snapkeep.cli.policy_files import read_policies
from snapkeep.cli.regions import known_partitions, require_region
from snapkeep.domain.plural import counted

if TYPE_CHECKING:
    from snapkeep.domain.policy.model import PolicySet
    from snapkeep.lab.ebs_model import Faults, World
    from snapkeep.lab.simulator.experiment import ExperimentOptions, ExperimentResult

app = typer.Typer(help="A fleet under a policy for a stretch of virtual time.")

PRIMARY = "us-east-1"
CHANGED_SHARE_PER_DAY = 0.02
"""The share of an account's volumes assumed to change each day: EC2 does not report it."""

MOST_POLICIES = 2
MOST_DAYS = 3660
FLEET_BY_CHANCE = 100
_FLEET = "Fleet"
_Policies = Annotated[
    list[Path] | None,
    typer.Option("--policy", metavar="FILE", exists=True, dir_okay=False, help="Policy document; twice to compare two."),
]
_Days = Annotated[int, typer.Option(metavar="DAYS", min=1, max=MOST_DAYS, help="Days to simulate.")]
_Every = Annotated[
    float, typer.Option(metavar="HOURS", min=0.25, max=24.0 * MOST_DAYS, help="Hours between two snapshots of a volume.")
]
_Quota = Annotated[int, typer.Option(metavar="COPIES", min=1, help="Copies at once into a DR region.")]
_FaultShare = Annotated[
    float, typer.Option("--faults", metavar="SHARE", min=0, max=1, help="Share of events, copies and calls that fail.")
]
_Seed = Annotated[int, typer.Option(metavar="NUMBER", help="Seed of the fleet and of the faults.")]
_Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", dir_okay=False, writable=True, help="Write the report with charts to this file."),
]
_Region = Annotated[str, typer.Option("--region", metavar="REGION", help="Primary region.")]
_Volumes = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER",
        min=1,
        max=20_000,
        help=f"Number of random volumes. Default: {FLEET_BY_CHANCE}.",
        rich_help_panel=_FLEET,
    ),
]
_Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="Tag of the random volumes; repeatable.", rich_help_panel=_FLEET),
]
_WorldFile = Annotated[
    Path | None,
    typer.Option(
        "--world",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="World file that describes the volumes.",
        rich_help_panel=_FLEET,
    ),
]
_FromAccount = Annotated[
    bool,
    typer.Option("--from-account", help="Take the volumes of the account as they are now.", rich_help_panel=_FLEET),
]


@dataclass(frozen=True, slots=True)
class Fleet:
    """The source of the volumes: an account, or else a world file, or else chance."""

    count: int
    seed: int
    tags: dict[str, str]
    world_file: Path | None
    account: AwsSettings | None
    fault_share: float


@app.command()
def simulate(
    *,
    policy: _Policies = None,
    days: _Days = 90,
    every: _Every = 24.0,
    quota: _Quota = 20,
    faults: _FaultShare = 0.0,
    seed: _Seed = 1,
    region: _Region = PRIMARY,
    html: _Html = None,
    volumes: _Volumes = None,
    tag: _Tags = None,
    world: _WorldFile = None,
    from_account: _FromAccount = False,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    json: Json = False,
) -> None:
    """Show what a policy would keep, cost and reach: snapshots, GiB, dollars by month, RPO, copies waiting.

    Nothing is written to AWS. Without --policy the stack's default parameters are the policy.

    Exit status 1 if an invariant was broken.
    """
    if world is not None and from_account:
        raise WrongUse("--world and --from-account: name one place that the volumes come from")
    if (volumes or tag) and (world is not None or from_account):
        option = "--volumes" if volumes else "--tag"
        raise WrongUse(
            f"{option} says what is made by chance, and the volumes come from {'--world' if world else '--from-account'}"
        )
    if html is not None and not html.parent.is_dir():
        raise WrongUse(f"--html {html}: there is no directory {html.parent}")
    if len(policy or []) > MOST_POLICIES:
        raise WrongUse(f"--policy is given {len(policy or [])} times: give one document, or two to compare")
    require_region(region, known_partitions())
    from snapkeep.lab.simulator.experiment import ExperimentOptions  # noqa: PLC0415 - the model is not needed for --help

    account = None
    if from_account:
        access = completed_by_file({"profile": profile, "endpoint_url": endpoint_url})
        account = AwsSettings(region, "", access["profile"], access["endpoint_url"])
    fleet = Fleet(volumes or FLEET_BY_CHANCE, seed, pairs_of(tag, "--tag"), world, account, faults)
    options = ExperimentOptions(
        days=days, every_hours=every, primary=region, copy_quota=quota, sweep_hours=24.0 if faults else 168.0
    )
    results = [
        _run(name, _world(fleet, policies, options), policies, options, quiet=json)
        for name, policies in _policies(policy or [], region)
    ]
    _show(results, html, json=json)
    if any(result.violations for result in results):
        raise typer.Exit(NOT_ALL_RIGHT)


def _policies(files: list[Path], region: str) -> list[tuple[str, PolicySet]]:
    from snapkeep.domain.policy.model import Limits  # noqa: PLC0415
    from snapkeep.domain.policy.parameters import from_parameters  # noqa: PLC0415

    if not files:
        if region == DEFAULT_DR_REGION:
            raise WrongUse(f"--region {region} is where the stack's default parameters copy to; give another, or a --policy")
        return [("stack parameters", from_parameters("none", DEFAULT_DR_REGION, 7, 1, "", 24, Limits(), region=region))]
    names = [file.stem for file in files]
    unique = names if len(set(names)) == len(names) else [f"{name} ({n})" for n, name in enumerate(names, 1)]
    return [
        (name, read_policies(file, region=region, limits=Limits()).policies) for name, file in zip(unique, files, strict=True)
    ]


def _world(fleet: Fleet, policies: PolicySet, options: ExperimentOptions) -> World:
    from snapkeep.lab.simulator import fleet as fleets  # noqa: PLC0415

    faults = _faults(fleet.fault_share)
    dr_regions = tuple(dict.fromkeys(rule.region for policy in policies.policies for rule in policy.copies))
    if fleet.world_file is not None:
        return _world_of_file(
            fleet.world_file, faults, {options.primary: "is the primary", **dict.fromkeys(dr_regions, "gets copies")}
        )
    if fleet.account is not None:
        volumes = fleets.from_account(_account_volumes(fleet.account), CHANGED_SHARE_PER_DAY)
    else:
        volumes = fleets.generate(fleet.count, fleet.seed, fleet.tags)
    world = fleets.make_world(volumes, options.primary, dr_regions, seed=fleet.seed, faults=faults)
    fleets.give_keys(world, policies)
    return world


def _faults(share: float) -> Faults | None:
    """Return the faults of `--faults`; None without it."""
    from snapkeep.lab.ebs_model import Faults  # noqa: PLC0415

    if not share:
        return None
    return Faults(event_lost=share, event_doubled=share, copy_fails=share, snapshot_fails=share / 4, api_error=share / 10)


def _world_of_file(file: Path, faults: Faults | None, needed: Mapping[str, str]) -> World:
    """Return the world of a file, with these faults besides its own; `needed` maps each region to its purpose.

    Raise WrongUse if the world lacks one of them.
    """
    from snapkeep.lab.ebs_model import VirtualClock  # noqa: PLC0415
    from snapkeep.lab.embedded_aws.world.open_world import world_of_file  # noqa: PLC0415 - imports yaml
    from snapkeep.lab.simulator.fleet import make_roomy  # noqa: PLC0415

    world = world_of_file(file, VirtualClock())
    for region, why in needed.items():
        if region not in world.regions:
            raise WrongUse(f"{file}: regions: {region} is not among them, and {why}")
    for rule in faults.rules() if faults is not None else ():
        world.add_fault(rule)
    return make_roomy(world)


def _account_volumes(settings: AwsSettings) -> list[Any]:
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports botocore

    return list(InstalledSystem(settings).adapters.reader_of(settings.region).all_volumes())


def _run(name: str, world: World, policies: PolicySet, options: ExperimentOptions, *, quiet: bool) -> ExperimentResult:
    from rich.markup import escape  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from snapkeep.lab.simulator.experiment import Experiment  # noqa: PLC0415

    experiment = Experiment(name, world, policies, options)
    with Progress(console=make_console(stderr=True), transient=True, disable=quiet) as progress:
        task = progress.add_task(f"{escape(name)}: {counted(options.days, 'day')}", total=options.days)
        return experiment.run(lambda day: progress.update(task, completed=day))


def _show(results: list[ExperimentResult], html: Path | None, *, json: bool) -> None:
    if json:
        print_json([_as_data(result) for result in results])
    else:
        from snapkeep.lab.simulator.terminal import print_results  # noqa: PLC0415

        print_results(results, make_console())
    if html is None:
        return
    from snapkeep.lab.simulator.page import render  # noqa: PLC0415

    html.write_text(render(results, datetime.now(UTC)), encoding="utf-8")
    if not json:
        make_console().print(f"\nReport with charts: {html}", soft_wrap=True, markup=False)


def _as_data(result: ExperimentResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "plan": asdict(result.options),
        "volumes": result.volumes,
        "governed": result.governed,
        "dollars": result.dollars,
        "dollars_by_month": {month: dict(costs) for month, costs in result.months.items()},
        "rpo": [asdict(rpo) for rpo in result.rpo],
        "rpo_worst_hours": result.rpo_worst_hours,
        "rpo_met_share": result.rpo_met_share,
        "copies": result.copies,
        "copied_gib": result.copied_gib,
        "deletions": result.deletions,
        "runs": dict(result.runs),
        "notices": dict(result.notices),
        "worst": [asdict(moment) for moment in result.worst],
        "violations": result.violations,
        "days": [asdict(day) for day in result.days],
    }
