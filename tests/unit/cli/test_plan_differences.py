"""`snapkeep plan --diff`: all that another plan would change, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from snapkeep.domain.model import Volume
from support.lineages import REGION, snapshot
from support.volume_plans import DOCUMENT, SOURCES, World


def test_a_difference_has_volumes_copies_plans_and_adoptions(plan: Callable[..., Result], world: World, document: Path) -> None:
    world.volumes.append(Volume("vol-0b", REGION, 8, "gp3"))
    farther = DOCUMENT.replace("copies: [", "copies: [{region: eu-west-1, retention: {keep_last: 1}}, ")
    document.write_text(farther.replace("name: default", "name: gold"), encoding="utf-8")
    world.listings["eu-west-1"] = []
    world.stacks.add("eu-west-1")
    world.documents["eu-west-1"] = []
    result = plan("--policy", str(document), "--diff").output
    as_data = json.loads(plan("--policy", str(document), "--diff", "--json").stdout)["regions"][0]
    assert result.startswith("us-east-1  by policy.yaml, against stack parameters now\n")
    assert "  vol-0a  from default to gold: tag Backup=gold\n" in result
    assert "  vol-0b  from default to no policy: no policy matches\n" in result
    assert f"  of vol-0a\n  {SOURCES[3].id}  to eu-west-1 " in result
    assert max(map(len, result.splitlines())) <= 100
    assert [(volume["volume_id"], volume["after"]) for volume in as_data["volumes_moved"]] == [
        ("vol-0a", "gold"),
        ("vol-0b", None),
    ]
    assert {copy["region"] for copy in as_data["copies_more"]} == {"eu-west-1"}


def test_the_difference_of_adopt_is_the_adopted_snapshots(plan: Callable[..., Result], world: World) -> None:
    strange = snapshot("2025-11-24T03:00", 5, managed=False)
    world.listings[REGION].append(strange)
    result = plan("--adopt", "--diff", "--scope", "primary").output
    assert f"snapshots that would be adopted\n  of vol-0a\n  2025-11-24 03:00  {strange.id}\n" in result
    assert "1 snapshot would be adopted" in result


def test_a_difference_has_refused_plans(plan: Callable[..., Result], document: Path) -> None:
    document.write_text(DOCUMENT.replace("keep_last: 3", "keep_last: 1") + "limits: {max_deletions: 1}\n", encoding="utf-8")
    result = plan("--policy", str(document), "--diff", "--scope", "dr")
    assert result.exit_code == 1
    assert "plans that would be refused\n  vol-0a  INV-08: it would delete 2 snapshots of vol-0a; the limit is" in result.output
