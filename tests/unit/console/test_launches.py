"""Instances and groups recovered by clicking: the plan with what is not carried over, the map, and the run; over the model."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import pytest
import yaml
from starlette.testclient import TestClient

from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.regional import RegionalAdapters
from snapkeep.cli.common import AwsSettings
from snapkeep.console.reading import Readings
from snapkeep.console.recoveries import Recoveries
from snapkeep.domain.policy.model import GroupMembers, PolicySet, RecoveryGroup
from snapkeep.domain.recovery.choice import lineages_of
from support.console_pages import HOSTILE, renew, text_of
from support.databases import protect_set
from support.flows import DR, INCLUDED, PRIMARY
from support.recovering_instances import InstanceLab

HERE = {"origin": "http://127.0.0.1:8470", "sec-fetch-site": "same-origin"}
SHOP = RecoveryGroup("shop", GroupMembers({"App": ("shop",)}), ("db",))


@dataclass
class LabClock:
    """Lets the model's time pass while a recovery waits."""

    lab: InstanceLab

    def now(self) -> datetime:
        return self.lab.clock.now()

    def pause(self, seconds: float) -> None:
        self.lab.lab.runner.advance(seconds)


@pytest.fixture
def allow_actions() -> bool:
    return True


@pytest.fixture
def lab() -> InstanceLab:
    return InstanceLab()


@pytest.fixture
def recoveries(lab: InstanceLab) -> Recoveries:
    return Recoveries(AwsSettings(PRIMARY, DR), LabClock(lab))


@pytest.fixture
def instance(lab: InstanceLab, readings: Readings, monkeypatch: pytest.MonkeyPatch) -> str:
    """An instance of a shop with copies of its volumes; the console has read both regions."""
    made = lab.launch(tags={**INCLUDED, "App": "shop", "Name": "db"})
    protect_set(lab.lab, made)
    renew(readings)
    assert readings.latest is not None
    monkeypatch.setattr(AwsSettings, "client", lambda _, service, region="": lab.client(service, region))
    monkeypatch.setattr(RegionalAdapters, "documents_of", lambda *_: lab.documents)
    listed = {
        region: lineages_of(region, Ec2Reader(client=lab.lab.ec2(region), region=region).all_snapshots())
        for region in (PRIMARY, DR)
    }
    status = replace(readings.latest.status, at=lab.clock.now())
    policies = {PRIMARY: PolicySet((), groups=(SHOP,))}
    reading = replace(readings.latest, status=status, lineages=listed, policies=policies, documents={DR: lab.documents})
    readings.read = lambda: reading
    renew(readings)
    return made


def page_of(browser: TestClient, **query: str) -> str:
    answer = browser.get("/launch", params={"in": DR, **query})
    assert answer.status_code == 200, answer.text
    return answer.text


def fields_of(page: str) -> dict[str, str]:
    """Return the hidden fields of the form that acts."""
    [form] = re.findall(r'<form class="act" method="post" action="/launch[^"]*">(.*?)</form>', page, re.DOTALL)
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: html.unescape(value) for name, value in found}


def map_of(page: str) -> str:
    [text] = re.findall(r'<textarea id="map"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    return html.unescape(text)


def send(browser: TestClient, fields: Mapping[str, str], **more: str) -> tuple[int, str]:
    answer = browser.post("/launch", data={**fields, **more}, headers=HERE)
    return answer.status_code, text_of(html.unescape(answer.text)) or answer.headers["location"]


def wait(recoveries: Recoveries) -> None:
    for threads in recoveries._threads.values():
        for thread in threads:
            thread.join()


def running(lab: InstanceLab, region: str = DR) -> list[str]:
    found = lab.lab.ec2(region).describe_instances()["Reservations"]
    states = [instance for reservation in found for instance in reservation["Instances"]]
    return [instance["InstanceId"] for instance in states if instance["State"]["Name"] == "running"]


def test_without_a_map_nothing_is_begun(browser: TestClient, lab: InstanceLab, instance: str) -> None:
    page = page_of(browser, id=instance)
    assert "the map has nothing under security_groups for it" in text_of(page)
    assert 'method="post"' not in page


def test_an_instance_is_launched_by_the_proposed_map_and_undone(
    browser: TestClient, lab: InstanceLab, instance: str, recoveries: Recoveries
) -> None:
    page = page_of(browser, id=instance, propose="yes", rate="300")
    written = map_of(page)
    assert yaml.safe_load(written) == lab.names
    assert "its rules were not compared" in written
    shown = text_of(html.unescape(page))
    assert "Not carried over, or not known" in shown
    assert "load balancers, DNS records, Auto Scaling and alarms know the instance by its id" in shown
    assert "AMI x86_64" in shown
    assert "at 300 MiB/s" in shown
    fields = fields_of(page)
    status, text = send(browser, fields, typed="db")
    assert (status, f"type {instance} to confirm" in text) == (409, True)
    assert running(lab) == []
    as_browsers_send = written.replace("\n", "\r\n")
    status, address = send(browser, fields_of(page_of(browser, id=instance, map=as_browsers_send)), typed=instance)
    assert status == 303, address
    wait(recoveries)
    [launched] = running(lab)
    done = text_of(html.unescape(browser.get(address).text))
    assert "completed" in done
    assert launched in done
    assert f"terminates {launched} and deletes its volumes" in done
    recoveries.undo(DR, address.rpartition("id=")[2])
    wait(recoveries)
    assert running(lab) == []


def test_consent_to_one_map_starts_no_other(browser: TestClient, lab: InstanceLab, instance: str) -> None:
    fields = fields_of(page_of(browser, id=instance, propose="yes"))
    without_key = yaml.safe_dump({**lab.names, "key_pairs": {"ops": None}})
    status, text = send(browser, fields, typed=instance, map=without_key)
    assert (status, "the plan has changed since it was shown" in text) == (409, True)
    status, text = send(browser, fields_of(page_of(browser, id=instance, propose="yes")), typed=instance, map="")
    assert (status, "the plan has an obstacle now" in text) == (409, True)
    assert running(lab) == []


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("subnet: {a: b}", "did you mean subnets?"),
        ("subnets: [a]", "write what takes the place of what"),
        ("subnets: {a: b", "not readable at line 1"),
    ],
)
def test_a_map_that_cannot_be_used_stays_on_the_page(
    browser: TestClient, instance: str, lab: InstanceLab, written: str, why: str
) -> None:
    for region in (PRIMARY, DR):  # in its own region the instance would be launched without a map
        page = page_of(browser, id=instance, map=written, **{"in": region})
        assert why in html.unescape(page)
        assert map_of(page) == written
        assert 'method="post"' not in page


def test_its_own_region_offers_only_its_root_volume(browser: TestClient, lab: InstanceLab, instance: str) -> None:
    page = text_of(page_of(browser, id=instance, **{"in": PRIMARY}))
    assert "It is still there, running" in page
    root = text_of(html.unescape(page_of(browser, id=instance, root="yes", **{"in": PRIMARY})))
    assert "its root volume is replaced" in root
    assert "keeps its id, addresses and other volumes" in root
    wrong = browser.get("/launch", params={"id": instance, "in": PRIMARY, "root": "yes", "stopped": "yes"})
    assert wrong.status_code == 400


def test_a_group_is_recovered_in_one_run(browser: TestClient, lab: InstanceLab, instance: str, recoveries: Recoveries) -> None:
    groups = text_of(browser.get("/recover").text)
    assert "Recovery groups" in groups
    assert f"snapkeep recover group shop --in {DR}" in groups
    page = page_of(browser, group="shop", propose="yes")
    assert "Stage 1: db" in text_of(page)
    assert "as snapkeep recover group --plan --json prints it" in text_of(page)
    status, text = send(browser, fields_of(page), typed=instance)
    assert (status, "type shop to confirm" in text) == (409, True)
    status, address = send(browser, fields_of(page_of(browser, group="shop", map=map_of(page))), typed="shop")
    assert status == 303, address
    wait(recoveries)
    assert len(running(lab)) == 1
    assert browser.get("/launch", params={"group": "store", "in": DR}).status_code == 404


def test_the_data_are_those_of_the_command(browser: TestClient, lab: InstanceLab, instance: str) -> None:
    data = browser.get("/launch.json", params={"group": "shop", "in": DR, "map": yaml.safe_dump(lab.names)}).json()
    assert data["stages"] == [[instance]]
    assert data["plans"][0]["obstacles"] == []
    assert "group" not in browser.get("/launch.json", params={"id": instance, "in": DR}).json()


def test_hostile_texts_have_no_effect_on_the_page(browser: TestClient, instance: str) -> None:
    for name in ("map", "without", "rate", "at", "id", "group"):
        text = browser.get("/launch", params={"id": instance, "in": DR, name: HOSTILE}).text
        assert "<script>alert" not in text, name
        assert "\u202e" not in text, name


class TestWithoutTheOption:
    @pytest.fixture
    def allow_actions(self) -> bool:
        return False

    def test_the_commands_are_shown_and_nothing_is_planned(self, browser: TestClient, instance: str) -> None:
        assert browser.get("/launch", params={"id": instance, "in": DR}).status_code == 404
        page = text_of(browser.get("/instance", params={"id": instance}).text)
        assert f"snapkeep recover instance {instance} --in {DR} --at" in page
        assert "Plan the whole instance" not in page
