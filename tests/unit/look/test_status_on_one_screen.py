"""`snapkeep status` on one screen: one sentence first, causes once, names before ids, styles that can be read everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.color import Color, ColorTriplet
from rich.style import Style

from snapkeep.cli.common import Grouping
from snapkeep.cli.output import BAD, GOOD, QUIET, STRONG, WARN
from snapkeep.cli.views.status import recovery_sentence
from snapkeep.cli.views.status_lines import MARKS, StatusLayout, volume_blocks
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Snapshot, Volume
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector
from snapkeep.domain.protection import VolumeHealth
from snapkeep.usecases.look.status import EVERY_VOLUME, Destination, SystemStatus, VolumeFilter, gather_status
from support.lineages import REGION, SYSTEM, copy_of, snapshot
from support.printed_status import printed

NOW, DR = datetime(2026, 11, 23, 12, tzinfo=UTC), "us-east-2"
DAY = timedelta(days=1)
GOLD = Policy("gold", Selector(tags={"Backup": ("gold",)}), Retention(), (CopyRule(DR),), rpo=DAY)
CAUSE = "KMS key arn:aws:kms:us-east-2:123456789012:key/1234abcd is disabled"


def region_of(name: str, volumes: Sequence[Volume] = (), snapshots: Sequence[Snapshot] = ()) -> Any:
    return SimpleNamespace(region=name, all_volumes=lambda: iter(volumes), all_snapshots=lambda: iter(snapshots))


def system_of(volumes: int, *, chosen: VolumeFilter = EVERY_VOLUME, problem: str = "") -> SystemStatus:
    """Volumes without a snapshot (0, 5, …), late since they have none now (1, 6, …), and without a policy (14, 29, …).

    The copies of 3, 8, … failed.
    """
    listed, sources, copies, entries = [], [], [], []
    for number in range(volumes):
        tags = {"Name": f"database of the shop, disk {number:04}", "Stage": "prod" if number % 2 else "test"}
        tags |= {} if number % 15 == 14 else {"Backup": "gold"}
        volume = Volume(f"vol-{number:017x}", REGION, 8, "gp3", tags=tags, instance_ids=(f"i-{number // 4:017x}",))
        listed.append(volume)
        if number % 5:
            made = snapshot(NOW - (3 * DAY if number % 5 == 1 else DAY / 2), number, volume=volume.id)
            sources.append(made)
            former = replace(made, origin=replace(made.origin, start_time=NOW - 4 * DAY))
            failed = number % 5 == 3
            copies.append(replace(copy_of(former if failed else made, DR, number), tags=copy_of(made, DR, number).tags | tags))
            if failed:
                request = CopyRequest(made.origin, "gold", DR, "", NOW, 8, encrypted=False)
                entries.append(QueueEntry(request, EntryState.FAILED, NOW, NOW, attempts=3, cause=CAUSE))
    queue: Any = SimpleNamespace(region=DR, in_state=lambda state: [entry for entry in entries if entry.state is state])
    destination = Destination(reader=region_of(DR, (), copies), queue=queue)
    primary = region_of(REGION, listed, sources)
    return gather_status(primary, [destination], PolicySet((GOLD,)), NOW, system=SYSTEM, chosen=chosen, problem=problem)


@pytest.fixture(scope="module")
def fleet() -> SystemStatus:
    return system_of(1500)


def test_the_first_line_shows_the_recoverable_volumes(fleet: SystemStatus) -> None:
    assert recovery_sentence(fleet) == (
        "1,100 of 1,400 volumes can be recovered in us-east-2, to 2026-11-19 12:00 UTC or later (500 within the RPO); 300 cannot."
    )
    assert printed(fleet, StatusLayout(width=300))[0].endswith(recovery_sentence(fleet))


@pytest.mark.parametrize(
    ("volumes", "problem", "sentence"),
    [
        (0, "", "No policy governs a volume."),
        (0, "away", f"No volume is known; volumes without a copy are not known while {REGION} is unreachable."),
        (1, "", "None of 1 volume can be recovered; 1 cannot."),
    ],
)
def test_the_sentence_claims_nothing_without_data(volumes: int, problem: str, sentence: str) -> None:
    assert recovery_sentence(system_of(volumes, problem=problem)) == sentence


def test_first_copies_under_way_are_no_tick_before_none_can_be_recovered() -> None:
    volume = Volume("vol-0", REGION, 8, "gp3", tags={"Backup": "gold"})
    primary = region_of(REGION, [volume], [snapshot(NOW - timedelta(minutes=1), 0, volume=volume.id)])
    queue: Any = SimpleNamespace(region=DR, in_state=lambda _: [])
    destination = Destination(reader=region_of(DR), queue=queue)
    status = gather_status(primary, [destination], PolicySet((GOLD,)), NOW, system=SYSTEM, chosen=EVERY_VOLUME)
    assert status.healthy
    assert printed(status, StatusLayout(width=300))[0] == "… None of 1 volume can be recovered; 1 cannot."


def test_an_unreadable_primary_region_leaves_the_copies_to_recover_from() -> None:
    status = system_of(15, problem=f"{REGION} could not be read")
    assert recovery_sentence(status) == (
        "All 12 volumes can be recovered in us-east-2, to 2026-11-19 12:00 UTC or later (6 within the RPO);"
        f" volumes without a copy are not known while {REGION} is unreachable."
    )
    text = " ".join(printed(status, StatusLayout(width=80, height=40)))
    assert "database of the s" in text
    assert f"the snapshots in {REGION} are not known" in text
    assert not status.healthy


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("height", [24, 49])
def test_1500_volumes_fit_one_screen_the_worst_first(fleet: SystemStatus, width: int, height: int) -> None:
    lines = printed(fleet, StatusLayout(width=width, height=height))
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    titles = [line for line in lines if line.startswith(("✗", "✓", "·"))][1:]
    assert [title.partition(":")[0] for title in titles[:3]] == [
        "✗ 300 volumes, no snapshot",
        "✗ 300 volumes, late",
        "✗ 300 volumes, late",
    ]
    assert lines[-1].startswith("policy gold: 1,400 volumes, RPO age worst")
    assert any(line.startswith("us-east-2  ") for line in lines), "the queue's figures are cut"


def test_a_sentence_and_a_title_wrap_under_their_text(fleet: SystemStatus) -> None:
    lines = printed(fleet, StatusLayout(width=80))
    assert lines[1].startswith("  or later (")
    begin = next(number for number, line in enumerate(lines) if line.startswith("✗ 300 volumes, late: copy"))
    assert lines[begin + 1].strip() == lines[begin + 1][2:] == "most 4 d"


def test_one_cause_is_printed_once(fleet: SystemStatus) -> None:
    lines = printed(fleet, StatusLayout(width=120))
    assert sum(CAUSE in line for line in lines) == 1
    assert sum("no snapshot within the RPO" in line for line in lines) == 1


def test_a_name_precedes_its_id_and_is_cut_with_an_ellipsis(fleet: SystemStatus) -> None:
    name = fleet.volumes[0].volume.tags["Name"]
    (narrow,) = [line for line in printed(fleet, StatusLayout(width=80)) if fleet.volumes[0].volume.id in line]
    assert f"  ✗ {name[:15]}" in narrow
    assert "…  vol-" in narrow
    (wide,) = [line for line in printed(fleet, StatusLayout(width=120)) if fleet.volumes[0].volume.id in line]
    assert f"  ✗ {name} " in wide


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        (VolumeFilter(names=("vol-00000000000000001", "*disk 0002")), 2),
        (VolumeFilter(instance_ids=("i-00000000000000001",)), 4),
        (VolumeFilter(tags={"Stage": "pro?"}), 30),
        (VolumeFilter(tags={"Stage": "prod", "Backup": "gold"}), 28),
        (VolumeFilter(policies=("gold",)), 56),
        (VolumeFilter(healths=(VolumeHealth.NO_SNAPSHOT, VolumeHealth.NO_POLICY)), 16),
        (VolumeFilter(tags={"Stage": "prod"}, healths=(VolumeHealth.NO_SNAPSHOT,)), 6),
        (VolumeFilter(names=("nothing",)), 0),
    ],
)
def test_a_filter_leaves_the_volumes_that_match_every_part(chosen: VolumeFilter, count: int) -> None:
    status = system_of(60, chosen=chosen)
    lineages = {volume.lineage for volume in status.volumes}
    assert len(lineages) == status.totals[cast("Any", "volumes")] == count
    assert {row.lineage for row in status.queue} <= lineages


def test_volumes_are_grouped_by_their_instance() -> None:
    lines = printed(system_of(8), StatusLayout(width=80, grouping=Grouping.INSTANCE))
    first = lines.index("✗ i-00000000000000000: 4 volumes, 3 need attention")
    assert all("disk 000" in line or "vol-" in line for line in lines[first + 1 : first + 5])
    assert "✗ i-00000000000000001: 4 volumes, 2 need attention" in lines


def test_details_show_all_that_is_known_of_a_volume() -> None:
    status = system_of(60, chosen=VolumeFilter(names=("*disk 0003",)))
    text = "\n".join(printed(status, StatusLayout(width=200, details=True)))
    (volume,) = status.volumes
    for part in (
        f"its copy in {DR} is behind its newest snapshot",
        "policy gold (tag Backup=gold), RPO age 4 d, RPO 1 d",
        f"newest snapshot in {REGION}: {volume.snapshot.id}, of 2026-11-23 00:00 UTC, 12 h old",
        f"newest copy in {DR}: {volume.copies[0].id}, of 2026-11-19 12:00 UTC, 4 d old",
        "8 GiB, on i-00000000000000000; 1 managed snapshot, 0 pending, 0 failed",
        f"queue: {volume.snapshot.id} to {DR}, failed, 3 attempts",
    ):
        assert part in text


def contrast(one: ColorTriplet, other: ColorTriplet) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2)."""

    def luminance(colour: ColorTriplet) -> float:
        parts = [part / 255 for part in colour]
        red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("style", [GOOD, WARN, BAD, QUIET, STRONG, *(style for _, style in MARKS.values())])
def test_styles_can_be_read_on_white_and_on_black(style: str) -> None:
    colour = Style.parse(style).color
    if colour is not None:
        assert colour.type is Color.parse("color(100)").type, "the 16 colours are what the terminal makes of them"
        assert all(contrast(colour.get_truecolor(), ColorTriplet(*[ground] * 3)) > 3.5 for ground in (0, 255))


def test_a_name_has_no_colour_of_its_mark() -> None:
    (block,) = [block for block in volume_blocks(system_of(1), StatusLayout(width=80)) if block.members]
    (line,) = block.members[0]
    assert [line.plain[span.start : span.end] for span in line.spans if span.style == BAD] == ["✗ "]


def test_every_health_has_a_mark() -> None:
    assert set(MARKS) == set(VolumeHealth)
