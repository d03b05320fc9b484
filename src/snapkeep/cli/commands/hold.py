"""`snapkeep hold`: nothing that a hold covers is deleted, in any region, until the hold is released."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from snapkeep.cli.common import AwsSettings, Json, Yes, argument, option, require_consent, with_aws_settings
from snapkeep.cli.errors import WrongUse, exit_unless, known_errors, one_line
from snapkeep.cli.installed_vault import is_vault, policies_of_vault
from snapkeep.cli.output import show_result, warn
from snapkeep.domain.errors import AwsUnavailable, SnapkeepError
from snapkeep.domain.plural import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.domain.retention.placed_holds import PlacedHold
    from snapkeep.usecases.placed_holds import HoldResult, HoldStore
    from snapkeep.usecases.ports import SnapshotReader

MOST_REASON = 400
"""Characters of a reason: in an SSM parameter, each can take six bytes of 4,096."""
PLACE = "place"


class _PlacesByDefault(TyperGroup):
    """A group whose first word may be left out: `hold vol-1 --reason …` places a hold."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, those of `place` where they name no command."""
        known = not args or args[0] in {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, args if known else [PLACE, *args])


app = typer.Typer(cls=_PlacesByDefault, no_args_is_help=True, help="Keep snapshots, regardless of the rules, until released.")


@app.command(PLACE)
@with_aws_settings
def place_hold(
    settings: AwsSettings,
    names: Annotated[list[str] | None, argument("VOLUME|SNAPSHOT", "Ids to hold.")] = None,
    *,
    policy: Annotated[list[str] | None, option("--policy", "Hold the snapshots that a policy governs.", "NAME")] = None,
    everything: Annotated[bool, option("--all", "Hold everything.")] = False,
    making: Annotated[bool, option("--making", "Make no snapshots; those by others are handled as before.")] = False,
    reason: Annotated[str, option("--reason", "Why; every verdict shows it.", "TEXT")],
    review_after: Annotated[str, option("--review-after", "When sweeps ask about it.", "TIME")] = "30d",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Place a hold. Nothing that it covers is deleted until it is released.

    A volume is held with all its snapshots and copies, a snapshot with all
    its copies. The hold is written in every region of the system, and counts
    in all of them as soon as it is written in one. It asks about ids that
    do not exist. With the credentials of a vault's account, it is written in
    the vault and counts there alone. Exits with status 1 if a region could
    not be reached.
    """
    from snapkeep.cli.views.status_forms import hold_as_data  # noqa: PLC0415
    from snapkeep.domain.durations import parse_duration  # noqa: PLC0415 - --help needs none of these
    from snapkeep.domain.retention.placed_holds import PlacedHold  # noqa: PLC0415
    from snapkeep.usecases.placed_holds import place  # noqa: PLC0415

    volumes, snapshots = _ids(names or ())
    if everything == bool(names or policy or making):
        raise WrongUse("name volumes or snapshots, or give --policy, --making, or --all")
    if not reason.strip() or len(reason) > MOST_REASON or not reason.isprintable():
        raise WrongUse(f"--reason: give a text of at most {MOST_REASON} characters, in one line")
    try:
        review = parse_duration(review_after)
    except ValueError as error:
        raise WrongUse(f"--review-after {review_after}: {error}") from error
    installed, stores, policies = _system(settings)
    if making and is_vault(installed):
        raise WrongUse("--making: a vault makes no snapshots; without it, name snapshots or volumes to hold, or give --all")
    unknown = sorted(set(policy or ()) - policies) if policies else []
    if unknown:
        raise WrongUse(f"--policy {unknown[0]}: there is no such policy; there are: {', '.join(sorted(policies))}")
    _check_ids(installed, stores, volumes, snapshots, yes=yes, json=json)
    hold = PlacedHold(
        f"hold-{secrets.token_hex(4)}",
        _caller(installed, stores),
        datetime.now(UTC),
        reason.strip(),
        review,
        tuple(volumes),
        tuple(snapshots),
        tuple(policy or ()),
        making,
    )
    result = place(stores, hold)
    if not result.done:
        raise AwsUnavailable(f"the hold was written nowhere: {'; '.join(result.problems.values())}")
    problems = list(_problems(result, "not written in"))
    data = {"hold": hold_as_data(hold), "regions": list(result.done), "problems": problems}
    show_result(data, [f"{hold.id} holds {hold.scope}; written in {', '.join(result.done)}"], problems, json=json)
    exit_unless(not problems)


@app.command("list")
@with_aws_settings
def list_holds(settings: AwsSettings, *, json: Json = False) -> None:
    """List the holds in force, the oldest first, with the regions in which each is written.

    Exits with status 1 if those of a region could not be read.
    """
    from snapkeep.cli.views.status_forms import hold_as_data  # noqa: PLC0415 - --help needs none of these

    _, stores, _ = _system(replace(settings, read_only=True))
    written, problems = _read(stores)
    listed = [hold_as_data(hold) | {"regions": regions} for hold, regions in written.items()]
    lines = _lines(written, stores) if written else ["nothing is held"] if not problems else []
    show_result({"holds": listed, "problems": problems}, lines, problems, json=json)
    exit_unless(not problems)


@app.command("release")
@with_aws_settings
def release_hold(
    settings: AwsSettings,
    hold_id: Annotated[str, argument("HOLD", "Id of a hold, from `hold list`.")],
    *,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Release a hold: retention follows the rules again.

    It stays in force until it is removed from every region: exits with
    status 1 if one could not be reached.
    """
    from snapkeep.usecases.placed_holds import release  # noqa: PLC0415

    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", hold_id):
        raise WrongUse(f"'{hold_id}' is not the id of a hold, such as hold-0a1b2c3d")
    _, stores, _ = _system(settings)
    written, unread = _read(stores)
    shown = next((f"{hold.scope}, {hold.text}" for hold in written if hold.id == hold_id), "")
    if not shown and not unread:
        raise WrongUse(f"there is no hold {hold_id}; `snapkeep hold list` shows those in force")
    question = f"Release {hold_id} ({shown or 'it could not be read'})?"
    require_consent(question, yes=yes, json=json, otherwise=f"{hold_id} was not released")
    result = release(stores, hold_id)
    problems = list(_problems(result, "still held, because it could not be removed in"))
    if not result.done and not problems:
        raise WrongUse(f"there is no hold {hold_id}; `snapkeep hold list` shows those in force")
    data = {"released": hold_id, "regions": list(result.done), "problems": problems}
    show_result(data, [f"{hold_id} is removed in {', '.join(result.done)}"] if result.done else [], problems, json=json)
    exit_unless(not problems)


def _ids(names: list[str] | tuple[()]) -> tuple[list[str], list[str]]:
    """Return volume and snapshot ids. Raise WrongUse for anything else: a hold of a wrong id would hold nothing."""
    for name in names:
        if not re.fullmatch(r"(vol|snap)-([0-9a-f]{8}|[0-9a-f]{17})", name):
            raise WrongUse(f"'{name}' is not an id of a volume or snapshot, such as vol-0123456789abcdef0")
    volumes = [name for name in names if name.startswith("vol-")]
    return volumes, [name for name in names if name not in volumes]


def _check_ids(
    installed: InstalledSystem,
    regions: Iterable[str],
    volumes: Collection[str],
    snapshots: Collection[str],
    *,
    yes: bool,
    json: bool,
) -> None:
    """Ask about ids of which there is no volume, snapshot or copy: a hold of a mistyped id holds nothing."""
    absent = {*volumes, *snapshots}
    unread = []
    for region in regions if absent else ():
        try:
            absent -= _known_ids(installed.adapters.reader_of(region), volumes, snapshots)
        except known_errors() as error:
            unread.append(f"{region} could not be read: {one_line(error)}")
    if not absent:
        return
    missing = ", ".join(sorted(absent))
    if unread:
        warn([f"it is not known whether a volume, snapshot or copy of {missing} exists: {'; '.join(unread)}"])
        return
    text = f"there is no volume, snapshot or copy of {missing} in {', '.join(regions)}"
    require_consent(f"{text[0].upper()}{text[1:]}. Hold it anyway?", yes=yes, json=json, otherwise=f"{text}; nothing was held")


def _known_ids(reader: SnapshotReader, volumes: Collection[str], snapshots: Collection[str]) -> set[str]:
    """Return those of the ids that a region has, or has a snapshot or copy of."""
    existing = {*reader.volumes(volumes)} if volumes else set[str]()
    if volumes:
        lineages = [*reader.snapshots_of_volumes(volumes), *reader.copies_of_volumes(volumes)]
        existing |= {snapshot.origin.volume_id for snapshot in lineages}
    if snapshots:
        existing |= {*reader.snapshots(snapshots), *(copy.origin.snapshot_id for copy in reader.copies_of_snapshots(snapshots))}
    return existing


def _system(settings: AwsSettings) -> tuple[InstalledSystem, Mapping[str, HoldStore], set[str]]:
    """Return the system, the stores of holds of all its regions, and the names of its policies; none where they are not known."""
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports botocore

    installed = InstalledSystem(settings)
    if is_vault(installed):
        names = {policy.name for policy in policies_of_vault(settings).policies}
        return installed, {settings.region: installed.adapters.hold_store_of(settings.region)}, names
    readings = installed.read_regions()
    policies = {policy.name for reading in readings if not reading.problem for policy in reading.policies.policies}
    return installed, {reading.region: installed.adapters.hold_store_of(reading.region) for reading in readings}, policies


def _caller(installed: InstalledSystem, stores: Mapping[str, HoldStore]) -> str:
    """Return the ARN of the caller, from the first region that answers. Raise AwsUnavailable."""
    from snapkeep.adapters.aws_errors import translated  # noqa: PLC0415 - imports botocore

    problems = []
    for region in stores:
        try:
            with translated(f"get_caller_identity in {region}"):
                return str(installed.settings.client("sts", region).get_caller_identity()["Arn"])
        except SnapkeepError as error:
            problems.append(one_line(error))
    raise AwsUnavailable(f"the caller is not known: {'; '.join(problems)}")


def _read(stores: Mapping[str, HoldStore]) -> tuple[dict[PlacedHold, list[str]], list[str]]:
    """Return each hold with the regions in which it is written, the oldest first, and why those of some could not be read."""
    written: dict[PlacedHold, list[str]] = {}
    problems = []
    for region, store in stores.items():
        try:
            for hold in store.all():
                written.setdefault(hold, []).append(region)
        except SnapkeepError as error:
            problems.append(
                f"the holds in {region} could not be read, so no region that reads them deletes anything: {one_line(error)}"
            )
    return dict(sorted(written.items(), key=lambda item: item[0].since)), problems


def _lines(written: Mapping[PlacedHold, list[str]], stores: Mapping[str, HoldStore]) -> Iterator[str]:
    for hold, regions in written.items():
        missing = [region for region in stores if region not in regions]
        yield f"{hold.id}  {hold.scope}"
        yield f"    {hold.text}"
        yield f"    written in {', '.join(regions)}" + (f"; not in {', '.join(missing)}" if missing else "")
    yield f"{counted(len(written), 'hold')} in force"


def _problems(result: HoldResult, prefix: str) -> Iterator[str]:
    return (f"{prefix} {region}: {why}" for region, why in result.problems.items())
