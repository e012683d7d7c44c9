"""What does a SCIM user or group say it grants? The extension as JSON, and the grants it names.

Grants are kept as rows beside the document (`scim_bridge.directory.assignments`); of the extension,
only what is left, its description, stays in the document.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from scim_bridge.plan.grants import AccountGrant, ApplicationGrant, Grant
from scim_bridge.plan.state import Kind

Document = dict[str, Any]

GROUP_EXTENSION = "urn:ietf:params:scim:schemas:extension:scimbridge:2.0:Group"
USER_EXTENSION = "urn:ietf:params:scim:schemas:extension:scimbridge:2.0:User"

ACCOUNT_ASSIGNMENTS = "accountAssignments"
APPLICATIONS = "applications"
PROVISIONING = "provisioning"

_EXTENSIONS: dict[Kind, str] = {"user": USER_EXTENSION, "group": GROUP_EXTENSION}
# Those that name grants.
EXTENSIONS = frozenset(_EXTENSIONS.values())
_NOT_IN_THE_DOCUMENT = (ACCOUNT_ASSIGNMENTS, APPLICATIONS, PROVISIONING)


@dataclass(frozen=True, kw_only=True, order=True)
class NamedGrant:
    """A grant as somebody named it: a permission set in an account, or an application.

    Permission sets and applications are named by their name or by their ARN.
    """

    account: str = ""
    permission_set: str = ""
    application: str = ""

    def __str__(self) -> str:
        if self.application:
            return f"application {self.application!r}"
        return f"permission set {self.permission_set!r} in account {self.account!r}"


def named_by_arn(grant: Grant) -> NamedGrant:
    """A grant by its ARN: for what nobody named yet."""
    match grant:
        case AccountGrant():
            return NamedGrant(account=grant.account, permission_set=grant.permission_set)
        case ApplicationGrant():
            return NamedGrant(application=grant.application)
        case _:
            assert_never(grant)


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a client says that a resource is to be granted."""

    # The whole list.
    grants: Sequence[NamedGrant] = ()
    # What is to be taken away whoever gave it, in the directory or not.
    named: Sequence[NamedGrant] = ()


def extension_of(kind: Kind) -> str:
    """The schema of the extension that says what a resource of this kind is granted."""
    return _EXTENSIONS[kind]


def grants_in(document: Document) -> tuple[NamedGrant, ...]:
    """The grants that a resource, as JSON, names in its extension; each once, in their order."""
    found = [
        grant for schema in _EXTENSIONS.values() for grant in _grants(document.get(schema) or {})
    ]
    return tuple(dict.fromkeys(found))


def without_grants(document: Document) -> Document:
    """A resource, as JSON, without what is kept as rows."""
    kept = {**document, "schemas": list(document.get("schemas") or ())}
    for schema in _EXTENSIONS.values():
        if schema not in kept and schema not in kept["schemas"]:
            continue
        extension = kept.pop(schema, None) or {}
        rest = {name: extension[name] for name in extension if name not in _NOT_IN_THE_DOCUMENT}
        if rest:
            kept[schema] = rest
        else:
            kept["schemas"] = [one for one in kept["schemas"] if one != schema]
    if "schemas" not in document:
        del kept["schemas"]
    return kept


def as_json(grants: Iterable[NamedGrant]) -> Document:
    """Grants as the extension shows them."""
    shown: Document = {}
    for grant in grants:
        if grant.application:
            shown.setdefault(APPLICATIONS, []).append({"value": grant.application})
        else:
            entry = {"accountId": grant.account, "permissionSet": grant.permission_set}
            shown.setdefault(ACCOUNT_ASSIGNMENTS, []).append(entry)
    return shown


def _grants(extension: Document) -> Iterable[NamedGrant]:
    for entry in extension.get(ACCOUNT_ASSIGNMENTS) or ():
        yield NamedGrant(
            account=entry.get("accountId") or "",
            permission_set=entry.get("permissionSet") or "",
        )
    for entry in extension.get(APPLICATIONS) or ():
        yield NamedGrant(application=entry.get("value") or "")
