"""`snapkeep plan` and `snapkeep policy`, over readers and stores in memory."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from snapkeep.cli.commands import policy as policy_commands
from snapkeep.cli.commands.policy import app as policy_app
from snapkeep.cli.commands.sweep import _adoption_question
from snapkeep.cli.common import AwsSettings, RegionScope
from snapkeep.cli.errors import WrongUse
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.domain import prices
from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.model import Volume
from snapkeep.domain.policy.model import Limits
from snapkeep.domain.policy.parameters import from_dr_parameters, from_parameters
from snapkeep.usecases.policies import NOTHING
from support.lineages import REGION, snapshot
from support.volume_plans import DOCUMENT, DR, SOURCES, World


def policy(*arguments: str) -> Result:
    where = [] if arguments[0] == "check" else ["--region", REGION]
    return CliRunner().invoke(policy_app, [*arguments, *where])


def test_a_plan_fits_100_columns(plan: Callable[..., Result]) -> None:
    result = plan()
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert max(map(len, lines)) <= 100
    assert "us-east-1  by stack parameters" in lines
    assert "vol-0a  default: it takes every volume" in lines
    assert f"  2025-11-21 03:00  {SOURCES[1].id:<22}  delete beyond last 2" in lines
    assert f"  2025-11-20 03:00  {SOURCES[0].id:<22}  keep   in use by ami-0123" in lines
    assert any("held: its copy to us-east-2" in line for line in lines)
    assert f"  {SOURCES[3].id}  to us-east-2  due 2025-11-24 03:00  waiting or running" in lines
    assert "us-east-1: 1 volume, 4 snapshots, 3 would be kept, 1 would be deleted, 1 copy missing" in lines
    totals = (
        "us-east-2: 1 volume, 3 snapshots, 1 would be kept, 2 would be deleted, 0 copies missing, 1 more would be deleted once"
    )
    assert totals in " ".join(result.output.split())


@pytest.mark.parametrize("pattern", ["vol-0a", "ord*"])
def test_a_plan_of_chosen_volumes_shows_them_in_every_region(plan: Callable[..., Result], world: World, pattern: str) -> None:
    world.volumes = [replace(world.volumes[0], tags={"Name": "orders"}), Volume("vol-0b", REGION, 8, "gp3")]
    world.listings[REGION].append(snapshot("2025-11-23T04:00", 7, volume="vol-0b"))
    regions = json.loads(plan(pattern, "--json").output)["regions"]
    assert [[volume["volume_id"] for volume in region["volumes"]] for region in regions] == [["vol-0a"], ["vol-0a"]]
    assert [region["totals"]["snapshots"] for region in regions] == [4, 3]
    assert "no volume matches vol-0c" in str(plan("vol-0c").exception)


def test_json_has_the_same_plan(plan: Callable[..., Result]) -> None:
    regions = json.loads(plan("--json").output)["regions"]
    snapshots = regions[0]["volumes"][0]["snapshots"]
    assert [snapshot["action"] for snapshot in snapshots] == ["keep", "delete", "keep", "keep"]
    assert snapshots[3]["reasons"][0] == {"rule": "newest", "text": "newest"}
    assert regions[0]["totals"]["copies_missing"] == 1
    assert regions[1]["region"] == DR


def test_json_has_a_line_for_each_volume(plan: Callable[..., Result], world: World) -> None:
    world.volumes.append(Volume("vol-0b", REGION, 8, "gp3"))
    lines = plan("--json").output.splitlines()
    assert [line.startswith('{"source_region"') for line in lines].count(True) == 3
    assert json.loads(next(line for line in lines if '"vol-0b"' in line))["snapshots"] == []


def test_csv_has_a_row_for_every_snapshot(plan: Callable[..., Result]) -> None:
    table = list(csv.DictReader(io.StringIO(plan("--csv", "--scope", "primary").output)))
    assert [row["snapshot_id"] for row in table] == [snapshot.id for snapshot in SOURCES]
    assert table[1]["rules"] == "keep_last"


def test_a_proposed_policy_is_planned_and_compared(plan: Callable[..., Result], document: Path) -> None:
    whole = plan("--policy", str(document), "--scope", "primary").output
    assert "us-east-1  by policy.yaml" in whole
    difference = plan("--policy", str(document), "--diff").output
    assert f"{SOURCES[1].id:<22}  keep   last 3 of 3" in difference
    assert "now delete: beyond last 2" in difference
    assert SOURCES[0].id not in difference
    assert "nothing would change" in difference
    as_data = json.loads(plan("--policy", str(document), "--diff", "--json").output)
    assert [change["after"]["snapshot_id"] for change in as_data["regions"][0]["changes"]] == [SOURCES[1].id]


def test_a_plan_is_made_for_the_time_of_at(plan: Callable[..., Result]) -> None:
    made = json.loads(plan("--at", "2027-01-01T00:00Z", "--json").output)
    assert made["regions"][0]["made_at"] == "2027-01-01T00:00:00.000Z"
    wrong = plan("--at", "tomorrow")
    assert wrong.exit_code == 1
    assert "write a time with its time zone" in str(wrong.exception)


@pytest.mark.parametrize(
    "moment", ["9999-12-31T23:59Z", "9999-12-31T23:59-05:00", "0001-01-01T00:00+05:00", "3000-01-01T00:00Z", "1999-12-31T23:59Z"]
)
def test_a_time_out_of_range_is_refused(plan: Callable[..., Result], moment: str) -> None:
    refused = plan("--at", moment).exception
    assert isinstance(refused, WrongUse)
    assert str(refused) == f"--at {moment}: give a time from 2000-01-01T00:00Z to before 3000-01-01T00:00Z"


@pytest.mark.parametrize("moment", ["2000-01-01T00:00Z", "2999-12-31T23:59Z", "3000-01-01T02:00+05:00"])
def test_the_first_and_the_last_time_are_planned(plan: Callable[..., Result], tmp_path: Path, moment: str) -> None:
    longest = tmp_path / "longest.yaml"
    keep = "{keep_within: 36500d, keep_hourly: 1, keep_yearly: 9, timezone: Pacific/Kiritimati}"
    longest.write_text(DOCUMENT.replace("{keep_last: 3}", keep), encoding="utf-8")
    for arguments in ([], ["--policy", str(longest)]):
        assert plan("--at", moment, *arguments).exit_code == 0


@pytest.mark.parametrize(("columns", "widest"), [("60", 80), ("80", 80), ("100", 100), ("120", 120), ("400", 140)])
def test_lines_fit_the_terminal_and_cut_no_name(
    plan: Callable[..., Result], world: World, monkeypatch: pytest.MonkeyPatch, columns: str, widest: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    world.volumes = [Volume("vol-0a", REGION, 8, "gp3", tags={"snapkeep:policy": "a-policy-whose-name-is-longer-than-others"})]
    result = plan().output
    assert max(map(len, result.splitlines())) <= widest
    assert "'a-policy-whose-name-is-longer-than-others'" in result
    assert "us-\n" not in result


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--diff", "--adopt", "--csv"], "--diff cannot be printed as CSV"),
        (["--json", "--csv"], "choose one"),
        (["--diff"], "give --policy, --at or --adopt"),
    ],
)
def test_wrong_use_is_refused(plan: Callable[..., Result], arguments: list[str], words: str) -> None:
    assert words in str(plan(*arguments).exception)


def test_a_refused_plan_or_a_wrong_tag_ends_with_status_1(plan: Callable[..., Result], world: World) -> None:
    world.volumes = [Volume("vol-0a", REGION, 8, "gp3", tags={"snapkeep:policy": "glod"})]
    result = plan()
    assert result.exit_code == 1
    assert "names 'glod', which is no" in result.output


def test_the_question_of_an_adoption_counts_what_retention_deletes_later(plan: Callable[..., Result], world: World) -> None:
    """The question named no figure, and the plan said that nothing would be deleted."""
    assert plan().exit_code == 0
    world.listings = {REGION: [replace(source, tags={}) for source in SOURCES[1:]], DR: []}
    question = _adoption_question(InstalledSystem(AwsSettings(REGION, DR)), RegionScope.BOTH)
    assert question.startswith("Adopt 3 snapshots? Retention then deletes 1 snapshot, 1 of them once missing copies are made")
    totals = json.loads(plan("--adopt", "--json").output)["regions"][0]["totals"]
    assert (totals["deletions"], totals["deletions_after_copies"], totals["copies_missing"]) == (0, 1, 1)


def test_adopt_shows_the_snapshots_to_adopt(plan: Callable[..., Result], world: World) -> None:
    world.listings = {REGION: [snapshot("2025-11-20T03:00", 5, managed=False)], DR: []}
    assert "1 snapshot would be adopted" in " ".join(plan("--adopt").output.split())


def test_check_summarizes_a_document_or_lists_every_error(document: Path, tmp_path: Path) -> None:
    right = policy("check", str(document))
    assert right.exit_code == 0
    assert "default: tag Backup=gold" in right.output
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(DOCUMENT.replace("keep_last: 3", "keep_lst: 3").replace("version: 1", "version: 9"), encoding="utf-8")
    refused = policy("check", str(wrong))
    assert refused.exit_code == 1
    assert "did you mean keep_last?" in refused.output
    assert "2 errors" in refused.output
    as_data = json.loads(policy("check", str(wrong), "--json").output)
    assert [error["path"] for error in as_data["errors"]] == ["version", "policies[0].retention.keep_lst"]


def test_check_refuses_a_document_that_is_too_large(world: World, tmp_path: Path) -> None:
    ids = ", ".join(f"vol-{number:017x}" for number in range(400))
    large = tmp_path / "large.yaml"
    large.write_text(DOCUMENT.replace("{tags: {Backup: gold}}", f"{{volume_ids: [{ids}]}}"), encoding="utf-8")
    refused = policy("check", str(large))
    assert isinstance(refused.exception, SystemExit)
    assert refused.exit_code == 1
    assert "bytes: a parameter holds 8192: merge policies" in refused.stderr
    (problem,) = json.loads(policy("check", str(large), "--json").stdout)["errors"]
    assert problem["path"] == "document"
    pushed = policy("push", str(large), "--yes")
    assert pushed.exit_code == 2
    assert "a parameter holds 8192" in pushed.stderr
    assert world.documents[REGION] == []


def test_check_shows_the_price_of_a_completion_duration(tmp_path: Path) -> None:
    path = tmp_path / "fast.yaml"
    path.write_text(DOCUMENT.replace("{region: us-east-2,", "{region: us-east-2, completion_duration: 2h,"), encoding="utf-8")
    assert "within 120 minutes, for 0.014 USD more for each GiB" in policy("check", str(path)).output


def test_check_shows_the_highest_price_of_a_chosen_completion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "auto.yaml"
    path.write_text(DOCUMENT.replace("{region: us-east-2,", "{region: us-east-2, completion: auto,"), encoding="utf-8")
    monkeypatch.setattr(prices, "TIME_BASED_COPY", ((30, 0.018), (0, 0.023)))
    assert "at most 0.023 USD more for each GiB" in policy("check", str(path)).output


def test_a_push_shows_the_changes_and_needs_confirmation(world: World, document: Path) -> None:
    refused = policy("push", str(document))
    assert "1  more snapshot would be kept" in refused.output
    assert "give --yes" in str(refused.exception)
    assert world.documents == {REGION: [], DR: []}


def test_a_push_stores_the_document_in_both_regions(world: World, document: Path) -> None:
    pushed = policy("push", str(document), "--yes")
    assert pushed.exit_code == 0
    assert pushed.output.endswith("us-east-2: version 1 is in force\nus-east-1: version 1 is in force\n")
    kept = json.loads(world.documents[REGION][0])
    assert kept["policies"][0]["retention"] == {"keep_last": 3}
    assert world.documents[DR] == world.documents[REGION]
    assert "# document, version 1" in policy("show").output
    assert "   1  2026-11-23 00:00  policies default  someone" in policy("history").output


def test_a_push_with_wider_limits_shows_the_new_deletions(world: World, document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = from_parameters("none", DR, 1, 3, "", 24, Limits(max_deletions=1), region=REGION)
    parameters = {REGION: narrow, DR: from_dr_parameters(DR, 3, Limits())}
    monkeypatch.setattr(InstalledSystem, "in_force_in", lambda *_: parameters)
    monkeypatch.setattr(InstalledSystem, "policies_in_force", lambda *_: parameters)
    world.volumes = [Volume("vol-0a", REGION, 8, "gp3", tags={"Backup": "gold"})]
    world.listings[REGION] = [*SOURCES[1:], snapshot("2025-11-19T03:00", 19, policy="default")]
    document.write_text(
        DOCUMENT.replace("keep_last: 3", "keep_last: 1").replace("{keep_last: 1}}]", "{keep_last: 3}}]"), encoding="utf-8"
    )
    assert "3  more snapshots would be deleted" in policy("push", str(document)).output


def test_a_push_to_a_region_without_a_stack_is_refused(world: World, document: Path) -> None:
    world.stacks = {REGION}
    assert "no stack snapkeep-dr in us-east-2" in str(policy("push", str(document), "--yes").exception)


def test_a_push_of_a_broken_document_lists_every_error(world: World, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("version: 1\npolices: []\n", encoding="utf-8")
    refused = policy("push", str(path), "--yes")
    assert refused.exit_code == 2
    assert "did you mean policies?" in refused.output


def test_a_rollback_stores_a_former_version_as_a_new_one(world: World, document: Path) -> None:
    policy("push", str(document), "--yes")
    document.write_text(DOCUMENT.replace("keep_last: 3", "keep_last: 4"), encoding="utf-8")
    policy("push", str(document), "--yes")
    assert policy("rollback", "--yes", "--json").exit_code == 0
    assert world.documents[REGION][2] == world.documents[REGION][0]
    assert isinstance(policy("rollback", "9", "--yes").exception, InvalidConfiguration)


def test_removing_puts_the_parameters_in_force_again(world: World, document: Path) -> None:
    policy("push", str(document), "--yes")
    assert "1  more snapshot would be deleted" in policy("remove", "--yes").output
    assert [texts[-1] for texts in world.documents.values()] == [NOTHING, NOTHING]
    assert "# stack parameters" in policy("show").output
    assert policy("history").output.splitlines() == [
        "   2  2026-11-23 00:00  no document: the stacks' parameters  someone  (in force)",
        "   1  2026-11-23 00:00  policies default  someone",
    ]


def test_the_history_shows_that_no_document_is_in_force(world: World) -> None:
    assert policy("history").output == "no document is in force: the stacks' parameters are the policy\n"


def test_the_history_as_json_marks_the_version_in_force(world: World, document: Path) -> None:
    policy("push", str(document), "--yes")
    world.documents[REGION].append("broken")
    versions = json.loads(policy("history", "--json").output)["versions"]
    assert [(version["version"], version["in_force"], version["removed"]) for version in versions] == [
        (2, False, False),
        (1, True, False),
    ]


def test_a_broken_document_is_named_and_the_last_good_one_planned(
    plan: Callable[..., Result], world: World, document: Path
) -> None:
    policy("push", str(document), "--yes")
    world.documents[REGION].append("broken")
    result = plan()
    assert result.exit_code == 1
    assert "us-east-1  by document, version 1" in result.stdout
    assert "version 2 of the policy document in us-east-1 cannot be used (1 error, first: " in result.stderr
    assert json.loads(plan("--json").stdout)


def test_show_prints_the_policies_in_force_instead_of_a_broken_document(world: World, document: Path) -> None:
    policy("push", str(document), "--yes")
    world.documents[REGION].append("broken")
    result = policy("show")
    assert result.exit_code == 1
    assert "# document, version 1" in result.stdout
    assert "version 2 of the policy document in us-east-1 cannot be used" in result.stderr
    assert policy("push", str(document), "--yes").exit_code == 0, "it is put right by a push"


def test_the_schema_is_printed() -> None:
    result: Any = CliRunner().invoke(policy_app, ["schema"])
    assert json.loads(result.output)["title"] == "Snapkeep policy document"


def test_every_command_that_prints_has_json() -> None:
    named = {command.callback.__name__ for command in policy_commands.app.registered_commands if command.callback}
    assert named == {"check", "push", "rollback", "show", "diff", "history", "remove", "schema", "from_dlm"}
    for name in named - {"schema", "from_dlm"}:
        assert "--json" in CliRunner().invoke(policy_app, [name, "--help"]).output
