"""Which door is a call at, who may come in there, and what is said to those who may not?

There are the SCIM endpoint and the APIs: JSON 1.1 by X-Amz-Target, and for STS the query protocol,
which answers in XML. A call knows its door's ways; what happens to all calls alike (faults, pace,
journal) is the center's business.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from scim_bridge.sandbox import identity_store, models, sso_admin
from scim_bridge.sandbox.access import Access
from scim_bridge.sandbox.api_refusals import ApiRefused, invalid, unreadable
from scim_bridge.sandbox.authentication import (
    Received,
    authenticate,
    authenticate_signed,
)
from scim_bridge.sandbox.behaviour import TENANT, Behaviour
from scim_bridge.sandbox.faults import Fault
from scim_bridge.sandbox.identity_store import IdentityStoreApi
from scim_bridge.sandbox.operations import (
    UNSUPPORTED,
    Answer,
    Operation,
    list_page,
    operation_of,
    perform,
    read_json,
)
from scim_bridge.sandbox.organizations import caller_identity, list_accounts
from scim_bridge.sandbox.refusals import (
    Denied,
    Failing,
    Refused,
    access_denied,
    told_to_answer,
    unauthorized,
)
from scim_bridge.sandbox.sso_admin import SsoAdmin
from scim_bridge.sandbox.state import IdentityStore

JSON = "application/x-amz-json-1.1"

# What the sandbox has of the APIs, by the prefix of their IAM actions.
OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "identitystore": identity_store.OPERATIONS,
    "sso": sso_admin.OPERATIONS,
    "organizations": ("ListAccounts",),
    "sts": ("GetCallerIdentity",),
}

_WITH_BODY = ("POST", "PUT", "PATCH")
# Organizations is a global service, whose only region this is (reference 4).
_GLOBAL_REGION = "us-east-1"
_STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """All that one Identity Center holds, and how it behaves."""

    store: IdentityStore
    access: Access
    behaviour: Behaviour


class Call(Protocol):
    """One request at one of the doors."""

    @property
    def received(self) -> Received: ...

    @property
    def request_id(self) -> str: ...

    @property
    def path(self) -> str:
        """Where it went, for the journal."""
        ...

    @property
    def name(self) -> str:
        """The operation as AWS names it; the APIs' with the prefix of their IAM actions."""
        ...

    @property
    def api(self) -> str:
        """Whose pace it is held to."""
        ...

    def check_in_front(self) -> None:
        """Raises Refused for what is blocked before anything else."""

    def authenticate(self, behaviour: Behaviour, *, now: datetime) -> None:
        """Raises Refused when the caller is not let in."""

    def work(self, held: Holdings, *, empty: bool) -> Answer:
        """Do what is asked; raises Refused, and has then changed nothing. `empty` is a fault."""

    def told(self, fault: Fault) -> Refused:
        """The refusal that a fault orders."""

    def throttled(self, rate: float) -> Refused: ...

    def refused(self, refusal: Refused, fault: Fault, *, now: datetime) -> Answer: ...


def text_of(call: Call) -> str:
    """Everything that a fault's `match` may be found in."""
    query = call.received.query
    body = call.received.body.decode(errors="replace")
    return "\n".join([call.path, query, unquote(query), body])


@dataclass(frozen=True, kw_only=True)
class ScimCall:
    """One request to the SCIM endpoint; `path` is below it, such as `/Users`."""

    received: Received
    request_id: str
    tenant: str
    path: str
    api: str = "scim"

    @property
    def operation(self) -> Operation:
        return operation_of(self.received.method, self.path)

    @property
    def name(self) -> str:
        return self.operation.name

    def check_in_front(self) -> None:
        # AWS is reported to block PATCH without one. [observed by clients]
        if self.received.method == "PATCH" and not self.received.headers.get("user-agent"):
            raise access_denied("a PATCH without a User-Agent is blocked")

    def authenticate(self, behaviour: Behaviour, *, now: datetime) -> None:
        if self.tenant != TENANT:
            raise unauthorized(f"the tenant is not {TENANT}")
        if self.received.scheme == "sigv4" and not behaviour.sigv4_on_scim:
            raise unauthorized("a signature is not taken here, only the bearer token")
        authenticate(self.received, behaviour, now=now)

    def work(self, held: Holdings, *, empty: bool) -> Answer:
        received, operation, page_size = self.received, self.operation, held.behaviour.page_size
        if empty:
            return list_page(operation.name, received.query, store=held.store, empty=True)
        sent = received.method in _WITH_BODY
        host = received.headers.get("host", "localhost")
        return perform(
            operation,
            read_json(received.body, received.headers.get("content-type")) if sent else None,
            received.query,
            store=held.store,
            scim_endpoint=f"http://{host}/{self.tenant}/scim/v2",
            page_size=page_size,
        )

    def told(self, fault: Fault) -> Refused:
        return told_to_answer(fault.status or 400)

    def throttled(self, rate: float) -> Refused:
        return Failing(429, f"more than {rate} calls per second")

    def refused(self, refusal: Refused, fault: Fault, *, now: datetime) -> Answer:
        body = refusal.body(request_id=self.request_id, now=now)
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        return Answer(status=refusal.status, body=body, headers=headers)


@dataclass(frozen=True, kw_only=True)
class ApiCall:
    """One request to one of the JSON APIs."""

    received: Received
    request_id: str
    api: str
    operation: str
    path: str = "/"

    @property
    def name(self) -> str:
        return f"{self.api}:{self.operation}"

    def check_in_front(self) -> None:
        """Nothing is."""

    def authenticate(self, behaviour: Behaviour, *, now: datetime) -> None:
        """Only signatures count here, for this API and its region."""
        region = _GLOBAL_REGION if self.api == "organizations" else behaviour.region
        try:
            authenticate_signed(self.received, behaviour, now=now, service=self.api, region=region)
        except Denied as denied:
            raise self._denied(denied) from denied

    def _denied(self, denied: Denied) -> Refused:
        """The JSON protocol answers 400 where the SCIM endpoint's gateway answers 403."""
        kind = "MissingAuthenticationTokenException" if denied.status == 401 else denied.kind
        return ApiRefused(kind, denied.detail, reason=denied.reason)

    def work(self, held: Holdings, *, empty: bool) -> Answer:
        if not models.has_operation(self.api, self.operation):
            raise ApiRefused("UnknownOperationException", "There is no such operation.")
        if self.operation not in OPERATIONS[self.api]:
            raise invalid(f"The sandbox does not have {self.operation}.")
        asked = self._asked()
        models.check_input(self.api, self.operation, asked)
        given = self._given({name: one for name, one in asked.items() if one is not None}, held)
        return self._answer(200, _emptied(given) if empty else given)

    def _asked(self) -> dict[str, Any]:
        """What was sent; AWS takes an empty body for an empty object."""
        media_type = self.received.headers.get("content-type", "").split(";")[0].strip()
        if media_type != JSON:
            raise unreadable(f"Content-Type must be {JSON}, not {media_type or 'nothing'}")
        try:
            asked = json.loads(self.received.body or b"{}")
        except (ValueError, RecursionError) as error:
            raise unreadable(f"The body is not JSON: {error}") from error
        if not isinstance(asked, dict):
            raise unreadable("The body must be an object.")
        return asked

    def _given(self, asked: Mapping[str, Any], held: Holdings) -> dict[str, Any]:
        match self.api:
            case "identitystore":
                return IdentityStoreApi(held.store, held.behaviour).perform(self.operation, asked)
            case "sso":
                api = SsoAdmin(held.access, held.store, held.behaviour)
                return api.perform(self.operation, asked)
            case _:
                return list_accounts(asked, access=held.access, behaviour=held.behaviour)

    def told(self, fault: Fault) -> Refused:
        kind = fault.error or self._kind(fault.status or 400)
        return ApiRefused(
            kind,
            f"User is not authorized to perform: {self.name}"
            if kind == "AccessDeniedException"
            else "Rate exceeded"
            if kind in _THROTTLES
            else "The sandbox was told to refuse this.",
            status=fault.status,
            reason=f"a fault answers {kind}",
            Reason=fault.reason,
            RetryAfterSeconds=fault.retry_after if self.api == "identitystore" else None,
        )

    def _kind(self, status: int) -> str:
        if status == 429:
            return _throttle_of(self.api)
        if status >= 500:
            return "ServiceException" if self.api == "organizations" else "InternalServerException"
        return _KINDS.get(status, "ValidationException")

    def throttled(self, rate: float) -> Refused:
        return ApiRefused(
            _throttle_of(self.api),
            "Rate exceeded",
            reason=f"more than {rate} calls per second",
            RetryAfterSeconds=1 if self.api == "identitystore" else None,
        )

    def refused(self, refusal: Refused, fault: Fault, *, now: datetime) -> Answer:
        body = refusal.body(request_id=self.request_id, now=now)
        return self._answer(refusal.status, body)

    def _answer(self, status: int, body: dict[str, Any]) -> Answer:
        return Answer(status=status, body=body, content_type=JSON)


@dataclass(frozen=True, kw_only=True)
class StsCall(ApiCall):
    """One request to STS, which speaks the query protocol."""

    api: str = field(default="sts")

    def authenticate(self, behaviour: Behaviour, *, now: datetime) -> None:
        """STS is in every region, and its global endpoint counts as us-east-1."""
        scope = self.received.headers.get("authorization", "").partition("Credential=")[2]
        here = behaviour.region if f"/{behaviour.region}/" in scope else _GLOBAL_REGION
        try:
            authenticate_signed(self.received, behaviour, now=now, service="sts", region=here)
        except Denied as denied:
            raise self._denied(denied) from denied

    def _denied(self, denied: Denied) -> Refused:
        kind = "MissingAuthenticationToken" if denied.status == 401 else _STS_KINDS[denied.kind]
        return ApiRefused(kind, denied.detail, status=403, reason=denied.reason)

    def _asked(self) -> dict[str, Any]:
        pairs = dict(parse_qsl(self.received.body.decode(errors="replace")))
        return {name: value for name, value in pairs.items() if name not in ("Action", "Version")}

    def _given(self, asked: Mapping[str, Any], held: Holdings) -> dict[str, Any]:
        return caller_identity()

    def told(self, fault: Fault) -> Refused:
        told = super().told(fault)
        return ApiRefused("AccessDenied", told.detail, status=403) if fault.denies else told

    def _answer(self, status: int, body: dict[str, Any]) -> Answer:
        text = _xml_error(body) if "__type" in body else _xml(self.operation, body)
        text = text.replace("$REQUEST_ID", self.request_id)
        return Answer(status=status, body=text, content_type="text/xml")


_KINDS = {
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    409: "ConflictException",
}
_THROTTLES = ("ThrottlingException", "TooManyRequestsException", "Throttling")
_STS_KINDS = {
    "UnrecognizedClientException": "InvalidClientTokenId",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "IncompleteSignatureException": "IncompleteSignature",
    "UnauthorizedException": "MissingAuthenticationToken",
}


def api_call(received: Received, *, request_id: str) -> ApiCall:
    """The call that a POST to `/` is; one that is for none of the APIs is known as unsupported."""
    target, _, operation = received.headers.get("x-amz-target", "").partition(".")
    if target in models.TARGETS:
        api = models.TARGETS[target]
        name = operation if models.has_operation(api, operation) else UNSUPPORTED
        return ApiCall(received=received, request_id=request_id, api=api, operation=name)
    action = dict(parse_qsl(received.body.decode(errors="replace"))).get("Action", UNSUPPORTED)
    return StsCall(received=received, request_id=request_id, operation=action)


def _throttle_of(api: str) -> str:
    return {"organizations": "TooManyRequestsException", "sts": "Throttling"}.get(
        api, "ThrottlingException"
    )


def _emptied(given: dict[str, Any]) -> dict[str, Any]:
    """The answer of a list with nothing in it, and nothing after it."""
    rest = {name: value for name, value in given.items() if name != "NextToken"}
    return {name: [] if isinstance(value, list) else value for name, value in rest.items()}


def _xml(operation: str, given: Mapping[str, Any]) -> str:
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in given.items())
    return (
        f'<{operation}Response xmlns="{_STS_NAMESPACE}"><{operation}Result>{inner}'
        f"</{operation}Result><ResponseMetadata><RequestId>$REQUEST_ID</RequestId>"
        f"</ResponseMetadata></{operation}Response>"
    )


def _xml_error(body: Mapping[str, Any]) -> str:
    return (
        f'<ErrorResponse xmlns="{_STS_NAMESPACE}"><Error><Type>Sender</Type>'
        f"<Code>{escape(str(body['__type']))}</Code>"
        f"<Message>{escape(str(body['Message']))}</Message></Error>"
        "<RequestId>$REQUEST_ID</RequestId></ErrorResponse>"
    )
