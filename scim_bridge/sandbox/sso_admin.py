"""What does the SSO Admin API answer? (`SWBExternalService`, signed as `sso`; reference 4)"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from scim_bridge.sandbox.access import (
    APPLICATION_ARN,
    Access,
    Assignment,
    Grant,
    PermissionSet,
    Principal,
    Provisioning,
    Work,
)
from scim_bridge.sandbox.api_refusals import invalid, not_found
from scim_bridge.sandbox.behaviour import (
    IDENTITY_STORE_ID,
    INSTANCE_ARN,
    OWNER_ACCOUNT,
    Behaviour,
)
from scim_bridge.sandbox.pages import paged
from scim_bridge.sandbox.refusals import NotFound
from scim_bridge.sandbox.state import IdentityStore

Asked = Mapping[str, Any]
Given = dict[str, Any]
Item = TypeVar("Item")

STORE_ARN = f"arn:aws:identitystore::{OWNER_ACCOUNT}:identitystore/{IDENTITY_STORE_ID}"
# Long before anybody tries anything.
_CREATED = 1_700_000_000
_MOST = 100
_MOST_INSTANCES = 10
_MOST_APPLICATIONS = 50
_STATUSES = {
    "create": "AccountAssignmentCreation",
    "delete": "AccountAssignmentDeletion",
    "provision": "PermissionSetProvisioning",
}


class SsoAdmin:
    """The operations, by the name that AWS gives them."""

    def __init__(self, access: Access, store: IdentityStore, behaviour: Behaviour) -> None:
        self._access, self._store, self._behaviour = access, store, behaviour

    def perform(self, operation: str, asked: Asked) -> Given:
        """Do one of OPERATIONS with valid input; raises ApiRefused, and has changed nothing."""
        if asked.get("InstanceArn", INSTANCE_ARN) != INSTANCE_ARN:
            raise not_found(f"There is no instance {asked['InstanceArn']}.")
        return _OPERATIONS[operation](self, asked)

    # Instances

    def _list_instances(self, asked: Asked) -> Given:
        return self._page([(1, self._instance())], asked, "Instances", most=_MOST_INSTANCES)

    def _describe_instance(self, asked: Asked) -> Given:
        key = {"KeyType": "AWS_OWNED_KMS_KEY", "EncryptionStatus": "ENABLED"}
        more = {"EncryptionConfigurationDetails": key, "PermissionSetsEnabled": True}
        return {**self._instance(), **more}

    def _instance(self) -> Given:
        return {
            "InstanceArn": INSTANCE_ARN,
            "IdentityStoreId": IDENTITY_STORE_ID,
            "IdentityStoreArn": STORE_ARN,
            "OwnerAccountId": OWNER_ACCOUNT,
            "Name": "Sandbox",
            "CreatedDate": _CREATED,
            "Status": "ACTIVE",
            "PrimaryRegion": self._behaviour.region,
        }

    # Permission sets

    def _list_permission_sets(self, asked: Asked) -> Given:
        found = [(one.sequence, one.arn) for one in self._access.permission_sets()]
        return self._page(found, asked, "PermissionSets")

    def _describe_permission_set(self, asked: Asked) -> Given:
        return {"PermissionSet": _described(self._access.permission_set(asked["PermissionSetArn"]))}

    def _create_permission_set(self, asked: Asked) -> Given:
        made = self._access.create_set(
            name=asked["Name"],
            description=asked.get("Description"),
            session_duration=asked.get("SessionDuration", "PT1H"),
            relay_state=asked.get("RelayState"),
        )
        return {"PermissionSet": _described(made)}

    def _delete_permission_set(self, asked: Asked) -> Given:
        self._access.delete_set(asked["PermissionSetArn"])
        return {}

    def _list_managed_policies(self, asked: Asked) -> Given:
        arns = self._access.permission_set(asked["PermissionSetArn"]).managed_policies
        found = [
            (number, {"Name": arn.rsplit("/", 1)[1], "Arn": arn}) for number, arn in enumerate(arns)
        ]
        return self._page(found, asked, "AttachedManagedPolicies")

    def _list_customer_policies(self, asked: Asked) -> Given:
        """None of the sandbox's permission sets has one, and none can be given one."""
        self._access.permission_set(asked["PermissionSetArn"])
        return {"CustomerManagedPolicyReferences": []}

    def _get_inline_policy(self, asked: Asked) -> Given:
        """Without a policy the answer is an empty text. [observed by clients]"""
        return {
            "InlinePolicy": self._access.permission_set(asked["PermissionSetArn"]).inline_policy
            or ""
        }

    def _put_inline_policy(self, asked: Asked) -> Given:
        self._access.put_inline_policy(asked["PermissionSetArn"], asked["InlinePolicy"])
        return {}

    def _delete_inline_policy(self, asked: Asked) -> Given:
        self._access.delete_inline_policy(asked["PermissionSetArn"])
        return {}

    def _provision(self, asked: Asked) -> Given:
        everywhere = asked["TargetType"] == "ALL_PROVISIONED_ACCOUNTS"
        if everywhere == ("TargetId" in asked):
            raise invalid("TargetId goes with the TargetType AWS_ACCOUNT, and with no other.")
        subject = Provisioning(
            permission_set_arn=asked["PermissionSetArn"], account_id=asked.get("TargetId")
        )
        return _status(self._access.begin_provisioning(subject))

    def _list_accounts_of(self, asked: Asked) -> Given:
        held = self._access.permission_set(asked["PermissionSetArn"])
        found = [
            (account.sequence, account.id)
            for account in self._access.accounts
            if account.id in held.provisioned and _fits(held, account.id, asked)
        ]
        return self._page(found, asked, "AccountIds")

    def _list_sets_in(self, asked: Asked) -> Given:
        account_id = self._access.account(asked["AccountId"]).id
        found = [
            (one.sequence, one.arn)
            for one in self._access.permission_sets()
            if account_id in one.provisioned and _fits(one, account_id, asked)
        ]
        return self._page(found, asked, "PermissionSets")

    # Assignments

    def _create_assignment(self, asked: Asked) -> Given:
        assignment = _assignment(asked)
        self._check_principal(assignment.principal)
        return _status(self._access.begin_creation(assignment))

    def _delete_assignment(self, asked: Asked) -> Given:
        """The principal may be gone: that is how orphans are cleaned up (reference 4)."""
        return _status(self._access.begin_deletion(_assignment(asked)))

    def _create_status(self, asked: Asked) -> Given:
        return _status(self._access.work(asked["AccountAssignmentCreationRequestId"], "create"))

    def _delete_status(self, asked: Asked) -> Given:
        return _status(self._access.work(asked["AccountAssignmentDeletionRequestId"], "delete"))

    def _provision_status(self, asked: Asked) -> Given:
        return _status(self._access.work(asked["ProvisionPermissionSetRequestId"], "provision"))

    def _list_creations(self, asked: Asked) -> Given:
        """Without the principal: only the status of one request names it. [documented]"""
        wanted = asked.get("Filter", {}).get("Status")
        found = [
            (number, {name: shown[name] for name in ("Status", "RequestId", "CreatedDate")})
            for number, work in enumerate(self._access.creations())
            for shown in _status(work).values()
            if wanted in (None, work.status)
        ]
        return self._page(found, asked, "AccountAssignmentsCreationStatus")

    def _list_assignments(self, asked: Asked) -> Given:
        wanted = (asked["AccountId"], asked["PermissionSetArn"])
        self._access.account(wanted[0])
        self._access.permission_set(wanted[1])
        found = [
            (sequence, _row(one))
            for sequence, one in self._access.assignments()
            if (one.account_id, one.permission_set_arn) == wanted
        ]
        return self._page(found, asked, "AccountAssignments")

    def _list_assignments_of(self, asked: Asked) -> Given:
        """Somebody unknown, or gone, has the assignments that are left of them. [inferred]"""
        account_id = asked.get("Filter", {}).get("AccountId")
        principals = self._principals(asked)
        found = [
            (sequence, _row(one))
            for sequence, one in self._access.assignments()
            if one.principal in principals and account_id in (None, one.account_id)
        ]
        return self._page(found, asked, "AccountAssignments")

    # Applications

    def _list_applications(self, asked: Asked) -> Given:
        wanted = asked.get("Filter", {})
        fits = wanted.get("ApplicationAccount", OWNER_ACCOUNT) == OWNER_ACCOUNT
        fits = fits and wanted.get("ApplicationProvider", _PROVIDER) == _PROVIDER
        found = [(1, _APPLICATION)] if fits else []
        return self._page(found, asked, "Applications", most=_MOST_APPLICATIONS)

    def _create_grant(self, asked: Asked) -> Given:
        grant = _grant(asked)
        self._check_principal(grant.principal)
        self._access.grant(grant)
        return {}

    def _delete_grant(self, asked: Asked) -> Given:
        self._access.revoke(_grant(asked))
        return {}

    def _list_grants(self, asked: Asked) -> Given:
        _check_application(asked["ApplicationArn"])
        found = [(sequence, _grant_row(one)) for sequence, one in self._access.grants()]
        return self._page(found, asked, "ApplicationAssignments")

    def _list_grants_of(self, asked: Asked) -> Given:
        wanted = asked.get("Filter", {}).get("ApplicationArn")
        principals = self._principals(asked)
        found = [
            (sequence, _grant_row(one))
            for sequence, one in self._access.grants()
            if one.principal in principals and wanted in (None, one.application_arn)
        ]
        return self._page(found, asked, "ApplicationAssignments")

    # What several of them need

    def _principals(self, asked: Asked) -> list[Principal]:
        """Whose rows a list for one principal has: with the switch, those of the groups, too."""
        principal = _principal(asked)
        if principal.type == "GROUP" or not self._behaviour.principal_listing_includes_inherited:
            return [principal]
        groups = self._store.groups_of(principal.id)
        return [principal, *(Principal(type="GROUP", id=group_id) for group_id in groups)]

    def _check_principal(self, principal: Principal) -> None:
        """Whether there is one, which AWS does not say how it tells. [inferred: at once, a 404]"""
        find = self._store.user if principal.type == "USER" else self._store.group
        try:
            find(principal.id)
        except NotFound as error:
            raise not_found(f"{principal.type} {principal.id} not found.") from error

    def _page(
        self, found: Iterable[tuple[int, Item]], asked: Asked, name: str, *, most: int = _MOST
    ) -> Given:
        shown, token = paged(
            found,
            asked,
            key=lambda pair: pair[0],
            most=most,
            page_size=self._behaviour.page_size,
        )
        return {name: [item for _, item in shown], **token}


_OPERATIONS: dict[str, Callable[[SsoAdmin, Asked], Given]] = {
    "ListInstances": SsoAdmin._list_instances,
    "DescribeInstance": SsoAdmin._describe_instance,
    "ListPermissionSets": SsoAdmin._list_permission_sets,
    "DescribePermissionSet": SsoAdmin._describe_permission_set,
    "CreatePermissionSet": SsoAdmin._create_permission_set,
    "DeletePermissionSet": SsoAdmin._delete_permission_set,
    "ListManagedPoliciesInPermissionSet": SsoAdmin._list_managed_policies,
    "ListCustomerManagedPolicyReferencesInPermissionSet": SsoAdmin._list_customer_policies,
    "GetInlinePolicyForPermissionSet": SsoAdmin._get_inline_policy,
    "PutInlinePolicyToPermissionSet": SsoAdmin._put_inline_policy,
    "DeleteInlinePolicyFromPermissionSet": SsoAdmin._delete_inline_policy,
    "ProvisionPermissionSet": SsoAdmin._provision,
    "DescribePermissionSetProvisioningStatus": SsoAdmin._provision_status,
    "CreateAccountAssignment": SsoAdmin._create_assignment,
    "DeleteAccountAssignment": SsoAdmin._delete_assignment,
    "DescribeAccountAssignmentCreationStatus": SsoAdmin._create_status,
    "DescribeAccountAssignmentDeletionStatus": SsoAdmin._delete_status,
    "ListAccountAssignmentCreationStatus": SsoAdmin._list_creations,
    "ListAccountAssignments": SsoAdmin._list_assignments,
    "ListAccountAssignmentsForPrincipal": SsoAdmin._list_assignments_of,
    "ListAccountsForProvisionedPermissionSet": SsoAdmin._list_accounts_of,
    "ListPermissionSetsProvisionedToAccount": SsoAdmin._list_sets_in,
    "ListApplications": SsoAdmin._list_applications,
    "CreateApplicationAssignment": SsoAdmin._create_grant,
    "DeleteApplicationAssignment": SsoAdmin._delete_grant,
    "ListApplicationAssignments": SsoAdmin._list_grants,
    "ListApplicationAssignmentsForPrincipal": SsoAdmin._list_grants_of,
}
OPERATIONS = tuple(_OPERATIONS)

_PROVIDER = "arn:aws:sso::aws:applicationProvider/custom"
_APPLICATION = {
    "ApplicationArn": APPLICATION_ARN,
    "ApplicationProviderArn": _PROVIDER,
    "Name": "Wiki",
    "ApplicationAccount": OWNER_ACCOUNT,
    "InstanceArn": INSTANCE_ARN,
    "Status": "ENABLED",
    "Description": "The sandbox's only application",
    "CreatedDate": _CREATED,
}


def _described(held: PermissionSet) -> Given:
    described = {
        "Name": held.name,
        "PermissionSetArn": held.arn,
        "Description": held.description,
        "CreatedDate": _seconds(held.created),
        "SessionDuration": held.session_duration,
        "RelayState": held.relay_state,
    }
    return {name: value for name, value in described.items() if value is not None}


def _fits(held: PermissionSet, account_id: str, asked: Asked) -> bool:
    latest = "LATEST_PERMISSION_SET_PROVISIONED"
    wanted = asked.get("ProvisioningStatus")
    return wanted is None or (wanted == latest) == held.is_latest_in(account_id)


def _principal(asked: Asked) -> Principal:
    return Principal(type=asked["PrincipalType"], id=asked["PrincipalId"])


def _assignment(asked: Asked) -> Assignment:
    return Assignment(
        account_id=asked["TargetId"],
        permission_set_arn=asked["PermissionSetArn"],
        principal=_principal(asked),
    )


def _grant(asked: Asked) -> Grant:
    _check_application(asked["ApplicationArn"])
    return Grant(application_arn=asked["ApplicationArn"], principal=_principal(asked))


def _check_application(arn: str) -> None:
    if arn != APPLICATION_ARN:
        raise not_found(f"There is no application {arn}.")


def _row(assignment: Assignment) -> Given:
    return {name[:1].upper() + name[1:]: value for name, value in assignment.shown().items()}


def _grant_row(grant: Grant) -> Given:
    return {name[:1].upper() + name[1:]: value for name, value in grant.shown().items()}


def _status(work: Work) -> Given:
    status: Given = {
        "Status": work.status,
        "RequestId": work.request_id,
        "PermissionSetArn": work.subject.permission_set_arn,
        "CreatedDate": _seconds(work.began),
    }
    if work.done and work.failure:
        status["FailureReason"] = work.failure
    return {f"{_STATUSES[work.kind]}Status": {**status, **_target(work)}}


def _target(work: Work) -> Given:
    match work.subject:
        case Assignment(account_id=account_id, principal=principal):
            return {
                "TargetId": account_id,
                "TargetType": "AWS_ACCOUNT",
                "PrincipalType": principal.type,
                "PrincipalId": principal.id,
            }
        case Provisioning(account_id=str(account_id)):
            return {"AccountId": account_id}
        case _:
            return {}


def _seconds(moment: datetime) -> float:
    """A timestamp as the JSON protocol has it."""
    return round(moment.timestamp(), 3)
