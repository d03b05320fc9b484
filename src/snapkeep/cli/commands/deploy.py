"""`snapkeep deploy`, `destroy` and `package`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.common import AwsSettings, Json, Yes, consents, pairs_of, require_consent, with_aws_settings
from snapkeep.cli.output import make_console, print_json
from snapkeep.domain.plural import counted

if TYPE_CHECKING:
    from snapkeep.deploy.deployment import Deployed, Deployment, Destroyed
    from snapkeep.deploy.package import Package
    from snapkeep.deploy.progress import Watcher

deploy_app = typer.Typer(help="Deploy both stacks into both regions.")
destroy_app = typer.Typer(help="Delete both stacks. Snapshots stay.")
package_app = typer.Typer(help="Build the functions' folder for the AWS CLI or SAM.")


class Only(StrEnum):
    """One stack of the two."""

    PRIMARY = "primary"
    DR = "dr"


_PARAMETERS = "Parameters"
_Only = Annotated[
    Only | None,
    typer.Option("--only", help="One stack alone; a further DR region has a DR stack of its own.", show_default=False),
]


_TagKey = Annotated[
    str,
    typer.Option(
        "--tag-key",
        metavar="KEY",
        help="Only volumes with this tag (Key, or Key=Value). Default: every volume.",
        rich_help_panel=_PARAMETERS,
    ),
]
_Retention = Annotated[
    int | None,
    typer.Option("--retention", metavar="COUNT", help="Snapshots to keep of a volume. Default: 7.", rich_help_panel=_PARAMETERS),
]
_DrRetention = Annotated[
    int | None,
    typer.Option(
        "--dr-retention", metavar="COUNT", help="Copies to keep in the DR region. Default: 1.", rich_help_panel=_PARAMETERS
    ),
]
_Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter", metavar="NAME=VALUE", help="A parameter of the primary stack; repeatable.", rich_help_panel=_PARAMETERS
    ),
]
_DrParameters = Annotated[
    list[str] | None,
    typer.Option(
        "--dr-parameter", metavar="NAME=VALUE", help="A parameter of the DR stack; repeatable.", rich_help_panel=_PARAMETERS
    ),
]
_Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="A tag for all that is made; repeatable."),
]
_RemoveFailed = Annotated[
    bool,
    typer.Option("--remove-failed", help="Delete what is left of a creation that failed."),
]


@deploy_app.command()
@with_aws_settings
def deploy(
    settings: AwsSettings,
    *,
    tag_key: _TagKey = "",
    retention: _Retention = None,
    dr_retention: _DrRetention = None,
    parameter: _Parameters = None,
    dr_parameter: _DrParameters = None,
    tag: _Tags = None,
    remove_failed: _RemoveFailed = False,
    only: _Only = None,
    json: Json = False,
) -> None:
    """Deploy both stacks, the DR region first, and print their outputs.

    A parameter that is not given keeps the value that the stack has.
    """
    primary = _with_shortcuts(parameter, "--parameter", {"tagKeyValue": tag_key, "Retention": retention})
    dr = _with_shortcuts(dr_parameter, "--dr-parameter", {"Retention": dr_retention})
    tags = pairs_of(tag, "--tag")
    from snapkeep.deploy.deployment import DR, PRIMARY  # noqa: PLC0415 - imports boto3

    with _watcher(json) as watcher:

        def may_remove(story: str) -> bool:
            return remove_failed or consents(f"{story}. Delete it?", json=json)

        deployed = _deployment(settings, watcher).deploy(
            primary, dr, tags=tags, kinds=[only.value] if only else (DR, PRIMARY), may_remove_leftover=may_remove
        )
    _show_deployed(deployed, json=json)


@destroy_app.command()
@with_aws_settings
def destroy(
    settings: AwsSettings,
    *,
    yes: Yes = False,
    only: _Only = None,
    json: Json = False,
) -> None:
    """Delete both stacks and the buckets of their artifacts. No snapshot is deleted."""
    regions = {Only.PRIMARY: settings.region, Only.DR: settings.dr_region}
    where = regions[only] if only else " and ".join(regions.values())
    question = f"Delete the stacks of {settings.system} in {where}? Snapshots stay."
    require_consent(question, yes=yes, json=json, otherwise="nothing was deleted")
    from snapkeep.deploy.deployment import DR, PRIMARY  # noqa: PLC0415 - imports boto3

    with _watcher(json) as watcher:
        destroyed = _deployment(settings, watcher).destroy([only.value] if only else (PRIMARY, DR))
    _show_destroyed(destroyed, json=json)


@package_app.command()
def package(
    *,
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", file_okay=False, help="Where to. Default: build/functions.")
    ] = None,
    json: Json = False,
) -> None:
    """Build the folder that the templates' CodeUri names, for `aws cloudformation package` or `sam deploy`."""
    from snapkeep.deploy.package import build_package  # noqa: PLC0415 - imports boto3

    console = make_console(stderr=True)
    built = build_package(folder, report=lambda text: console.print(f"note: {text}", markup=False))
    if json:
        print_json(_package_facts(built))
    else:
        make_console().print(f"{built.folder}: {built.bytes_unzipped:,} bytes, zipped {built.bytes_zipped:,}", soft_wrap=True)


def _deployment(settings: AwsSettings, watcher: Watcher) -> Deployment:
    from snapkeep.deploy.deployment import Deployment, Target  # noqa: PLC0415 - imports boto3

    return Deployment(Target(settings.client, settings.region, settings.dr_region, settings.suffix), watcher)


def _watcher(json: bool) -> Any:
    """Progress goes to stderr when stdout is for a machine."""
    from snapkeep.cli.views.deploy import make_watcher  # noqa: PLC0415 - imports rich

    return make_watcher(make_console(stderr=json))


def _with_shortcuts(pairs: Sequence[str] | None, option: str, shortcuts: dict[str, object]) -> dict[str, str]:
    given = {name: str(value) for name, value in shortcuts.items() if value not in ("", None)}
    return given | pairs_of(pairs, option, "NAME=VALUE")


def _show_deployed(deployed: Deployed, *, json: bool) -> None:
    if json:
        facts = {"system": deployed.system, "account_id": deployed.account_id, "buckets": deployed.buckets}
        stacks = [asdict(result) for result in deployed.stacks]
        print_json({**facts, "stacks": stacks, "package": _package_facts(deployed.package)})
        return
    from snapkeep.cli.views.deploy import print_outputs  # noqa: PLC0415 - imports rich

    console = make_console()
    for result in deployed.stacks:
        console.print()
        print_outputs(console, f"{result.stack} in {result.region}: {result.outcome}", result.outputs)


def _show_destroyed(destroyed: Destroyed, *, json: bool) -> None:
    if json:
        print_json(asdict(destroyed))
        return
    console = make_console()
    for result in destroyed.stacks:
        console.print(f"{result.stack} in {result.region}: {result.outcome}", soft_wrap=True)
    for bucket, count in destroyed.objects_removed.items():
        console.print(
            f"bucket {bucket}: " + (f"removed with {counted(count, 'object')}" if count else "not there any more"), soft_wrap=True
        )
    console.print("What stays:")
    for text in destroyed.stays:
        console.print(f"  {text}", soft_wrap=True)


def _package_facts(built: Package) -> dict[str, Any]:
    return {**asdict(built), "folder": str(built.folder), "zip_file": str(built.zip_file)}
