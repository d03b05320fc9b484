"""The plain ways, with nothing but the AWS CLI or SAM's: package, deploy, delete, on the same templates."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from snapkeep.deploy.package import build_package, default_folder
from snapkeep.deploy.stack_descriptions import ABSENT, find_stack
from snapkeep.deploy.templates import INFRA
from snapkeep.domain.system import StackKind
from snapkeep.lab.embedded_aws import EmbeddedAws
from support import tools

AWS = Path(sys.executable).with_name("aws")
README = Path(__file__).parents[2] / "README.md"
STACKS = (("us-east-2", "snapkeep-dr", "snapkeep-receive"), ("us-east-1", "snapkeep-primary", "snapkeep-protect"))


@dataclass(frozen=True)
class Region:
    """A region of the embedded AWS for other tools, with a bucket to upload to."""

    embedded: EmbeddedAws
    name: str
    account_id: str
    home: Path

    @property
    def bucket(self) -> str:
        return f"plain-{self.account_id}-{self.name}"

    def run(self, tool: Path, *arguments: str) -> str:
        """Return the output of a tool that knows only this AWS and an empty home."""
        own = {**self.embedded.environment(self.name, self.account_id), "HOME": str(self.home), "AWS_PAGER": ""}
        environment = {**os.environ, **own, "SAM_CLI_TELEMETRY": "0"}
        done = subprocess.run([tool, *arguments], env=environment, cwd=self.home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{tool.name} {' '.join(arguments[:2])}: {done.stderr}{done.stdout}"
        return done.stdout

    def aws(self, *arguments: str) -> str:
        return self.run(AWS, *arguments)

    def commands_of_the_readme(self, beginning: str) -> list[list[str]]:
        """Return the README's commands for this region that begin so, with our folders."""
        ours = {f"BUCKET-IN-{self.name.upper()}": self.bucket, "src/snapkeep/infra": str(INFRA), "build/": f"{self.home}/"}
        text = README.read_text(encoding="utf-8")
        for theirs, our in ours.items():
            text = text.replace(theirs, our)
        lines = [line for line in text.splitlines() if line.startswith(f"$ {beginning}") and f"--region {self.name} " in line]
        return [line.split()[2:] for line in lines]

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
    build_package(default_folder(), run_here=True)
    region = Region(embedded, name, account_id, home)
    region.aws("s3", "mb", f"s3://{region.bucket}")
    return region


@pytest.mark.parametrize(("region_name", "stack", "machine"), STACKS)
def test_the_aws_cli_deploys_with_the_commands_of_the_readme(
    embedded: EmbeddedAws, account_id: str, tmp_path: Path, region_name: str, stack: str, machine: str
) -> None:
    region = region_with_bucket(embedded, region_name, account_id, tmp_path)
    package, deploy = region.commands_of_the_readme("aws cloudformation")
    region.aws(*package)
    region.aws(*deploy)
    assert region.state_machine_of(stack) == f"arn:aws:states:{region_name}:{account_id}:stateMachine:{machine}"
    cloudformation, kind = embedded.client("cloudformation", region_name, account_id), StackKind(stack.removeprefix("snapkeep-"))
    assert find_stack(cloudformation, "another-name", "snapkeep", kind).name == stack, "its outputs tell whose it is"
    assert find_stack(cloudformation, "another-name", "snapkeep-two", kind).status == ABSENT
    region.clean_up(stack)


@pytest.mark.parametrize(("region_name", "stack", "machine"), STACKS)
def test_sam_deploys_with_the_command_of_the_readme(
    embedded: EmbeddedAws, account_id: str, tmp_path: Path, region_name: str, stack: str, machine: str
) -> None:
    region = region_with_bucket(embedded, region_name, account_id, tmp_path)
    assert tools.SAM.exists(), f"{tools.SAM} is not there: run `make tools`"
    (deploy,) = region.commands_of_the_readme("sam deploy")
    region.run(tools.SAM, *deploy, "--no-confirm-changeset", "--no-progressbar")
    assert region.state_machine_of(stack) == f"arn:aws:states:{region_name}:{account_id}:stateMachine:{machine}"
    region.clean_up(stack)
