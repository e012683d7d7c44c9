"""What Identity Center takes and answers for users: CreateUser, PutUser, PatchUser, DeleteUser."""

import json
import re
from typing import Any

import pytest

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
VIOLATES = "Request is unparsable, syntactically incorrect, or violates schema."
PATHLESS = (
    'Current PATCH support allows omitting "path" attribute only for Add and Replace operations '
    "modifying a single attribute."
)
EMAIL = {"value": "ada@example.com", "type": "work", "primary": True}
EVERYTHING = {
    "externalId": "701984",
    "name": {
        "formatted": "Ms. Ada K Lovelace, I",
        "familyName": "Lovelace",
        "givenName": "Ada",
        "middleName": "King",
        "honorificPrefix": "Ms.",
        "honorificSuffix": "I",
    },
    "nickName": "Ada",
    "title": "Tour Guide",
    "userType": "Employee",
    "preferredLanguage": "da, en-gb;q=0.8",
    "locale": "en-US",
    "timezone": "America/Los_Angeles",
    "active": True,
    "emails": [EMAIL],
    "addresses": [
        {
            "formatted": "100 Universal City Plaza\nHollywood, CA 91608 USA",
            "streetAddress": "100 Universal City Plaza",
            "locality": "Hollywood",
            "region": "CA",
            "postalCode": "91608",
            "country": "USA",
            "type": "work",
            "primary": True,
        }
    ],
    "phoneNumbers": [{"value": "555-555-5555", "type": "work"}],
    "roles": [{"value": "Guide", "type": "work", "primary": True}],
}
COMPANY = {
    "employeeNumber": "701984",
    "costCenter": "4130",
    "organization": "Universal Studios",
    "division": "Theme Park",
    "department": "Tour Operations",
}


def test_a_created_user_comes_back_whole(sandbox, person):
    """CreateUser answers 201 and the user with every attribute that was sent. [documented]"""
    body = person(**EVERYTHING, **{ENTERPRISE: {**COMPANY, "manager": {"value": "9067729b3d"}}})
    response = sandbox.post("/Users", {"schemas": [CORE, ENTERPRISE], **body})
    answer = response.json()
    assert response.status_code == 201
    assert answer["schemas"] == [CORE, ENTERPRISE]
    assert {name: answer[name] for name in body} == body


def test_a_created_user_has_an_id_and_aws_s_meta(sandbox):
    """`id` is a UUID; `meta` has no location and no version, times are in seconds. [documented]"""
    user = sandbox.create_user()
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", user["id"])
    assert user["meta"].keys() == {"resourceType", "created", "lastModified"}
    assert user["meta"]["resourceType"] == "User"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", user["meta"]["created"])


def test_unset_attributes_are_absent(sandbox):
    """Unset attributes are absent rather than null. [documented examples]"""
    user = sandbox.create_user(title=None)
    assert user.keys() == {"id", "meta", "schemas", "userName", "name", "displayName", "active"}


def test_null_and_empty_lists_count_as_unset(sandbox, person):
    """null and [] are unassigned (RFC 7643 section 2.5), and taken. [observed by clients]"""
    body = {**person(), "title": None, "emails": [], ENTERPRISE: {"department": None}}
    response = sandbox.post("/Users", body)
    assert response.status_code == 201
    assert not {"title", "emails", ENTERPRISE} & response.json().keys()


def test_a_user_is_active_unless_told_otherwise(sandbox):
    """A user may be created inactive; without `active` it is active. [documented / inferred]"""
    assert sandbox.create_user("ada")["active"] is True
    assert sandbox.create_user("bob", active=False)["active"] is False


def test_profile_url_is_taken_and_not_echoed(sandbox):
    """AWS's answers never have the profileUrl that was sent. [documented example]"""
    url = "https://login.example.org/ada?x=1;y=%20"
    user = sandbox.create_user(profileUrl=url)
    assert "profileUrl" not in user
    assert "profileUrl" not in sandbox.get(f"/Users/{user['id']}").json()
    assert sandbox.state()["users"][0]["profileUrl"] == url


def test_a_manager_comes_back_with_its_value_only(sandbox):
    """Answers have manager.value and no $ref. [documented]"""
    manager = {"value": "9067729b3d", "$ref": "../Users/9067729b3d"}
    user = sandbox.create_user(**{ENTERPRISE: {"manager": manager}})
    assert user[ENTERPRISE] == {"manager": {"value": "9067729b3d"}}


@pytest.mark.parametrize("missing", ["userName", "displayName", "name"])
def test_a_required_attribute_is_required(sandbox, person, missing):
    """userName, name and displayName are required. [documented]"""
    response = sandbox.post("/Users", person(**{missing: None}))
    assert (response.status_code, response.json()["detail"]) == (400, VIOLATES)
    assert sandbox.last_reason() == f"{missing}: is required"


@pytest.mark.parametrize("missing", ["givenName", "familyName"])
def test_both_names_are_required(sandbox, person, missing):
    """name.givenName and name.familyName are required. [documented]"""
    names = {"givenName": "Ada", "familyName": "Lovelace"}
    del names[missing]
    assert sandbox.post("/Users", person(name=names)).status_code == 400
    assert sandbox.last_reason() == f"name.{missing}: is required"


WRONG: dict[str, dict[str, Any]] = {
    "an empty user name": {"userName": ""},
    "an empty given name": {"name": {"givenName": "", "familyName": "L"}},
    "an empty display name": {"displayName": ""},
    "an empty title": {"title": ""},
    "an empty e-mail": {"emails": [{**EMAIL, "value": ""}]},
    "an empty department": {ENTERPRISE: {"department": ""}},
    "a space in the user name": {"userName": "ada lovelace"},
    "a control character in the title": {"title": "Tour\x07"},
    "a user name of 129 characters": {"userName": "a" * 129},
    "a title of 1025 characters": {"title": "a" * 1025},
    "a space in the externalId": {"externalId": "70 1984"},
    "an externalId of 257 characters": {"externalId": "7" * 257},
    "a reserved name": {"userName": "Administrator"},
    "another reserved name": {"userName": "AWSAdministrators"},
    "two e-mails": {"emails": [EMAIL, {"value": "b@example.com", "type": "home"}]},
    "an e-mail that is not primary": {"emails": [{**EMAIL, "primary": False}]},
    "an e-mail without a primary mark": {"emails": [{"value": "ada@example.com"}]},
    "an e-mail without a value": {"emails": [{"type": "work", "primary": True}]},
    "e-mails as an object": {"emails": EMAIL},
    "two phone numbers": {"phoneNumbers": [{"value": "1"}, {"value": "2"}]},
    "two addresses": {"addresses": [{"locality": "A"}, {"locality": "B"}]},
    "two roles": {"roles": [{"value": "a"}, {"value": "b"}]},
    "display in an e-mail": {"emails": [{**EMAIL, "display": "Ada"}]},
    "display in an address": {"addresses": [{"locality": "A", "display": "x"}]},
    "display in a phone number": {"phoneNumbers": [{"value": "1", "display": "x"}]},
    "display in a role": {"roles": [{"value": "a", "display": "x"}]},
    "a manager's display name": {ENTERPRISE: {"manager": {"value": "1", "displayName": "B"}}},
    "a password": {"password": "secret"},
    "instant messengers": {"ims": [{"value": "x"}]},
    "photos": {"photos": [{"value": "https://example.com/a.png"}]},
    "certificates": {"x509Certificates": [{"value": "MII"}]},
    "entitlements": {"entitlements": [{"value": "x"}]},
    "groups": {"groups": [{"value": "x"}]},
    "an unknown attribute": {"favouriteColour": "blue"},
    "an unknown extension": {"urn:example:2.0:User": {"a": "b"}},
    "a number for a string": {"title": 7},
    "a string for the names": {"name": "Ada Lovelace"},
    "a string for an e-mail": {"emails": ["ada@example.com"]},
    "a string for active": {"active": "true"},
    "schemas without the core one": {"schemas": [ENTERPRISE]},
    "an unknown schema": {"schemas": [CORE, "urn:example:2.0:User"]},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_aws_refuses_is_refused(sandbox, person, wrong):
    """Empty strings, several values, unsupported attributes and wrong types are a 400 with AWS's
    one text. [documented for values and attributes; observed by clients for empty strings;
    inferred for lengths and unknown attributes]
    """
    response = sandbox.post("/Users", {**person(), **wrong})
    assert (response.status_code, response.json()["detail"]) == (400, VIOLATES)
    assert sandbox.state()["users"] == []


PLACES: dict[str, dict[str, Any]] = {
    "userName": {"userName": "a?b"},
    "displayName": {"displayName": "a?b"},
    "givenName": {"name": {"givenName": "a?b", "familyName": "L"}},
    "familyName": {"name": {"givenName": "A", "familyName": "a?b"}},
    "externalId": {"externalId": "a?b"},
    "title": {"title": "a?b"},
    "e-mail": {"emails": [{**EMAIL, "value": "a?b"}]},
    "type of an e-mail": {"emails": [{**EMAIL, "type": "a?b"}]},
    "street": {"addresses": [{"streetAddress": "a?b"}]},
    "department": {ENTERPRISE: {"department": "a?b"}},
}


@pytest.mark.parametrize("character", list("<>;:%"))
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_five_characters_are_refused_in_what_is_synchronised(sandbox, person, character, place):
    """`< > ; : %` must not be used in synchronised attributes. [observed by clients]"""
    assert sandbox.post("/Users", {**person(), **place}).status_code == 201
    wrong = json.loads(json.dumps(place).replace("?", character))
    assert sandbox.post("/Users", {**person("bob"), **wrong}).status_code == 400
    assert "is refused" in sandbox.last_reason()


def test_accents_symbols_and_punctuation_are_taken(sandbox):
    """userName takes letters with accents, symbols, numbers, punctuation. [documented]"""
    assert sandbox.create_user("zoë+o'neil_1@exämple.com", title="Dr.\u00a0& Rådgiver\u3000№ 1")


def test_the_longest_values_are_taken(sandbox):
    """Lengths are those of the Identity Store API: 128, 256 and 1024. [inferred]"""
    assert sandbox.create_user("a" * 128, externalId="7" * 256, title="t" * 1024)


UNIQUE = {
    "userName": ({"userName": "ada"}, {"userName": "ADA"}),
    "email": ({"emails": [EMAIL]}, {"emails": [{**EMAIL, "value": "Ada@Example.com"}]}),
    "externalId": ({"externalId": "A1"}, {"externalId": "A1"}),
}


@pytest.mark.parametrize(("first", "second"), UNIQUE.values(), ids=UNIQUE)
def test_a_taken_value_is_a_conflict_that_does_not_say_which(sandbox, person, first, second):
    """userName, primary e-mail and externalId are unique; the 409 does not say which one it was.
    [documented and observed by clients; that case does not count is inferred]
    """
    sandbox.post("/Users", {**person("ada"), **first})
    response = sandbox.post("/Users", {**person("bob"), **second})
    assert response.status_code == 409
    assert response.json()["detail"] == "Refused to create a new, duplicate resource."
    assert len(sandbox.state()["users"]) == 1


def test_external_ids_of_another_case_are_different(sandbox):
    """externalId is compared exactly. [inferred]"""
    sandbox.create_user("ada", externalId="a1")
    sandbox.create_user("bob", externalId="A1")


def test_a_value_is_free_again_once_nobody_has_it(sandbox, person):
    """A change and a deletion give unique values free. [documented: re-creation is possible]"""
    ada = sandbox.create_user("ada", emails=[EMAIL])
    operations = {"op": "replace", "path": "userName", "value": "ada2"}
    assert sandbox.patch(f"/Users/{ada['id']}", operations).status_code == 200
    bob = sandbox.create_user("ada")
    sandbox.delete(f"/Users/{ada['id']}")
    put = sandbox.put(f"/Users/{bob['id']}", person("ada2", emails=[EMAIL]))
    assert put.status_code == 200


def test_a_recreated_user_has_a_new_id(sandbox):
    """A user who is deleted and re-created is another one. [documented]"""
    first = sandbox.create_user()
    sandbox.delete(f"/Users/{first['id']}")
    assert sandbox.create_user()["id"] != first["id"]


def test_get_and_delete_of_an_unknown_user_are_404(sandbox):
    """GetUser, PatchUser and DeleteUser list a 404; a second DELETE is one. [documented]"""
    user = sandbox.create_user()
    path = f"/Users/{user['id']}"
    assert sandbox.get(path).json() == user
    assert sandbox.delete(path).status_code == 204
    assert [sandbox.get(path).status_code, sandbox.delete(path).status_code] == [404, 404]
    edit = {"op": "replace", "path": "title", "value": "x"}
    assert sandbox.patch(path, edit).status_code == 404


def test_deleting_a_user_ends_its_memberships(sandbox):
    """DeleteUser: memberships go. [documented]"""
    user, group = sandbox.create_user(), sandbox.create_group()
    sandbox.add_members(group, user)
    sandbox.delete(f"/Users/{user['id']}")
    assert sandbox.state()["memberships"] == []


# PUT


def test_put_drops_what_it_leaves_out(sandbox, person):
    """PutUser overwrites the user. [documented; that omitted attributes are dropped is inferred]"""
    user = sandbox.create_user(**EVERYTHING, **{ENTERPRISE: COMPANY})
    response = sandbox.put(f"/Users/{user['id']}", person("ada", title="Mathematician"))
    answer = response.json()
    assert response.status_code == 200
    assert answer["title"] == "Mathematician"
    assert not {"externalId", "emails", "nickName", ENTERPRISE} & answer.keys()
    assert answer["id"] == user["id"]


@pytest.mark.parametrize("active", [True, False])
def test_put_without_active_keeps_it(sandbox, person, active):
    """What an omitted `active` means is not documented: it stays. [inferred]"""
    user = sandbox.create_user(active=active)
    answer = sandbox.put(f"/Users/{user['id']}", person()).json()
    assert answer["active"] is active


def test_put_is_held_to_the_rules_of_create(sandbox, person):
    """PutUser has CreateUser's constraints. [documented]"""
    user = sandbox.create_user()
    assert sandbox.put(f"/Users/{user['id']}", person(displayName=None)).status_code == 400
    assert sandbox.put(f"/Users/{user['id']}", person(title="")).status_code == 400
    assert sandbox.get(f"/Users/{user['id']}").json() == user


def test_put_may_rename_and_keeps_the_id(sandbox, person):
    """userName changes by PUT; the id stays, so assignments stay. [documented]"""
    user = sandbox.create_user("ada")
    answer = sandbox.put(f"/Users/{user['id']}", {**person("ada.king"), "id": user["id"]}).json()
    assert (answer["id"], answer["userName"]) == (user["id"], "ada.king")


def test_put_to_a_taken_name_is_a_conflict(sandbox, person):
    """PutUser lists a 409. [documented]"""
    sandbox.create_user("ada")
    bob = sandbox.create_user("bob")
    assert sandbox.put(f"/Users/{bob['id']}", person("ada")).status_code == 409


def test_put_of_another_id_or_nobody_changes_nothing(sandbox, person):
    """A body with another id is a 400, an unknown user a 404. [inferred]"""
    user = sandbox.create_user()
    other = {**person("bob"), "id": "90677c60-0000-0000-0000-000000000000"}
    assert sandbox.put(f"/Users/{user['id']}", other).status_code == 400
    assert sandbox.put(f"/Users/{other['id']}", person("bob")).status_code == 404
    assert [one["userName"] for one in sandbox.state()["users"]] == ["ada"]


# PATCH


def op(kind: str, path: str | None = None, value: object = None) -> dict[str, object]:
    operation = {"op": kind, "path": path, "value": value}
    return {key: inner for key, inner in operation.items() if inner is not None}


def test_patch_answers_the_whole_user(sandbox):
    """PatchUser answers 200 and the full user. [documented]"""
    user = sandbox.create_user(emails=[EMAIL])
    response = sandbox.patch(f"/Users/{user['id']}", op("replace", "title", "Mathematician"))
    assert response.status_code == 200
    answer = response.json()
    assert answer.pop("title") == "Mathematician"
    assert {**answer, "meta": None} == {**user, "meta": None}


FORMS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "add an attribute": (op("add", "nickName", "Countess"), {"nickName": "Countess"}),
    "replace an attribute": (op("replace", "displayName", "A. L."), {"displayName": "A. L."}),
    "a sub-attribute": (
        op("replace", "name.givenName", "Augusta"),
        {"name": {"givenName": "Augusta", "familyName": "Lovelace"}},
    ),
    "an object keeps what it does not name": (
        op("replace", "name", {"familyName": "King"}),
        {"name": {"givenName": "Ada", "familyName": "King"}},
    ),
    "remove": (op("remove", "title"), {"title": None}),
    "remove what is not there": (op("remove", "nickName"), {"nickName": None}),
    "remove from what is not there": (
        op("remove", "name.middleName"),
        {"name": {"givenName": "Ada", "familyName": "Lovelace"}},
    ),
    "remove from an object that is not there": (
        op("remove", f"{ENTERPRISE}:manager.value"),
        {ENTERPRISE: {"division": "North"}},
    ),
    "replace all e-mails": (
        op("replace", "emails", [{"value": "new@example.com", "primary": True}]),
        {"emails": [{"value": "new@example.com", "primary": True}]},
    ),
    "replace the e-mail by an object": (
        op("replace", "emails", {"value": "new@example.com", "primary": True}),
        {"emails": [{"value": "new@example.com", "primary": True}]},
    ),
    "add the same e-mail": (op("add", "emails", [EMAIL]), {"emails": [EMAIL]}),
    "a value filter": (
        op("replace", 'emails[type eq "work"].value', "new@example.com"),
        {"emails": [{**EMAIL, "value": "new@example.com"}]},
    ),
    "a boolean value filter": (
        op("replace", "emails[primary eq true].value", "new@example.com"),
        {"emails": [{**EMAIL, "value": "new@example.com"}]},
    ),
    "a value filter without a sub-attribute": (
        op("replace", 'emails[type eq "work"]', {"value": "new@example.com"}),
        {"emails": [{**EMAIL, "value": "new@example.com"}]},
    ),
    "remove by a value filter": (op("remove", 'emails[type eq "work"]'), {"emails": None}),
    "remove a sub-attribute by a value filter": (
        op("remove", 'emails[type eq "work"].type'),
        {"emails": [{"value": EMAIL["value"], "primary": True}]},
    ),
    "remove all e-mails": (op("remove", "emails"), {"emails": None}),
    "an attribute of the extension": (
        op("replace", f"{ENTERPRISE}:department", "Engines"),
        {ENTERPRISE: {"department": "Engines", "division": "North"}},
    ),
    "a manager": (
        op("add", f"{ENTERPRISE}:manager", {"value": "m1"}),
        {ENTERPRISE: {"division": "North", "manager": {"value": "m1"}}},
    ),
    "the whole extension": (
        op("add", ENTERPRISE, {"costCenter": "7"}),
        {ENTERPRISE: {"division": "North", "costCenter": "7"}},
    ),
    "remove the extension": (op("remove", ENTERPRISE), {ENTERPRISE: None}),
    "remove the last of the extension": (
        op("remove", f"{ENTERPRISE}:division"),
        {ENTERPRISE: None},
    ),
    "one attribute without a path": (op("add", value={"nickName": "C"}), {"nickName": "C"}),
    "active as a boolean": (op("replace", "active", False), {"active": False}),
    "active as the string of AWS's example": (op("replace", "active", "false"), {"active": False}),
}


@pytest.mark.parametrize(("operation", "outcome"), FORMS.values(), ids=FORMS)
def test_a_patch_operation_does_what_it_says(sandbox, operation, outcome):
    """add, replace and remove, with every form of path that the guide describes, and a string or
    boolean `active`. [documented]
    """
    user = sandbox.create_user(
        title="Analyst", emails=[EMAIL], **{ENTERPRISE: {"division": "North"}}
    )
    response = sandbox.patch(f"/Users/{user['id']}", operation)
    assert response.status_code == 200, sandbox.last_reason()
    answer = response.json()
    assert {name: answer.get(name) for name in outcome} == outcome


REFUSED: dict[str, list[dict[str, object]]] = {
    "a capital op": [op("Replace", "title", "x")],
    "an unknown op": [op("move", "title", "x")],
    "no op": [{"path": "title", "value": "x"}],
    "replace without a value": [op("replace", "title")],
    "add without a value": [op("add", "title")],
    "a null in a pathless value": [op("replace", value={"title": None})],
    "remove without a path": [op("remove")],
    "remove with a value": [op("remove", "emails", [EMAIL])],
    "an empty string": [op("replace", "title", "")],
    "a refused character": [op("replace", "title", "a:b")],
    "remove userName": [op("remove", "userName")],
    "remove active": [op("remove", "active")],
    "remove displayName": [op("remove", "displayName")],
    "remove a required name": [op("remove", "name.givenName")],
    "remove the names": [op("remove", "name")],
    "two operations on active": [op("replace", "active", False), op("replace", "active", True)],
    "two operations on userName": [op("replace", "userName", "a"), op("add", "userName", "b")],
    "one of two without a path": [
        op("replace", value={"active": False}),
        op("replace", "active", True),
    ],
    "active as another string": [op("replace", "active", "False")],
    "a second e-mail": [op("add", "emails", [{"value": "b@example.com", "type": "home"}])],
    "an e-mail that is not primary": [op("replace", "emails[primary eq true].primary", False)],
    "a value filter that fits nothing": [op("replace", 'emails[type eq "home"].value', "x")],
    "a value filter with another operator": [op("replace", 'emails[type co "wo"].value', "x")],
    "a value filter on what is no value": [
        op("replace", "emails", ["ada@example.com"]),
        op("replace", 'emails[type eq "work"].value', "x"),
    ],
    "a path into the values": [op("replace", "emails.value", "x@example.com")],
    "a value filter on a single attribute": [op("replace", 'title[type eq "work"]', "x")],
    "a sub-attribute of a string": [op("replace", "title.short", "x")],
    "an unknown path": [op("replace", "favouriteColour", "blue")],
    "a path that is no path": [op("replace", "name/givenName", "x")],
    "a path that is no string": [{"op": "replace", "path": 7, "value": "x"}],
    "groups": [op("add", "groups", [{"value": "x"}])],
    "roles": [op("add", "roles", [{"value": "x"}])],
    "the core schema in the path": [op("replace", f"{CORE}:title", "x")],
    "the id": [op("replace", "id", "x")],
    "a pathless value that is no object": [op("replace", value="x")],
    "an unknown key": [{**op("replace", "title", "x"), "name": "y"}],
    "an operation that is no object": ["replace"],  # type: ignore[list-item]
    "no operations": [],
}


@pytest.mark.parametrize("operations", REFUSED.values(), ids=REFUSED)
def test_a_patch_that_aws_refuses_changes_nothing(sandbox, operations):
    """The constraints of PatchUser, and after it those of CreateUser, hold; nothing is half done.
    [documented; the case of `op` and forms the guide does not show are inferred]
    """
    user = sandbox.create_user(title="Analyst", emails=[EMAIL])
    response = sandbox.patch(
        f"/Users/{user['id']}", *([op("add", "nickName", "C")] if operations else []), *operations
    )
    assert (response.status_code, response.json()["detail"]) == (400, VIOLATES)
    assert sandbox.get(f"/Users/{user['id']}").json() == user


@pytest.mark.parametrize(
    "value", [{"title": "x", "nickName": "y"}, {}, {"schemas": [CORE], "title": "x"}]
)
def test_a_pathless_patch_of_more_than_one_attribute_has_its_own_text(sandbox, value):
    """Without `path` only a single attribute can be modified. [observed by clients]"""
    user = sandbox.create_user()
    response = sandbox.patch(f"/Users/{user['id']}", op("replace", value=value))
    assert (response.status_code, response.json()["detail"]) == (400, PATHLESS)


@pytest.mark.parametrize(
    "body",
    [
        {"Operations": [op("replace", "title", "x")]},
        {"schemas": [CORE], "Operations": [op("replace", "title", "x")]},
        {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]},
        {"title": "x"},
        [op("replace", "title", "x")],
    ],
)
def test_a_patch_needs_its_schema_and_operations(sandbox, body):
    """RFC 7644 section 3.5.2: the body MUST contain the PatchOp URI and Operations. [inferred]"""
    user = sandbox.create_user()
    assert sandbox.call("PATCH", f"/Users/{user['id']}", body).status_code == 400


def test_a_patch_to_a_taken_value_is_a_conflict(sandbox):
    """PatchUser may answer 409. [documented]"""
    sandbox.create_user("ada")
    bob = sandbox.create_user("bob")
    response = sandbox.patch(f"/Users/{bob['id']}", op("replace", "userName", "Ada"))
    assert response.status_code == 409
    assert sandbox.get(f"/Users/{bob['id']}").json() == bob


def test_a_user_may_be_renamed_to_its_own_name_in_another_case(sandbox):
    """Nobody is in the way of themselves. [inferred]"""
    ada = sandbox.create_user("ada")
    response = sandbox.patch(f"/Users/{ada['id']}", op("replace", "userName", "Ada"))
    assert response.json()["userName"] == "Ada"


# --strict-disabled


@pytest.fixture
def disabled(sandbox) -> dict[str, Any]:
    return sandbox.create_user(active=False, title="Analyst")


def test_a_disabled_user_can_be_edited_unless_strict(sandbox, person, disabled):
    """Whether SCIM refuses edits of a disabled user is not documented: by default not."""
    path = f"/Users/{disabled['id']}"
    assert sandbox.patch(path, op("replace", "title", "x")).status_code == 200
    assert sandbox.put(path, person(title="y")).status_code == 200


def test_strict_refuses_edits_of_a_disabled_user(sandbox, person, disabled):
    """The console says that a disabled user's details cannot be edited. [switch]"""
    sandbox.behave(strict_disabled=True)
    path = f"/Users/{disabled['id']}"
    assert sandbox.patch(path, op("replace", "title", "x")).status_code == 400
    assert sandbox.put(path, person(title="y", active=False)).status_code == 400
    assert sandbox.put(path, person(title="y")).status_code == 400
    assert sandbox.get(path).json() == disabled


def test_strict_never_refuses_an_enable(sandbox, person, disabled):
    """active=true is taken, alone and with other attributes. [switch]"""
    sandbox.behave(strict_disabled=True)
    path = f"/Users/{disabled['id']}"
    enable, disable = op("replace", "active", True), op("replace", "active", False)
    assert sandbox.patch(path, enable).json()["active"] is True
    assert sandbox.patch(path, disable).status_code == 200
    assert sandbox.patch(path, enable, op("replace", "title", "x")).status_code == 200
    assert sandbox.patch(path, disable).status_code == 200
    assert sandbox.put(path, person(title="y", active=True)).status_code == 200


def test_strict_takes_a_second_disable(sandbox, person, disabled):
    """A repeated active=false edits nothing, by PATCH or by an unchanged PUT. [switch]"""
    sandbox.behave(strict_disabled=True)
    path = f"/Users/{disabled['id']}"
    assert sandbox.patch(path, op("replace", "active", False)).status_code == 200
    assert sandbox.put(path, person(title="Analyst", active=False)).status_code == 200


def test_strict_takes_a_disable_with_an_edit_of_an_active_user(sandbox):
    """The user is not disabled yet when the edit is made. [switch]"""
    sandbox.behave(strict_disabled=True)
    user = sandbox.create_user()
    operations = [op("replace", "active", False), op("replace", "title", "x")]
    assert sandbox.patch(f"/Users/{user['id']}", *operations).status_code == 200
