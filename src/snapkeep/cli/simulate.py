"""`snapkeep simulate`: a fleet under a policy for a stretch of virtual time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.common import DEFAULT_DR_REGION, EndpointUrl, Json, Profile
from snapkeep.cli.errors import WrongUse
from snapkeep.cli.output import make_console, print_json

if TYPE_CHECKING:
    from snapkeep.domain.policy import PolicySet
    from snapkeep.ebsmodel import World
    from snapkeep.simulate.experiment import Plan, Result

app = typer.Typer(add_completion=False, help="A fleet under a policy for a stretch of virtual time.")

PolicyFiles = Annotated[list[Path] | None, typer.Option("--policy", help="Policy document; twice to compare two.")]
WorldFile = Annotated[Path | None, typer.Option("--world", help="World file that describes the volumes.")]
FromAccount = Annotated[bool, typer.Option("--from-account", help="Take the volumes of the account as they are now.")]
FaultRate = Annotated[float, typer.Option("--faults", min=0, max=1, help="Share of events, copies and calls that go wrong.")]
PRIMARY = "us-east-1"


@app.command()
def simulate(
    policy: PolicyFiles = None,
    days: Annotated[int, typer.Option(min=1, max=3660, help="How many days pass.")] = 90,
    volumes: Annotated[int, typer.Option(min=1, max=20_000, help="How many volumes are made by chance.")] = 100,
    world: WorldFile = None,
    from_account: FromAccount = False,
    every: Annotated[float, typer.Option(min=0.25, help="Hours between the snapshots of a volume.")] = 24.0,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Key=Value that the made volumes carry.")] = None,
    faults: FaultRate = 0.0,
    quota: Annotated[int, typer.Option(min=1, help="Copies at once into a DR region.")] = 20,
    seed: Annotated[int, typer.Option(help="Another number, another fleet.")] = 1,
    region: Annotated[str, typer.Option("--region", help="Primary region.")] = PRIMARY,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report with plots to this file.")] = None,
    profile: Profile = "",
    endpoint_url: EndpointUrl = "",
    json: Json = False,
) -> None:
    """Show what a policy would keep, cost and reach: snapshots, GiB, dollars by month, RPO, copies waiting.

    Nothing is written to AWS. Without --policy the stack's default parameters are the policy.
    """
    if world is not None and from_account:
        raise WrongUse("--world and --from-account: name one place that the volumes come from")
    from snapkeep.simulate.experiment import Plan  # noqa: PLC0415 - the model is not needed for --help

    plan = Plan(days=days, every_hours=every, primary=region, copy_quota=quota, sweep_hours=24.0 if faults else 168.0)
    results = []
    for name, policies in _policies(policy or [], region):
        made = _world(
            policies, plan, volumes, world, _tags(tag or []), faults, seed, (profile, endpoint_url) if from_account else None
        )
        results.append(_run(name, made, policies, plan, quiet=json))
    if json:
        print_json([_plain(result) for result in results])
    else:
        from snapkeep.simulate.terminal import print_results  # noqa: PLC0415

        print_results(results, make_console())
    if html is not None:
        from snapkeep.simulate.page import render  # noqa: PLC0415 - plotly takes a second

        html.write_text(render(results), encoding="utf-8")
        if not json:
            make_console().print(f"\nReport with plots: {html}")
    if any(result.violations for result in results):
        raise typer.Exit(1)


def _policies(files: list[Path], region: str) -> list[tuple[str, PolicySet]]:
    from snapkeep.domain.policy import Limits, from_parameters  # noqa: PLC0415
    from snapkeep.policyfile.load import load_file  # noqa: PLC0415

    if not files:
        return [("stack parameters", from_parameters("none", DEFAULT_DR_REGION, 7, 1, "", 24, Limits(), region=region))]
    names = [file.stem for file in files]
    unique = names if len(set(names)) == len(names) else [f"{name} ({n})" for n, name in enumerate(names, 1)]
    return [(name, load_file(file, region=region)) for name, file in zip(unique, files, strict=True)]


def _tags(pairs: list[str]) -> dict[str, str]:
    tags = dict(pair.partition("=")[::2] for pair in pairs)
    if not all(tags):
        raise WrongUse("--tag: write Key=Value")
    return tags


def _world(
    policies: PolicySet,
    plan: Plan,
    count: int,
    file: Path | None,
    tags: dict[str, str],
    faults: float,
    seed: int,
    account: tuple[str, str] | None,
) -> World:
    from snapkeep.ebsmodel import Faults  # noqa: PLC0415
    from snapkeep.simulate import fleet  # noqa: PLC0415

    rates = Faults(event_lost=faults, event_doubled=faults, copy_fails=faults, snapshot_fails=faults / 4, api_error=faults / 10)
    if file is not None:
        return _world_of_file(file, rates if faults else None)
    others = tuple(dict.fromkeys(rule.region for policy in policies.policies for rule in policy.copies))
    if account is not None:
        volumes = fleet.from_account(_account_volumes(*account, plan.primary), 0.02)
    else:
        volumes = fleet.generate(count, seed, tags)
    return fleet.make_world(volumes, plan.primary, others, seed=seed, faults=rates if faults else None)


def _world_of_file(file: Path, faults: Any) -> World:
    import yaml  # noqa: PLC0415

    from snapkeep.ebsmodel import VirtualClock, World  # noqa: PLC0415
    from snapkeep.simulate.fleet import make_roomy  # noqa: PLC0415

    try:
        world = World.from_document(yaml.safe_load(file.read_text(encoding="utf-8")), clock=VirtualClock())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise WrongUse(f"--world {file}: {error}") from error
    if faults is not None:
        world.set_faults(faults)
    return make_roomy(world)


def _account_volumes(profile: str, endpoint_url: str, region: str) -> list[Any]:
    from snapkeep.adapters.ec2_reader import Ec2Reader  # noqa: PLC0415
    from snapkeep.cli.common import AwsSettings  # noqa: PLC0415

    client = AwsSettings(region, "", profile, endpoint_url).client("ec2", region)
    return list(Ec2Reader(client=client, region=region).all_volumes())


def _run(name: str, world: World, policies: PolicySet, plan: Plan, *, quiet: bool) -> Result:
    from rich.progress import Progress  # noqa: PLC0415

    from snapkeep.simulate.experiment import Experiment  # noqa: PLC0415

    experiment = Experiment(name, world, policies, plan)
    with Progress(console=make_console(stderr=True), transient=True, disable=quiet) as progress:
        task = progress.add_task(f"{name}: {plan.days} days", total=plan.days)
        return experiment.run(lambda day: progress.update(task, completed=day))


def _plain(result: Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "plan": asdict(result.plan),
        "volumes": result.volumes,
        "governed": result.governed,
        "dollars": result.dollars,
        "dollars_by_month": {month: dict(costs) for month, costs in result.months.items()},
        "rpo_asked_hours": result.rpo_asked_hours,
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
