"""A simulation's page: the charts of one policy and of two, and names as text."""

from __future__ import annotations

import io
import re

import plotly.graph_objects as go
import pytest
from rich.console import Console

from snapkeep.lab.simulator import page
from snapkeep.lab.simulator.experiment import ExperimentResult
from snapkeep.lab.simulator.fleet import SimulatedVolume
from snapkeep.lab.simulator.page import render
from snapkeep.lab.simulator.terminal import print_results
from support.simulation import FAR, NEAR, PRIMARY, policy, run


def drawn(monkeypatch: pytest.MonkeyPatch, *results: ExperimentResult) -> dict[str, list[str]]:
    """Return the names of each chart's traces, from the first words of their hover texts."""
    figures: list[go.Figure] = []
    monkeypatch.setattr(page, "_html", lambda figure: figures.append(figure) or "")
    render(results)
    names = ("snapshots", "room", "costs", "ages", "waiting")
    return {
        name: [re.sub(r": \$?%\{y.*", "", trace.hovertemplate) for trace in figure.data]
        for name, figure in zip(names, figures, strict=False)
    }


def test_each_region_has_one_colour_in_charts_of_two_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    results = run(policy(FAR), name="west"), run(policy(NEAR), name="east")
    traces = drawn(monkeypatch, *results)
    assert traces["snapshots"] == [f"west: {PRIMARY}", f"west: {FAR}", f"east: {PRIMARY}", f"east: {NEAR}"]
    assert f"east: transfer to {NEAR}" in traces["costs"]
    shown = render(results)
    legend = re.findall(r'<i class="(\w+)" style="color: (#\w+)"></i>([^<]+)', shown)
    assert {name for _, _, name in legend} >= {PRIMARY, FAR, NEAR, f"transfer to {NEAR}", "west", "east"}
    colours = [colour for form, colour, name in legend if form == "solid" and name in {PRIMARY, FAR, NEAR}]
    assert len(set(colours)) == 3


def test_every_part_of_the_cost_is_drawn_however_many_regions_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = (NEAR, FAR, "us-west-2", "ap-southeast-2")
    parts = drawn(monkeypatch, run(policy(*regions), days=2))["costs"]
    assert parts == [
        *sorted(f"snapshots in {region}" for region in (PRIMARY, *regions)),
        *sorted(f"transfer to {region}" for region in regions),
        "state transitions, functions, verification",
    ]


def test_a_few_days_are_no_month_and_small_numbers_keep_their_digits() -> None:
    few, many = run(policy(NEAR), SimulatedVolume(8, used_share=0.5)), run(policy(NEAR), days=30)
    assert "a month, on average" not in render([few])
    assert ">8 GiB<" in render([few])
    assert re.search(r"<b>\$0\.\d\d</b><span>for 4 days", render([few]))
    assert "a month, on average" in render([many])


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "</script><b>", "a [red] one", "%{x}"])
def test_a_name_is_text_wherever_it_stands(name: str) -> None:
    results = run(policy(NEAR), name=name), run(policy(NEAR), name="other")
    shown = render(results)
    beside_plotly = shown.replace(page.get_plotlyjs(), "")
    assert "<img" not in beside_plotly
    assert "<b>," not in beside_plotly
    assert beside_plotly.count("</script>") == beside_plotly.count("<script")
    out = io.StringIO()
    print_results(results, Console(file=out, width=120))
    assert out.getvalue().count(name) == 2
