"""The adapter against an Identity Center: one contract, over the sandbox in a real HTTP server."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import responses

from scim_bridge.errors import (
    CircuitOpen,
    Conflict,
    DoorClosed,
    Missing,
    Refused,
    SettingsError,
    Throttled,
    Unavailable,
)
from scim_bridge.identity_center.center import Center, ScimCenter, connect
from scim_bridge.identity_center.circuit import FAILURES, PROBE_AFTER, Circuit, Standing
from scim_bridge.identity_center.pacer import Pacer
from scim_bridge.identity_center.payloads import ENTERPRISE, project_user
from scim_bridge.identity_center.scim_endpoint import ScimEndpoint
from scim_bridge.identity_center.transport import Transport
from scim_bridge.plan.changes import (
    AddMembers,
    Change,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DisableUser,
    EnableUser,
    RemoveMembers,
    UpdateGroup,
    UpdateUser,
)
from scim_bridge.plan.state import Principal
from scim_bridge.sandbox.behaviour import IDENTITY_STORE_ID
from scim_bridge.settings import IdentityCenter

BASE = "https://scim.us-east-1.amazonaws.com/tenant/scim/v2"
Settings = Callable[..., IdentityCenter]

ADA = {
    "userName": "ada@example.com",
    "displayName": "Ada Lovelace",
    "name.givenName": "Ada",
    "name.familyName": "Lovelace",
    "title": "Analyst",
    "emails": [{"value": "ada@example.com", "type": "work", "primary": True}],
    f"{ENTERPRISE}:department": "Analysis",
}


def create_user(external_id: str = "e-ada", *, active: bool = True, **overrides: Any) -> CreateUser:
    name = f"{external_id}@example.com"
    attributes = {
        **ADA,
        "userName": name,
        "emails": [{"value": name, "type": "work", "primary": True}],
        **overrides,
    }
    return CreateUser(user="row", external_id=external_id, attributes=attributes, active=active)


def create_group(name: str = "Engineers", external_id: str = "e-group") -> CreateGroup:
    return CreateGroup(group="row", external_id=external_id, attributes={"displayName": name})


def done(center: Center, change: Change) -> Principal:
    """Apply a change that shows its principal."""
    applied = center.apply(change)
    assert applied.request_id
    assert applied.principal is not None
    return applied.principal


def people(center: Center, count: int) -> tuple[str, ...]:
    return tuple(done(center, create_user(f"e{n}")).id for n in range(count))


def add(group: Principal, *members: str) -> AddMembers:
    return AddMembers(group="row", principal=group.id, members=members)


def remove(group: Principal, *members: str) -> RemoveMembers:
    return RemoveMembers(group="row", principal=group.id, members=members)


def update(user: Principal, remove: tuple[str, ...] = (), **set_: Any) -> UpdateUser:
    return UpdateUser(user="row", principal=user.id, set=set_, remove=remove)


@pytest.fixture(name="ada")
def _ada(center: Center) -> Principal:
    return done(center, create_user())


@pytest.fixture(name="engineers")
def _engineers(center: Center) -> Principal:
    return done(center, create_group())


def given(center: Center, external_id: str) -> str | None:
    """The externalId that a principal made with it has: the Identity Store API gives none."""
    return external_id if center.abilities.external_ids else None


def change(center: Center, make: Any, group: Principal, *members: str) -> None:
    """Add or remove people, so many in a call as the door takes."""
    most = center.abilities.members_per_call
    for start in range(0, len(members), most):
        center.apply(make(group, *members[start : start + most]))


class TestContract:
    """What the bridge relies on, whichever door it writes through.

    Over SCIM with both kinds of authentication and both readings of AWS (whether it refuses edits
    of a disabled user is not documented: nothing here depends on it), and without SCIM.
    """

    @pytest.fixture(
        name="center",
        params=[("sigv4", False), ("bearer", True), ("identity-store", False)],
        ids=["sigv4", "bearer-strict_disabled", "identity-store"],
    )
    def _center(self, request: Any, settings: Settings, sandbox: Any) -> Center:
        auth, strict_disabled = request.param
        sandbox.behave(strict_disabled=strict_disabled)
        if auth == "identity-store":
            return without_scim(settings, sandbox)
        return connect(settings(auth=auth))

    def test_a_check_passes(self, center: Center) -> None:
        """`doctor` learns that address and credentials are right, and nothing is changed."""
        center.check()
        assert center.circuit.state == "closed"

    def test_a_created_user_is_held_as_sent_and_shown_as_held(
        self, center: Center, sandbox: Any
    ) -> None:
        """CreateUser echoes the user; every attribute arrives where SCIM has its place."""
        user = done(center, create_user())
        assert user.external_id == given(center, "e-ada")
        assert user.active is True
        assert user.attributes == create_user().attributes
        held = sandbox.users[user.id]
        assert held["userName"] == "e-ada@example.com"
        assert held["name"] == {"givenName": "Ada", "familyName": "Lovelace"}
        assert held[ENTERPRISE] == {"department": "Analysis"}
        assert held.get("externalId") == given(center, "e-ada")
        assert center.user(user.id) == user

    def test_every_supported_attribute_is_taken(self, center: Center, sandbox: Any) -> None:
        """A full SCIM user, projected, is acceptable; SCIM never shows profileUrl again."""
        document = {
            "userName": "full",
            "name": {
                "formatted": "Countess Ada King Lovelace FRS",
                "givenName": "Ada",
                "familyName": "Lovelace",
                "middleName": "King",
                "honorificPrefix": "Countess",
                "honorificSuffix": "FRS",
            },
            "displayName": "Ada",
            "nickName": "Ada",
            "profileUrl": "https://people.example.com/ada",
            "title": "Analyst",
            "userType": "Employee",
            "preferredLanguage": "en-GB",
            "locale": "en-GB",
            "timezone": "Europe/London",
            "emails": [{"value": "a@x.example"}, {"value": "b@x.example", "primary": True}],
            "addresses": [{"streetAddress": "1 Way", "country": "GB", "type": "work"}],
            "phoneNumbers": [{"value": "+44 1", "display": "desk"}, {"value": "+44 2"}],
            "roles": [{"value": "engineer"}],
            ENTERPRISE: {
                "employeeNumber": "7",
                "costCenter": "41",
                "organization": "Engines",
                "division": "Difference",
                "department": "Analysis",
            },
        }
        boss = done(center, create_user("boss"))
        sent = project_user(document, manager=boss.id).attributes
        user = done(
            center, CreateUser(user="row", external_id="full", attributes=sent, active=True)
        )
        over_scim = center.abilities.disables
        shown = {path: sent[path] for path in sent if not (over_scim and path == "profileUrl")}
        assert user.attributes == shown
        assert sandbox.users[user.id][ENTERPRISE]["manager"] == {"value": boss.id}

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("userName", "ada.king@example.com"),
            ("displayName", "Ada King"),
            ("name.givenName", "Augusta"),
            ("name.middleName", "King"),
            ("nickName", "Countess"),
            ("title", "Chief Analyst"),
            ("userType", "Contractor"),
            ("preferredLanguage", "en-GB"),
            ("locale", "en-GB"),
            ("timezone", "Europe/London"),
            ("emails", [{"value": "new@example.com", "primary": True}]),
            ("addresses", [{"locality": "London", "primary": True}]),
            ("phoneNumbers", [{"value": "+44 1", "type": "work", "primary": True}]),
            (f"{ENTERPRISE}:department", "Sales"),
            (f"{ENTERPRISE}:employeeNumber", "7"),
            (f"{ENTERPRISE}:manager", {"value": "9067-0000"}),
        ],
    )
    def test_an_attribute_is_set_by_its_path(
        self, center: Center, ada: Principal, path: str, value: Any
    ) -> None:
        """AWS SCIM developer guide, PatchUser: what can be modified; the rest stays as it is."""
        changed = done(center, UpdateUser(user="row", principal=ada.id, set={path: value}))
        assert changed.attributes == {**ada.attributes, path: value}
        assert center.user(ada.id) == changed

    @pytest.mark.parametrize("path", ["title", "emails", f"{ENTERPRISE}:department"])
    def test_an_attribute_is_removed_by_its_path(
        self, center: Center, ada: Principal, path: str
    ) -> None:
        """AWS SCIM developer guide, PatchUser: remove needs a path."""
        changed = done(center, update(ada, (path,)))
        assert changed.attributes == {
            name: value for name, value in ada.attributes.items() if name != path
        }

    def test_several_attributes_change_in_one_call(
        self, center: Center, ada: Principal, sandbox: Any
    ) -> None:
        """One operation for each, all in one PATCH."""
        changed = done(center, update(ada, ("emails",), title="Boss", nickName="Ada"))
        assert changed.attributes["title"] == "Boss"
        assert changed.attributes["nickName"] == "Ada"
        assert "emails" not in changed.attributes
        updates = {"PatchUser", "identitystore:UpdateUser"}
        [writes] = [sandbox.calls[name] for name in updates & sandbox.calls.keys()]
        assert writes == {"200": 1}

    def test_roles_of_an_existing_user_stop_no_other_change(
        self, center: Center, ada: Principal, sandbox: Any
    ) -> None:
        """PatchUser cannot modify roles: they are left out, else the call would be refused."""
        changed = done(center, update(ada, roles=[{"value": "x", "primary": True}], title="Boss"))
        assert changed.attributes["title"] == "Boss"
        assert "roles" not in changed.attributes

    def test_a_taken_value_is_a_conflict(self, center: Center, ada: Principal) -> None:
        """409, on creating as on changing; AWS does not say which value."""
        with pytest.raises(Conflict):
            center.apply(create_user("e-ada"))
        other = done(center, create_user("other"))
        with pytest.raises(Conflict):
            center.apply(update(other, userName=ada.attributes["userName"]))
        assert center.circuit.state == "closed"

    def test_what_aws_refuses_is_refused(self, center: Center, ada: Principal) -> None:
        """400 with AWS's words."""
        with pytest.raises(Refused) as caught:
            center.apply(update(ada, title="a" * 2000))
        assert caught.value.status == 400
        assert caught.value.request_id

    def test_a_group_is_created_renamed_and_deleted(self, center: Center, sandbox: Any) -> None:
        """The life of a group, without members."""
        group = done(center, create_group())
        assert group.attributes == {"displayName": "Engineers"}
        assert group.external_id == given(center, "e-group")
        assert center.group(group.id) == group
        renamed = {"displayName": "Analysts"}
        applied = center.apply(UpdateGroup(group="row", principal=group.id, set=renamed))
        assert applied.principal is None
        assert applied.request_id
        assert sandbox.groups[group.id]["displayName"] == "Analysts"
        center.apply(DeleteGroup(group="row", principal=group.id))
        assert sandbox.groups == {}
        assert center.group(group.id) is None

    def test_deleting_a_group_that_is_gone_is_done(
        self, center: Center, engineers: Principal
    ) -> None:
        """A removal counts as done when there is nothing left to remove."""
        for _ in range(2):
            assert center.apply(DeleteGroup(group="row", principal=engineers.id)).request_id

    def test_members_are_added_and_removed_by_name(
        self, center: Center, engineers: Principal, sandbox: Any
    ) -> None:
        """Never replaced; who is not named stays."""
        one, two, three = people(center, 3)
        change(center, add, engineers, one, two, three)
        assert sandbox.members(engineers.id) == {one, two, three}
        change(center, remove, engineers, one, three)
        assert sandbox.members(engineers.id) == {two}

    def test_members_are_read_from_both_sides(self, center: Center, engineers: Principal) -> None:
        """`groups.value` and `members.value` filters; a group's own body never names members."""
        one, two = people(center, 2)
        other = done(center, create_group("Others", "e-others"))
        change(center, add, engineers, one)
        change(center, add, other, one, two)
        assert center.members(engineers.id) == {one}
        assert center.members(other.id) == {one, two}
        assert center.groups_of(one) == {engineers.id, other.id}
        assert center.groups_of(two) == {other.id}
        assert center.is_member(engineers.id, one) is True
        assert center.is_member(engineers.id, two) is False

    def test_nobody_is_in_an_empty_group(self, center: Center, engineers: Principal) -> None:
        """An empty list is an answer."""
        (one,) = people(center, 1)
        assert center.members(engineers.id) == frozenset()
        assert center.groups_of(one) == frozenset()

    def test_a_group_larger_than_a_page_is_read_whole(
        self, center: Center, engineers: Principal
    ) -> None:
        """100 to a page, with cursors; and 100 changes to a call."""
        everybody = people(center, 105)
        change(center, add, engineers, *everybody[:100])
        change(center, add, engineers, *everybody[100:])
        assert center.members(engineers.id) == set(everybody)

    def test_who_is_gone_is_missing(
        self, center: Center, ada: Principal, engineers: Principal
    ) -> None:
        """404 for a principal that a change names."""
        gone = Principal(id="00000000-0000-0000-0000-000000000000", external_id=None, attributes={})
        for impossible in (
            update(gone, title="x"),
            UpdateGroup(group="row", principal=gone.id, set={"displayName": "x"}),
            add(gone, ada.id),
        ):
            with pytest.raises(Missing):
                center.apply(impossible)
        assert center.user(gone.id) is None
        assert center.group(gone.id) is None
        assert center.groups_of(gone.id) == frozenset()
        with pytest.raises(Missing):
            center.is_member(engineers.id, gone.id)
        assert center.circuit.state == "closed"

    def test_people_and_groups_are_found(
        self, center: Center, ada: Principal, engineers: Principal
    ) -> None:
        """By name in any case."""
        assert center.find_user(user_name="E-Ada@Example.com") == ada
        assert center.find_user(user_name="e-ada@example.com") == ada
        assert center.find_group(display_name="Engineers") == engineers
        assert center.find_user(external_id="nobody") is None
        assert center.find_user(user_name='no"bo\\dy') is None
        assert center.find_group(display_name="R+D & more") is None
        assert center.find_group(external_id="nobody") is None

    def test_a_name_with_quotes_and_plus_is_found(self, center: Center) -> None:
        """Escaping, quoting and signing agree."""
        user = done(center, create_user("q", userName='o"neil\\+é@example.com'))
        assert center.find_user(user_name='o"neil\\+é@example.com') == user


class TestScim:
    """What only the SCIM endpoint does, in both readings of AWS."""

    @pytest.fixture(name="center", params=[False, True], ids=["lenient", "strict_disabled"])
    def _center(self, request: Any, settings: Settings, sandbox: Any) -> Center:
        sandbox.behave(strict_disabled=request.param)
        return connect(settings())

    def test_people_and_groups_are_found_by_external_id(
        self, center: Center, ada: Principal, engineers: Principal
    ) -> None:
        """A creation whose answer was lost is found again by it."""
        assert center.find_user(external_id="e-ada") == ada
        assert center.find_group(external_id="e-group") == engineers

    def test_a_user_may_be_created_disabled(self, center: Center, sandbox: Any) -> None:
        """A person who is inactive when created never gets in, not even for a moment."""
        user = done(center, create_user(active=False))
        assert user.active is False
        assert sandbox.users[user.id]["active"] is False
        assert sandbox.calls == {"CreateUser": {"201": 1}}

    def test_a_user_is_disabled_and_enabled(
        self, center: Center, ada: Principal, sandbox: Any
    ) -> None:
        """active=false and back keep everything else as it was."""
        disabled = done(center, DisableUser(user="row", principal=ada.id))
        assert disabled.active is False
        assert disabled.attributes == ada.attributes
        assert sandbox.users[ada.id]["active"] is False
        enabled = done(center, EnableUser(user="row", principal=ada.id, set={}))
        assert enabled == ada

    def test_a_disabled_user_is_disabled_again_without_error(
        self, center: Center, ada: Principal
    ) -> None:
        """A removal can be repeated after a lost answer."""
        for _ in range(2):
            assert done(center, DisableUser(user="row", principal=ada.id)).active is False

    def test_what_changed_meanwhile_comes_with_the_enabling(
        self, center: Center, ada: Principal, sandbox: Any
    ) -> None:
        """One call: nobody returns for a moment with the attributes of the old job."""
        done(center, DisableUser(user="row", principal=ada.id))
        sandbox.control("DELETE", "calls")
        returned = done(
            center,
            EnableUser(
                user="row",
                principal=ada.id,
                set={f"{ENTERPRISE}:department": "Sales", "displayName": "A. Lovelace"},
                remove=("title",),
            ),
        )
        assert returned.active is True
        assert returned.attributes[f"{ENTERPRISE}:department"] == "Sales"
        assert returned.attributes["displayName"] == "A. Lovelace"
        assert "title" not in returned.attributes
        assert sandbox.calls == {"PatchUser": {"200": 1}}

    def test_a_disabled_user_can_be_taken_out(
        self, center: Center, ada: Principal, engineers: Principal, sandbox: Any
    ) -> None:
        """Disable first, then the memberships: the removal is taken also then."""
        center.apply(add(engineers, ada.id))
        done(center, DisableUser(user="row", principal=ada.id))
        center.apply(remove(engineers, ada.id))
        assert sandbox.members(engineers.id) == set()

    def test_a_gone_user_cannot_be_disabled(self, center: Center) -> None:
        """404 for a principal that a change names."""
        with pytest.raises(Missing):
            center.apply(DisableUser(user="row", principal=str(uuid.uuid4())))


class TestWithoutScim:
    """What only the Identity Store API does, and what it cannot do."""

    @pytest.fixture(name="center")
    def _center(self, settings: Settings, sandbox: Any) -> Center:
        return without_scim(settings, sandbox)

    def test_nothing_is_asked_of_the_scim_endpoint(
        self, center: Center, ada: Principal, engineers: Principal, sandbox: Any
    ) -> None:
        """For organisations that allow IAM roles only."""
        center.check()
        change(center, add, engineers, ada.id)
        assert sandbox.members(engineers.id) == {ada.id}
        assert {entry["auth"] for entry in sandbox.control("GET", "requests")["requests"]} == {
            "sigv4"
        }
        assert all(":" in operation for operation in sandbox.calls)

    def test_nobody_is_disabled_enabled_or_created_disabled(
        self, center: Center, ada: Principal, sandbox: Any
    ) -> None:
        """UserStatus is no input of the API (botocore's model): the plan must not ask for it."""
        for impossible in (
            DisableUser(user="row", principal=ada.id),
            EnableUser(user="row", principal=ada.id, set={}),
            create_user("other", active=False),
        ):
            with pytest.raises(ValueError, match="Identity Store API"):
                center.apply(impossible)
        assert sandbox.users[ada.id]["active"] is True

    def test_nobody_is_found_by_external_id(self, center: Center, ada: Principal) -> None:
        """None was given, so that none is looked for."""
        assert center.find_user(external_id="e-ada") is None
        assert center.find_group(external_id="e-group") is None

    def test_a_membership_is_added_and_removed_twice(
        self, center: Center, ada: Principal, engineers: Principal, sandbox: Any
    ) -> None:
        """After a lost answer both are done: who is in is a 409, who is out has no membership."""
        for _ in range(2):
            change(center, add, engineers, ada.id)
        assert sandbox.members(engineers.id) == {ada.id}
        for _ in range(2):
            change(center, remove, engineers, ada.id)
        assert sandbox.members(engineers.id) == set()

    def test_a_call_takes_one_member(self, center: Center, engineers: Principal) -> None:
        """CreateGroupMembership names one; the plan divides."""
        for members in ((), ("one", "two")):
            with pytest.raises(ValueError, match="1 is allowed"):
                center.apply(add(engineers, *members))

    def test_a_group_may_be_described(self, center: Center, engineers: Principal) -> None:
        """The SCIM endpoint has no place for it."""
        described = {"description": "Who builds the engine"}
        center.apply(UpdateGroup(group="row", principal=engineers.id, set=described))
        shown = center.group(engineers.id)
        assert shown is not None
        assert shown.attributes == {"displayName": "Engineers", **described}

    def test_a_creation_that_cannot_be_read_back_is_not_lost(
        self, center: Center, sandbox: Any
    ) -> None:
        """Its id was answered: without the link, it would be looked for by its name alone."""
        sandbox.fault("identitystore:DescribeUser", status=500)
        user = done(center, create_user())
        assert user.attributes == create_user().attributes
        assert user.id in sandbox.users

    def test_who_was_deleted_is_deleted(self, center: Center, ada: Principal) -> None:
        """A purge can be repeated."""
        for _ in range(2):
            center.delete_user(ada.id)
        assert center.user(ada.id) is None


def without_scim(settings: Settings, sandbox: Any) -> Center:
    return connect(
        settings(
            write_via="identity-store",
            scim_endpoint=None,
            endpoint_url=sandbox.server.url,
            identity_store_id=IDENTITY_STORE_ID,
        )
    )


@pytest.mark.parametrize("count", [0, 101])
@pytest.mark.parametrize("kind", [AddMembers, RemoveMembers])
def test_a_call_takes_one_to_a_hundred_members(center: Center, kind: Any, count: int) -> None:
    """More is a defect of the caller, and so is nobody: nothing is sent."""
    members = tuple(str(number) for number in range(count))
    with pytest.raises(ValueError, match=f"{count} membership changes"):
        center.apply(kind(group="row", principal="g", members=members))


def test_give_one_of_two_to_look_up(center: Center) -> None:
    """Both or none would be ambiguous."""
    with pytest.raises(ValueError, match="either"):
        center.find_user()
    with pytest.raises(ValueError, match="either"):
        center.find_group(external_id="a", display_name="b")


def test_settings_without_an_address_are_refused() -> None:
    """`connect` calls nobody, but says what is missing."""
    with pytest.raises(SettingsError, match="scim_endpoint"):
        connect(IdentityCenter())


# --- When things go wrong ------------------------------------------------------------------------


def test_a_lost_answer_may_have_done_the_change(center: Center, sandbox: Any) -> None:
    """The call is not sent again here; a look-up by externalId finds what was made."""
    sandbox.fault("CreateUser", drop_answer=True)
    with pytest.raises(Unavailable):
        center.apply(create_user())
    found = center.find_user(external_id="e-ada")
    assert found is not None
    assert list(sandbox.users) == [found.id]


def test_a_wrong_secret_key_closes_the_door(
    settings: Settings, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong signature: the cause is in words, and nothing was done."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    center = connect(settings())
    with pytest.raises(DoorClosed, match="InvalidSignatureException"):
        center.apply(create_user())
    assert 'auth = "bearer"' in str(center.circuit.cause)
    assert sandbox.users == {}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"region": "eu-west-1"}, "eu-west-1"),
        ({"signing_service": "scim"}, "scim"),
    ],
)
def test_a_wrong_scope_closes_the_door(
    settings: Settings, sandbox: Any, wrong: dict[str, str], words: str
) -> None:
    """The message names the region and service that were signed for."""
    with pytest.raises(DoorClosed, match=words):
        connect(settings(**wrong)).check()


def test_a_wrong_tenant_closes_the_door(settings: Settings, sandbox: Any) -> None:
    """AWS answers 401 for a wrong tenant id."""
    endpoint = settings().scim_endpoint
    assert endpoint is not None
    wrong = endpoint.replace("/scim/v2", "-x/scim/v2")
    with pytest.raises(DoorClosed):
        connect(settings(scim_endpoint=wrong, auth="bearer")).check()


@pytest.mark.parametrize("auth", ["sigv4", "bearer"])
def test_a_wrong_address_makes_nobody_look_deleted(
    settings: Settings, sandbox: Any, auth: str
) -> None:
    """A 404 of the whole endpoint is a closed door, for look-ups of a principal as well."""
    wrong = f"{sandbox.server.url}/nothing/here"
    for ask in (
        lambda center: center.user("u1"),
        lambda center: center.group("g1"),
        lambda center: center.groups_of("u1"),
        lambda center: center.apply(DeleteGroup(group="row", principal="g1")),
        lambda center: center.check(),
    ):
        with pytest.raises(DoorClosed, match="scim_endpoint"):
            ask(connect(settings(scim_endpoint=wrong, auth=auth)))


def test_a_token_that_aws_starts_refusing_is_replaced_without_a_restart(
    settings: Settings, sandbox: Any, tmp_path: Path
) -> None:
    """The leaver is disabled by the first probe after the new token is in the file."""
    token = tmp_path / "token"
    token.write_text("sandbox-token")
    clock = [1000.0]
    told: list[Standing] = []
    named = settings(auth="bearer", bearer_token_file=token)
    circuit = Circuit(on_change=told.append, clock=lambda: clock[0])
    center = ScimCenter(ScimEndpoint(Transport(named, pacer=Pacer(1e6), circuit=circuit)))
    ada = done(center, create_user())
    leaver = DisableUser(user="row", principal=ada.id)
    sandbox.behave(bearer_token="a-new-token")
    with pytest.raises(DoorClosed, match="access token"):
        center.apply(leaver)
    token.write_text("a-new-token")
    with pytest.raises(CircuitOpen, match="access token"):
        center.apply(leaver)
    clock[0] += PROBE_AFTER
    assert done(center, leaver).active is False
    assert [standing.state for standing in told] == ["open", "half-open", "closed"]


def test_throttle_answers_are_soft(center: Center, sandbox: Any) -> None:
    """429 with Retry-After: nothing was done, the same call succeeds later."""
    sandbox.fault("CreateUser", status=429, times=1, retry_after=0)
    with pytest.raises(Throttled):
        center.apply(create_user())
    assert sandbox.users == {}
    assert done(center, create_user()).active is True


def test_an_outage_opens_the_circuit(center: Center, sandbox: Any) -> None:
    """After five 5xx in a row the next call is not sent."""
    sandbox.fault("*", status=503, times=FAILURES)
    for _ in range(FAILURES):
        with pytest.raises(Unavailable):
            center.check()
    with pytest.raises(CircuitOpen):
        center.check()
    assert sandbox.calls == {"ServiceProviderConfig": {"503": FAILURES}}


def test_a_slow_answer_does_not_hold_its_caller(center: Center, sandbox: Any) -> None:
    """A deadline ends the call, which may have been done."""
    sandbox.fault("CreateUser", delay=0.6)
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        center.apply(create_user(), deadline=begun + 0.1)
    assert time.monotonic() - begun < 0.5
    time.sleep(0.6)


def test_a_list_that_fails_halfway_raises(center: Center, sandbox: Any) -> None:
    """A partial read is never taken for a smaller group."""
    group = done(center, create_group())
    everybody = people(center, 101)
    center.apply(add(group, *everybody[:100]))
    center.apply(add(group, *everybody[100:]))
    sandbox.fault("ListUsers", status=500, after=1)
    with pytest.raises(Unavailable):
        center.members(group.id)


def test_a_removal_overtakes_additions(settings: Settings, sandbox: Any) -> None:
    """With many calls waiting for their turn, a leaver is disabled next."""
    center = connect(settings())
    ada = done(center, create_user())
    slow = connect(settings(calls_per_second=5.0))
    slow.check()
    threads = [threading.Thread(target=slow.apply, args=(create_user(f"n{n}"),)) for n in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    slow.apply(DisableUser(user="row", principal=ada.id))
    created = sandbox.calls["CreateUser"]["201"] - 1
    assert created <= 2
    for thread in threads:
        thread.join(10)
    assert sandbox.calls["CreateUser"]["201"] == 7


# --- Single answers that the sandbox does not give ------------------------------------------------


@pytest.fixture(name="wire")
def _wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as wire:
        yield wire


@pytest.fixture(name="at_aws")
def _at_aws(settings: Settings) -> Center:
    return connect(settings(scim_endpoint=BASE))


def shown(**user: Any) -> dict[str, Any]:
    return {"Resources": [{"id": "u1", **user}], "itemsPerPage": 1}


def test_a_created_user_that_is_not_shown_is_read_again(
    at_aws: Center, wire: responses.RequestsMock
) -> None:
    """A 2xx without an id was seen: the user is looked up by externalId."""
    wire.post(f"{BASE}/Users", status=201, json={}, headers={"x-amzn-RequestId": "r-1"})
    wire.get(f"{BASE}/Users", json=shown(externalId="e-ada", userName="ada"))
    applied = at_aws.apply(create_user())
    assert applied.principal is not None
    assert applied.principal.id == "u1"
    assert applied.request_id == "r-1"
    assert "externalId%20eq%20%22e-ada%22" in str(wire.calls[1].request.url)


def test_a_created_group_that_is_not_shown_is_read_again(
    at_aws: Center, wire: responses.RequestsMock
) -> None:
    """The same for groups, also when the body is no JSON."""
    wire.post(f"{BASE}/Groups", status=201, body="created")
    wire.get(f"{BASE}/Groups", json=shown(externalId="e-group", displayName="E"))
    applied = at_aws.apply(create_group())
    assert applied.principal is not None
    assert applied.principal.id == "u1"


def test_a_creation_that_shows_nobody_is_uncertain(
    at_aws: Center, wire: responses.RequestsMock
) -> None:
    """Neither failed nor done: it is looked up again before anything is created."""
    wire.post(f"{BASE}/Users", status=201, body="")
    wire.get(f"{BASE}/Users", json={"Resources": []})
    with pytest.raises(Unavailable, match="shows no principal"):
        at_aws.apply(create_user())


def test_a_changed_user_that_is_not_shown_is_read_again(
    at_aws: Center, wire: responses.RequestsMock
) -> None:
    """A PATCH answered without a body."""
    wire.patch(f"{BASE}/Users/u1", status=204)
    wire.get(f"{BASE}/Users/u1", json={"id": "u1", "userName": "ada", "active": False})
    applied = at_aws.apply(DisableUser(user="row", principal="u1"))
    assert applied.principal is not None
    assert applied.principal.active is False


def test_a_look_up_does_not_take_another_for_the_one_asked_for(
    at_aws: Center, wire: responses.RequestsMock
) -> None:
    """What comes back is compared: by name in any case, by externalId exactly."""
    wire.get(f"{BASE}/Users", json=shown(userName="ADA@example.com", externalId="E-1"))
    assert at_aws.find_user(user_name="ada@example.com") is not None
    assert at_aws.find_user(user_name="ada@example.org") is None
    assert at_aws.find_user(external_id="e-1") is None
    assert at_aws.find_user(external_id="E-1") is not None


def test_a_404_of_one_read_is_confirmed_before_it_is_believed(
    at_aws: Center, wire: responses.RequestsMock
) -> None:
    """A user that a list still shows is not gone (AWS promises no read after write)."""
    wire.get(f"{BASE}/Users/u1", status=404)
    wire.get(f"{BASE}/Users", json=shown(userName="ada"))
    user = at_aws.user("u1")
    assert user is not None
    assert user.attributes == {"userName": "ada"}


def test_groups_of_a_user_who_is_there_after_all(
    at_aws: Center, wire: responses.RequestsMock
) -> None:
    """A 404 of the filter alone does not empty the memberships of somebody who exists."""
    wire.get(f"{BASE}/Groups", status=404)
    wire.get(f"{BASE}/Users/u1", json={"id": "u1", "userName": "ada"})
    with pytest.raises(Missing):
        at_aws.groups_of("u1")


def test_a_read_that_is_no_json_is_no_user(at_aws: Center, wire: responses.RequestsMock) -> None:
    """A page of some proxy must not be taken for a user, or for nobody."""
    wire.get(f"{BASE}/Users/u1", body="<html>", content_type="text/html")
    with pytest.raises(Unavailable, match="text/html"):
        at_aws.user("u1")


def test_the_wire_form_of_a_disabling(at_aws: Center, wire: responses.RequestsMock) -> None:
    """One operation with a real boolean, and nothing else that could stop it."""
    wire.patch(
        f"{BASE}/Users/u1",
        json={"id": "u1", "active": False},
        match=[
            responses.matchers.json_params_matcher(
                {
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                    "Operations": [{"op": "replace", "path": "active", "value": False}],
                }
            )
        ],
    )
    at_aws.apply(DisableUser(user="row", principal="u1"))
    assert wire.calls[0].request.headers["User-Agent"].startswith("scim-bridge/")


def test_the_wire_form_of_an_enabling(at_aws: Center, wire: responses.RequestsMock) -> None:
    """`active` comes first, so that the edits after it are those of an active user."""
    wire.patch(
        f"{BASE}/Users/u1",
        json={"id": "u1"},
        match=[
            responses.matchers.json_params_matcher(
                {
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                    "Operations": [
                        {"op": "replace", "path": "active", "value": True},
                        {"op": "replace", "path": "name.givenName", "value": "A"},
                        {"op": "remove", "path": f"{ENTERPRISE}:division"},
                    ],
                }
            )
        ],
    )
    at_aws.apply(
        EnableUser(
            user="row",
            principal="u1",
            set={"name.givenName": "A"},
            remove=(f"{ENTERPRISE}:division",),
        )
    )


def test_the_wire_form_of_a_membership_change(at_aws: Center, wire: responses.RequestsMock) -> None:
    """Members are named in the value (AWS SCIM developer guide, PatchGroup)."""
    wire.patch(
        f"{BASE}/Groups/g1",
        status=204,
        match=[
            responses.matchers.json_params_matcher(
                {
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                    "Operations": [
                        {
                            "op": "remove",
                            "path": "members",
                            "value": [{"value": "u1"}, {"value": "u2"}],
                        }
                    ],
                }
            )
        ],
    )
    at_aws.apply(RemoveMembers(group="row", principal="g1", members=("u1", "u2")))


@pytest.mark.parametrize(
    ("change", "urgent"),
    [
        (DisableUser(user="row", principal="p"), True),
        (RemoveMembers(group="row", principal="p", members=("m",)), True),
        (DeleteGroup(group="row", principal="p"), True),
        (create_user(), False),
        (create_group(), False),
        (UpdateUser(user="row", principal="p", set={"title": "x"}), False),
        (UpdateGroup(group="row", principal="p", set={"displayName": "x"}), False),
        (EnableUser(user="row", principal="p", set={}), False),
        (AddMembers(group="row", principal="p", members=("m",)), False),
    ],
)
def test_what_takes_access_away_is_urgent(
    settings: Settings, wire: responses.RequestsMock, change: Change, urgent: bool
) -> None:
    """Revocations overtake; everything else waits its turn. The deadline is passed on."""
    asked: list[dict[str, Any]] = []

    class Pace(Pacer):
        def turn(self, **how: Any) -> Any:
            asked.append(how)
            return super().turn(**how)

    for method in ("POST", "PATCH", "DELETE"):
        wire.assert_all_requests_are_fired = False
        for path in ("Users", "Groups", "Users/p", "Groups/p"):
            wire.add(method, f"{BASE}/{path}", json={"id": "p"})
    transport = Transport(settings(scim_endpoint=BASE), pacer=Pace(1e6), circuit=Circuit())
    deadline = time.monotonic() + 60
    ScimCenter(ScimEndpoint(transport)).apply(change, deadline=deadline)
    assert asked == [{"urgent": urgent, "deadline": deadline}]
