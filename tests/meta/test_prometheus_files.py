"""The alert rules and the dashboard name metrics and labels that `snapkeep status --prometheus` writes."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from snapkeep.cli.views.status_forms import status_as_prometheus
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.durations import parse_duration
from snapkeep.domain.protection import VolumeHealth
from support.sweeping_world import HOUR, SweepingWorld

PAGE = Path(__file__).parents[2] / "docs/operating/prometheus.md"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((PAGE.with_suffix("") / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARD = json.loads((PAGE.with_suffix("") / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = [*(rule["expr"] for rule in RULES), *QUERIES]
VALUES = {
    "snapkeep_volumes": {health.value for health in VolumeHealth},
    "snapkeep_copies": {state.value.lower() for state in EntryState},
}


@cache
def written() -> dict[str, set[str]]:
    """Return the labels of each metric of a system with a volume that has a copy."""
    world = SweepingWorld()
    world.snapshot(world.volume())
    world.later(HOUR)
    labels: dict[str, set[str]] = defaultdict(set)
    for name, inside in re.findall(r"^(snapkeep_\w+)\{(.*?)\} ", status_as_prometheus(world.status()), re.MULTILINE):
        labels[name] |= set(re.findall(r'(\w+)="', inside))
    return labels


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_metrics_and_labels_that_are_written(expression: str) -> None:
    known = written()
    names = re.findall(r"snapkeep_\w+", expression)
    assert names
    assert set(names) <= set(known)
    for name, inside in re.findall(r"(snapkeep_\w+)\{(.*?)\}", expression):
        for label, value in re.findall(r'(\w+)=~?"(.*?)"', inside):
            assert label in known[name], f"{name} has no label {label}"
            if label in ("health", "state"):
                assert set(value.split("|")) <= VALUES[name], f"{name} has no {label} {value}"
    for grouped in re.findall(r"(?:by|on) \((.*?)\)", expression):
        assert set(grouped.split(", ")) <= set().union(*(known[name] for name in names))
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    used = {name for expression in EXPRESSIONS for name in re.findall(r"snapkeep_\w+", expression)}
    assert set(written()) - used == {"snapkeep_dr_region_known"}  # `snapkeep_reachable` has the DR regions too


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_is_whole_and_on_the_page(rule: dict[str, Any]) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert parse_duration(rule["for"])
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert f"`{rule['alert']}`" in PAGE.read_text()
    shown = re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values()))
    assert set(shown) <= set().union(*(written()[name] for name in re.findall(r"snapkeep_\w+", rule["expr"])))


def test_missing_data_fire_alerts_of_their_own() -> None:
    expressions = {rule["alert"]: rule["expr"] for rule in RULES}
    assert expressions["SnapkeepNoData"] == "absent(snapkeep_healthy)"
    assert "unless" in expressions["SnapkeepSystemGone"]
    assert "snapkeep_read_timestamp_seconds" in expressions["SnapkeepDataOld"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_shows_missing_data(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["noValue"] == "no data"
    assert panel["type"] == "stat" or defaults["custom"]["spanNulls"] is False
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    cells = [
        (x, y)
        for panel in PANELS
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
