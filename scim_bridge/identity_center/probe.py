"""What does AWS do where its documentation says nothing?

Each question is answered by a call on principals that are made for it and removed again. The
switches are those of the sandbox, which can then be told to behave the same.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scim_bridge.errors import BridgeError, Conflict, Missing, Refused, SettingsError
from scim_bridge.identity_center.apis import Apis, connect_apis
from scim_bridge.identity_center.center import Center, ScimCenter
from scim_bridge.identity_center.circuit import Circuit
from scim_bridge.identity_center.credentials import Keys
from scim_bridge.identity_center.doors import ScimDoor
from scim_bridge.identity_center.exchange import Answer
from scim_bridge.identity_center.pacer import Pacer
from scim_bridge.identity_center.payloads import (
    ENTERPRISE,
    GROUP,
    member_operation,
    patch_body,
    patch_operations,
    user_body,
)
from scim_bridge.identity_center.permissions import NOBODY
from scim_bridge.identity_center.scim_endpoint import ScimEndpoint, equals
from scim_bridge.identity_center.store_center import StoreCenter
from scim_bridge.identity_center.throwaway import Throwaways
from scim_bridge.identity_center.transport import Transport
from scim_bridge.plan.grants import AccountGrant
from scim_bridge.plan.state import Attributes, Kind
from scim_bridge.settings import IdentityCenter

Value = bool | str


@dataclass(frozen=True, kw_only=True)
class Found:
    """The answer to one question."""

    # As the sandbox calls it.
    switch: str
    # None: it could not be found out.
    value: Value | None
    said: str


class CannotTell(BridgeError):
    """A question cannot be answered here. The message says why."""


class Probe:
    """Asks the questions, one after the other.

    ``name`` is what everything is called that is made; ``grant`` is a permission set in an account
    that may be given to a group of nobody real, without which nothing is assigned.
    """

    def __init__(
        self, settings: IdentityCenter, *, name: str, grant: AccountGrant | None = None
    ) -> None:
        self._settings = settings
        self._keys = Keys(settings)
        self._name = name
        self._grant = grant
        self._apis: Apis = connect_apis(settings, keys=self._keys)
        self._scim: ScimEndpoint | None = None
        self.throwaways = Throwaways(self._remover, self._apis.sso_admin)
        self._made = 0

    def answers(self) -> Iterator[Found]:
        """Ask everything. What cannot be found out is said, and the next question asked."""
        for question in QUESTIONS:
            try:
                value = question.ask(self)
            except BridgeError as error:
                said = f"{question.about}: not found out, since {error}"
                yield Found(switch=question.switch, value=None, said=said)
            else:
                said = f"{question.about}: {question.words[value]}"
                yield Found(switch=question.switch, value=value, said=said)

    # -- The SCIM endpoint ----------------------------------------------

    def sigv4_on_scim(self) -> bool:
        """Whether the endpoint takes a signature that the Security Token Service takes."""
        self._has_scim()
        self._apis.caller.identity()
        endpoint = self._endpoint(replace(self._settings, auth="sigv4"))
        try:
            endpoint.service_provider_config()
        except Refused:
            return False
        except BridgeError as error:
            if getattr(error, "status", None) in (401, 403):
                return False
            raise
        return True

    def strict_disabled(self) -> bool:
        user = self._user(active=False)
        group = self._group()
        edit = patch_body(patch_operations({"title": "Changed"}))
        joins = patch_body([member_operation("add", [user])])
        return not (
            self._takes(lambda: self.scim.patch_user(user, edit))
            and self._takes(lambda: self.scim.patch_group(group, joins))
        )

    def strict_removals(self) -> bool:
        user, group = self._user(), self._group()
        self.scim.patch_group(group, patch_body([member_operation("add", [user])]))
        self.scim.patch_user(user, patch_body(patch_operations({"active": False})))
        leaves = patch_body([member_operation("remove", [user])])
        return not self._takes(lambda: self.scim.patch_group(group, leaves))

    def add_existing_member(self) -> str:
        user, group = self._user(), self._group()
        joins = patch_body([member_operation("add", [user])])
        self.scim.patch_group(group, joins)
        return "ok" if self._takes(lambda: self.scim.patch_group(group, joins)) else "409"

    def remove_non_member(self) -> str:
        user, group = self._user(), self._group()
        leaves = patch_body([member_operation("remove", [user])])
        return "ok" if self._takes(lambda: self.scim.patch_group(group, leaves)) else "404"

    def unknown_member(self) -> str:
        joins = patch_body([member_operation("add", [NOBODY])])
        try:
            self.scim.patch_group(self._group(), joins)
        except Missing:
            return "404"
        except Refused as error:
            if error.status == 400:
                return "400"
            raise
        raise CannotTell("the endpoint takes a member who does not exist")

    def member_filter_path(self) -> bool:
        user, group = self._user(), self._group()
        self.scim.patch_group(group, patch_body([member_operation("add", [user])]))
        by_path = patch_body([{"op": "remove", "path": f'members[value eq "{user}"]'}])
        if not self._takes(lambda: self.scim.patch_group(group, by_path)):
            return False
        listed = self.scim.list_users(equals("groups.value", group), names_principal=True)
        return all(one.get("id") != user for one in listed)

    def case_sensitive_names(self) -> bool:
        name = self._next_name()
        self._create_user(name)
        return self._takes(lambda: self._create_user(name.upper()))

    def unknown_attributes(self) -> str:
        body = {**_user(self._next_name()), "scimBridgeProbe": "x"}
        return (
            "ignore"
            if self._takes(lambda: self._create_user(body["userName"], body))
            else ("refuse")
        )

    def put_omitted_active(self) -> str:
        name = self._next_name()
        user = self._create_user(name, {**_user(name), "active": False})
        whole = {key: value for key, value in _user(name).items() if key != "active"}
        try:
            self.scim.put_user(user, {**whole, "id": user})
        except Refused as error:
            raise CannotTell(f"the endpoint refuses it: {error.detail}") from error
        shown = self.scim.get_user(user).body or {}
        return "keep" if shown.get("active") is False else "true"

    # -- The APIs -------------------------------------------------------

    def update_user_null_removes(self) -> bool:
        store = self._apis.identity_store
        user = self._any_user({"title": "Probe"})
        try:
            store.update_user(user, {}, ["title"])
        except Refused:
            return False
        shown = store.describe_user(user)
        return shown is not None and "title" not in shown.attributes

    def extension_key_case(self) -> str:
        user = self._any_user({f"{ENTERPRISE}:department": "Probe"})
        names = set(self._apis.identity_store.extension_of(user))
        for spelled, case in (("department", "camel"), ("Department", "pascal")):
            if spelled in names:
                return case
        raise CannotTell(f"the extension shows {', '.join(sorted(names)) or 'nothing'}")

    def principal_listing_includes_inherited(self) -> bool:
        grant = self._assignable()
        user, group = self._any_user({}), self._any_group()
        self._join(group, user)
        self._give(group, grant)
        listed = self._apis.sso_admin.assignments_of("user", user, account=grant.account)
        return any(one.principal == group for one in listed)

    def create_existing_assignment(self) -> str:
        grant = self._assignable()
        group = self._any_group()
        self._give(group, grant)
        try:
            self._give(group, grant)
        except Conflict:
            return "conflict"
        return "succeed"

    def _give(self, group: str, grant: AccountGrant) -> None:
        ended = self.throwaways.give(group, grant)
        if ended.state != "SUCCEEDED":
            why = ended.failure_reason or "it does not end"
            raise CannotTell(f"the assignment did not come to be: {why}")

    def _assignable(self) -> AccountGrant:
        if self._grant is None:
            raise CannotTell("nothing may be assigned without --assign PERMISSION_SET ACCOUNT")
        return self._grant

    # -- What is made ---------------------------------------------------

    @property
    def scim(self) -> ScimEndpoint:
        """The endpoint, with an authentication that it takes."""
        if self._scim is None:
            self._has_scim()
            self._scim = self._working_endpoint()
        return self._scim

    def _has_scim(self) -> None:
        if self._settings.scim_endpoint is None:
            raise CannotTell("identity_center.scim_endpoint is not set")

    def _working_endpoint(self) -> ScimEndpoint:
        """With the configured kind of authentication; else with the token, if there is one."""
        endpoint = self._endpoint(self._settings)
        try:
            endpoint.service_provider_config()
        except BridgeError:
            has_token = self._settings.bearer_token_env or self._settings.bearer_token_file
            if self._settings.auth == "bearer" or not has_token:
                raise
            endpoint = self._endpoint(replace(self._settings, auth="bearer"))
            endpoint.service_provider_config()
        return endpoint

    def _endpoint(self, settings: IdentityCenter) -> ScimEndpoint:
        try:
            door = ScimDoor(settings, self._keys)
        except SettingsError as error:
            raise CannotTell(str(error)) from error
        pacer = Pacer(settings.calls_per_second)
        return ScimEndpoint(Transport(settings, door=door, pacer=pacer, circuit=Circuit()))

    def _next_name(self) -> str:
        self._made += 1
        return f"{self._name}-{self._made}"

    def _user(self, *, active: bool = True) -> str:
        name = self._next_name()
        return self._create_user(name, {**_user(name), "active": active})

    def _create_user(self, name: str, body: Mapping[str, Any] | None = None) -> str:
        scim = self.scim
        return self._make("user", name, lambda: scim.create_user(body or _user(name)))

    def _group(self) -> str:
        scim, name = self.scim, self._next_name()
        body = {"schemas": [GROUP], "displayName": name}
        return self._make("group", name, lambda: scim.create_group(body))

    def _make(self, kind: Kind, name: str, create: Callable[[], Answer]) -> str:
        return self.throwaways.make(kind, name, lambda: (create().body or {}).get("id"))

    def _any_user(self, attributes: Attributes) -> str:
        """A user made by whichever door the settings allow."""
        name = self._next_name()
        whole = {**_attributes(name), **attributes}
        if self._settings.scim_endpoint is not None:
            return self._create_user(name, user_body(whole, active=True))
        store = self._apis.identity_store
        return self.throwaways.make("user", name, lambda: store.create_user(whole).id)

    def _any_group(self) -> str:
        if self._settings.scim_endpoint is not None:
            return self._group()
        store, name = self._apis.identity_store, self._next_name()
        return self.throwaways.make(
            "group", name, lambda: store.create_group({"displayName": name}).id
        )

    def _join(self, group: str, user: str) -> None:
        if self._settings.scim_endpoint is None:
            self._apis.identity_store.create_membership(group, user)
        else:
            self.scim.patch_group(group, patch_body([member_operation("add", [user])]))

    def _remover(self) -> Center:
        """The door to remove everything through: one that is known to work."""
        try:
            return ScimCenter(self.scim)
        except BridgeError:
            return StoreCenter(self._apis.identity_store)

    @staticmethod
    def _takes(call: Callable[[], Any]) -> bool:
        """Whether a call is done; not if it is refused for what it asks."""
        try:
            call()
        except (Refused, Missing):
            return False
        return True


def _user(name: str) -> dict[str, Any]:
    return user_body(_attributes(name), active=True)


def _attributes(name: str) -> dict[str, Any]:
    return {
        "userName": name,
        "name.givenName": "Probe",
        "name.familyName": "Scim-bridge",
        "displayName": name,
    }


@dataclass(frozen=True, kw_only=True)
class Question:
    """One open point, and what each answer means."""

    switch: str
    about: str
    ask: Callable[[Probe], Value]
    words: Mapping[Value, str] = field(default_factory=dict)


def _question(about: str, ask: Callable[[Probe], Value], words: Mapping[Any, str]) -> Question:
    return Question(switch=ask.__name__, about=about, ask=ask, words=words)


QUESTIONS = (
    _question(
        "a SigV4 signature on the SCIM endpoint",
        Probe.sigv4_on_scim,
        {True: "it is taken", False: 'it is refused: set auth = "bearer"'},
    ),
    _question(
        "edits and new memberships of a disabled user over SCIM",
        Probe.strict_disabled,
        {True: "they are refused", False: "they are taken"},
    ),
    _question(
        "taking a disabled user out of a group over SCIM",
        Probe.strict_removals,
        {True: "it is refused, and done by the Identity Store API", False: "it is taken"},
    ),
    _question(
        "adding somebody who is a member already",
        Probe.add_existing_member,
        {"ok": "it is done", "409": "it is a conflict"},
    ),
    _question(
        "removing somebody who is no member",
        Probe.remove_non_member,
        {"ok": "it is done", "404": "it is refused"},
    ),
    _question(
        "adding a member who does not exist",
        Probe.unknown_member,
        {"404": "it is answered 404", "400": "it is answered 400"},
    ),
    _question(
        "removing a member by the path members[value eq …]",
        Probe.member_filter_path,
        {True: "it is done", False: "it is refused, or changes nothing"},
    ),
    _question(
        "two userNames that differ in their case",
        Probe.case_sensitive_names,
        {True: "they are two users", False: "they are the same user"},
    ),
    _question(
        "an attribute that AWS does not know",
        Probe.unknown_attributes,
        {"refuse": "the user is refused", "ignore": "it is ignored"},
    ),
    _question(
        "a PUT of a disabled user without active",
        Probe.put_omitted_active,
        {"keep": "the user stays disabled", "true": "the user is enabled"},
    ),
    _question(
        "removing an attribute by UpdateUser with a null value",
        Probe.update_user_null_removes,
        {True: "it is removed", False: "it is refused, or changes nothing"},
    ),
    _question(
        "the names in the enterprise extension",
        Probe.extension_key_case,
        {"camel": "they begin with a small letter", "pascal": "they begin with a capital letter"},
    ),
    _question(
        "assignments of a user's groups in the list of the user's own",
        Probe.principal_listing_includes_inherited,
        {True: "they are listed", False: "they are not listed"},
    ),
    _question(
        "creating an assignment that exists",
        Probe.create_existing_assignment,
        {"succeed": "it is done", "conflict": "it is a conflict"},
    ),
)
