"""`snapkeep deploy` and `destroy` against the embedded AWS, with small templates of the same form as ours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.adapters.ec2_drills import Ec2Drills
from snapkeep.cli.views.deploy import risky_lines
from snapkeep.deploy.changes import ChangeNotConfirmed
from snapkeep.deploy.deployment import Deployment, DeploymentTarget, StackOfAnotherSystem
from snapkeep.deploy.package import Package, write_zip
from snapkeep.deploy.parameters import InvalidParameters
from snapkeep.deploy.progress import SilentWatcher, StackEvent
from snapkeep.deploy.stacks import StackFailed, StackLeftover, StackOutcome
from snapkeep.domain.drills.network import missing_for_commands, ways_out
from snapkeep.domain.errors import NotIsolated
from snapkeep.domain.system import StackKind
from snapkeep.lab.embedded_aws import EmbeddedAws

PRIMARY, DR = "us-east-1", "us-east-2"
TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Retention: {{Type: Number, Default: 7, MinValue: 1}}
  FunctionNameSuffix: {{Type: String, Default: ""}}
  {parameters}
Resources:
  Work:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub "Work${{FunctionNameSuffix}}"
      Runtime: python3.13
      Handler: index.handler
      CodeUri: ../code
      Environment: {{Variables: {{RETENTION: !Ref Retention}}}}
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: statemachines/machine.asl.json
      DefinitionSubstitutions: {{WorkArn: !GetAtt Work.Arn}}
      Policies: [{{LambdaInvokePolicy: {{FunctionName: !Ref Work}}}}]
  {resources}
Outputs:
  MachineArn: {{Value: !Ref Machine}}
"""
FAILING = """WrongRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: sts:AssumeRole}]
  Broken:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: index.handler, CodeUri: ../code, Role: !GetAtt WrongRole.Arn}"""


KEPT = """Reports:
    Type: AWS::S3::Bucket
    DeletionPolicy: RetainExceptOnCreate
  Key:
    Type: AWS::KMS::Key
    DeletionPolicy: RetainExceptOnCreate
    Properties: { Description: of reports }"""


class Recorder(SilentWatcher):
    """Records the lines of a deployment."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.events: list[StackEvent] = []
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def step(self, text: str) -> None:
        self.steps.append(text)

    def event(self, event: StackEvent) -> None:
        self.events.append(event)


@pytest.fixture
def infra(tmp_path: Path) -> Path:
    folder = tmp_path / "infra"
    (folder / "statemachines").mkdir(parents=True)
    definition = {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": "${WorkArn}", "End": True}}}
    (folder / "statemachines" / "machine.asl.json").write_text(json.dumps(definition))
    write_templates(folder, KEPT)
    return folder


def write_templates(folder: Path, resources: str = "") -> None:
    (folder / "dr.yaml").write_text(TEMPLATE.format(parameters="", resources=""))
    region = "DRRegion: {Type: String, Default: us-east-2}"
    (folder / "primary.yaml").write_text(TEMPLATE.format(parameters=region, resources=resources))


def tiny_package(folder: Path) -> Callable[..., Package]:
    def build(**_: Any) -> Package:
        code, zip_file = folder / "code", folder / "code.zip"
        code.mkdir(exist_ok=True)
        (code / "index.py").write_text("def handler(event, context):\n    return 'worked'\n")
        write_zip(code, zip_file)
        return Package(folder, zip_file, "", zip_file.stat().st_size, 1, ())

    return build


@pytest.fixture
def target(embedded: EmbeddedAws, account_id: str) -> DeploymentTarget:
    return DeploymentTarget(lambda service, region: embedded.client(service, region, account_id), PRIMARY, DR, "-test")


def test_both_stacks_are_created_unchanged_updated_and_deleted(target: DeploymentTarget, infra: Path, tmp_path: Path) -> None:
    build, watcher = tiny_package(tmp_path), Recorder()
    deployment = Deployment(target, watcher, infra=infra)
    made = deployment.deploy({"Retention": "5"}, {}, tags={"team": "storage"}, build=build)
    assert [(s.stack, s.region, s.outcome) for s in made.stacks] == [
        ("snapkeep-test-dr", DR, StackOutcome.CREATED),
        ("snapkeep-test-primary", PRIMARY, StackOutcome.CREATED),
    ]
    assert all(s.outputs["MachineArn"].startswith(f"arn:aws:states:{s.region}:") for s in made.stacks)
    assert {event.logical_id for event in watcher.events} >= {"Work", "Machine", "snapkeep-test-dr"}

    again = deployment.deploy({"Retention": "5"}, {}, tags={"team": "storage"}, build=build)
    assert [s.outcome for s in again.stacks] == [StackOutcome.UNCHANGED] * 2
    assert again.stacks[0].outputs == made.stacks[0].outputs

    with pytest.raises(ChangeNotConfirmed, match="Retention from '7' to '2'"):
        deployment.deploy({}, {"Retention": "2"}, build=build)
    asked: list[str] = []
    changed = deployment.deploy(
        {}, {"Retention": "2"}, may_change=lambda changes: asked.extend(risky_lines(changes)) is None, build=build
    )
    assert [s.outcome for s in changed.stacks] == [StackOutcome.UPDATED, StackOutcome.UNCHANGED], (
        "what is not given keeps its value"
    )
    assert [(change.action, change.logical_id) for change in changed.stacks[0].changes] == [
        ("Modify", "Machine"),
        ("Modify", "Work"),
    ]
    assert any(line.startswith(f"{DR}: Retention from '7' to '2': ") for line in asked)
    assert f"{DR}: modify AWS::Lambda::Function: Work" in watcher.notes
    described = target.client("cloudformation", DR).describe_stacks(StackName="snapkeep-test-dr")["Stacks"][0]
    tags = {tag["Key"]: tag["Value"] for tag in described["Tags"]}
    assert tags == {"team": "storage", "snapkeep:primary-region": PRIMARY}
    function = target.client("lambda", PRIMARY).get_function_configuration(FunctionName="Work-test")
    assert function["Environment"]["Variables"]["RETENTION"] == "5"

    for name, region in zip(made.buckets, (DR, PRIMARY), strict=True):
        s3 = target.client("s3", region)
        assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
        assert s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]

    destroyed = deployment.destroy()
    assert [(s.stack, s.outcome) for s in destroyed.stacks] == [
        ("snapkeep-test-primary", StackOutcome.DELETED),
        ("snapkeep-test-dr", StackOutcome.DELETED),
    ]
    assert set(destroyed.objects_removed) == set(made.buckets)
    assert all(destroyed.objects_removed.values())
    assert "every snapshot in us-east-1 and us-east-2" in destroyed.stays[0]
    assert destroyed.stays[1].startswith("the policy document in us-east-1 and us-east-2, if one was pushed")
    assert destroyed.stays[1].endswith("/snapkeep-test/policy")
    for retained in ("AWS::S3::Bucket ", "AWS::KMS::Key "):
        assert any(text.startswith(retained) for text in destroyed.stays), "what the template retains is named"
    assert destroyed.stays[-1].endswith(" in us-east-1")
    assert [s.outcome for s in deployment.destroy().stacks] == [StackOutcome.ABSENT] * 2


def test_a_further_dr_region_gets_a_dr_stack_alone(target: DeploymentTarget, infra: Path, tmp_path: Path) -> None:
    build, further = tiny_package(tmp_path), "eu-west-1"
    deployment = Deployment(DeploymentTarget(target.client, PRIMARY, further, target.suffix), Recorder(), infra=infra)
    made = deployment.deploy({}, {}, kinds=["dr"], build=build)
    assert [(s.stack, s.region, s.outcome) for s in made.stacks] == [("snapkeep-test-dr", further, StackOutcome.CREATED)]
    with pytest.raises(ClientError, match="does not exist"):
        target.client("cloudformation", PRIMARY).describe_stacks(StackName="snapkeep-test-primary")
    destroyed = deployment.destroy(["dr"])
    assert [(s.stack, s.outcome) for s in destroyed.stacks] == [("snapkeep-test-dr", StackOutcome.DELETED)]
    assert destroyed.stays[0].startswith("every snapshot in eu-west-1,")


def test_the_network_of_drills_is_deployed_isolated_and_destroyed(target: DeploymentTarget, tmp_path: Path) -> None:
    deployment = Deployment(target, Recorder())
    commands = {"CommandEndpoints": "yes"}
    made = deployment.deploy({}, {}, drill_parameters=commands, kinds=[StackKind.DRILL], build=tiny_package(tmp_path))
    assert [(s.stack, s.region, s.outcome) for s in made.stacks] == [("snapkeep-test-drill", DR, StackOutcome.CREATED)]
    ec2 = Ec2Drills(client=target.client("ec2", DR), region=DR)
    network = ec2.drill_network("snapkeep-test")
    assert (network.subnet_id, len(network.group_ids)) == (made.stacks[0].outputs["DrillSubnet"], 1)
    facts = ec2.network_facts(network)
    assert ways_out(network, facts) == missing_for_commands(network, facts) == []
    assert len(facts.endpoints) == 3
    destroyed = deployment.destroy([StackKind.DRILL])
    assert [(s.stack, s.outcome) for s in destroyed.stacks] == [("snapkeep-test-drill", StackOutcome.DELETED)]
    with pytest.raises(NotIsolated, match="snapkeep deploy --only drill"):
        ec2.drill_network("snapkeep-test")


def test_the_deployed_state_machine_runs_the_deployed_function(target: DeploymentTarget, infra: Path, tmp_path: Path) -> None:
    made = Deployment(target, SilentWatcher(), infra=infra).deploy({}, {}, build=tiny_package(tmp_path))
    machines = target.client("stepfunctions", PRIMARY)
    run = machines.start_execution(stateMachineArn=made.stacks[1].outputs["MachineArn"], input="{}")
    for _ in range(300):
        described = machines.describe_execution(executionArn=run["executionArn"])
        if described["status"] != "RUNNING":
            break
        import time  # noqa: PLC0415

        time.sleep(0.1)
    assert (described["status"], described["output"]) == ("SUCCEEDED", '"worked"')


def test_a_failed_deployment_names_the_first_failed_resource(target: DeploymentTarget, infra: Path, tmp_path: Path) -> None:
    write_templates(infra, FAILING)
    deployment = Deployment(target, SilentWatcher(), infra=infra)
    with pytest.raises(StackFailed) as caught:
        deployment.deploy({}, {}, build=tiny_package(tmp_path))
    message = str(caught.value)
    assert message.startswith("stack snapkeep-test-primary in us-east-1 ended in ROLLBACK_COMPLETE: ")
    assert ": Broken (AWS::Lambda::Function) CREATE_FAILED: " in message
    assert "cannot be assumed by Lambda" in message

    with pytest.raises(StackLeftover, match=r"left over from a failed operation \(ROLLBACK_COMPLETE\).*--remove-failed"):
        deployment.deploy({}, {}, build=tiny_package(tmp_path))

    write_templates(infra)
    questions: list[str] = []

    def consent(story: str) -> bool:
        questions.append(story)
        return True

    made = deployment.deploy({}, {}, build=tiny_package(tmp_path), may_remove_leftover=consent)
    assert [s.outcome for s in made.stacks] == [StackOutcome.UNCHANGED, StackOutcome.CREATED]
    assert len(questions) == 1


def test_a_removed_bucket_is_asked_and_refused_before_any_stack_changes(
    target: DeploymentTarget, infra: Path, tmp_path: Path
) -> None:
    build, watcher = tiny_package(tmp_path), Recorder()
    deployment = Deployment(target, watcher, infra=infra)
    deployment.deploy({}, {}, build=build)
    write_templates(infra)
    code = tmp_path / "code"

    def changed(**options: Any) -> Package:
        package = build(**options)
        (code / "index.py").write_text("def handler(event, context):\n    return 'changed'\n")
        write_zip(code, package.zip_file)
        return replace(package, sha256=hashlib.sha256(package.zip_file.read_bytes()).hexdigest())

    with pytest.raises(ChangeNotConfirmed, match=r"remove Reports \(AWS::S3::Bucket\): the reports of sweeps stay"):
        deployment.deploy({}, {}, build=changed)
    assert any("functions' code from " in note for note in watcher.notes)
    for region in (PRIMARY, DR):
        cloudformation = target.client("cloudformation", region)
        (stack,) = cloudformation.describe_stacks()["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        assert [
            change_set
            for change_set in cloudformation.list_change_sets(StackName=stack["StackName"])["Summaries"]
            if change_set["ExecutionStatus"] == "AVAILABLE"
        ] == []
    made = deployment.deploy({}, {}, build=changed, may_change=lambda _: True)
    assert [result.outcome for result in made.stacks] == [StackOutcome.UPDATED] * 2


def test_two_primaries_into_one_dr_region_have_names_of_their_own(target: DeploymentTarget, infra: Path, tmp_path: Path) -> None:
    build = tiny_package(tmp_path)
    Deployment(target, SilentWatcher(), infra=infra).deploy({}, {}, build=build)
    with pytest.raises(StackOfAnotherSystem, match="--name"):
        Deployment(DeploymentTarget(target.client, "eu-west-1", DR, "-test"), SilentWatcher(), infra=infra).deploy(
            {}, {}, build=build
        )
    made = Deployment(DeploymentTarget(target.client, "eu-west-1", DR, "-two"), SilentWatcher(), infra=infra).deploy(
        {}, {}, build=build
    )
    assert [result.outcome for result in made.stacks] == [StackOutcome.CREATED] * 2


def test_a_creation_that_rolls_back_leaves_no_bucket(target: DeploymentTarget, infra: Path, tmp_path: Path) -> None:
    write_templates(infra, f"{KEPT}\n  {FAILING}")
    with pytest.raises(StackFailed, match="Broken"):
        Deployment(target, SilentWatcher(), infra=infra).deploy({}, {}, build=tiny_package(tmp_path))
    buckets = [bucket["Name"] for bucket in target.client("s3", PRIMARY).list_buckets()["Buckets"]]
    assert all(name.startswith("snapkeep-test-") for name in buckets), buckets


def test_wrong_parameters_leave_nothing_behind(target: DeploymentTarget, infra: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameters, match="snapkeep-test-primary: Retention is 0; a whole number of 1 or more is right"):
        Deployment(target, SilentWatcher(), infra=infra).deploy({"Retention": "0"}, {}, build=tiny_package(tmp_path))
    assert target.client("s3", PRIMARY).list_buckets()["Buckets"] == []
    with pytest.raises(ClientError, match="does not exist"):
        target.client("cloudformation", DR).describe_stacks(StackName="snapkeep-test-dr")
