"""Taking over an Identity Center that is in use already, made by boto3."""

from typing import Any

import pytest
from scim2_models import EnterpriseUser, User

from scim_bridge.directory import tables
from scim_bridge.errors import Conflict
from scim_bridge.sync.adoption import Adopted
from scim_bridge.sync.attempt import Inline
from tests.sync.conftest import USER, Directory, Sandbox
from tests.sync.test_drift import calls
from tests.sync.watching import Watched, watching

TITLE = "Clerk"
USER_MODEL = User[EnterpriseUser]


@pytest.fixture
def watched(directory: Directory, sandbox: Sandbox) -> Watched:
    return watching(directory, sandbox)


def populated(watched: Watched, people: int = 4) -> list[str]:
    """People with e-mail addresses, and a group of them all, made beside the bridge."""
    names = [f"person{number}" for number in range(people)]
    ids = [make_user(watched, name) for name in names]
    group = watched.hand.store("create_group", DisplayName="Staff")["GroupId"]
    for user in ids:
        watched.hand.store("create_group_membership", GroupId=group, MemberId={"UserId": user})
    return names


def make_user(watched: Watched, name: str, **more: Any) -> str:
    shown = watched.hand.store(
        "create_user",
        UserName=name,
        DisplayName=name.title(),
        Name={"GivenName": name.title(), "FamilyName": "Tester"},
        Title=TITLE,
        Emails=[{"Value": f"{name}@example.com", "Type": "work", "Primary": True}],
        **more,
    )
    return str(shown["UserId"])


def adopt(watched: Watched) -> Adopted:
    watched.extract()
    return watched.parts.adoption.adopt(watched.parts.adoption.proposal())


def pushed(name: str, **more: Any) -> dict[str, Any]:
    """A user as an identity provider states it."""
    return {
        "title": TITLE,
        "emails": [{"value": f"{name}@example.com", "type": "work", "primary": True}],
        **more,
    }


def users(watched: Watched) -> dict[str, str]:
    """The ids of the live users of the directory."""
    with watched.directory.database.reading() as connection:
        rows = connection.execute(tables.users.select().where(tables.users.c.deleted_at.is_(None)))
        return {row.user_name: row.id for row in rows}


def groups(watched: Watched) -> dict[str, str]:
    with watched.directory.database.reading() as connection:
        return {row.display_name: row.id for row in connection.execute(tables.groups.select())}


def test_a_proposal_writes_nothing(watched):
    populated(watched)
    watched.extract()
    proposal = watched.parts.adoption.proposal()
    assert [one.name for one in proposal.users.unknown] == [f"person{n}" for n in range(4)]
    assert [one.name for one in proposal.groups.unknown] == ["Staff"]
    assert users(watched) == {}


def test_who_is_not_in_the_directory_is_recorded_with_the_memberships(watched):
    names = populated(watched)
    watched.sandbox.forget_calls()
    done = adopt(watched)
    assert (done.created, done.linked, done.memberships) == (5, 0, 4)
    assert users(watched).keys() == set(names)
    assert watched.directory.members(groups(watched)["Staff"]) == set(users(watched).values())
    with watched.directory.database.reading() as connection:
        origins = {row.origin for row in connection.execute(tables.memberships.select())}
    assert origins == {"adopted"}
    assert watched.directory.marks.in_state("pending", "failed", "held") == []
    assert calls(watched) == {}
    assert watched.found() == []
    assert watched.parts.drift.unmanaged() == []


def test_a_full_push_of_the_same_people_makes_no_call(watched):
    """Must show 3, in small: everybody is as the identity provider says."""
    names = populated(watched, people=12)
    adopt(watched)
    watched.sandbox.forget_calls()
    ids = users(watched)
    for name in names:
        watched.directory.change_user(
            ids[name], **pushed(name), external_id=f"idp-{name}", display_name=name.title()
        )
    watched.directory.replace_group(groups(watched)["Staff"], "Staff", *ids.values())
    watched.directory.deliver()
    assert calls(watched) == {}


def test_the_externalId_of_an_adopted_principal_stays_as_it_is(watched):
    populated(watched, people=1)
    adopt(watched)
    ids = users(watched)
    watched.directory.change_user(ids["person0"], title="King", external_id="idp-0")
    watched.directory.deliver()
    shown = watched.sandbox.user("person0")
    assert shown["title"] == "King"
    assert not shown.get("externalId")


def test_an_adopted_membership_can_be_taken_away_by_any_client(watched):
    populated(watched)
    adopt(watched)
    staff, ids = groups(watched)["Staff"], users(watched)
    watched.directory.change_members(staff, remove=[ids["person0"]])
    watched.directory.replace_group(staff, "Staff", ids["person1"])
    watched.directory.deliver()
    assert watched.sandbox.members("Staff") == {"person1"}


def test_somebody_disabled_is_recorded_as_inactive(watched):
    make_user(watched, "leaver")
    watched.sandbox._by_hand(
        "PATCH",
        f"Users/{watched.sandbox.user('leaver')['id']}",
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": "active", "value": False}],
        },
    )
    adopt(watched)
    assert watched.directory.document(users(watched)["leaver"])["active"] is False
    assert watched.found() == []


def test_a_manager_is_the_record_of_the_manager(watched):
    boss = make_user(watched, "boss")
    user = make_user(watched, "person0")
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    watched.sandbox._by_hand(
        "PATCH",
        f"Users/{user}",
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [
                {"op": "replace", "path": f"{enterprise}:manager", "value": {"value": boss}}
            ],
        },
    )
    adopt(watched)
    ids = users(watched)
    document = watched.directory.document(ids["person0"])
    assert document[enterprise]["manager"]["value"] == ids["boss"]
    watched.sandbox.forget_calls()
    watched.directory.change_user(ids["person0"], nick_name="P")
    watched.directory.deliver()
    assert calls(watched) == {"PatchUser": 1}


# --- Matches and conflicts ------------------------------------------------------------------------


def refused_push(watched: Watched, name: str, **attributes: Any) -> str:
    """A user whom the directory has and who never arrived, since somebody is there already."""
    with watched.directory.resources.operation():
        resource = USER_MODEL.model_validate({"userName": name, **person(name), **attributes})
        made = watched.directory.resources.create(USER, resource)
    watched.directory.deliver()
    assert watched.directory.mark_state("user", str(made.id)) == "failed"
    return str(made.id)


def person(name: str) -> dict[str, Any]:
    return {
        "name": {"givenName": name.title(), "familyName": "Tester"},
        "displayName": name.title(),
        **pushed(name),
    }


def test_who_failed_since_they_were_there_already_is_linked_and_comes_right(watched):
    populated(watched, people=1)
    ada = refused_push(watched, "person0", title="Countess")
    watched.sandbox.forget_calls()
    watched.extract()
    proposal = watched.parts.adoption.proposal()
    (one,) = proposal.users.matches
    assert (one.resource, one.by) == (ada, ("userName", "email"))
    assert watched.parts.adoption.adopt(proposal).linked == 1
    assert calls(watched) == {}
    watched.directory.deliver()
    assert watched.directory.states() == {"clear"}
    assert calls(watched) == {"PatchUser": 1}
    assert watched.sandbox.user("person0")["title"] == "Countess"


def test_a_leaver_who_is_linked_loses_what_they_hold(watched):
    populated(watched, people=2)
    ada = refused_push(watched, "person0")
    watched.directory.change_user(ada, active=False)
    adopt(watched)
    watched.directory.deliver()
    assert not watched.sandbox.is_active("person0")
    assert watched.sandbox.members("Staff") == {"person1"}


@pytest.mark.parametrize("name", ["Break-glass admins", "\uff22reak-glass admins"])
def test_a_protected_name_is_not_adopted(directory, sandbox, name):
    """Neither by an operator nor within a request, in whatever width of its letters."""
    assert not Inline(adopt="matching", protected=("break-glass*",)).may_take(name)
    watched = watching(directory, sandbox, protected=("break-glass*",))
    watched.hand.store("create_group", DisplayName=name)
    watched.extract()
    proposal = watched.parts.adoption.proposal()
    (clash,) = proposal.groups.clashes
    assert "protected" in clash.why
    assert watched.parts.adoption.adopt(proposal).created == 0


def test_what_the_directory_cannot_hold_is_left_and_said(watched):
    """Whether Identity Center looks at the case of a userName is open; the directory does not."""
    watched.sandbox.behave(case_sensitive_names=True)
    make_user(watched, "ada")
    make_user(watched, "ADA")
    done = adopt(watched)
    assert (done.created, len(done.clashes)) == (1, 1)
    assert adopt(watched).created == 0


def test_adopting_again_changes_nothing(watched):
    populated(watched)
    adopt(watched)
    again = adopt(watched)
    assert (again.created, again.linked, again.memberships) == (0, 0, 0)


def test_assignments_are_adopted_with_their_holders(watched):
    populated(watched)
    watched.sandbox.behave(assignment_seconds=0)
    arn = watched.hand.permission_set("ReadOnly")
    watched.hand.assign("group", watched.sandbox.group_id("Staff"), "111122223333", arn)
    watched.extract_all()
    done = watched.parts.adoption.adopt(watched.parts.adoption.proposal())
    assert done.assignments == 1
    with watched.directory.database.reading() as connection:
        (row,) = connection.execute(tables.assignments.select()).all()
    assert (row.account_id, row.permission_set_arn, row.origin) == (
        "111122223333", arn, "adopted",
    )  # fmt: skip
    assert watched.found() == []
    watched.sandbox.forget_calls()
    watched.directory.deliver()
    assert calls(watched) == {}


# --- Within a request ([adopt] inline) ------------------------------------------------------------


def inline(directory: Directory, adopt: Any = "matching") -> None:
    directory.reconciler.attempts.inline = Inline(adopt=adopt, protected=("break-glass*",))


def test_a_user_with_the_same_address_is_adopted_by_a_creation(directory, sandbox):
    sandbox.make_user("ada", **pushed("ada"))
    inline(directory)
    ada = directory.add_user("ada", **pushed("ada"))
    assert directory.principal("user", ada) == sandbox.user("ada")["id"]
    assert directory.states() == {"clear"}
    assert not sandbox.user("ada").get("externalId")
    assert len(directory.audited("adopted")) == 1


@pytest.mark.parametrize("email", [None, "other@example.com"])
def test_a_user_without_the_same_address_is_a_conflict(directory, sandbox, email):
    given = {"emails": [{"value": email, "type": "work", "primary": True}]} if email else {}
    sandbox.make_user("ada", **given)
    inline(directory)
    with pytest.raises(Conflict, match="scim-bridge adopt"):
        directory.add_user("ada", **pushed("ada"))


def test_by_default_nobody_is_adopted_by_a_creation(directory, sandbox):
    sandbox.make_user("ada", **pushed("ada"))
    inline(directory, adopt="never")
    with pytest.raises(Conflict, match="scim-bridge adopt"):
        directory.add_user("ada", **pushed("ada"))


def test_an_empty_group_is_adopted_by_a_creation_and_one_with_members_is_not(directory, sandbox):
    sandbox.make_group("Empty")
    sandbox.make_user("ada")
    sandbox.make_group("Full", "ada")
    sandbox.make_group("Break-glass")
    inline(directory)
    empty = directory.add_group("Empty")
    assert directory.principal("group", empty) == sandbox.group_id("Empty")
    for name in ("Full", "Break-glass"):
        with pytest.raises(Conflict, match="scim-bridge adopt"):
            directory.add_group(name)
