"""What `snapkeep policy check` says of a document in few words."""

from datetime import timedelta

import pytest

from snapkeep.cli.policy_view import retention_text, selector_text
from snapkeep.domain.policy import Retention, Selector


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
def test_a_retention_without_a_rule_is_said_to_keep_everything(retention: Retention, words: str) -> None:
    assert retention_text(retention) == words


def test_of_many_volumes_the_first_few_are_named() -> None:
    ids = tuple(f"vol-{number:017x}" for number in range(250))
    assert selector_text(Selector(volume_ids=ids)) == f"volume {' or '.join(ids[:5])} or one of 245 more"
    assert selector_text(Selector(volume_ids=ids[:6])) == f"volume {' or '.join(ids[:6])}"
