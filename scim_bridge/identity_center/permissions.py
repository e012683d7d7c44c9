"""Which of the calls that the bridge needs does IAM allow?

Every call is made as it would be, but names a user, group or permission set that does not exist.
AWS authorises before it looks for them, so an answer that something is missing says that the call
is allowed, and nothing is changed by it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Unpack

from scim_bridge.errors import AccessDenied, BridgeError, Missing, Refused, TryLater
from scim_bridge.identity_center.api_operations import OPERATIONS, Operation
from scim_bridge.identity_center.apis import Apis
from scim_bridge.identity_center.transport import Haste
from scim_bridge.plan.grants import AccountGrant, ApplicationGrant

# An id that AWS never gives, in the form it gives.
NOBODY = "00000000-0000-4000-8000-000000000000"

Verdict = Literal["allowed", "denied", "untried"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What became of one call."""

    # "sso:DeleteAccountAssignment".
    action: str
    verdict: Verdict
    # AWS's words, or why it was not tried.
    said: str | None = None
    # Nobody can try it: that it was not tried is no news.
    is_expected: bool = False


@dataclass(frozen=True, kw_only=True)
class _Stand:
    """What the calls name: things in the right form, most of which do not exist."""

    apis: Apis
    # The bridge's own account, for what is looked up in an account.
    account: str
    instance: str
    haste: Haste

    @property
    def permission_set(self) -> str:
        name = self.instance.rpartition("/")[2]
        return f"{self.instance.partition(':instance/')[0]}:permissionSet/{name}/ps-{'0' * 16}"

    @property
    def grant(self) -> AccountGrant:
        return AccountGrant(account=self.account, permission_set=self.permission_set)

    @property
    def application(self) -> ApplicationGrant:
        partition = self.instance.split(":")[1]
        name = self.instance.rpartition("/")[2]
        arn = f"arn:{partition}:sso::{self.account}:application/{name}/apl-{'0' * 16}"
        return ApplicationGrant(application=arn)


Call = Callable[[_Stand], Any]

# Creating somebody cannot be tried without creating somebody; `scim-bridge probe` does.
_NOT_HARMLESS = frozenset({"CreateUser", "CreateGroup"})


def tried(
    apis: Apis, actions: Iterable[str], *, account: str, **haste: Unpack[Haste]
) -> Iterator[Trial]:
    """Try each of these IAM actions.

    ``account`` is the bridge's own. The instance must have been found already.

    :raises DoorClosed: nothing gets through, so that no single action is to blame.
    """
    stand = _Stand(
        apis=apis, account=account, instance=apis.site.instance_arn(**haste), haste=haste
    )
    by_action = {operation.action: operation for operation in OPERATIONS.values()}
    for action in sorted(actions):
        yield _tried(by_action[action], stand)


def _tried(operation: Operation, stand: _Stand) -> Trial:
    action = operation.action
    if operation.name in _NOT_HARMLESS:
        return Trial(
            action=action,
            verdict="untried",
            said="it would leave a trace; `scim-bridge probe` creates and deletes somebody",
            is_expected=True,
        )
    try:
        _CALLS[operation.name](stand)
    except Missing:
        return Trial(action=action, verdict="allowed")
    except AccessDenied as error:
        if error.operation == operation.name:
            return Trial(action=action, verdict="denied", said=error.detail)
        return Trial(action=action, verdict="untried", said=f"needs {error.action}")
    # AWS may refuse what it takes for wrong before it looks who asks.
    except (Refused, TryLater, NothingToAsk) as error:
        return Trial(action=action, verdict="untried", said=str(error))
    return Trial(action=action, verdict="allowed")


class NothingToAsk(BridgeError):
    """What a call would be about is not there."""


def _policies(stand: _Stand) -> None:
    """Two lists in turn, so that the set has to be there for the second to be asked for."""
    admin = stand.apis.sso_admin
    first = next(admin.list_permission_sets(**stand.haste), None)
    if first is None:
        raise NothingToAsk("there is no permission set to ask about")
    for _ in admin.policy_names(first, **stand.haste):
        pass


def _first(listed: Callable[[_Stand], Iterator[Any]]) -> Call:
    """A call for the first page of a list."""
    return lambda stand: next(listed(stand), None)


_CALLS: Mapping[str, Call] = {
    # Identity Store
    "ListUsers": _first(lambda s: s.apis.identity_store.list_users(**s.haste)),
    "DescribeUser": lambda s: s.apis.identity_store.describe_user(NOBODY, **s.haste),
    "GetUserId": lambda s: s.apis.identity_store.find_user_id(user_name=NOBODY, **s.haste),
    "ListGroups": _first(lambda s: s.apis.identity_store.list_groups(**s.haste)),
    "DescribeGroup": lambda s: s.apis.identity_store.describe_group(NOBODY, **s.haste),
    "GetGroupId": lambda s: s.apis.identity_store.find_group_id(NOBODY, **s.haste),
    "ListGroupMemberships": _first(
        lambda s: s.apis.identity_store.list_memberships(NOBODY, **s.haste)
    ),
    "ListGroupMembershipsForMember": _first(
        lambda s: s.apis.identity_store.list_memberships_of(NOBODY, **s.haste)
    ),
    "GetGroupMembershipId": lambda s: s.apis.identity_store.find_membership_id(
        NOBODY, NOBODY, **s.haste
    ),
    "IsMemberInGroups": lambda s: s.apis.identity_store.is_member_in_groups(
        NOBODY, [NOBODY], **s.haste
    ),
    "UpdateUser": lambda s: s.apis.identity_store.update_user(NOBODY, {"title": "x"}, **s.haste),
    "DeleteUser": lambda s: s.apis.identity_store.delete_user(NOBODY, **s.haste),
    "UpdateGroup": lambda s: s.apis.identity_store.update_group(
        NOBODY, {"description": "x"}, **s.haste
    ),
    "DeleteGroup": lambda s: s.apis.identity_store.delete_group(NOBODY, **s.haste),
    "CreateGroupMembership": lambda s: s.apis.identity_store.create_membership(
        NOBODY, NOBODY, **s.haste
    ),
    "DeleteGroupMembership": lambda s: s.apis.identity_store.delete_membership(NOBODY, **s.haste),
    # SSO Admin: reading
    "ListInstances": lambda s: s.apis.site.instances(**s.haste),
    "DescribeInstance": lambda s: s.apis.sso_admin.describe_instance(**s.haste),
    "ListPermissionSets": _first(lambda s: s.apis.sso_admin.list_permission_sets(**s.haste)),
    "DescribePermissionSet": lambda s: s.apis.sso_admin.describe_permission_set(
        s.permission_set, **s.haste
    ),
    "ListAccountAssignments": _first(
        lambda s: s.apis.sso_admin.assignments(s.account, s.permission_set, **s.haste)
    ),
    "ListAccountAssignmentsForPrincipal": _first(
        lambda s: s.apis.sso_admin.assignments_of("user", NOBODY, **s.haste)
    ),
    "ListAccountsForProvisionedPermissionSet": _first(
        lambda s: s.apis.sso_admin.accounts_of(s.permission_set, **s.haste)
    ),
    "ListPermissionSetsProvisionedToAccount": _first(
        lambda s: s.apis.sso_admin.permission_sets_of(s.account, **s.haste)
    ),
    "ListApplications": _first(lambda s: s.apis.sso_admin.list_applications(**s.haste)),
    "ListApplicationAssignments": _first(
        lambda s: s.apis.sso_admin.application_assignments(s.application.application, **s.haste)
    ),
    "ListApplicationAssignmentsForPrincipal": _first(
        lambda s: s.apis.sso_admin.application_assignments_of("user", NOBODY, **s.haste)
    ),
    "GetInlinePolicyForPermissionSet": lambda s: s.apis.sso_admin.get_inline_policy(
        s.permission_set, **s.haste
    ),
    "ListManagedPoliciesInPermissionSet": _policies,
    "ListCustomerManagedPolicyReferencesInPermissionSet": _policies,
    # SSO Admin: assignments
    "CreateAccountAssignment": lambda s: s.apis.sso_admin.create_account_assignment(
        "user", NOBODY, s.grant, **s.haste
    ),
    "DeleteAccountAssignment": lambda s: s.apis.sso_admin.delete_account_assignment(
        "user", NOBODY, s.grant, **s.haste
    ),
    "DescribeAccountAssignmentCreationStatus": lambda s: s.apis.sso_admin.creation_status(
        NOBODY, **s.haste
    ),
    "ListAccountAssignmentCreationStatus": _first(
        lambda s: s.apis.sso_admin.creations_under_way(**s.haste)
    ),
    "DescribeAccountAssignmentDeletionStatus": lambda s: s.apis.sso_admin.deletion_status(
        NOBODY, **s.haste
    ),
    "CreateApplicationAssignment": lambda s: s.apis.sso_admin.create_application_assignment(
        "user", NOBODY, s.application, **s.haste
    ),
    "DeleteApplicationAssignment": lambda s: s.apis.sso_admin.delete_application_assignment(
        "user", NOBODY, s.application, **s.haste
    ),
    # SSO Admin: cutting sessions
    "PutInlinePolicyToPermissionSet": lambda s: s.apis.sso_admin.put_inline_policy(
        s.permission_set, "{}", **s.haste
    ),
    "DeleteInlinePolicyFromPermissionSet": lambda s: s.apis.sso_admin.delete_inline_policy(
        s.permission_set, **s.haste
    ),
    "ProvisionPermissionSet": lambda s: s.apis.sso_admin.provision_permission_set(
        s.permission_set, account=s.account, **s.haste
    ),
    "DescribePermissionSetProvisioningStatus": lambda s: s.apis.sso_admin.provisioning_status(
        NOBODY, **s.haste
    ),
    # Organizations
    "ListAccounts": _first(lambda s: s.apis.organizations.accounts(**s.haste)),
}
