"""The definitions as graphs, and against the templates that deploy them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from support.asl import definition, definition_names, definition_text
from support.templates import FUNCTION, MACHINE, STACKS, resources

NAMES = definition_names()
HOW_ERRORS_ARE_TRIED_AGAIN = {"IntervalSeconds", "BackoffRate", "MaxDelaySeconds", "MaxAttempts", "JitterStrategy", "ErrorEquals"}
States = Mapping[str, Mapping[str, Any]]


def graphs(name: str) -> Iterator[tuple[str, States]]:
    """Return a definition and those inside its Maps, each as its first state and its states."""
    whole = definition(name)
    yield whole["StartAt"], whole["States"]
    for state in whole["States"].values():
        if "ItemProcessor" in state:
            yield state["ItemProcessor"]["StartAt"], state["ItemProcessor"]["States"]


def every_state(name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for _, states in graphs(name):
        yield from states.items()


def followers(state: Mapping[str, Any]) -> list[str]:
    """Return every state that may come after a state."""
    after = [state[field] for field in ("Next", "Default") if field in state]
    return after + [branch["Next"] for field in ("Choices", "Catch") for branch in state.get(field, [])]


def reachable(states: States, first: str) -> set[str]:
    seen: set[str] = set()
    ahead = [first]
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += [follower for follower in followers(states[name]) if follower in states]
    return seen


@pytest.mark.parametrize("name", NAMES)
def test_every_state_can_be_reached(name: str) -> None:
    for first, states in graphs(name):
        assert reachable(states, first) == set(states)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_leads_to_an_absent_state(name: str) -> None:
    for _, states in graphs(name):
        for state_name, state in states.items():
            assert [follower for follower in followers(state) if follower not in states] == [], state_name
            assert state["Type"] in ("Succeed", "Fail") or state.get("End") or followers(state), f"{state_name} leads nowhere"


@pytest.mark.parametrize("name", NAMES)
def test_every_choice_has_a_default(name: str) -> None:
    assert [one for one, state in every_state(name) if state["Type"] == "Choice" and "Default" not in state] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_task_is_tried_again_with_a_cap_and_jitter_and_caught(name: str) -> None:
    for task_name, task in every_state(name):
        if task["Type"] != "Task":
            continue
        assert task["Retry"], task_name
        for retrier in task["Retry"]:
            assert set(retrier) == HOW_ERRORS_ARE_TRIED_AGAIN, task_name
            assert retrier["JitterStrategy"] == "FULL"
            assert "States.ALL" not in retrier["ErrorEquals"], f"{task_name} would try again what cannot succeed"
        assert any(catcher["ErrorEquals"] == ["States.ALL"] for catcher in task["Catch"]), task_name


def test_a_failure_of_a_drill_leads_to_the_removal() -> None:
    """Its stories are in `test_drill_on_two_engines.py`: each failure ends in a notification and a run that failed."""
    states = definition("drill")["States"]
    caught = {state_name: [catcher["Next"] for catcher in state.get("Catch", [])] for state_name, state in states.items()}
    assert {state_name: after for state_name, after in caught.items() if after} == {
        "Drill": ["WaitForRemoval"],
        "MakeForDrill": ["Drill"],
        "Verify": ["Drill"],
        "RemoveAfterDrill": ["AfterRemoval"],
        "NotifyUser": ["WhatFailed"],
    }
    assert states["WaitForRemoval"]["Next"] == "RemoveAfterDrill"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "drill"])
def test_a_failure_is_notified_and_ends_in_failure(name: str) -> None:
    """Fault 9 of the original system: every Catch ended in a notification and a run that succeeded."""
    states = definition(name)["States"]
    # The steps that wait for the copies repeat EnqueueCopies for each, and report what fails.
    failing = [state for state_name, state in states.items() if state_name != "EnqueueCopies"]
    caught = {catcher["Next"] for state in failing for catcher in state.get("Catch", [])}
    # A sweep reports the cause of its failure; where it cannot, a notification does.
    assert caught == {"NotifyUser", "WhatFailed"} | ({"ReportFailure"} & set(states))
    assert all(set(followers(states[state])) == {"NotifyUser"} for state in caught if state == "ReportFailure")
    assert {catcher["Next"] for catcher in states["NotifyUser"]["Catch"]} == {"WhatFailed"}
    for state in caught:
        assert {states[end]["Type"] for end in reachable(states, state) if not followers(states[end])} == {"Fail"}


@pytest.mark.parametrize("name", NAMES)
def test_only_a_notified_run_ends_in_failure(name: str) -> None:
    states = definition(name)["States"]
    unnotified = {state_name: state for state_name, state in states.items() if state_name != "NotifyUser"}
    first = definition(name)["StartAt"]
    without_notification = {state_name: {**state, "Catch": []} for state_name, state in unnotified.items()}
    assert "Fail" not in {states[reached]["Type"] for reached in reachable(without_notification, first)}


def test_a_failed_copy_stops_neither_the_others_nor_retention() -> None:
    inside = definition("protect")["States"]["CopyToDR"]["ItemProcessor"]["States"]
    assert {state["Type"] for state in inside.values()} == {"Task", "Pass"}
    for caught in ("CopyLate", "CopyFailed"):
        assert {"status", "snapshot_id", "region", "error", "cause"} == {
            key.removesuffix(".$") for key in inside[caught]["Parameters"]
        }


@pytest.mark.parametrize("name", NAMES)
def test_every_function_gets_the_execution_and_answers_within_the_states_time(name: str) -> None:
    stack = {"protect": "primary", "receive": "dr", "sweep": "dr", "verify": "dr", "drill": "dr"}[name]
    functions = resources(stack, FUNCTION)
    for task_name, task in every_state(name):
        if task["Type"] != "Task":
            continue
        assert task["Parameters"]["Payload"]["execution.$"] == "$$.Execution.Id", task_name
        function = task["Parameters"]["FunctionName"].rpartition(":")[2]
        if "TimeoutSeconds" in task:
            assert task["TimeoutSeconds"] > functions[function]["Timeout"], task_name
        else:
            assert task["TimeoutSecondsPath"], task_name


@pytest.mark.parametrize(
    ("stack", "machine"),
    [
        ("primary", "Protect"),
        ("dr", "Receive"),
        ("primary", "Sweeping"),
        ("dr", "Sweeping"),
        ("dr", "Verifying"),
        ("dr", "Drilling"),
    ],
)
def test_the_template_fills_in_exactly_what_the_definition_leaves_open(stack: str, machine: str) -> None:
    properties = resources(stack, MACHINE)[machine]
    name = properties["DefinitionUri"].removeprefix("statemachines/").removesuffix(".asl.json")
    substitutions = properties["DefinitionSubstitutions"]
    assert set(re.findall(r"\$\{(\w+)\}", definition_text(name))) == set(substitutions)
    for placeholder, value in substitutions.items():
        if placeholder == "ShareWithVaultArn":  # without vaults it is not made, so that its ARN is written out
            assert value["Fn::Sub"].endswith(
                f":function:{resources(stack, FUNCTION)['ShareWithVault']['FunctionName']['Fn::Sub']}"
            )
        elif placeholder != "Partition":
            assert value == {"Fn::GetAtt": [placeholder.removesuffix("Arn"), "Arn"]}
            assert placeholder.removesuffix("Arn") in resources(stack, FUNCTION)


def test_every_definition_is_deployed() -> None:
    uris = {machine["DefinitionUri"] for stack in STACKS for machine in resources(stack, MACHINE).values()}
    assert sorted(uris) == [f"statemachines/{name}.asl.json" for name in NAMES]


def test_a_hanging_dr_region_is_retried_as_long_as_an_unreachable_one() -> None:
    """A function whose call gets no answer may be ended by its own time-out before its client gives up."""
    states = dict(every_state("protect"))
    by_error = {error: retrier for retrier in states["EnqueueCopies"]["Retry"] for error in retrier["ErrorEquals"]}
    assert by_error["Sandbox.Timedout"] == by_error["AwsUnavailable"]
    assert by_error["AwsUnavailable"]["MaxAttempts"] >= 100
