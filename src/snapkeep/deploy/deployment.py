"""Both stacks in both regions: the DR stack first, for the primary one writes into its queue."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from snapkeep.deploy.buckets import ArtifactBucket, bucket_name
from snapkeep.deploy.changes import (
    VAULT_ACCOUNTS,
    Change,
    ChangeNotConfirmed,
    ParameterChange,
    Risk,
    parameter_changes,
    resource_lines,
)
from snapkeep.deploy.package import Package, build_package
from snapkeep.deploy.parameters import (
    COPY_KEY,
    DR_REGION,
    STACK_KEY,
    SUFFIX,
    InvalidParameters,
    check_key,
    check_parameters,
    check_regions,
    check_suffix,
)
from snapkeep.deploy.progress import Watcher
from snapkeep.deploy.stacks import PreparedStack, Stack, StackOutcome, StackResult
from snapkeep.deploy.templates import INFRA, S3Location, read_template, replace_artifacts, to_json
from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.plural import counted
from snapkeep.domain.system import StackKind, stack_name, system_name
from snapkeep.domain.tag_names import VAULT

PRIMARY_REGION_TAG = "snapkeep:primary-region"
"""On a DR stack: the region of the primary stack that it belongs to."""
KEY_OF_RECORDS = (
    "Reports, proofs and recovery records stay in their buckets, and so does the KMS key of a stack that encrypts them: AWS "
    "charges for both until you delete them, and without the key they cannot be read"
)
"""The templates' DeletionPolicy of both."""
_AWS_POLL_SECONDS = 2.0
_LOCAL_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class DeploymentTarget:
    """The AWS (`client(service, region)` returns clients for it), the regions and the system of a deployment."""

    client: Callable[[str, str], Any]
    region: str
    dr_region: str
    suffix: str = ""
    names: Mapping[tuple[StackKind, str], str] = field(default_factory=dict)
    """Names of stacks that were deployed under other names, by kind and region."""
    role_arn: str = ""
    """The role with which CloudFormation acts; empty for the caller's permissions."""

    @property
    def system(self) -> str:
        """The system's name: `snapkeep` and the suffix."""
        return system_name(self.suffix)

    def stack_name(self, kind: StackKind, region: str = "") -> str:
        """Return the name of the stack `primary` or `dr`, by default of that in the region of its kind."""
        return self.names.get((kind, region or self.region_of(kind)), stack_name(self.system, kind))

    def region_of(self, kind: StackKind) -> str:
        """Return the region of a kind of stack; a vault's account has one stack, in `region`."""
        return self.region if kind in (StackKind.PRIMARY, StackKind.VAULT) else self.dr_region


@dataclass(frozen=True, slots=True)
class DeploymentResult:
    """The result of a deployment."""

    system: str
    account_id: str
    stacks: tuple[StackResult, ...]
    package: Package
    buckets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemovalResult:
    """The result of a removal: the deleted stacks and objects, and what stays."""

    system: str
    account_id: str
    stacks: tuple[StackResult, ...]
    objects_removed: Mapping[str, int]
    """By bucket."""
    stays: tuple[str, ...] = ()


class StackOfAnotherSystem(InvalidConfiguration):
    """The DR stack of this name belongs to the system of another primary region."""


class Deployment:
    """Deploys and destroys one system."""

    def __init__(self, target: DeploymentTarget, watcher: Watcher, *, infra: Path = INFRA) -> None:
        self._target = target
        self._client = cache(target.client)  # making one parses its service's whole model
        self._watcher = watcher
        self._infra = infra

    @cached_property
    def _identity(self) -> tuple[str, str]:
        """The account, and the partition that it lives in (`aws`, `aws-cn`)."""
        identity = self._client("sts", self._target.region).get_caller_identity()
        return identity["Account"], identity["Arn"].split(":")[1]

    def deploy(
        self,
        primary_parameters: Mapping[str, str],
        dr_parameters: Mapping[str, str],
        *,
        drill_parameters: Mapping[str, str] = MappingProxyType({}),
        vault_parameters: Mapping[str, str] = MappingProxyType({}),
        tags: Mapping[str, str] | None = None,
        kinds: Sequence[StackKind] = (StackKind.DR, StackKind.PRIMARY),
        may_change: Callable[[Sequence[Change]], bool] = lambda _: False,
        may_remove_leftover: Callable[[str], bool] = lambda _: False,
        examine: Callable[[], None] = lambda: None,
        build: Callable[..., Package] = build_package,
    ) -> DeploymentResult:
        """Deploy stacks with parameters for each, and tags for all resources; return the result.

        `kinds` names the stacks, the DR one first: a system has one primary stack, and a DR stack in each region that it
        copies to. A vault's stack is deployed alone, into an account of its own. A parameter that is not given keeps its value.
        `may_change` is called with all changes of parameters, and later with those of resources, when one of them can lose
        data, or lose or move protection; it shows those that can. `examine` looks at the account, and raises where a deployment
        would fail. Everything that can be checked is checked before anything changes. Raise InvalidParameters,
        ChangeNotConfirmed, StackFailed, StackBusy, StackLeftover, BucketNotOurs.
        """
        target = self._target
        parameters_of = {
            StackKind.DR: {SUFFIX: target.suffix, **dr_parameters},
            StackKind.PRIMARY: {SUFFIX: target.suffix, DR_REGION: target.dr_region, **primary_parameters},
            StackKind.DRILL: {SUFFIX: target.suffix, **drill_parameters},
            StackKind.VAULT: {SUFFIX: target.suffix, **vault_parameters},
        }
        if any(parameters[SUFFIX] != target.suffix for parameters in parameters_of.values()):
            raise InvalidParameters(f"{SUFFIX} names the whole system and is the same in both stacks: use --name")
        check_suffix(target.suffix)
        if StackKind.VAULT not in kinds:
            check_regions(target.region, parameters_of[StackKind.PRIMARY][DR_REGION])
        if parameters_of[StackKind.PRIMARY][DR_REGION] != target.dr_region:
            raise InvalidParameters(
                f"{DR_REGION} is {parameters_of[StackKind.PRIMARY][DR_REGION]}, "
                f"and the DR region {target.dr_region}: use --dr-region"
            )
        templates = {kind: read_template(self._infra / f"{kind}.yaml") for kind in kinds}
        for kind, template in templates.items():
            check_parameters(template, parameters_of[kind], target.stack_name(kind))
        account_id, _ = self._identity
        for kind in kinds:
            check_key(STACK_KEY, parameters_of[kind].get(STACK_KEY, ""), account_id, target.region_of(kind))
        check_key(COPY_KEY, parameters_of[StackKind.PRIMARY].get(COPY_KEY, ""), account_id, target.dr_region)
        if StackKind.DR in kinds:
            self._check_owner_of_dr_stack()
        examine()
        # Questions after all checks: a confirmed deployment is not refused afterwards.
        self._confirm_changes(parameters_of, kinds, may_change)
        buckets = {kind: self._bucket(target.region_of(kind)) for kind in templates}
        self._watcher.step("Packaging the functions")
        package = build(run_here=self._is_local(), report=self._watcher.note)
        # Both change sets before either is carried out: a primary stack that cannot be updated leaves the DR stack as it is.
        prepared: dict[StackKind, PreparedStack] = {}
        try:
            for kind, template in templates.items():
                url = self._upload(kind, template, buckets[kind], package, tags or {})
                self._watcher.step(f"{target.region_of(kind)}: preparing stack {target.stack_name(kind)}")
                # So that another primary region's system of the same name is recognized before it takes the stack over.
                own_tags = {PRIMARY_REGION_TAG: target.region} if kind == StackKind.DR else {}
                prepared[kind] = self._stack(kind).prepare(
                    url, template.get("Parameters", {}), parameters_of[kind], {**(tags or {}), **own_tags}, may_remove_leftover
                )
            self._confirm_resources(prepared, package, may_change)
            # The DR stack first: the primary's functions write into its queue as soon as they exist.
            results = [self._execute(kind, prepared) for kind in templates]
        finally:
            for kind, change in prepared.items():  # what was not carried out
                self._stack(kind).discard(change)
        return DeploymentResult(
            target.system, account_id, tuple(results), package, tuple(bucket.name for bucket in buckets.values())
        )

    def _execute(self, kind: StackKind, prepared: dict[StackKind, PreparedStack]) -> StackResult:
        """Carry out a stack's change set, and take it off those that are prepared."""
        stack = self._stack(kind)
        self._watcher.step(f"{stack.region}: deploying stack {stack.name}")
        return stack.execute(prepared.pop(kind))

    def _confirm_resources(
        self, prepared: Mapping[StackKind, PreparedStack], package: Package, may_change: Callable[[Sequence[Change]], bool]
    ) -> None:
        """Show what changes in the deployed stacks. Raise ChangeNotConfirmed if a risky change is not confirmed."""
        updates = {kind: change for kind, change in prepared.items() if not change.creating and change.changes}
        for kind, change in updates.items():
            stack = self._stack(kind)
            before = self._deployed_code(stack)
            after = package.sha256
            if before and before != after:
                self._watcher.note(f"{stack.region}: functions' code from {before[:12]} to {after[:12]} (SHA-256 of the package)")
            for line in resource_lines(change.changes):
                self._watcher.note(f"{stack.region}: {line}")
        changes = [change for update in updates.values() for change in update.changes]
        _require_consent(changes, may_change)

    def _deployed_code(self, stack: Stack) -> str:
        """Return the SHA-256 of the deployed package, in hexadecimal; empty where it cannot be read: it is shown only."""
        try:
            name = next(iter(stack.resources("AWS::Lambda::Function")), "")
            if not name:
                return ""
            function = self._client("lambda", stack.region).get_function_configuration(FunctionName=name)
        except ClientError:
            return ""
        return base64.b64decode(function["CodeSha256"]).hex()

    def _check_owner_of_dr_stack(self) -> None:
        """Raise StackOfAnotherSystem if the DR stack belongs to another primary region.

        Two primaries with one name would share a queue, a policy document and the functions in the DR region.
        """
        stack = self._stack(StackKind.DR)
        owner = stack.tags().get(PRIMARY_REGION_TAG, "")
        if owner and owner != self._target.region:
            raise StackOfAnotherSystem(
                f"stack {stack.name} in {stack.region} belongs to the system with the primary region {owner}; "
                f"give this system a name of its own with --name, such as --name -{self._target.region}"
            )

    def _confirm_changes(
        self,
        parameters_of: Mapping[StackKind, Mapping[str, str]],
        kinds: Sequence[StackKind],
        may_change: Callable[[Sequence[Change]], bool],
    ) -> None:
        """Show changes without a risk. Raise ChangeNotConfirmed if a risky one, which `may_change` shows, is not confirmed."""
        changes: list[ParameterChange] = []
        for kind in kinds:
            stack, region = self._stack(kind), self._target.region_of(kind)
            changes += parameter_changes(stack.name, region, stack.parameters(), parameters_of[kind])
        for change in changes:
            if change.risk is Risk.NONE:
                self._watcher.note(f"{change.region}: {change.text}")
        _require_consent(changes, may_change)

    def destroy(
        self, kinds: Sequence[StackKind] = (StackKind.PRIMARY, StackKind.DR), further_dr_regions: Sequence[str] = ()
    ) -> RemovalResult:
        """Delete stacks, the primary one first (it starts the work), then the buckets; return the result.

        A DR stack goes with the network of drills in its region. `further_dr_regions` are the regions of DR stacks beside the one
        in the DR region.
        Raise InvalidParameters, StackBusy, StackFailed.
        """
        target = self._target
        check_suffix(target.suffix)
        account_id, _ = self._identity
        stacks = [self._stack(kind) for kind in kinds] + [self._stack(StackKind.DR, region) for region in further_dr_regions]
        dr_regions = [stack.region for stack in stacks if stack.name == target.stack_name(StackKind.DR, stack.region)]
        networks = [self._stack(StackKind.DRILL, region) for region in dr_regions]
        accounts = [account for stack in stacks for account in stack.parameters().get(VAULT_ACCOUNTS, "").split(",")]
        vault_accounts = sorted({account.strip() for account in accounts}.difference([""]))
        results = []
        for stack in (*stacks, *networks):
            self._watcher.step(f"{stack.region}: deleting stack {stack.name}")
            # A waiting execution would keep its state machine, and with it the stack's deletion, for hours.
            self._end_runs(stack)
            result = stack.delete()
            if stack not in networks or result.outcome is not StackOutcome.ABSENT:
                results.append(result)
        removed = {}
        # Buckets last, for the stacks' templates and code lie in them.
        for region in dict.fromkeys(stack.region for stack in stacks if StackKind.DRILL not in kinds):
            bucket = self._bucket(region)
            self._watcher.step(f"{region}: removing bucket {bucket.name}")
            removed[bucket.name] = bucket.remove()
        # A network of drills has nothing beside it: no snapshot, key or document is of it.
        stays = self._what_stays(results, vault_accounts) if StackKind.DRILL not in kinds else ()
        return RemovalResult(target.system, account_id, tuple(results), removed, stays)

    def _end_runs(self, stack: Stack) -> None:
        """Stop the runs of a stack's state machines: a run of Protect waits for hours, and the deletion would wait for it."""
        try:
            stopped = stack.stop_runs(self._client("stepfunctions", stack.region))
        except ClientError as error:
            reason = error.response["Error"].get("Message", str(error))
            self._watcher.note(f"executions in progress could not be stopped, and the deletion may wait for them: {reason}")
            return
        if stopped:
            self._watcher.note(f"{counted(stopped, 'run')} that had not ended {'was' if stopped == 1 else 'were'} stopped")

    def _upload(
        self, kind: StackKind, template: dict[str, Any], bucket: ArtifactBucket, package: Package, tags: Mapping[str, str]
    ) -> str:
        """Upload the artifacts of a template, and the template; return the template's URL."""
        region = self._target.region_of(kind)
        self._watcher.step(f"{region}: uploading {package.bytes_zipped / 1e6:.1f} MB to {bucket.name}")
        bucket.ensure(tags)

        def upload(path: Path) -> S3Location:
            if path.suffix == ".json":
                return bucket.upload(path, "statemachines")
            return bucket.upload(package.zip_file, "functions")

        packaged = replace_artifacts(template, self._infra, upload)
        return bucket.url(bucket.upload_bytes(to_json(packaged), "templates", ".json"))

    def _bucket(self, region: str) -> ArtifactBucket:
        account_id, partition = self._identity
        name = bucket_name(self._target.system, account_id, region)
        return ArtifactBucket(self._client("s3", region), name, account_id, region, partition)

    def _stack(self, kind: StackKind, region: str = "") -> Stack:
        region = region or self._target.region_of(kind)
        poll_seconds = _LOCAL_POLL_SECONDS if self._is_local() else _AWS_POLL_SECONDS
        cloudformation = self._client("cloudformation", region)
        return Stack(
            cloudformation,
            self._target.stack_name(kind, region),
            region,
            self._watcher,
            poll_seconds=poll_seconds,
            role_arn=self._target.role_arn,
        )

    def _is_local(self) -> bool:
        """Whether the AWS is one on this machine: it answers at once, and runs functions with this interpreter."""
        endpoint = str(self._client("cloudformation", self._target.region).meta.endpoint_url)
        return urlsplit(endpoint).hostname in ("127.0.0.1", "localhost", "::1")

    def _what_stays(self, results: Sequence[StackResult], vault_accounts: Sequence[str]) -> tuple[str, ...]:
        target = self._target
        regions, document = " and ".join(result.region for result in results), f"/{target.system}/policy"
        retained = (f"{kept} in {result.region}" for result in results for kept in result.retained)
        shared = (
            f"shares of copies with the vaults of {' and '.join(vault_accounts)}: the tag {VAULT} shows which copies are shared"
        )
        return (
            f"every snapshot in {regions}, with its tags (snapkeep:managed = {target.system})",
            f"the policy document in {regions}, if one was pushed: a new deployment follows it; it is the parameter {document}",
            f"holds that people placed: a new deployment keeps what they cover; they are the parameters /{target.system}/holds/*",
            f"{KEY_OF_RECORDS}; keys of yours are untouched",
            *([shared] if vault_accounts else []),
            *retained,
        )


def _require_consent(changes: Sequence[Change], may_change: Callable[[Sequence[Change]], bool]) -> None:
    """Raise ChangeNotConfirmed if a risky change is among the changes, and it is not confirmed."""
    risky = [change for change in changes if change.risk is not Risk.NONE]
    if risky and not may_change(changes):
        listed = "; ".join(f"{change.text}: {change.consequence}" for change in risky)
        raise ChangeNotConfirmed(f"nothing was changed. {listed}")
