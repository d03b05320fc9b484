"""What the commands share: the options for AWS, and the settings that they make."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.errors import WrongUse

if TYPE_CHECKING:
    import boto3

SYSTEM = "snapkeep"
DEFAULT_DR_REGION = "us-east-2"

_PANEL = "AWS"
Profile = Annotated[str, typer.Option("--profile", help="Profile of the AWS configuration.", rich_help_panel=_PANEL)]
Region = Annotated[str, typer.Option("--region", help="Primary region. Default: the AWS CLI's.", rich_help_panel=_PANEL)]
DrRegion = Annotated[str, typer.Option("--dr-region", help="Disaster-recovery region.", rich_help_panel=_PANEL)]
EndpointUrl = Annotated[
    str, typer.Option("--endpoint-url", help="Another AWS, such as the embedded one.", rich_help_panel=_PANEL)
]
Name = Annotated[
    str,
    typer.Option(
        "--name",
        metavar="SUFFIX",
        help="FunctionNameSuffix of the system, where there are several in one account.",
        rich_help_panel=_PANEL,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """Which AWS, which two regions, which system."""

    region: str
    dr_region: str
    profile: str = ""
    endpoint_url: str = ""
    suffix: str = ""

    @property
    def system(self) -> str:
        """The system's name, the value of the tag `snapkeep:managed`."""
        return f"{SYSTEM}{self.suffix}"

    def session(self) -> boto3.Session:
        """Return a session for the profile. Raise WrongUse if there is no such profile."""
        return _session(self.profile)

    def client(self, service: Any, region: str) -> Any:
        """Given a service and a region, return a client for it."""
        return self.session().client(service, region_name=region, endpoint_url=self.endpoint_url or None)


@cache
def _session(profile: str) -> boto3.Session:
    """One session for all clients: each session would read the service models anew."""
    import boto3  # noqa: PLC0415 - half a second that `--help` need not pay
    from botocore.exceptions import ProfileNotFound  # noqa: PLC0415

    try:
        return boto3.Session(profile_name=profile or None)
    except ProfileNotFound as error:
        raise WrongUse(f"--profile {profile}: there is no such profile in the AWS configuration") from error


def aws_settings(
    *, profile: str = "", region: str = "", dr_region: str = "", endpoint_url: str = "", name: str = ""
) -> AwsSettings:
    """Given the options, return settings, with what the AWS CLI would take where an option is empty.

    Raise WrongUse where no region is known, or both are one.
    """
    chosen = region or os.environ.get("AWS_REGION", "") or _configured_region(profile)
    if not chosen:
        raise WrongUse("no region: give --region or set AWS_REGION")
    other = dr_region or DEFAULT_DR_REGION
    if chosen == other:
        raise WrongUse(f"--dr-region {other} is the primary region too; name another region")
    return AwsSettings(chosen, other, profile, endpoint_url, name)


def _configured_region(profile: str) -> str:
    session = AwsSettings("", "", profile).session()
    return session.region_name or ""
