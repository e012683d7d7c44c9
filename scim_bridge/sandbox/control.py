"""How is the sandbox watched and told to misbehave while it runs?

Everything here is below `/_sandbox`, needs no authentication and has no counterpart at AWS.
A wrong order is answered 400 with `{"error": …}`, and changes nothing.
"""

import textwrap
from dataclasses import asdict

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from scim_bridge.sandbox.access import APPLICATION_ARN
from scim_bridge.sandbox.assignment_faults import parse_assignment_fault
from scim_bridge.sandbox.behaviour import (
    BEARER_TOKEN,
    IDENTITY_STORE_ID,
    INSTANCE_ARN,
    TENANT,
    UnknownBehaviour,
)
from scim_bridge.sandbox.calls import OPERATIONS
from scim_bridge.sandbox.center import Center
from scim_bridge.sandbox.faults import UnknownFault, parse_fault


def controls(center: Center) -> Blueprint:
    """The routes below `/_sandbox`."""
    routes = Blueprint("controls", __name__, url_prefix="/_sandbox")

    @routes.get("/state")
    def state() -> ResponseReturnValue:
        return center.state()

    @routes.get("/calls")
    def calls() -> ResponseReturnValue:
        return center.calls()

    @routes.delete("/calls")
    def clear_calls() -> ResponseReturnValue:
        center.clear_calls()
        return "", 204

    @routes.get("/requests")
    def requests() -> ResponseReturnValue:
        return {"requests": center.requests()}

    @routes.get("/faults")
    def faults() -> ResponseReturnValue:
        return {"faults": center.faults()}

    @routes.post("/faults")
    def order_fault() -> ResponseReturnValue:
        fault = parse_fault(_json())
        center.order_fault(fault)
        return asdict(fault), 201

    @routes.delete("/faults")
    def clear_faults() -> ResponseReturnValue:
        center.clear_faults()
        return "", 204

    @routes.get("/assignment-faults")
    def assignment_faults() -> ResponseReturnValue:
        return {"faults": center.assignment_faults()}

    @routes.post("/assignment-faults")
    def order_assignment_fault() -> ResponseReturnValue:
        fault = parse_assignment_fault(_json())
        center.order_assignment_fault(fault)
        return fault.shown(), 201

    @routes.delete("/assignment-faults")
    def clear_assignment_faults() -> ResponseReturnValue:
        center.clear_assignment_faults()
        return "", 204

    @routes.get("/behaviour")
    def behaviour() -> ResponseReturnValue:
        return asdict(center.behaviour)

    @routes.post("/behaviour")
    def change_behaviour() -> ResponseReturnValue:
        changes = _json()
        if not isinstance(changes, dict):
            raise UnknownBehaviour('the body must be an object such as {"throttle": 5}')
        return asdict(center.change_behaviour(changes))

    @routes.post("/reset")
    def reset() -> ResponseReturnValue:
        center.reset()
        return "", 204

    @routes.errorhandler(UnknownFault)
    @routes.errorhandler(UnknownBehaviour)
    def refuse(error: ValueError) -> ResponseReturnValue:
        return {"error": str(error)}, 400

    return routes


def help_text(base_url: str, center: Center) -> str:
    """What a person sees who opens the address of the sandbox."""
    behaviour, state = center.behaviour, center.state()
    accounts = ", ".join(f"{one['id']} {one['name']}" for one in state["accounts"])
    permission_sets = ", ".join(one["name"] for one in state["permissionSets"])
    return f"""\
This is the scim-bridge sandbox: an Identity Center on this machine, for trying and testing.

SCIM endpoint    {base_url}/{TENANT}/scim/v2
  bearer token   {_shown(behaviour.bearer_token, BEARER_TOKEN)}
  or SigV4       access key {behaviour.access_key}, region {behaviour.region}, \
service {behaviour.signing_service}

AWS's APIs       {base_url}/   (endpoint_url), SigV4 with the same access key; each API
                 by its own service name, Organizations in us-east-1
  instance       {INSTANCE_ARN}
  identity store {IDENTITY_STORE_ID}
  accounts       {accounts}
  permission sets  {permission_sets}
  application    {APPLICATION_ARN}
{_operations()}

GET    /_sandbox/state      users, groups, memberships, accounts, permission sets, assignments
GET    /_sandbox/calls      how often each operation was called, by status  (DELETE clears)
GET    /_sandbox/requests   the last requests in order, with the reason of each refusal
POST   /_sandbox/faults     misbehave: {{"operation": "PatchUser", "status": 429, "times": 3}}
                            also after, drop_answer, empty, delay, match, retry_after; of an API
                            {{"operation": "sso:CreateAccountAssignment",
                            "error": "AccessDeniedException"}}, also reason; sso:* is all of one
                            (GET shows, DELETE clears)
POST   /_sandbox/assignment-faults  what becomes of an assignment that was accepted:
                            {{"permissionSet": "Billing", "seconds": 30}} takes so long,
                            {{"fail": "reason"}} ends FAILED, {{"conflicts": 2}} is first refused
                            twice with ConflictException; only for permissionSet (name or ARN),
                            accountId, principalId, operation (create, delete, provision), and so
                            many times  (GET shows, DELETE clears)
POST   /_sandbox/behaviour  {{"strict_disabled": true, "strict_removals": true, "page_size": 2,
                            "throttle_sso": 20, "latency": 0.05}}, and what else GET shows
POST   /_sandbox/reset      forget everybody and everything

Try:
  curl -H 'Authorization: Bearer {_shown(behaviour.bearer_token, BEARER_TOKEN)}' \
{base_url}/{TENANT}/scim/v2/Users
"""


def _operations() -> str:
    """The operations of each API, in lines that fit a terminal."""
    rows = (f"  {api:<14} {', '.join(names)}" for api, names in OPERATIONS.items())
    return "\n".join(textwrap.fill(row, 99, subsequent_indent=" " * 17) for row in rows)


def _shown(token: str, published: str) -> str:
    """The published token; one that somebody chose is theirs to know."""
    return token if token == published else "<the token you chose>"


def _json() -> object:
    return request.get_json(force=True, silent=True)
