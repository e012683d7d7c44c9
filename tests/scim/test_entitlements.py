"""What users and groups are granted, as SCIM clients say and read it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import insert, select

from scim_bridge.directory import tables
from scim_bridge.directory.database import Database
from scim_bridge.directory.entitlements import GROUP_EXTENSION, USER_EXTENSION, NamedGrant
from scim_bridge.plan.grants import AccountGrant, ApplicationGrant
from scim_bridge.scim import credentials
from scim_bridge.settings import Safety, Settings
from tests.scim.conftest import Scim, assert_error, person, serve

PRODUCTION, STAGING = "111122223333", "444455556666"
ADMIN_ARN = "arn:aws:sso:::permissionSet/ssoins-1/ps-admin"
READ_ARN = "arn:aws:sso:::permissionSet/ssoins-1/ps-read"
KIRO_ARN = "arn:aws:sso::999999999999:application/ssoins-1/apl-kiro"
ADMIN = AccountGrant(account=PRODUCTION, permission_set=ADMIN_ARN)
READ = AccountGrant(account=PRODUCTION, permission_set=READ_ARN)


def gives(account: str, permission_set: str) -> dict[str, str]:
    return {"accountId": account, "permissionSet": permission_set}


def extended(*assignments: dict[str, str], **attributes: Any) -> dict[str, Any]:
    """A group's extension."""
    return {GROUP_EXTENSION: {"accountAssignments": list(assignments), **attributes}}


def assignments_path(value_filter: str = "") -> str:
    return f"{GROUP_EXTENSION}:accountAssignments{value_filter}"


def crew(scim: Scim, *assignments: dict[str, str], **attributes: Any) -> str:
    """The id of a new group that grants these."""
    answer = scim.post("/Groups", {"displayName": "Crew", **extended(*assignments, **attributes)})
    assert answer.status_code == 201, answer.text
    found: str = answer.json["id"]
    return found


def shown(scim: Scim, group_id: str) -> list[tuple[str, str]]:
    extension = scim.get(f"/Groups/{group_id}").json.get(GROUP_EXTENSION, {})
    entries = extension.get("accountAssignments", [])
    return [(entry["accountId"], entry["permissionSet"]) for entry in entries]


def extract(database: Database, *, ended: float = 0, outcome: str = "ok") -> None:
    """Let an extraction of the catalogue have ended so many seconds ago."""
    at = time.time() - ended
    sets = {"ReadOnly": READ_ARN, "AdministratorAccess": ADMIN_ARN}
    with database.transaction() as connection:
        for name, arn in sets.items():
            connection.execute(
                insert(tables.permission_sets).values(
                    target="identity-center", arn=arn, name=name, session_seconds=3600,
                    policies={}, at=at,
                )
            )  # fmt: skip
        for account, name in ((PRODUCTION, "production"), (STAGING, "staging")):
            connection.execute(
                insert(tables.accounts).values(
                    target="identity-center", id=account, name=name, status="ACTIVE", at=at
                )
            )
        connection.execute(
            insert(tables.applications).values(
                target="identity-center", arn=KIRO_ARN, name="Kiro", at=at
            )
        )
        connection.execute(
            insert(tables.runs).values(
                kind="extraction:catalogue", started=at, ended=at, outcome=outcome, counts={}
            )
        )


def audited(database: Database, *actions: str) -> list[tuple[str, str]]:
    with database.reading() as connection:
        rows = connection.execute(
            select(tables.audit.c.action, tables.audit.c.facts)
            .where(tables.audit.c.action.in_(actions))
            .order_by(tables.audit.c.id)
        )
        return [(row.action, row.facts) for row in rows]


# -- Setting and reading --------------------------------------------------------------------


def test_a_group_is_created_with_what_it_grants_and_reads_it_back_as_named(
    entitling: Scim,
) -> None:
    """RFC 7643, section 3.3: an extension's attributes are in an object of its schema's name."""
    group_id = crew(
        entitling,
        gives(PRODUCTION, "ReadOnly"),
        gives(STAGING, ADMIN_ARN),
        applications=[{"value": "Kiro"}],
        description="Looks, and changes nothing",
    )

    group = entitling.get(f"/Groups/{group_id}").json

    assert GROUP_EXTENSION in group["schemas"]
    assert group[GROUP_EXTENSION] == {
        "description": "Looks, and changes nothing",
        "accountAssignments": [gives(PRODUCTION, "ReadOnly"), gives(STAGING, ADMIN_ARN)],
        "applications": [{"value": "Kiro"}],
    }


def test_a_user_is_granted_directly(entitling: Scim) -> None:
    """The extension of a user stands beside the enterprise one."""
    extension = {"accountAssignments": [gives(PRODUCTION, "ReadOnly")]}

    user = entitling.user("ada", **{USER_EXTENSION: extension})

    assert entitling.get(f"/Users/{user['id']}").json[USER_EXTENSION] == extension


@pytest.mark.parametrize(
    ("operation", "left"),
    [
        ({"op": "add", "path": assignments_path(), "value": [gives(STAGING, "Admin")]},
         {(PRODUCTION, "ReadOnly"), (PRODUCTION, "Admin"), (STAGING, "Admin")}),
        ({"op": "add", "value": extended(gives(STAGING, "Admin"))},
         {(PRODUCTION, "ReadOnly"), (PRODUCTION, "Admin"), (STAGING, "Admin")}),
        ({"op": "add", "path": assignments_path(), "value": [gives(PRODUCTION, "Admin")]},
         {(PRODUCTION, "ReadOnly"), (PRODUCTION, "Admin")}),
        ({"op": "replace", "path": assignments_path(), "value": [gives(STAGING, "Admin")]},
         {(STAGING, "Admin")}),
        ({"op": "replace", "value": extended(gives(STAGING, "Admin"))}, {(STAGING, "Admin")}),
        ({"op": "replace", "path": GROUP_EXTENSION,
          "value": {"accountAssignments": [gives(STAGING, "Admin")]}}, {(STAGING, "Admin")}),
        ({"op": "replace", "path": assignments_path('[permissionSet eq "Admin"].accountId'),
          "value": STAGING}, {(PRODUCTION, "ReadOnly"), (STAGING, "Admin")}),
        ({"op": "remove", "path": assignments_path(
            f'[accountId eq "{PRODUCTION}" and permissionSet eq "Admin"]')},
         {(PRODUCTION, "ReadOnly")}),
        ({"op": "remove", "path": assignments_path(), "value": [gives(PRODUCTION, "Admin")]},
         {(PRODUCTION, "ReadOnly")}),
        ({"op": "remove", "path": assignments_path(f'[accountId eq "{PRODUCTION}"]')}, set()),
        ({"op": "remove", "path": assignments_path()}, set()),
        ({"op": "remove", "path": GROUP_EXTENSION}, set()),
    ],
)  # fmt: skip
def test_every_form_of_patch_changes_what_a_group_grants(
    entitling: Scim, operation: dict[str, Any], left: set[tuple[str, str]]
) -> None:
    """RFC 7644, section 3.5.2, and the remove with a value that Microsoft Entra ID sends."""
    group_id = crew(entitling, gives(PRODUCTION, "ReadOnly"), gives(PRODUCTION, "Admin"))

    answer = entitling.patch(f"/Groups/{group_id}", operation)

    assert answer.status_code == 204, answer.text
    assert set(shown(entitling, group_id)) == left


def test_members_and_grants_change_in_one_patch(entitling: Scim) -> None:
    """The members are rows of their own; neither change loses the other."""
    ada = entitling.user("ada")["id"]
    group_id = crew(entitling)

    entitling.patch(
        f"/Groups/{group_id}",
        {"op": "add", "path": "members", "value": [{"value": ada}]},
        {"op": "add", "path": assignments_path(), "value": [gives(PRODUCTION, "ReadOnly")]},
    )

    assert entitling.members(group_id) == {ada}
    assert shown(entitling, group_id) == [(PRODUCTION, "ReadOnly")]


def test_a_put_without_the_extension_leaves_it_as_it_is(entitling: Scim) -> None:
    """An identity provider that knows nothing of the extension must not revoke by a PUT."""
    group_id = crew(entitling, gives(PRODUCTION, "ReadOnly"), description="Looks")

    answer = scim_of(entitling, "workday").put(f"/Groups/{group_id}", {"displayName": "Watch"})

    assert answer.status_code == 200, answer.text
    assert answer.json[GROUP_EXTENSION]["description"] == "Looks"
    assert shown(entitling, group_id) == [(PRODUCTION, "ReadOnly")]


def test_a_put_with_the_extension_states_the_whole_of_it(entitling: Scim) -> None:
    """RFC 7644, section 3.5.1: what is left out is not there any more."""
    group_id = crew(entitling, gives(PRODUCTION, "ReadOnly"), applications=[{"value": "Kiro"}])

    entitling.put(
        f"/Groups/{group_id}", {"displayName": "Crew", **extended(gives(STAGING, "ReadOnly"))}
    )

    extension = entitling.get(f"/Groups/{group_id}").json[GROUP_EXTENSION]
    assert extension == {"accountAssignments": [gives(STAGING, "ReadOnly")]}


def test_grants_are_part_of_the_version_and_the_same_again_is_none(entitling: Scim) -> None:
    """RFC 7644, section 3.14."""
    group_id = crew(entitling, gives(PRODUCTION, "ReadOnly"))
    first = entitling.get(f"/Groups/{group_id}").headers["ETag"]
    body = {"displayName": "Crew", **extended(gives(PRODUCTION, "ReadOnly"))}

    entitling.put(f"/Groups/{group_id}", body)
    same = entitling.get(f"/Groups/{group_id}").headers["ETag"]
    entitling.patch(
        f"/Groups/{group_id}",
        {"op": "add", "path": assignments_path(), "value": [gives(STAGING, "ReadOnly")]},
    )
    later = entitling.get(f"/Groups/{group_id}").headers["ETag"]
    stale = entitling.put(f"/Groups/{group_id}", body, headers={"If-Match": first})

    assert same == first != later
    assert_error(stale, 412)


def test_a_bulk_request_sets_what_a_group_grants(entitling: Scim) -> None:
    """RFC 7644, section 3.7: as a single request would."""
    operation = {
        "method": "POST", "path": "/Groups", "bulkId": "g",
        "data": {"displayName": "Crew", **extended(gives(PRODUCTION, "ReadOnly"))},
    }  # fmt: skip
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [operation],
    }

    answered = entitling.post("/Bulk", body).json["Operations"][0]

    assert answered["status"] == "201", answered
    group_id = answered["location"].rsplit("/", 1)[1]
    assert shown(entitling, group_id) == [(PRODUCTION, "ReadOnly")]


# -- What the delivery and the audit trail learn ----------------------------------------------


def test_a_write_tells_which_grants_began_and_ended(entitling: Scim) -> None:
    """By ARN, as the last extraction knows them; the trail has one entry each."""
    extract(entitling.database)
    group_id = crew(entitling, gives(PRODUCTION, "ReadOnly"))
    entitling.put(
        f"/Groups/{group_id}",
        {
            "displayName": "Crew",
            **extended(gives(PRODUCTION, "AdministratorAccess"), applications=[{"value": "Kiro"}]),
        },
    )

    created, replaced = entitling.writes

    assert (created.granted, created.revoked) == ((READ,), ())
    assert set(replaced.granted) == {ADMIN, ApplicationGrant(application=KIRO_ARN)}
    assert replaced.revoked == (READ,)
    trail = audited(entitling.database, "granted", "revoked")
    assert [action for action, _ in trail] == ["granted", "revoked", "granted", "granted"]
    assert trail[1][1] == f'{{"account":"{PRODUCTION}","permission_set":"ReadOnly"}}'


def test_what_is_named_for_removal_is_told_though_the_directory_never_gave_it(
    entitling: Scim,
) -> None:
    """What somebody gave by hand at Identity Center goes when a client names it (design 3)."""
    extract(entitling.database)
    group_id = crew(entitling)
    entitling.writes.clear()

    entitling.patch(
        f"/Groups/{group_id}",
        {
            "op": "remove",
            "path": assignments_path(
                f'[permissionSet eq "ReadOnly" and accountId eq "{PRODUCTION}"]'
            ),
        },
    )

    (write,) = entitling.writes
    assert (write.revoked, write.version) == ((READ,), write.version_before)


def test_a_grant_taken_away_under_another_name_ends(entitling: Scim) -> None:
    """A name and its ARN are one grant: nobody keeps what was taken away by the other."""
    extract(entitling.database)
    group_id = crew(entitling, gives(PRODUCTION, READ_ARN))
    entitling.patch(
        f"/Groups/{group_id}",
        {"op": "remove", "path": assignments_path(), "value": [gives(PRODUCTION, "ReadOnly")]},
    )

    assert shown(entitling, group_id) == []
    assert entitling.writes[-1].revoked == (READ,)


def test_another_name_for_the_same_grant_takes_nothing_away(entitling: Scim) -> None:
    """It is shown as it was named last, and nothing is granted or revoked."""
    extract(entitling.database)
    group_id = crew(entitling, gives(PRODUCTION, READ_ARN))

    entitling.patch(
        f"/Groups/{group_id}",
        {"op": "add", "path": assignments_path(), "value": [gives(PRODUCTION, "ReadOnly")]},
    )

    write = entitling.writes[-1]
    assert shown(entitling, group_id) == [(PRODUCTION, "ReadOnly")]
    assert (write.granted, write.revoked) == ((), ())


# -- Who may -----------------------------------------------------------------------------------


def scim_of(scim: Scim, client: str, *, entitlements: bool = False) -> Scim:
    """The same endpoint for another client."""
    token = credentials.add(scim.database, client, entitlements=entitlements).token
    return replace(scim, token=token)


ADDS = {"op": "add", "path": assignments_path(), "value": [gives(STAGING, "ReadOnly")]}
REMOVES = {"op": "remove", "path": assignments_path()}
NAMES = {
    "op": "remove",
    "path": assignments_path(f'[accountId eq "{STAGING}" and permissionSet eq "X"]'),
}


def test_a_client_without_the_scope_sets_changes_and_removes_nothing(entitling: Scim) -> None:
    """403 names the client and the remedy; the rest of the request is not done either."""
    group_id = crew(entitling, gives(PRODUCTION, "ReadOnly"))
    plain = scim_of(entitling, "workday")

    body = {"displayName": "Other", **extended(gives(PRODUCTION, "ReadOnly"))}
    detail = assert_error(plain.post("/Groups", body), 403)
    for operation in (ADDS, REMOVES, NAMES):
        assert_error(plain.patch(f"/Groups/{group_id}", operation), 403)
    assert_error(plain.put(f"/Groups/{group_id}", {**body, **extended()}), 403)

    assert "workday" in detail
    assert "--entitlements" in detail
    assert shown(entitling, group_id) == [(PRODUCTION, "ReadOnly")]
    assert entitling.get(f"/Groups/{group_id}").json["displayName"] == "Crew"


def test_a_client_without_the_scope_may_send_back_what_is_there(entitling: Scim) -> None:
    """A client that reads, changes a name and writes everything back changes no grants."""
    group_id = crew(entitling, gives(PRODUCTION, "ReadOnly"))
    plain = scim_of(entitling, "workday")
    group = plain.get(f"/Groups/{group_id}").json

    answer = plain.put(f"/Groups/{group_id}", {**group, "displayName": "Watch"})

    assert answer.status_code == 200, answer.text
    assert shown(entitling, group_id) == [(PRODUCTION, "ReadOnly")]


def test_a_deactivation_goes_through_without_the_grants_it_may_not_set(entitling: Scim) -> None:
    """Taking access away is never refused for what comes along with it (design 4)."""
    user = entitling.user("ada")
    plain = scim_of(entitling, "workday")
    extension = {"accountAssignments": [gives(PRODUCTION, "ReadOnly")]}

    answer = plain.put(
        f"/Users/{user['id']}", {**person("ada", active=False), USER_EXTENSION: extension}
    )

    assert answer.status_code == 200, answer.text
    assert (answer.json["active"], USER_EXTENSION in answer.json) == (False, False)


def test_a_deactivation_with_a_name_that_is_taken_leaves_the_grants_too(entitling: Scim) -> None:
    """What is left out of a refused write is all of it but the deactivation."""
    extension = {"accountAssignments": [gives(PRODUCTION, "ReadOnly")]}
    entitling.user("bob", emails=[{"value": "bob@example.com", "primary": True}])
    user = entitling.user("ada", **{USER_EXTENSION: extension})

    body = person("ada", active=False, emails=[{"value": "bob@example.com", "primary": True}])
    other = {"accountAssignments": [gives(STAGING, "ReadOnly")]}
    answer = entitling.put(f"/Users/{user['id']}", {**body, USER_EXTENSION: other})

    assert answer.status_code == 200, answer.text
    assert answer.json["active"] is False
    assert answer.json[USER_EXTENSION] == extension


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """A protected thing, and how a client names it."""

    account: str
    permission_set: str


@pytest.mark.parametrize(
    "guarded",
    [
        Guarded(account=PRODUCTION, permission_set="AdministratorAccess"),
        Guarded(account=PRODUCTION, permission_set=ADMIN_ARN),
        Guarded(account=STAGING, permission_set="ReadOnly"),
        Guarded(account=STAGING, permission_set=f"{READ_ARN}-that-nobody-knows"),
    ],
)
def test_what_is_protected_is_refused_to_every_client(
    database: Database, settings: Settings, guarded: Guarded
) -> None:
    """By name and by ARN, to give it and to take it, and a group that has it stays."""
    safety = Safety(
        protected=(), protected_permission_sets=("admin*",), protected_accounts=(STAGING,)
    )
    open_ = serve(database, settings, client="before", entitlements=True)
    extract(database, ended=3600)
    scim = serve(database, replace(settings, safety=safety), entitlements=True)
    given = gives(guarded.account, guarded.permission_set)
    free, held = crew(open_), open_.group("Holders")["id"]
    open_.patch(f"/Groups/{held}", {"op": "add", "value": extended(given)})
    one = f'[accountId eq "{guarded.account}" and permissionSet eq "{guarded.permission_set}"]'

    add = scim.patch(f"/Groups/{free}", {"op": "add", "value": extended(given)})
    take = scim.patch(f"/Groups/{held}", REMOVES)
    name = scim.patch(f"/Groups/{free}", {"op": "remove", "path": assignments_path(one)})
    rename = scim.put(f"/Groups/{held}", {"displayName": "Keepers"})
    end = scim.delete(f"/Groups/{held}")

    for answer in (add, take, name, end):
        assert "protected" in assert_error(answer, 403)
    assert rename.status_code == 200
    assert shown(scim, held) == [(guarded.account, guarded.permission_set)]


# -- What there is to grant -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"accountAssignments": [gives(PRODUCTION, "readonly")]},
         "there is no permission set 'readonly'; there is ReadOnly"),
        ({"accountAssignments": [gives("111122223334", "ReadOnly")]},
         f"there is no account '111122223334'; there is {PRODUCTION} (production)"),
        ({"accountAssignments": [gives(PRODUCTION, f"{READ_ARN}x")]},
         f"there is no permission set '{READ_ARN}x'; there is {READ_ARN}"),
        ({"applications": [{"value": "Kira"}]}, "there is no application 'Kira'; there is Kiro"),
    ],
)  # fmt: skip
def test_what_a_fresh_catalogue_does_not_show_is_refused_by_name(
    entitling: Scim, given: dict[str, Any], said: str
) -> None:
    """400 names the value, and what there is that it may have meant."""
    extract(entitling.database)

    answer = entitling.post("/Groups", {"displayName": "Crew", GROUP_EXTENSION: given})

    assert said in assert_error(answer, 400, "invalidValue")


def test_an_application_s_name_that_two_have_is_refused(entitling: Scim) -> None:
    """Nobody can tell which one is meant."""
    extract(entitling.database)
    with entitling.database.transaction() as connection:
        connection.execute(
            insert(tables.applications).values(
                target="identity-center", arn=f"{KIRO_ARN}2", name="Kiro", at=0
            )
        )

    body = {"displayName": "Crew", GROUP_EXTENSION: {"applications": [{"value": "Kiro"}]}}

    assert "give the ARN" in assert_error(entitling.post("/Groups", body), 400, "invalidValue")


@pytest.mark.parametrize(("ended", "outcome"), [(3600, "ok"), (0, "partial"), (0, "failed")])
def test_what_a_stale_or_partial_catalogue_does_not_show_waits(
    entitling: Scim, ended: float, outcome: str
) -> None:
    """Absence from an old or incomplete list says nothing. Older than twice its interval is old."""
    extract(entitling.database, ended=ended, outcome=outcome)

    group_id = crew(entitling, gives("999999999999", "NotYetThere"))

    write = entitling.writes[-1]
    assert (write.granted, write.entitlements) == ((), True)
    assert write.begun == (NamedGrant(account="999999999999", permission_set="NotYetThere"),)
    assert shown(entitling, group_id) == [("999999999999", "NotYetThere")]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([gives("11112222333", "ReadOnly")], "twelve digits"),
        ([gives("１１１１２２２２３３３３", "ReadOnly")], "twelve digits"),
        ([{"accountId": PRODUCTION}], "permissionSet"),
        ([{"permissionSet": "ReadOnly"}], "accountId"),
    ],
)  # fmt: skip
def test_an_assignment_that_cannot_be_is_refused(
    entitling: Scim, given: Sequence[dict[str, str]], said: str
) -> None:
    """Whatever the catalogue shows; by POST and by PATCH."""
    group_id = crew(entitling)

    post = entitling.post("/Groups", {"displayName": "Other", **extended(*given)})
    patch = entitling.patch(
        f"/Groups/{group_id}", {"op": "add", "path": assignments_path(), "value": list(given)}
    )

    for answer in (post, patch):
        assert said in assert_error(answer, 400, "invalidValue")
    assert shown(entitling, group_id) == []


# -- How it stands ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Stands:
    state: str = "pending"
    detail: str | None = "assignments: waits for the next extraction"
    id: str | None = "9067-1"
    since: float | None = 1_700_000_000.0


@pytest.fixture
def standing(database: Database, settings: Settings) -> Scim:
    return serve(
        database, settings, entitlements=True, provisioning=lambda kind, _id: Stands(id=kind)
    )


def test_how_a_resource_stands_is_told_on_request_only(standing: Scim) -> None:
    """RFC 7643, section 7, returned "request"."""
    group_id = crew(standing)
    path = f"/Groups/{group_id}?attributes={GROUP_EXTENSION}:provisioning"

    asked = standing.get(path).json[GROUP_EXTENSION]["provisioning"]
    listed = standing.get(f"/Groups?attributes={GROUP_EXTENSION}:provisioning.state").json

    assert GROUP_EXTENSION not in standing.get(f"/Groups/{group_id}").json
    assert asked == {
        "state": "pending",
        "detail": "assignments: waits for the next extraction",
        "identityCenterId": "group",
        "since": "2023-11-14T22:13:20Z",
    }
    assert listed["Resources"][0][GROUP_EXTENSION] == {"provisioning": {"state": "pending"}}


def test_how_a_resource_stands_is_never_written(standing: Scim) -> None:
    """RFC 7643, section 2.2: a readOnly value in a PUT is ignored, in a PATCH it is an error."""
    group_id = crew(standing)
    before = standing.get(f"/Groups/{group_id}").headers["ETag"]
    claim = {"provisioning": {"state": "applied"}}

    put = standing.put(f"/Groups/{group_id}", {"displayName": "Crew", GROUP_EXTENSION: claim})
    patch = standing.patch(f"/Groups/{group_id}", {"op": "add", "value": {GROUP_EXTENSION: claim}})

    assert put.status_code == 200
    assert_error(patch, 400, "mutability")
    assert standing.get(f"/Groups/{group_id}").headers["ETag"] == before


# -- Filters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scim_filter", "found"),
    [
        (f'{assignments_path()}.accountId eq "{PRODUCTION}"', ["Crew"]),
        (f'{assignments_path()}.permissionSet eq "ReadOnly"', ["Crew", "Watch"]),
        (f'{assignments_path()}.permissionSet eq "readonly"', []),
        (assignments_path(f'[accountId eq "{STAGING}" and permissionSet eq "ReadOnly"]'),
         ["Watch"]),
        (f"{assignments_path()} pr", ["Crew", "Watch"]),
        (f"not ({assignments_path()} pr)", ["None"]),
        (f'{GROUP_EXTENSION}:applications.value eq "Kiro"', ["Crew"]),
        (f'{GROUP_EXTENSION}:description sw "Loo"', ["Crew"]),
        (f'schemas eq "{GROUP_EXTENSION}"', ["Crew", "Watch"]),
        (f'not (schemas eq "{GROUP_EXTENSION}")', ["None"]),
    ],
)  # fmt: skip
def test_groups_are_found_by_what_they_grant(
    entitling: Scim, scim_filter: str, found: list[str]
) -> None:
    """RFC 7644, section 3.4.2.2. Ended grants find nothing."""
    crew(
        entitling,
        gives(PRODUCTION, "ReadOnly"),
        applications=[{"value": "Kiro"}],
        description="Looks",
    )
    for name in ("Watch", "None"):
        entitling.post("/Groups", {"displayName": name, **extended(gives(STAGING, "ReadOnly"))})
    none = entitling.get('/Groups?filter=displayName eq "None"').json["Resources"][0]
    entitling.patch(f"/Groups/{none['id']}", REMOVES)

    answer = entitling.http.get(
        "/scim/v2/Groups",
        query_string={"filter": scim_filter, "sortBy": "displayName"},
        headers={"Authorization": f"Bearer {entitling.token}"},
    )

    assert answer.status_code == 200, answer.text
    assert [one["displayName"] for one in answer.json.get("Resources", [])] == found


@pytest.mark.parametrize("attribute", ["provisioning.state", "provisioning"])
def test_nothing_is_found_by_how_it_stands(entitling: Scim, attribute: str) -> None:
    """An empty page would be a lie."""
    crew(entitling)
    path = f"{GROUP_EXTENSION}:{attribute}"

    for scim_filter in (f'{path} eq "applied"', f"{path} pr"):
        answer = entitling.http.get(
            "/scim/v2/Groups",
            query_string={"filter": scim_filter},
            headers={"Authorization": f"Bearer {entitling.token}"},
        )
        assert_error(answer, 400, "invalidFilter")
