"""What the discovery endpoints announce (RFC 7644, section 4)."""

from dataclasses import replace
from typing import Any

import pytest

from scim_bridge.directory.database import Database
from scim_bridge.settings import Groups, Settings
from tests.scim.conftest import ENTERPRISE, Scim, assert_error, serve

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


def attribute(scim: Scim, schema: str, *path: str) -> dict[str, Any]:
    """An attribute as `/Schemas` describes it."""
    node = scim.get(f"/Schemas/{schema}").json
    for name in path:
        children = node["attributes"] if "attributes" in node else node["subAttributes"]
        node = next(child for child in children if child["name"] == name)
    return dict(node)


@pytest.mark.parametrize(
    "path", [("userName",), ("name",), ("name", "givenName"), ("name", "familyName")]
)
def test_what_identity_center_requires_is_announced(scim: Scim, path: tuple[str, ...]) -> None:
    """AWS SCIM developer guide, CreateUser: userName and the two names are required."""
    assert attribute(scim, USER, *path)["required"] is True


def test_what_is_optional_is_not_announced_as_required(scim: Scim) -> None:
    """displayName is filled in when it is missing, and everything else may be missing."""
    for name in ("displayName", "emails", "title", "phoneNumbers"):
        assert attribute(scim, USER, name)["required"] is False


@pytest.mark.parametrize(
    ("endpoint", "mutability"), [("scim", "immutable"), ("renaming", "readWrite")]
)
def test_whether_a_user_name_may_change_is_announced(
    endpoint: str, mutability: str, request: pytest.FixtureRequest
) -> None:
    """`[users] username_changes` as clients can read it (RFC 7643, section 7)."""
    user_name = attribute(request.getfixturevalue(endpoint), USER, "userName")

    assert (user_name["mutability"], user_name["uniqueness"]) == (mutability, "server")


def test_unique_names_are_announced(scim: Scim) -> None:
    """Identity Center refuses two groups of one name; RFC 7643 alone would allow them."""
    assert attribute(scim, GROUP, "displayName")["uniqueness"] == "server"
    assert "unique" in attribute(scim, USER, "emails")["description"]


def test_the_enterprise_extension_is_announced(scim: Scim) -> None:
    """RFC 7643, section 4.3."""
    types = scim.get("/ResourceTypes").json["Resources"]
    user = next(one for one in types if one["id"] == "User")

    assert user["schemaExtensions"][0] == {"schema": ENTERPRISE, "required": False}
    assert attribute(scim, ENTERPRISE, "department")["type"] == "string"


@pytest.mark.parametrize(("nested", "kinds"), [("skip", ["User"]), ("flatten", ["User", "Group"])])
def test_a_member_is_announced_to_be_what_is_kept_as_one(
    database: Database, settings: Settings, nested: Any, kinds: list[str]
) -> None:
    """RFC 7643, section 4.2, has users and groups. Identity Center has no groups in groups
    (Identity Store API, MemberId): they are members with `[groups] nested = "flatten"` only.
    """
    scim = serve(database, replace(settings, groups=Groups(nested=nested)))

    assert attribute(scim, GROUP, "members", "$ref")["referenceTypes"] == kinds
    assert attribute(scim, GROUP, "members", "type")["canonicalValues"] == kinds


def test_the_capabilities_are_announced(scim: Scim, settings: Any) -> None:
    """RFC 7643, section 5: what the other endpoints really do."""
    config = scim.get("/ServiceProviderConfig").json

    assert {
        name: config[name]["supported"]
        for name in ("patch", "bulk", "filter", "changePassword", "sort", "etag")
    } == {
        "patch": True,
        "bulk": True,
        "filter": True,
        "changePassword": False,
        "sort": True,
        "etag": True,
    }
    assert config["bulk"]["maxPayloadSize"] == settings.server.max_body
    assert [one["type"] for one in config["authenticationSchemes"]] == ["oauthbearertoken"]


def test_what_is_announced_holds_no_null(scim: Scim) -> None:
    """Entra's gallery applications read the schemas strictly."""
    for path in ("/Schemas", "/ResourceTypes", "/ServiceProviderConfig"):
        assert "null" not in scim.get(path).text


@pytest.mark.parametrize("name", ["ServiceProviderConfig", "ResourceType", "Schema"])
def test_what_describes_the_service_is_described_too(scim: Scim, name: str) -> None:
    """RFC 7643, section 8.7.2: listed among the schemas, and found by its id."""
    urn = f"urn:ietf:params:scim:schemas:core:2.0:{name}"

    listed = [one for one in scim.get("/Schemas").json["Resources"] if one["id"] == urn]
    assert listed == [scim.get(f"/Schemas/{urn}").json]
    assert listed[0]["name"] == name


def test_a_discovery_endpoint_has_no_filter(scim: Scim) -> None:
    """RFC 7644, section 4: a filter on a discovery endpoint is 403."""
    assert_error(scim.get('/Schemas?filter=id eq "x"'), 403)
