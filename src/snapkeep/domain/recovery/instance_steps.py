"""The steps that recover instances, from their plans: in stages, with a check of each AMI's billing before any launch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snapkeep.domain.recovery.instance_plan import InstancePlan
from snapkeep.domain.recovery.recovery_plan import RecoveryStep, StepKind, holding


def other_billing_text(plan: InstancePlan) -> str:
    """Return the instructions for a registered AMI whose billing differs from the instance's."""
    return (
        f"launch an instance from the AMI of the product itself ({plan.billing.text}) with type {plan.instance_type} in "
        f"{plan.zone}; accept the product's terms first if it is one of AWS Marketplace. Make the volumes with `snapkeep recover "
        f"volume {plan.instance_id} --in {plan.region} --zone {plan.zone}`, and replace its root volume: `aws ec2 "
        f"create-replace-root-volume-task --region {plan.region} --instance-id INSTANCE --volume-id VOLUME`"
    )


def instance_steps(stages: Sequence[Sequence[InstancePlan]], *, wait_for_checks: bool = True) -> tuple[RecoveryStep, ...]:
    """Return the steps that recover instances, stage by stage.

    All points are held and all AMIs checked before anything is launched. An AMI is deregistered as soon as its instance runs:
    a registered one keeps its snapshots from being deleted.
    """
    plans = [plan for stage in stages for plan in stage]
    numbers = {id(plan): number for number, plan in enumerate(plans, 1)}
    points = list(dict.fromkeys(point for plan in plans for point in plan.point_ids))
    steps = [_register(plan, numbers[id(plan)]) for plan in plans if not plan.replaces_root]
    for stage in stages:
        taken = [_stage_steps(plan, numbers[id(plan)], wait_for_checks=wait_for_checks) for plan in stage]
        # Instances of one stage start at the same time: each kind of step is taken for all of them before the next kind.
        depth = max((len(steps_of_plan) for steps_of_plan in taken), default=0)
        steps += [own[place] for place in range(depth) for own in taken if place < len(own)]
    return holding(points, steps)


def _register(plan: InstancePlan, number: int) -> RecoveryStep:
    parameters = {
        "request": dict(plan.image),
        "billing": {
            "platform_details": plan.billing.platform_details,
            "usage_operation": plan.billing.usage_operation,
            "product_codes": list(plan.billing.product_codes),
        },
        "otherwise": other_billing_text(plan),
    }
    return RecoveryStep(
        f"register-{number}", StepKind.REGISTER_IMAGE, f"register an AMI of {plan.instance_id} and check its billing", parameters
    )


def _stage_steps(plan: InstancePlan, number: int, *, wait_for_checks: bool) -> list[RecoveryStep]:
    if plan.replaces_root:
        parameters: dict[str, Any] = {
            "instance": plan.instance_id,
            "snapshot": plan.point_ids[0],
            "root": plan.replaces_root,
            "rate_mibps": plan.rate_mibps,
        }
        about = f"replace the root volume of {plan.instance_id} by one of {plan.point_ids[0]}"
        replacement = RecoveryStep(f"replace-{number}", StepKind.REPLACE_ROOT, about, parameters)
        about = f"wait until the root volume of {plan.instance_id} is replaced"
        return [replacement, RecoveryStep(f"wait-{number}", StepKind.WAIT_FOR_ROOT, about, made_by=replacement.id)]
    launched = f"run-{number}"
    owner = f"{plan.instance_id} ({plan.name})" if plan.name else plan.instance_id
    launch = {"request": dict(plan.launch), "tags": dict(plan.tags)}
    set_up = {
        "volumes": {volume.device: volume.tags for volume in plan.volumes if volume.tags},
        "source_dest_check": plan.source_dest_check,
    }
    steps = [
        RecoveryStep(launched, StepKind.RUN_INSTANCE, f"launch {owner} again", launch, made_by=f"register-{number}"),
        RecoveryStep(f"wait-{number}", StepKind.WAIT_FOR_INSTANCE, f"wait until {owner} runs", made_by=launched),
        # The AMI is needed for the launch alone.
        RecoveryStep(
            f"deregister-{number}", StepKind.DEREGISTER_IMAGE, f"deregister the AMI of {owner}", made_by=f"register-{number}"
        ),
        RecoveryStep(f"set-up-{number}", StepKind.SET_UP_INSTANCE, f"tag the volumes of {owner}", set_up, made_by=launched),
    ]
    if plan.stopped:
        return [*steps, RecoveryStep(f"stop-{number}", StepKind.STOP_INSTANCE, f"stop {owner}", made_by=launched)]
    checks = RecoveryStep(
        f"check-{number}", StepKind.CHECK_INSTANCE, f"wait until {owner} passes its status checks", made_by=launched
    )
    return [*steps, checks] if wait_for_checks else steps
