"""A stack's update touches all its resources; the pushed policy document is not one of them."""

from __future__ import annotations

import pytest

from snapkeep.adapters.ssm_policies import SsmPolicyStore
from snapkeep.deploy.deployment import Deployment, DeploymentTarget
from snapkeep.deploy.stacks import StackOutcome
from snapkeep.lab.embedded_aws import EmbeddedAws
from support.deployment import DR, PRIMARY, REGIONS, Quiet, install

pytestmark = pytest.mark.xdist_group("installation")
DOCUMENT = '{"version":1,"policies":[{"name":"silver","select":{},"retention":{"keep_last":30}}]}'


def test_stack_updates_and_deletion_leave_the_pushed_document(embedded: EmbeddedAws) -> None:
    system = install(embedded)
    stores = [
        SsmPolicyStore(client=system.client("ssm", region), name=system.outputs[stack]["PolicyParameterName"], region=region)
        for stack, region in REGIONS.items()
    ]
    for store in stores:
        store.put(DOCUMENT, advanced=False)
    deployment = Deployment(DeploymentTarget(system.client, PRIMARY, DR), Quiet())
    updated = deployment.deploy({"Retention": "3"}, {"Retention": "2"}, tags={"team": "storage"}, may_change=lambda _: True)
    assert [result.outcome for result in updated.stacks] == [StackOutcome.UPDATED] * 2
    assert [(store.current().version, store.current().text) for store in stores] == [(1, DOCUMENT)] * 2
    deployment.destroy()
    assert [store.current().text for store in stores] == [DOCUMENT] * 2
