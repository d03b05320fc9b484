"""The resource types of the templates, and the IAM actions with which CloudFormation makes, changes and deletes them.

CloudFormation acts with the permissions of the stack's caller or role. Sources: the resource schemas of the CloudFormation
registry (`handlers`: the permissions of each); Service Authorization Reference: which actions are of no resource; PassRole: IAM
user guide, "Grant a user permissions to pass a role to an AWS service". Tests hold this table to the schemas. Networks are the
model's, which knows the actions of each of its calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from snapkeep.lab.embedded_aws.aws.authorization import AccessCheck

Properties = Mapping[str, Any]
Actions = tuple[str, ...]
Further = Callable[[Properties], Iterable[AccessCheck]]

OF_NO_RESOURCE = frozenset(
    {
        "events:PutPermission",
        "events:RemovePermission",
        "kms:CreateKey",
        "lambda:CreateEventSourceMapping",
        "logs:DescribeLogGroups",
    }
)
"""The actions that AWS checks on no resource: a policy has to permit them on `*`."""
KEY = "arn:aws:kms:{region}:{account}:key/{name}"
FUNCTION = "arn:aws:lambda:{region}:{account}:function:{name}"
ROLE = "arn:aws:iam::{account}:role/{name}"
TOPIC = "arn:aws:sns:{region}:{account}:{name}"
QUEUE = "arn:aws:sqs:{region}:{account}:{name}"
BUCKET = "arn:aws:s3:::{name}"


@dataclass(frozen=True)
class ResourceType:
    """A type of resource, and the actions of its handlers: each is checked on every resource that it is about."""

    arn: str
    """`{name}` is the resource's name, `{path}` the same without a slash before it."""
    name_property: str
    """The property with the name: its own, or that of what it belongs to. A resource without the property has the physical id."""
    create: Actions
    delete: Actions
    update: Actions = ()
    """The actions for a changed property that no other field names."""
    sets: Mapping[str, str] = field(default_factory=dict)
    """The action of a property's own: at creation where the resource has the property, and when the property changes."""
    changes: Mapping[str, Actions] = field(default_factory=dict)
    """The actions for a changed property; at creation it needs none."""
    removes: Mapping[str, str] = field(default_factory=dict)
    """The action for a property that the resource no longer has."""
    tags: Actions = ()
    """The actions that tag and untag."""
    second: tuple[str, str] | None = None
    """ARN and property of another resource that the actions are about."""
    further: Further | None = None
    """The checks of what the resource uses, at creation and when it changes."""
    store: str = ""
    """Where ministack stores the resources of this type under their names; empty: it refuses names that exist by itself."""
    key: str = "{name}"


def _passing(service: str, roles: Callable[[Properties], Iterable[Any]]) -> Further:
    """Return the checks of iam:PassRole for the roles that a service gets, as ARNs or by name."""

    def checks(properties: Properties) -> list[AccessCheck]:
        from ministack.core.responses import get_account_id

        names = [str(role) for role in roles(properties) if role]
        arns = [name if ":" in name else ROLE.format(account=get_account_id(), name=name) for name in names]
        return [AccessCheck("iam:PassRole", arn, {"iam:PassedToService": service}) for arn in arns]

    return checks


def _fetching(place: str, prefix: str, further: Further) -> Further:
    """Return the check of s3:GetObject for the object that a property names, and further checks."""

    def checks(properties: Properties) -> list[AccessCheck]:
        named = properties.get(place) or {}
        arn = f"arn:aws:s3:::{named.get(f'{prefix}Bucket')}/{named.get(f'{prefix}Key')}"
        fetched = [AccessCheck("s3:GetObject", arn)] if named.get(f"{prefix}Bucket") else []
        return [*fetched, *further(properties)]

    return checks


def _roles_of_targets(properties: Properties) -> Iterable[Any]:
    return (target.get("RoleArn") for target in properties.get("Targets") or ())


TYPES: Mapping[str, ResourceType] = {
    "AWS::CloudWatch::Alarm": ResourceType(
        "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
        "AlarmName",
        create=("cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms"),
        delete=("cloudwatch:DeleteAlarms",),
        update=("cloudwatch:PutMetricAlarm",),
        tags=("cloudwatch:TagResource", "cloudwatch:UntagResource"),
        store="cloudwatch._alarms",
    ),
    "AWS::CloudWatch::Dashboard": ResourceType(
        "arn:aws:cloudwatch::{account}:dashboard/{name}",
        "DashboardName",
        create=("cloudwatch:PutDashboard", "cloudwatch:GetDashboard"),
        delete=("cloudwatch:DeleteDashboards",),
        update=("cloudwatch:PutDashboard",),
        tags=("cloudwatch:TagResource", "cloudwatch:UntagResource"),
    ),
    "AWS::DynamoDB::Table": ResourceType(
        "arn:aws:dynamodb:{region}:{account}:table/{name}",
        "TableName",
        create=("dynamodb:CreateTable", "dynamodb:DescribeTable"),
        delete=("dynamodb:DeleteTable", "dynamodb:DescribeTable"),
        update=("dynamodb:UpdateTable", "dynamodb:DescribeTable"),
        sets={
            "PointInTimeRecoverySpecification": "dynamodb:UpdateContinuousBackups",
            "TimeToLiveSpecification": "dynamodb:UpdateTimeToLive",
        },
        tags=("dynamodb:TagResource", "dynamodb:UntagResource"),
        store="dynamodb._tables",
    ),
    "AWS::Events::EventBusPolicy": ResourceType(
        "arn:aws:events:{region}:{account}:event-bus/default",
        "",
        create=("events:DescribeEventBus", "events:PutPermission"),
        delete=("events:DescribeEventBus", "events:RemovePermission"),
        update=("events:DescribeEventBus", "events:PutPermission"),
    ),
    "AWS::Events::Rule": ResourceType(
        "arn:aws:events:{region}:{account}:rule/{name}",
        "Name",
        create=("events:PutRule", "events:DescribeRule"),
        delete=("events:DeleteRule", "events:ListTargetsByRule", "events:RemoveTargets"),
        update=("events:PutRule",),
        sets={"Targets": "events:PutTargets"},
        tags=("events:TagResource", "events:UntagResource"),
        changes={"Targets": ("events:PutTargets", "events:RemoveTargets")},
        further=_passing("events.amazonaws.com", _roles_of_targets),
        store="eventbridge._rules",
        key="default|{name}",
    ),
    "AWS::IAM::InstanceProfile": ResourceType(
        "arn:aws:iam::{account}:instance-profile/{name}",
        "InstanceProfileName",
        create=("iam:CreateInstanceProfile", "iam:GetInstanceProfile"),
        delete=("iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"),
        update=("iam:RemoveRoleFromInstanceProfile",),
        sets={"Roles": "iam:AddRoleToInstanceProfile"},
        further=_passing("ec2.amazonaws.com", lambda properties: properties.get("Roles") or ()),
        store="iam._instance_profiles",
    ),
    "AWS::IAM::Role": ResourceType(
        ROLE,
        "RoleName",
        create=("iam:CreateRole", "iam:GetRole"),
        delete=(
            "iam:DeleteRole",
            "iam:DeleteRolePolicy",
            "iam:GetRole",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
        ),
        update=("iam:UpdateRole",),
        sets={"ManagedPolicyArns": "iam:AttachRolePolicy", "Policies": "iam:PutRolePolicy"},
        tags=("iam:TagRole", "iam:UntagRole"),
        changes={
            "AssumeRolePolicyDocument": ("iam:UpdateAssumeRolePolicy",),
            "PermissionsBoundary": ("iam:PutRolePermissionsBoundary",),
            "Policies": ("iam:PutRolePolicy", "iam:DeleteRolePolicy"),
        },
        removes={"PermissionsBoundary": "iam:DeleteRolePermissionsBoundary"},
        store="iam._roles",
    ),
    "AWS::KMS::Alias": ResourceType(
        "arn:aws:kms:{region}:{account}:{name}",
        "AliasName",
        create=("kms:CreateAlias",),
        delete=("kms:DeleteAlias",),
        update=("kms:UpdateAlias",),
        second=(KEY, "TargetKeyId"),
    ),
    "AWS::KMS::Key": ResourceType(
        KEY,
        "",
        create=("kms:CreateKey",),
        delete=("kms:DescribeKey", "kms:ScheduleKeyDeletion"),
        update=("kms:UpdateKeyDescription",),
        sets={"EnableKeyRotation": "kms:EnableKeyRotation"},
        removes={"EnableKeyRotation": "kms:DisableKeyRotation"},
        tags=("kms:TagResource", "kms:UntagResource"),
        changes={"KeyPolicy": ("kms:PutKeyPolicy",), "PendingWindowInDays": ()},
    ),
    "AWS::Lambda::EventInvokeConfig": ResourceType(
        FUNCTION,
        "FunctionName",
        create=("lambda:PutFunctionEventInvokeConfig",),
        delete=("lambda:DeleteFunctionEventInvokeConfig",),
        update=("lambda:UpdateFunctionEventInvokeConfig",),
    ),
    "AWS::Lambda::EventSourceMapping": ResourceType(
        "arn:aws:lambda:{region}:{account}:event-source-mapping:{name}",
        "",
        create=("lambda:CreateEventSourceMapping", "lambda:GetEventSourceMapping"),
        delete=("lambda:DeleteEventSourceMapping", "lambda:GetEventSourceMapping"),
        update=("lambda:UpdateEventSourceMapping", "lambda:GetEventSourceMapping"),
        tags=("lambda:TagResource", "lambda:UntagResource"),
    ),
    "AWS::Lambda::Function": ResourceType(
        FUNCTION,
        "FunctionName",
        create=("lambda:CreateFunction", "lambda:GetFunction"),
        delete=("lambda:DeleteFunction", "lambda:GetFunction"),
        update=("lambda:UpdateFunctionConfiguration", "lambda:GetFunction"),
        sets={"ReservedConcurrentExecutions": "lambda:PutFunctionConcurrency"},
        tags=("lambda:TagResource", "lambda:UntagResource"),
        changes={"Code": ("lambda:UpdateFunctionCode", "lambda:GetFunction")},
        further=_fetching("Code", "S3", _passing("lambda.amazonaws.com", lambda properties: [properties.get("Role")])),
        store="lambda_svc._functions",
    ),
    # Every property of a permission is replaced with the permission.
    "AWS::Lambda::Permission": ResourceType(
        FUNCTION,
        "FunctionName",
        create=("lambda:AddPermission",),
        delete=("lambda:RemovePermission",),
        update=("lambda:AddPermission", "lambda:RemovePermission"),
    ),
    "AWS::Logs::LogGroup": ResourceType(
        "arn:aws:logs:{region}:{account}:log-group:{name}",
        "LogGroupName",
        create=("logs:CreateLogGroup", "logs:DescribeLogGroups"),
        delete=("logs:DeleteLogGroup",),
        sets={"RetentionInDays": "logs:PutRetentionPolicy"},
        tags=("logs:TagResource", "logs:UntagResource"),
        changes={"KmsKeyId": ("logs:AssociateKmsKey",)},
        removes={"KmsKeyId": "logs:DisassociateKmsKey", "RetentionInDays": "logs:DeleteRetentionPolicy"},
        store="cloudwatch_logs._log_groups",
    ),
    "AWS::Route53Resolver::FirewallDomainList": ResourceType(
        "arn:aws:route53resolver:{region}:{account}:firewall-domain-list/{name}",
        "",
        create=("route53resolver:CreateFirewallDomainList", "route53resolver:GetFirewallDomainList"),
        delete=("route53resolver:DeleteFirewallDomainList", "route53resolver:GetFirewallDomainList"),
        sets={"Domains": "route53resolver:UpdateFirewallDomains"},
        tags=("route53resolver:TagResource", "route53resolver:UntagResource"),
    ),
    "AWS::Route53Resolver::FirewallRuleGroup": ResourceType(
        "arn:aws:route53resolver:{region}:{account}:firewall-rule-group/{name}",
        "",
        create=("route53resolver:CreateFirewallRuleGroup", "route53resolver:GetFirewallRuleGroup"),
        delete=(
            "route53resolver:DeleteFirewallRule",
            "route53resolver:DeleteFirewallRuleGroup",
            "route53resolver:ListFirewallRules",
        ),
        sets={"FirewallRules": "route53resolver:CreateFirewallRule"},
        tags=("route53resolver:TagResource", "route53resolver:UntagResource"),
        changes={
            "FirewallRules": (
                "route53resolver:ListFirewallRules",
                "route53resolver:CreateFirewallRule",
                "route53resolver:UpdateFirewallRule",
                "route53resolver:DeleteFirewallRule",
            )
        },
    ),
    "AWS::Route53Resolver::FirewallRuleGroupAssociation": ResourceType(
        "arn:aws:route53resolver:{region}:{account}:firewall-rule-group-association/{name}",
        "",
        create=("route53resolver:AssociateFirewallRuleGroup", "route53resolver:GetFirewallRuleGroupAssociation"),
        delete=("route53resolver:DisassociateFirewallRuleGroup", "route53resolver:GetFirewallRuleGroupAssociation"),
        update=("route53resolver:UpdateFirewallRuleGroupAssociation",),
        tags=("route53resolver:TagResource", "route53resolver:UntagResource"),
    ),
    "AWS::S3::Bucket": ResourceType(
        BUCKET,
        "BucketName",
        create=("s3:CreateBucket",),
        delete=("s3:DeleteBucket",),
        sets={
            "BucketEncryption": "s3:PutEncryptionConfiguration",
            "LifecycleConfiguration": "s3:PutLifecycleConfiguration",
            "OwnershipControls": "s3:PutBucketOwnershipControls",
            "PublicAccessBlockConfiguration": "s3:PutBucketPublicAccessBlock",
            "VersioningConfiguration": "s3:PutBucketVersioning",
        },
        tags=("s3:PutBucketTagging", "s3:PutBucketTagging"),
    ),
    "AWS::S3::BucketPolicy": ResourceType(
        BUCKET,
        "Bucket",
        create=("s3:GetBucketPolicy", "s3:PutBucketPolicy"),
        delete=("s3:GetBucketPolicy", "s3:DeleteBucketPolicy"),
        update=("s3:GetBucketPolicy", "s3:PutBucketPolicy"),
    ),
    # A change of who is notified, and how, replaces the subscription.
    "AWS::SNS::Subscription": ResourceType(
        TOPIC,
        "TopicArn",
        create=("sns:Subscribe",),
        delete=("sns:GetSubscriptionAttributes", "sns:Unsubscribe"),
        update=("sns:SetSubscriptionAttributes",),
        changes=dict.fromkeys(("Endpoint", "Protocol", "TopicArn"), ("sns:Subscribe", "sns:Unsubscribe")),
    ),
    "AWS::SNS::Topic": ResourceType(
        TOPIC,
        "TopicName",
        create=("sns:CreateTopic", "sns:GetTopicAttributes"),
        delete=("sns:DeleteTopic", "sns:GetTopicAttributes"),
        update=("sns:SetTopicAttributes", "sns:GetTopicAttributes"),
        tags=("sns:TagResource", "sns:UntagResource"),
        store="sns._topics",
        key=TOPIC,
    ),
    "AWS::SNS::TopicPolicy": ResourceType(
        TOPIC,
        "Topics",
        create=("sns:SetTopicAttributes",),
        delete=("sns:SetTopicAttributes",),
        update=("sns:SetTopicAttributes",),
    ),
    "AWS::SQS::Queue": ResourceType(
        QUEUE,
        "QueueName",
        create=("sqs:CreateQueue", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"),
        delete=("sqs:DeleteQueue", "sqs:GetQueueAttributes"),
        update=("sqs:SetQueueAttributes", "sqs:GetQueueAttributes"),
        tags=("sqs:TagQueue", "sqs:UntagQueue"),
        store="sqs._queue_name_to_url",
    ),
    "AWS::SQS::QueuePolicy": ResourceType(
        QUEUE,
        "Queues",
        create=("sqs:SetQueueAttributes",),
        delete=("sqs:SetQueueAttributes",),
        update=("sqs:SetQueueAttributes",),
    ),
    "AWS::SSM::Parameter": ResourceType(
        "arn:aws:ssm:{region}:{account}:parameter/{path}",
        "Name",
        create=("ssm:PutParameter", "ssm:GetParameters"),
        delete=("ssm:DeleteParameter",),
        update=("ssm:PutParameter", "ssm:GetParameters"),
        tags=("ssm:AddTagsToResource", "ssm:RemoveTagsFromResource"),
    ),
    "AWS::StepFunctions::StateMachine": ResourceType(
        "arn:aws:states:{region}:{account}:stateMachine:{name}",
        "StateMachineName",
        create=("states:CreateStateMachine", "states:DescribeStateMachine"),
        delete=("states:DeleteStateMachine", "states:DescribeStateMachine"),
        update=("states:UpdateStateMachine",),
        tags=("states:TagResource", "states:UntagResource"),
        further=_fetching(
            "DefinitionS3Location", "", _passing("states.amazonaws.com", lambda properties: [properties.get("RoleArn")])
        ),
        store="stepfunctions._state_machines",
        key="arn:aws:states:{region}:{account}:stateMachine:{name}",
    ),
}
