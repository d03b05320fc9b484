"""The fleet of a simulation: an account's volumes keep all that a policy may choose them by."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from snapkeep.domain.model import Volume, VolumeRole
from snapkeep.domain.policy.model import Selector
from snapkeep.lab.ebs_model import Faults
from snapkeep.lab.simulator.experiment import Experiment, ExperimentOptions
from snapkeep.lab.simulator.fleet import SimulatedVolume, from_account, make_world
from support.simulation import NEAR, PRIMARY, policy


@pytest.mark.parametrize(
    ("selector", "governed"),
    [
        (Selector(volume_ids=("vol-0c",)), {"vol-0c"}),
        (Selector(exclude_volume_ids=("vol-0c",)), {"vol-0a", "vol-0b"}),
        (Selector(roles=(VolumeRole.ROOT,)), {"vol-0a"}),
        (Selector(roles=(VolumeRole.DATA,)), {"vol-0b"}),
        (Selector(instance_ids=("i-0a",)), {"vol-0a", "vol-0b"}),
        (Selector(instance_tags={"App": ("shop",)}, snapshot_tags={"Schedule": ("daily-?",)}), {"vol-0a", "vol-0b"}),
        (Selector(availability_zones=(f"{PRIMARY}b",)), {"vol-0c"}),
    ],
)
def test_an_accounts_volumes_keep_every_property_that_policies_select_by(selector: Selector, governed: set[str]) -> None:
    tags = {"App": "shop"}
    account = [
        Volume("vol-0a", PRIMARY, 8, "gp3", role=VolumeRole.ROOT, instance_ids=("i-0a",), instance_tags=(tags,)),
        Volume("vol-0b", PRIMARY, 8, "gp3", role=VolumeRole.DATA, instance_ids=("i-0a", "i-0b"), instance_tags=(tags, {})),
        Volume("vol-0c", PRIMARY, 8, "gp3", zone=f"{PRIMARY}b"),
    ]
    chosen = policy(NEAR, selector=selector)
    world = make_world(from_account(account, 0.02), PRIMARY, (NEAR,))
    result = Experiment("test", world, chosen, ExperimentOptions(days=2)).run()
    listed = world.client("ec2", PRIMARY).describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": ["*"]}])
    assert {snapshot["VolumeId"] for snapshot in listed["Snapshots"]} == governed
    assert (result.volumes, result.governed, result.violations) == (3, len(governed), [])


def test_faults_of_calls_begin_once_the_fleet_is_made() -> None:
    world = make_world([SimulatedVolume(8)] * 3, PRIMARY, (NEAR,), faults=Faults(api_error=1.0))
    assert len(world.region_account(PRIMARY).volumes) == 3
    with pytest.raises(ClientError, match="InternalError"):
        world.client("ec2", PRIMARY).describe_volumes()
