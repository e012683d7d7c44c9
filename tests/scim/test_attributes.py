"""The eight attributes, from the request to what the directory answers."""

from typing import Any

import pytest
from sqlalchemy import select

from scim_bridge.directory.tables import audit
from tests.scim.conftest import ENTERPRISE, Scim, assert_error, person

PLAIN = {
    "displayName": ("Ada L.", "Ada K."),
    "title": ("Countess", "Analyst"),
}
ENTERPRISE_ONLY = {
    "department": ("Engines", "Numbers"),
    "division": ("North", "South"),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_attribute_is_created_replaced_patched_and_cleared(scim: Scim, name: str) -> None:
    """Display name and title: kept as sent, by POST, PUT and PATCH; null clears."""
    first, second = PLAIN[name]
    user = scim.user(**{name: first})
    path = f"/Users/{user['id']}"
    assert user[name] == first

    assert scim.put(path, person(**{name: second})).json[name] == second
    assert scim.patch(path, {"op": "replace", "path": name, "value": first}).json[name] == first
    assert name not in scim.patch(path, {"op": "replace", "path": name, "value": None}).json
    assert name not in scim.get(path).json


@pytest.mark.parametrize("name", ENTERPRISE_ONLY)
def test_an_enterprise_attribute_is_created_replaced_patched_and_cleared(
    scim: Scim, name: str
) -> None:
    """Department and division, in the extension of RFC 7643, section 4.3."""
    first, second = ENTERPRISE_ONLY[name]
    user = scim.user(**{ENTERPRISE: {name: first}})
    path = f"/Users/{user['id']}"
    assert user[ENTERPRISE] == {name: first}

    assert scim.put(path, person(**{ENTERPRISE: {name: second}})).json[ENTERPRISE][name] == second
    patched = scim.patch(path, {"op": "add", "path": f"{ENTERPRISE}:{name}", "value": first})
    assert patched.json[ENTERPRISE][name] == first
    assert ENTERPRISE not in scim.patch(path, {"op": "remove", "path": ENTERPRISE}).json


def test_a_put_without_an_attribute_clears_it(scim: Scim) -> None:
    """RFC 7644, section 3.5.1: what a PUT leaves out is unassigned."""
    user = scim.user(title="Countess")

    assert "title" not in scim.put(f"/Users/{user['id']}", person()).json


def test_the_names_are_required(scim: Scim) -> None:
    """Identity Center needs both; the answer names what is missing, and nothing is stored."""
    for name, missing in (
        (None, ("name.givenName", "name.familyName")),
        ({"givenName": "Ada"}, ("name.familyName",)),
        ({"formatted": "Ada King Lovelace"}, ("name.givenName", "name.familyName")),
    ):
        detail = assert_error(scim.post("/Users", person(name=name)), 400, "invalidValue")
        assert all(path in detail for path in missing)

    assert scim.get("/Users").json["totalResults"] == 0


def test_a_name_of_two_words_is_split(scim: Scim) -> None:
    """`name.formatted` is read before the names are asked for, by POST and by PUT."""
    user = scim.user(name={"formatted": "Ada Lovelace"})
    replaced = scim.put(f"/Users/{user['id']}", person(name={"formatted": "Ada King"}))

    assert user["name"] == {
        "formatted": "Ada Lovelace",
        "givenName": "Ada",
        "familyName": "Lovelace",
    }
    assert replaced.json["name"]["familyName"] == "King"


def test_a_required_name_cannot_be_patched_away(scim: Scim) -> None:
    """RFC 7644, section 3.5.2.2: 400 mutability."""
    user = scim.user()
    path = f"/Users/{user['id']}"

    for target in ("name.familyName", "name", "userName"):
        assert_error(scim.patch(path, {"op": "remove", "path": target}), 400, "mutability")
    assert scim.get(path).json["name"] == user["name"]


def test_a_user_name_is_required_and_unique_whatever_its_case(scim: Scim) -> None:
    """RFC 7643, section 4.1.1; the conflict names the attribute."""
    scim.user("ada")

    assert "userName" in assert_error(
        scim.post("/Users", person(userName=None)), 400, "invalidValue"
    )
    detail = assert_error(scim.post("/Users", person("ADA")), 409, "uniqueness")
    assert "userName" in detail


def test_an_e_mail_is_optional_but_unique(scim: Scim) -> None:
    """Identity Center takes users without e-mail, and no two with the same."""
    scim.user("ada", emails=[{"value": "ada@example.com", "primary": True}])
    scim.user("bob")
    scim.user("cia")

    taken = scim.post("/Users", person("dan", emails=[{"value": "ADA@example.com"}]))
    assert "emails" in assert_error(taken, 409, "uniqueness")


def test_an_e_mail_comes_back_as_it_was_sent(scim: Scim) -> None:
    """Entra compares what it reads with what it sent, and sends a difference for ever."""
    emails = [{"value": "Ada@Example.COM", "type": "work", "primary": True}]

    assert scim.user(emails=emails)["emails"] == emails


def test_another_user_name_is_refused(scim: Scim) -> None:
    """The default: 400 mutability, by PUT and by PATCH, and nothing of it is stored."""
    user = scim.user(title="Countess")
    path = f"/Users/{user['id']}"
    other = person(userName="king@example.com", title="Analyst")

    assert_error(scim.put(path, other), 400, "mutability")
    rename = {"op": "replace", "path": "userName", "value": "king@example.com"}
    assert_error(scim.patch(path, rename), 400, "mutability")
    assert_error(
        scim.patch(path, {"op": "replace", "value": {"userName": "king@example.com"}}),
        400,
        "mutability",
    )
    assert scim.get(path).json == user


def test_the_same_user_name_in_another_case_is_stored_as_it_is_spelt(scim: Scim) -> None:
    """No other name (RFC 7643, section 4.1.1), but what is sent is what is read back: a provider
    that compares would send it again for ever.
    """
    path = f"/Users/{scim.user()['id']}"

    put = scim.put(path, person(userName="ADA@example.com"))
    assert (put.status_code, put.json["userName"]) == (200, "ADA@example.com")
    patched = scim.patch(path, {"op": "replace", "path": "userName", "value": "Ada@Example.com"})
    assert (patched.status_code, patched.json["userName"]) == (200, "Ada@Example.com")
    assert scim.get(path).json["userName"] == "Ada@Example.com"
    assert scim.get('/Users?filter=userName eq "ada@example.com"').json["totalResults"] == 1


def test_a_user_may_be_renamed_where_that_is_allowed(renaming: Scim) -> None:
    """`username_changes = "allow"`: in place, and found under the new name only."""
    user = renaming.user()
    path = f"/Users/{user['id']}"

    renamed = renaming.patch(
        path, {"op": "replace", "path": "userName", "value": "king@example.com"}
    )

    assert (renamed.json["id"], renamed.json["userName"]) == (user["id"], "king@example.com")
    assert renaming.get('/Users?filter=userName eq "ada@example.com"').json["totalResults"] == 0


def ignored(scim: Scim) -> list[Any]:
    """What the audit trail says was left out of deactivations."""
    with scim.database.reading() as connection:
        rows = connection.execute(select(audit).where(audit.c.action == "warning")).all()
    return [(row.actor, row.resource_id, row.facts) for row in rows]


@pytest.mark.parametrize("verb", ["put", "patch"])
def test_a_deactivation_is_applied_although_the_name_changes(scim: Scim, verb: str) -> None:
    """A leaver's record is often renamed with it; the name is ignored, and audited."""
    user = scim.user()
    path = f"/Users/{user['id']}"
    change = {"active": False, "userName": "left@example.com"}

    if verb == "put":
        answer = scim.put(path, person(**change))
    else:
        answer = scim.patch(path, {"op": "replace", "value": change})

    assert (answer.status_code, answer.json["active"]) == (200, False)
    assert answer.json["userName"] == "ada@example.com"
    (entry,) = ignored(scim)
    assert entry[:2] == ("client:okta", user["id"])
    assert "userName" in str(entry[2])


def test_a_deactivation_is_applied_although_its_e_mail_is_taken(scim: Scim) -> None:
    """Nobody keeps access since another attribute of the request is in conflict."""
    scim.user("bob", emails=[{"value": "bob@example.com"}])
    user = scim.user("ada", title="Countess")

    answer = scim.put(
        f"/Users/{user['id']}", person(active=False, emails=[{"value": "bob@example.com"}])
    )

    assert (answer.status_code, answer.json["active"]) == (200, False)
    assert (answer.json["title"], answer.json.get("emails")) == ("Countess", None)
    assert "emails" in str(ignored(scim))


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "active", "value": False},
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "replace", "path": "active", "value": "false"},
        {"op": "replace", "value": {"active": False}},
        {"op": "add", "value": {"Active": "FALSE"}},
    ],
)
def test_every_way_to_say_inactive_deactivates(scim: Scim, operation: dict[str, Any]) -> None:
    """Okta sends it without a path, Entra as a string, HR systems in lower case."""
    user = scim.user()

    assert scim.patch(f"/Users/{user['id']}", operation).json["active"] is False


@pytest.mark.parametrize("present", [True, False])
def test_only_an_explicit_value_changes_active(scim: Scim, present: bool) -> None:
    """A PUT without `active`, a null and a PATCH remove keep it."""
    user = scim.user(active=present)
    path = f"/Users/{user['id']}"

    for answer in (
        scim.put(path, person(active=None, title="Analyst")),
        scim.send("PUT", path, {**person(title="Analyst"), "active": None}),
        scim.patch(path, {"op": "remove", "path": "active"}),
        scim.patch(path, {"op": "replace", "path": "active", "value": None}),
        scim.patch(path, {"op": "replace", "value": {"title": "Countess"}}),
    ):
        assert (answer.status_code, answer.json["active"]) == (200, present)


@pytest.mark.parametrize("value", ["yes", 1, 0, "1", [True, True], {}], ids=repr)
def test_what_is_neither_true_nor_false_is_refused(scim: Scim, value: object) -> None:
    """Nobody is enabled or disabled by a guess."""
    user = scim.user()
    path = f"/Users/{user['id']}"

    assert_error(scim.put(path, person(active=value)), 400, "invalidValue")
    replace = {"op": "replace", "path": "active", "value": value}
    assert_error(scim.patch(path, replace), 400, "invalidValue")
    assert scim.get(path).json == user


def test_what_identity_center_would_refuse_is_refused_with_every_reason(scim: Scim) -> None:
    """Design: userName, e-mail and names that AWS would refuse are 400 before the commit."""
    body = person(
        userName="ada lovelace",
        name={"givenName": "A<da", "familyName": "Lovelace"},
        emails=[{"value": "ada;@example.com"}],
    )

    detail = assert_error(scim.post("/Users", body), 400, "invalidValue")
    assert all(path in detail for path in ("userName", "name.givenName", "emails"))
    assert scim.writes == []


def test_what_identity_center_cannot_hold_is_kept(scim: Scim) -> None:
    """Other attributes stay in the directory and come back as sent, whatever AWS takes."""
    user = scim.user(title="Head; <of> 100%", nickName="a:b", externalId="emp:7|x")

    assert (user["title"], user["nickName"]) == ("Head; <of> 100%", "a:b")
    assert scim.get(f"/Users/{user['id']}").json["externalId"] == "emp:7|x"


def test_a_manager_is_kept_as_sent(scim: Scim) -> None:
    """By id, whether that user exists already or not (RFC 7643, section 4.3)."""
    user = scim.user(**{ENTERPRISE: {"manager": {"value": "not-yet-there"}}})

    assert user[ENTERPRISE]["manager"]["value"] == "not-yet-there"


def test_a_manager_is_referred_to_by_the_whole_address(scim: Scim) -> None:
    """Relative references, as RFC 7643, section 8.3, has them, lead to the same user."""
    boss = scim.user("boss")
    for number, reference in enumerate((f"../Users/{boss['id']}", f"Users/{boss['id']}")):
        manager = {"value": boss["id"], "$ref": reference}
        user = scim.user(f"u{number}", **{ENTERPRISE: {"manager": manager}})

        assert user[ENTERPRISE]["manager"]["$ref"] == boss["meta"]["location"]


def test_an_empty_manager_is_no_manager(scim: Scim) -> None:
    """PingFederate sends one with empty strings."""
    empty = {"value": "", "displayName": ""}

    assert ENTERPRISE not in scim.user(**{ENTERPRISE: {"manager": empty}})
