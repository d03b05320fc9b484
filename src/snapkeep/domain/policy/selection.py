"""The policy that governs a volume, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from snapkeep.domain.model import NEVER, Snapshot, Volume
from snapkeep.domain.other_tools import tool_of
from snapkeep.domain.policy.model import Policy, PolicySet, Selector
from snapkeep.domain.records import dataclass
from snapkeep.domain.tag_names import DRILL, MADE, POLICY
from snapkeep.domain.wildcards import wildcard

_NAME_IT = f"set its tag {POLICY} to a policy's name, then sweep"


@dataclass(frozen=True, slots=True)
class Selection:
    """The policy that governs a volume, if one does, and why."""

    policy: Policy | None
    why: str
    passed_over: tuple[tuple[str, str], ...] = ()
    """Earlier policies by name, with the reason why each does not govern the volume."""
    problem: str = ""
    """The mistake that a person should correct, such as a tag that names no policy."""


_OF_A_DRILL = Selection(None, "a drill made it: it is left alone")


@dataclass(frozen=True, slots=True)
class SelectorMatch:
    """Whether a selector matches a volume; `why` names the matching parts, or the first part that did not match."""

    matched: bool
    why: str


def select(volume: Volume, policies: PolicySet) -> Selection:
    """Return the policy that governs a volume, and why.

    A volume's own tag names its policy. If no policy has that name, the first match governs and the selection has a problem: a
    typing error must not leave a volume without protection.
    """
    # A drill removes its volumes: their copies would protect nothing.
    if DRILL in volume.tags:
        return _OF_A_DRILL
    named = volume.tags.get(POLICY, "")
    problem = ""
    if named:
        policy = policies.named(named)
        if policy:
            return Selection(policy, f"its tag {POLICY} names it")
        problem = f"its tag {POLICY} names '{named}', which is not a policy of {_names(policies)}; the first match governs it"
    passed_over: list[tuple[str, str]] = []
    for policy in policies.policies:
        match = matches(volume, policy.selector)
        if match.matched:
            return Selection(policy, match.why, tuple(passed_over), problem)
        passed_over.append((policy.name, match.why))
    return Selection(None, "no policy matches", tuple(passed_over), problem)


def select_for_snapshot(
    snapshot: Snapshot,
    volume: Volume | None,
    policies: PolicySet,
    *,
    system: str,
    lineage: Callable[[], Iterable[Snapshot]],
) -> Selection:
    """Return the policy that governs a snapshot, given its volume, or None for a deleted one.

    No policy governs working material of other tools and of drills, and snapshots that their volume's policy does not count.
    Without a volume, the snapshot's own tag names the policy, or else the tags of the volume's other snapshots, which `lineage`
    returns. If there are none, the snapshot's tags and size select the policy. This selection comes last: with so few facts, a
    policy for every volume could match, would then govern all snapshots of the lineage, and could keep fewer of them.
    """
    working_material = _working_material(snapshot)
    if working_material is not None:
        return working_material
    selection = _select_for_snapshot(snapshot, volume, policies, system, lineage)
    why = why_left_out(snapshot, selection.policy)
    return Selection(None, why) if why else selection


def _select_for_snapshot(
    snapshot: Snapshot, volume: Volume | None, policies: PolicySet, system: str, lineage: Callable[[], Iterable[Snapshot]]
) -> Selection:
    # The volume's current state decides, not the tag of an old snapshot: policies may have changed.
    if volume is not None:
        return select(volume, policies)
    own = policies.named(snapshot.policy)
    if own is not None:
        return Selection(own, f"its own tag {POLICY} names it")
    # The lineage is listed only here: a run for an existing volume needs no listing.
    carried = select_by_snapshots(lineage(), policies, system=system)
    if carried.policy or carried.problem:
        return carried
    remembered = select(remembered_volume(snapshot), policies)
    if remembered.policy or remembered.problem or not policies.policies:
        return remembered
    return replace(remembered, problem=f"its volume was deleted, and no tag or earlier snapshot shows its policy; {_NAME_IT}")


def why_left_out(snapshot: Snapshot, policy: Policy | None) -> str:
    """Return why a source snapshot does not count under its volume's policy, in words; empty if it counts.

    A snapshot that the system made itself counts. So does every copy, because it does not have all tags of its source.
    """
    if policy is None or not policy.selector.snapshot_tags or snapshot.is_copy or MADE in snapshot.tags:
        return ""
    parts = (_tag_part(snapshot.tags, key, patterns) for key, patterns in policy.selector.snapshot_tags.items())
    why = next((text for fits, text in parts if not fits), "")
    return f"policy {policy.name} does not count it: {why}" if why else ""


def _working_material(snapshot: Snapshot) -> Selection | None:
    """Return the selection of a snapshot that is working material of another tool or a drill; None for any other."""
    if DRILL in snapshot.tags:
        return _OF_A_DRILL
    tool = tool_of(snapshot)
    if tool is not None and tool.working_material:
        return Selection(None, f"working material of {tool.name}: it is left alone")
    return None


def remembered_volume(snapshot: Snapshot) -> Volume:
    """Return the deleted volume of a snapshot, as far as the snapshot describes it."""
    origin = snapshot.origin
    return Volume(origin.volume_id, origin.region, snapshot.size_gib, "", encrypted=snapshot.encrypted, tags=snapshot.tags)


def select_for_retention(volume: Volume | None, snapshots: Iterable[Snapshot], policies: PolicySet, *, system: str) -> Selection:
    """Return the policy that decides the retention of a volume's snapshots.

    `volume` is None if it is deleted. The policy is the one that governs the volume now, not the one in its newest snapshot's
    tag: a run may have waited for a day.
    """
    return select(volume, policies) if volume else select_by_snapshots(snapshots, policies, system=system)


def snapshots_show_policy(snapshots: Iterable[Snapshot], since: datetime, *, system: str) -> bool:
    """Whether the snapshots alone show the volume's policy: all carry one, and the newest started after `since`."""
    managed = [snapshot for snapshot in snapshots if snapshot.managed_by(system)]
    newest = max((snapshot.origin.start_time for snapshot in managed), default=NEVER)
    return newest >= since and len({snapshot.policy for snapshot in managed}) == 1


def select_by_snapshots(snapshots: Iterable[Snapshot], policies: PolicySet, *, system: str) -> Selection:
    """Return the policy in the tags of snapshots whose volume cannot be read, because it is deleted or in another region.

    The newest snapshot that the system manages decides. If its policy no longer exists, no policy governs, and everything is
    kept.
    """
    managed = [snapshot for snapshot in snapshots if snapshot.managed_by(system)]
    if not managed:
        return Selection(None, "none of its snapshots is managed")
    # The id breaks ties, so that two readers of the same listing agree.
    newest = max(managed, key=lambda snapshot: (snapshot.origin.start_time, snapshot.id))
    policy = policies.named(newest.policy)
    if policy:
        return Selection(policy, f"its newest snapshot {newest.id} carries it")
    problem = f"its newest snapshot {newest.id} carries policy '{newest.policy}', which is not a policy of {_names(policies)}"
    return Selection(None, "its policy does not exist: everything is kept", problem=problem)


def matches(volume: Volume, selector: Selector) -> SelectorMatch:
    """Return whether every part of a selector matches a volume, and why in words."""
    taken: list[str] = []
    for fits, text in _parts(volume, selector):
        if not fits:
            return SelectorMatch(matched=False, why=text)
        taken.append(text)
    return SelectorMatch(matched=True, why=", ".join(taken) or "it takes every volume")


def _parts(volume: Volume, selector: Selector) -> Iterator[tuple[bool, str]]:
    """Yield for each part of the selector whether it matches the volume, and why in words."""
    for key, patterns in selector.tags.items():
        yield _tag_part(volume.tags, key, patterns)
    for key, patterns in selector.exclude_tags.items():
        fits, text = _tag_part(volume.tags, key, patterns)
        if fits:
            # Only an exclusion that matches is explained: the others would fill the explanation.
            yield False, f"excluded: {text}"
    if volume.id in selector.exclude_volume_ids:
        yield False, f"excluded: volume {volume.id}"
    if selector.volume_ids:
        yield volume.id in selector.volume_ids, f"volume is {volume.id}"
    yield from _hardware_parts(volume, selector)


def _hardware_parts(volume: Volume, selector: Selector) -> Iterator[tuple[bool, str]]:
    if selector.instance_ids:
        attached = [instance for instance in volume.instance_ids if instance in selector.instance_ids]
        yield bool(attached), f"attached to {attached[0]}" if attached else "not attached to " + _any_of(selector.instance_ids)
    if selector.instance_tags:
        yield _instance_part(volume, selector.instance_tags)
    if selector.availability_zones:
        yield volume.zone in selector.availability_zones, f"zone is {volume.zone}" if volume.zone else "its zone is not known"
    if selector.volume_types:
        yield volume.volume_type in selector.volume_types, f"type is {volume.volume_type}"
    if selector.roles:
        yield volume.role in selector.roles, f"volume is {volume.role}"
    if selector.min_size_gib:
        yield volume.size_gib >= selector.min_size_gib, f"{volume.size_gib} GiB (at least {selector.min_size_gib} required)"
    if selector.max_size_gib:
        yield volume.size_gib <= selector.max_size_gib, f"{volume.size_gib} GiB (at most {selector.max_size_gib} allowed)"


def _instance_part(volume: Volume, patterns_by_key: Mapping[str, tuple[str, ...]]) -> tuple[bool, str]:
    """Return whether one of the volume's instances has all the tags, and why in words."""
    text = "attached to no instance"
    for instance_id, tags in zip(volume.instance_ids, volume.instance_tags, strict=False):
        parts = [_tag_part(tags, key, patterns) for key, patterns in patterns_by_key.items()]
        failed = next((why for fits, why in parts if not fits), "")
        if not failed:
            return True, f"attached to {instance_id} with {', '.join(why for _, why in parts)}"
        text = f"its instance {instance_id}: {failed}"
    return False, text


def _tag_part(tags: Mapping[str, str], key: str, patterns: Iterable[str]) -> tuple[bool, str]:
    if key not in tags:
        return False, f"no tag {key}"
    for pattern in patterns:
        if wildcard(pattern).match(tags[key]):
            return True, f"tag {key}={tags[key]}" + (f" matches {pattern}" if pattern != tags[key] else "")
    return False, f"tag {key}={tags[key]} is not {_any_of(patterns)}"


def _any_of(values: Iterable[str]) -> str:
    return " or ".join(values)


def _names(policies: PolicySet) -> str:
    return f"{policies.source.label} (it has: {', '.join(policy.name for policy in policies.policies)})"
