"""What does the endpoint say about itself?

The values of ServiceProviderConfig and ResourceTypes are those of AWS's examples (AWS SCIM
developer guide, ServiceProviderConfig and ListResourceTypes). The schemas describe what AWS
supports; their wording is the sandbox's own.
"""

from typing import Any

from scim_bridge.sandbox.groups import GROUP
from scim_bridge.sandbox.lists import LIST_RESPONSE
from scim_bridge.sandbox.refusals import Invalid
from scim_bridge.sandbox.users import ENTERPRISE, USER

SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"
RESOURCE_TYPE = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
PROVIDER_CONFIG = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"

_GUIDE = "https://docs.aws.amazon.com/singlesignon/latest/userguide/"

SERVICE_PROVIDER_CONFIG: dict[str, Any] = {
    "schemas": [PROVIDER_CONFIG],
    "documentationUri": f"{_GUIDE}manage-your-identity-source-idp.html",
    "authenticationSchemes": [
        {
            "type": "oauthbearertoken",
            "name": "OAuth Bearer Token",
            "description": "Authentication scheme using the OAuth Bearer Token Standard",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "documentationUri": f"{_GUIDE}provision-automatically.html",
            "primary": True,
        }
    ],
    "patch": {"supported": True},
    "bulk": {"supported": False, "maxOperations": 1, "maxPayloadSize": 1048576},
    "filter": {"supported": True, "maxResults": 50},
    "changePassword": {"supported": False},
    "sort": {"supported": False},
    "etag": {"supported": False},
}


def resource_types(scim_endpoint: str) -> dict[str, Any]:
    """The two types. AWS marks the extension as required, and does not enforce it."""
    extension = [{"schema": ENTERPRISE, "required": True}]
    return _list(
        [
            _resource_type("User", USER, scim_endpoint, schemaExtensions=extension),
            _resource_type("Group", GROUP, scim_endpoint),
        ]
    )


def schemas() -> dict[str, Any]:
    return _list(list(_SCHEMAS.values()))


def schema(urn: str) -> dict[str, Any]:
    """One schema. GetSchema lists no 404, so an unknown one is a 400. [documented by omission]"""
    if urn not in _SCHEMAS:
        raise Invalid(f"there is no schema {urn}")
    return _SCHEMAS[urn]


def _list(resources: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "totalResults": len(resources),
        "itemsPerPage": len(resources),
        "startIndex": 1,
        "schemas": [LIST_RESPONSE],
        "Resources": resources,
    }


def _resource_type(name: str, urn: str, scim_endpoint: str, **more: object) -> dict[str, Any]:
    return {
        "schemas": [RESOURCE_TYPE],
        "id": name,
        "name": name,
        "description": name,
        "endpoint": f"/{name}s",
        "schema": urn,
        **more,
        "meta": {
            "resourceType": "ResourceType",
            "location": f"{scim_endpoint}/ResourceTypes/{name}",
        },
    }


def _attribute(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": "string",
        "multiValued": False,
        "required": False,
        "caseExact": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
        **more,
    }


def _complex(name: str, *subs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return _attribute(name, type="complex", subAttributes=list(subs), **more)


def _attributes(*names: str) -> list[dict[str, Any]]:
    return [_attribute(name) for name in names]


def _schema(urn: str, name: str, *attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        "schemas": [SCHEMA],
        "id": urn,
        "name": name,
        "description": name,
        "attributes": list(attributes),
        "meta": {"resourceType": "Schema", "location": f"/Schemas/{urn}"},
    }


_TYPED = [*_attributes("value", "type"), _attribute("primary", type="boolean")]
_PLACE = _attributes(
    "formatted", "streetAddress", "locality", "region", "postalCode", "country", "type"
)

_SCHEMAS = {
    USER: _schema(
        USER,
        "User",
        _attribute("userName", required=True, uniqueness="server"),
        _complex(
            "name",
            _attribute("familyName", required=True),
            _attribute("givenName", required=True),
            *_attributes("formatted", "middleName", "honorificPrefix", "honorificSuffix"),
            required=True,
        ),
        _attribute("displayName", required=True),
        *_attributes("nickName", "profileUrl", "title", "userType", "preferredLanguage"),
        *_attributes("locale", "timezone"),
        _attribute("active", type="boolean"),
        _complex("emails", *_TYPED, multiValued=True),
        _complex("phoneNumbers", *_TYPED, multiValued=True),
        _complex("addresses", *_PLACE, _attribute("primary", type="boolean"), multiValued=True),
        _complex("roles", *_TYPED, multiValued=True),
    ),
    GROUP: _schema(
        GROUP,
        "Group",
        _attribute("displayName", required=True, uniqueness="server"),
        _complex("members", *_attributes("value", "$ref", "type"), multiValued=True),
    ),
    ENTERPRISE: _schema(
        ENTERPRISE,
        "EnterpriseUser",
        *_attributes("employeeNumber", "costCenter", "organization", "division", "department"),
        _complex("manager", *_attributes("value", "$ref")),
    ),
}
