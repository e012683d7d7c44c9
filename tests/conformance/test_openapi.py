"""The OpenAPI document: what a server publishes is what it is sent, and what it must answer."""

import jsonschema_rs
import pytest
import schemathesis
from schemathesis.core.result import Ok

from conformance import openapi
from conformance.suites.fuzz import discovered
from conformance.target import Target


@pytest.fixture(scope="module")
def kinds(stock):
    """Users with the enterprise extension, and groups."""
    with Target(stock.url, stock.token) as target:
        return discovered(target)


def test_every_endpoint_of_the_protocol_is_in_it(kinds):
    """RFC 7644 3.2, with what each resource type adds; /Me is only read."""
    paths = openapi.document(kinds, ids={})["paths"]
    offered = {path: {*of} for path, of in paths.items()}

    for endpoint in ("/Users", "/Groups"):
        assert offered[endpoint] == {"get", "post"}
        assert offered[f"{endpoint}/{{id}}"] == {"get", "put", "patch", "delete"}
        assert offered[f"{endpoint}/.search"] == {"post"}
    assert offered["/Bulk"] == offered["/.search"] == {"post"}
    assert offered["/Me"] == {"get"}
    assert {"/", "/ServiceProviderConfig", "/Schemas/{id}", "/ResourceTypes/{id}"} <= offered.keys()


def test_schemathesis_understands_it(kinds):
    """Every operation can be used: a mistake in the document would leave it untested."""
    document = openapi.document(kinds, ids={"/Users": ["1"]})
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config())
    operations = list(schema.get_all_operations())

    assert len(operations) > 20
    assert all(isinstance(one, Ok) for one in operations)


def test_an_answer_is_held_against_the_servers_own_schema(kinds):
    """Types and several values as announced, extensions included; id and schemas are there."""
    [user] = [kind for kind in kinds if kind.name == "User"]
    validator = jsonschema_rs.validator_for(openapi.answered(user))
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    good = {"schemas": [user.urn], "id": "1", "active": True, "emails": [{"value": "a@b"}]}

    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "active": "True"})
    assert not validator.is_valid({**good, "emails": {"value": "a@b"}})
    assert not validator.is_valid({**good, enterprise: {"department": 7}})
    assert not validator.is_valid({"id": "1"})


def test_paths_and_filters_name_every_attribute(kinds):
    """Sub-attributes and extensions as RFC 7644 3.10 writes them."""
    [user] = [kind for kind in kinds if kind.name == "User"]
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

    assert {"userName", "name.familyName", "meta.created"} <= set(user.paths())
    assert f"{enterprise}:manager.value" in user.paths()
    assert "name.familyName pr" in openapi.filters(user.paths())


@pytest.mark.parametrize("nonsense", [None, 7, "text", [None, 7], [{"id": 1}], {"Resources": []}])
def test_what_cannot_be_understood_is_left_out(nonsense):
    """A server may publish anything."""
    assert openapi.kinds(nonsense, nonsense) == []
