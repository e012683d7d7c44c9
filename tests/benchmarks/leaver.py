"""A leaver with 20 groups and 10 direct assignments, half of which the bridge never made."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.acceptance.installation import command
from tests.acceptance.test_access import Hand
from tests.benchmarks.figures import Figure
from tests.benchmarks.stand import Client, Stand, over, stand
from tests.cli.operation import person

GROUPS = 20
EXTENSION = "urn:ietf:params:scim:schemas:extension:scimbridge:2.0:User"
LEAVER = "leaver@example.com"
ACCOUNTS = ("111122223333", "222233334444", "333344445555")
BY_CLIENT = [(account, "ReadOnlyAccess") for account in ACCOUNTS]
BY_HAND = [(account, name) for account in ACCOUNTS for name in ("AdministratorAccess", "Billing")]
# What ends an account assignment or an application's.
_DELETIONS = ("sso:DeleteAccountAssignment", "sso:DeleteApplicationAssignment")


def run(*, rate: float) -> list[Figure]:
    # At AWS an assignment takes seconds to go; the bridge has to ask for all of them meanwhile.
    behaviour = {f"throttle{api}": rate for api in ("", "_identitystore", "_sso")}
    with stand(rate=rate) as here:
        leaver, client = _settled(here)
        here.sandbox.behave(**behaviour, assignment_seconds=5)
        here.sandbox.forget_calls()
        began = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(client.replace, f"/Users/{leaver}", active=False)
            disabled = _seconds(began, lambda: not here.sandbox.active()[LEAVER])
            answered = _seconds(began, answer.done)
            asked = _seconds(began, lambda: _is_all_asked(here))
        here.settle(within=120)
        left = here.sandbox.state()
    assert not left["memberships"]
    assert not left["assignments"]
    assert not left["applicationAssignments"]
    return [
        Figure(name="answered", value=answered, unit="s"),
        Figure(name="disabled", value=disabled, unit="s", bound="at most", target=2),
        Figure(name="everything asked for", value=asked, unit="s", bound="at most", target=15),
    ]


def _settled(here: Stand) -> tuple[str, Client]:
    """Somebody who has it all, and a client that may say so."""
    added = command(here.installation.folder, "client", "add", "idp", "--entitlements", "--json")
    here.bridge.token = json.loads(added.stdout)["token"]
    here.installation.run("extract")
    client = here.client()
    body: dict[str, Any] = person(LEAVER)
    body["schemas"].append(EXTENSION)
    body[EXTENSION] = {
        "accountAssignments": [
            {"accountId": account, "permissionSet": name} for account, name in BY_CLIENT
        ],
        "applications": [{"value": "Wiki"}],
    }
    leaver = str(client.send("POST", "/Users", body).json()["id"])
    members = [{"value": leaver}]
    over(
        range(GROUPS),
        lambda number: client.send(
            "POST", "/Groups", {"displayName": f"group-{number}", "members": members}
        ),
        clients=4,
    )
    here.settle(within=120)
    _assign_by_hand(here)
    state = here.sandbox.state()
    assert len(state["memberships"]) == GROUPS
    assert len(state["assignments"]) + len(state["applicationAssignments"]) == 10
    return leaver, client


def _assign_by_hand(here: Stand) -> None:
    hand, principal = Hand(here.sandbox), here.sandbox.user(LEAVER)["id"]
    for account, name in BY_HAND:
        hand.assign(principal, name, account)
    wanted = len(BY_CLIENT) + len(BY_HAND)
    while len(here.sandbox.state()["assignments"]) < wanted:
        time.sleep(0.1)


def _is_all_asked(here: Stand) -> bool:
    calls = here.sandbox.calls()
    deleted = sum(calls.get(operation, {}).get("200", 0) for operation in _DELETIONS)
    return deleted >= 10 and not here.sandbox.state()["memberships"]


def _seconds(began: float, holds: Any, *, within: float = 60) -> float:
    """When something came to hold, in seconds after `began`."""
    while not holds():
        assert time.monotonic() - began < within, "it did not come to hold in time"
        time.sleep(0.02)
    return time.monotonic() - began
