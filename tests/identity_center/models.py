"""What botocore's service models say of a request and of an answer."""

import functools
from typing import Any

import botocore.session
from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator

# The service model behind a prefix of X-Amz-Target.
TARGETS = {
    "AWSIdentityStore": "identitystore",
    "SWBExternalService": "sso-admin",
    "AWSOrganizationsV20161128": "organizations",
}
# Values that a client reads, and so must be as AWS writes them.
SAMPLES = {"Duration": "PT8H30M", "AccountId": "111122223333", "TargetId": "111122223333"}


@functools.cache
def service(name: str) -> Any:
    return botocore.session.Session().get_service_model(name)


def operation_model(target: str) -> OperationModel:
    prefix, name = target.split(".")
    return service(TARGETS[prefix]).operation_model(name)


def problems_of(operation: OperationModel, body: Any) -> str:
    """What botocore finds wrong with a request: unknown or missing members, types, lengths."""
    return ParamValidator().validate(body, operation.input_shape).generate_report()


def sample(shape: Shape | None, name: str = "") -> Any:
    """An answer with every member of a shape, one item in each list, and no further page."""
    if shape is None:
        return {}
    match shape.type_name:
        case "structure" if getattr(shape, "is_document_type", False):
            return {}
        case "structure":
            members = {key: sample(inner, key) for key, inner in shape.members.items()}
            return {key: value for key, value in members.items() if key != "NextToken"}
        case "list":
            return [sample(shape.member, name)]
        case "map":
            return {}
        case "string":
            words = shape.metadata.get("enum")
            return words[-1] if words else SAMPLES.get(shape.name, f"the {name or shape.name}")
        case "boolean":
            return True
        case "timestamp":
            return 1.7e9
        case _:
            return 1
