"""`snapkeep policy check`: several documents, standard input, the lines of errors, and what a document leaves unprotected."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from snapkeep.cli.commands.policy import app

RIGHT = """\
version: 1
policies:
  - name: gold
    select: {tags: {Backup: gold}}
    retention: {keep_last: 7}
    copies:
      - region: us-east-2
        retention: {keep_last: 1}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(*arguments: str, text: str | bytes = RIGHT) -> Result:
    return CliRunner().invoke(app, ["check", *arguments], input=text)


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        ("version: 1", "version: 9", "1: version is 9"),
        ("keep_last: 7", "keep_lst: 7", "5: policies[0].retention.keep_lst is 7"),
        ("{keep_last: 7}", "", "5: policies[0].retention is None"),
        ("{keep_last: 7}", "\n      - 7", "5: policies[0].retention is [7]"),
        ("region: us-east-2", "kms_key: alias/dr", "7: policies[0].copies[0].region is missing"),
        ("{Backup: gold}", "{Backup.x: []}", "4: policies[0].select.tags.Backup.x is []"),
        ("us-east-2", "us-east-1", "7: policies[0].copies[0].region is 'us-east-1'"),
        ("version: 1\n", "", " version is missing"),
        ("gold}}", "gold}", " document is not readable at line 5, column 5"),
    ],
)
def test_an_error_names_its_file_and_line(right: str, wrong: str, line: str) -> None:
    Path("policy.yaml").write_text(RIGHT.replace(right, wrong, 1), encoding="utf-8")
    checked = check("policy.yaml", "--region", "us-east-1")
    assert checked.exit_code == 1
    assert f"policy.yaml:{line}" in checked.stderr


def test_an_error_as_json_names_its_line() -> None:
    checked = check("-", "--json", text=json.dumps({"version": 1, "policies": [{"nme": "gold"}]}, indent=1))
    errors = json.loads(checked.stdout)["errors"]
    assert [(error["path"], error["line"]) for error in errors if error["path"].endswith("me")] == [
        ("policies[0].nme", 5),
        ("policies[0].name", 4),
    ]


def test_standard_input_is_a_document() -> None:
    assert "gold: tag Backup=gold" in check("-").stdout
    refused = check("-", text=RIGHT.replace("keep_last: 7", "keep_last: 0"))
    assert refused.exit_code == 1
    assert "<stdin>:5: policies[0].retention.keep_last is 0" in refused.stderr


@pytest.mark.parametrize(("content", "words"), [(b" " * 1_000_001, "larger than"), (b"\xff", "not text in UTF-8")])
def test_standard_input_has_the_limits_of_a_file(content: bytes, words: str) -> None:
    assert f"<stdin> is {words}" in str(check("-", text=content).exception)


def test_every_file_is_checked_and_one_error_fails_the_check() -> None:
    Path("wrong.yaml").write_text(RIGHT.replace("version: 1", "version: 9"), encoding="utf-8")
    Path("right.yaml").write_text(RIGHT, encoding="utf-8")
    checked = check("wrong.yaml", "right.yaml", "-")
    assert checked.exit_code == 1
    assert "wrong.yaml:1: version is 9" in checked.stderr
    assert checked.stdout.count("no errors") == 2
    as_data = json.loads(check("wrong.yaml", "right.yaml", "--json").stdout)["files"]
    assert [(file["file"], len(file["errors"])) for file in as_data] == [("wrong.yaml", 1), ("right.yaml", 0)]
    assert check("right.yaml", "-").exit_code == 0


@pytest.mark.parametrize(
    ("primary", "region", "words"),
    [
        ("", "us-east-9", "write a region that exists (did you mean us-east-"),
        ("cn-north-1", "cn-north-9", "(did you mean cn-north-1?)"),
        ("us-east-1", "cn-north-1", "write a region of the partition aws"),
        ("us-gov-west-1", "us-east-2", "write a region of the partition aws-us-gov"),
    ],
)
def test_a_region_that_no_copy_can_reach_is_an_error(primary: str, region: str, words: str) -> None:
    checked = check("-", "--region", primary, text=RIGHT.replace("us-east-2", region))
    assert checked.exit_code == 1
    assert f"<stdin>:7: policies[0].copies[0].region is '{region}': " in checked.stderr
    assert words in checked.stderr


def test_copies_to_two_partitions_are_an_error_without_a_primary_region() -> None:
    two = RIGHT + "      - {region: cn-north-1, retention: {keep_last: 1}}\n"
    assert "policies[0].copies[1].region is 'cn-north-1': write a region of the partition aws:" in check("-", text=two).stderr


@pytest.mark.parametrize("region", ["us-east-2", "ap-southeast-5", "eu-north-1"])
def test_a_region_of_the_same_partition_is_right(region: str) -> None:
    assert check("-", "--region", "us-east-1", text=RIGHT.replace("us-east-2", region)).exit_code == 0


def test_a_primary_region_that_does_not_exist_is_wrong_use() -> None:
    assert "--region us-east-9: there is no such region" in str(check("-", "--region", "us-east-9").exception)


def shadowed(former: str, later: str) -> list[str]:
    policy = RIGHT.partition("policies:\n")[2]
    first, second = policy.replace("{tags: {Backup: gold}}", former), policy.replace("{tags: {Backup: gold}}", later)
    checked = check("-", "--json", text="version: 1\npolicies:\n" + first + second.replace("name: gold", "name: silver"))
    assert checked.exit_code == 0
    return [f"{warning['line']}: {warning['text']}" for warning in json.loads(checked.stdout)["warnings"]]


@pytest.mark.parametrize("later", ["{tags: {Backup: gold}}", "{tags: {Backup: gold}, min_size_gib: 8}"])
@pytest.mark.parametrize("former", ["{}", "{tags: {Backup: gold}}"])
def test_a_policy_that_an_earlier_one_leaves_no_volume_is_a_warning(former: str, later: str) -> None:
    (warning,) = shadowed(former, later)
    assert warning.startswith("10: silver governs only volumes whose tag snapkeep:policy names it: gold, an earlier policy")


@pytest.mark.parametrize(
    ("former", "later"),
    [
        ("{tags: {Backup: gold}}", "{}"),
        ("{tags: {Backup: gold}, min_size_gib: 8}", "{tags: {Backup: gold}}"),
        ("{exclude_tags: {Backup: gold}}", "{tags: {Backup: gold}}"),
    ],
)
def test_a_policy_that_keeps_volumes_is_no_warning(former: str, later: str) -> None:
    assert shadowed(former, later) == []


def test_a_policy_without_copies_is_a_warning() -> None:
    checked = check("-", text=RIGHT.partition("    copies:")[0])
    assert checked.exit_code == 0
    warning = "<stdin>:3: warning: gold copies nothing: its volumes cannot be recovered in another region"
    assert checked.stderr.splitlines() == [warning]
    assert checked.stdout.endswith("no errors, 1 warning\n")


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        ("", "limits: those of the stacks' parameters"),
        ("limits: {max_deletions: 5}\n", "limits: max_deletions 5; the others are those of the stacks' parameters"),
        (
            "limits: {small_lineage: 3, max_share_percent: 50, max_deletions: 5}\n",
            "limits: max_deletions 5, max_share_percent 50, small_lineage 3",
        ),
    ],
)
def test_limits_that_the_document_does_not_set_are_not_named(limits: str, line: str) -> None:
    assert line in check("-", text=RIGHT + limits).stdout.splitlines()


def test_a_lock_has_a_note_about_the_stacks() -> None:
    text = RIGHT + "        lock: {mode: governance, for: 14d}\n"
    assert "note: MaxLockDays of the stacks must allow the locks, of at most 14 d\n" in check("-", text=text).stdout
    assert "note" not in check("-").output


PAST = """\
    snapshots: {cron: "0 */4 * * ? 2020"}
drills:
  - name: weekly
    policies: [gold]
    in: us-east-2
    schedule: {cron: "0 4 ? * SUN 2020-2024"}
"""


def test_a_past_schedule_is_a_warning() -> None:
    checked = check("-", text=RIGHT + PAST)
    assert checked.exit_code == 0
    assert checked.stderr.splitlines() == [
        "<stdin>:9: warning: gold makes no snapshots: no moment of 0 */4 * * ? 2020 is still to come",
        "<stdin>:14: warning: weekly is never due: no moment of 0 4 ? * SUN 2020-2024 is still to come",
    ]


def test_the_summary_shows_that_copies_lack_the_volumes_tags() -> None:
    line = "        the copies do not get the volume's tags"
    assert line in check("-", text=RIGHT + "        carry_tags: false\n").stdout.splitlines()
    assert line not in check("-").stdout.splitlines()
