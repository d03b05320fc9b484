"""`snapkeep rename` refuses while the former system is deployed, or where its policy document would be lost; `deploy` refuses problems."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from typer.testing import CliRunner

from snapkeep.adapters.regional import RegionalAdapters
from snapkeep.cli.commands import rename as command
from snapkeep.cli.commands.deploy import AccountNotReady, _refuse_problems
from snapkeep.cli.errors import WrongUse
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.deploy.changes import FORMER_SYSTEM, ParameterChange, ResourceChange, Risk
from snapkeep.deploy.doctor.results import Check, CheckResult, CheckState
from snapkeep.domain.retention.placed_holds import PlacedHolds
from support.installed_stacks import Settings
from support.placing import hold
from support.silent_watcher import Notes

PRIMARY, DR = "us-east-1", "us-east-2"


class Functions:
    """Lambda with one function."""

    def __init__(self, system: str) -> None:
        self.system = system

    def list_functions(self) -> dict[str, Any]:
        variables = {"SNAPKEEP_NAME": self.system}
        return {"Functions": [{"FunctionName": "Sweep", "Environment": {"Variables": variables}}]}


@dataclass(frozen=True)
class WithFunctions(Settings):
    """Settings whose Lambda has a function of a system in one region."""

    systems: dict[str, str] = field(default_factory=dict)

    def client(self, service: Any, region: str) -> Any:
        return Functions(self.systems.get(region, "snapkeep-new"))


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_system_that_still_has_functions_is_refused(region: str) -> None:
    settings = WithFunctions(PRIMARY, DR, suffix="-new", systems={region: "snapkeep"})
    with pytest.raises(WrongUse, match=rf"system snapkeep is still deployed in {region} \(Sweep\).*destroy"):
        command._refuse_deployed(settings, "snapkeep", [PRIMARY, DR])
    command._refuse_deployed(settings, "snapkeep-gone", [PRIMARY, DR])


@pytest.mark.parametrize(("former", "own", "refused"), [(True, False, True), (True, True, False), (False, False, False)])
def test_a_document_that_would_be_lost_is_refused(
    monkeypatch: pytest.MonkeyPatch, *, former: bool, own: bool, refused: bool
) -> None:
    documents = iter((former, own))
    monkeypatch.setattr(command, "_has_document", lambda _store: next(documents))
    before, after = (InstalledSystem(Settings(PRIMARY, DR, suffix=suffix)) for suffix in ("", "-new"))
    if not refused:
        command._refuse_lost_document(before, after, "snapkeep")
        return
    with pytest.raises(WrongUse, match=r"policy push policy\.yaml --name '-new'"):
        command._refuse_lost_document(before, after, "snapkeep")


@pytest.mark.parametrize(
    ("placed", "words"),
    [
        (PlacedHolds((hold(),)), r"hold-1 of everything.*--name '-new'"),
        (PlacedHolds(unread={DR: "no answer"}), "not known: no answer"),
    ],
)
def test_holds_that_the_new_system_does_not_know_are_refused(
    monkeypatch: pytest.MonkeyPatch, placed: PlacedHolds, words: str
) -> None:
    before = InstalledSystem(Settings(PRIMARY, DR))
    command._refuse_lost_holds(before, "snapkeep-new", [PRIMARY, DR])
    monkeypatch.setattr(RegionalAdapters, "placed_holds", lambda *_: placed)
    with pytest.raises(WrongUse, match=words):
        command._refuse_lost_holds(before, "snapkeep-new", [PRIMARY, DR])


def test_regions_that_the_former_system_copied_to_are_examined_too() -> None:
    copies = [{"region": region, "retention": {"keep_last": 1}} for region in (DR, "eu-west-1")]
    document = {"version": 1, "policies": [{"name": "gold", "select": {}, "retention": {"keep_last": 3}, "copies": copies}]}
    before = InstalledSystem(Settings(PRIMARY, DR, documents={PRIMARY: json.dumps(document)}))
    assert command._regions_of(before, [PRIMARY, DR]) == [PRIMARY, DR, "eu-west-1"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("snapkeep", "snapkeep"), "snapkeep is both OLD and NEW"),
        (("other", "snapkeep2"), "other is not the name of a system"),
        (("snapkeep", "two"), "two is not the name of a system"),
    ],
)
def test_names_that_are_none_of_systems_are_refused(names: tuple[str, str], said: str) -> None:
    result = CliRunner().invoke(command.app, [*names, "--region", PRIMARY])
    assert isinstance(result.exception, WrongUse)
    assert str(result.exception).startswith(said)


def test_the_consent_to_a_rename_covers_no_other_change() -> None:
    named = ParameterChange("snapkeep2-dr", DR, FORMER_SYSTEM, "", "snapkeep", Risk.DELETES_SNAPSHOTS, "deletes some")
    table = ResourceChange(DR, "Modify", "Queue", "AWS::DynamoDB::Table", "True")
    assert command._may_change([named], Notes(), yes=False, json=False)
    assert not command._may_change([named, table], Notes(), yes=False, json=True)
    assert command._may_change([named, table], Notes(), yes=True, json=True)


def test_a_deployment_shows_warnings_and_refuses_problems() -> None:
    warning = CheckResult(Check.TRAIL, CheckState.WARNING, DR, "no trail", "create one")
    unknown = CheckResult(Check.COPY_QUOTA, CheckState.NOT_KNOWN, DR, "AccessDenied")
    problem = CheckResult(Check.NAMES, CheckState.PROBLEM, DR, "function Digest exists", "use --name")
    notes = Notes()
    _refuse_problems([warning, unknown], notes)
    assert notes.notes == [
        f"{DR}: CloudTrail: no trail → create one",
        f"not known: copies at once in {DR}; `snapkeep doctor` says why",
    ]
    with pytest.raises(AccountNotReady, match=rf"^nothing was changed\. {DR}: .*function Digest exists → use --name"):
        _refuse_problems([problem, warning], notes)
