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
