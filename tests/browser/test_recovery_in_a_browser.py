"""A whole recovery of a volume by clicking, in the embedded AWS: with an unreachable region, and credentials that expire."""

from __future__ import annotations

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from browser.conftest import Visitor, scrolling_tables
from snapkeep.domain.tag_names import RECOVERY
from snapkeep.lab.demo.console_world import DR_REGION, REGION
from snapkeep.lab.embedded_aws import EmbeddedAws

pytestmark = pytest.mark.xdist_group("browser")

OPERATOR = "console-operator"
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@pytest.fixture
def options() -> list[str]:
    return ["--allow-actions"]


def plan(visitor: Visitor, name: str) -> str:
    """Click from the first page to the plan of a volume in the DR region; return the volume's id."""
    page = visitor.page
    page.keyboard.press("/")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=re.compile(f"^{name}")).first.click()
    page.locator("article", has_text=DR_REGION).get_by_role("link", name="Plan this recovery").click()
    page.get_by_text("to confirm").wait_for()
    return page.locator("form.act label code").inner_text()


def start(page: Page, volume_id: str) -> str:
    """Confirm a plan, and return the name of the recovery."""
    page.get_by_label("to confirm").fill(volume_id)
    page.get_by_role("button", name="Start the recovery").click()
    return page.locator("h1 code", has_text="recovery-").inner_text()


def made(aws: EmbeddedAws, run_id: str) -> list[str]:
    filters = [{"Name": f"tag:{RECOVERY}", "Values": [run_id]}]
    return [volume["VolumeId"] for volume in aws.client("ec2", DR_REGION).describe_volumes(Filters=filters)["Volumes"]]


def check_accessible(page: Page) -> None:
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for width in (390, 1280, 1900):
            page.set_viewport_size({"width": width, "height": 900})
            violations = Axe().run(page).response["violations"]
            assert not violations, f"{page.url} at {width} in {theme}: {[rule['id'] for rule in violations]}"
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, f"{page.url} at {width} is {overflow} pixels too wide"


def test_a_volume_is_recovered_and_undone_by_clicking(visitor: Visitor, aws: EmbeddedAws) -> None:
    page = visitor.page
    volume_id = plan(visitor, "orders-db")
    page.set_viewport_size({"width": 1000, "height": 900})
    assert not scrolling_tables(page)
    check_accessible(page)
    page.get_by_label("to confirm").fill("orders-db")
    page.get_by_role("button", name="Start the recovery").click()
    page.get_by_role("alert").filter(has_text=f"type {volume_id} to confirm").wait_for()
    run_id = start(page, volume_id)
    page.locator("p[role=status]", has_text="completed").wait_for()
    [made_id] = made(aws, run_id)
    assert made_id in page.locator("ol.steps").inner_text()
    check_accessible(page)
    page.get_by_text("Undo it").click()
    assert f"deletes {made_id}" in page.locator("details").inner_text()
    page.get_by_label("to confirm").fill(run_id)
    page.get_by_role("button", name="Remove what it made").click()
    page.locator("p[role=status]", has_text="undone").wait_for()
    assert made(aws, run_id) == []
    assert [fault for fault in visitor.faults if "409" not in fault] == []


def test_an_instance_is_launched_by_a_map_that_was_proposed_and_edited(visitor: Visitor, aws: EmbeddedAws) -> None:
    page = visitor.page
    page.keyboard.press("/")
    page.keyboard.type("web-1")
    page.keyboard.press("Enter")
    page.locator('main a[href^="/instance"]').first.click()
    instance_id = page.locator("h1 code").inner_text()
    page.get_by_role("link", name=f"Plan the whole instance in {DR_REGION}").click()
    page.get_by_text("the map has nothing under subnets for it").wait_for()
    page.locator("summary", has_text="Map").click()
    page.get_by_role("button", name="Propose a map").click()
    page.get_by_label("YAML or JSON").filter(has_text="subnets:").wait_for()
    check_accessible(page)
    proposed = page.get_by_label("YAML or JSON").input_value()
    page.get_by_label("YAML or JSON").fill(
        f"{proposed}\nsecurity_groups: {{{group_of(aws, REGION)}: {group_of(aws, DR_REGION)}}}\n"
    )
    page.get_by_role("button", name="Plan again").click()
    page.get_by_text("to confirm").wait_for()
    run_id = start(page, instance_id)
    launched = page.locator("ol.steps li.good", has_text=f"launch {instance_id}").locator("code")
    launched.wait_for()  # its status checks would take minutes
    filters = [{"Name": f"tag:{RECOVERY}", "Values": [run_id]}]
    [reservation] = aws.client("ec2", DR_REGION).describe_instances(Filters=filters)["Reservations"]
    assert reservation["Instances"][0]["InstanceId"] == launched.inner_text()
    assert visitor.faults == []


def group_of(aws: EmbeddedAws, region: str) -> str:
    """Return the default security group of the region's default VPC."""
    ec2 = aws.client("ec2", region)
    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    filters = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
    return str(ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]["GroupId"])


def test_a_recovery_resumes_after_its_region_was_unreachable(visitor: Visitor, aws: EmbeddedAws) -> None:
    page = visitor.page
    volume_id = plan(visitor, "customers-db")
    fault = {"kind": "api_error", "action": "CreateVolume", "region": DR_REGION, "skip": 1, "times": 1}
    aws.admin("POST", "faults", fault | {"code": "UnauthorizedOperation", "message": "not yet", "http_status": 403})
    run_id = start(page, volume_id)
    page.get_by_role("alert").filter(has_text="It is not finished.").wait_for()
    chip = page.locator(".chips", has_text=f"{DR_REGION} not read")
    aws.admin("POST", "regions/away", {"region": DR_REGION})
    try:
        chip.wait_for()
        assert run_id in page.locator("h1").inner_text()
    finally:
        aws.admin("POST", "regions/back", {"region": DR_REGION})
    chip.wait_for(state="detached")
    page.get_by_role("button", name="Resume").click()
    page.locator("p[role=status]", has_text="completed").wait_for()
    assert len(made(aws, run_id)) == 1
    assert visitor.faults == []


class TestCredentialsThatEnd:
    @pytest.fixture
    def credentials(self, aws: EmbeddedAws) -> dict[str, str]:
        iam = aws.client("iam", REGION)
        iam.create_user(UserName=OPERATOR)
        iam.put_user_policy(UserName=OPERATOR, PolicyName="all", PolicyDocument=json.dumps(ANYTHING))
        key = iam.create_access_key(UserName=OPERATOR)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def test_the_open_page_says_that_they_ended_and_how_old_it_is(
        self, visitor: Visitor, aws: EmbeddedAws, credentials: dict[str, str]
    ) -> None:
        page = visitor.page
        sentence = page.locator("h1").inner_text()
        aws.client("iam", REGION).delete_access_key(UserName=OPERATOR, AccessKeyId=credentials["AWS_ACCESS_KEY_ID"])
        alarm = page.get_by_role("alert").filter(has_text="The last attempt to read the system failed.")
        alarm.wait_for()
        assert "The page is out of date." in alarm.inner_text()
        assert page.locator("h1").inner_text() == sentence
        page.keyboard.press("/")
        page.keyboard.type("orders-db")
        page.keyboard.press("Enter")
        page.get_by_role("link", name=re.compile("^orders-db")).first.click()
        page.get_by_role("link", name="Plan this recovery").first.click()
        page.get_by_role("heading", name="This cannot be shown").wait_for()
        assert "AWS does not know this access key" in page.locator("h1 + p").inner_text()
        assert page.locator("form.act").count() == 0
