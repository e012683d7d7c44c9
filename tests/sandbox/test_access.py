"""Assignments by a clock of its own: what is begun is done when it has had its time."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from scim_bridge.sandbox.access import Access, Assignment, Principal, Provisioning
from scim_bridge.sandbox.api_refusals import ApiRefused
from scim_bridge.sandbox.assignment_faults import parse_assignment_fault
from scim_bridge.sandbox.behaviour import OWNER_ACCOUNT, Behaviour

POLICY = '{"Statement": [{"Effect": "Deny"}]}'


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def access(clock):
    """Three accounts and three permission sets, where changes take ten seconds."""
    numbers = count(1)
    behaviour = Behaviour(assignment_seconds=10)
    return Access(clock=clock, make_id=lambda: f"r{next(numbers)}", behaviour=lambda: behaviour)


def administrator(access, principal_id="ada", account_id=OWNER_ACCOUNT) -> Assignment:
    return Assignment(
        account_id=account_id,
        permission_set_arn=access.permission_sets()[0].arn,
        principal=Principal(type="USER", id=principal_id),
    )


def held(access) -> list[Assignment]:
    return [one for _, one in access.assignments()]


def test_a_change_is_done_when_its_time_has_come(access, clock):
    """IN_PROGRESS until then, for a creation and a removal alike (4). [documented]"""
    ada = administrator(access)
    begun = access.begin_creation(ada)
    clock.pass_(9.9)
    assert (access.work(begun.request_id, "create").status, held(access)) == ("IN_PROGRESS", [])
    clock.pass_(0.1)
    assert (access.work(begun.request_id, "create").status, held(access)) == ("SUCCEEDED", [ada])
    access.begin_deletion(ada)
    clock.pass_(9.9)
    assert held(access) == [ada]
    clock.pass_(0.1)
    assert held(access) == []


def test_a_fault_makes_one_change_slower_than_the_next(access, clock):
    """They end in the order of their times, not of their beginnings."""
    access.faults.order(parse_assignment_fault({"principalId": "ada", "seconds": 30}))
    for name in ("ada", "bob"):
        access.begin_creation(administrator(access, name))
    clock.pass_(10)
    assert [one.principal.id for one in held(access)] == ["bob"]
    clock.pass_(20)
    assert [one.principal.id for one in held(access)] == ["bob", "ada"]


def test_a_permission_set_stays_while_something_of_it_is_under_way(access, clock):
    """Else a change would end at a permission set that is gone. [inferred]"""
    permission_set = access.create_set(name="Trial")
    access.begin_provisioning(
        Provisioning(permission_set_arn=permission_set.arn, account_id=OWNER_ACCOUNT)
    )
    with pytest.raises(ApiRefused, match="cannot be deleted"):
        access.delete_set(permission_set.arn)
    clock.pass_(10)
    assert access.permission_set(permission_set.arn).is_latest_in(OWNER_ACCOUNT)
    with pytest.raises(ApiRefused, match="cannot be deleted"):
        access.delete_set(permission_set.arn)


def test_a_permission_set_leaves_an_account_with_its_last_assignment(access, clock):
    """The role is in the account as long as somebody has it there. [inferred]"""
    ada, bob = administrator(access, "ada"), administrator(access, "bob")
    for one in (ada, bob):
        access.begin_creation(one)
    clock.pass_(10)
    for one, provisioned in ((ada, [OWNER_ACCOUNT]), (bob, [])):
        access.begin_deletion(one)
        clock.pass_(10)
        assert list(access.permission_set(one.permission_set_arn).provisioned) == provisioned


def test_a_changed_policy_is_in_an_account_when_it_is_provisioned(access, clock):
    """By ProvisionPermissionSet, as the policy is when that ends (4). [documented / inferred]"""
    one = administrator(access)
    access.begin_creation(one)
    clock.pass_(10)
    access.put_inline_policy(one.permission_set_arn, POLICY)
    assert not access.permission_set(one.permission_set_arn).is_latest_in(OWNER_ACCOUNT)
    access.begin_provisioning(
        Provisioning(permission_set_arn=one.permission_set_arn, account_id=None)
    )
    clock.pass_(10)
    assert access.permission_set(one.permission_set_arn).is_latest_in(OWNER_ACCOUNT)
