"""Groups among the members of a group: left out with a warning, or taken as nested groups.

RFC 7643, section 4.2, allows groups as members; Identity Center has none (AWS SCIM developer guide,
limitations). ``[groups] nested`` says which.
"""

import json
from typing import Any

import pytest

from scim_bridge.directory import tables
from tests.scim.conftest import Scim, assert_error

PUT = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Outer"}


@pytest.fixture
def flat(scim: Scim) -> Scim:
    """An endpoint with ``nested = "flatten"``."""
    scim.resources.nested = "flatten"
    return scim


def warnings(scim: Scim) -> list[dict[str, Any]]:
    """The warnings in the audit trail: the group each is about, and its facts."""
    with scim.database.reading() as connection:
        rows = connection.execute(
            tables.audit.select().where(tables.audit.c.action == "warning")
        ).all()
    return [{"about": row.resource_id, **json.loads(row.facts)} for row in rows]


def entries(scim: Scim, group_id: str) -> list[dict[str, Any]]:
    return list(scim.get(f"/Groups/{group_id}").json.get("members", []))


def groups_of(scim: Scim, user_id: str) -> set[tuple[str, str]]:
    listed = scim.get(f"/Users/{user_id}").json.get("groups", [])
    return {(one["display"], one["type"]) for one in listed}


# -- Left out ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [{}, {"type": "Group"}, {"type": "User"}, {"$ref": "https://bridge.example.com/Groups/{id}"}],
    ids=str,
)
@pytest.mark.parametrize("how", ["POST", "PUT", "add", "replace", "with a name"])
def test_a_group_among_the_members_is_left_out_with_one_warning(
    scim: Scim, how: str, told: dict[str, str]
) -> None:
    """The rest is applied, and the trail names both groups and what to do."""
    ada, inner = scim.user("ada")["id"], scim.group("Inner")["id"]
    members = [
        {"value": inner, **{key: text.replace("{id}", inner) for key, text in told.items()}},
        {"value": ada},
    ]
    if how == "POST":
        answer = scim.post("/Groups", {**PUT, "members": members})
        assert answer.status_code == 201, answer.text
        outer = answer.json["id"]
        assert [member["value"] for member in answer.json["members"]] == [ada]
    else:
        outer = scim.group("Outer")["id"]
        answer = _sent(scim, how, outer, members)
        assert answer.status_code in (200, 204), answer.text

    assert scim.members(outer) == {ada}
    (warning,) = warnings(scim)
    assert (warning["about"], warning["groups"]) == (outer, [inner])
    assert 'nested = "flatten"' in warning["why"]


def _sent(scim: Scim, how: str, outer: str, members: list[dict[str, str]]) -> Any:
    match how:
        case "PUT":
            return scim.put(f"/Groups/{outer}", {**PUT, "members": members})
        case "with a name":
            value = {"displayName": "Renamed", "members": members}
            return scim.patch(f"/Groups/{outer}", {"op": "replace", "value": value})
        case _:
            return scim.patch(f"/Groups/{outer}", {"op": how, "path": "members", "value": members})


def test_a_put_of_nothing_but_groups_leaves_nobody(scim: Scim) -> None:
    """RFC 7644, section 3.5.1: a PUT states the whole list. The brake is there for a mistake."""
    ada, inner = scim.user("ada")["id"], scim.group("Inner")["id"]
    outer = scim.group("Outer", ada)["id"]

    answer = scim.put(f"/Groups/{outer}", {**PUT, "members": [{"value": inner}]})

    assert answer.status_code == 200, answer.text
    assert scim.members(outer) == set()
    assert (scim.writes[-1].removed, scim.writes[-1].replaced) == ((ada,), True)
    assert len(warnings(scim)) == 1


@pytest.mark.parametrize("how", ["value", "filter"])
def test_to_remove_a_group_that_was_left_out_is_no_error(scim: Scim, how: str) -> None:
    """A client that takes out what it thinks it put in is told that it is out, and nobody goes."""
    ada, inner = scim.user("ada")["id"], scim.group("Inner")["id"]
    outer = scim.group("Outer", ada)["id"]
    operation: dict[str, Any] = {"op": "remove", "path": f'members[value eq "{inner}"]'}
    if how == "value":
        operation = {"op": "remove", "path": "members", "value": [{"value": inner}]}

    assert scim.patch(f"/Groups/{outer}", operation).status_code == 204

    assert scim.members(outer) == {ada}
    assert warnings(scim) == []


@pytest.mark.parametrize("mode", ["skip", "flatten"])
def test_a_member_that_is_nothing_is_refused(scim: Scim, mode: Any) -> None:
    """Neither a user nor a group, or a group that was deleted: 400, and nothing is changed."""
    scim.resources.nested = mode
    ada, gone, inner = scim.user("ada")["id"], scim.group("Gone")["id"], scim.group("Inner")["id"]
    outer = scim.group("Outer")["id"]
    scim.delete(f"/Groups/{gone}")

    for stranger in (gone, "no-such-id"):
        value = [{"value": ada}, {"value": inner}, {"value": stranger, "type": "Group"}]
        operation = {"op": "add", "path": "members", "value": value}
        answer = scim.patch(f"/Groups/{outer}", operation)
        assert stranger in assert_error(answer, 400, "invalidValue")
    assert scim.members(outer) == set()
    assert warnings(scim) == []


# -- Nested -----------------------------------------------------------------------------------


def test_a_nested_group_is_read_back_and_its_people_are_indirect_members(flat: Scim) -> None:
    """RFC 7643, sections 4.2 and 4.1.2: a member of the type Group; groups direct and indirect."""
    ada, bob = flat.user("ada")["id"], flat.user("bob")["id"]
    inner = flat.group("Inner", ada, bob)["id"]
    outer = flat.group("Outer", inner, bob)["id"]
    top = flat.group("Top", outer)["id"]

    (of_top,) = entries(flat, top)
    assert (of_top["value"], of_top["type"]) == (outer, "Group")
    assert of_top["$ref"].endswith(f"/scim/v2/Groups/{outer}")
    assert [(one["value"], one["type"]) for one in entries(flat, outer)] == [
        (bob, "User"),
        (inner, "Group"),
    ]
    assert groups_of(flat, ada) == {("Inner", "direct"), ("Outer", "indirect"), ("Top", "indirect")}
    assert groups_of(flat, bob) == {("Inner", "direct"), ("Outer", "direct"), ("Top", "indirect")}
    assert warnings(flat) == []


def test_what_a_user_sees_of_groups_changes_its_version(flat: Scim) -> None:
    """RFC 7644, section 3.14: another representation has another ETag."""
    ada = flat.user("ada")["id"]
    inner = flat.group("Inner", ada)["id"]
    outer = flat.group("Outer")["id"]

    def etag() -> str:
        return str(flat.get(f"/Users/{ada}").headers["ETag"])

    seen = [etag()]
    add = {"op": "add", "path": "members", "value": [{"value": inner}]}
    flat.patch(f"/Groups/{outer}", add)
    seen.append(etag())
    flat.patch(f"/Groups/{outer}", {"op": "replace", "path": "displayName", "value": "Renamed"})
    seen.append(etag())
    flat.patch(f"/Groups/{outer}", {"op": "remove", "path": f'members[value eq "{inner}"]'})
    seen.append(etag())
    flat.patch(f"/Groups/{outer}", add)
    seen.append(etag())
    flat.delete(f"/Groups/{outer}")
    seen.append(etag())

    assert len(set(seen)) == len(seen)


def test_a_group_is_never_in_itself(flat: Scim) -> None:
    """Not at any depth; the refusal names the group that would close the circle."""
    inner = flat.group("Inner")["id"]
    middle = flat.group("Middle", inner)["id"]
    outer = flat.group("Outer", middle)["id"]

    for one in (inner, middle, outer):
        operation = {"op": "add", "path": "members", "value": [{"value": one}]}
        detail = assert_error(flat.patch(f"/Groups/{inner}", operation), 400, "invalidValue")
        assert one in detail
    assert entries(flat, inner) == []


def test_a_nesting_that_comes_and_goes_is_in_the_audit_trail(flat: Scim) -> None:
    """Which group was put into which, and that the deletion of either ended it."""
    inner = flat.group("Inner")["id"]
    outer = flat.group("Outer", inner)["id"]
    flat.delete(f"/Groups/{inner}")

    with flat.database.reading() as connection:
        rows = connection.execute(
            tables.audit.select().where(tables.audit.c.related_id == outer)
        ).all()
    assert [(row.action, row.kind, row.resource_id) for row in rows] == [
        ("member-added", "group", inner),
        ("member-removed", "group", inner),
    ]
    assert entries(flat, outer) == []
