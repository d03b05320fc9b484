"""A recovery group: several instances to one moment, in an order, in one run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from snapkeep.adapters.clock import WallClock
from snapkeep.adapters.ec2_instances import Ec2Instances
from snapkeep.adapters.regional import RegionalAdapters
from snapkeep.cli.commands.recover import app
from snapkeep.cli.common import AwsSettings
from snapkeep.cli.installed_system import InstalledSystem, RegionReading
from snapkeep.domain.policy.model import GroupMembers, PolicySet, RecoveryGroup
from snapkeep.domain.recovery import rates
from snapkeep.domain.recovery.group import GroupPlan
from snapkeep.domain.recovery.instance_fit import InstanceOptions
from snapkeep.domain.recovery.instance_map import parse_map
from snapkeep.domain.recovery.recovery_plan import RecoveryRun, StepKind
from snapkeep.domain.recovery.region_quotas import GIB_IN_TIB, STORAGE_QUOTAS
from snapkeep.lab.simulator.memory_ports import HookedPort
from snapkeep.usecases.recovery.prepare_group import PrepareGroup
from snapkeep.usecases.recovery.prepare_instance import PrepareInstance, begin_instances
from snapkeep.usecases.recovery.recover import Journal, Recover
from support.databases import protect_set
from support.flows import DAY, DR, HOUR, INCLUDED, PRIMARY
from support.recovering import KillAt, Killed, Quotas
from support.recovering_instances import InstanceLab

SHOP = RecoveryGroup("shop", GroupMembers({"App": ("shop",)}), ("db", "app"))


@dataclass
class Shop:
    lab: InstanceLab
    members: dict[str, str]

    def plan(self, group: RecoveryGroup = SHOP, at: datetime | None = None, without: tuple[str, ...] = ()) -> GroupPlan:
        prepare = PrepareGroup(prepare=self.lab.prepare())
        return prepare.plan(group, at or self.lab.clock.now(), InstanceOptions(parse_map(self.lab.names)), without)

    def prepared_by(self, client: Any, quotas: Quotas | None = None) -> PrepareInstance:
        reader = Ec2Instances(client=client, region=DR, quotas=(lambda: quotas) if quotas else None)
        return replace(self.lab.prepare(), reader=reader)

    def planned_by(self, quotas: Quotas) -> GroupPlan:
        prepare = self.prepared_by(self.lab.lab.world.client("ec2", DR), quotas)
        return PrepareGroup(prepare=prepare).plan(SHOP, self.lab.clock.now(), InstanceOptions(parse_map(self.lab.names)))

    def begin(self, plan: GroupPlan, *, checks: bool = True) -> RecoveryRun:
        run = begin_instances(plan.stages, "arn:operator", self.lab.clock.now(), checks=checks)
        Journal(documents=self.lab.documents).begin(run)
        return run


def launched(name: str, lab: InstanceLab) -> str:
    return lab.launch(tags={**INCLUDED, "App": "shop", "Name": name}, BlockDeviceMappings=[])


@pytest.fixture
def shop() -> Shop:
    """Three instances of a shop, and one of another application; each is copied an hour after the one before."""
    lab = InstanceLab()
    members = {name: launched(name, lab) for name in ("web", "app", "db")}
    other = lab.launch(tags={**INCLUDED, "App": "blog", "Name": "blog"}, BlockDeviceMappings=[])
    for instance_id in [*members.values(), other] * 2:
        protect_set(lab.lab, instance_id)
        lab.lab.runner.advance(HOUR)
    lab.lab.world.take_region_away(PRIMARY)
    return Shop(lab, members)


def test_a_group_is_recovered_to_one_moment_and_in_its_order(shop: Shop) -> None:
    plan = shop.plan()
    assert not plan.hindered
    assert [[each.name for each in stage] for stage in plan.stages] == [["db"], ["app"], ["web"]]
    starts = [volume.point.origin.start_time for stage in plan.stages for each in stage for volume in each.volumes]
    assert max(starts) == plan.moment, (
        "of the web server, which was copied first; the others have an older point than their newest"
    )
    run = shop.lab.carry_out(shop.begin(plan), Recover.run)
    names = [named(shop.lab, step.result) for step in run.steps if step.kind is StepKind.RUN_INSTANCE]
    assert names == ["db", "app", "web"]
    kinds = [step.kind for step in run.steps]
    assert kinds[1:4] == [StepKind.REGISTER_IMAGE] * 3, "no instance is launched before the billing of all is known"
    assert kinds.index(StepKind.CHECK_INSTANCE) < kinds.index(StepKind.RUN_INSTANCE, kinds.index(StepKind.RUN_INSTANCE) + 1)
    assert [len(things) for things in shop.lab.left_of(run)] == [3, 3, 0]
    shop.lab.carry_out(run, Recover.undo)
    assert shop.lab.left_of(run) == ([], [], [])


def test_a_group_with_one_snapshot_of_each_member_is_recovered() -> None:
    """On its first day: at the moment of the one that was copied first, there was nothing of the others."""
    lab = InstanceLab()
    members = {name: launched(name, lab) for name in ("web", "app", "db")}
    for instance_id in members.values():
        protect_set(lab.lab, instance_id)
        lab.lab.runner.advance(HOUR)
    shop = Shop(lab, members)
    plan = shop.plan()
    starts = [volume.point.origin.start_time for stage in plan.stages for each in stage for volume in each.volumes]
    assert (plan.hindered, len(starts), plan.moment) == (False, 3, max(starts))
    run = lab.carry_out(shop.begin(plan), Recover.run)
    assert [len(things) for things in lab.left_of(run)] == [3, 3, 0]


def test_a_group_is_recovered_to_before_a_root_replacement(shop: Shop) -> None:
    """The volume that replaced it has points of later moments alone; the one before was whole at the group's moment."""
    lab, web = shop.lab, shop.members["web"]
    lab.lab.world.bring_region_back(PRIMARY)
    former = lab.described(web, PRIMARY)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    lab.lab.ec2().create_replace_root_volume_task(InstanceId=web)
    lab.lab.runner.advance(600)
    protect_set(lab.lab, web)
    plan = shop.plan()
    assert not plan.hindered
    assert former in [volume.point.origin.volume_id for stage in plan.stages for each in stage for volume in each.volumes]


def named(lab: InstanceLab, instance_id: str) -> str:
    tags = {tag["Key"]: tag["Value"] for tag in lab.described(instance_id)["Tags"]}
    return tags["Name"]


def test_a_group_ended_anywhere_is_continued(shop: Shop) -> None:
    run = shop.begin(shop.plan())
    moment = 5
    while True:
        try:
            shop.lab.carry_out(run, Recover.run, hook=KillAt(moment))
        except Killed:
            moment += 2
        else:
            break
    assert [len(things) for things in shop.lab.left_of(run)] == [3, 3, 0]


def test_a_group_that_waits_until_instances_run_does_not_await_their_checks(shop: Shop) -> None:
    kinds = [step.kind for step in shop.begin(shop.plan(), checks=False).steps]
    assert StepKind.CHECK_INSTANCE not in kinds
    assert kinds.count(StepKind.WAIT_FOR_INSTANCE) == 3


def test_a_group_beyond_the_quota_of_storage_is_an_obstacle(shop: Shop) -> None:
    """Each of its instances alone is within the quota."""
    volumes = [volume for stage in shop.plan().stages for plan in stage for volume in plan.volumes]
    (kind,), gib = {volume.volume_type for volume in volumes}, sum(volume.size_gib for volume in volumes)
    quotas = Quotas({STORAGE_QUOTAS[kind]: (gib - 1) / GIB_IN_TIB})
    plan = shop.planned_by(quotas)
    assert not [obstacle for stage in plan.stages for each in stage for obstacle in each.obstacles]
    assert [obstacle.partition(" beside")[0] for obstacle in plan.obstacles] == [f"{gib} GiB of {kind}"]


@pytest.mark.parametrize(("vcpus", "words"), [(6, ""), (5, "6 vCPUs beside 0 in use are more than the quota L-1216C47A, 5")])
def test_a_group_beyond_the_quota_of_vcpus_is_an_obstacle(shop: Shop, vcpus: int, words: str) -> None:
    """Each of its instances alone, an m5.large with two vCPUs, is within the quota."""
    plan = shop.planned_by(Quotas({"L-1216C47A": vcpus}))
    assert not [obstacle for stage in plan.stages for each in stage for obstacle in each.obstacles]
    assert [obstacle.partition(":")[0] for obstacle in plan.obstacles] == [words][: bool(words)]


@pytest.mark.parametrize(("rate", "known"), [(166, True), (167, False)])
def test_the_quota_of_rates_is_shared_by_all_volumes_of_a_group(
    shop: Shop, rate: int, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its instances alone, with one volume, is within the quota."""
    monkeypatch.setattr(rates, "RATE_QUOTA", 500)
    options = InstanceOptions(parse_map(shop.lab.names), rate_mibps=rate)
    stages = PrepareGroup(prepare=shop.lab.prepare()).plan(SHOP, shop.lab.clock.now(), options).stages
    plans = [plan for stage in stages for plan in stage]
    assert [plan.full_speed_after is not None for plan in plans] == [known] * 3
    beyond = f"3 volumes at {rate} MiB/s are more than the quota L-A37D9CF3"
    assert [any(remark.startswith(beyond) for remark in plan.remarks) for plan in plans] == [not known] * 3


def test_a_group_in_a_subnet_without_enough_addresses_is_an_obstacle(shop: Shop) -> None:
    """Each of its instances alone has an address there. AWS keeps five of the 16 addresses for itself."""
    ec2 = shop.lab.lab.ec2(DR)
    vpc_id = ec2.describe_subnets(SubnetIds=[shop.lab.subnets[DR]])["Subnets"][0]["VpcId"]
    small = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.9.0/28", AvailabilityZone=f"{DR}a")["Subnet"]["SubnetId"]
    shop.lab.subnets[DR] = small
    for _ in range(9):
        group = {"SecurityGroupIds": [shop.lab.groups[DR]], "SubnetId": small}
        ec2.run_instances(ImageId="ami-12345678", InstanceType="m5.large", MinCount=1, MaxCount=1, **group)
    assert shop.plan().obstacles == (f"subnet {small} has 2 free addresses for 3 instances",)


def test_the_region_is_listed_once_for_a_group(shop: Shop) -> None:
    calls: list[str] = []
    client: Any = HookedPort(shop.lab.lab.world.client("ec2", DR), "ec2", calls.append)
    PrepareGroup(prepare=shop.prepared_by(client)).plan(SHOP, shop.lab.clock.now(), InstanceOptions(parse_map(shop.lab.names)))
    listed = [name for name in calls if name == "ec2.describe_volumes"]
    assert len(listed) == 2 * 2, "before and after each call: the storage in use, and what recoveries made of the points"


def test_an_instance_is_left_out_only_by_its_id(shop: Shop) -> None:
    """A name that says nothing would let the instance be launched that a person wants to leave out."""
    assert shop.plan(without=("db",)).obstacles == ("--without db: no recovery point is of an instance with this id",)
    chosen = shop.plan(RecoveryGroup("shop", SHOP.instances), without=(shop.members["db"],))
    assert (chosen.obstacles, [len(stage) for stage in chosen.stages]) == ((), [2])


def test_a_name_that_no_instance_has_is_an_obstacle(shop: Shop) -> None:
    wrong = RecoveryGroup("shop", SHOP.instances, ("cache", "*"))
    assert shop.plan(wrong).obstacles == ("order: no instance of shop that can be recovered is named cache",)
    nobody = RecoveryGroup("nobody", GroupMembers({"App": ("nobody",)}))
    assert shop.plan(nobody).obstacles == (f"nobody: no recovery point in {DR} is of an instance with its tags",)


def test_a_member_replaced_long_ago_moves_no_group_back() -> None:
    lab = InstanceLab()
    old = launched("db", lab)
    protect_set(lab.lab, old)
    lab.lab.ec2().terminate_instances(InstanceIds=[old])
    lab.lab.runner.advance(3 * DAY)
    new = launched("db", lab)
    protect_set(lab.lab, new)
    shop = Shop(lab, {"db": new})
    group = RecoveryGroup("shop", SHOP.instances)
    (obstacle,) = shop.plan(group).obstacles
    assert obstacle.startswith(f"{old}: its newest data is 72 hours older than that of others")
    assert f"--without {old}" in obstacle
    chosen = shop.plan(group, without=(old,))
    assert not chosen.hindered
    assert [each.instance_id for stage in chosen.stages for each in stage] == [new]


def test_an_instance_whose_record_cannot_be_read_is_perhaps_a_member(shop: Shop) -> None:
    documents = shop.lab.documents.documents
    for key in [key for key in documents if key.startswith(f"records/{shop.members['db']}")]:
        del documents[key]
    obstacles = "; ".join(shop.plan().obstacles)
    assert f"{shop.members['db']}: whether it belongs to shop is not known" in obstacles


@pytest.fixture
def command(shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    def reading(_: InstalledSystem, region: str = PRIMARY) -> RegionReading:
        problem = f"{region} could not be read" if region == PRIMARY else ""
        return RegionReading(region, {}, PolicySet(()) if problem else PolicySet((), groups=(SHOP,)), problem)

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(RegionalAdapters, "documents_of", lambda *_: shop.lab.documents)
    monkeypatch.setattr(InstalledSystem, "dr_region_seen", reading)
    monkeypatch.setattr(InstalledSystem, "primary_seen", reading)
    monkeypatch.setattr(AwsSettings, "client", lambda _, service, region="": shop.lab.client(service, region))
    monkeypatch.setattr(WallClock, "pause", lambda _, seconds: shop.lab.lab.runner.advance(seconds))
    written = tmp_path / "map.yaml"
    written.write_text(yaml.safe_dump(shop.lab.names))

    def run(*arguments: str) -> Any:
        options = ("--map", str(written), "--in", DR, "--region", PRIMARY, "--dr-region", DR)
        return CliRunner().invoke(app, ["group", *arguments, *options])

    return run


def test_one_command_recovers_three_instances_of_a_lost_region(shop: Shop, command: Callable[..., Any]) -> None:
    planned = command("shop", "--plan")
    assert planned.exit_code == 0, planned.output + str(planned.exception)
    assert "group shop: 3 instances to " in planned.output
    assert f"stage 1: {shop.members['db']} (db)" in planned.output
    done = command("shop", "--yes")
    assert done.exit_code == 0, done.output + str(done.exception)
    found = shop.lab.lab.ec2(DR).describe_instances()["Reservations"]
    assert [instance["State"]["Name"] for reservation in found for instance in reservation["Instances"]] == ["running"] * 3


def test_a_group_s_plan_as_json_has_its_stages(shop: Shop, command: Callable[..., Any]) -> None:
    data = json.loads(command("shop", "--plan", "--json").stdout)
    assert data["stages"] == [[shop.members[name]] for name in ("db", "app", "web")]
    assert len(data["plans"]) == 3


def test_a_group_that_no_document_has_is_wrong_use(command: Callable[..., Any]) -> None:
    result = command("store", "--plan")
    assert f"store: no such group in the policy document: {DR} has shop; {PRIMARY} could not be read" in str(result.exception)
