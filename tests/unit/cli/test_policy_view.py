"""The lines that `snapkeep policy` prints of a document and of its changes."""

from datetime import timedelta

import pytest

from snapkeep.cli.views.policy import comparison_lines, retention_text, selector_text, summary_lines
from snapkeep.cli.views.policy_fields import field_changes
from snapkeep.domain.model import Lineage
from snapkeep.domain.policy.document import parse_document
from snapkeep.domain.policy.model import GroupWait, Retention, Selector
from snapkeep.domain.policy.problem import InvalidPolicy
from snapkeep.domain.retention.comparison import Comparison


@pytest.mark.parametrize(
    ("retention", "words"),
    [
        (Retention(), "everything"),
        (Retention(minimum=3), "everything"),
        (Retention(timezone="Europe/Berlin"), "everything"),
        (Retention(keep_last=2, minimum=3), "last 2, at least 3"),
        (Retention(keep_within=timedelta(days=3), timezone="Europe/Berlin"), "within 3d (days of Europe/Berlin)"),
    ],
)
def test_a_retention_without_a_rule_keeps_everything(retention: Retention, words: str) -> None:
    assert retention_text(retention) == words


def test_a_long_list_names_the_first_volumes() -> None:
    ids = tuple(f"vol-{number:017x}" for number in range(250))
    assert selector_text(Selector(volume_ids=ids)) == f"volume {' or '.join(ids[:5])} or one of 245 more"
    assert selector_text(Selector(volume_ids=ids[:6])) == f"volume {' or '.join(ids[:6])}"


def test_volumes_that_lose_their_policy_are_counted_apart() -> None:
    """A typing error in a tag must not hide among volumes that only change their policy."""
    moved = [("vol-0a", "gold", "silver"), ("vol-0b", "", "silver"), ("vol-0c", "gold", "")]
    comparison = Comparison(tuple((Lineage("us-east-1", volume), before, after) for volume, before, after in moved), (), (), ())
    lines = [line.strip() for line in comparison_lines("us-east-1", comparison)]
    assert lines[1:6] == [
        "2  volumes under another policy",
        "vol-0a from gold to silver",
        "vol-0b from none to silver",
        "1  volume no longer under a policy",
        "vol-0c from gold",
    ]


POLICIES = {"version": 1, "policies": [{"name": "all", "select": {}, "retention": {}}]}


def test_a_policys_tags_and_single_volumes_are_shown() -> None:
    gold = POLICIES["policies"][0] | {
        "snapshots": {"when": "rpo"},
        "consistent": "volume",
        "leave_alone": {"tags": {"OwnedBy": ["team-*", "ops"], "Keep": "*"}},
        "hold_tags": {"Protected": "true"},
        "carry_tags": {"except": ["team:*", "cost"]},
    }
    assert list(summary_lines(parse_document({**POLICIES, "policies": [gold]}), ()))[2:-1] == [
        "    make snapshots in time for the rpo, unless others make them",
        "        of each volume by itself",
        "    never delete snapshots with tag OwnedBy=team-* or ops or Keep=*",
        "    hold snapshots with tag Protected=true",
        "    of the volume's tags, snapshots and copies do not get team:*, cost",
    ]


SHOP = {"name": "shop", "instances": {"tags": {"App": "shop"}}, "order": ["db", "web*"], "wait": "running"}


def test_a_group_is_shown_and_its_changes_are_named() -> None:
    policies = parse_document({**POLICIES, "groups": [SHOP]})
    assert policies.groups[0].wait is GroupWait.RUNNING
    shown = "group shop: instances with tag App=shop, in the order db, web*; each stage waits until those before it run"
    assert shown in list(summary_lines(policies, ()))
    changed = field_changes(parse_document(POLICIES), policies)
    fields = ["groups.shop", "groups.shop.instances.tags.App", "groups.shop.order", "groups.shop.wait"]
    assert [change.field for change in changed] == fields


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([SHOP, SHOP], r"groups\[1\].name.*it is taken"),
        ([{**SHOP, "wait": "never"}], r"groups\[0\].wait.*checks, running"),
        ([{"name": "shop"}], r"groups\[0\].instances is missing.*App: shop"),
    ],
)
def test_a_wrong_group_names_its_place(groups: list[dict[str, object]], words: str) -> None:
    with pytest.raises(InvalidPolicy, match=words):
        parse_document({**POLICIES, "groups": groups})
