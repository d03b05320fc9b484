"""The page of policies: history, a document that is checked and compared, and its simulation."""

import asyncio
import html
import json
import multiprocessing
import os
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from snapkeep.cli.errors import WrongUse
from snapkeep.console.guard import VisitorGuard
from snapkeep.console.reading import Readings
from snapkeep.console.server import Console
from snapkeep.console.worker_process import run_apart
from snapkeep.domain.model import Volume
from snapkeep.domain.policy.model import PolicySet
from snapkeep.lab.commands.console import MOST_VOLUMES, simulated
from support.console_pages import renew, shown, text_of
from support.several_regions import DOCUMENT, NEAR, PRIMARY, Account

OTHER = {**DOCUMENT, "policies": [{**DOCUMENT["policies"][0], "retention": {"keep_last": 9}}]}


def test_a_document_is_checked_and_compared_and_not_pushed(account: Account, browser: TestClient, readings: Readings) -> None:
    account.copy(account.snapshot(), NEAR)
    shown(browser, readings, "/policies")
    stored = dict(account.documents)
    wrong = browser.get("/policies", params={"document": "version: 1\npolicies:\n- name: gold\n  rpo: soon\n"})
    assert "the document:4: policies[0].rpo" in html.unescape(wrong.text)
    other = json.dumps({**DOCUMENT, "policies": [{**DOCUMENT["policies"][0], "retention": {"keep_last": 9}}]})
    page = text_of(html.unescape(browser.get("/policies", params={"document": other}).text))
    assert "Fields that change" in page
    assert "keep_last" in page
    assert account.documents == stored


def test_a_tried_document_shows_full_copies_and_regions_not_read(
    account: Account, browser: TestClient, readings: Readings
) -> None:
    account.copy(account.snapshot(), NEAR)
    shown(browser, readings, "/policies")
    [policy] = DOCUMENT["policies"]
    copies = [{**policy["copies"][0], "kms_key": "alias/new"}, {**policy["copies"][1], "region": "eu-west-1"}]
    document = {**DOCUMENT, "policies": [{**policy, "copies": copies}]}
    page = text_of(html.unescape(browser.get("/policies", params={"document": json.dumps(document)}).text))
    assert "Not compared: eu-west-1" in page
    assert "Full copies" in page
    assert "alias/new" in page.partition("Full copies")[2]


def test_former_versions_are_listed_and_compared(account: Account, browser: TestClient, readings: Readings) -> None:
    account.snapshot()
    account.former = {PRIMARY: ["{", json.dumps(OTHER)]}
    page = text_of(shown(browser, readings, "/policies"))
    assert "4 ✓ in force" in page
    assert "cannot be used: 1 error" in page
    compared = text_of(shown(browser, readings, "/policies?version=3"))
    assert "Fields that change" in compared
    assert "keep_last: 9" in compared
    assert "Fields that change" not in shown(browser, readings, "/policies?version=2")


@pytest.fixture
def asked() -> list[tuple[int, list[str]]]:
    return []


@pytest.fixture
def console(console: Console, asked: list[tuple[int, list[str]]]) -> Console:
    def simulate(volumes: Sequence[Volume], policies: Mapping[str, PolicySet], region: str) -> str:
        asked.append((len(volumes), list(policies)))
        return f"<style>p {{}}</style><p>simulated in {region}</p>"

    async def run_here(work: Callable[..., str], arguments: Sequence[Any], _: object) -> str:
        return work(*arguments)

    return replace(console, simulate=simulate, run=run_here)


def test_a_tried_document_is_simulated_with_the_policies_in_force(
    account: Account, browser: TestClient, readings: Readings, asked: list[tuple[int, list[str]]]
) -> None:
    account.snapshot()
    renew(readings)
    answer = browser.get("/simulation", params={"document": json.dumps(OTHER)})
    assert "simulated in us-east-1" in answer.text
    assert asked == [(1, ["in force", "the document"])]
    assert "script" not in answer.headers["content-security-policy"]
    wrong = browser.get("/simulation", params={"document": "version: 2"})
    assert (wrong.status_code, "version" in wrong.text) == (400, True)
    assert len(asked) == 1


def test_nothing_is_simulated_without_volumes_that_were_read(
    account: Account, browser: TestClient, readings: Readings, asked: list[tuple[int, list[str]]]
) -> None:
    account.copy(account.snapshot(), NEAR)
    account.take_away(PRIMARY)
    renew(readings)
    assert "us-east-1 was not read" in browser.get("/simulation").text
    assert asked == []


def test_a_simulation_uses_a_sample_of_the_volumes(readings: Readings, account: Account) -> None:
    client = account.world.client("ec2", PRIMARY)
    for _ in range(MOST_VOLUMES * 2 + 1):
        client.create_volume(AvailabilityZone="us-east-1a", Size=1)
        account.clock.advance(1)
    renew(readings)
    assert readings.latest is not None
    volumes = [volume.volume for volume in readings.latest.status.volumes]
    page = simulated(volumes, {"in force": readings.latest.policies[PRIMARY]}, PRIMARY, days=1)
    assert f"{-(-len(volumes) // 3)} volumes for 1 day" in page
    assert 'href="/policies"' in page


async def wanted() -> bool:
    return False


@pytest.mark.parametrize(
    ("work", "arguments", "end"),
    [
        (textwrap.dedent, ("  done",), "done"),
        (json.loads, ("{",), "Expecting property name"),
        (os._exit, (1,), "without an answer"),
    ],
    ids=["done", "failed", "ended"],
)
def test_a_separate_process_answers_or_reports_why_not(work: Callable[..., str], arguments: Sequence[Any], end: str) -> None:
    try:
        found = asyncio.run(run_apart(work, arguments, wanted)) or ""
    except WrongUse as error:
        found = str(error)
    assert end in found


def test_abandoned_work_ends_with_its_process() -> None:
    async def abandoned() -> bool:
        return True

    assert asyncio.run(run_apart(time.sleep, (3600,), abandoned)) is None
    assert multiprocessing.active_children() == []


class TestWithoutSimulator:
    @pytest.fixture
    def console(self, console: Console) -> Console:
        return replace(console, simulate=None)

    def test_there_is_no_simulation(self, browser: TestClient, guard: VisitorGuard) -> None:
        assert browser.get("/simulation").status_code == 404
