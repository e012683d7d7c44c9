"""Carrying out operations: groups, versions, Bulk, and what the end of a delivery means."""

import json
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from scim2_models import PreconditionFailedException
from sqlalchemy import event

from scim_bridge.directory.database import Database
from scim_bridge.errors import Conflict, Refused
from scim_bridge.scim.dialect import MISSING_ENTRY, Rule
from scim_bridge.scim.tolerances import Tolerances
from scim_bridge.settings import Safety, Settings, Users
from tests.scim.conftest import Scim, assert_error, person, serve

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


@pytest.fixture
def crew(scim: Scim) -> list[str]:
    """The ids of three users."""
    return [scim.user(name)["id"] for name in ("ada", "bob", "cia")]


def entries(*ids: str) -> list[dict[str, str]]:
    return [{"value": one} for one in ids]


# -- Members ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "left"),
    [
        ({"op": "add", "path": "members", "value": [{"value": "2", "display": "Cia"}]}, "012"),
        ({"op": "add", "path": "members", "value": {"value": "2"}}, "012"),
        ({"op": "Add", "value": {"members": [{"value": "2"}]}}, "012"),
        ({"op": "add", "path": "members", "value": [{"value": "1"}]}, "01"),
        ({"op": "add", "path": GROUP, "value": {"members": [{"value": "2"}]}}, "012"),
        ({"op": "replace", "value": {GROUP: {"members": [{"value": "2"}]}}}, "2"),
        ({"op": "remove", "path": 'members[value eq "1"]'}, "0"),
        ({"op": "remove", "path": 'members[value eq "2"]'}, "01"),
        ({"op": "Remove", "path": "members", "value": [{"$ref": None, "value": "1"}]}, "0"),
        ({"op": "remove", "path": "members", "value": []}, "01"),
        ({"op": "remove", "path": "members"}, ""),
        ({"op": "replace", "path": "members", "value": [{"value": "2"}]}, "2"),
        ({"op": "replace", "path": "members", "value": []}, ""),
        ({"op": "replace", "path": "members", "value": None}, ""),
        ({"op": "replace", "value": {"displayName": "Crew", "members": [{"value": "2"}]}}, "2"),
        ({"op": "replace", "value": {"displayName": "Crew"}}, "01"),
        ({"op": "replace", "value": {"displayName": "Renamed"}}, "01"),
        ({"op": "remove", "path": 'members[value eq "0" or value eq "1"]'}, ""),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_every_way_to_change_members_is_understood(
    scim: Scim, crew: list[str], operation: dict[str, Any], left: str
) -> None:
    """RFC 7644, section 3.5.2, and what Entra, Okta and HR systems make of it: 204 with an ETag."""
    group = scim.group("Crew", *crew[:2])
    text = json.dumps(operation)
    for number, one in enumerate(crew):
        text = text.replace(f'"value": "{number}"', f'"value": "{one}"')
        text = text.replace(f'eq \\"{number}\\"', f'eq \\"{one}\\"')

    answer = scim.patch(f"/Groups/{group['id']}", json.loads(text))

    assert (answer.status_code, answer.data) == (204, b"")
    assert "Content-Type" not in answer.headers
    assert scim.members(group["id"]) == {crew[int(number)] for number in left}
    assert answer.headers["ETag"] == scim.get(f"/Groups/{group['id']}").headers["ETag"]


def test_okta_names_the_group_with_every_change_of_members(scim: Scim, crew: list[str]) -> None:
    """The id and the name it already has come along, and change nothing but the members."""
    group = scim.group("Crew", crew[0])
    before = len(scim.writes)

    answer = scim.patch(
        f"/Groups/{group['id']}",
        {"op": "replace", "value": {"id": group["id"], "displayName": "Crew"}},
        {"op": "remove", "path": f'members[value eq "{crew[0]}"]'},
        {"op": "add", "path": "members", "value": entries(crew[1])},
    )

    assert answer.status_code == 204
    assert scim.members(group["id"]) == {crew[1]}
    (write,) = scim.writes[before:]
    assert (write.added, write.removed, write.named) == ((crew[1],), (crew[0],), (crew[0],))


def test_another_id_in_the_value_is_refused(scim: Scim) -> None:
    """RFC 7644, section 3.5.2: an id cannot be changed."""
    group = scim.group()
    change = {"op": "replace", "value": {"id": "another", "displayName": "X"}}

    assert_error(scim.patch(f"/Groups/{group['id']}", change), 400, "mutability")


def test_a_rename_and_a_change_of_members_are_one_write(scim: Scim, crew: list[str]) -> None:
    """So that both are delivered, or undone, together; who was named is told."""
    group = scim.group("Crew", crew[0])
    before = len(scim.writes)

    answer = scim.patch(
        f"/Groups/{group['id']}",
        {"op": "replace", "path": "displayName", "value": "Sailors"},
        {"op": "add", "path": "members", "value": entries(crew[1])},
        {"op": "remove", "path": f'members[value eq "{crew[2]}"]'},
    )

    assert answer.status_code == 204
    assert scim.get(f"/Groups/{group['id']}").json["displayName"] == "Sailors"
    assert scim.members(group["id"]) == {crew[0], crew[1]}
    (write,) = scim.writes[before:]
    assert (write.added, write.named, write.replaced) == ((crew[1],), (crew[2],), False)


def test_a_whole_list_is_told_as_such_even_if_nothing_changes(scim: Scim, crew: list[str]) -> None:
    """A PUT also takes away what somebody added at Identity Center by hand."""
    group = scim.group("Crew", crew[0])
    path = f"/Groups/{group['id']}"
    before = len(scim.writes)

    scim.put(path, {"displayName": "Crew", "members": entries(crew[0])})
    scim.patch(path, {"op": "replace", "path": "members", "value": entries(crew[0])})
    rename = {"op": "replace", "path": "displayName", "value": "Sailors"}
    scim.patch(path, rename, {"op": "replace", "path": "members", "value": entries(crew[0])})

    assert [write.replaced for write in scim.writes[before:]] == [True, True, True]
    assert scim.members(group["id"]) == {crew[0]}


def test_a_put_without_members_means_nobody(scim: Scim, crew: list[str]) -> None:
    """RFC 7644, section 3.5.1; Okta's and Ping's PUT of an emptied group."""
    group = scim.group("Crew", *crew)

    answer = scim.put(f"/Groups/{group['id']}", {"displayName": "Crew", "externalId": "g1"})

    assert (answer.status_code, answer.json["externalId"]) == (200, "g1")
    assert "members" not in answer.json
    assert scim.members(group["id"]) == set()


def test_a_put_answers_with_the_members(scim: Scim, crew: list[str]) -> None:
    """RFC 7644, section 3.5.1: 200 with the whole resource."""
    group = scim.group("Crew")

    answer = scim.put(f"/Groups/{group['id']}", {"displayName": "Crew", "members": entries(*crew)})
    assert {member["value"] for member in answer.json["members"]} == set(crew)


@pytest.mark.parametrize("verb", ["post", "put", "patch"])
def test_a_member_has_to_exist(scim: Scim, verb: str) -> None:
    """400 that names it, and nobody else becomes a member."""
    user, group = scim.user(), scim.group("Crew")
    members = entries(user["id"], "nobody")
    body = {"displayName": "Another" if verb == "post" else "Crew", "members": members}
    path = f"/Groups/{group['id']}"

    answers = {
        "post": lambda: scim.post("/Groups", body),
        "put": lambda: scim.put(path, body),
        "patch": lambda: scim.patch(path, {"op": "add", "path": "members", "value": members}),
    }

    assert "nobody" in assert_error(answers[verb](), 400, "invalidValue")
    assert scim.members(group["id"]) == set()


@pytest.mark.parametrize("verb", ["post", "put", "patch"])
def test_twelve_thousand_strangers_are_refused_in_a_few_looks(scim: Scim, verb: str) -> None:
    """Ids are looked up by thousands, so that the answer does not wait for each of them."""
    group = scim.group("Crew")
    strangers = entries(*(f"stranger-{number}" for number in range(12_000)))
    statements: list[str] = []

    def remember(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(scim.database.engine, "before_cursor_execute", remember)
    match verb:
        case "post":
            answer = scim.post("/Groups", {"displayName": "Big", "members": strangers})
        case "put":
            body = {"displayName": "Crew", "members": strangers}
            answer = scim.put(f"/Groups/{group['id']}", body)
        case _:
            add = {"op": "add", "path": "members", "value": strangers}
            answer = scim.patch(f"/Groups/{group['id']}", add)
    event.remove(scim.database.engine, "before_cursor_execute", remember)

    assert "stranger-" in assert_error(answer, 400, "invalidValue")
    assert len(statements) < 30
    assert scim.members(group["id"]) == set()
    assert scim.get("/Groups").json["totalResults"] == 1


def test_asking_for_attributes_of_a_patched_group_gives_them(scim: Scim, crew: list[str]) -> None:
    """RFC 7644, section 3.5.2: 200 with what was asked for."""
    group = scim.group("Crew", crew[0])
    path = f"/Groups/{group['id']}"
    add = {"op": "add", "path": "members", "value": entries(crew[1])}

    asked = scim.patch(f"{path}?attributes=members", add)
    without = scim.patch(f"{path}?excludedAttributes=members", add)

    assert {member["value"] for member in asked.json["members"]} == set(crew[:2])
    assert (without.status_code, without.json["displayName"]) == (200, "Crew")
    assert "members" not in without.json


def test_adding_one_member_does_not_load_the_group(scim: Scim) -> None:
    """The cost of a PATCH of members is that of its members, whatever the size of the group."""
    ids = [scim.user(f"u{number}")["id"] for number in range(12)]
    group = scim.group("Crew", *ids[:10])
    parameters: list[Any] = []

    def remember(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "memberships" in statement:
            parameters.append((statement, values))

    event.listen(scim.database.engine, "before_cursor_execute", remember)
    scim.patch(
        f"/Groups/{group['id']}", {"op": "add", "path": "members", "value": entries(ids[10])}
    )
    event.remove(scim.database.engine, "before_cursor_execute", remember)

    assert parameters
    for statement, values in parameters:
        assert ids[10] in str(values), statement
        assert ids[0] not in str(values)


# -- Versions -----------------------------------------------------------------------


def test_a_version_is_answered_and_matched(scim: Scim) -> None:
    """RFC 7644, section 3.14: ETag, If-None-Match and If-Match."""
    user = scim.user()
    path, tag = f"/Users/{user['id']}", user["meta"]["version"]

    assert scim.get(path).headers["ETag"] == tag
    assert scim.get(path, headers={"If-None-Match": tag}).status_code == 304
    patched = scim.patch(
        path, {"op": "add", "path": "title", "value": "Countess"}, headers={"If-Match": tag}
    )
    assert patched.status_code == 200
    assert patched.headers["ETag"] == patched.json["meta"]["version"] != tag
    assert scim.get(path, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("what", ["Users", "Groups"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_version_that_has_gone_is_412(scim: Scim, what: str, method: str) -> None:
    """RFC 7644, section 3.14: the change is not made. Changes of members count."""
    user = scim.user()
    resource = user if what == "Users" else scim.group("Crew", user["id"])
    path = f"/{what}/{resource['id']}"
    body = {
        "PUT": person() if what == "Users" else {"displayName": "Crew"},
        "PATCH": {"Operations": [{"op": "remove", "path": "members"}]}
        if what == "Groups"
        else {"Operations": [{"op": "replace", "path": "active", "value": False}]},
        "DELETE": None,
    }[method]
    before = scim.get(path).json

    assert_error(scim.send(method, path, body, headers={"If-Match": 'W/"77"'}), 412)
    assert scim.get(path).json == before
    answer = scim.send(method, path, body, headers={"If-Match": before["meta"]["version"]})
    assert answer.status_code in (200, 204)


def test_nobody_joins_a_group_of_another_version(scim: Scim, crew: list[str]) -> None:
    """RFC 7644, section 3.14: also by a PATCH that does nothing else, which is read apart."""
    path = f"/Groups/{scim.group('Crew')['id']}"
    addition = {"op": "add", "path": "members", "value": entries(*crew)}
    before = scim.get(path).json

    for headers in ({"If-Match": 'W/"77"'}, {"If-None-Match": before["meta"]["version"]}):
        assert_error(scim.patch(path, addition, headers=headers), 412)
    assert scim.get(path).json == before


def test_a_change_of_members_is_another_version(scim: Scim, crew: list[str]) -> None:
    """Of the group, and of the user, who shows its groups."""
    group = scim.group("Crew")
    user = scim.get(f"/Users/{crew[0]}")

    scim.patch(
        f"/Groups/{group['id']}", {"op": "add", "path": "members", "value": entries(crew[0])}
    )

    assert scim.get(f"/Groups/{group['id']}").headers["ETag"] != group["meta"]["version"]
    assert scim.get(f"/Users/{crew[0]}").headers["ETag"] != user.headers["ETag"]


@pytest.mark.parametrize("what", ["put", "patch", "delete"])
def test_a_write_that_comes_between_is_no_concern_of_the_client(
    scim: Scim, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Without If-Match a version clash is tried again, never a 412."""
    user = scim.user()
    path = f"/Users/{user['id']}"
    name = "delete" if what == "delete" else "update"
    real, clashes = getattr(scim.resources, name), iter([True, True])

    def clashing(*arguments: Any, **options: Any) -> Any:
        if next(clashes, False):
            raise PreconditionFailedException
        return real(*arguments, **options)

    monkeypatch.setattr(scim.resources, name, clashing)

    answers = {
        "put": lambda: scim.put(path, person(title="x")),
        "patch": lambda: scim.patch(path, {"op": "add", "path": "title", "value": "x"}),
        "delete": lambda: scim.delete(path),
    }
    assert answers[what]().status_code in (200, 204)


def test_what_a_patch_needs_is_counted_once_though_it_is_applied_again(
    scim: Scim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One use a request, however many entries it makes and writes come between."""
    user = scim.user()
    real, clashes, counted = scim.resources.update, iter([True]), []

    def clashing(*arguments: Any, **options: Any) -> Any:
        if next(clashes, False):
            raise PreconditionFailedException
        return real(*arguments, **options)

    def used(_: Tolerances, client: str, rules: Iterable[Rule]) -> None:
        counted.extend((client, rule.name) for rule in rules)

    monkeypatch.setattr(scim.resources, "update", clashing)
    monkeypatch.setattr(Tolerances, "used", used)

    answer = scim.patch(
        f"/Users/{user['id']}",
        {"op": "add", "path": 'addresses[type eq "work"].locality', "value": "London"},
        {"op": "replace", "path": "title", "value": "Countess"},
        {"op": "add", "path": 'phoneNumbers[type eq "work"].value', "value": "1"},
    )

    assert answer.status_code == 200
    assert counted == [("okta", MISSING_ENTRY.name)]


def test_nothing_changed_is_no_new_version(scim: Scim) -> None:
    """RFC 7644, section 3.5.2: lastModified and the ETag stay."""
    user = scim.user()
    path = f"/Users/{user['id']}"

    scim.put(path, person())
    scim.patch(path, {"op": "replace", "path": "name.givenName", "value": "Ada"})
    assert scim.get(path).json == user


def test_writers_at_the_same_time_lose_nothing(scim: Scim) -> None:
    """Eight clients add each a member to one group."""
    ids = [scim.user(f"u{number}")["id"] for number in range(8)]
    group = scim.group("Crew")
    statuses: list[int] = []

    def add(one: str) -> None:
        change = {"op": "add", "path": "members", "value": entries(one)}
        statuses.append(scim.patch(f"/Groups/{group['id']}", change).status_code)

    threads = [threading.Thread(target=add, args=(one,)) for one in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [204] * 8
    assert scim.members(group["id"]) == set(ids)


def test_a_read_does_not_wait_for_a_writer(scim: Scim) -> None:
    """A long write, such as a group of ten thousand, keeps nobody from reading."""
    user = scim.user()
    answers: list[int] = []

    def read() -> None:
        for path in (f"/Users/{user['id']}", "/Users"):
            answers.append(scim.get(path).status_code)
        answers.append(scim.post("/.search", {}).status_code)

    reader = threading.Thread(target=read)
    with scim.resources.operation():
        reader.start()
        reader.join(timeout=5)
        assert answers == [200, 200, 200]


# -- Lives --------------------------------------------------------------------------


def test_a_deleted_user_is_gone_everywhere(scim: Scim, crew: list[str]) -> None:
    """404, not in lists, filters or groups; the name is free for a rehire."""
    group = scim.group("Crew", *crew)

    assert scim.delete(f"/Users/{crew[0]}").status_code == 204
    assert_error(scim.get(f"/Users/{crew[0]}"), 404)
    assert_error(scim.delete(f"/Users/{crew[0]}"), 404)
    assert scim.get("/Users").json["totalResults"] == 2
    assert scim.members(group["id"]) == set(crew[1:])
    assert scim.user("ada")["id"] != crew[0]


def test_an_inactive_user_stays_with_its_groups(scim: Scim, crew: list[str]) -> None:
    """Entra never sends the memberships again on return."""
    group = scim.group("Crew", crew[0])
    off = {"op": "replace", "path": "active", "value": False}

    answer = scim.patch(f"/Users/{crew[0]}", off)

    assert [one["value"] for one in answer.json["groups"]] == [group["id"]]
    assert scim.members(group["id"]) == {crew[0]}
    assert_error(scim.post("/Users", person("ada")), 409, "uniqueness")


def test_groups_of_a_user_are_read_only(scim: Scim) -> None:
    """RFC 7643, section 4.1.2: sent with a POST or PUT they are ignored."""
    group = scim.group()
    user = scim.user(groups=[{"value": group["id"]}])

    assert "groups" not in user
    assert scim.members(group["id"]) == set()


def test_two_groups_of_one_name_conflict(scim: Scim) -> None:
    """Whatever the case; by POST, and by a rename."""
    scim.group("Crew")
    other = scim.group("Sailors")

    assert_error(scim.post("/Groups", {"displayName": "CREW"}), 409, "uniqueness")
    rename = {"op": "replace", "path": "displayName", "value": "crew"}
    detail = assert_error(scim.patch(f"/Groups/{other['id']}", rename), 409, "uniqueness")
    assert "displayName" in detail


def test_a_group_name_identity_center_refuses_is_refused(scim: Scim) -> None:
    """Before the commit, by POST, PUT and PATCH."""
    group = scim.group("Crew")
    path, bad = f"/Groups/{group['id']}", {"displayName": "A;B"}

    for answer in (
        scim.post("/Groups", bad),
        scim.put(path, bad),
        scim.patch(path, {"op": "replace", "value": bad}),
    ):
        assert "displayName" in assert_error(answer, 400, "invalidValue")


# -- Protected names ------------------------------------------------------------------


def guarded(scim: Scim, settings: Settings) -> Scim:
    """A second endpoint on the same directory, which protects names that are there already."""
    protecting = replace(settings, safety=Safety(protected=("AWS*", "glass@*")))
    return serve(scim.database, protecting, client="guarded")


def test_a_protected_group_is_touched_by_nobody(
    scim: Scim, settings: Settings, crew: list[str]
) -> None:
    """`[safety] protected`: 403 for every kind of write, in Bulk too, and nothing changes."""
    group = scim.group("AWSControlTowerAdmins", crew[0])
    path = f"/Groups/{group['id']}"
    strict = guarded(scim, settings)
    writes: list[tuple[str, str, Any]] = [
        ("PUT", path, {"displayName": "Mine", "members": []}),
        ("PATCH", path, {"Operations": [{"op": "remove", "path": "members"}]}),
        (
            "PATCH",
            path,
            {"Operations": [{"op": "remove", "path": 'members[display eq "x"]'}]},
        ),
        ("PATCH", path, {"Operations": [{"op": "replace", "value": {"displayName": "Mine"}}]}),
        ("DELETE", path, None),
        ("POST", "/Groups", {"displayName": "awsNew"}),
    ]

    for method, where, body in writes:
        assert_error(strict.send(method, where, body), 403)
    bulk = [
        {"method": method, "path": where, "bulkId": "1", **({"data": body} if body else {})}
        for method, where, body in writes
    ]
    outcomes = strict.post("/Bulk", {"Operations": bulk}).json["Operations"]
    assert [one["status"] for one in outcomes] == ["403"] * len(writes)
    assert strict.get(path).json == group
    assert strict.writes == []


ENTITLEMENTS = "urn:ietf:params:scim:schemas:extension:scimbridge:2.0:User"
GRANT = {"accountId": "111122223333", "permissionSet": "ReadOnly"}


@pytest.mark.parametrize(
    ("path", "value", "refusal"),
    [
        ("userName", "bob@example.com", (409, "uniqueness")),
        ("emails", [{"value": "bob@example.com"}], (409, "uniqueness")),
        (f"{ENTITLEMENTS}:accountAssignments", [GRANT], (403, None)),
    ],
    ids=["userName", "emails", "accountAssignments"],
)
def test_what_is_refused_for_somebody_active_is_refused_for_somebody_inactive(
    database: Database, settings: Settings, path: str, value: Any, refusal: tuple[int, str | None]
) -> None:
    """Only a request that says active=false is done whatever it comes with.

    A request is applied or refused (RFC 7644, sections 3.5.1 and 3.5.2), never answered 200 and
    ignored.
    """
    scim = serve(database, replace(settings, users=Users(username_changes="allow")))
    scim.user("bob", emails=[{"value": "bob@example.com"}])
    ada = f"/Users/{scim.user('ada', active=False)['id']}"
    before = scim.get(ada).json
    change = {"op": "replace", "path": path, "value": value}

    assert_error(scim.patch(ada, change), *refusal)
    assert scim.get(ada).json == before

    deactivation = {"op": "replace", "path": "active", "value": False}
    assert scim.patch(ada, change, deactivation).status_code == 200


def test_a_protected_user_is_touched_by_nobody(scim: Scim, settings: Settings) -> None:
    """A break-glass account is not even deactivated by an identity provider."""
    user = scim.user("glass")
    path = f"/Users/{user['id']}"
    strict = guarded(scim, settings)

    for method, body in (
        ("PUT", person("glass", active=False)),
        ("PATCH", {"Operations": [{"op": "replace", "value": {"active": False}}]}),
        ("DELETE", None),
    ):
        assert_error(strict.send(method, path, body), 403)
    assert strict.get(path).json["active"] is True


# -- Delivery -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "status", "scim_type"),
    [
        (Conflict("adopt it with `scim-bridge adopt`"), 409, "uniqueness"),
        (Refused("Request is unparsable"), 400, "invalidValue"),
    ],
    ids=["conflict", "refused"],
)
def test_what_identity_center_refuses_is_told_in_its_words(
    scim: Scim, end: Refused, status: int, scim_type: str
) -> None:
    """The delivery table: 4xx with AWS's detail and the right scimType, for every write."""
    user, group = scim.user("bob"), scim.group()
    scim.delivery.ends = end

    for answer in (
        scim.post("/Users", person()),
        scim.put(f"/Users/{user['id']}", person("bob", title="x")),
        scim.patch(f"/Users/{user['id']}", {"op": "add", "path": "title", "value": "y"}),
        scim.put(f"/Groups/{group['id']}", {"displayName": "Sailors"}),
        scim.delete(f"/Groups/{group['id']}"),
    ):
        assert assert_error(answer, status, scim_type) == end.detail


def test_every_write_is_carried_once_and_no_read_is(scim: Scim) -> None:
    """One write, one delivery."""
    user = scim.user()
    path = f"/Users/{user['id']}"
    assert scim.delivery.carried == 1

    scim.get(path)
    scim.get("/Users")
    scim.post("/.search", {})
    assert scim.delivery.carried == 1

    scim.put(path, person(title="x"))
    scim.patch(path, {"op": "add", "path": "title", "value": "y"})
    scim.delete(path)
    assert scim.delivery.carried == 4


def test_bulk_is_left_to_the_worker(scim: Scim) -> None:
    """Design: outside Bulk a request waits for its own delivery; in Bulk it would wait for all."""
    operations = [{"method": "POST", "path": "/Users", "bulkId": "1", "data": person()}]

    answer = scim.post("/Bulk", {"Operations": operations})

    assert [one["status"] for one in answer.json["Operations"]] == ["201"]
    assert (scim.delivery.carried, len(scim.writes)) == (0, 1)


def test_each_operation_of_bulk_stands_for_itself(scim: Scim, crew: list[str]) -> None:
    """RFC 7644, section 3.7: as single requests would end, references resolved."""
    group = scim.group("Crew", crew[0])
    operations = [
        {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {
            "displayName": "New", "members": entries("bulkId:u")}},
        {"method": "POST", "path": "/Users", "bulkId": "u", "data": person("dan")},
        {"method": "POST", "path": "/Users", "bulkId": "x", "data": person("ada")},
        {"method": "POST", "path": "/Users", "bulkId": "y", "data": {"userName": "eve"}},
        {"method": "PATCH", "path": f"/Groups/{group['id']}", "data": {"Operations": [
            {"op": "add", "path": "members", "value": entries(crew[1])}]}},
        {"method": "PUT", "path": f"/Users/{crew[2]}", "data": person("cia", active=False)},
        {"method": "PUT", "path": f"/Groups/{group['id']}", "version": 'W/"77"',
         "data": {"displayName": "Crew"}},
        {"method": "DELETE", "path": f"/Users/{crew[0]}"},
        {"method": "DELETE", "path": "/Users/nobody"},
    ]  # fmt: skip

    outcomes = scim.post("/Bulk", {"Operations": operations}).json["Operations"]

    assert [one["status"] for one in outcomes] == [
        "201", "201", "409", "400", "200", "200", "412", "204", "404",
    ]  # fmt: skip
    assert "name.givenName" in outcomes[3]["response"]["detail"]
    assert scim.members(group["id"]) == {crew[1]}
    assert scim.get(f"/Users/{crew[2]}").json["active"] is False
