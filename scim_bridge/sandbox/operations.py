"""Which of Identity Center's operations is a request, and what does the endpoint answer to it?

The fifteen operations and their answers are those of the AWS SCIM developer guide. Everything else
below the endpoint (`/Me`, `/Bulk`, `/.search`, PUT of a group) is a ValidationException, whose
description covers unsupported operations; AWS's real answer was not seen. [inferred]
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from scim_bridge.sandbox import discovery
from scim_bridge.sandbox.lists import page, parse_list_query
from scim_bridge.sandbox.refusals import Invalid
from scim_bridge.sandbox.state import IdentityStore

# As ServiceProviderConfig's maxPayloadSize has it; that single requests are held to it is
# [inferred].
MOST_BYTES = 1024 * 1024
# Nothing that Identity Center takes comes near it.
DEEPEST = 20

_MEDIA_TYPES = ("application/json", "application/scim+json")
_NAMES = {
    ("POST", "/Users"): "CreateUser",
    ("GET", "/Users"): "ListUsers",
    ("GET", "/Users/*"): "GetUser",
    ("PATCH", "/Users/*"): "PatchUser",
    ("PUT", "/Users/*"): "PutUser",
    ("DELETE", "/Users/*"): "DeleteUser",
    ("POST", "/Groups"): "CreateGroup",
    ("GET", "/Groups"): "ListGroups",
    ("GET", "/Groups/*"): "GetGroup",
    ("PATCH", "/Groups/*"): "PatchGroup",
    ("DELETE", "/Groups/*"): "DeleteGroup",
    ("GET", "/ServiceProviderConfig"): "ServiceProviderConfig",
    ("GET", "/Schemas"): "ListSchemas",
    ("GET", "/Schemas/*"): "GetSchema",
    ("GET", "/ResourceTypes"): "ListResourceTypes",
}
# Under this name whatever AWS does not support is counted.
UNSUPPORTED = "Unsupported"
_PATH = re.compile(r"(?P<collection>/[A-Za-z]+)(?:/(?P<id>[^/]+))?")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What is asked for: an operation as AWS names it, and the id or URN in its path."""

    name: str
    target: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is answered; `body` is what JSON is made of, None for no body."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


def operation_of(method: str, path: str) -> Operation:
    """The operation of a request; `path` is below the endpoint, such as `/Users/<id>`."""
    match = _PATH.fullmatch(path)
    if match is None:
        return Operation(name=UNSUPPORTED)
    shape = match["collection"] + ("/*" if match["id"] else "")
    name = _NAMES.get((method, shape), UNSUPPORTED)
    return Operation(name=name, target=match["id"] or "")


def read_json(body: bytes, content_type: str | None) -> object:
    """The JSON that was sent; raises Invalid for anything else. A missing type is taken as JSON."""
    media_type = (content_type or _MEDIA_TYPES[0]).split(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise Invalid(f"Content-Type: must be {' or '.join(_MEDIA_TYPES)}, not {media_type}")
    if len(body) > MOST_BYTES:
        raise Invalid(f"the body is larger than {MOST_BYTES} bytes")
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the body is not JSON: {error}") from error
    if is_deeper(value, than=DEEPEST):
        raise Invalid("the body is nested too deeply")
    return value


def is_deeper(value: object, *, than: int) -> bool:
    """Whether objects and lists are nested more than `than` times."""
    match value:
        case dict():
            inner = list(value.values())
        case list():
            inner = value
        case _:
            return False
    return than == 0 or any(is_deeper(child, than=than - 1) for child in inner)


def perform(
    operation: Operation,
    body: object,
    query: str,
    *,
    store: IdentityStore,
    scim_endpoint: str,
    page_size: int | None = None,
) -> Answer:
    """Do what is asked for; raises Refused, and has then changed nothing."""
    target = operation.target
    match operation.name:
        case "CreateUser":
            return Answer(status=201, body=store.create_user(body).scim())
        case "ListUsers":
            return list_page("ListUsers", query, store=store, page_size=page_size)
        case "GetUser":
            return Answer(status=200, body=store.user(target).scim())
        case "PatchUser":
            user = store.patch_user(target, body)
            return Answer(status=200, body=user.scim())
        case "PutUser":
            user = store.put_user(target, body)
            return Answer(status=200, body=user.scim())
        case "DeleteUser":
            store.delete_user(target)
            return Answer(status=204)
        case "CreateGroup":
            group = store.create_group(body)
            return Answer(status=201, body=group.scim())
        case "ListGroups":
            return list_page("ListGroups", query, store=store, page_size=page_size)
        case "GetGroup":
            return Answer(status=200, body=store.group(target).scim())
        case "PatchGroup":
            store.patch_group(target, body)
            return Answer(status=204)
        case "DeleteGroup":
            store.delete_group(target)
            return Answer(status=204)
        case _:
            return Answer(status=200, body=_described(operation, scim_endpoint=scim_endpoint))


def list_page(
    name: str,
    query: str,
    *,
    store: IdentityStore,
    empty: bool = False,
    page_size: int | None = None,
) -> Answer:
    """One page of a list; an `empty` one is a fault, for a list that is wrongly short."""
    asked = parse_list_query(query)
    found = (store.list_users if name == "ListUsers" else store.list_groups)(asked.filter)
    listed = [] if empty else found
    return Answer(status=200, body=page(listed, asked, kind=name, most=page_size))


def _described(operation: Operation, *, scim_endpoint: str) -> dict[str, Any]:
    match operation.name:
        case "ServiceProviderConfig":
            return discovery.SERVICE_PROVIDER_CONFIG
        case "ListSchemas":
            return discovery.schemas()
        case "GetSchema":
            return discovery.schema(operation.target)
        case "ListResourceTypes":
            return discovery.resource_types(scim_endpoint)
        case _:
            raise Invalid("this operation is not supported")


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
