"""The deployed functions over the model of EBS in virtual time, with their state machines on any engine.

Each function has the environment of its stack's template, and clients of its own that record its calls. EC2 and KMS are the
model's; the table, queues, topics and parameters are moto's, in process.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.sns.models import sns_backends

from snapkeep.functions.composition import Composition
from snapkeep.functions.environment import Environment
from snapkeep.lab.ebs_model import Faults, Speeds, VirtualClock, World
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.simulator.memory_proofs import OneAfterAnother
from support.asl import ACCOUNT_ID, Engine, Handler, Pause, Run
from support.patience import LOOKS
from support.run_command import SsmClient
from support.templates import FUNCTION, resources, template

REGIONS = {"primary": "us-east-1", "dr": "us-east-2"}
MACHINE_OF_STACK = {"primary": "protect", "dr": "receive"}
ENDED_BY = {"createSnapshot": "primary", "createSnapshots": "primary", "copySnapshot": "dr"}
STEP_SECONDS = 30.0
MODELLED = ("ebs", "ec2", "kms", "ssm")
SERVICE_PREFIXES = {"stepfunctions": "states"}
BATCHES = {
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:ListObjectsV2": "s3:ListBucket",
}

EngineMaker = Callable[[Mapping[str, Handler], Pause], AbstractContextManager[Engine]]


class WorldClock:
    """`Clock` and `Pacer` in the world's time."""

    def __init__(self, system: RealSystem) -> None:
        self._system = system

    def now(self) -> datetime:
        return utc(self._system.world.clock.now())

    def pause(self, seconds: float) -> None:
        self._system.advance(seconds)


class RecordingClient:
    """A client that records the IAM actions of its calls."""

    def __init__(self, client: Any, service: str, note: Callable[[str], None]) -> None:
        self._client, self._service, self._note = client, service, note

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if name == "get_paginator":
            return lambda operation: self._recording_pages(operation, value(operation))
        if not callable(value) or name.startswith("_"):
            return value

        def call(**request: Any) -> Any:
            self._note(action_of(self._service, name))
            return value(**request)

        return call

    def _recording_pages(self, operation: str, paginator: Any) -> Any:
        self._note(action_of(self._service, operation))
        return paginator


def action_of(service: str, operation: str) -> str:
    """Return the IAM action of a client's method."""
    action = f"{SERVICE_PREFIXES.get(service, service)}:{''.join(part.capitalize() for part in operation.split('_'))}"
    return BATCHES.get(action, action)


@dataclass
class RecordingClients:
    """Stands for `Clients` of one function."""

    system: RealSystem
    region: str
    note: Callable[[str], None]

    def get(self, service: str, *, region: str = "", once: bool = False) -> Any:
        return RecordingClient(self.system.client(service, region or self.region), service, self.note)


class TaskTokenClient:
    """Step Functions' client for task tokens, over the engine, and for the state machine's own description."""

    def __init__(self, system: RealSystem) -> None:
        self._system = system
        self._names: set[str] = set()

    def send_task_success(self, taskToken: str, output: str) -> None:  # noqa: N803 - boto3's
        self._system.when_answering()
        self._check(self._system.engine.succeed(taskToken, json.loads(output)), "SendTaskSuccess")

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:  # noqa: A002, N803 - boto3's
        machine = stateMachineArn.partition(":stateMachine:snapkeep-")[2]
        assert machine in ("verify", "drill")
        if name in self._names:
            raise ClientError({"Error": {"Code": "ExecutionAlreadyExists", "Message": name}}, "StartExecution")
        self._names.add(name)
        return {"executionArn": self._system.start(machine, json.loads(input))}

    def describe_state_machine(self, stateMachineArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        assert stateMachineArn.endswith(":stateMachine:snapkeep-protect")
        return {"creationDate": self._system.deployed_at}

    def send_task_failure(self, taskToken: str, error: str, cause: str) -> None:  # noqa: N803 - boto3's
        self._system.when_answering()
        self._check(self._system.engine.fail(taskToken, error, cause), "SendTaskFailure")

    @staticmethod
    def _check(token_is_open: bool, operation: str) -> None:
        if not token_is_open:
            raise ClientError({"Error": {"Code": "TaskDoesNotExist", "Message": "no task waits for this token"}}, operation)


class InvokingClient:
    """Lambda's client, over the functions of a stack."""

    def __init__(self, system: RealSystem, stack: str) -> None:
        self._system, self._stack = system, stack

    def invoke(self, FunctionName: str, Payload: bytes, InvocationType: str = "") -> dict[str, Any]:  # noqa: N803 - boto3's
        answer = self._system.invoke(self._stack, FunctionName, json.loads(Payload))
        if InvocationType == "Event":
            return {"StatusCode": 202}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


class SerialComposition(Composition):
    """The composition of a function whose calls come one after another: virtual time has no threads."""

    def workers(self, most: int) -> OneAfterAnother:
        return OneAfterAnother()


@dataclass
class RealSystem:
    """Both stacks, with every function as on AWS."""

    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Stack to the parameters that differ from the template's defaults."""
    faults: Faults | None = None

    def __post_init__(self) -> None:
        speeds = Speeds(volume_create_seconds=0.1)
        self.world = World(clock=VirtualClock(), regions=tuple(REGIONS.values()), speeds=speeds, faults=self.faults)
        self.deployed_at = utc(self.world.now())
        self.engine: Engine
        self.calls: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.invocations: list[tuple[str, str]] = []
        self.runs: list[tuple[str, Run]] = []
        self._open: list[tuple[str, str]] = []
        self._clients: dict[tuple[str, str], Any] = {}
        self._turn = threading.RLock()
        self.functions: dict[tuple[str, str], Handler] = {}
        self.table = "snapkeep-queue"
        self.when_answering: Callable[[], object] = bool
        """A hook that runs just before a task token is answered."""

    @contextmanager
    def started(self, make_engine: EngineMaker) -> Iterator[RealSystem]:
        """Run the system on an engine inside the block."""
        with mock_aws():
            for stack, region in REGIONS.items():
                self._deploy(stack, region)
            handlers = {name: handler for (_, name), handler in self.functions.items()}
            with make_engine({**handlers, **self._shared_by_both_stacks()}, self.advance) as engine:
                self.engine = engine
                self.world.subscribe(self._on_event)
                yield self

    def _shared_by_both_stacks(self) -> dict[str, Handler]:
        """Return handlers for names in both stacks, which choose the stack by the execution's ARN."""

        def of_its_stack(name: str) -> Handler:
            def handler(payload: dict[str, Any]) -> Any:
                stack = "primary" if "protect" in payload["execution"] else "dr"
                return self.functions[stack, name](payload)

            return handler

        names = {name for stack, name in self.functions if stack == "primary"}
        return {name: of_its_stack(name) for stack, name in self.functions if stack == "dr" and name in names}

    # Deploying

    def _deploy(self, stack: str, region: str) -> None:
        clients = {name: self.client(name, region) for name in ("sqs", "sns", "dynamodb")}
        defaults = {name: parameter["Default"] for name, parameter in template(stack)["Parameters"].items()}
        values = {**defaults, **self.parameters.get(stack, {}), "AWS::Region": region}
        values["Notices"] = clients["sqs"].create_queue(QueueName="notices")["QueueUrl"]
        values["Reports"] = f"reports-{region}"
        self.client("s3", region).create_bucket(Bucket=values["Reports"], **location(region))
        values["Topic"] = clients["sns"].create_topic(Name="notifications")["TopicArn"]
        for properties in resources(stack, "AWS::SSM::Parameter").values():
            name = str(filled_in(properties["Name"], values))
            self.client("ssm", region).put_parameter(Name=name, Value=values["Reports"], Type="String")
        for properties in resources(stack, "AWS::DynamoDB::Table").values():
            names = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
            clients["dynamodb"].create_table(TableName=self.table, **{name: properties[name] for name in names})
        shared = template(stack)["Globals"]["Function"]["Environment"]["Variables"]
        variables = {name: str(filled_in(value, values)) for name, value in shared.items()} | {"AWS_REGION": region}
        for name, properties in resources(stack, FUNCTION).items():
            own = properties["Environment"]["Variables"]
            environment = variables | {key: str(filled_in(value, values)) for key, value in own.items()}
            self.functions[stack, name] = self._function(stack, name, properties["Handler"].split(".")[-2], environment)

    def _function(self, stack: str, name: str, module_name: str, variables: Mapping[str, str]) -> Handler:
        """Return a handler from a module instance of its own, as each function has a process of its own on Lambda."""
        clients = RecordingClients(self, variables["AWS_REGION"], self.calls[stack, name].add)
        parts = SerialComposition(Environment(variables), clients, WorldClock(self))
        importlib.import_module(f"snapkeep.functions.{module_name}")  # dataclasses look their module up by its name
        spec = importlib.util.find_spec(f"snapkeep.functions.{module_name}")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.composition = lambda *_: parts  # type: ignore[attr-defined]

        def handler(payload: dict[str, Any]) -> Any:
            with self._turn:
                self.invocations.append((stack, name))
                return module.handler(payload, SimpleNamespace(aws_request_id=str(uuid.uuid4())))

        return handler

    def client(self, service: str, region: str) -> Any:
        """Return the client of a service in a region; each is made once."""
        if (service, region) not in self._clients:
            self._clients[service, region] = self._made_client(service, region)
        return self._clients[service, region]

    def _made_client(self, service: str, region: str) -> Any:
        if service in MODELLED:
            modelled = self.world.client(service, region, caller="snapkeep")
            return SsmClient(modelled, _client_of_moto(service, region)) if service == "ssm" else modelled
        if service == "lambda":
            return InvokingClient(self, next(stack for stack, own in REGIONS.items() if own == region))
        return TaskTokenClient(self) if service == "stepfunctions" else _client_of_moto(service, region)

    # Time and events

    def advance(self, seconds: float) -> None:
        """Advance the world's clock."""
        with self._turn:
            self.world.clock.advance(seconds)  # type: ignore[attr-defined]

    def _on_event(self, event: dict[str, Any]) -> None:
        stack = ENDED_BY.get(event["detail"].get("event", ""))
        if stack is not None and event["region"] == REGIONS[stack]:
            self.start(MACHINE_OF_STACK[stack], event)

    def start(self, machine: str, event: Mapping[str, Any]) -> str:
        """Start an execution and return its ARN."""
        execution = self.engine.start(machine, event)
        self._open.append((machine, execution))
        return execution

    def let_pass(self, least_seconds: float, is_done: Callable[[], bool] = lambda: True) -> None:
        """Advance time, with scheduled dispatches, until no execution runs and all is done, whatever is still due."""
        looks = 0
        until = self.world.now() + least_seconds
        while self._open or self.world.now() < until or not is_done():
            looks += 1
            assert looks <= LOOKS, f"does not settle: {self._open}"
            self.invoke("dr", "Dispatch", {})
            self.advance(STEP_SECONDS)
            self._wait_for_executions()

    def settle(self, least_seconds: float = 60.0) -> None:
        """Advance time, with scheduled dispatches, until no execution runs and nothing is due."""
        self.let_pass(least_seconds, lambda: self.world.next_due() is None)
        for stack in REGIONS:
            self.invoke(stack, "Digest", {})

    def _wait_for_executions(self) -> None:
        """Wait until no execution's thread is between two functions."""
        seen = -1
        while seen != len(self.invocations) or another_thread_could_run():
            seen = len(self.invocations)
            time.sleep(0.01)
        for machine, execution in list(self._open):
            if not self.engine.running(execution):
                self._open.remove((machine, execution))
                self.runs.append((machine, self.engine.wait(execution)))

    def invoke(self, stack: str, function: str, payload: dict[str, Any]) -> Any:
        """Invoke a function and return its answer."""
        return self.functions[stack, function](payload)

    # Actions of a person

    def ec2(self, stack: str) -> Any:
        """EC2 of a stack's region, as a person uses it."""
        return self.world.client("ec2", REGIONS[stack], caller="person")

    def make_volume(self, *, encrypted: bool = False, **tags: str) -> str:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        specifications = [{"ResourceType": "volume", "Tags": listed}] if listed else []
        volume = self.ec2("primary").create_volume(
            AvailabilityZone="us-east-1a", Size=8, Encrypted=encrypted, TagSpecifications=specifications
        )
        self.advance(1)
        return str(volume["VolumeId"])

    def make_attached_volume(self) -> str:
        """Make a volume that is attached to an instance; return its id."""
        ec2, volume_id = self.ec2("primary"), self.make_volume(Name="database")
        placement = {"AvailabilityZone": "us-east-1a"}
        launched = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, Placement=placement)
        self.advance(60)
        ec2.attach_volume(VolumeId=volume_id, InstanceId=launched["Instances"][0]["InstanceId"], Device="/dev/sdf")
        return volume_id

    def protect(self, volume_id: str) -> str:
        """Make a snapshot of a volume, settle, and return its id."""
        snapshot_id = str(self.ec2("primary").create_snapshot(VolumeId=volume_id)["SnapshotId"])
        self.settle()
        return snapshot_id

    def kept(self, stack: str) -> list[dict[str, Any]]:
        """Return the snapshots in a stack's region, oldest first."""
        snapshots = self.ec2(stack).describe_snapshots(OwnerIds=["self"])["Snapshots"]
        return sorted(snapshots, key=lambda snapshot: snapshot["StartTime"])

    def published(self, stack: str) -> list[str]:
        """Return the subjects of the messages published in a stack's region."""
        (topic,) = sns_backends[ACCOUNT_ID][REGIONS[stack]].topics.values()
        return [str(notification[2]) for notification in topic.sent_notifications]


def another_thread_could_run() -> bool:
    """Return whether a thread of this process waits for a processor: on a busy machine it stands still, and is not done."""
    own = str(threading.get_native_id())
    try:
        threads = [task for task in Path("/proc/self/task").glob("*") if task.name != own]
        return any((thread / "stat").read_text().rpartition(")")[2].split()[0] == "R" for thread in threads)
    except OSError:  # a thread ended meanwhile
        return True


@cache
def _client_of_moto(service: str, region: str) -> Any:
    """Return a client that serves all systems, one after another: making it takes longer than many a story."""
    return boto3.client(service, region_name=region)  # type: ignore[call-overload]


def location(region: str) -> dict[str, Any]:
    """Return where a bucket is made; us-east-1 takes no location (Amazon S3 API reference: CreateBucket)."""
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}


def filled_in(value: Any, values: Mapping[str, Any]) -> Any:
    """Return a template's value with references replaced by `values`, as CloudFormation resolves it.

    Resources that no function of the flows uses resolve to their own names.
    """
    if isinstance(value, dict) and "Ref" in value:
        return values.get(value["Ref"], value["Ref"])
    if isinstance(value, dict) and "Fn::GetAtt" in value:
        return value["Fn::GetAtt"][0]
    if isinstance(value, dict):
        text = str(value["Fn::Sub"])
        for name, filling in values.items():
            text = text.replace(f"${{{name}}}", str(filling))
        return text
    return value
