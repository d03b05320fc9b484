"""Plans and pushes with more deletions than runs make on one day say so, before anybody consents."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from snapkeep.adapters import s3_documents
from snapkeep.cli.commands.policy import app as policy_app
from snapkeep.cli.commands.sweep import _adoption_question
from snapkeep.cli.common import AwsSettings, RegionScope
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.system import StackKind
from snapkeep.lab.simulator.memory_ports import MemoryDocuments
from snapkeep.usecases.sweep.announced_deletions import AnnouncedDeletions
from support.lineages import REGION
from support.volume_plans import DR, World


def said(planned: int) -> str:
    return (
        f"runs delete at most 50 snapshots a day (UTC) (they announced 50 today), and {planned} are to be deleted: "
        "DeletionsTimesUsual is 10, usual are 3 a day, and 50 are always allowed. Runs stop before they exceed it, and the next "
        "sweep puts the system on hold; once it is released, the rest follows from the next day on. To have all deleted without "
        "this, raise DeletionsTimesUsual first"
    )


class Unlisted(MemoryDocuments):
    def first_keys(self, prefix: str) -> list[str]:
        raise AwsRefused("list_objects_v2: AccessDenied")


@pytest.fixture
def buckets(world: World, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, MemoryDocuments]:
    """The buckets of stacks by region; in the DR region, runs have announced as many deletions as they make on one day."""
    made: dict[str, MemoryDocuments] = defaultdict(MemoryDocuments)
    known = InstalledSystem.stack_parameters

    def parameters(installed: InstalledSystem, kind: StackKind, region: str = "") -> dict[str, str]:
        stack = known(installed, kind, region)
        return {**stack, "DeletionsTimesUsual": "10"} if stack else {}

    monkeypatch.setattr(InstalledSystem, "stack_parameters", parameters)
    monkeypatch.setattr(InstalledSystem, "stack_outputs", lambda _, __, region: {"ReportsBucketName": region})
    monkeypatch.setattr(AwsSettings, "client", lambda *_: None)
    monkeypatch.setattr(s3_documents, "S3Documents", lambda client, bucket: made[bucket])
    today = datetime.now(UTC).date()
    announced = AnnouncedDeletions(made[DR])
    announced.write_usual(today, 3)
    announced.announce(today, [f"snap-{number}" for number in range(50)])
    return made


def policy(*arguments: str) -> Result:
    return CliRunner().invoke(policy_app, [*arguments, "--region", REGION], input="n\n")


@pytest.mark.usefixtures("buckets")
def test_a_plan_names_the_limit_and_its_consequences(plan: Callable[..., Result]) -> None:
    shown = " ".join(plan().output.split())
    assert f"{DR}: {said(3)}" in shown
    assert f"{REGION}: runs delete" not in shown


@pytest.mark.usefixtures("buckets")
def test_the_json_of_a_plan_has_the_numbers(plan: Callable[..., Result]) -> None:
    regions = {region["region"]: region["day"] for region in json.loads(plan("--json").output)["regions"]}
    numbers = {
        "planned": 3,
        "announced": 50,
        "together": 53,
        "most": 50,
        "usual": 3,
        "times_usual": 10,
        "problem": "",
        "exceeded": True,
    }
    assert regions[DR] == numbers
    assert regions[REGION] is None or not regions[REGION]["exceeded"]


@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("command", ["push", "diff"])
def test_a_push_and_a_diff_say_it_before_the_question(command: str, document: Path) -> None:
    assert said(3) in policy(command, str(document)).output


@pytest.mark.usefixtures("buckets")
def test_the_consent_to_an_adoption_names_the_limit() -> None:
    settings = AwsSettings(REGION, DR)
    assert said(3) in _adoption_question(InstalledSystem(settings), RegionScope.BOTH)


@pytest.mark.usefixtures("buckets")
def test_the_difference_of_a_plan_names_the_limit(plan: Callable[..., Result], document: Path) -> None:
    document.write_text(document.read_text().replace("keep_last: 1", "keep_last: 2"))
    assert said(2) in " ".join(plan("--policy", str(document), "--diff").output.split())


def planned_ids(plan: Callable[..., Result]) -> list[str]:
    (region,) = [region for region in json.loads(plan("--json").output)["regions"] if region["region"] == DR]
    verdicts = [verdict for volume in region["volumes"] for verdict in volume["snapshots"]]
    return [verdict["snapshot_id"] for verdict in verdicts if verdict["action"] == "delete"] + region["deleted_after_copies"]


@pytest.mark.parametrize(("others", "said_of"), [(47, ""), (48, "3 are to be deleted, 3 of which they announced:")])
def test_a_deletion_that_runs_announced_already_counts_once(
    plan: Callable[..., Result], buckets: dict[str, MemoryDocuments], others: int, said_of: str
) -> None:
    ids = planned_ids(plan)
    assert len(ids) == 3
    announced, today = AnnouncedDeletions(MemoryDocuments()), datetime.now(UTC).date()
    announced.write_usual(today, 3)
    announced.announce(today, [*ids, *(f"snap-{number}" for number in range(others))])
    buckets[DR] = announced.documents  # type: ignore[assignment]
    shown = " ".join(plan().output.split())
    assert said_of in shown if said_of else "runs delete" not in shown


def test_there_is_no_warning_while_the_usual_number_is_not_known(
    plan: Callable[..., Result], buckets: dict[str, MemoryDocuments]
) -> None:
    buckets[DR] = MemoryDocuments()
    assert "runs delete" not in plan().output


def test_a_bucket_that_cannot_be_listed_is_not_known(plan: Callable[..., Result], buckets: dict[str, MemoryDocuments]) -> None:
    buckets[DR] = Unlisted()
    text = "whether runs may make all deletions on one day is not known: list_objects_v2: AccessDenied"
    assert f"{DR}: {text}" in " ".join(plan().output.split())
    day: Any = {region["region"]: region["day"] for region in json.loads(plan("--json").output)["regions"]}[DR]
    assert day["problem"]
    assert not day["exceeded"]


def test_a_system_without_stacks_reads_no_bucket(plan: Callable[..., Result], world: World) -> None:
    world.stacks = set()
    assert "may make all deletions" not in plan().output
