"""What the endpoint says about itself."""

import pytest

CORE = "urn:ietf:params:scim:schemas:core:2.0:"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def test_service_provider_config_has_aws_s_values(sandbox):
    """patch and filter are supported; bulk, sort, etag, changePassword are not; maxResults 50; one
    scheme, the bearer token. [documented]
    """
    config = sandbox.get("/ServiceProviderConfig").json()
    assert config["patch"] == {"supported": True}
    assert config["bulk"] == {"supported": False, "maxOperations": 1, "maxPayloadSize": 1048576}
    assert config["filter"] == {"supported": True, "maxResults": 50}
    assert not any(config[name]["supported"] for name in ("changePassword", "sort", "etag"))
    assert [one["type"] for one in config["authenticationSchemes"]] == ["oauthbearertoken"]


def test_resource_types_are_user_and_group(sandbox):
    """User with the enterprise extension marked as required, and Group; meta has a location.
    [documented]
    """
    answer = sandbox.get("/ResourceTypes").json()
    user, group = answer["Resources"]
    assert (answer["totalResults"], user["endpoint"], group["endpoint"]) == (2, "/Users", "/Groups")
    assert user["schemaExtensions"] == [{"schema": ENTERPRISE, "required": True}]
    location = f"{sandbox.server.scim_endpoint}/ResourceTypes/User"
    assert user["meta"] == {"resourceType": "ResourceType", "location": location}


@pytest.mark.parametrize("urn", [f"{CORE}User", f"{CORE}Group", ENTERPRISE])
def test_each_schema_can_be_read_alone_and_in_the_list(sandbox, urn):
    """ListSchemas and GetSchema answer static definitions. [documented]"""
    one = sandbox.get(f"/Schemas/{urn}").json()
    assert one["id"] == urn
    assert one in sandbox.get("/Schemas").json()["Resources"]


def test_the_user_schema_requires_the_four_names(sandbox):
    """userName, name.givenName, name.familyName and displayName are required. [documented]"""
    attributes = sandbox.get(f"/Schemas/{CORE}User").json()["attributes"]
    required = {one["name"] for one in attributes if one["required"]}
    [name] = [one for one in attributes if one["name"] == "name"]
    inner = {one["name"] for one in name["subAttributes"] if one["required"]}
    assert (required, inner) == ({"userName", "name", "displayName"}, {"givenName", "familyName"})


def test_an_unknown_schema_is_a_400(sandbox):
    """GetSchema lists no 404. [documented by omission]"""
    assert sandbox.get("/Schemas/urn:example:2.0:User").status_code == 400
