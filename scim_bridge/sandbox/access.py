"""Who may reach which account and which application, and with which permission set?

A plain store in memory with AWS's rules. Assignments and provisionings are asynchronous: what is
begun is done `seconds` later by the clock, and is looked after whenever somebody looks. It is not
locked; who uses it from several threads must lock.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from scim_bridge.sandbox.api_refusals import ApiRefused, conflict, invalid, not_found
from scim_bridge.sandbox.assignment_faults import AssignmentFault, AssignmentFaults
from scim_bridge.sandbox.behaviour import INSTANCE_ARN, OWNER_ACCOUNT, Behaviour

# Reference 5: at most so many characters that are not white space.
_POLICY_CHARACTERS = 10_240
_SET_PREFIX = INSTANCE_ARN.replace(":instance/", ":permissionSet/") + "/ps-"
APPLICATION_ARN = (
    f"arn:aws:sso::{OWNER_ACCOUNT}:application/{INSTANCE_ARN.rsplit('/', 1)[1]}"
    "/apl-0000000000000001"
)


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account of the organization."""

    sequence: int
    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class PermissionSet:
    """A permission set, and what of it has reached which account."""

    sequence: int
    arn: str
    name: str
    created: datetime
    description: str | None = None
    session_duration: str = "PT1H"
    relay_state: str | None = None
    managed_policies: tuple[str, ...] = ()
    inline_policy: str | None = None
    # The inline policy as it was when the set was last provisioned, by account.
    provisioned: dict[str, str | None] = field(default_factory=dict)

    def is_latest_in(self, account_id: str) -> bool:
        return self.provisioned[account_id] == self.inline_policy


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Whom an assignment is for; AWS keeps it also when there is no such principal any more."""

    type: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One principal's permission set in one account."""

    account_id: str
    permission_set_arn: str
    principal: Principal

    def shown(self) -> dict[str, str]:
        return {
            "accountId": self.account_id,
            "permissionSetArn": self.permission_set_arn,
            "principalType": self.principal.type,
            "principalId": self.principal.id,
        }


@dataclass(frozen=True, kw_only=True)
class Grant:
    """One principal's access to one application."""

    application_arn: str
    principal: Principal

    def shown(self) -> dict[str, str]:
        return {
            "applicationArn": self.application_arn,
            "principalType": self.principal.type,
            "principalId": self.principal.id,
        }


@dataclass(frozen=True, kw_only=True)
class Provisioning:
    """One permission set, to one account or (None) to all that have it."""

    permission_set_arn: str
    account_id: str | None


@dataclass(frozen=True, kw_only=True)
class Work:
    """Something asynchronous: what is done, since and until when, and how it ended."""

    # "create", "delete" or "provision".
    kind: str
    request_id: str
    subject: Assignment | Provisioning
    began: datetime
    ends: datetime
    failure: str | None
    done: bool = False

    @property
    def status(self) -> str:
        if not self.done:
            return "IN_PROGRESS"
        return "FAILED" if self.failure else "SUCCEEDED"


class Access:
    """The accounts, permission sets, applications and assignments of one Identity Center."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        make_id: Callable[[], str],
        behaviour: Callable[[], Behaviour],
    ) -> None:
        self._clock, self._make_id, self._behaviour = clock, make_id, behaviour
        self._sequence = 0
        self.faults = AssignmentFaults()
        self._work: dict[str, Work] = {}
        # Both have the sequence as their value, by which lists are in one order.
        self._assignments: dict[Assignment, int] = {}
        self._grants: dict[Grant, int] = {}
        self.accounts = [
            self._account(OWNER_ACCOUNT, "Management"),
            self._account("222233334444", "Sandbox"),
            self._account("333344445555", "Production"),
        ]
        self._sets: dict[str, PermissionSet] = {}
        self._make_first_sets()

    def _account(self, account_id: str, name: str) -> Account:
        return Account(sequence=self._next(), id=account_id, name=name)

    def _make_first_sets(self) -> None:
        self.create_set(
            name="AdministratorAccess",
            description="Everything, in one account",
            session_duration="PT4H",
            managed_policies=("arn:aws:iam::aws:policy/AdministratorAccess",),
        )
        self.create_set(
            name="ReadOnlyAccess",
            description="Look at everything, change nothing",
            managed_policies=("arn:aws:iam::aws:policy/ReadOnlyAccess",),
        )
        self.create_set(
            name="Billing",
            description="Invoices and budgets",
            managed_policies=("arn:aws:iam::aws:policy/job-function/Billing",),
        )

    # Permission sets

    def permission_sets(self) -> list[PermissionSet]:
        self._settle()
        return list(self._sets.values())

    def permission_set(self, arn: str) -> PermissionSet:
        self._settle()
        if arn not in self._sets:
            raise not_found(f"There is no permission set {arn}.")
        return self._sets[arn]

    def create_set(self, *, name: str, **more: Any) -> PermissionSet:
        if any(one.name == name for one in self._sets.values()):
            raise conflict(f"PermissionSet with name {name} already exists.")
        sequence = self._next()
        number = max((int(arn[-16:]) for arn in self._sets), default=0) + 1
        made = PermissionSet(
            sequence=sequence,
            arn=f"{_SET_PREFIX}{number:016d}",
            name=name,
            created=self._clock(),
            **more,
        )
        self._sets[made.arn] = made
        return made

    def delete_set(self, arn: str) -> None:
        held = self.permission_set(arn)
        assigned = any(one.permission_set_arn == arn for one in self._assignments)
        awaited = any(one.subject.permission_set_arn == arn for one in self._under_way())
        if held.provisioned or assigned or awaited:
            raise conflict(f"PermissionSet {held.name} has assignments and cannot be deleted.")
        del self._sets[arn]

    def put_inline_policy(self, arn: str, policy: str) -> None:
        """Set the policy; it reaches the accounts only by a provisioning (reference 4)."""
        held = self.permission_set(arn)
        try:
            statements = json.loads(policy)["Statement"]
        except (ValueError, TypeError, KeyError) as error:
            raise invalid("The inline policy is not a policy document.") from error
        if not isinstance(statements, list | dict) or not statements:
            raise invalid("The inline policy has no statements.")
        if len("".join(policy.split())) > _POLICY_CHARACTERS:
            raise ApiRefused(
                "ServiceQuotaExceededException",
                f"The inline policy has more than {_POLICY_CHARACTERS} non-white-space characters.",
            )
        self._sets[arn] = replace(held, inline_policy=policy)

    def delete_inline_policy(self, arn: str) -> None:
        self._sets[arn] = replace(self.permission_set(arn), inline_policy=None)

    # Assignments

    def assignments(self) -> list[tuple[int, Assignment]]:
        """What is assigned now, oldest first; what is under way is not."""
        self._settle()
        return [(sequence, one) for one, sequence in self._assignments.items()]

    def begin_creation(self, assignment: Assignment) -> Work:
        """Raises ConflictException while another change of the same assignment is under way."""
        self._check_subject(assignment)
        self._check_idle(assignment)
        exists = assignment in self._assignments
        if exists and self._behaviour().create_existing_assignment == "conflict":
            raise conflict("The assignment already exists.")
        self._check_outstanding()
        return self._begin("create", assignment)

    def begin_deletion(self, assignment: Assignment) -> Work:
        """The principal may be gone; the assignment must be there. [inferred: else a 404]"""
        self._check_subject(assignment)
        self._check_idle(assignment)
        if assignment not in self._assignments:
            raise not_found("There is no such assignment.")
        return self._begin("delete", assignment)

    def begin_provisioning(self, provisioning: Provisioning) -> Work:
        self.permission_set(provisioning.permission_set_arn)
        if provisioning.account_id is not None:
            self.account(provisioning.account_id)
        self._check_idle(provisioning)
        return self._begin("provision", provisioning)

    def work(self, request_id: str, kind: str) -> Work:
        self._settle()
        found = self._work.get(request_id)
        if found is None or found.kind != kind:
            raise not_found(f"There is no request {request_id}.")
        return found

    def creations(self) -> list[Work]:
        """Every creation that was ever asked for, oldest first."""
        self._settle()
        return [one for one in self._work.values() if one.kind == "create"]

    def account(self, account_id: str) -> Account:
        for account in self.accounts:
            if account.id == account_id:
                return account
        raise not_found(f"There is no account {account_id} in the organization.")

    def _check_subject(self, assignment: Assignment) -> None:
        self.permission_set(assignment.permission_set_arn)
        self.account(assignment.account_id)

    def _check_idle(self, subject: Assignment | Provisioning) -> None:
        if any(one.subject == subject for one in self._under_way()):
            raise conflict("There is an operation in progress for this assignment; try again.")

    def _check_outstanding(self) -> None:
        """The quota is listed with the throttles (reference 5). [inferred: this error]"""
        outstanding = sum(one.kind == "create" for one in self._under_way())
        if outstanding >= self._behaviour().outstanding_assignments:
            raise ApiRefused(
                "ThrottlingException",
                f"{outstanding} calls of CreateAccountAssignment are outstanding.",
            )

    def _under_way(self) -> list[Work]:
        return [one for one in self._work.values() if not one.done]

    def _fault(self, kind: str, subject: Assignment | Provisioning) -> AssignmentFault:
        """What was ordered to happen to this change; raises ConflictException if that is it."""
        arn = subject.permission_set_arn
        fault = self.faults.strike(
            kind,
            permission_set=(arn, self._sets[arn].name),
            account_id=subject.account_id,
            principal_id=subject.principal.id if isinstance(subject, Assignment) else None,
        )
        if fault.conflicts:
            raise conflict("A previous write has not propagated; try again.")
        return fault

    def _begin(self, kind: str, subject: Assignment | Provisioning) -> Work:
        """Only what could begin uses a fault up."""
        fault = self._fault(kind, subject)
        now = self._clock()
        seconds = self._behaviour().assignment_seconds if fault.seconds is None else fault.seconds
        begun = Work(
            kind=kind,
            request_id=self._make_id(),
            subject=subject,
            began=now,
            ends=now + timedelta(seconds=seconds),
            failure=fault.fail,
        )
        self._work[begun.request_id] = begun
        return begun

    def _settle(self) -> None:
        """Do what has had its time by now, in the order in which it ends."""
        now = self._clock()
        due = [one for one in self._under_way() if one.ends <= now]
        for one in sorted(due, key=lambda work: work.ends):
            self._work[one.request_id] = replace(one, done=True)
            if one.failure is None:
                self._do(one)

    def _do(self, work: Work) -> None:
        subject = work.subject
        if isinstance(subject, Provisioning):
            held = self._sets[subject.permission_set_arn]
            self._provision(held, [subject.account_id] if subject.account_id else held.provisioned)
        elif work.kind == "create":
            self._assignments.setdefault(subject, self._next())
            self._provision(self._sets[subject.permission_set_arn], [subject.account_id])
        else:
            self._assignments.pop(subject, None)
            self._withdraw(subject)

    def _provision(self, held: PermissionSet, account_ids: Any) -> None:
        provisioned = {**held.provisioned, **dict.fromkeys(account_ids, held.inline_policy)}
        self._sets[held.arn] = replace(held, provisioned=provisioned)

    def _withdraw(self, gone: Assignment) -> None:
        """With its last assignment in an account a permission set leaves the account."""
        used = any(
            (one.account_id, one.permission_set_arn) == (gone.account_id, gone.permission_set_arn)
            for one in self._assignments
        )
        held = self._sets[gone.permission_set_arn]
        if not used:
            kept = {
                one: held.provisioned[one] for one in held.provisioned if one != gone.account_id
            }
            self._sets[held.arn] = replace(held, provisioned=kept)

    # Applications

    def grants(self) -> list[tuple[int, Grant]]:
        return [(sequence, one) for one, sequence in self._grants.items()]

    def grant(self, grant: Grant) -> None:
        if grant in self._grants and self._behaviour().create_existing_assignment == "conflict":
            raise conflict("The assignment already exists.")
        self._grants.setdefault(grant, self._next())

    def revoke(self, grant: Grant) -> None:
        if grant not in self._grants:
            raise not_found("There is no such assignment.")
        del self._grants[grant]

    # All of it

    def everything(self) -> dict[str, Any]:
        """What is held, for people and tests; AWS has no such answer."""
        return {
            "assignments": [one.shown() for _, one in self.assignments()],
            "applicationAssignments": [one.shown() for _, one in self.grants()],
            "permissionSets": [_shown(one) for one in self.permission_sets()],
            "accounts": [{"id": one.id, "name": one.name} for one in self.accounts],
            "inProgress": [
                {"operation": one.kind, "requestId": one.request_id} for one in self._under_way()
            ],
        }

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence


def _shown(held: PermissionSet) -> dict[str, Any]:
    return {
        "arn": held.arn,
        "name": held.name,
        "description": held.description,
        "sessionDuration": held.session_duration,
        "managedPolicies": list(held.managed_policies),
        "inlinePolicy": held.inline_policy,
        "provisioned": {
            account_id: {"inlinePolicy": policy, "latest": held.is_latest_in(account_id)}
            for account_id, policy in held.provisioned.items()
        },
    }
