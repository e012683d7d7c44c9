"""The clients of AWS's APIs on a server that keeps state, set up and looked at with boto3."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

from scim_bridge.errors import Conflict, Missing
from scim_bridge.identity_center.apis import Apis, connect_apis
from scim_bridge.identity_center.center import Center
from scim_bridge.identity_center.payloads import ENTERPRISE
from scim_bridge.plan.changes import CreateUser
from scim_bridge.plan.grants import AccountGrant
from scim_bridge.plan.state import Principal

REGION = "us-east-1"
ADA = {
    "userName": "ada",
    "displayName": "Ada Lovelace",
    "name.givenName": "Ada",
    "name.familyName": "Lovelace",
    "emails": [{"value": "ada@example.com", "type": "work", "primary": True}],
}
ACCOUNT = "111122223333"
POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}'
)
NOBODY = "99999999-9999-4999-8999-999999999999"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A server with an Identity Center, the bridge's clients of it, and boto3's."""

    name: str
    apis: Apis
    boto3: Callable[[str], Any]

    @property
    def store(self) -> dict[str, str]:
        return {"IdentityStoreId": self.apis.site.identity_store_id()}

    @property
    def instance(self) -> dict[str, str]:
        return {"InstanceArn": self.apis.site.instance_arn()}


@contextmanager
def moto(settings: Callable[..., Any]) -> Iterator[Place]:
    """What moto implements of the APIs, it implements independently of this project."""
    with mock_aws():
        yield Place(
            name="moto",
            apis=connect_apis(settings()),
            boto3=lambda name: boto3.client(name, region_name=REGION),
        )


@pytest.fixture(name="place", params=["moto", "sandbox"])
def _place(request: pytest.FixtureRequest) -> Iterator[Place]:
    settings = request.getfixturevalue("settings")
    if request.param == "moto":
        with moto(settings) as place:
            yield place
        return
    request.getfixturevalue("sandbox")
    url = request.getfixturevalue("server").url
    yield Place(
        name="sandbox",
        apis=connect_apis(settings(endpoint_url=url)),
        boto3=lambda name: boto3.client(name, region_name=REGION, endpoint_url=url),
    )


# What moto does not have, or has in another way than AWS documents it.
NOT_ON_MOTO = pytest.mark.parametrize("place", ["sandbox"], indirect=True)
ONLY_ON_MOTO = pytest.mark.parametrize("place", ["moto"], indirect=True)


def permission_set(place: Place) -> str:
    made = place.boto3("sso-admin").create_permission_set(
        **place.instance, Name="Trial", SessionDuration="PT8H"
    )
    return made["PermissionSet"]["PermissionSetArn"]


def ended(status: Callable[[str], Any], request_id: str) -> str:
    """How something asynchronous ended."""
    while (now := status(request_id)).state == "IN_PROGRESS":
        time.sleep(0.01)
    return now.state


def test_the_caller_and_the_instance_are_found(place: Place) -> None:
    account = place.boto3("sts").get_caller_identity()["Account"]
    assert place.apis.caller.identity().account == account
    (found,) = place.boto3("sso-admin").list_instances()["Instances"]
    assert place.apis.site.instance_arn() == found["InstanceArn"]
    assert place.apis.site.identity_store_id() == found["IdentityStoreId"]


def test_a_user_is_written_found_and_deleted(place: Place) -> None:
    """What boto3 sees is what was written."""
    store = place.apis.identity_store
    made = store.create_user(ADA)
    shown = place.boto3("identitystore").describe_user(**place.store, UserId=made.id)
    assert shown["Name"] == {"GivenName": "Ada", "FamilyName": "Lovelace"}
    assert shown["Emails"] == [{"Value": "ada@example.com", "Type": "work", "Primary": True}]
    principal = Principal(id=str(made.id), external_id=None, attributes=ADA)
    assert store.describe_user(str(made.id)) == principal
    assert list(store.list_users()) == [principal]
    assert store.find_user_id(user_name="ada") == made.id
    assert store.find_user_id(user_name="bob") is None
    with pytest.raises(Conflict) as taken:
        store.create_user(ADA)
    assert taken.value.reason == "UNIQUENESS_CONSTRAINT_VIOLATION"
    store.delete_user(str(made.id))
    assert store.describe_user(str(made.id)) is None


def test_groups_and_memberships(place: Place) -> None:
    """Each membership has an id of its own, which its removal needs."""
    store = place.apis.identity_store
    group = str(store.create_group({"displayName": "admins", "description": "all of them"}).id)
    user = str(store.create_user(ADA).id)
    assert store.find_group_id("admins") == group
    assert store.find_group_id("users") is None
    assert [one.attributes for one in store.list_groups()] == [
        {"displayName": "admins", "description": "all of them"}
    ]
    membership = str(store.create_membership(group, user).id)
    (found,) = store.list_memberships(group)
    assert (found.id, found.group, found.user) == (membership, group, user)
    assert list(store.list_memberships_of(user)) == [found]
    assert store.find_membership_id(group, user) == membership
    assert store.is_member_in_groups(user, [group]) == {group}
    store.delete_membership(membership)
    assert list(store.list_memberships(group)) == []
    assert store.find_membership_id(group, user) is None
    store.delete_group(group)
    assert store.describe_group(group) is None


def test_lists_are_read_over_all_their_pages(place: Place) -> None:
    """100 a page at the Identity Store API."""
    client = place.boto3("identitystore")
    for number in range(105):
        client.create_group(**place.store, DisplayName=f"group {number}")
    names = {one.attributes["displayName"] for one in place.apis.identity_store.list_groups()}
    assert names == {f"group {number}" for number in range(105)}


def test_an_assignment_is_given_listed_and_taken(place: Place) -> None:
    """Asynchronous: the status is asked for until it is no longer IN_PROGRESS."""
    sso = place.apis.sso_admin
    arn = permission_set(place)
    assert arn in sso.list_permission_sets()
    described = sso.describe_permission_set(arn)
    assert (described.name, described.session_seconds) == ("Trial", 8 * 3600)
    user = str(place.apis.identity_store.create_user(ADA).id)
    grant = AccountGrant(account=ACCOUNT, permission_set=arn)
    given = sso.create_account_assignment("user", user, grant)
    assert ended(sso.creation_status, given.request_id) == "SUCCEEDED"
    (held,) = sso.assignments_of("user", user)
    assert (held.kind, held.principal, held.grant) == ("user", user, grant)
    assert list(sso.assignments_of("user", user, account="999999999999")) == []
    assert list(sso.assignments(ACCOUNT, arn)) == [held]
    taken = sso.delete_account_assignment("user", user, grant)
    assert ended(sso.deletion_status, taken.request_id) == "SUCCEEDED"
    assert list(sso.assignments_of("user", user)) == []


def test_an_inline_policy_is_put_read_and_deleted(place: Place) -> None:
    """What is shown where there is none differs; it is None."""
    sso = place.apis.sso_admin
    arn = permission_set(place)
    assert sso.get_inline_policy(arn) is None
    sso.put_inline_policy(arn, POLICY)
    assert sso.get_inline_policy(arn) == POLICY
    sso.delete_inline_policy(arn)
    assert sso.get_inline_policy(arn) is None


@NOT_ON_MOTO
def test_a_permission_set_is_provisioned_to_where_it_is_used(place: Place) -> None:
    """CreateAccountAssignment provisions by itself; a changed policy has to be brought there."""
    sso = place.apis.sso_admin
    arn = permission_set(place)
    user = str(place.apis.identity_store.create_user(ADA).id)
    grant = AccountGrant(account=ACCOUNT, permission_set=arn)
    given = sso.create_account_assignment("user", user, grant)
    assert ended(sso.creation_status, given.request_id) == "SUCCEEDED"
    assert list(sso.accounts_of(arn)) == [ACCOUNT]
    assert list(sso.permission_sets_of(ACCOUNT)) == [arn]
    sso.put_inline_policy(arn, POLICY)
    for begun in (
        sso.provision_permission_set(arn),
        sso.provision_permission_set(arn, account=ACCOUNT),
    ):
        assert ended(sso.provisioning_status, begun.request_id) == "SUCCEEDED"


@NOT_ON_MOTO
def test_an_update_sets_and_removes(place: Place) -> None:
    """Names one by one, e-mails as a whole, the extension under its own name."""
    store = place.apis.identity_store
    made = str(store.create_user({**ADA, "nickName": "A"}).id)
    changed = {
        "name.familyName": "King",
        "emails": [{"value": "king@example.com", "type": "work", "primary": True}],
        f"{ENTERPRISE}:department": "R&D",
    }
    store.update_user(made, changed, ["nickName"])
    found = store.describe_user(made)
    assert found is not None
    assert found.attributes == {**ADA, **changed}
    store.update_user(made, {}, [f"{ENTERPRISE}:department", "emails"])
    (found,) = store.list_users()
    assert found.attributes == {
        **{path: value for path, value in ADA.items() if path != "emails"},
        "name.familyName": "King",
    }


@NOT_ON_MOTO
def test_a_membership_exists_once(place: Place) -> None:
    store = place.apis.identity_store
    group = str(store.create_group({"displayName": "admins"}).id)
    user = str(store.create_user(ADA).id)
    store.create_membership(group, user)
    with pytest.raises(Conflict):
        store.create_membership(group, user)
    store.update_group(group, {"description": "all of them"})
    assert [one.attributes for one in store.list_groups()] == [
        {"displayName": "admins", "description": "all of them"}
    ]
    with pytest.raises(Missing):
        store.create_membership(group, NOBODY)
    with pytest.raises(Missing):
        store.delete_user(NOBODY)


@NOT_ON_MOTO
def test_both_doors_show_the_same_user(place: Place, center: Center) -> None:
    """Drift and extraction compare them. Only the SCIM endpoint disables and gives externalIds."""
    attributes = {**ADA, f"{ENTERPRISE}:costCenter": "7"}
    change = CreateUser(user="u-1", external_id="e-1", attributes=attributes, active=False)
    over_scim = center.apply(change).principal
    assert over_scim is not None
    store = place.apis.identity_store
    assert store.describe_user(over_scim.id) == over_scim
    assert list(store.list_users()) == [over_scim]
    (external_id,) = store.external_ids_of(over_scim.id)
    assert external_id.id == "e-1"
    assert store.find_user_id(external_id=external_id) == over_scim.id
    assert store.find_user_id(email="ada@example.com") == over_scim.id


@ONLY_ON_MOTO
def test_what_is_attached_to_a_permission_set_is_named(place: Place) -> None:
    """For an access review."""
    client = place.boto3("sso-admin")
    arn = permission_set(place)
    client.attach_managed_policy_to_permission_set(
        **place.instance,
        PermissionSetArn=arn,
        ManagedPolicyArn="arn:aws:iam::aws:policy/AdministratorAccess",
    )
    client.attach_customer_managed_policy_reference_to_permission_set(
        **place.instance,
        PermissionSetArn=arn,
        CustomerManagedPolicyReference={"Name": "Ours", "Path": "/team/"},
    )
    assert list(place.apis.sso_admin.policy_names(arn)) == ["AdministratorAccess", "/team/Ours"]


@ONLY_ON_MOTO
def test_the_accounts_of_the_organization(place: Place) -> None:
    """20 a page."""
    client = place.boto3("organizations")
    client.create_organization(FeatureSet="ALL")
    for number in range(22):
        client.create_account(AccountName=f"a{number}", Email=f"a{number}@example.com")
    accounts = {one.name: one.status for one in place.apis.organizations.accounts()}
    assert accounts.keys() >= {f"a{number}" for number in range(22)}
    assert set(accounts.values()) == {"ACTIVE"}


def test_what_names_nobody_is_missing(place: Place) -> None:
    """A look-up in the identity store is None; the SSO Admin API does not say what is missing."""
    assert place.apis.identity_store.describe_user(NOBODY) is None
    assert place.apis.identity_store.describe_group(NOBODY) is None
    instance = place.apis.site.instance_arn().rsplit("/", 1)[1]
    unknown = f"arn:aws:sso:::permissionSet/{instance}/ps-0000000000000000"
    with pytest.raises(Missing):
        place.apis.sso_admin.describe_permission_set(unknown)
