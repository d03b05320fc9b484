"""The doctor reads through its ports, decides in one place, and says what it could not read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from snapkeep.deploy.doctor import checks
from snapkeep.deploy.doctor.examination import StackSubject, System, cloudformation_questions, deployer_questions, examine
from snapkeep.deploy.doctor.ports import Caller, DeployedFunction, KeyFacts, PermissionQuestion, RecordingTrail, ResourceKind
from snapkeep.deploy.doctor.results import Check, CheckResult, CheckState
from snapkeep.deploy.doctor.subjects import fixed_names, stack_subject
from snapkeep.deploy.stack_descriptions import ABSENT, StackDescription
from snapkeep.deploy.templates import INFRA, read_template
from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.system import StackKind

PRIMARY, DR, ACCOUNT = "us-east-1", "us-east-2", "123456789012"
PERSON = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/person", "aws")
KEY = f"arn:aws:kms:{DR}:{ACCOUNT}:key/k"
ROOT_STATEMENT = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}


@dataclass
class FakeAccount:
    """An account; `denied_actions` are what its policies do not allow."""

    who: Caller | None = PERSON
    denied_actions: frozenset[str] = frozenset()
    may_simulate: bool = True

    def caller(self) -> Caller:
        if self.who is None:
            raise AwsRefused("get_caller_identity: ExpiredToken")
        return self.who

    def denied(self, caller: Caller, question: PermissionQuestion) -> Sequence[str]:
        if not self.may_simulate:
            raise AwsRefused(f"{caller.arn} may not simulate")
        return [action for action in question.actions if action in self.denied_actions]


@dataclass
class FakeRegion:
    """A region in which all is well, but for what a test sets. A method in `refused` is refused."""

    opt_ins: Mapping[str, str] = field(default_factory=lambda: {PRIMARY: "opt-in-not-required", DR: "opted-in"})
    reads_denied: Sequence[str] = ()
    public_access: str = "block-all-sharing"
    encrypted: bool = True
    snapshots: Mapping[str, int] = field(default_factory=lambda: {"snapkeep": 3})
    quota: int = 20
    most: int = 100_000
    executions: tuple[int, int] = (1000, 900)
    deployed: Sequence[DeployedFunction] = (DeployedFunction("TagSnapshots", "snapkeep"),)
    taken: Mapping[ResourceKind, Sequence[str]] = field(default_factory=dict)
    recorded_by: Sequence[RecordingTrail] = (RecordingTrail("all"),)
    keys: Mapping[str, KeyFacts] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()

    def _answer(self, method: str, value: Any) -> Any:
        if method in self.refused:
            raise AwsRefused(f"{method}: AccessDenied")
        return value

    def opt_in_status(self, region: str) -> str:
        return str(self._answer("opt_in_status", self.opt_ins.get(region, "")))

    def denied_reads(self) -> Sequence[str]:
        return list(self._answer("denied_reads", self.reads_denied))

    def block_public_access(self) -> str:
        return str(self._answer("block_public_access", self.public_access))

    def encrypts_by_default(self) -> bool:
        return bool(self._answer("encrypts_by_default", self.encrypted))

    def managed_snapshots(self) -> Mapping[str, int]:
        return dict(self._answer("managed_snapshots", self.snapshots))

    def copies_at_once(self) -> int:
        return int(self._answer("copies_at_once", self.quota))

    def most_snapshots(self) -> int:
        return int(self._answer("most_snapshots", self.most))

    def concurrency(self) -> tuple[int, int]:
        limit, unreserved = self._answer("concurrency", self.executions)
        return limit, unreserved

    def functions(self) -> Sequence[DeployedFunction]:
        return list(self._answer("functions", self.deployed))

    def existing(self, kind: ResourceKind, names: Sequence[str]) -> Sequence[str]:
        return [name for name in self._answer("existing", self.taken).get(kind, ()) if name in names]

    def trails(self) -> Sequence[RecordingTrail]:
        return list(self._answer("trails", self.recorded_by))

    def key(self, key: str) -> KeyFacts:
        facts: KeyFacts = self._answer("key", self.keys)[key]
        return facts


DEPLOYED = System(
    "snapkeep",
    "0.3.0",
    StackSubject(
        PRIMARY,
        {"DRRegion": DR, "DRKmsKey": "", "KmsKeyArn": "", "SnapshotQuota": "100000"},
        deployed=True,
        version="0.3.0",
    ),
    [StackSubject(DR, {"CopyQuota": "20", "KmsKeyArn": ""}, deployed=True, version="0.3.0")],
)


def results_of(
    system: System = DEPLOYED, account: FakeAccount | None = None, region: FakeRegion | None = None, **options: bool
) -> list[CheckResult]:
    facts = region or FakeRegion()
    return examine(system, account or FakeAccount(), lambda _: facts, **options)


def not_ok(results: Sequence[CheckResult]) -> set[tuple[Check, CheckState, str]]:
    return {(result.check, result.state, result.region) for result in results if result.state is not CheckState.OK}


def test_a_healthy_system_has_no_finding() -> None:
    results = results_of()
    assert not_ok(results) == set()
    assert {result.check for result in results} == set(Check) - {
        Check.STACK,
        Check.COPY_KEY,
        Check.STACK_KEY,
        Check.NAMES,
        Check.SSM_DOCUMENTS,
    }, "the others need a key, a first deployment, a policy, or a refusal"


VAULT = System("snapkeep", "0.3.0", None, [StackSubject(DR, {"CopyQuota": "20", "KmsKeyArn": ""}, deployed=False, version="")])


def test_a_vault_is_examined_as_a_stack_without_a_primary_one() -> None:
    results = results_of(VAULT, deploying=True)
    assert not_ok(results) == set()
    asked = {Check.CREDENTIALS, Check.REGION, Check.DEPLOYER, Check.SHARING, Check.COPY_QUOTA, Check.TRAIL}
    assert asked <= {result.check for result in results}
    assert {result.region for result in results} <= {"", DR}
    assert not_ok(results_of(VAULT, region=FakeRegion(quota=5), deploying=True)) == {(Check.COPY_QUOTA, CheckState.WARNING, DR)}


def test_without_credentials_nothing_else_is_read() -> None:
    (result,) = results_of(account=FakeAccount(None))
    assert (result.check, result.state) == (Check.CREDENTIALS, CheckState.PROBLEM)


WARNING, PROBLEM = CheckState.WARNING, CheckState.PROBLEM
FINDINGS: list[tuple[dict[str, Any], Check, CheckState, list[str]]] = [
    ({"reads_denied": ["ec2:DescribeVolumes"]}, Check.READER, WARNING, [PRIMARY, DR]),
    ({"public_access": "unblocked"}, Check.SHARING, WARNING, [PRIMARY, DR]),
    ({"encrypted": False}, Check.ENCRYPTION, WARNING, [PRIMARY, DR]),
    ({"recorded_by": []}, Check.TRAIL, WARNING, [PRIMARY, DR]),
    ({"recorded_by": [RecordingTrail("all", with_kms=False)]}, Check.TRAIL, WARNING, [PRIMARY, DR]),
    ({"executions": (10, 10)}, Check.CONCURRENCY, WARNING, [PRIMARY, DR]),
    ({"quota": 5}, Check.COPY_QUOTA, WARNING, [DR]),
    ({"most": 10_000}, Check.SNAPSHOT_QUOTA, WARNING, [PRIMARY]),
    ({"snapshots": {"snapkeep-old": 2}}, Check.FORMER, WARNING, [PRIMARY, DR]),
    ({"opt_ins": {PRIMARY: "opted-in", DR: "not-opted-in"}}, Check.REGION, PROBLEM, [DR]),
    ({"opt_ins": {PRIMARY: "opted-in"}}, Check.REGION, PROBLEM, [DR]),
]


@pytest.mark.parametrize(("setting", "check", "state", "regions"), FINDINGS)
def test_each_setting_is_one_finding(setting: dict[str, Any], check: Check, state: CheckState, regions: list[str]) -> None:
    results = results_of(region=FakeRegion(**setting))
    assert not_ok(results) == {(check, state, region) for region in regions}
    assert all(result.remedy for result in results if result.state is not CheckState.OK)


REFUSALS = {
    "opt_in_status": {Check.REGION},
    "denied_reads": {Check.READER},
    "block_public_access": {Check.SHARING},
    "encrypts_by_default": {Check.ENCRYPTION},
    "managed_snapshots": {Check.FORMER},
    "copies_at_once": {Check.COPY_QUOTA},
    "most_snapshots": {Check.SNAPSHOT_QUOTA},
    "concurrency": {Check.CONCURRENCY},
    "functions": {Check.SAMPLE, Check.FORMER},
    "trails": {Check.TRAIL},
}


@pytest.mark.parametrize("refused", REFUSALS)
def test_an_unreadable_fact_is_not_known_and_stops_nothing(refused: str) -> None:
    results = results_of(region=FakeRegion(refused=frozenset({refused})))
    assert {(check, state) for check, state, _ in not_ok(results)} == {
        (check, CheckState.NOT_KNOWN) for check in REFUSALS[refused]
    }
    assert len(results) == len(results_of())


def test_a_stack_that_is_not_described_is_not_known() -> None:
    system = replace(DEPLOYED, primary=replace(DEPLOYED.primary, deployed=False, unreadable="AccessDenied"))
    assert not_ok(results_of(system)) == {(Check.STACK, CheckState.NOT_KNOWN, PRIMARY)}


def test_missing_permissions_are_a_problem_only_of_a_deployment() -> None:
    account = FakeAccount(denied_actions=frozenset({"iam:CreateRole"}))
    looking, deploying = results_of(account=account), results_of(account=account, deploying=True)
    assert {state for _, state, _ in not_ok(looking)} == {WARNING}
    assert not_ok(deploying) == {(Check.DEPLOYER, PROBLEM, PRIMARY), (Check.DEPLOYER, PROBLEM, DR)}
    assert "iam:CreateRole" in next(result.text for result in deploying if result.state is PROBLEM)


def test_permissions_that_cannot_be_simulated_are_not_known() -> None:
    results = results_of(account=FakeAccount(may_simulate=False), deploying=True)
    assert not_ok(results) == {(Check.DEPLOYER, CheckState.NOT_KNOWN, region) for region in (PRIMARY, DR)}


def test_a_role_for_cloudformation_is_checked_instead_of_the_caller() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/cloudformation"
    asked: list[tuple[str, str]] = []

    class Noting(FakeAccount):
        def denied(self, caller: Caller, question: PermissionQuestion) -> Sequence[str]:
            asked.extend((caller.arn, action) for action in question.actions)
            return []

    facts = FakeRegion()
    examine(DEPLOYED, Noting(), lambda _: facts, deploying=True, role_arn=role)
    by_action = {action: arn for arn, action in asked}
    assert by_action["iam:CreateRole"] == by_action["lambda:CreateFunction"] == role
    assert by_action["iam:PassRole"] == by_action["s3:PutObject"] == by_action["cloudformation:ExecuteChangeSet"] == PERSON.arn


def test_the_root_user_is_a_warning_and_not_simulated() -> None:
    root = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "aws")
    assert not_ok(results_of(account=FakeAccount(root, may_simulate=False))) == {(Check.CREDENTIALS, WARNING, "")}


def test_a_taken_name_is_a_problem_of_a_first_deployment() -> None:
    first = replace(DEPLOYED, primary=stack_subject(StackKind.PRIMARY, PRIMARY, "", StackDescription(ABSENT), {"DRRegion": DR}))
    taken = {ResourceKind.LOG_GROUP: ["/aws/lambda/TagSnapshots"], ResourceKind.FUNCTION: ["Digest", "Unrelated"]}
    results = results_of(first, region=FakeRegion(taken=taken), deploying=True)
    assert not_ok(results) == {(Check.NAMES, PROBLEM, PRIMARY)}
    (result,) = [result for result in results if result.check is Check.NAMES]
    assert result.text.endswith(": function Digest, log group /aws/lambda/TagSnapshots")
    assert "--name" in result.remedy


def test_names_of_a_deployed_stack_are_its_own() -> None:
    deployed = StackDescription("UPDATE_COMPLETE", "id", {"Version": "0.3.0"}, {"DRRegion": DR, "Retention": "9"})
    subject = stack_subject(StackKind.PRIMARY, PRIMARY, "", deployed, {"Retention": "8"})
    assert (subject.names, subject.version, subject.deployed) == ({}, "0.3.0", True)
    assert (subject.parameters["Retention"], subject.parameters["DRKmsKey"]) == ("8", "")


@pytest.mark.parametrize("kind", ["primary", "dr"])
def test_fixed_names_have_the_suffix(kind: str) -> None:
    names = fixed_names(read_template(INFRA / f"{kind}.yaml"), "-two")
    assert {"DeleteOldSnapshots-two", "Sweep-two"} <= set(names[ResourceKind.FUNCTION])
    assert "/aws/lambda/Sweep-two" in names[ResourceKind.LOG_GROUP]
    assert "snapkeep-two-sweep" in names[ResourceKind.STATE_MACHINE]
    assert names.get(ResourceKind.TABLE, []) == (["snapkeep-two-queue"] if kind == "dr" else [])


def test_two_of_its_functions_identify_the_sample() -> None:
    ours = [DeployedFunction(name, "snapkeep") for name in checks.SAMPLE_FUNCTIONS]
    foreign = [DeployedFunction("TagSnapshotsNightly", ""), DeployedFunction("Notification", "")]
    assert checks.sample_check(DR, [*ours, *foreign]).state is CheckState.OK
    sample = [DeployedFunction("TagSnapshotsOld", ""), DeployedFunction("DeleteOldSnapshotsOld", "")]
    result = checks.sample_check(DR, [*ours, *foreign, *sample])
    assert result.state is WARNING
    assert "DeleteOldSnapshotsOld, TagSnapshotsOld)" in result.text


def key_state(facts: KeyFacts, check: Check = Check.COPY_KEY, services: Sequence[str] = ()) -> CheckState:
    return checks.key_check(check, DR, facts, ACCOUNT, services).state


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion", "PendingImport", "Unavailable"])
def test_a_key_that_cannot_be_used_is_a_problem(state: str) -> None:
    assert key_state(KeyFacts(KEY, state, managed_by_aws=False, policy={"Statement": [ROOT_STATEMENT]})) is PROBLEM


def test_a_key_policy_has_to_admit_the_accounts_roles() -> None:
    def state(*statements: Any) -> CheckState:
        return key_state(KeyFacts(KEY, "Enabled", managed_by_aws=False, policy={"Statement": list(statements)}))

    assert state(ROOT_STATEMENT) is CheckState.OK
    assert state(ROOT_STATEMENT | {"Action": list(checks.COPY_ACTIONS)}) is CheckState.OK
    assert state(ROOT_STATEMENT | {"Action": ["kms:Describe*"]}) is WARNING
    assert state(ROOT_STATEMENT | {"Principal": {"AWS": "arn:aws:iam::999999999999:root"}}) is WARNING
    assert state(ROOT_STATEMENT | {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}) is WARNING
    assert state() is WARNING
    unread = KeyFacts(KEY, "Enabled", managed_by_aws=False, policy=None)
    assert key_state(unread) is CheckState.NOT_KNOWN
    assert key_state(replace(unread, managed_by_aws=True)) is CheckState.OK


def test_the_stacks_key_has_to_admit_the_services_too() -> None:
    service = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
    }
    facts = KeyFacts(KEY, "Enabled", managed_by_aws=False, policy={"Statement": [ROOT_STATEMENT, service]})
    assert key_state(facts, Check.STACK_KEY, ["events.amazonaws.com"]) is CheckState.OK
    result = checks.key_check(Check.STACK_KEY, DR, facts, ACCOUNT, ["events.amazonaws.com", "cloudwatch.amazonaws.com"])
    assert (result.state, "cloudwatch.amazonaws.com" in result.text) == (WARNING, True)


def test_keys_are_looked_up_in_the_regions_that_use_them() -> None:
    facts = KeyFacts(KEY, "Disabled", managed_by_aws=False, policy=None)
    keys = {"DRKmsKey": "alias/dr", "KmsKeyArn": "arn:stack"}
    primary = replace(DEPLOYED.primary, parameters={**DEPLOYED.primary.parameters, **keys})
    region = FakeRegion(keys={"alias/dr": facts, "arn:stack": facts})
    found = not_ok(results_of(replace(DEPLOYED, primary=primary), region=region))
    assert found == {(Check.COPY_KEY, PROBLEM, DR), (Check.STACK_KEY, PROBLEM, PRIMARY)}
    of_a_document = replace(DEPLOYED, copy_keys={DR: ["alias/dr"]})
    assert not_ok(results_of(of_a_document, region=region)) == {(Check.COPY_KEY, PROBLEM, DR)}


FREEZE = f"arn:aws:ssm:{PRIMARY}:{ACCOUNT}:document/freeze"


@pytest.mark.parametrize(
    ("parameter", "documents", "missing"),
    [
        ("", [], False),
        ("", ["freeze"], True),
        (FREEZE.replace("1234", "4321"), ["freeze"], True),
        (FREEZE.replace("us-east-1", "us-east-2"), ["freeze"], True),
        ("arn:aws:ssm:us-east-1::document/AWS-Freeze", ["AWS-Freeze"], False),
        (FREEZE.replace("freeze", "AWS-Freeze"), ["AWS-Freeze"], True),
        (FREEZE, ["freeze"], False),
        (FREEZE, [FREEZE], False),
        (FREEZE, ["freeze", "thaw"], True),
        (f"{FREEZE},{FREEZE.replace('freeze', 'thaw')}", ["freeze", "thaw"], False),
    ],
)
def test_documents_that_policies_run_are_among_the_parameter_s(parameter: str, documents: list[str], missing: bool) -> None:
    primary = replace(DEPLOYED.primary, parameters={**DEPLOYED.primary.parameters, "SsmDocuments": parameter})
    results = results_of(replace(DEPLOYED, primary=primary, ssm_documents=documents))
    assert not_ok(results) == ({(Check.SSM_DOCUMENTS, WARNING, PRIMARY)} if missing else set())


def test_another_version_is_a_warning_until_it_is_deployed() -> None:
    system = replace(DEPLOYED, package_version="0.4.0")
    assert not_ok(results_of(system)) == {(Check.VERSION, WARNING, PRIMARY), (Check.VERSION, WARNING, DR)}
    assert not_ok(results_of(system, deploying=True)) == set()


def test_another_deployed_system_is_no_former_one() -> None:
    region = FakeRegion(snapshots={"snapkeep": 1, "snapkeep2": 5}, deployed=[DeployedFunction("TagSnapshots2", "snapkeep2")])
    assert not_ok(results_of(region=region)) == set()


def test_the_questions_about_a_deployment_name_its_resources() -> None:
    china = replace(PERSON, partition="aws-cn")
    questions = [*deployer_questions(china, "snapkeep-two", DR), *cloudformation_questions(china, "snapkeep-two", DR)]
    assert all(question.resource_arn.startswith("arn:aws-cn:") for question in questions)
    assert {action for question in questions for action in question.actions} >= {"iam:CreateRole", "s3:PutObject"}
    assert {"snapkeep-two" in question.resource_arn for question in questions if ":states:" in question.resource_arn} == {True}


def test_the_documented_policies_of_a_deployer_answer_every_question() -> None:
    folder = Path(__file__).parents[3] / "docs/iam"
    documents = [json.loads((folder / f"{name}.json").read_text()) for name in ("deployer", "deployer-resources")]
    statements = [statement for document in documents for statement in document["Statement"] if "Condition" not in statement]

    def allowed(action: str, arn: str) -> bool:
        return any(
            action in statement["Action"] and fnmatchcase(arn, pattern)
            for statement in statements
            for pattern in ([statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"])
        )

    for question in (*deployer_questions(PERSON, "snapkeep", DR), *cloudformation_questions(PERSON, "snapkeep", DR)):
        assert [action for action in question.actions if not allowed(action, question.resource_arn)] == []
