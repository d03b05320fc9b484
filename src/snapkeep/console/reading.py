"""Reads of all regions, each shared by every page until it is old."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, cached_property
from threading import Lock, Thread
from typing import Any, cast

from snapkeep.adapters.aws_errors import translated
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.regional import AwsClients, RegionalAdapters
from snapkeep.cli.commands.status import look
from snapkeep.cli.common import AwsSettings, forget_sessions
from snapkeep.cli.errors import known_errors, one_line
from snapkeep.cli.executions import Run, latest_runs
from snapkeep.cli.installed_system import CliClients, InstalledSystem, PlanMaker
from snapkeep.cli.volume_history import passed_by_volume
from snapkeep.console.signals import SignalReader
from snapkeep.console.trend import TrendPoint, TrendReader
from snapkeep.domain.drills.ledger import DrillLedger, EndedDrill
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.model import Snapshot, Volume
from snapkeep.domain.policy.model import PolicySet, RecoveryGroup
from snapkeep.domain.protection import VolumeProtection
from snapkeep.domain.recovery.changes import UnusualChange, newest_by_volume
from snapkeep.domain.recovery.choice import Lineages, lineages_of
from snapkeep.domain.recovery.recovery_plan import RecoveryRun
from snapkeep.domain.retention.region_plan import RegionPlan, VolumePlan
from snapkeep.domain.signals import SignalRecord
from snapkeep.domain.system import SystemNames
from snapkeep.usecases.drills.ledger_store import LedgerStore
from snapkeep.usecases.look.status import SystemStatus
from snapkeep.usecases.policies import ShowResult, history
from snapkeep.usecases.ports import Clock
from snapkeep.usecases.recovery.measure_changes import unusual_changes
from snapkeep.usecases.recovery.record_ports import Documents
from snapkeep.usecases.recovery.recover import Journal

FRESH = timedelta(seconds=20)
"""A reading is shown this long before the next one begins, if anybody looks."""


RECOVERIES = 10
"""Recoveries of one bucket that are shown."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The system at one moment, as far as its regions could be read."""

    system: str
    """The system's name."""
    status: SystemStatus
    plans: tuple[RegionPlan, ...]
    """The plans of the regions that were listed."""
    policies: Mapping[str, PolicySet]
    """The policies in force in these regions."""
    drills: Mapping[str, Mapping[str, EndedDrill]]
    """The newest drill that passed, by DR region and volume; none where the ledger could not be read."""
    lineages: Mapping[str, Lineages]
    """All snapshots and copies of these regions, by source volume."""
    make_plans: PlanMaker
    """Plans the same listings under other policies."""
    runs: tuple[Run, ...]
    """The latest executions of each state machine, the newest first."""
    unread_runs: tuple[str, ...]
    """Why executions of some state machines are not known."""
    recoveries: tuple[RecoveryRun, ...] = ()
    """The latest recoveries, the newest first."""
    unread_recoveries: tuple[str, ...] = ()
    """Why others may be in progress."""
    unlisted: Mapping[str, str] = field(default_factory=dict)
    """Why regions whose status is known are not planned, by region."""
    documents: Mapping[str, Documents] = field(default_factory=dict)
    """The documents of recoveries and drills, by DR region, as far as their buckets are known."""
    ledgers: Mapping[str, DrillLedger] = field(default_factory=dict)
    """The ledgers of drills, by DR region, as far as they could be read."""
    trend: tuple[TrendPoint, ...] = ()
    """The counts of the last sweeps of the primary region, the oldest first."""
    trend_problem: str = ""
    """Why they are not known."""
    versions: tuple[ShowResult, ...] = ()
    """The versions of the primary region's policy document, the newest first; none where they could not be read."""
    unusual: Mapping[str, UnusualChange] = field(default_factory=dict)
    """The newest unusual change by volume."""
    unread_changes: tuple[str, ...] = ()
    """Why others may be there."""

    signals: tuple[SignalRecord, ...] = ()
    """The signals of the last days, the newest first."""
    unread_signals: Mapping[str, str] = field(default_factory=dict)
    """Why others may be there, by region."""

    @property
    def at(self) -> datetime:
        """The moment of the reading."""
        return self.status.at

    @property
    def problems(self) -> tuple[str, ...]:
        """Problems: regions that could not be read, and parts that are broken or missing."""
        return *self.status.problems, *self.unlisted.values()

    @property
    def unread(self) -> dict[str, str]:
        """Why regions are not known, by region."""
        problems = {self.status.region: ""} | {region.region: region.problem for region in self.status.destinations}
        problems |= self.unlisted
        return {
            region: problem or f"{region} could not be read"
            for region, problem in problems.items()
            if region not in self.lineages
        }

    @property
    def groups(self) -> dict[str, RecoveryGroup]:
        """The recovery groups of the policies, by name; those of the primary region before others of the same name."""
        return {group.name: group for policies in reversed(list(self.policies.values())) for group in policies.groups}

    def documents_for(self, region: str) -> Documents | None:
        """Return the documents that a recovery in a region reads: its own, or else those of a DR region; None without any."""
        return self.documents.get(region) or next(iter(self.documents.values()), None)

    def protection(self, volume_id: str) -> VolumeProtection | None:
        """Return how well a volume of the primary region is protected; None if it does not exist."""
        return next((volume for volume in self.status.volumes if volume.volume.id == volume_id), None)

    def plans_of(self, volume_id: str) -> Iterator[tuple[str, VolumePlan]]:
        """Yield the regions that have snapshots of a volume, with its plan there."""
        for plan in self.plans:
            yield from ((plan.region, volume) for volume in plan.volumes if volume.lineage.volume_id == volume_id)

    def snapshots_of(self, volume_id: str) -> dict[str, list[Snapshot]]:
        """Return a volume's snapshots and copies by region, the newest origin first."""
        return {region: list(lineages.by_volume.get(volume_id, ())) for region, lineages in self.lineages.items()}


@dataclass(slots=True)
class SystemReader:
    """Reads a system, again and again."""

    settings: AwsSettings
    _caller: Mapping[str, str] | None = None
    """The caller's identity: its account stays the same."""
    _trend: TrendReader = field(default_factory=TrendReader)
    _signals: SignalReader = field(default_factory=SignalReader)

    def read(self) -> Reading:
        """Read every region once. Raise SnapkeepError, or botocore's errors, where the primary region refuses to be read."""
        try:
            return self._read()
        except Exception:
            forget_sessions()  # credentials that ended may be renewed before the next reading
            raise

    def _read(self) -> Reading:
        system = _ListedOnce(self.settings)
        status = look(system)
        unread = {region.region for region in status.destinations if not region.known}
        readings = [reading for reading in system.regions_in_use() if not reading.problem and reading.region not in unread]
        policies = {reading.region: reading.policies for reading in readings}
        make_plans, listed, unlisted = system.tolerant_plan_maker(list(policies))
        policies = {region: policies[region] for region in listed}
        lineages = {region: lineages_of(region, system.adapters.points_of(region).all_snapshots()) for region in listed}
        runs, unread_runs = latest_runs(self.settings, listed, self._identity)
        dr_regions = [region for region in listed if region != self.settings.region]
        documents, problems = _documents(system, dr_regions)
        ledgers = _ledgers(documents)
        drills = {region: passed_by_volume(ledger) for region, ledger in ledgers.items()}
        recoveries, unread_recoveries = _recoveries(documents)
        return Reading(
            self.settings.system,
            status,
            tuple(make_plans(policies, status.at)),
            policies,
            drills,
            lineages,
            make_plans,
            runs,
            unread_runs,
            recoveries,
            (*problems, *unread_recoveries),
            unlisted,
            documents,
            ledgers,
            *self._trend.read(system, status.at),
            _versions(system),
            *_unusual_changes(documents),
            *self._signals.read(system, listed, status.at),
        )

    def _identity(self, region: str) -> Mapping[str, str]:
        if self._caller is None:
            with translated("get_caller_identity"):
                self._caller = self.settings.client("sts", region).get_caller_identity()
        return self._caller


def _documents(system: InstalledSystem, dr_regions: Iterable[str]) -> tuple[dict[str, Documents], list[str]]:
    known: dict[str, Documents] = {}
    problems: list[str] = []
    for region in dr_regions:
        try:
            known[region] = DocumentsReadOnce(system.adapters.documents_of(region))
        except SnapkeepError as error:
            problems.append(f"the recoveries in the bucket of {region} are not known: {one_line(error)}")
    return known, problems


def _versions(system: InstalledSystem) -> tuple[ShowResult, ...]:
    try:
        return tuple(history(*system.primary_document()))
    except known_errors():  # the page says that none could be read
        return ()


def _unusual_changes(documents: Mapping[str, Documents]) -> tuple[Mapping[str, UnusualChange], tuple[str, ...]]:
    changes: list[UnusualChange] = []
    problems: list[str] = []
    for region, of_region in documents.items():
        try:
            changes += unusual_changes(of_region)
        except SnapkeepError as error:
            problems.append(f"unusual changes are not known: the bucket of {region} could not be read: {one_line(error)}")
    return newest_by_volume(changes), tuple(problems)


def _ledgers(documents: Mapping[str, Documents]) -> dict[str, DrillLedger]:
    ledgers = {}
    for region, of_region in documents.items():
        with suppress(SnapkeepError):  # a ledger that is not known shows no drill
            ledgers[region] = LedgerStore(of_region).read()
    return ledgers


def _recoveries(documents: Mapping[str, Documents]) -> tuple[tuple[RecoveryRun, ...], tuple[str, ...]]:
    runs: list[RecoveryRun] = []
    problems: list[str] = []
    for region, of_region in documents.items():
        try:
            region_runs, unreadable = Journal(documents=of_region).runs(RECOVERIES)
        except SnapkeepError as error:
            problems.append(f"the recoveries in the bucket of {region} are not known: {one_line(error)}")
            continue
        runs += region_runs
        problems += [f"{run_id}: {why}" for run_id, why in unreadable.items()]
    return tuple(sorted(runs, key=lambda run: run.started_at, reverse=True)), tuple(problems)


class DocumentsReadOnce:
    """`Documents` that reads each document and each listing once, and writes none: the points of one instance share a record."""

    def __init__(self, documents: Documents) -> None:
        self.get = cache(documents.get)
        self.keys = cache(documents.keys)
        self.first_keys = cache(documents.first_keys)

    def put(self, key: str, text: str, version: str = "") -> str:
        """Raise PermissionError: a reading writes nothing."""
        raise PermissionError(f"{key} would be written: {len(text)} characters over {version or 'none'}")


class _ListedOnce(InstalledSystem):
    """A system that lists each region once, for everything that is read of it."""

    @cached_property
    def adapters(self) -> RegionalAdapters:
        """Adapters of each region."""
        return _AdaptersOfOneListing(CliClients(self.settings), self.settings)


class _AdaptersOfOneListing(RegionalAdapters):
    """Readers that keep their listings."""

    def __init__(self, clients: AwsClients, names: SystemNames) -> None:
        super().__init__(clients, names)
        self._readers: dict[str, Ec2Reader] = {}
        self._lock = Lock()

    def points_of(self, region: str) -> Ec2Reader:
        """Return the region's reader, always the same one."""
        with self._lock:
            if region not in self._readers:
                self._readers[region] = cast("Ec2Reader", _ReaderOfOneListing(super().points_of(region)))
            return self._readers[region]


class _ReaderOfOneListing:
    """Lists snapshots and volumes once. After an error it lists again."""

    def __init__(self, reader: Ec2Reader) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def all_snapshots(self) -> Iterator[Snapshot]:
        """Return every snapshot that the account owns in the region."""
        return iter(self._snapshots)

    def all_volumes(self) -> Iterator[Volume]:
        """Return every volume of the region."""
        return iter(self._volumes)

    @cached_property
    def _snapshots(self) -> list[Snapshot]:
        return list(self._reader.all_snapshots())

    @cached_property
    def _volumes(self) -> list[Volume]:
        return list(self._reader.all_volumes())


@dataclass(slots=True)
class Readings:
    """The latest reading, renewed in the background while a page is open."""

    read: Callable[[], Reading]
    clock: Clock
    latest: Reading | None = None
    problem: str = ""
    """Why the last attempt failed; the latest reading is then older than it should be."""
    version: int = 0
    """Changes with every attempt that ended."""
    _begun: datetime | None = None
    _lock: Lock = field(default_factory=Lock)
    _thread: Thread | None = None

    def current(self) -> Reading | None:
        """Return the latest reading, and begin another if it is old. None before the first one."""
        self.renew()
        return self.latest

    def renew(self) -> None:
        """Begin a reading, unless one is under way or the latest is fresh."""
        with self._lock:
            now = self.clock.now()
            if self._thread is not None and self._thread.is_alive():
                return
            # By its begin: a reading that takes long is not repeated at once.
            if self._begun is not None and now - self._begun < FRESH:
                return
            self._begun = now
            self._thread = Thread(target=self._read, name="reading", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Wait for the reading that is under way."""
        if self._thread is not None:
            self._thread.join()

    def _read(self) -> None:
        try:
            self.latest, self.problem = self.read(), ""
        except Exception as error:  # noqa: BLE001 - even a defect must not look like a reading that takes long
            self.problem = one_line(error)
        self.version += 1
