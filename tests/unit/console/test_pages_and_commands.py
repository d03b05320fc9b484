"""The data of a page are what its commands print with `--json`."""

import json
import re
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from snapkeep.cli.application import make_application
from snapkeep.console.pages import PAGES, Page
from snapkeep.console.reading import Readings
from snapkeep.lab.ebs_model import PUBLIC_LINUX
from support.console_pages import renew
from support.several_regions import FAR, NEAR, PRIMARY, Account

BY_REGION = ("recover list", "drill list")
"""Commands that show one DR region."""
FILE = "policies.json"


def printed(command: str, *options: str) -> Any:
    arguments = [*command.removeprefix("snapkeep ").split(), "--region", PRIMARY, *options]
    result = CliRunner().invoke(make_application(), arguments, catch_exceptions=False)
    assert result.exit_code in (0, 1), result.output  # 1: something needs attention
    return json.loads(result.stdout)


def timeless(value: Any) -> Any:
    """Return data without the times of the readings and the order of the regions, which differ."""
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted((timeless(each) for each in value), key=str)
    if isinstance(value, float):
        return "a span"
    return (
        re.sub(r"20\d\d-\d\d-\d\d[T ][\d:.]+Z?|\d+ (?:min|h|d)( \d+ \w+)?", "a time", value) if isinstance(value, str) else value
    )


def expected(command: str) -> Any:
    if not any(word in command for word in BY_REGION):
        return printed(command)
    by_region = {region: printed(command, "--in", region) for region in (NEAR, FAR)}
    return by_region if "drill" in command else [run for runs in by_region.values() for run in runs]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "drill"], ids=lambda page: page.name)
def test_the_data_of_a_page_equal_the_output_of_its_commands(
    account: Account, browser: TestClient, readings: Readings, page: Page, tmp_path: Any
) -> None:
    source = account.snapshot()
    account.copy(source, NEAR)
    account.copy(source, FAR)
    client = account.world.client("ec2", PRIMARY)
    [instance] = client.run_instances(ImageId=PUBLIC_LINUX, MinCount=1, MaxCount=1)["Instances"]
    account.clock.advance(60)
    (tmp_path / FILE).write_text(account.documents[PRIMARY].replace("gold", "silver"))
    names = {"VOLUME": source.origin.volume_id, "INSTANCE": instance["InstanceId"], "FILE": str(tmp_path / FILE)}
    renew(readings)
    asked = {"id": names["INSTANCE" if page.name == "instance" else "VOLUME"], "document": (tmp_path / FILE).read_text()}
    shown = browser.get(f"/{page.name}.json", params=asked if page.name in ("instance", "volume", "policies") else {}).json()
    for command in page.data:
        of_command = shown[command] if len(page.data) > 1 else shown
        with_names = " ".join(names.get(word, word) for word in command.split())
        if page.name == "volume" and "status" in command:
            assert [volume["volume_id"] for volume in of_command["volumes"]] == [names["VOLUME"]]
            assert of_command.keys() == printed(command).keys()
        else:
            assert timeless(of_command) == timeless(expected(with_names)), command


def test_the_plan_of_a_volume_has_the_deletion_time_of_each_snapshot(
    account: Account, browser: TestClient, readings: Readings
) -> None:
    source = account.snapshot()
    [plan, *_] = printed(f"snapkeep plan {source.origin.volume_id} --json")["regions"]
    assert [each["goes"]["kind"] for each in plan["volumes"][0]["snapshots"]] == ["not_known"]
    assert "goes" not in printed("snapkeep plan --json")["regions"][0]["volumes"][0]["snapshots"][0]
