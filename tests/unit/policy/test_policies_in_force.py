"""The document in force: fresh within a minute, never the end of protection, and changed without surprises."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.errors import AwsUnavailable, DocumentAbsent, InvalidConfiguration
from snapkeep.domain.policy.model import GoneRetention, Limits, PolicySet, Retention
from snapkeep.domain.policy.parameters import from_parameters
from snapkeep.domain.policy.problem import InvalidPolicy
from snapkeep.usecases.policies import (
    ADVANCED_BYTES,
    NOTHING,
    STANDARD_BYTES,
    PoliciesInForce,
    StoredDocument,
    history,
    in_force,
    keep_everything,
    push,
    regions_known,
    stored_text,
    version_to_restore,
)
from snapkeep.usecases.ports import Notice

START = datetime(2026, 11, 23, 3, tzinfo=UTC)
LIMITS = Limits(max_deletions=33)
PARAMETERS = from_parameters("none", "us-east-2", 7, 1, "", 24, LIMITS, region="us-east-1")


def text(keep: int, name: str = "gold") -> str:
    return stored_text({"version": 1, "policies": [{"name": name, "select": {}, "retention": {"keep_last": keep}}]})


@dataclass
class Shelf:
    """A store in memory."""

    region: str = "us-east-1"
    texts: list[str] = field(default_factory=list)
    advanced: list[bool] = field(default_factory=list)
    reads: int = 0
    down: bool = False

    def current(self) -> StoredDocument:
        self.reads += 1
        if self.down:
            raise AwsUnavailable("ssm does not answer")
        if not self.texts or self.history()[0].is_empty:
            raise DocumentAbsent
        return self.history()[0]

    def history(self) -> list[StoredDocument]:
        return [StoredDocument(number, document, START) for number, document in reversed(list(enumerate(self.texts, start=1)))]

    def put(self, stored: str, *, advanced: bool) -> int:
        self.texts.append(stored)
        self.advanced.append(advanced)
        return len(self.texts)

    def remove(self) -> None:
        self.texts.append(NOTHING)


@dataclass
class Hand:
    """A clock that stands until it is moved."""

    moment: datetime = START

    def now(self) -> datetime:
        return self.moment


@dataclass
class RecordedNotices:
    """Notices that were added."""

    notices: list[Notice] = field(default_factory=list)
    down: bool = False

    def add(self, notice: Notice) -> None:
        if self.down:
            raise AwsUnavailable("sqs does not answer")
        self.notices.append(notice)


def reading(shelf: Shelf) -> tuple[PoliciesInForce, Hand, RecordedNotices]:
    clock, sent = Hand(), RecordedNotices()
    return PoliciesInForce(store=shelf, parameters=PARAMETERS, clock=clock, notices=sent), clock, sent


def kept(policies: PolicySet) -> int:
    return policies.policies[0].retention.keep_last


def test_without_a_document_the_parameters_are_the_policy() -> None:
    policies, _, sent = reading(Shelf())
    assert policies() == PARAMETERS
    assert sent.notices == []


def test_a_new_document_is_in_force_within_a_minute() -> None:
    shelf = Shelf(texts=[text(3)])
    policies, clock, _ = reading(shelf)
    assert kept(policies()) == 3
    shelf.texts.append(text(5))
    clock.moment += timedelta(seconds=59)
    assert kept(policies()) == 3
    assert shelf.reads == 1
    clock.moment += timedelta(seconds=1)
    assert kept(policies()) == 5
    assert policies().source.label == "document, version 2"


def test_a_later_version_in_a_request_is_read_at_once() -> None:
    shelf = Shelf(texts=[text(3)])
    policies, _, _ = reading(shelf)
    policies.expect(1)
    assert kept(policies()) == 3
    shelf.texts.append(text(5))
    policies.expect(1)
    assert (kept(policies()), shelf.reads) == (3, 1)
    policies.expect(2)
    assert (kept(policies()), shelf.reads) == (5, 2)


def test_the_parameters_are_in_force_once_the_document_is_removed() -> None:
    shelf = Shelf(texts=[text(3)])
    policies, clock, _ = reading(shelf)
    assert kept(policies()) == 3
    shelf.remove()
    clock.moment += timedelta(seconds=60)
    assert policies() == PARAMETERS


def test_a_clock_set_back_keeps_no_old_document_in_force() -> None:
    shelf = Shelf(texts=[text(3)])
    policies, clock, _ = reading(shelf)
    assert kept(policies()) == 3
    shelf.texts.append(text(5))
    clock.moment -= timedelta(days=1)
    assert kept(policies()) == 5


def test_a_stored_document_with_a_duplicate_key_is_not_used() -> None:
    shelf = Shelf(texts=[text(3), text(9).replace('"keep_last":9', '"keep_last":9,"keep_last":1')])
    policies, _, sent = reading(shelf)
    assert kept(policies()) == 3
    assert "an object has a key twice" in sent.notices[0].detail


def test_limits_that_the_document_leaves_out_are_the_parameters() -> None:
    policies, _, _ = reading(Shelf(texts=[text(3)]))
    assert policies().limits == LIMITS


BROKEN = [
    "not json",
    "[]",
    '{"version":1,"policies":[]}',
    '{"version":1,"version":1,"policies":[]}',
    "[" * ADVANCED_BYTES,
    '{"version":' + "[" * 4000 + "]" * 4000 + "}",
    '{"version":' * 700 + "1" + "}" * 700,
    text(3).replace("}]}", ',"copies":[{"region":"us-east-1","retention":{}}]}]}'),  # the primary's own region
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda text: text[:30])
def test_a_broken_document_leaves_the_last_good_one_in_force(broken: str) -> None:
    shelf = Shelf(texts=[text(3), "also broken", text(4), broken])
    policies, clock, sent = reading(shelf)
    assert kept(policies()) == 4
    clock.moment += timedelta(minutes=2)
    assert kept(policies()) == 4
    assert [notice.subject for notice in sent.notices] == ["policy document, version 4"]
    assert "in force is: document, version 3" in sent.notices[0].cause


def test_a_notice_about_a_broken_document_is_sent_later_when_sending_fails() -> None:
    policies, _, sent = reading(Shelf(texts=[text(3), "broken"]))
    sent.down = True
    assert kept(policies()) == 3
    sent.down = False
    assert kept(policies()) == 3
    assert [notice.subject for notice in sent.notices] == ["policy document, version 2"]


def test_without_a_good_document_copies_continue_and_nothing_is_deleted() -> None:
    policies, _, sent = reading(Shelf(texts=["broken"]))
    made = policies()
    assert [policy.name for policy in made.policies] == ["default"]
    assert made.policies[0].retention == Retention()
    assert [(rule.region, rule.retention) for rule in made.policies[0].copies] == [("us-east-2", Retention())]
    assert len(sent.notices) == 1


def test_an_unreachable_store_leaves_the_last_policies_in_force() -> None:
    shelf = Shelf(texts=[text(3)])
    policies, clock, _ = reading(shelf)
    assert kept(policies()) == 3
    shelf.down = True
    clock.moment += timedelta(hours=1)
    assert kept(policies()) == 3


def test_a_store_that_never_answered_is_an_error_to_try_again() -> None:
    policies, _, _ = reading(Shelf(down=True))
    with pytest.raises(AwsUnavailable):
        policies()


def test_a_push_reaches_every_region_and_a_second_changes_nothing() -> None:
    dr, primary = Shelf("us-east-2"), Shelf("us-east-1", texts=[text(3)])
    first = push([dr, primary], text(5))
    assert [(result.region, result.version, result.overtaken, result.unchanged) for result in first] == [
        ("us-east-2", 1, False, False),
        ("us-east-1", 2, False, False),
    ]
    assert all(result.unchanged for result in push([dr, primary], text(5)))
    assert dr.texts == [text(5)]


def test_a_push_reports_that_another_one_overtook_it() -> None:
    class Busy(Shelf):
        def put(self, stored: str, *, advanced: bool) -> int:
            self.texts.append(text(9))
            return super().put(stored, advanced=advanced)

    assert push([Busy(texts=[text(3)])], text(5))[0].overtaken


def test_a_document_beyond_four_kilobytes_uses_the_advanced_tier() -> None:
    def big(count: int) -> str:
        ids = [f"vol-{number:017x}" for number in range(count)]
        policy = {"name": "a", "select": {"volume_ids": ids}, "retention": {"keep_last": 1}}
        return stored_text({"version": 1, "policies": [policy]})

    shelf = Shelf()
    push([shelf], big(100))
    push([shelf], big(200))
    assert shelf.advanced == [False, True]
    with pytest.raises(InvalidConfiguration, match=str(ADVANCED_BYTES)):
        big(400)


def test_text_that_ssm_would_expand_is_stored_escaped() -> None:
    """PutParameter refuses a value with `{{…}}` in it (ssm 2014-11-06)."""
    document = {"version": 1, "policies": [{"name": "a", "select": {"tags": {"Owner": "{{{team}}}"}}, "retention": {}}]}
    kept_text = stored_text(document)
    assert "{{" not in kept_text
    assert json.loads(kept_text) == document


def test_a_rollback_finds_the_newest_usable_different_version() -> None:
    shelf = Shelf(texts=[text(3), text(4), "broken", text(5), text(5)])
    assert version_to_restore(shelf, PARAMETERS).stored.version == 2
    assert version_to_restore(shelf, PARAMETERS, 1).stored.text == text(3)
    with pytest.raises(InvalidConfiguration, match="no version 9 of the policy document; there are: 5, 4, 3, 2, 1"):
        version_to_restore(shelf, PARAMETERS, 9)
    with pytest.raises(InvalidPolicy):
        version_to_restore(shelf, PARAMETERS, 3)
    with pytest.raises(InvalidConfiguration, match="no usable version before"):
        version_to_restore(Shelf(texts=[text(3)]), PARAMETERS)
    with pytest.raises(InvalidConfiguration, match="no policy document has been pushed"):
        version_to_restore(Shelf(texts=[]), PARAMETERS)


def test_a_removed_document_does_not_replace_a_later_broken_one() -> None:
    policies, _, sent = reading(Shelf(texts=[text(3), NOTHING, "broken"]))
    made = policies()
    assert (made.policies, made.source.label) == (PARAMETERS.policies, "stack parameters")
    assert "in force is: stack parameters" in sent.notices[0].cause


def test_rolling_back_passes_over_versions_that_say_nothing() -> None:
    shelf = Shelf(texts=[text(3), NOTHING])
    assert version_to_restore(shelf, PARAMETERS).stored.version == 1
    shelf.texts += [text(4), NOTHING, text(5)]
    assert version_to_restore(shelf, PARAMETERS).stored.version == 3
    with pytest.raises(InvalidConfiguration, match="version 4 is empty: `policy remove` puts"):
        version_to_restore(shelf, PARAMETERS, 4)
    with pytest.raises(InvalidConfiguration, match="no usable version before"):
        version_to_restore(Shelf(texts=[NOTHING, text(5)]), PARAMETERS)


def test_a_rolled_back_document_has_the_limits_of_the_stack() -> None:
    shelf = Shelf(texts=[text(3), text(4)])
    assert version_to_restore(shelf, PARAMETERS).policies.limits == LIMITS
    assert version_to_restore(shelf, PARAMETERS, 1).policies.limits == LIMITS
    assert [version.policies.limits for version in history(shelf, PARAMETERS) if version.policies] == [LIMITS, LIMITS]


def test_the_history_tells_which_versions_can_be_used() -> None:
    shown = history(Shelf(texts=[text(3), "broken"]), PARAMETERS)
    assert [(version.stored.version, version.policies is not None, len(version.problems)) for version in shown] == [
        (2, False, 1),
        (1, True, 0),
    ]


@pytest.mark.parametrize(
    ("texts", "version"),
    [
        ([text(3), text(4)], 2),
        ([text(3), text(4), "broken"], 2),
        ([text(3), NOTHING], 2),
        ([text(3), NOTHING, "broken"], 2),
        ([NOTHING, "broken", "broken"], 1),
    ],
)
def test_the_history_marks_the_one_version_that_is_in_force(texts: list[str], version: int) -> None:
    assert [shown.stored.version for shown in history(Shelf(texts=texts), PARAMETERS) if shown.in_force] == [version]


def test_keeping_everything_includes_the_snapshots_of_deleted_volumes() -> None:
    [policy] = PARAMETERS.policies
    kept = keep_everything(replace(PARAMETERS, policies=(replace(policy, gone=GoneRetention(keep_last=1)),)))
    assert kept.policies[0].retention_of(kept.policies[0].retention, gone=True) == Retention()


def test_unusable_versions_are_never_in_force() -> None:
    assert not any(shown.in_force for shown in history(Shelf(texts=["broken"]), PARAMETERS))


def test_the_last_good_document_is_shown_with_the_problem() -> None:
    assert in_force(Shelf(), PARAMETERS) == PARAMETERS
    shown = in_force(Shelf(texts=[text(3), "broken"]), PARAMETERS)
    assert (kept(shown), shown.source.label) == (3, "document, version 1")
    assert shown.problem.startswith("version 2 of the policy document in us-east-1 cannot be used (1 error, first: document is")
    assert shown.problem.endswith("in force is: document, version 1")


def test_functions_and_commands_read_the_same_document() -> None:
    shelf = Shelf(texts=[text(3), "broken"])
    policies, _, _ = reading(shelf)
    assert policies() == in_force(shelf, PARAMETERS)


def test_a_shown_document_has_the_limits_of_the_stack_too() -> None:
    assert in_force(Shelf(texts=[text(3)]), PARAMETERS).limits == LIMITS


def test_regions_of_parameters_and_usable_versions_are_known() -> None:
    copies = [{"region": "eu-west-1", "retention": {}}]
    copying = stored_text({"version": 1, "policies": [{"name": "gold", "select": {}, "retention": {}, "copies": copies}]})
    assert regions_known(Shelf(texts=[copying, text(3), "{"]), PARAMETERS) == {"us-east-2", "eu-west-1"}


@pytest.mark.parametrize("earlier", [[], ["{}"], [text(3)]], ids=["first", "after a removal", "after another"])
@pytest.mark.parametrize(("size", "advanced"), [(STANDARD_BYTES, False), (STANDARD_BYTES + 1, True)])
def test_the_advanced_tier_begins_with_the_first_byte_beyond_the_standard_one(
    earlier: list[str], size: int, advanced: bool
) -> None:
    shelf = Shelf(texts=list(earlier))
    push([shelf], "x" * size)
    assert shelf.advanced == [advanced]


def test_a_document_may_fill_a_parameter_to_its_last_byte() -> None:
    empty = len(stored_text({"text": ""}))
    assert len(stored_text({"text": "x" * (ADVANCED_BYTES - empty)})) == ADVANCED_BYTES
    for too_long in ("x" * (ADVANCED_BYTES - empty + 1), "ä" * (ADVANCED_BYTES // 2)):
        with pytest.raises(InvalidPolicy):
            stored_text({"text": too_long})
