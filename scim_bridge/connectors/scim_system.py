"""How does any SCIM service provider become a target? It does what an Identity Center does.

scim2-client makes the requests (RFC 7644); they go out as all others do: paced, in time, through a
circuit, and their failures are those of the bridge's own tree.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Unpack, assert_never
from urllib.parse import quote, urlencode

from scim2_client import BaseSyncSCIMClient, SCIMClientException
from scim2_models import EnterpriseUser, Group, ResourceType, SCIMException, ScimProvider, User

from scim_bridge.connectors.scim_payloads import nested, read_principal, without
from scim_bridge.connectors.secret import secret
from scim_bridge.errors import (
    Conflict,
    DoorClosed,
    Missing,
    NotSent,
    Refused,
    TargetError,
    Throttled,
    Unavailable,
)
from scim_bridge.identity_center.circuit import Circuit, Standing
from scim_bridge.identity_center.contract import Applied
from scim_bridge.identity_center.credentials import Auth
from scim_bridge.identity_center.doors import DoorName, Letter
from scim_bridge.identity_center.exchange import Answer, Call, read_answer
from scim_bridge.identity_center.pace import PaceKeeper
from scim_bridge.identity_center.pacer import Pacer
from scim_bridge.identity_center.payloads import (
    ENTERPRISE,
    GROUP,
    USER,
    patch_body,
    patch_operations,
)
from scim_bridge.identity_center.transport import Haste, Transport
from scim_bridge.plan.changes import (
    REVOCATIONS,
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
from scim_bridge.plan.state import EVERYTHING, Kind, Principal
from scim_bridge.settings import IdentityCenter, ScimSystem

Collection = Literal["Users", "Groups"]

SCIM_JSON = "application/scim+json"
PROVIDER = ScimProvider(
    models=[User, Group, EnterpriseUser],
    resource_types=[
        ResourceType.from_resource(User[EnterpriseUser]),
        ResourceType.from_resource(Group),
    ],
)
PAGE = 100
# More than the largest system fills, so a sign of a list without an end.
MOST_PAGES = 100_000
# For how long it is believed what a system said it can do, in seconds.
BELIEVED_FOR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Offered:
    """What a system says it can do (RFC 7643, section 5)."""

    patch: bool
    filter: bool


class ConnectedSystem:
    """A SCIM service provider. See `identity_center.contract.Center` for what is promised."""

    abilities = EVERYTHING

    def __init__(
        self, transport: Transport, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._lock = threading.Lock()
        self._offered: Offered | None = None
        self._asked_at = 0.0

    @property
    def circuit(self) -> Circuit:
        return self._transport.circuit

    def check(self, *, deadline: float | None = None) -> None:
        """Ask for what it can do, to see that address and credentials are right."""
        self._ask_offered({"deadline": deadline})

    # -- Changes --------------------------------------------------------

    def apply(self, change: Change, *, deadline: float | None = None) -> Applied:
        """Make what a change stands for. Deleting what is gone is done.

        :raises Unavailable: also when the answer was lost: the change may have been made.
        """
        haste: Haste = {"urgent": isinstance(change, REVOCATIONS), "deadline": deadline}
        match change:
            case CreateUser():
                return self._create("Users", _user_body(change), haste)
            case CreateGroup():
                return self._create("Groups", _group_body(change), haste)
            case DisableUser():
                return self._edit("Users", change.principal, {"active": False}, (), haste)
            case EnableUser():
                values = {"active": True, **change.set}
                return self._edit("Users", change.principal, values, change.remove, haste)
            case UpdateUser():
                return self._edit("Users", change.principal, change.set, change.remove, haste)
            case UpdateGroup():
                return self._edit("Groups", change.principal, change.set, change.remove, haste)
            case AddMembers():
                return self._join(change, haste)
            case RemoveMembers():
                return self._leave(change, haste)
            case DeleteGroup():
                return self._delete("Groups", change.principal, haste)
            case _:
                assert_never(change)

    def delete_user(self, user_id: str, **haste: Unpack[Haste]) -> Applied:
        """Delete a user for good: only for an erasure on request. Done when they are gone."""
        return self._delete("Users", user_id, haste)

    def _create(self, collection: Collection, body: Mapping[str, Any], haste: Haste) -> Applied:
        with self._client(haste) as client:
            shown = client.create(_MODELS[collection], dict(body), url=f"/{collection}")
        return Applied(principal=read_principal(_object(shown)))

    def _edit(
        self,
        collection: Collection,
        principal: str,
        values: Mapping[str, Any],
        remove: Iterable[str],
        haste: Haste,
    ) -> Applied:
        if self._offers(haste).patch:
            shown = self._patch(collection, principal, patch_operations(values, remove), haste)
        else:
            shown = self._put(collection, principal, values, remove, haste)
        if not shown:
            shown = self._read(collection, principal, haste)
        return Applied(principal=read_principal(shown))

    def _patch(
        self,
        collection: Collection,
        principal: str,
        operations: Iterable[Mapping[str, Any]],
        haste: Haste,
    ) -> Mapping[str, Any]:
        with self._client(haste) as client:
            shown = client.modify(
                _MODELS[collection],
                principal,
                patch_body(operations),
                url=_item(collection, principal),
            )
        return shown if isinstance(shown, Mapping) else {}

    def _put(
        self,
        collection: Collection,
        principal: str,
        values: Mapping[str, Any],
        remove: Iterable[str],
        haste: Haste,
    ) -> Mapping[str, Any]:
        """Read, change and write the whole: for a system that takes no PATCH."""
        body: dict[str, Any] = dict(self._read(collection, principal, haste))
        for path in remove:
            body = without(body, path)
        for name, value in nested(values).items():
            both = isinstance(value, dict) and isinstance(body.get(name), dict)
            body[name] = {**body[name], **value} if both else value
        body["schemas"] = sorted({*body.get("schemas", ()), *_schemas(collection, body)})
        with self._client(haste) as client:
            shown = client.replace(_MODELS[collection], body, url=_item(collection, principal))
        return shown if isinstance(shown, Mapping) else {}

    def _join(self, change: AddMembers, haste: Haste) -> Applied:
        members = [{"value": member} for member in change.members]
        if self._offers(haste).patch:
            operation = {"op": "add", "path": "members", "value": members}
            self._patch("Groups", change.principal, [operation], haste)
        else:
            kept = self._members_shown(change.principal, haste)
            self._put("Groups", change.principal, {"members": [*kept, *members]}, (), haste)
        return Applied()

    def _leave(self, change: RemoveMembers, haste: Haste) -> Applied:
        """Take out who is in: to name somebody who is not, some systems refuse."""
        leaving = set(change.members)
        shown = self._members_shown(change.principal, haste)
        inside = sorted(leaving.intersection(one["value"] for one in shown))
        if not inside:
            return Applied()
        if self._offers(haste).patch:
            operations = [
                {"op": "remove", "path": f"members[{equals('value', member)}]"} for member in inside
            ]
            self._patch("Groups", change.principal, operations, haste)
        else:
            kept = [one for one in shown if one["value"] not in leaving]
            self._put("Groups", change.principal, {"members": kept}, (), haste)
        return Applied()

    def _delete(self, collection: Collection, principal: str, haste: Haste) -> Applied:
        try:
            with self._client(haste) as client:
                client.delete(_MODELS[collection], principal, url=_item(collection, principal))
        except Missing:
            self._confirm(collection, haste)
        return Applied()

    # -- Reading --------------------------------------------------------

    def user(self, user_id: str, **haste: Unpack[Haste]) -> Principal | None:
        """The user with this id. None: it is gone, and that is certain."""
        return self._there("Users", user_id, haste)

    def group(self, group_id: str, **haste: Unpack[Haste]) -> Principal | None:
        """The group with this id. None: it is gone, and that is certain."""
        return self._there("Groups", group_id, haste)

    def find_user(
        self,
        *,
        external_id: str | None = None,
        user_name: str | None = None,
        **haste: Unpack[Haste],
    ) -> Principal | None:
        """The user with this externalId, or with this userName in any case. Give one of the two."""
        return self._find("Users", "userName", external_id, user_name, haste)

    def find_group(
        self,
        *,
        external_id: str | None = None,
        display_name: str | None = None,
        **haste: Unpack[Haste],
    ) -> Principal | None:
        """The group with this externalId, or with this displayName in any case. Give one."""
        return self._find("Groups", "displayName", external_id, display_name, haste)

    def members(
        self,
        group_id: str,
        *,
        turn_page: Callable[[], float] | None = None,
        **haste: Unpack[Haste],
    ) -> frozenset[str]:
        """The ids of all users in a group. A group shows them all at once: there are no pages.

        :raises Missing: the group is gone.
        """
        return frozenset(one["value"] for one in self._members_shown(group_id, haste))

    def groups_of(self, user_id: str, **haste: Unpack[Haste]) -> frozenset[str]:
        """The ids of all groups a user is in; none if the user is gone."""
        can_filter = self._offers(haste).filter
        listed = self._listed("Groups", equals("members.value", user_id), haste)
        # What a filter left is believed, unless it shows members and the person is not among them.
        return frozenset(
            read_principal(group).id
            for group in listed
            if (_is_in(group, user_id) is not False if can_filter else _is_in(group, user_id))
        )

    def is_member(self, group_id: str, user_id: str, **haste: Unpack[Haste]) -> bool:
        """Whether a user is in a group."""
        return user_id in self.members(group_id, **haste)

    def everybody(
        self, kind: Kind, *, turn_page: Callable[[], float], **haste: Unpack[Haste]
    ) -> Iterator[Principal]:
        """Every user or group, page by page. Ends early only by raising.

        ``turn_page`` is called before each page but the first, and gives that page its deadline.
        """
        collection: Collection = "Users" if kind == "user" else "Groups"
        return map(read_principal, self._listed(collection, None, haste, turn_page))

    def _there(self, collection: Collection, principal: str, haste: Haste) -> Principal | None:
        try:
            return read_principal(self._read(collection, principal, haste))
        except Missing:
            self._confirm(collection, haste)
            return None

    def _confirm(self, collection: Collection, haste: Haste) -> None:
        """See that somebody answers here at all: a wrong address is a 404, too.

        :raises DoorClosed: it is a wrong address.
        """
        self._page(collection, None, 1, haste, count=1)

    def _read(self, collection: Collection, principal: str, haste: Haste) -> Mapping[str, Any]:
        with self._client(haste) as client:
            return _object(client.query(_MODELS[collection], principal))

    def _members_shown(self, group_id: str, haste: Haste) -> list[dict[str, Any]]:
        shown = self._read("Groups", group_id, haste).get("members") or []
        return [one for one in shown if isinstance(one, dict) and isinstance(one.get("value"), str)]

    def _find(
        self,
        collection: Collection,
        attribute: str,
        external_id: str | None,
        name: str | None,
        haste: Haste,
    ) -> Principal | None:
        """The one that is asked for; what a list shows is compared again, filtered or not."""
        if external_id is not None:
            asked = equals("externalId", external_id)
        else:
            asked = equals(attribute, name or "")
        for body in self._listed(collection, asked, haste):
            found = read_principal(body)
            shown = str(found.attributes.get(attribute, ""))
            if found.external_id == external_id if name is None else _same(shown, name):
                return found
        return None

    def _listed(
        self,
        collection: Collection,
        asked: str | None,
        haste: Haste,
        turn_page: Callable[[], float] | None = None,
    ) -> Iterator[Mapping[str, Any]]:
        """What a filter leaves, or everything where nothing can be filtered, page by page."""
        wanted = asked if asked is not None and self._offers(haste).filter else None
        start = 1
        for _ in range(MOST_PAGES):
            page = self._page(collection, wanted, start, haste)
            resources = page["Resources"]
            yield from resources
            start += len(resources)
            if not resources or start > int(page.get("totalResults") or 0):
                return
            if turn_page is not None:
                haste = {**haste, "deadline": turn_page()}
        raise Unavailable(f"the list of {collection} does not end after {MOST_PAGES} pages")

    def _page(
        self,
        collection: Collection,
        asked: str | None,
        start: int,
        haste: Haste,
        *,
        count: int = PAGE,
    ) -> Mapping[str, Any]:
        parameters: dict[str, Any] = {"startIndex": start, "count": count}
        if asked is not None:
            parameters["filter"] = asked
        with self._client(haste) as client:
            page = _object(client.query(_MODELS[collection], None, parameters))
        resources = page.get("Resources")
        if resources is None and page.get("totalResults") == 0:
            resources = []
        if not isinstance(resources, list) or not all(isinstance(one, dict) for one in resources):
            raise Unavailable(f"the answer is no list of {collection}")
        return {**page, "Resources": resources}

    # -- What it can do -------------------------------------------------

    def _offers(self, haste: Haste) -> Offered:
        with self._lock:
            known, age = self._offered, self._clock() - self._asked_at
        return known if known is not None and age < BELIEVED_FOR else self._ask_offered(haste)

    def _ask_offered(self, haste: Haste) -> Offered:
        answer = self._transport.ask(
            Call(operation="ServiceProviderConfig", method="GET", path="ServiceProviderConfig"),
            **haste,
        )
        said = answer.body or {}
        offered = Offered(patch=_is_supported(said, "patch"), filter=_is_supported(said, "filter"))
        with self._lock:
            self._offered, self._asked_at = offered, self._clock()
        return offered

    @contextmanager
    def _client(self, haste: Haste) -> Iterator["_Client"]:
        """scim2-client for one call. What it cannot read is as good as no answer."""
        try:
            yield _Client(self._transport, haste)
        except (SCIMClientException, SCIMException) as error:
            raise Unavailable(f"the answer cannot be read ({type(error).__name__})") from error


def connect_system(
    name: str,
    settings: ScimSystem,
    *,
    on_change: Callable[[Standing], None] | None = None,
    works_elsewhere: Callable[[float], bool] = lambda _: False,
    keeper: Callable[[str], PaceKeeper | None] = lambda _: None,
) -> ConnectedSystem:
    """A connected system as the settings name it. Nothing is called yet.

    ``on_change`` and ``works_elsewhere`` are the circuit's (see `Circuit`), ``keeper`` keeps the
    pace.
    """
    door = SystemDoor(name, settings)
    return ConnectedSystem(
        Transport(
            IdentityCenter(timeout=settings.timeout),
            door=door,
            pacer=Pacer(settings.calls_per_second, keeper=keeper(door.name)),
            circuit=Circuit(on_change=on_change, works_elsewhere=works_elsewhere, whose=name),
        )
    )


def equals(attribute: str, value: str) -> str:
    """A filter, its value quoted and escaped as JSON is (RFC 7644, section 3.4.2.2)."""
    return f"{attribute} eq {json.dumps(value, ensure_ascii=False)}"


# -- The way there ------------------------------------------------------------------------------


class SystemDoor:
    """The address of a connected system, with its bearer token."""

    name: DoorName = "scim"
    accept = f"{SCIM_JSON}, application/json"

    def __init__(self, name: str, settings: ScimSystem) -> None:
        self.system = name
        self.base = settings.url
        self.setting = f"connector.{name}.url"
        self.authority = _Token(name, settings)

    def letter(self, call: Call) -> Letter:
        url = f"{self.base}/{call.path}" + (f"?{call.query}" if call.query else "")
        if call.body is None:
            return Letter(url=url)
        content = json.dumps(call.body).encode()
        return Letter(url=url, content=content, headers={"Content-Type": SCIM_JSON})

    def answer(self, *, status: int, headers: Mapping[str, str], content: bytes) -> Answer:
        return read_answer(status=status, headers=headers, content=content, now=datetime.now(UTC))

    def failure(self, call: Call, answer: Answer) -> TargetError | None:
        """The error an answer stands for; None if the call was done. A 403 is about the call
        alone: what one may not do, another may.
        """
        facts: dict[str, Any] = {"status": answer.status, "request_id": answer.request_id}
        said = f"{self.system}, {call.operation}: {answer.detail}"
        is_taken = (answer.body or {}).get("scimType") == "uniqueness"
        match answer.status:
            case status if 200 <= status < 300:
                return None
            case 429:
                return Throttled(said, retry_after=answer.retry_after, **facts)
            case 401:
                return DoorClosed(f"{said}. {self.authority.remedy}", **facts)
            case 404 if call.names_principal:
                return Missing(said, **facts)
            case status if status < 400 or status == 404:
                what = f"there is no SCIM service at this address (status {status})"
                return DoorClosed(f"{what}: check {self.setting}", **facts)
            case status if status == 409 or (status == 400 and is_taken):
                return Conflict(said, **facts)
            case status if status == 408 or (status >= 500 and status != 501):
                return Unavailable(f"{said} (status {status})", **facts)
            case _:
                return Refused(said, **facts)


class _Token:
    """The token of a connected system, read for every call."""

    def __init__(self, name: str, settings: ScimSystem) -> None:
        self.name, self.settings = name, settings

    @property
    def remedy(self) -> str:
        where = self.settings.bearer_token_file or self.settings.bearer_token_env
        return f"{self.name} refuses the token of the bridge: put another one into {where}"

    def auth(self) -> Auth:
        try:
            token = secret(self.settings.bearer_token_env, self.settings.bearer_token_file)
        except NotSent as error:
            raise DoorClosed(f"{self.name}: {error}") from error

        def authenticate(request: Any) -> Any:
            request.headers["Authorization"] = f"Bearer {token}"
            return request

        return authenticate

    def renew(self, refused: Auth) -> bool:
        return False


@dataclass(frozen=True, kw_only=True)
class _Received:
    """An answer in the form in which scim2-client reads one. Failures have been raised before."""

    status_code: int
    headers: Mapping[str, str]
    text: str
    body: Mapping[str, Any] | None


class _Client(BaseSyncSCIMClient):
    """scim2-client, for the calls of one change. What is sent and shown are plain documents: no
    two systems agree on all of a schema.
    """

    def __init__(self, transport: Transport, haste: Haste) -> None:
        super().__init__(
            provider=PROVIDER,
            check_request_payload=False,
            check_response_payload=False,
            check_response_content_type=False,
            check_response_status_codes=False,
        )
        self.transport, self.haste = transport, haste

    def request(self, method: Any, url: str, **kwargs: Any) -> _Received:
        path = url.lstrip("/")
        collection, _, item = path.partition("/")
        call = Call(
            operation=f"{method} {collection}",
            method=method,
            path=path,
            query=urlencode(kwargs.get("params") or {}, quote_via=quote),
            body=kwargs.get("json"),
            names_principal=bool(item),
        )
        answer = self.transport.ask(call, **self.haste)
        text = "" if answer.body is None else "{}"
        return _Received(status_code=answer.status, headers={}, text=text, body=answer.body)

    def _parse_json(self, response: Any) -> Any:
        return response.body


_MODELS: Mapping[Collection, type[Any]] = {"Users": User[EnterpriseUser], "Groups": Group}


def _user_body(change: CreateUser) -> dict[str, Any]:
    body = nested(change.attributes)
    return {
        "schemas": _schemas("Users", body),
        "externalId": change.external_id,
        **body,
        "active": change.active,
    }


def _group_body(change: CreateGroup) -> dict[str, Any]:
    return {"schemas": [GROUP], "externalId": change.external_id, **nested(change.attributes)}


def _schemas(collection: Collection, body: Mapping[str, Any]) -> list[str]:
    if collection == "Groups":
        return [GROUP]
    return [USER, ENTERPRISE] if ENTERPRISE in body else [USER]


def _item(collection: Collection, item: str) -> str:
    return f"/{collection}/{quote(item, safe='')}"


def _object(shown: Any) -> Mapping[str, Any]:
    if not isinstance(shown, Mapping):
        raise Unavailable("the answer cannot be read: it is no JSON object")
    return shown


def _is_in(group: Mapping[str, Any], user_id: str) -> bool | None:
    """Whether somebody is in a group as it is shown; None: it does not show its members."""
    members = group.get("members")
    if not isinstance(members, list):
        return None
    return any(isinstance(one, dict) and one.get("value") == user_id for one in members)


def _is_supported(said: Mapping[str, Any], what: str) -> bool:
    """Whether a system says that it can do something. Where it says nothing, as SCIM has it."""
    part = said.get(what)
    return not isinstance(part, Mapping) or part.get("supported") is not False


def _same(shown: str, name: str) -> bool:
    return shown.casefold() == name.casefold()
