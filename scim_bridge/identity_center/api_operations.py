"""Which operations of AWS's APIs can the bridge call, and what has IAM to allow for them?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

# What an operation is for. Every installation reads; the others depend on the settings.
Purpose = Literal["read", "detour", "principals", "assignments", "sessions", "identity"]


@dataclass(frozen=True, kw_only=True)
class Service:
    """One API of AWS."""

    # For messages: "the Identity Store API".
    title: str
    # The first word of its host, the name it is signed for, and its prefix in IAM.
    host: str
    # What stands before the operation in X-Amz-Target. None: not a JSON API.
    target: str | None


IDENTITY_STORE = Service(
    title="the Identity Store API", host="identitystore", target="AWSIdentityStore"
)
SSO_ADMIN = Service(title="the SSO Admin API", host="sso", target="SWBExternalService")
ORGANIZATIONS = Service(
    title="the Organizations API", host="organizations", target="AWSOrganizationsV20161128"
)
STS = Service(title="the Security Token Service", host="sts", target=None)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One call that the bridge can make."""

    name: str
    service: Service
    purpose: Purpose

    @property
    def action(self) -> str:
        """What an IAM policy has to allow: "sso:DeleteAccountAssignment"."""
        return f"{self.service.host}:{self.name}"


def _operations(service: Service, purpose: Purpose, names: str) -> Iterable[Operation]:
    return (Operation(name=name, service=service, purpose=purpose) for name in names.split())


# By name, which is unique over the services.
OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operations in (
        _operations(
            IDENTITY_STORE,
            "read",
            "ListUsers DescribeUser GetUserId ListGroups DescribeGroup GetGroupId "
            "ListGroupMemberships ListGroupMembershipsForMember GetGroupMembershipId "
            "IsMemberInGroups",
        ),
        # Where the SCIM endpoint refuses to edit a disabled user, and for what it has no place.
        _operations(IDENTITY_STORE, "detour", "DeleteGroupMembership UpdateGroup"),
        _operations(
            IDENTITY_STORE,
            "principals",
            "CreateUser UpdateUser DeleteUser CreateGroup DeleteGroup CreateGroupMembership",
        ),
        _operations(
            SSO_ADMIN,
            "read",
            "ListInstances DescribeInstance ListPermissionSets DescribePermissionSet "
            "ListAccountAssignments ListAccountAssignmentsForPrincipal "
            "ListAccountsForProvisionedPermissionSet ListPermissionSetsProvisionedToAccount "
            "ListApplications ListApplicationAssignments ListApplicationAssignmentsForPrincipal "
            "GetInlinePolicyForPermissionSet ListManagedPoliciesInPermissionSet "
            "ListCustomerManagedPolicyReferencesInPermissionSet",
        ),
        _operations(
            SSO_ADMIN,
            "assignments",
            "CreateAccountAssignment DeleteAccountAssignment "
            "DescribeAccountAssignmentCreationStatus DescribeAccountAssignmentDeletionStatus "
            "ListAccountAssignmentCreationStatus "
            "CreateApplicationAssignment DeleteApplicationAssignment",
        ),
        _operations(
            SSO_ADMIN,
            "sessions",
            "PutInlinePolicyToPermissionSet DeleteInlinePolicyFromPermissionSet "
            "ProvisionPermissionSet DescribePermissionSetProvisioningStatus",
        ),
        _operations(ORGANIZATIONS, "read", "ListAccounts"),
        # Needs no permission: AWS answers it to everybody, whatever a policy says.
        _operations(STS, "identity", "GetCallerIdentity"),
    )
    for operation in operations
}


def actions(
    *, write_via: Literal["scim", "identity-store"] | None, cut_sessions: bool = False
) -> frozenset[str]:
    """The IAM actions the bridge needs. ``write_via=None``: Identity Center is only read."""
    purposes: set[Purpose] = {"read"}
    if write_via is not None:
        purposes |= {"detour", "assignments"}
    if write_via == "identity-store":
        purposes.add("principals")
    if cut_sessions:
        purposes.add("sessions")
    return frozenset(one.action for one in OPERATIONS.values() if one.purpose in purposes)
