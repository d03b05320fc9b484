"""The plain ways, with nothing but the AWS CLI or SAM's: package, deploy, delete, on the same templates."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from snapkeep.deploy.package import build_package
from snapkeep.deploy.templates import INFRA
from snapkeep.local.embedded import EmbeddedAws
from support import tools

AWS = Path(sys.executable).with_name("aws")
STACKS = (("dr", "us-east-2", "receive"), ("primary", "us-east-1", "protect"))
CAPABILITIES = ("--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND")


@dataclass(frozen=True)
class Region:
    """A region of the embedded AWS, as other people's tools see it, with a bucket to upload to."""

    embedded: EmbeddedAws
    name: str
    account_id: str
    home: Path

    @property
    def bucket(self) -> str:
        return f"plain-{self.account_id}-{self.name}"

    def run(self, tool: Path, *arguments: str) -> str:
        """Given a tool and its arguments, return what it prints, with only this AWS and an empty home to know of."""
        own = {**self.embedded.environment(self.name, self.account_id), "HOME": str(self.home), "AWS_PAGER": ""}
        environment = {**os.environ, **own, "SAM_CLI_TELEMETRY": "0"}
        done = subprocess.run([tool, *arguments], env=environment, cwd=self.home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{tool.name} {' '.join(arguments[:2])}: {done.stderr}{done.stdout}"
        return done.stdout

    def aws(self, *arguments: str) -> str:
        return self.run(AWS, *arguments)

    def state_machine_of(self, stack: str) -> str:
        query = "Stacks[0].Outputs[?OutputKey=='StateMachineArn'].OutputValue"
        return self.aws("cloudformation", "describe-stacks", "--stack-name", stack, "--query", query, "--output", "text").strip()

    def clean_up(self, stack: str) -> None:
        """Delete the stack and the bucket, as the README does by hand."""
        self.aws("cloudformation", "delete-stack", "--stack-name", stack)
        # `aws cloudformation wait stack-delete-complete` looks every thirty seconds: the same, more often.
        waiter = self.embedded.client("cloudformation", self.name, self.account_id).get_waiter("stack_delete_complete")
        waiter.wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        self.aws("s3", "rb", f"s3://{self.bucket}", "--force")


def region_with_bucket(embedded: EmbeddedAws, name: str, account_id: str, home: Path) -> Region:
    build_package(run_here=True)
    region = Region(embedded, name, account_id, home)
    region.aws("s3", "mb", f"s3://{region.bucket}")
    return region


@pytest.mark.parametrize(("kind", "region_name", "machine"), STACKS)
def test_the_aws_cli_packages_and_deploys_the_templates_as_they_are(
    embedded: EmbeddedAws, account_id: str, tmp_path: Path, kind: str, region_name: str, machine: str
) -> None:
    region = region_with_bucket(embedded, region_name, account_id, tmp_path)
    packaged, stack = str(tmp_path / "packaged.yaml"), f"snapkeep-plain-{kind}"
    template = ("--template-file", str(INFRA / f"{kind}.yaml"))
    region.aws("cloudformation", "package", *template, "--s3-bucket", region.bucket, "--output-template-file", packaged)
    region.aws(
        *("cloudformation", "deploy", "--template-file", packaged, "--stack-name", stack, "--s3-bucket", region.bucket),
        *(*CAPABILITIES, "--parameter-overrides", "FunctionNameSuffix=-plain"),
    )
    arn = f"arn:aws:states:{region_name}:{account_id}:stateMachine:snapkeep-plain-{machine}"
    assert region.state_machine_of(stack) == arn
    region.clean_up(stack)


@pytest.mark.parametrize(("kind", "region_name", "machine"), STACKS)
def test_sam_deploys_the_templates_as_they_are(
    embedded: EmbeddedAws, account_id: str, tmp_path: Path, kind: str, region_name: str, machine: str
) -> None:
    region, stack = region_with_bucket(embedded, region_name, account_id, tmp_path), f"snapkeep-sam-{kind}"
    assert tools.SAM.exists(), f"{tools.SAM} is not there: run `make tools`"
    region.run(
        tools.SAM,
        *("deploy", "--template-file", str(INFRA / f"{kind}.yaml"), "--stack-name", stack, "--s3-bucket", region.bucket),
        *(*CAPABILITIES, "--no-confirm-changeset", "--no-progressbar", "--region", region_name),
        *("--parameter-overrides", "FunctionNameSuffix=-sam"),
    )
    assert region.state_machine_of(stack) == f"arn:aws:states:{region_name}:{account_id}:stateMachine:snapkeep-sam-{machine}"
    region.clean_up(stack)
