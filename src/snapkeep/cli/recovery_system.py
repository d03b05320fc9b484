"""The region that a recovery works in, the DR region's bucket, and the options that recoveries share."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from snapkeep.cli.common import AwsSettings, argument, option, pasted_options, require_consent
from snapkeep.cli.errors import NOT_ALL_RIGHT, WrongUse
from snapkeep.cli.output import print_json, warn, write_command, write_lines
from snapkeep.domain.errors import DocumentNotFound, InvalidConfiguration, SnapkeepError

if TYPE_CHECKING:
    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.domain.policy.model import RecoveryGroup
    from snapkeep.domain.recovery.instance_map import InstanceMap, ProposedMap
    from snapkeep.domain.recovery.recovery_plan import RecoveryRun
    from snapkeep.usecases.ports import PacingClock
    from snapkeep.usecases.recovery.find_points import SnapshotLister
    from snapkeep.usecases.recovery.prepare import PrepareRecovery
    from snapkeep.usecases.recovery.prepare_instance import PrepareInstance
    from snapkeep.usecases.recovery.record_ports import Documents
    from snapkeep.usecases.recovery.recover import Journal, Recover, Reporter

In = Annotated[str, option("--in", "The region to recover in. Default: the DR region.", "REGION")]
Bucket = Annotated[str, option("--bucket", "The DR region's bucket, if its stack does not exist.", "NAME")]
RunId = Annotated[str, argument("RUN", "The name of a recovery.")]
Rate = Annotated[str, option("--rate", "Initialisation rate of volumes: default, or 100 to 300.", "MIB/S")]
OnlyPlan = Annotated[bool, option("--plan", "Show the plan and change nothing.")]


class ConsentOptions(NamedTuple):
    """The options `--plan`, `--yes` and `--json` of a recovery."""

    only_plan: bool
    yes: bool
    json: bool


class RecoverySystem:
    """The region that a recovery works in, and the DR region's bucket.

    The bucket is in the region of the recovery if a stack is there, else in the DR region.
    """

    def __init__(self, settings: AwsSettings, in_region: str, bucket: str, clock: PacingClock | None = None) -> None:
        from snapkeep.adapters.clock import WallClock  # noqa: PLC0415
        from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports what --help does not need

        self.settings = settings
        self.installed: InstalledSystem = InstalledSystem(settings)
        self.region = in_region or self.installed.dr_region
        self._bucket = bucket
        self._clock = clock or WallClock()

    @property
    def points(self) -> Any:
        """Lists snapshots, and which of them can be restored."""
        return self.installed.adapters.points_of(self.region)

    def volumes_in(self, region: str, volume_ids: Collection[str]) -> Collection[str]:
        """Return those of the volumes that exist in a region. Raise AwsUnavailable and other errors of ours."""
        return self.installed.adapters.reader_of(region).volumes(volume_ids).keys()

    def prepare(self, snapshots: SnapshotLister | None = None) -> PrepareRecovery:
        """Return the use case that plans recoveries of volumes, from the given listing or else a new one."""
        from snapkeep.usecases.recovery.prepare import PrepareRecovery  # noqa: PLC0415

        return PrepareRecovery(
            snapshots=snapshots or self.points,
            reader=self.ec2(self.region),
            documents=self.documents_to_read(),
            volumes_in=self.volumes_in,
        )

    def prepare_instance(self, snapshots: SnapshotLister | None = None) -> PrepareInstance:
        """Return the use case that plans recoveries of instances, from the given listing or else a new one."""
        from snapkeep.usecases.recovery.prepare_instance import PrepareInstance  # noqa: PLC0415

        return PrepareInstance(
            snapshots=snapshots or self.points,
            reader=self.ec2(self.region),
            documents=self.documents_to_read(),
            fault_of_key=self.installed.adapters.keys_of(self.region).fault_of,
        )

    def first_map(self, instance_ids: Sequence[str]) -> tuple[ProposedMap, list[str]]:
        """Return a first map for instances, and notes on what was not read. Raise DocumentNotFound and other errors of ours."""
        from snapkeep.usecases.recovery.prepare_instance import first_map  # noqa: PLC0415

        def subnet_names(region: str, subnet_ids: Collection[str]) -> Mapping[str, str]:
            names: Mapping[str, str] = self.ec2(region).subnet_names(subnet_ids)
            return names

        return first_map(self.documents(), self.ec2(self.region), instance_ids, subnet_names)

    def group(self, name: str) -> RecoveryGroup:
        """Return a group of the policy document of the region, or else of the primary region. Raise WrongUse."""
        known: list[str] = []
        for region in dict.fromkeys([self.region, self.settings.region]):
            primary = region == self.settings.region
            reading = self.installed.primary_seen() if primary else self.installed.dr_region_seen(region)
            groups = {group.name: group for group in reading.policies.groups}
            if name in groups:
                return groups[name]
            known.append(reading.problem or f"{region} has {', '.join(sorted(groups)) or 'none'}")
        raise WrongUse(f"{name}: no such group in the policy document: {'; '.join(known)}")

    def ec2(self, region: str) -> Any:
        """Return the adapter that makes volumes and instances in a region."""
        from snapkeep.adapters.ec2_instances import Ec2Instances  # noqa: PLC0415

        client = self.settings.client("ec2", region)
        return Ec2Instances(client=client, region=region, quotas=lambda: self.settings.client("service-quotas", region))

    def caller(self) -> str:
        """Return the ARN of the caller."""
        arn: str = self.settings.client("sts", self.region).get_caller_identity()["Arn"]
        return arn

    def documents(self) -> Documents:
        """Return the documents of the DR region. Raise the error of the last region that was asked, or WrongUse."""
        from snapkeep.adapters.s3_documents import S3Documents  # noqa: PLC0415

        if self._bucket:
            named = S3Documents(client=self.settings.client("s3", self.region), bucket=self._bucket)
            try:
                named.check()
            except DocumentNotFound as error:
                raise WrongUse(f"--bucket {self._bucket}: there is no such bucket") from error
            return named
        try:
            return self.installed.adapters.documents_of(self.region)
        except SnapkeepError:
            if self.region == self.installed.dr_region:
                raise
            return self.installed.adapters.documents_of(self.installed.dr_region)

    def documents_to_read(self) -> Documents | None:
        """Return the documents; None where they cannot be reached, which a plan says."""
        try:
            return self.documents()
        except WrongUse:
            raise
        except SnapkeepError:
            return None

    def journal(self) -> Journal:
        """Return the journals in the bucket."""
        from snapkeep.usecases.recovery.recover import Journal  # noqa: PLC0415

        return Journal(documents=self.documents())

    def run_of(self, run_id: str) -> RecoveryRun:
        """Return a recovery that was begun. Raise DocumentNotFound where none has this id, or RecoveryFailed."""
        try:
            return self.journal().read(run_id)
        except DocumentNotFound as error:
            text = f"{run_id}: no recovery of this name was begun in {self.region}; `snapkeep recover list` lists them"
            raise DocumentNotFound(text) from error

    def command(self, verb: str, run_id: str) -> str:
        """Return the command that resumes or undoes a recovery of this system, for another terminal."""
        bucket = f" --bucket {shlex.quote(self._bucket)}" if self._bucket else ""
        return f"snapkeep recover {verb} {run_id} --in {self.region}{bucket}{pasted_options(self.settings)}"

    def recover(self, region: str, report: Reporter = lambda _: None) -> Recover:
        """Return the use case that carries out the recoveries of a region; it calls `report` with each step."""
        from snapkeep.usecases.recovery.all_actions import all_actions  # noqa: PLC0415
        from snapkeep.usecases.recovery.recover import Recover  # noqa: PLC0415

        clock = self._clock
        return Recover(journal=self.journal(), actions=all_actions(self.ec2(region), clock), clock=clock, report=report)


def printing(*, quiet: bool) -> Reporter:
    """Return the reporter that prints each step of a recovery, or that prints nothing if it is to be quiet."""
    from snapkeep.cli.views.recover import step_lines  # noqa: PLC0415

    return (lambda _: None) if quiet else (lambda step: write_lines(step_lines(step)))


def rate_of(text: str) -> int:
    """Return the initialisation rate (MiB/s) that a person writes; 0 for the default. Raise WrongUse."""
    from snapkeep.domain.recovery.rates import FASTEST_RATE, SLOWEST_RATE  # noqa: PLC0415

    if text == "default":
        return 0
    if not text.isdecimal() or not SLOWEST_RATE <= int(text) <= FASTEST_RATE:
        raise WrongUse(f"--rate {text}: write default, or a whole number from {SLOWEST_RATE} to {FASTEST_RATE} (MiB/s)")
    return int(text)


def map_of(text: str, place: str) -> InstanceMap:
    """Return the map in a text; an empty one of an empty text. Raise WrongUse, which names the place and the key."""
    from snapkeep.domain.policy.problem import InvalidPolicy  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.domain.recovery.instance_map import InstanceMap, parse_map  # noqa: PLC0415
    from snapkeep.policyfile.load import load_data  # noqa: PLC0415 - imports yaml

    try:
        data = load_data(text) if text.strip() else None
        return InstanceMap() if data is None else parse_map(data)
    except InvalidPolicy as error:  # of the file's reader, which reads policy documents too
        raise WrongUse(f"{place}: {'; '.join(map(str, error.problems))}") from error
    except InvalidConfiguration as error:
        raise WrongUse(f"{place}: {error}") from error


def places_of(texts: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Return the instance and the devices of `--attach`. Raise WrongUse where several instances are named."""
    pairs = [text.partition(":") for text in texts]
    instances = {instance for instance, _, _ in pairs}
    if len(instances) > 1:
        raise WrongUse(f"--attach: name one instance, not {', '.join(sorted(instances))}")
    return next(iter(instances), ""), tuple(device for _, _, device in pairs if device)


def carry_out(action: Any, run: RecoveryRun, again: str) -> RecoveryRun:
    """Carry out a recovery, or its undo; on any interruption, print the command that continues it."""
    try:
        ended: RecoveryRun = action(run)
    except BaseException:
        warn([f"{run.id} is not finished. To continue:", f"  {again}"])
        raise
    return ended


def recover_by_plan(
    system: RecoverySystem,
    data: Mapping[str, Any],
    question: str,
    begin: Callable[[str, datetime], RecoveryRun],
    options: ConsentOptions,
    *,
    hindered: bool,
    otherwise: str = "nothing was made",
) -> None:
    """Ask for consent to a plan that was shown, carry it out with a journal, and print how it ended.

    `data` is the plan as JSON values. `begin` returns the recovery for a caller and a time. Where only the plan is requested, or
    it is hindered by an obstacle, nothing is asked.
    """
    from snapkeep.cli.views.recover import run_as_data  # noqa: PLC0415

    only_plan, yes, json = options
    if only_plan or hindered:
        if json:
            print_json(data)
        raise typer.Exit(NOT_ALL_RIGHT if hindered else 0)
    require_consent(question, yes=yes, json=json, otherwise=otherwise)
    run = begin(system.caller(), datetime.now(UTC))
    recover = system.recover(run.region, printing(quiet=json))
    # The journal comes first: resources made without it could not be undone.
    recover.journal.begin(run)
    ended = carry_out(recover.run, run, system.command("resume", run.id))
    if json:
        print_json({**data, "run": run_as_data(ended)})
    else:
        print_end(ended, system)


def print_end(run: RecoveryRun, system: RecoverySystem) -> None:
    """Print how a recovery ended, and the command that removes its resources."""
    write_lines([f"{run.id} is {run.state}. To remove its resources:"])
    write_command(system.command("undo", run.id))
