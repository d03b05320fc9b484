"""The function Pull: which snapshots an invocation looks at."""

from __future__ import annotations

from typing import Any

import pytest

from snapkeep.domain.events import parse_share
from snapkeep.functions import pull
from snapkeep.functions.composition import Composition
from snapkeep.functions.environment import Environment
from snapkeep.lab.simulator.model_clients import ModelClients
from support.vaulting import DR, VAULT_ACCOUNT, VaultLaboratory

SHARED = "arn:aws:ec2::us-east-2:snapshot/snap-0a"


@pytest.mark.parametrize(
    ("event", "ids"),
    [
        ({"detail-type": "EBS Snapshot Notification", "detail": {"event": "shareSnapshot", "snapshot_id": SHARED}}, ("snap-0a",)),
        ({"detail-type": "EBS Snapshot Notification", "detail": {"event": "copySnapshot", "snapshot_id": SHARED}}, ()),
        ({"detail-type": "EBS Snapshot Notification", "detail": {"event": "shareSnapshot", "snapshot_id": "nonsense"}}, ()),
        ({"detail-type": "Scheduled Event", "detail": {}}, ()),
        ({"detail-type": "EBS Snapshot Notification", "detail": None}, ()),
        ({}, ()),
    ],
)
def test_an_event_of_a_share_names_one_snapshot_and_everything_else_all(event: dict[str, Any], ids: tuple[str, ...]) -> None:
    assert parse_share(event) == ids


def test_ec2s_own_event_is_read() -> None:
    lab = VaultLaboratory()
    shared_id = lab.offer(lab.make_volume())
    (event,) = [event for event in lab.events if event["detail"]["event"] == "shareSnapshot"]
    assert parse_share(event) == (shared_id,)


def test_the_functions_environment_names_owners_account_and_partition() -> None:
    lab = VaultLaboratory()
    variables = {
        "AWS_REGION": DR,
        "SNAPKEEP_NAME": "snapkeep",
        "SNAPKEEP_STACK": "vault",
        "SNAPKEEP_ACCOUNT": VAULT_ACCOUNT,
        "SNAPKEEP_PARTITION": "aws",
        "SNAPKEEP_OWNER_ACCOUNTS": "111111111111,222222222222",
        "SNAPKEEP_QUEUE_TABLE": "snapkeep-queue",
        "SNAPKEEP_POLICY_PARAMETER": "/snapkeep/policy",
        "SNAPKEEP_NOTICES_QUEUE_URL": "https://sqs",
        "SNAPKEEP_MAX_DELETIONS": "100",
        "SNAPKEEP_MAX_DELETION_SHARE_PERCENT": "75",
    }

    class Clients(ModelClients):
        def get(self, service: str, *, region: str = "", once: bool = False) -> Any:
            return super().get(service, region=region, once=once) if service in ("ec2", "kms") else object()

    parts = Composition(Environment(variables), Clients(lab.world, DR, VAULT_ACCOUNT))
    step = pull.build(parts)
    assert step.owners == {"111111111111", "222222222222"}
    assert parts.environment.parameters_as_policy.policies == (), "without a document, a vault keeps everything"
