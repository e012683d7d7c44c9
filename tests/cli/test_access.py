"""`scim-bridge access` and `explain`: who holds what, and giving back what a mistake took."""

import csv
import io

import pytest
import requests

from scim_bridge.sandbox import Behaviour, SandboxServer
from scim_bridge.sync.holdings import BY_HAND
from tests.cli.operation import Sandbox, client_of, in_front_of
from tests.sync.test_cuts import Aws

GROUP = "urn:ietf:params:scim:schemas:extension:scimbridge:2.0:Group"
ACCOUNT = "222233334444"
JANE = "jane@example.com"


@pytest.fixture
def server():
    with SandboxServer(behaviour=Behaviour(assignment_seconds=0.0)) as server:
        yield server


@pytest.fixture
def sandbox(server):
    return Sandbox(url=server.url)


@pytest.fixture
def client(server, folder):
    """A bridge; jane is in a group that grants ReadOnlyAccess in an account."""
    file = in_front_of(server, folder, auth="sigv4")
    with client_of(file, entitlements=True) as client:
        client.bridge.watch.schedule.read_now(["catalogue"])
        group = client.add_group("engineers", client.add_user(JANE))
        client.patch(
            f"/Groups/{group}",
            **{f"{GROUP}:accountAssignments": [
                {"accountId": ACCOUNT, "permissionSet": "ReadOnlyAccess"}]},
        )  # fmt: skip
        client.bridge.worker().run_once()
        yield client


def test_what_somebody_holds_is_shown_with_its_whole_way(run, json_of, client):
    """As a table, as JSON and as a sheet for a review; by person and by account."""
    [one] = json_of("access", JANE)["holdings"]
    assert (one["account"], one["permissionSet"]) == (ACCOUNT, "ReadOnlyAccess")
    assert (one["group"], one["origin"], one["memberBy"]) == ("engineers", "client:hr", "client:hr")

    [row] = csv.DictReader(io.StringIO(run("access", "--csv", "--account", ACCOUNT).stdout))
    assert (row["user"], row["through group"]) == (JANE, "engineers")
    assert "ReadOnlyAccess allows: ReadOnlyAccess" in run("access", JANE, "--policies").stdout
    assert "holds nothing" in run("access", JANE, "--account", "111122223333").stdout
    assert "through group engineers" in run("explain", JANE, "--account", ACCOUNT).stdout


def test_who_is_not_known_is_said(run, client):
    """Not an empty table."""
    assert "no user 'nobody'" in run("access", "nobody", expect=1).stderr


def test_what_a_mistaken_deactivation_took_is_given_back(run, json_of, client, sandbox, server):
    """Listed first, and given only to somebody who is active again; what the directory gives comes
    back by itself.
    """
    aws, principal = Aws(server), sandbox.user(JANE)["id"]
    aws.assign(principal, "Billing")
    client.bridge.watch.schedule.read_now()
    [by_hand] = [one for one in json_of("access", JANE)["holdings"] if not one["group"]]
    assert (by_hand["permissionSet"], by_hand["origin"]) == ("Billing", BY_HAND)

    run("deprovision", JANE, "--reason", "mistake")
    client.bridge.worker().run_once()
    assert assigned(sandbox, principal) == []
    assert json_of("access", JANE)["holdings"] == []
    [lost] = json_of("access", "restore", JANE)["left"]
    assert lost["account"] == ACCOUNT
    assert "not active" in run("access", "restore", JANE, "--yes", expect=1).stderr

    run("reactivate", JANE, "--reason", "mistake")
    run("access", "restore", JANE, "--yes", "--reason", "mistake")
    client.bridge.worker().run_once()

    assert assigned(sandbox, principal) == [ACCOUNT]
    assert sandbox.members("engineers") == {JANE}
    assert "Nothing was taken" in run("access", "restore", JANE).stdout


def assigned(sandbox: Sandbox, principal: str) -> list[str]:
    """The accounts somebody has direct assignments in."""
    state = requests.get(f"{sandbox.url}/_sandbox/state", timeout=10).json()
    return [one["accountId"] for one in state["assignments"] if one["principalId"] == principal]
