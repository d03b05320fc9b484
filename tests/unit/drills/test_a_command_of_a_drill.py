"""The command of a drill: sent through endpoints that lead nowhere else, kept in the evidence, and decisive for the verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from snapkeep.cli.views.drill import evidence_lines
from snapkeep.domain.commands import MOST_OUTPUT, CommandResult, CommandStatus
from snapkeep.domain.drills.commands import AGENT_ACTIONS, admits_agents_alone
from snapkeep.domain.drills.ledger import problems_of_chain
from snapkeep.domain.drills.run import CheckOutcome, DrillVerdict
from snapkeep.domain.policy.drill_rules import DrillCommand
from snapkeep.domain.policy.model import GroupMembers, RecoveryGroup
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.simulator.memory_ports import StepKill
from support.databases import protect_set
from support.drill_endpoints import ACCOUNT, https, make_endpoint, make_endpoints, policy_of
from support.drilling_instances import INSTANCE_RULE, InstanceDrillLab
from support.flows import DR, HOUR, INCLUDED

DOCUMENT = "snapkeep-drill-check"
RULE = replace(INSTANCE_RULE, command=DrillCommand(DOCUMENT))


def command_lab(rule: Any = RULE, *, document: bool = True, endpoints: bool = True, **more: Any) -> InstanceDrillLab:
    lab = InstanceDrillLab(rule, **more)
    if endpoints:
        make_endpoints(lab.lab.ec2(DR), lab.network, "snapkeep", DR)
    if document:
        lab.lab.world.client("ssm", DR).create_document(Name=DOCUMENT, Content="{}")
    return lab


def sent(lab: InstanceDrillLab) -> list[dict[str, Any]]:
    return list(lab.lab.world.client("ssm", DR).list_command_invocations()["CommandInvocations"])


def test_a_command_runs_once_in_the_instance_and_its_output_is_evidence() -> None:
    lab = command_lab()
    lab.machines.protected()
    [execution] = lab.drill()
    [evidence] = lab.evidences()
    assert (execution.status, evidence.cause) == ("SUCCEEDED", "")
    assert evidence.checks["command"] == CheckOutcome.PASSED
    [instance] = evidence.run.instances
    assert instance.command == CommandResult(CommandStatus.SUCCESS, 0, f"{DOCUMENT} on {instance.restored_id}\n", "Success")
    assert [(one["InstanceId"], one["Comment"]) for one in sent(lab)] == [(instance.restored_id, evidence.run.id)]
    assert instance.checked_at <= instance.command_at  # type: ignore[operator]
    assert f"command {DOCUMENT} in {instance.restored_id}: Success, exit code 0" in "\n".join(evidence_lines(evidence))
    page = lab.lab.runner.composition.pages.pages[f"drills/{evidence.run.id}.html"]
    assert f"{DOCUMENT} on {instance.restored_id}" in page
    assert lab.standing() == []
    assert list(problems_of_chain(lab.ledger, lab.texts)) == []


def test_the_instance_has_the_profile_of_drills_only_for_a_command() -> None:
    for rule, expected in ((RULE, "snapkeep-drill-us-east-2"), (INSTANCE_RULE, "")):
        lab = command_lab(rule)
        seen: set[str] = set()
        lab.machines.protected()
        lab.begin.run()
        while not lab.ledger.ended:
            lab.lab.runner.advance(5)
            seen |= {one.get("IamInstanceProfile", {"Arn": ""})["Arn"].rpartition("/")[2] for one in lab.instances()}
        assert seen == {expected}


def test_a_command_that_fails_fails_the_drill_and_its_output_is_kept() -> None:
    lab = command_lab()
    lab.machines.protected()
    lab.lab.world.add_fault(FaultRule("command_fails", region=DR, source_id=DOCUMENT, message="no\x1b[2J database\n" * 200))
    [execution] = lab.drill()
    [evidence] = lab.evidences()
    [instance] = evidence.run.instances
    assert (execution.status, evidence.verdict) == ("FAILED", DrillVerdict.FAILED)
    assert evidence.checks["command"] == CheckOutcome.FAILED
    assert f"{DOCUMENT} in {instance.restored_id} of {instance.instance_id}: Failed, exit code 1" in evidence.cause
    assert instance.command is not None
    assert (len(instance.command.output), instance.command.output[:16]) == (MOST_OUTPUT, "no\ufffd[2J database\n"[:16])
    assert (lab.standing(), lab.held()) == ([], [])


@pytest.mark.parametrize(
    ("options", "words", "outcome"),
    [
        (
            {"endpoints": False},
            "`snapkeep deploy --only drill --drill-parameter CommandEndpoints=yes` makes them",
            CheckOutcome.NOT_RUN,
        ),
        ({"document": False}, f"{DOCUMENT} cannot run: send_command {DOCUMENT} to ", CheckOutcome.NOT_RUN),
    ],
)
def test_without_endpoints_or_its_document_no_command_passes(options: Any, words: str, outcome: CheckOutcome) -> None:
    lab = command_lab(**options)
    lab.machines.protected()
    lab.drill()
    [evidence] = lab.evidences()
    assert words in evidence.cause
    assert evidence.checks["command"] == outcome
    assert lab.standing() == []


def test_an_agent_that_does_not_connect_ends_the_drill() -> None:
    lab = command_lab()
    lab.machines.protected()
    lab.lab.ec2(DR).revoke_security_group_ingress(GroupId=lab.network["endpoints"], IpPermissions=[https(lab.network["group"])])
    lab.drill()
    [evidence] = lab.evidences()
    assert "did not connect: is it installed, and does it start?" in evidence.cause
    assert evidence.checks["command"] == CheckOutcome.NOT_RUN
    assert lab.standing() == []


def test_a_command_that_does_not_end_in_time_ends_the_drill() -> None:
    lab = command_lab()
    lab.machines.protected()
    lab.begin.run()
    while not sent(lab):
        lab.lab.runner.advance(1)
    (command,) = lab.lab.world.region_account(DR).run_command["commands"]
    command["Sent"] += 12 * HOUR  # it runs for half a day
    lab.lab.runner.advance(HOUR)
    [evidence] = lab.evidences()
    run = evidence.run
    assert f"{DOCUMENT} did not end in time in" in evidence.cause
    assert evidence.checks["command"] == CheckOutcome.FAILED
    assert timedelta(minutes=10) < run.removed_at - run.instances[0].command_at < timedelta(minutes=20)  # type: ignore[operator]
    assert lab.standing() == []


LOST = FaultRule("api_error", region=DR, code="InternalServerError", http_status=500, action="SendCommand")


@pytest.mark.parametrize("effect", ["before", "after"])
@pytest.mark.parametrize("listed_after", [0, 240])
def test_a_command_whose_answer_is_lost_is_not_sent_twice(effect: str, listed_after: float) -> None:
    lab = command_lab()
    lab.machines.protected()
    lab.lab.world.add_fault(replace(LOST, effect=effect, times=1))
    lab.lab.world.add_fault(FaultRule("command_listed_late", delay_seconds=listed_after))
    [execution] = lab.drill()
    assert (execution.status, len(sent(lab))) == ("SUCCEEDED", 1)


class EndedAfterSending:
    """Ends Drill once, right after its SendCommand or right before it."""

    def __init__(self, moment: int) -> None:
        self.moment, self.seen = moment, 0

    def __call__(self, name: str) -> None:
        self.seen += name == "commands.send"
        if name == "commands.send" and self.seen == self.moment:
            raise StepKill(name)


@pytest.mark.parametrize("moment", [1, 2])
@pytest.mark.parametrize("listed_after", [0, 240])
def test_a_step_that_ended_at_its_command_sends_it_once(moment: int, listed_after: float) -> None:
    """The repeated step sent it again where Systems Manager did not list it at once."""
    lab = command_lab(hook=EndedAfterSending(moment))
    lab.machines.protected()
    lab.lab.world.add_fault(FaultRule("command_listed_late", delay_seconds=listed_after))
    [execution] = lab.drill()
    assert (execution.status, len(sent(lab))) == ("SUCCEEDED", 1)


def test_a_command_that_is_never_known_to_be_sent_fails_the_drill() -> None:
    lab = command_lab()
    lab.machines.protected()
    lab.lab.world.add_fault(LOST)
    lab.drill()
    [evidence] = lab.evidences()
    assert f"Systems Manager does not say whether {DOCUMENT} was sent to " in evidence.cause
    assert evidence.checks["command"] == CheckOutcome.NOT_RUN
    assert (lab.standing(), sent(lab)) == ([], [])


def test_every_instance_of_a_group_runs_the_command() -> None:
    group = RecoveryGroup("shop", GroupMembers({"App": ("shop",)}), ("db",))
    lab = command_lab(replace(RULE, group="shop"), groups=(group,))
    shop = [lab.machines.launch(tags={**INCLUDED, "App": "shop", "Name": name}, BlockDeviceMappings=[]) for name in ("web", "db")]
    for instance_id in shop * 2:
        protect_set(lab.lab, instance_id)
    [execution] = lab.drill()
    [evidence] = lab.evidences()
    assert (execution.status, len(sent(lab))) == ("SUCCEEDED", 2)
    assert [instance.command_ended for instance in evidence.run.instances] == [True, True]
    one, *others = evidence.run.instances
    assert replace(evidence.run, instances=(replace(one, command=None), *others)).verdict is DrillVerdict.FAILED, "INV-19"


SERVICE = "com.amazonaws.us-east-2."
OPEN = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]})


@pytest.mark.parametrize(
    ("differs", "words"),
    [
        ({"ServiceName": f"{SERVICE}s3"}, f"to {SERVICE}s3"),
        ({"ServiceName": f"{SERVICE}ssm.evil"}, f"to {SERVICE}ssm.evil"),
        ({"VpcEndpointType": "Gateway"}, f"to {SERVICE}ssm"),
        ({"PolicyDocument": OPEN}, "whose policy admits more than the SSM agents of the role snapkeep-drill-us-east-2"),
        ({"PolicyDocument": ""}, "whose policy admits more"),
        ({"PolicyDocument": json.dumps(policy_of("ssm", "other", DR))}, "whose policy admits more"),
        ({"PolicyDocument": json.dumps(policy_of("ssm", "snapkeep", DR, "999999999999"))}, "whose policy admits more"),
        ({"PolicyDocument": json.dumps(policy_of("ssmmessages", "snapkeep", DR))}, "whose policy admits more"),
        ({"TagSpecifications": []}, "which is not of the network of drills"),
    ],
)
def test_any_other_endpoint_is_a_way_out(differs: dict[str, Any], words: str) -> None:
    lab = command_lab()
    lab.machines.protected()
    made = make_endpoint(lab.lab.ec2(DR), lab.network, "ssm", "snapkeep", DR, **differs)
    lab.drill()
    [evidence] = lab.evidences()
    assert "NotIsolated: nothing was made" in evidence.cause
    assert f"has the endpoint {made} " in evidence.cause
    assert words in evidence.cause
    assert (lab.instances(), lab.standing()) == ([], [])


def test_egress_to_the_endpoints_on_another_port_is_a_way_out() -> None:
    lab = command_lab()
    lab.machines.protected()
    rule = {**https(lab.network["endpoints"]), "FromPort": 22, "ToPort": 443}
    lab.lab.ec2(DR).authorize_security_group_egress(GroupId=lab.network["group"], IpPermissions=[rule])
    lab.drill()
    [evidence] = lab.evidences()
    assert f"security group {lab.network['group']} lets traffic out to {lab.network['endpoints']}" in evidence.cause


def test_an_endpoint_that_is_opened_during_the_drill_stops_the_launch() -> None:
    lab = command_lab()
    lab.machines.protected()
    lab.begin.run()
    while not lab.machines.images():
        lab.lab.runner.advance(1)
    for endpoint in lab.lab.world.region_account(DR).endpoints.values():
        endpoint["PolicyDocument"] = OPEN
    lab.lab.runner.advance(HOUR)
    [evidence] = lab.evidences()
    assert "whose policy admits more" in evidence.cause
    assert (lab.instances(), lab.standing()) == ([], [])


ROLE = "snapkeep-drill-us-east-2"


@pytest.mark.parametrize("service", AGENT_ACTIONS)
def test_the_policy_of_the_template_admits_only_agents(service: str) -> None:
    policy = policy_of(service, "snapkeep", DR)
    [statement] = policy["Statement"]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}

    def admitted(*statements: Any) -> bool:
        return admits_agents_alone(json.dumps({"Statement": list(statements)}), service, ACCOUNT, ROLE)

    assert admits_agents_alone(json.dumps({"Statement": statement}), service, ACCOUNT, ROLE)
    assert admitted(statement)
    assert admitted(statement, deny)
    arn = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
    wrong: list[Any] = [
        {**statement, "Action": [*statement["Action"], "ssm:PutParameter"]},
        {**statement, "Action": f"{service}:*"},
        {**statement, "NotAction": "x"},
        {name: value for name, value in statement.items() if name != "Action"},
        {name: value for name, value in statement.items() if name != "Condition"},
        {**statement, "Condition": {"ArnLike": {"aws:PrincipalArn": arn}}},
        {**statement, "Condition": {"ArnEquals": {"aws:PrincipalArn": [arn, f"{arn}2"]}}},
        {**statement, "Condition": {"ArnEquals": {}}},
        {**statement, "Condition": "none"},
        "a statement",
    ]
    for one in wrong:
        assert not admitted(one), one
        assert not admitted(statement, one), one
    assert not admitted()
    assert not admitted(deny)


@pytest.mark.parametrize("policy", ["", "{", "[]", "{}", '{"Statement": []}', '{"Statement": null}', "7"])
def test_an_unreadable_policy_counts_as_open(policy: str) -> None:
    assert not admits_agents_alone(policy, "ssm", ACCOUNT, ROLE)
