"""Canaries: each names in one line a change of ministack that breaks a patch."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import tomllib
from pathlib import Path

import pytest

from snapkeep.lab.embedded_aws.patches import lambdas

CORE, SERVICES = "ministack.core", "ministack.services"

# Module, name in it, its parameters, and the patch (module of snapkeep.lab.embedded_aws.patches) that needs it.
FUNCTIONS = [
    (f"{CORE}.iam_actions", "extract_resource_arn", "service method path headers body query_params region account_id", "iam"),
    (f"{CORE}.iam_actions", "access_denied_response", "service action principal_arn request_id error_code message headers resource_arn explicit_deny resource_policy_arn", "iam"),
    (f"{CORE}.iam_evaluator", "enforce", "access_key_id iam_action service region resource_arn service_context", "iam"),
    (f"{CORE}.iam_evaluator", "is_root_access_key", "access_key_id", "credentials"),
    (f"{CORE}.iam_evaluator", "_is_root_key", "access_key_id", "credentials"),
    (f"{CORE}.lambda_runtime", "execution_credentials", "config", "credentials"),
    (f"{SERVICES}.sts", "register_session", "access_key session", "credentials"),
    (f"{CORE}.iam_evaluator", "request_caller_arn", "headers query_params", "ec2"),
    (f"{CORE}.iam_evaluator", "caller_arn", "", "sns"),
    (f"{CORE}.iam_evaluator", "evaluate", "ctx policies limits", "permissions"),
    (f"{CORE}.iam_evaluator", "evaluate_resource_policy", "doc ctx service named_only direct_only", "permissions"),
    (f"{CORE}.iam_evaluator", "_gather_user_policies", "user_name account_id", "permissions"),
    (f"{CORE}.iam_evaluator", "_permissions_boundary", "store name account_id", "permissions"),
    (f"{CORE}.iam_evaluator", "combine_resource_policy", "identity ctx policy owner_account required limits", "permissions"),
    (f"{CORE}.iam_evaluator", "_gather_role_policies", "role_name account_id", "permissions"),
    (f"{CORE}.iam_evaluator", "_role_name_from_assumed_arn", "assumed_arn", "permissions"),
    (f"{CORE}.responses", "request_scope", "account_id region", "eventbridge"),
    (f"{CORE}.lambda_runtime", "_detect_runtime_binary", "runtime", "lambdas"),
    (f"{CORE}.lambda_runtime", "kill_workers", "workers", "lambdas"),
    (f"{CORE}.lambda_runtime", "reset", "", "server"),
    (f"{SERVICES}.lambda_svc", "_execute_function_warm", "func event request_id", "lambdas"),
    (f"{SERVICES}.lambda_svc", "_emit_lambda_logs", "func request_id log_text error duration_ms log_source", "metrics"),
    (f"{SERVICES}.lambda_svc", "function_policy_for_arn", "resource_arn", "deliveries"),
    (f"{SERVICES}.lambda_svc", "_get_func_record_for_ref", "function_ref", "deliveries"),
    (f"{SERVICES}.eventbridge", "_events_log_list", "", "eventbridge"),
    (f"{SERVICES}.eventbridge", "_pattern_event_view", "event", "eventbridge"),
    (f"{SERVICES}.eventbridge", "_dispatch_event", "event view", "eventbridge"),
    (f"{SERVICES}.eventbridge", "_archive_event", "event view", "eventbridge"),
    (f"{SERVICES}.eventbridge", "_tick_scheduled_rules", "", "eventbridge"),
    (f"{SERVICES}.eventbridge", "_now_ts", "", "eventbridge"),
    (f"{SERVICES}.eventbridge", "_validate_schedule_expression", "expr", "eventbridge"),
    (f"{SERVICES}.eventbridge", "_put_events", "data allow_aws_source", "event_buses"),
    (f"{SERVICES}.eventbridge", "_put_permission", "data", "event_buses"),
    (f"{SERVICES}.eventbridge", "_remove_permission", "data", "event_buses"),
    (f"{CORE}.iam_evaluator", "_resource_policy", "service resource_arn", "iam"),
    (f"{SERVICES}.eventbridge", "_invoke_target", "target event rule view", "deliveries"),
    (f"{SERVICES}.eventbridge", "_dispatch_to_sqs", "spec payload sqs_parameters", "deliveries"),
    (f"{SERVICES}.stepfunctions", "handle_request", "method path headers body query_params", "redrive"),
    (f"{SERVICES}.stepfunctions", "_describe_execution", "data", "redrive"),
    (f"{SERVICES}.stepfunctions", "_fail_execution", "execution error cause", "redrive"),
    (f"{SERVICES}.stepfunctions", "_run_execution", "exec_arn", "stepfunctions"),
    (f"{SERVICES}.stepfunctions", "_add_event", "execution event_type details", "history"),
    (f"{SERVICES}.stepfunctions", "_emit_execution_status_event", "execution", "service_metrics"),
    (f"{SERVICES}.stepfunctions", "_run_sub_machine", "states start_at input_data execution ctx", "history"),
    (f"{SERVICES}.stepfunctions", "_run_parallel_branches", "state_def raw_input execution ctx", "history"),
    (f"{SERVICES}.stepfunctions", "_error_matches", "error_equals error", "stepfunctions"),
    (f"{SERVICES}.stepfunctions", "_run_map_items", "state_def raw_input execution ctx", "stepfunctions"),
    (f"{SERVICES}.lambda_svc", "_create_function", "data", "provisioning"),
    (f"{SERVICES}.lambda_svc", "_update_config", "name data", "provisioning"),
    (f"{SERVICES}.stepfunctions", "_invoke_resource", "resource input_data", "stepfunctions"),
    (f"{SERVICES}.stepfunctions", "_invoke_resource_with_timeout", "resource input_data timeout", "stepfunctions"),
    (f"{SERVICES}.stepfunctions", "_execute_task", "state_def raw_input execution ctx", "stepfunctions"),
    (f"{SERVICES}.stepfunctions", "_invoke_with_callback", "resource input_data token state_def", "stepfunctions"),
    (f"{SERVICES}.stepfunctions", "_find_matching_retrier", "retriers error retry_counts", "stepfunctions"),
    (f"{SERVICES}.stepfunctions", "_start_execution", "data", "stepfunctions"),
    (f"{SERVICES}.stepfunctions", "_send_task_success", "data", "stepfunctions"),
    (f"{SERVICES}.stepfunctions", "_send_task_failure", "data", "stepfunctions"),
    (f"{SERVICES}.stepfunctions", "_send_task_heartbeat", "data", "stepfunctions"),
    (f"{SERVICES}.stepfunctions", "_resolve_path_or_ctx", "path data ctx", "stepfunctions"),
    (f"{SERVICES}.stepfunctions", "_resolve_state_machine_arn", "arn", "deliveries"),
    (f"{SERVICES}.stepfunctions", "_create_state_machine", "data", "provisioning"),
    (f"{SERVICES}.lambda_svc", "_create_esm", "data", "provisioning"),
    (f"{SERVICES}.sqs", "_enforce_queue_policy", "q iam_action", "queues"),
    (f"{SERVICES}.ssm", "_put_parameter", "data", "parameters"),
    (f"{SERVICES}.dynamodb", "_update_ttl", "data", "stack_properties"),
    (f"{SERVICES}.dynamodb", "_update_continuous_backups", "data", "stack_properties"),
    (f"{SERVICES}.dynamodb", "_sse_description_from_spec", "spec", "stack_properties"),
    (f"{SERVICES}.dynamodb", "_remove_item", "table pk_val sk_val", "stack_properties"),
    (f"{SERVICES}.s3", "_put_bucket_encryption", "name body", "stack_properties"),
    (f"{SERVICES}.cloudwatch_logs", "_compile_filter_pattern", "raw", "logs"),
    (f"{SERVICES}.cloudwatch_logs", "_filter_log_events", "data", "logs"),
    (f"{SERVICES}.sqs", "_queue_by_arn", "arn", "deliveries"),
    (f"{SERVICES}.sqs", "_ensure_msg_fields", "m", "deliveries"),
    (f"{SERVICES}.sns", "_fanout", "topic_arn msg_id message subject message_structure message_attributes message_group_id message_dedup_id", "sns"),
    (f"{SERVICES}.sns", "_get_topic", "topic_arn action", "sns"),
    (f"{SERVICES}.sns", "_topic_by_arn_any_scope", "topic_arn", "sns"),
    (f"{SERVICES}.cloudformation.engine", "_parse_template", "template_body", "cloudformation"),
    (f"{SERVICES}.cloudformation.helpers", "_resolve_document", "params body_key url_key label", "cloudformation"),
    (f"{SERVICES}.cloudformation.provisioners", "_physical_name", "stack_name logical_id lowercase max_len seeded", "cloudformation"),
    (f"{SERVICES}.iam", "_simulate_principal_policy", "p", "policy_simulation"),
    (f"{SERVICES}.iam", "_put_role_permissions_boundary", "p", "stack_properties"),
    (f"{SERVICES}.iam", "_error", "status code message ns", "policy_simulation"),
    (f"{SERVICES}.kms", "_resolve_key", "key_id_or_arn", "kms"),
    (f"{SERVICES}.kms", "key_policy_for_arn", "resource_arn", "kms"),
    (f"{SERVICES}.cloudwatch", "_evaluate_alarm", "alarm", "metrics"),
    (f"{SERVICES}.cloudwatch", "_dispatch_alarm_actions", "alarm old_state new_state reason", "metrics"),
    (f"{SERVICES}.cloudwatch", "_evaluate_parent_alarms", "child seen", "metrics"),
    (f"{SERVICES}.cloudwatch", "_store_datum", "namespace name dims ts unit value values counts stat_values", "metrics"),
    (f"{SERVICES}.cloudwatch", "_stat_value", "stats stat_name points", "metrics"),
    (f"{SERVICES}.cloudwatch", "_calc_stats", "points", "metrics"),
    (f"{SERVICES}.cloudwatch", "_dims_key", "dims", "metrics"),
    (f"{SERVICES}.cloudwatch", "_dims_from_list", "dimensions", "metrics"),
]  # fmt: skip
# ministack.app's own names.
SAVING = ["save_all", "_build_persistence_save_dict"]
STORES = [
    (f"{SERVICES}.kms", "_keys", "kms"),
    (f"{SERVICES}.kms", "_aliases", "kms"),
    (f"{SERVICES}.cloudwatch", "_alarms", "metrics"),
    (f"{SERVICES}.eventbridge", "_rules", "eventbridge"),
    (f"{SERVICES}.eventbridge", "_event_bus_policies", "event_buses"),
    (f"{SERVICES}.sns", "_topics", "topics"),
    (f"{SERVICES}.sqs", "_queues", "service_metrics"),
]


@pytest.mark.parametrize(
    ("module", "name", "parameters", "patch"), FUNCTIONS, ids=[f"{entry[0]}.{entry[1]}" for entry in FUNCTIONS]
)
def test_a_patched_function_keeps_its_parameters(module: str, name: str, parameters: str, patch: str) -> None:
    patched = getattr(importlib.import_module(module), name, None)
    assert patched is not None, f"{module}.{name} is missing: the patch {patch} cannot be applied"
    taken = " ".join(inspect.signature(patched).parameters)
    assert taken == parameters, f"{module}.{name} takes ({taken}) now, the patch {patch} gives ({parameters})"


@pytest.mark.parametrize("name", SAVING)
def test_the_application_saves_by_the_names_that_the_patch_uses(name: str) -> None:
    app = importlib.import_module("ministack.app")
    assert name in inspect.getsource(app._handle_lifespan), f"ministack saves without {name}: the patch persistence uses it"


@pytest.mark.parametrize(("module", "name", "patch"), STORES, ids=[f"{entry[0]}.{entry[1]}" for entry in STORES])
def test_a_patched_store_is_keyed_by_account_and_region(module: str, name: str, patch: str) -> None:
    store = getattr(importlib.import_module(module), name)
    assert type(store).__name__ == "AccountRegionScopedDict", (
        f"{module}.{name} is a {type(store).__name__}: the patch {patch} reads its _data"
    )
    assert isinstance(store._data, dict), f"{module}.{name} has no _data: the patch {patch} walks it by (account, region, key)"


@pytest.mark.parametrize(
    "resource_type",
    ["AWS::Events::Rule", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function", "AWS::StepFunctions::StateMachine"],
)
def test_a_patched_provisioner_keeps_its_parameters(resource_type: str) -> None:
    provisioners = importlib.import_module(f"{SERVICES}.cloudformation.provisioners")
    create = provisioners._RESOURCE_HANDLERS[resource_type]["create"]
    taken = " ".join(inspect.signature(create).parameters)
    assert taken == "logical_id props stack_name", (
        f"the provisioner of {resource_type} takes ({taken}) now: the patch provisioning wraps it"
    )


def test_the_installed_release_is_the_pinned_one() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    (pinned,) = [need for need in project["project"]["optional-dependencies"]["local"] if need.startswith("ministack")]
    installed = importlib.metadata.version("ministack")
    assert pinned == f"ministack=={installed}", f"ministack {installed} is installed, pyproject.toml pins {pinned}"


def test_the_gateway_looks_iam_functions_up_when_it_uses_them() -> None:
    app = importlib.import_module("ministack.app")
    source = inspect.getsource(app._dispatch_service_request)
    for module, names in (("iam_actions", ("extract_resource_arn", "access_denied_response")), ("iam_evaluator", ("enforce",))):
        imported = source.partition(f"from ministack.core.{module} import")[2]
        for name in names:
            assert name in imported, (
                f"the gateway no longer imports {name} while it dispatches: the patch iam replaces it in vain"
            )


def test_the_gateway_has_the_tables_that_the_patch_adds_ebs_to() -> None:
    app, router, actions = (importlib.import_module(name) for name in ("ministack.app", f"{CORE}.router", f"{CORE}.iam_actions"))
    assert {"ec2", "kms"} <= set(app.SERVICE_HANDLERS), (
        "ministack.app.SERVICE_HANDLERS has no ec2 or kms: the patches ec2 and kms replace them"
    )
    assert "s3" in router.SERVICE_PATTERNS, "ministack.core.router.SERVICE_PATTERNS changed: the patch ec2 adds ebs to it"
    assert actions.SERVICE_TO_IAM_NAMESPACE["ec2"] == "ec2", "SERVICE_TO_IAM_NAMESPACE changed: the patch ec2 adds ebs to it"
    assert isinstance(actions._BOTOCORE_SERVICE_MAP["batch"], list), "_BOTOCORE_SERVICE_MAP holds no lists any more"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (lambdas._ERROR, "reports errors otherwise: the patch lambdas names them and keeps the worker"),
        (lambdas._IMPORTED, "imports the handler otherwise: the patch lambdas lets a template fork workers there"),
    ],
)
def test_the_worker_script_has_the_text_that_the_patch_replaces(words: str, reason: str) -> None:
    runtime = importlib.import_module(f"{CORE}.lambda_runtime")
    assert runtime._PYTHON_WORKER_SCRIPT.count(words) == 1, f"the worker script {reason}"


def test_a_worker_is_unpacked_and_started_where_the_patch_takes_over() -> None:
    source = inspect.getsource(importlib.import_module(f"{CORE}.lambda_runtime").Worker._spawn)
    for words in ('zipfile.ZipFile(os.path.join(self._tmpdir, "code.zip"))', "zf.extractall(code_dir)"):
        assert words in source, f"Worker._spawn has no {words} any more: the patch lambdas shares unpacked packages"
    for words in ("subprocess.Popen(", "[binary, worker_path],", "cwd=code_dir,", "env=spawn_env,"):
        assert words in source, f"Worker._spawn has no {words} any more: the patch lambdas forks workers"


def test_a_worker_is_leased_by_flag_and_time() -> None:
    runtime = importlib.import_module(f"{CORE}.lambda_runtime")
    worker = runtime.Worker("name", {}, b"")
    assert (worker.in_use, worker.last_used > 0) == (False, True), (
        "Worker has no in_use or last_used: the patch lambdas chooses idle ones by them"
    )
    assert isinstance(runtime._workers, dict), (
        "lambda_runtime._workers is no dict of lists: the patch lambdas counts workers in it"
    )


def test_waits_are_scaled_where_the_patch_reads_the_scale() -> None:
    stepfunctions = importlib.import_module(f"{SERVICES}.stepfunctions")
    assert isinstance(stepfunctions._SFN_WAIT_SCALE, float), (
        "stepfunctions._SFN_WAIT_SCALE is missing: the patch stepfunctions scales time-outs by it"
    )
    assert hasattr(stepfunctions, "_task_tokens"), (
        "stepfunctions._task_tokens is missing: the patch stepfunctions waits on its entries"
    )
