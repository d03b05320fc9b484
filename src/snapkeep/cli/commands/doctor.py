"""`snapkeep doctor`: what of the account and of the system would break a deployment or protection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import typer

from snapkeep.cli.common import AwsSettings, Json, with_aws_settings
from snapkeep.cli.errors import NOT_ALL_RIGHT, one_line
from snapkeep.cli.output import make_console, print_json
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.system import StackKind

if TYPE_CHECKING:
    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.deploy.doctor.examination import StackSubject
    from snapkeep.deploy.doctor.results import CheckResult

app = typer.Typer(help="Check the account and the deployed system.")


@app.command()
@with_aws_settings
def doctor(settings: AwsSettings, *, json: Json = False) -> None:
    """Check credentials, permissions, quotas, keys, settings of the account, and the deployed system. It changes nothing.

    Exits with status 1 if there is a problem. What cannot be read is not known.
    """
    from snapkeep.deploy.doctor.results import problems  # noqa: PLC0415

    results = examined(replace(settings, read_only=True))
    if json:
        from snapkeep.domain.json_codec import to_json  # noqa: PLC0415

        print_json({"system": settings.system, "checks": [to_json(result) for result in results]})
    else:
        from snapkeep.cli.views.doctor import doctor_view  # noqa: PLC0415 - imports rich

        make_console().print(doctor_view(results))
    if problems(results):
        raise typer.Exit(NOT_ALL_RIGHT)


def examined(
    settings: AwsSettings,
    parameters: Mapping[StackKind, Mapping[str, str]] | None = None,
    *,
    deploying: bool = False,
    role_arn: str = "",
) -> Sequence[CheckResult]:
    """Return the results for a system; `parameters` are what a deployment gives to the stacks `primary` and `dr`.

    `role_arn` is the role with which CloudFormation acts; empty where it acts with the caller's permissions.
    """
    from importlib.metadata import version  # noqa: PLC0415

    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports botocore
    from snapkeep.deploy.doctor.account import AwsAccount  # noqa: PLC0415
    from snapkeep.deploy.doctor.examination import System, examine  # noqa: PLC0415
    from snapkeep.deploy.doctor.region import AwsRegion  # noqa: PLC0415

    installed = InstalledSystem(settings)
    parameters_of = parameters or {}
    dr_regions = [installed.dr_region] if deploying else _dr_regions(installed)
    system = System(
        settings.system,
        version("snapkeep"),
        _subject(
            installed, StackKind.PRIMARY, settings.region, {"DRRegion": dr_regions[0], **parameters_of.get(StackKind.PRIMARY, {})}
        ),
        [_subject(installed, StackKind.DR, region, parameters_of.get(StackKind.DR, {})) for region in dr_regions],
    )
    account = AwsAccount(sts=settings.client("sts", settings.region), iam=settings.client("iam", settings.region))
    return examine(
        system,
        account,
        lambda region: AwsRegion(partial(settings.client, region=region)),
        deploying=deploying,
        role_arn=role_arn,
    )


def _dr_regions(installed: InstalledSystem) -> list[str]:
    """Return the DR region and every other region that the policies copy to, as far as they can be read."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - imports botocore

    from snapkeep.cli.common import default_dr_region  # noqa: PLC0415
    from snapkeep.usecases.policies import in_force  # noqa: PLC0415

    try:
        return installed.regions(in_force(*installed.primary_document()))[1:]
    except (SnapkeepError, BotoCoreError, ClientError):  # the checks of the stacks say why
        return [installed.settings.dr_region or default_dr_region(installed.settings)]


def _subject(installed: InstalledSystem, kind: StackKind, region: str, parameters: Mapping[str, str]) -> StackSubject:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - imports botocore

    from snapkeep.deploy.doctor.subjects import stack_subject  # noqa: PLC0415
    from snapkeep.deploy.stacks import ABSENT, StackDescription  # noqa: PLC0415

    suffix = installed.settings.suffix
    try:
        return stack_subject(kind, region, suffix, installed.stack(kind, region), parameters)
    except (SnapkeepError, BotoCoreError, ClientError) as error:
        return stack_subject(kind, region, suffix, StackDescription(ABSENT), parameters, one_line(error))
