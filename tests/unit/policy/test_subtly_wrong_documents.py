"""Documents that look right: what two readers could read in two ways is refused, in words, and nothing ends in a traceback."""

import pytest

from snapkeep.domain.durations import parse_duration
from snapkeep.domain.policy.document import parse_document
from snapkeep.domain.policy.problem import InvalidPolicy
from support.policy_text import load_text

RIGHT = """\
version: 1
policies:
  - name: gold
    select: {tags: {Backup: gold}}
    retention: {keep_last: 7}
"""


def refusal(text: str) -> str:
    with pytest.raises(InvalidPolicy) as refused:
        load_text(text, name="policy.yaml")
    return str(refused.value)


@pytest.mark.parametrize(
    "number", ["012", "0x1F", "0x_", "1:30", "1_000", "0b11", pytest.param("9" * 5000, id="5000 digits"), "!!int seven"]
)
def test_a_number_that_can_be_read_in_two_ways_is_refused(number: str) -> None:
    assert "line 5, column 28: " in refusal(RIGHT.replace("keep_last: 7", f"keep_last: {number}"))


@pytest.mark.parametrize("flag", ["yes", "No", "on", "OFF", "!!bool y"])
@pytest.mark.parametrize("place", ["carry_tags: {}", "tags: {{Backup: {}}}", "tags: {{{}: gold}}"])
def test_a_yes_or_no_that_newer_yaml_reads_as_text_is_refused(flag: str, place: str) -> None:
    assert "write true or false, or text in quotes" in refusal(RIGHT.replace("keep_last: 7", place.format(flag)))


@pytest.mark.parametrize("retention", ["{<<: {keep_last: 1}, keep_last: 7}", "{<<: [{keep_last: 7}, {keep_last: 1}]}"])
def test_objects_that_are_merged_are_refused(retention: str) -> None:
    """A key could stand twice in them, and YAML 1.2 knows no merging."""
    assert "line 5, column 17: merging (<<) is not allowed" in refusal(RIGHT.replace("{keep_last: 7}", retention))


@pytest.mark.parametrize("value", ["2026-13-45", "!!float x", "!!bool x", "!!timestamp x", "!!python/name:os.system"])
def test_an_ambiguous_value_is_refused_with_its_place(value: str) -> None:
    assert "line 3, column 11: " in refusal(RIGHT.replace("gold\n    select", f"{value}\n    select"))


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
@pytest.mark.parametrize("closing", ["", "]"])
def test_a_document_that_is_nested_without_end_is_refused(opening: str, closing: str) -> None:
    assert "nested deeper than any policy document" in refusal(opening * 5000 + closing * 5000)


@pytest.mark.parametrize("pattern", [r"\ud800", r"gold\udfff"])
@pytest.mark.parametrize("place", ["Backup: gold", "kms_key: alias/dr"])
def test_text_that_cannot_be_kept_is_refused(pattern: str, place: str) -> None:
    copying = RIGHT + "    copies: [{region: us-east-2, kms_key: alias/dr, retention: {}}]\n"
    key, value = place.split(": ")
    assert "write " in refusal(copying.replace(place, f'{key}: "{value}{pattern}"'))


def test_an_unprintable_key_is_reported() -> None:
    with pytest.raises(InvalidPolicy) as refused:
        parse_document({"version": 1, "\ud800": 1, "policies": []})
    assert str(refused.value).encode()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (r'"\e[31mkeep\nlast": 3', r"policies[0].retention.\x1b[31mkeep\nlast is 3"),
        (r'"\a": 1, "\a": 2', r"the key '\x07' appears twice"),
        (r'keep_last: !!float "\e[2J"', r"'\x1b[2J' is not what it looks like"),
        ("k" * 500 + ": 3", "policies[0].retention." + "k" * 59 + "… is 3"),
    ],
    ids=["key", "key twice", "value", "long key"],
)
def test_a_problem_is_one_short_line_that_a_terminal_only_shows(text: str, problem: str) -> None:
    refused = refusal(RIGHT.replace("keep_last: 7", text))
    assert problem in refused
    assert refused.isprintable()


@pytest.mark.parametrize("within", ["1m", "6m", "90m", "1mo", "1y", "2y5m"])
def test_a_month_is_never_read_as_a_minute(within: str) -> None:
    """Restic and borg write months as `m`: who brings `6m` from there must not keep six minutes."""
    assert "for a month 31d" in refusal(RIGHT.replace("keep_last: 7", f"keep_within: {within}"))


@pytest.mark.parametrize(
    "zone",
    [
        "localtime",
        "posixrules",
        "Factory",
        "right/Europe/Berlin",
        "posix/Europe/Berlin",
        pytest.param("a" * 1000, id="a name longer than file names may be"),
        pytest.param("a/" * 500 + "a", id="a name with more slashes than Python can recurse"),
    ],
)
def test_a_time_zone_that_another_machine_may_not_know_is_refused(zone: str) -> None:
    assert "retention.timezone" in refusal(RIGHT.replace("keep_last: 7", f"keep_daily: 7, timezone: {zone}"))


def test_a_duration_ends_where_its_line_ends() -> None:
    with pytest.raises(ValueError, match="whole number and a unit"):
        parse_duration("3d\n")


@pytest.mark.parametrize(
    ("select", "part"),
    [
        ('{tags: {Backup: gold}, exclude_tags: {Backup: "g*"}}', "exclude_tags.Backup"),
        ('{tags: {Backup: [gold, grey]}, exclude_tags: {Backup: ["go*", "gr?y"]}}', "exclude_tags.Backup"),
        ("{roles: [unattached], instance_ids: [i-0123456789abcdef0]}", "roles"),
    ],
)
def test_a_selection_that_can_take_no_volume_is_refused(select: str, part: str) -> None:
    assert f"policies[0].select.{part} is " in refusal(RIGHT.replace("{tags: {Backup: gold}}", select))


def test_a_selection_with_remaining_volumes_is_accepted() -> None:
    select = '{tags: {Backup: ["gold*", silver]}, exclude_tags: {Backup: "gold-?"}, roles: [unattached]}'
    assert load_text(RIGHT.replace("{tags: {Backup: gold}}", select)).policies[0].selector.roles == ("unattached",)


@pytest.mark.parametrize(
    "select",
    ["{min_size_gib: 8, max_size_gib: 8}", "{tags: {Backup: [gold, silver]}, exclude_tags: {Backup: gold}}"],
    ids=["one size", "one of two values"],
)
def test_a_narrow_selection_is_no_contradiction(select: str) -> None:
    assert len(load_text(RIGHT.replace("{tags: {Backup: gold}}", select)).policies) == 1


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("verify: {subset: 30/1}", "policies[0].copies[0].verify.subset is '30/1': write a part from 1/1 to 1/1"),
        ("kms_key: alias/my key", "policies[0].copies[0].kms_key is 'alias/my key': write something like alias/dr"),
    ],
)
def test_a_copy_rule_that_would_fail_later_is_refused(rule: str, problem: str) -> None:
    text = RIGHT + f"    copies: [{{region: us-east-2, retention: {{}}, {rule}}}]\n"
    assert problem in refusal(text)
