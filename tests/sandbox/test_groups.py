"""What Identity Center takes and answers for groups and their members."""

from typing import Any

import pytest

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
VIOLATES = "Request is unparsable, syntactically incorrect, or violates schema."
PATHLESS = (
    'Current PATCH support allows omitting "path" attribute only for Add and Replace operations '
    "modifying a single attribute."
)
REPLACING = "Replacing group memberships is not supported."
NOBODY = "90677c60-0000-0000-0000-000000000000"


def op(kind: str, path: str | None = None, value: object = None) -> dict[str, object]:
    operation = {"op": kind, "path": path, "value": value}
    return {key: inner for key, inner in operation.items() if inner is not None}


def pairs(sandbox) -> set[tuple[str, str]]:
    return {(one["groupId"], one["userId"]) for one in sandbox.state()["memberships"]}


@pytest.fixture
def group(sandbox) -> dict[str, Any]:
    return sandbox.create_group(externalId="g1")


def test_a_created_group_comes_back_without_members(sandbox):
    """CreateGroup answers 201 with id, meta, displayName, externalId; members are omitted.
    [documented]
    """
    user = sandbox.create_user()
    body = {"displayName": "Engineers", "externalId": "g1", "members": [{"value": user["id"]}]}
    response = sandbox.post("/Groups", {"schemas": [GROUP], **body})
    answer = response.json()
    assert response.status_code == 201
    assert answer.keys() == {"id", "meta", "schemas", "displayName", "externalId"}
    assert answer["meta"]["resourceType"] == "Group"
    assert pairs(sandbox) == {(answer["id"], user["id"])}


def test_members_are_in_no_group_body(sandbox, group):
    """GetGroup omits members, ListGroups has them empty, whoever is in. [documented]"""
    sandbox.add_members(group, sandbox.create_user())
    assert "members" not in sandbox.get(f"/Groups/{group['id']}").json()
    [listed] = sandbox.get("/Groups").json()["Resources"]
    assert {**listed, "meta": group["meta"]} == {**group, "members": []}


def test_groups_are_in_no_user_body(sandbox, group):
    """`groups` is never returned on a user. [documented]"""
    user = sandbox.create_user()
    sandbox.add_members(group, user)
    assert "groups" not in sandbox.get(f"/Users/{user['id']}").json()
    assert "groups" not in sandbox.get("/Users").json()["Resources"][0]


WRONG: dict[str, dict[str, Any]] = {
    "no display name": {"displayName": None},
    "an empty display name": {"displayName": ""},
    "a refused character": {"displayName": "a;b"},
    "a reserved name": {"displayName": "AWSAdministrators"},
    "a description": {"description": "x"},
    "a refused character in externalId": {"externalId": "a:b"},
    "a space in externalId": {"externalId": "a b"},
    "the user's schema": {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"]},
    "members as a text": {"members": ""},
    "members as an object": {"members": {"value": NOBODY}},
    "a member without a value": {"members": [{"type": "User"}]},
    "a member with display": {"members": [{"value": NOBODY, "display": "x"}]},
    "an unknown member": {"members": [{"value": NOBODY}]},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_group_that_aws_refuses_is_refused(sandbox, wrong):
    """displayName is required, description is no attribute here. [documented; that an unknown
    member is a 400 follows from CreateGroup's list of errors]
    """
    response = sandbox.post("/Groups", {"displayName": "Engineers", **wrong})
    assert (response.status_code, response.json()["detail"]) == (400, VIOLATES)
    assert sandbox.state()["groups"] == []


@pytest.mark.parametrize(
    "second", [{"displayName": "ENGINEERS"}, {"displayName": "Other", "externalId": "g1"}]
)
def test_a_taken_name_or_external_id_is_a_conflict(sandbox, group, second):
    """displayName [documented] and externalId [observed by clients] are unique among groups."""
    response = sandbox.post("/Groups", second)
    assert response.status_code == 409
    assert response.json()["detail"] == "Refused to create a new, duplicate resource."


def test_users_and_groups_do_not_share_their_unique_values(sandbox, group):
    """externalId is unique per resource type. [documented]"""
    sandbox.create_user("Engineers", externalId="g1")


def test_a_group_is_gone_after_delete(sandbox, group):
    """DeleteGroup is 204, memberships vanish, the name is free. [documented]"""
    sandbox.add_members(group, sandbox.create_user())
    path = f"/Groups/{group['id']}"
    assert sandbox.delete(path).status_code == 204
    assert [sandbox.get(path).status_code, sandbox.delete(path).status_code] == [404, 404]
    assert sandbox.state()["memberships"] == []
    assert sandbox.create_group(externalId="g1")["id"] != group["id"]


def test_put_of_a_group_does_not_exist(sandbox, group):
    """There is no group PUT [documented]; that it is a 400 is inferred."""
    response = sandbox.put(f"/Groups/{group['id']}", {"displayName": "Others"})
    assert (response.status_code, response.json()["detail"]) == (400, VIOLATES)
    assert sandbox.get(f"/Groups/{group['id']}").json() == group


# PATCH


def test_patch_answers_nothing(sandbox, group):
    """PatchGroup answers 204 without a body. [documented]"""
    response = sandbox.patch(f"/Groups/{group['id']}", op("replace", "displayName", "Makers"))
    assert (response.status_code, response.content) == (204, b"")
    assert "Content-Type" not in response.headers
    assert sandbox.get(f"/Groups/{group['id']}").json()["displayName"] == "Makers"


FORMS: dict[str, tuple[list[dict[str, object]], dict[str, object]]] = {
    "rename": ([op("replace", "displayName", "Makers")], {"displayName": "Makers"}),
    "name and externalId in one request": (
        [op("replace", "displayName", "Makers"), op("replace", "externalId", "g2")],
        {"displayName": "Makers", "externalId": "g2"},
    ),
    "remove externalId": ([op("remove", "externalId")], {"externalId": None}),
    "the guide's pathless example": (
        [op("replace", value={"id": NOBODY, "displayName": "Makers"})],
        {"displayName": "Makers"},
    ),
}


@pytest.mark.parametrize(("operations", "outcome"), FORMS.values(), ids=FORMS)
def test_name_and_external_id_can_be_patched(sandbox, group, operations, outcome):
    """PATCH takes displayName and externalId, several operations in one request. [documented and
    observed by clients]
    """
    assert sandbox.patch(f"/Groups/{group['id']}", *operations).status_code == 204
    answer = sandbox.get(f"/Groups/{group['id']}").json()
    assert {name: answer.get(name) for name in outcome} == outcome


def test_members_are_added_and_removed_by_name(sandbox, group, members):
    """add and remove with the ids in `value`. [observed by clients, consistent with the guide]"""
    ada, bob = sandbox.create_user("ada"), sandbox.create_user("bob")
    path = f"/Groups/{group['id']}"
    assert sandbox.patch(path, members("add", ada, bob)).status_code == 204
    assert pairs(sandbox) == {(group["id"], ada["id"]), (group["id"], bob["id"])}
    assert sandbox.patch(path, members("remove", ada)).status_code == 204
    assert pairs(sandbox) == {(group["id"], bob["id"])}


def test_operations_on_members_are_done_in_order(sandbox, group, members):
    """RFC 7644 section 3.5.2: operations are applied sequentially."""
    ada, bob = sandbox.create_user("ada"), sandbox.create_user("bob")
    operations = [members("add", ada, bob), members("remove", ada)]
    sandbox.patch(f"/Groups/{group['id']}", *operations)
    assert pairs(sandbox) == {(group["id"], bob["id"])}


def test_members_may_be_added_without_a_path(sandbox, group):
    """Without `path` add may modify a single attribute, such as members. [inferred]"""
    ada = sandbox.create_user("ada")
    operation = op("add", value={"members": [{"value": ada["id"]}]})
    assert sandbox.patch(f"/Groups/{group['id']}", operation).status_code == 204
    assert pairs(sandbox) == {(group["id"], ada["id"])}


def test_adding_a_member_twice_or_removing_a_stranger_changes_nothing(sandbox, group, members):
    """Both are accepted. [inferred]"""
    ada, bob = sandbox.create_user("ada"), sandbox.create_user("bob")
    path = f"/Groups/{group['id']}"
    for operation in (members("add", ada), members("add", ada), members("remove", bob)):
        assert sandbox.patch(path, operation).status_code == 204
    assert sandbox.state()["memberships"] == [{"groupId": group["id"], "userId": ada["id"]}]


@pytest.mark.parametrize("kind", ["add", "remove"])
def test_an_unknown_member_is_a_404_and_nothing_is_done(sandbox, group, members, kind):
    """One unknown user id refuses the whole request. [inferred]"""
    ada, bob = sandbox.create_user("ada"), sandbox.create_user("bob")
    sandbox.add_members(group, ada)
    path = f"/Groups/{group['id']}"
    stranger = {"id": NOBODY}
    operations = [members("add", bob), members(kind, stranger)]
    assert sandbox.patch(path, *operations).status_code == 404
    assert pairs(sandbox) == {(group["id"], ada["id"])}


def test_an_unknown_group_is_a_404(sandbox, members):
    """PatchGroup lists a 404. [documented]"""
    response = sandbox.patch(f"/Groups/{NOBODY}", members("add", sandbox.create_user()))
    assert response.status_code == 404


MEMBER = [{"value": NOBODY}]
REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "replace of members": (op("replace", "members", MEMBER), REPLACING),
    "replace of members by nothing": (op("replace", "members", []), REPLACING),
    "pathless replace of members": (op("replace", value={"members": MEMBER}), REPLACING),
    "remove of all members": (op("remove", "members"), VIOLATES),
    "remove of an empty list": (op("remove", "members", []), VIOLATES),
    "add of an empty list": (op("add", "members", []), VIOLATES),
    "add of an object": (op("add", "members", {"value": NOBODY}), VIOLATES),
    "the RFC's path form": (op("remove", f'members[value eq "{NOBODY}"]'), VIOLATES),
    "a value filter beside a value": (op("add", 'members[type eq "x"]', MEMBER), VIOLATES),
    "members.value beside a list": (op("add", "members.value", MEMBER), VIOLATES),
    "members.value": (op("remove", "members.value", NOBODY), VIOLATES),
    "a description": (op("add", "description", "x"), VIOLATES),
    "an empty name": (op("replace", "displayName", ""), VIOLATES),
    "remove of the name": (op("remove", "displayName"), VIOLATES),
    "a value filter on the name": (op("replace", 'displayName[type eq "x"]', "y"), VIOLATES),
    "two pathless attributes": (
        op("replace", value={"displayName": "Makers", "externalId": "g2"}),
        PATHLESS,
    ),
    "a pathless id alone": (op("replace", value={"id": NOBODY}), PATHLESS),
    "a capital op": (op("Add", "members", MEMBER), VIOLATES),
}


@pytest.mark.parametrize(("operation", "detail"), REFUSED.values(), ids=REFUSED)
def test_a_group_patch_that_aws_refuses_changes_nothing(sandbox, group, members, operation, detail):
    """Members are never replaced nor all removed [documented, text observed by clients]; the form
    members[value eq …] is in no readable example [inferred].
    """
    sandbox.add_members(group, sandbox.create_user("ada"))
    before, kept = pairs(sandbox), sandbox.get(f"/Groups/{group['id']}").json()
    bob = sandbox.create_user("bob")
    response = sandbox.patch(f"/Groups/{group['id']}", members("add", bob), operation)
    assert (response.status_code, response.json()["detail"]) == (400, detail)
    assert pairs(sandbox) == before
    assert sandbox.get(f"/Groups/{group['id']}").json() == kept


def test_a_hundred_membership_changes_are_the_limit(sandbox, group, members):
    """At most 100 changes per request over all operations, else the generic 400. [documented]"""
    people = [sandbox.create_user(f"user{number}") for number in range(101)]
    path = f"/Groups/{group['id']}"
    for operations in (
        [members("add", *people)],
        [members("add", *people[:60]), members("remove", *people[60:])],
    ):
        response = sandbox.patch(path, *operations)
        assert (response.status_code, response.json()["detail"]) == (400, VIOLATES)
    named = [{"value": person["id"]} for person in people]
    too_many = sandbox.post("/Groups", {"displayName": "Too many", "members": named})
    assert too_many.status_code == 400
    assert pairs(sandbox) == set()
    assert sandbox.patch(path, members("add", *people[:100])).status_code == 204
    assert len(pairs(sandbox)) == 100
    enough = sandbox.post("/Groups", {"displayName": "Enough", "members": named[:100]})
    assert enough.status_code == 201


def test_a_rename_to_a_taken_name_is_a_conflict(sandbox, group):
    """The name of a group is unique; PatchGroup's list leaves the 409 out. [inferred]"""
    other = sandbox.create_group("Others")
    response = sandbox.patch(f"/Groups/{other['id']}", op("replace", "displayName", "engineers"))
    assert response.status_code == 409


# --strict-disabled


def test_a_disabled_user_can_be_added_unless_strict(sandbox, group):
    """Whether SCIM refuses it is not documented: by default not."""
    user = sandbox.create_user(active=False)
    assert sandbox.add_members(group, user).status_code == 204


def test_strict_refuses_to_add_a_disabled_user(sandbox, group, members):
    """The console says that a disabled user cannot be added to groups. [switch]"""
    ada, bob = sandbox.create_user("ada", active=False), sandbox.create_user("bob")
    sandbox.behave(strict_disabled=True)
    assert sandbox.patch(f"/Groups/{group['id']}", members("add", bob, ada)).status_code == 400
    created = sandbox.post("/Groups", {"displayName": "New", "members": [{"value": ada["id"]}]})
    assert created.status_code == 400
    assert sandbox.state()["memberships"] == []


def test_strict_removals_refuse_to_take_a_disabled_user_out(sandbox, group, members):
    """All of the call or nothing; who is active, or no member, is no reason. [switch]"""
    ada, bob = sandbox.create_user("ada"), sandbox.create_user("bob")
    sandbox.add_members(group, ada, bob)
    sandbox.patch(f"/Users/{ada['id']}", {"op": "replace", "path": "active", "value": False})
    sandbox.behave(strict_removals=True)
    both = sandbox.patch(f"/Groups/{group['id']}", members("remove", bob, ada))
    assert both.status_code == 400
    assert len(sandbox.state()["memberships"]) == 2
    assert sandbox.patch(f"/Groups/{group['id']}", members("remove", bob)).status_code == 204
    [left] = sandbox.state()["memberships"]
    assert left["userId"] == ada["id"]


def test_strict_never_refuses_a_removal(sandbox, group, members):
    """A disabled user can always be taken out of a group. [switch]"""
    user = sandbox.create_user(active=False)
    sandbox.add_members(group, user)
    sandbox.behave(strict_disabled=True)
    assert sandbox.patch(f"/Groups/{group['id']}", members("remove", user)).status_code == 204
    assert sandbox.state()["memberships"] == []
