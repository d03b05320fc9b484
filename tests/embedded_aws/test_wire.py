"""The wire in both directions, against botocore's own serializer and parser: what one side writes the other reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

from snapkeep.lab.ebs_model.api.actions import SERVICES
from snapkeep.lab.embedded_aws.wire import ec2_query, ec2_xml, rest_json
from snapkeep.lab.embedded_aws.wire.errors import WireError
from snapkeep.lab.embedded_aws.wire.models import operation_model, service_model

# Anything that XML can carry.
TEXTS = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20).map(str.strip).filter(bool)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers(0, 10**6),
    "long": st.integers(0, 10**6),
    "float": st.integers(0, 1000).map(float),
    "double": st.integers(0, 1000).map(float),
    "timestamp": st.integers(10**9, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    "blob": st.binary(min_size=1, max_size=20),
}
DEPTH = 3


def values_of(shape: Any, depth: int = DEPTH) -> st.SearchStrategy[Any]:
    """Values that fit a shape, without what the wire leaves out: empty lists and structures."""
    match shape.type_name:
        case "structure":
            members = {name: values_of(member, depth - 1) for name, member in shape.members.items() if fits(member, depth - 1)}
            required = {name: members[name] for name in getattr(shape, "required_members", []) if name in members}
            optional = {name: members[name] for name in list(members)[:6] if name not in required}
            return st.fixed_dictionaries(required, optional=optional)
        case "list":
            return st.lists(values_of(shape.member, depth - 1), min_size=1, max_size=3)
        case "string" if getattr(shape, "enum", None):
            return st.sampled_from(shape.enum)
        case kind:
            return SCALARS.get(kind, TEXTS)


def fits(shape: Any, depth: int) -> bool:
    if shape.type_name in {"structure", "list"} and depth <= 0:
        return False
    return shape.type_name != "list" or fits(shape.member, depth - 1)


def pruned(value: Any) -> Any:
    """Return a value without empty structures, as on the wire."""
    if isinstance(value, dict):
        parts = {name: pruned(part) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part not in ({}, [])}
    if isinstance(value, list):
        return [part for part in map(pruned, value) if part not in ({}, [])]
    return value


ACTIONS = sorted(action for action in SERVICES["ec2"] if action in service_model("ec2").operation_names)


@pytest.mark.parametrize("action", ACTIONS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_ec2_reads_the_parameters_that_botocore_sends(action: str, data: st.DataObject) -> None:
    operation = operation_model("ec2", action)
    parameters = pruned(data.draw(values_of(operation.input_shape)))
    fields = create_serializer("ec2", include_validation=False).serialize_to_request(parameters, operation)["body"]
    texts = {name: _text(value) for name, value in fields.items()}
    if any(name not in parameters for name in operation.input_shape.required_members):
        with pytest.raises(WireError, match="must contain the parameter"):
            ec2_query.parse_parameters(action, texts)
    else:
        assert ec2_query.parse_parameters(action, texts) == parameters


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("action", ACTIONS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_botocore_reads_the_model_s_answers(action: str, data: st.DataObject) -> None:
    operation = operation_model("ec2", action)
    if operation.output_shape is None:
        assert b"<return>true</return>" in ec2_xml.answer_document(action, {}, "request")
        return
    answer = data.draw(values_of(operation.output_shape))
    response = {"status_code": 200, "headers": {}, "body": ec2_xml.answer_document(action, answer, "request")}
    read = create_parser("ec2").parse(response, operation.output_shape)
    assert read.pop("ResponseMetadata")["RequestId"] == "request"
    assert pruned(read) == pruned(answer)


def test_an_error_document_is_read_with_its_code_and_message() -> None:
    response = {
        "status_code": 400,
        "headers": {},
        "body": ec2_xml.error_document("InvalidSnapshot.InUse", "by <ami> & co", "request"),
    }
    read = create_parser("ec2").parse(response, operation_model("ec2", "DeleteSnapshot").output_shape)
    assert (read["Error"]["Code"], read["Error"]["Message"]) == ("InvalidSnapshot.InUse", "by <ami> & co")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Colour": "red"}, "UnknownParameter"),
        ({"Filter.1.Colour": "red"}, "UnknownParameter"),
        ({"MaxResults": "many"}, "InvalidParameterValue"),
        ({"DryRun": "perhaps"}, "InvalidParameterValue"),
        ({"SnapshotId.first": "snap-1"}, "InvalidParameterValue"),
        ({"Filter": "tag:a"}, "InvalidParameterValue"),
    ],
)
def test_an_unreadable_request_gets_ec2_s_error_code(fields: dict[str, str], code: str) -> None:
    with pytest.raises(WireError) as caught:
        ec2_query.parse_parameters("DescribeSnapshots", fields)
    assert caught.value.code == code


def test_a_block_travels_in_the_body_and_its_checksum_in_headers() -> None:
    operation = operation_model("ebs", "GetSnapshotBlock")
    block = {"DataLength": 3, "BlockData": b"\x00\x01\x02", "Checksum": "abc=", "ChecksumAlgorithm": "SHA256"}
    answer = rest_json.answer(operation, block, "request")
    assert (answer.body, answer.headers["x-amz-Checksum"], answer.headers["x-amz-Data-Length"]) == (b"\x00\x01\x02", "abc=", "3")


@pytest.mark.parametrize("action", sorted(action for action in SERVICES["ebs"] if action in service_model("ebs").operation_names))
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_direct_api_reads_the_parameters_that_botocore_sends(action: str, data: st.DataObject) -> None:
    operation = operation_model("ebs", action)
    parameters = data.draw(values_of(operation.input_shape))
    parameters = {name: value for name, value in parameters.items() if "/" not in str(value)}
    if any(name not in parameters for name in operation.input_shape.required_members):
        return
    request = create_serializer("rest-json", include_validation=False).serialize_to_request(parameters, operation)
    answered, labels = rest_json.find_action("ebs", request["method"], request["url_path"])
    assert answered == action
    query = {name: [str(value)] for name, value in request["query_string"].items()}
    headers = {name.lower(): str(value) for name, value in request["headers"].items()}
    body = request["body"] if isinstance(request["body"], bytes) else str(request["body"]).encode()
    assert rest_json.parse_request(operation, labels, query, headers, body) == parameters


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\ufffe", "\ud800"])
def test_a_character_that_no_answer_can_carry_is_refused(character: str) -> None:
    """One escape in a tag made each listing of the world unreadable for good."""
    fields = {"ResourceId.1": "vol-1", "Tag.1.Key": "Name", "Tag.1.Value": f"a{character}b"}
    with pytest.raises(WireError, match=r"The parameter Tag.1.Value has a character that XML 1.0 does not have"):
        ec2_query.parse_parameters("CreateTags", fields)
    assert ec2_query.parse_parameters("CreateTags", fields | {"Tag.1.Value": "\t\n\x7f\x9b\u202e\U0001f600"})
