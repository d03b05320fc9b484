"""Properties of every selection of a policy."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from snapkeep.domain.model import Volume
from snapkeep.domain.policy.model import PolicySet, Selector
from snapkeep.domain.policy.selection import matches, select
from snapkeep.domain.tag_names import POLICY
from support.policy_strategies import policy_sets, selectors, volumes


@given(volumes, policy_sets())
def test_the_first_match_governs_and_earlier_policies_say_why_not(volume: Volume, policies: PolicySet) -> None:
    selection = select(volume, policies)
    taking = [policy for policy in policies.policies if matches(volume, policy.selector).matched]
    assert selection.policy == (taking[0] if taking else None)
    before = policies.policies.index(taking[0]) if taking else len(policies.policies)
    assert [name for name, _ in selection.passed_over] == [policy.name for policy in policies.policies[:before]]
    assert selection.why
    assert all(why for _, why in selection.passed_over)


@given(volumes, policy_sets(), st.data())
def test_a_volume_that_names_its_policy_gets_it(volume: Volume, policies: PolicySet, data: st.DataObject) -> None:
    named = data.draw(st.sampled_from(policies.policies))
    tagged = replace(volume, tags=dict(volume.tags) | {POLICY: named.name})
    assert select(tagged, policies).policy == named


@given(volumes, policy_sets())
def test_an_unknown_policy_name_is_a_problem_and_the_first_match_governs(volume: Volume, policies: PolicySet) -> None:
    tagged = replace(volume, tags=dict(volume.tags) | {POLICY: "no-such"})
    selection = select(tagged, policies)
    assert "no-such" in selection.problem
    assert selection.policy == select(volume, policies).policy


@given(volumes, selectors)
def test_a_selector_takes_what_each_of_its_parts_takes(volume: Volume, selector: Selector) -> None:
    def has(key: str, patterns: Iterable[str], tags: Mapping[str, str] = volume.tags) -> bool:
        return key in tags and any(fnmatchcase(tags[key], pattern) for pattern in patterns)

    expected = (
        all(has(key, patterns) for key, patterns in selector.tags.items())
        and not any(has(key, patterns) for key, patterns in selector.exclude_tags.items())
        and volume.id not in selector.exclude_volume_ids
        and (not selector.volume_ids or volume.id in selector.volume_ids)
        and (not selector.instance_ids or bool(set(volume.instance_ids) & set(selector.instance_ids)))
        and (
            not selector.instance_tags
            or any(
                all(has(key, patterns, tags) for key, patterns in selector.instance_tags.items())
                for _, tags in zip(volume.instance_ids, volume.instance_tags, strict=False)
            )
        )
        and (not selector.availability_zones or volume.zone in selector.availability_zones)
        and (not selector.volume_types or volume.volume_type in selector.volume_types)
        and (not selector.roles or volume.role.value in selector.roles)
        and volume.size_gib >= selector.min_size_gib
        and (not selector.max_size_gib or volume.size_gib <= selector.max_size_gib)
    )
    assert matches(volume, selector).matched == expected
