"""`scim-bridge access` and `explain`: who holds what, and giving back what a mistake took."""

import csv
import io

import pytest
import requests

from scim_bridge.sandbox import Behaviour, SandboxServer
from scim_bridge.sync.holdings import BY_HAND, STILL_THERE
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
    told = run("audit").stdout
    assert f"bridge called Identity Center for user {JANE} in group engineers" in told
    assert f"client:hr added a member: user {JANE} to group engineers" in told
    assert "ReadOnlyAccess allows: ReadOnlyAccess" in run("access", JANE, "--policies").stdout
    assert "holds nothing" in run("access", JANE, "--account", "111122223333").stdout
    assert "through group engineers" in run("explain", JANE, "--account", ACCOUNT).stdout
    values = {one["attribute"]: one for one in json_of("explain", JANE, "--values")}
    assert (values["userName"]["value"], values["userName"]["from"]) == (JANE, "client:hr")
    assert "client:hr" in run("explain", JANE, "--values").stdout


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


@pytest.mark.parametrize(
    ("taken", "call", "origins"),
    [
        ("members", "PatchGroup", ("client:hr", STILL_THERE)),
        (f"{GROUP}:accountAssignments", "DeleteAccountAssignment", (STILL_THERE, "client:hr")),
    ],
)
def test_what_is_still_there_is_told_with_how_its_loss_stands(
    run, json_of, client, sandbox, taken, call, origins
):
    """Taken away in the directory and not at Identity Center: an auditor must see both."""
    [group] = client.send("GET", '/Groups?filter=displayName eq "engineers"')["Resources"]
    sandbox.fault(call, status=503, times=None)

    client.patch(f"/Groups/{group['id']}", **{taken: []})

    [one] = [one for one in json_of("access", JANE)["holdings"] if one["loss"]]
    assert (one["permissionSet"], one["group"]) == ("ReadOnlyAccess", "engineers")
    assert (one["origin"], one["memberBy"]) == origins
    assert (one["loss"], one["heldIn"]) == ("pending", None)
    assert "that is pending" in run("explain", JANE, "--account", ACCOUNT).stdout


def test_what_the_brake_holds_is_told_with_its_set(run, json_of, server, folder):
    """A deactivation that is held: in text, as JSON and in the sheet, for every group, also for one
    that grants nothing; nobody else is said to keep anything.
    """
    file = in_front_of(server, folder)
    file.write_text(file.read_text().replace("brake = false", "brake = true"))
    with client_of(file) as client:
        ids = [client.add_user(f"p{n}@example.com") for n in range(6)]
        client.add_group("team", *ids)
        client.bridge.worker().run_once()
        for user_id in ids:
            client.patch(f"/Users/{user_id}", active=False)
        client.bridge.worker().run_once()
    [held] = json_of("status")["held_sets"]

    [one] = json_of("access")["holdings"]
    assert (one["userName"], one["group"]) == ("p5@example.com", "team")
    assert (one["loss"], one["heldIn"]) == ("held", held["id"])
    [row] = csv.DictReader(io.StringIO(run("access", "--csv").stdout))
    assert row["loss"] == f"loss held in set {held['id']}"
    assert held["id"] in run("access", "p5@example.com").stdout


def assigned(sandbox: Sandbox, principal: str) -> list[str]:
    """The accounts somebody has direct assignments in."""
    state = requests.get(f"{sandbox.url}/_sandbox/state", timeout=10).json()
    return [one["accountId"] for one in state["assignments"] if one["principalId"] == principal]
