"""Which calls does the SSO Admin API have?

They are named after the model ``sso-admin`` of botocore. It shares 20 calls a second with everybody
who uses it in the account.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Unpack

from scim_bridge.errors import Unavailable
from scim_bridge.identity_center.api_payloads import (
    ACCOUNT_ASSIGNMENT,
    APPLICATION,
    APPLICATION_ASSIGNMENT,
    CUSTOMER_POLICY,
    INSTANCE,
    MANAGED_POLICY,
    PRINCIPAL_TYPES,
    AccountAssignment,
    Application,
    ApplicationAssignment,
    AssignmentStatus,
    Instance,
    PermissionSet,
    ProvisioningStatus,
    read,
    read_assignment_progress,
    read_assignment_status,
    read_permission_set,
    read_provisioning_status,
    read_word,
)
from scim_bridge.identity_center.circuit import Circuit
from scim_bridge.identity_center.exchange import Answer
from scim_bridge.identity_center.instance import Site
from scim_bridge.identity_center.json_api import JsonApi, TurnPage, Written
from scim_bridge.identity_center.transport import Haste
from scim_bridge.plan.grants import AccountGrant, ApplicationGrant
from scim_bridge.plan.state import Kind

# ListApplications shows no more at once.
APPLICATIONS_PER_PAGE = 50


class SsoAdmin:
    """The permission sets of one instance, and who holds what.

    Account assignments and provisioning are asynchronous: the status is asked for by its request
    id. `Conflict` means that an earlier write has not spread yet, and that the call is to be made
    again. `Missing` does not say what is missing.
    """

    def __init__(self, api: JsonApi, site: Site) -> None:
        self._api = api
        self._site = site

    @property
    def api(self) -> JsonApi:
        return self._api

    @property
    def circuit(self) -> Circuit:
        return self._api.circuit

    def describe_instance(self, **haste: Unpack[Haste]) -> Instance:
        shown: Instance = read(INSTANCE, self._ask("DescribeInstance", {}, haste).body)
        return shown

    # -- Permission sets ------------------------------------------------

    def list_permission_sets(
        self, *, turn_page: TurnPage | None = None, **haste: Unpack[Haste]
    ) -> Iterator[str]:
        """The ARNs of all permission sets. What they are called takes one call for each."""
        shown = self._pages(
            "ListPermissionSets", {}, "PermissionSets", turn_page=turn_page, **haste
        )
        return map(read_word, shown)

    def describe_permission_set(self, arn: str, **haste: Unpack[Haste]) -> PermissionSet:
        answer = self._ask("DescribePermissionSet", _set(arn), haste)
        return read_permission_set(answer.body)

    def accounts_of(
        self, permission_set: str, *, turn_page: TurnPage | None = None, **haste: Unpack[Haste]
    ) -> Iterator[str]:
        """The accounts that a permission set is provisioned to."""
        shown = self._pages(
            "ListAccountsForProvisionedPermissionSet",
            _set(permission_set),
            "AccountIds",
            turn_page=turn_page,
            **haste,
        )
        return map(read_word, shown)

    def permission_sets_of(
        self, account: str, *, turn_page: TurnPage | None = None, **haste: Unpack[Haste]
    ) -> Iterator[str]:
        """The ARNs of the permission sets that are provisioned to an account."""
        shown = self._pages(
            "ListPermissionSetsProvisionedToAccount",
            {"AccountId": account},
            "PermissionSets",
            turn_page=turn_page,
            **haste,
        )
        return map(read_word, shown)

    def policy_names(
        self, permission_set: str, *, turn_page: TurnPage | None = None, **haste: Unpack[Haste]
    ) -> Iterator[str]:
        """What is attached to a permission set: AWS's policies, then the customer's with path."""
        lists = (
            ("ListManagedPoliciesInPermissionSet", "AttachedManagedPolicies", MANAGED_POLICY),
            (
                "ListCustomerManagedPolicyReferencesInPermissionSet",
                "CustomerManagedPolicyReferences",
                CUSTOMER_POLICY,
            ),
        )
        for operation, key, schema in lists:
            asked = _set(permission_set)
            for shown in self._pages(operation, asked, key, turn_page=turn_page, **haste):
                yield read(schema, shown)

    # -- Account assignments --------------------------------------------

    def create_account_assignment(
        self, kind: Kind, principal: str, grant: AccountGrant, **haste: Unpack[Haste]
    ) -> AssignmentStatus:
        answer = self._ask(
            "CreateAccountAssignment", _account_assignment(kind, principal, grant), haste
        )
        return read_assignment_status(answer, "AccountAssignmentCreationStatus")

    def delete_account_assignment(
        self, kind: Kind, principal: str, grant: AccountGrant, **haste: Unpack[Haste]
    ) -> AssignmentStatus:
        """Take an assignment away, also from a principal that is gone."""
        answer = self._ask(
            "DeleteAccountAssignment", _account_assignment(kind, principal, grant), haste
        )
        return read_assignment_status(answer, "AccountAssignmentDeletionStatus")

    def creation_status(self, request_id: str, **haste: Unpack[Haste]) -> AssignmentStatus:
        asked = {"AccountAssignmentCreationRequestId": request_id}
        answer = self._ask("DescribeAccountAssignmentCreationStatus", asked, haste)
        return read_assignment_status(answer, "AccountAssignmentCreationStatus")

    def creations_under_way(
        self, *, turn_page: TurnPage | None = None, **haste: Unpack[Haste]
    ) -> Iterator[AssignmentStatus]:
        """The creations, by anybody, that AWS is not done with: no list shows them yet. Whose they
        are is said by `creation_status` only.
        """
        shown = self._pages(
            "ListAccountAssignmentCreationStatus",
            {"Filter": {"Status": "IN_PROGRESS"}},
            "AccountAssignmentsCreationStatus",
            turn_page=turn_page,
            **haste,
        )
        return map(read_assignment_progress, shown)

    def deletion_status(self, request_id: str, **haste: Unpack[Haste]) -> AssignmentStatus:
        asked = {"AccountAssignmentDeletionRequestId": request_id}
        answer = self._ask("DescribeAccountAssignmentDeletionStatus", asked, haste)
        return read_assignment_status(answer, "AccountAssignmentDeletionStatus")

    def assignments_of(
        self,
        kind: Kind,
        principal: str,
        *,
        account: str | None = None,
        turn_page: TurnPage | None = None,
        **haste: Unpack[Haste],
    ) -> Iterator[AccountAssignment]:
        """What a principal holds, in one account or in all.

        A row names its principal: it may be another than the one asked for, such as a group of the
        user (AWS does not say whether inherited assignments are shown).
        """
        asked = _who(kind, principal) | ({"Filter": {"AccountId": account}} if account else {})
        shown = self._pages(
            "ListAccountAssignmentsForPrincipal",
            asked,
            "AccountAssignments",
            turn_page=turn_page,
            **haste,
        )
        return (read(ACCOUNT_ASSIGNMENT, one) for one in shown)

    def assignments(
        self,
        account: str,
        permission_set: str,
        *,
        turn_page: TurnPage | None = None,
        **haste: Unpack[Haste],
    ) -> Iterator[AccountAssignment]:
        """Who holds a permission set in an account."""
        shown = self._pages(
            "ListAccountAssignments",
            {"AccountId": account, **_set(permission_set)},
            "AccountAssignments",
            turn_page=turn_page,
            **haste,
        )
        return (read(ACCOUNT_ASSIGNMENT, one) for one in shown)

    # -- Applications ---------------------------------------------------

    def list_applications(
        self, *, turn_page: TurnPage | None = None, **haste: Unpack[Haste]
    ) -> Iterator[Application]:
        shown = self._pages(
            "ListApplications",
            {},
            "Applications",
            page_size=APPLICATIONS_PER_PAGE,
            turn_page=turn_page,
            **haste,
        )
        return (read(APPLICATION, one) for one in shown)

    def create_application_assignment(
        self, kind: Kind, principal: str, grant: ApplicationGrant, **haste: Unpack[Haste]
    ) -> Written:
        body = {"ApplicationArn": grant.application, **_who(kind, principal)}
        answer = self._api.ask("CreateApplicationAssignment", body, **haste)
        return Written(request_id=answer.request_id)

    def delete_application_assignment(
        self, kind: Kind, principal: str, grant: ApplicationGrant, **haste: Unpack[Haste]
    ) -> Written:
        body = {"ApplicationArn": grant.application, **_who(kind, principal)}
        answer = self._api.ask("DeleteApplicationAssignment", body, **haste)
        return Written(request_id=answer.request_id)

    def application_assignments_of(
        self,
        kind: Kind,
        principal: str,
        *,
        turn_page: TurnPage | None = None,
        **haste: Unpack[Haste],
    ) -> Iterator[ApplicationAssignment]:
        """Which applications a principal may use."""
        shown = self._pages(
            "ListApplicationAssignmentsForPrincipal",
            _who(kind, principal),
            "ApplicationAssignments",
            turn_page=turn_page,
            **haste,
        )
        return (read(APPLICATION_ASSIGNMENT, one) for one in shown)

    def application_assignments(
        self, application: str, *, turn_page: TurnPage | None = None, **haste: Unpack[Haste]
    ) -> Iterator[ApplicationAssignment]:
        """Who may use an application."""
        shown = self._api.pages(
            "ListApplicationAssignments",
            {"ApplicationArn": application},
            "ApplicationAssignments",
            turn_page=turn_page,
            **haste,
        )
        return (read(APPLICATION_ASSIGNMENT, one) for one in shown)

    # -- Inline policies ------------------------------------------------

    def get_inline_policy(self, permission_set: str, **haste: Unpack[Haste]) -> str | None:
        """The JSON document of the inline policy. None: there is none."""
        answer = self._ask("GetInlinePolicyForPermissionSet", _set(permission_set), haste)
        return _policy(answer)

    def put_inline_policy(
        self, permission_set: str, document: str, **haste: Unpack[Haste]
    ) -> Written:
        """Replace the inline policy. It reaches the accounts by `provision_permission_set`."""
        body = {**_set(permission_set), "InlinePolicy": document}
        answer = self._ask("PutInlinePolicyToPermissionSet", body, haste)
        return Written(request_id=answer.request_id)

    def delete_inline_policy(self, permission_set: str, **haste: Unpack[Haste]) -> Written:
        """Take the inline policy out: AWS takes no empty one."""
        answer = self._ask("DeleteInlinePolicyFromPermissionSet", _set(permission_set), haste)
        return Written(request_id=answer.request_id)

    def provision_permission_set(
        self, permission_set: str, *, account: str | None = None, **haste: Unpack[Haste]
    ) -> ProvisioningStatus:
        """Bring a permission set as it is now to one account, or to all that have it."""
        target = (
            {"TargetType": "AWS_ACCOUNT", "TargetId": account}
            if account
            else {"TargetType": "ALL_PROVISIONED_ACCOUNTS"}
        )
        answer = self._ask("ProvisionPermissionSet", {**_set(permission_set), **target}, haste)
        return read_provisioning_status(answer)

    def provisioning_status(self, request_id: str, **haste: Unpack[Haste]) -> ProvisioningStatus:
        asked = {"ProvisionPermissionSetRequestId": request_id}
        answer = self._ask("DescribePermissionSetProvisioningStatus", asked, haste)
        return read_provisioning_status(answer)

    # -- How ------------------------------------------------------------

    def _ask(self, operation: str, body: Mapping[str, Any], haste: Haste) -> Answer:
        instance = self._site.instance_arn(**haste)
        return self._api.ask(operation, {"InstanceArn": instance, **body}, **haste)

    def _pages(
        self,
        operation: str,
        body: Mapping[str, Any],
        key: str,
        *,
        page_size: int = 100,
        turn_page: TurnPage | None,
        **haste: Unpack[Haste],
    ) -> Iterator[Any]:
        asked = {"InstanceArn": self._site.instance_arn(**haste), **body}
        yield from self._api.pages(
            operation, asked, key, page_size=page_size, turn_page=turn_page, **haste
        )


def _set(arn: str) -> dict[str, str]:
    return {"PermissionSetArn": arn}


def _who(kind: Kind, principal: str) -> dict[str, Any]:
    return {"PrincipalType": PRINCIPAL_TYPES[kind], "PrincipalId": principal}


def _account_assignment(kind: Kind, principal: str, grant: AccountGrant) -> dict[str, Any]:
    return {
        **_who(kind, principal),
        **_set(grant.permission_set),
        "TargetType": "AWS_ACCOUNT",
        "TargetId": grant.account,
    }


def _policy(answer: Answer) -> str | None:
    """The policy of an answer. It must never be taken for none: what stands there would be lost.

    :raises Unavailable: the answer cannot be read.
    """
    policy = (answer.body or {}).get("InlinePolicy")
    if answer.body is None or not (policy is None or isinstance(policy, str)):
        raise Unavailable(
            "GetInlinePolicyForPermissionSet: the answer cannot be read",
            status=answer.status,
            request_id=answer.request_id,
        )
    return policy or None
