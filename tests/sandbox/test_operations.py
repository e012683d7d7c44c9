"""Which operations there are, and what every answer has in common."""

import json
import re
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
import requests

from scim_bridge.sandbox import BEARER_TOKEN
from scim_bridge.sandbox.operations import MOST_BYTES, operation_of

ERROR = ["urn:ietf:params:scim:api:messages:2.0:Error"]
NESTED = b'{"name": ' + b"[" * 500 + b"]" * 500 + b"}"
VIOLATES = "Request is unparsable, syntactically incorrect, or violates schema."


def test_an_error_has_the_body_that_clients_captured(sandbox):
    """schema and schemas, a string status, detail, exceptionRequestId, timeStamp without zone, no
    scimType. [observed by clients]
    """
    response = sandbox.post("/Users", {})
    body = response.json()
    assert body == {
        "schema": ERROR,
        "schemas": ERROR,
        "detail": VIOLATES,
        "status": "400",
        "exceptionRequestId": response.headers["x-amzn-RequestId"],
        "timeStamp": body["timeStamp"],
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", body["timeStamp"])
    assert response.headers["Content-Type"] == "application/json"


def test_every_answer_has_a_request_id_of_its_own(sandbox):
    """x-amzn-RequestId is on every answer. [documented]"""
    user = sandbox.create_user()
    paths = [f"/Users/{user['id']}", "/Users", "/Users/unknown", "/Me"]
    answers = [sandbox.get(path) for path in paths]
    answers.append(sandbox.delete(f"/Users/{user['id']}"))
    ids = {answer.headers["x-amzn-RequestId"] for answer in answers}
    assert len(ids) == len(answers)


def test_answers_have_no_etag_and_ignore_conditions(sandbox):
    """ETags are not supported. [documented]"""
    user = sandbox.create_user()
    path = f"/Users/{user['id']}"
    response = sandbox.call("GET", path, headers={"If-None-Match": '"x"', "If-Match": '"x"'})
    assert response.status_code == 200
    assert not {"ETag", "Location"} & response.headers.keys()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/Me"),
        ("PATCH", "/Me"),
        ("POST", "/Bulk"),
        ("POST", "/.search"),
        ("POST", "/Search"),
        ("POST", "/Users/.search"),
        ("PUT", "/Users"),
        ("DELETE", "/Users"),
        ("POST", "/Users/x"),
        ("PUT", "/Groups/x"),
        ("POST", "/ServiceProviderConfig"),
        ("GET", "/ResourceTypes/User"),
        ("GET", "/Users/x/groups"),
        ("GET", "/users"),
    ],
)
def test_what_is_not_supported_is_a_400(sandbox, method, path):
    """/Me, /Bulk, /.search and others are not supported [documented]; ValidationException covers
    unsupported operations, what AWS really answers was not seen [inferred].
    """
    response = sandbox.call(method, path, {})
    assert (response.status_code, response.json()["detail"]) == (400, VIOLATES)
    assert sandbox.calls() == {"Unsupported": {"400": 1}}


@pytest.mark.parametrize(
    "path", ["Users", "/scim/v2Users", "/scim/v2", "/scim/v2/", "/scim/v2//Users"]
)
def test_an_address_beside_the_endpoint_is_a_404(sandbox, path):
    """An address without the slash is a 404. [observed by clients]"""
    root = sandbox.server.scim_endpoint.removesuffix("/scim/v2")
    response = sandbox.session.get(f"{root}{path}", timeout=10)
    assert response.status_code == 404
    assert "GET / says what there is" in response.json()["message"]


def test_a_patch_without_a_user_agent_is_blocked(sandbox):
    """AWS is reported to block PATCH lacking User-Agent. [observed by clients]"""
    user = sandbox.create_user()
    operation = {"op": "replace", "path": "title", "value": "x"}
    schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
    body = json.dumps({"schemas": schemas, "Operations": [operation]})
    address = urlsplit(f"{sandbox.server.scim_endpoint}/Users/{user['id']}")
    # Unlike every other client at hand, http.client adds no User-Agent of its own.
    with closing(HTTPConnection(address.hostname, address.port, timeout=10)) as connection:
        for headers, status in (({}, 403), ({"User-Agent": "probe"}, 200)):
            authorization = {"Authorization": f"Bearer {BEARER_TOKEN}"}
            connection.request("PATCH", address.path, body, {**headers, **authorization})
            response = connection.getresponse()
            answer = json.load(response)
            assert response.status == status
            assert status == 200 or answer["__type"] == "AccessDeniedException"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/scim+json", "application/json; charset=utf-8", None],
)
def test_json_and_scim_json_are_taken(sandbox, person, content_type):
    """Both types are sent by clients with success; the guide's examples send none. [observed]"""
    response = sandbox.call("POST", "/Users", person(), headers={"Content-Type": content_type})
    assert response.status_code == 201


def test_another_content_type_is_refused(sandbox, person):
    """Anything else is the generic 400. [inferred]"""
    response = sandbox.call("POST", "/Users", person(), headers={"Content-Type": "text/plain"})
    assert response.status_code == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b'{"userName": NaN}', b"[" * 100_000, NESTED],
    ids=["nothing", "broken", "a list", "a string", "null", "no UTF-8", "NaN", "deep", "nested"],
)
@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_what_is_no_json_object_is_refused(sandbox, kind, body):
    """A request that cannot be parsed is a ValidationException. [documented]"""
    response = requests.post(
        f"{sandbox.server.scim_endpoint}/{kind}",
        data=body,
        headers={"Authorization": f"Bearer {BEARER_TOKEN}"},
        timeout=10,
    )
    assert (response.status_code, response.json()["detail"]) == (400, VIOLATES)


def test_a_body_above_the_stated_size_is_refused(sandbox, person):
    """maxPayloadSize is 1048576. [documented for Bulk; that it counts here is inferred]"""
    response = sandbox.post("/Users", {**person(), "title": "x" * MOST_BYTES})
    assert response.status_code == 400
    assert "larger than" in sandbox.last_reason()


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/Users", "CreateUser"),
        ("GET", "/Users/u1", "GetUser"),
        ("GET", "/Users", "ListUsers"),
        ("PATCH", "/Users/u1", "PatchUser"),
        ("PUT", "/Users/u1", "PutUser"),
        ("DELETE", "/Users/u1", "DeleteUser"),
        ("POST", "/Groups", "CreateGroup"),
        ("GET", "/Groups/g1", "GetGroup"),
        ("GET", "/Groups", "ListGroups"),
        ("PATCH", "/Groups/g1", "PatchGroup"),
        ("DELETE", "/Groups/g1", "DeleteGroup"),
        ("GET", "/ServiceProviderConfig", "ServiceProviderConfig"),
        ("GET", "/Schemas", "ListSchemas"),
        ("GET", "/Schemas/urn:x:y", "GetSchema"),
        ("GET", "/ResourceTypes", "ListResourceTypes"),
    ],
)
def test_the_fifteen_operations_have_aws_s_names(method, path, name):
    """Operation names are those of the guide and of CloudTrail. [documented]"""
    assert operation_of(method, path).name == name
