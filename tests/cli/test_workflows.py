"""Onboarding, role change and offboarding: each is one push by an HR client, with rules in force.

What the sandbox holds afterwards is what the rules say, and the trail says why.
"""

import re

import pytest

from scim_bridge.directory.trail import trail
from scim_bridge.sandbox import Behaviour, SandboxServer
from tests.cli.operation import ENTERPRISE, Sandbox, client_of, in_front_of, person

JANE = "jane@example.com"
DEVELOPMENT, PRODUCTION = "222233334444", "333344445555"
DEPARTMENT = f"{ENTERPRISE}:department"

MORE = """
[lifecycle]
rules = "rules.toml"

[audit]
key_file = "seal.key"
"""
RULES = f"""
[[rule]]
name = "everybody"
when = 'userName pr'
groups = ["staff"]

[[rule]]
name = "engineering"
when = '{DEPARTMENT} eq "Engineering"'
groups = ["engineers"]
assignments = [{{ account = "{DEVELOPMENT}", permission_set = "AdministratorAccess" }}]

[[rule]]
name = "berlin"
when = 'addresses[type eq "work" and locality eq "Berlin"]'
groups = ["berlin"]

[[rule]]
name = "support"
when = '{DEPARTMENT} eq "Support"'
groups = ["supporters"]
assignments = [
    {{ account = "{DEVELOPMENT}", permission_set = "AdministratorAccess" }},
    {{ account = "{PRODUCTION}", permission_set = "ReadOnlyAccess" }},
]
"""


@pytest.fixture
def server():
    with SandboxServer(behaviour=Behaviour(assignment_seconds=0.0)) as server:
        yield server


@pytest.fixture
def sandbox(server):
    return Sandbox(url=server.url)


@pytest.fixture
def client(server, folder, run, database_url):
    """A bridge whose rules are in force, with nobody in it."""
    (folder / "rules.toml").write_text(RULES)
    file = in_front_of(server, folder, more=MORE)
    file.write_text(re.sub(r"(?m)^url = .*$", f'url = "{database_url}"', file.read_text()))
    with client_of(file) as client:
        client.bridge.watch.schedule.read_now(["catalogue"])
        run("rules", "apply", "--yes", "--reason", "the first rules")
        client.bridge.worker().run_once()
        yield client


def access(sandbox):
    """What Jane holds at the sandbox: groups, and permission sets in accounts."""
    state = sandbox.state()
    jane = next(one["id"] for one in state["users"] if one["userName"] == JANE)
    groups = {one["id"]: one["displayName"] for one in state["groups"]}
    sets = {one["arn"]: one["name"] for one in state["permissionSets"]}
    return {groups[one["groupId"]] for one in state["memberships"] if one["userId"] == jane} | {
        (sets[one["permissionSetArn"]], one["accountId"])
        for one in state["assignments"]
        if one["principalId"] == jane
    }


def test_a_working_life_is_one_push_for_each_of_its_turns(client, sandbox, run, json_of):
    """Onboarding, a role change, offboarding and a return; and what the auditor is told of it."""
    jane = onboarding(client, sandbox)
    role_change(client, sandbox, jane)
    offboarding(client, sandbox, jane)
    reported(run, json_of)
    a_return(client, sandbox, jane)

    told = json_of("report", "joiners-movers-leavers", "--since", "1h")
    what = {one["what"] for one in told}
    assert {one["who"] for one in told} == {"joiner", "mover", "leaver"}
    assert {"was created", "joined group engineers", "joined group supporters"} <= what
    assert {"changed department", "left", "came back"} <= what
    assert {"lost group engineers", "lost group staff", "lost group supporters"} <= what
    [head, *rows] = run(
        "report", "joiners-movers-leavers", "--since", "1h", "--csv"
    ).stdout.splitlines()
    assert "user" in head
    assert len(rows) == len(told)


def onboarding(client, sandbox):
    """A person with department and place gets their groups, permission sets and accounts."""
    shown = client.send(
        "POST",
        "/Users",
        person(
            JANE,
            addresses=[{"type": "work", "locality": "Berlin"}],
            **{ENTERPRISE: {"department": "Engineering"}},
        ),
    )
    client.bridge.worker().run_once()

    assert access(sandbox) == {
        "staff",
        "engineers",
        "berlin",
        ("AdministratorAccess", DEVELOPMENT),
    }
    assert {one["display"] for one in shown["groups"]} == {"staff", "engineers", "berlin"}
    told = list(trail(client.bridge.database, user_name=JANE))
    added = {entry.facts["rule"]: entry for entry in told if entry.action == "member-added"}
    assert added.keys() == {"everybody", "engineering", "berlin"}
    assert added["engineering"].facts["because"] == [DEPARTMENT]
    assert added["engineering"].actor == "client:hr"
    assert added["engineering"].request_id == told[0].request_id
    return shown["id"]


def role_change(client, sandbox, jane):
    """Exactly the difference: what is lost goes within the push, before what is gained comes, and
    what both rules give is not touched.
    """
    client.patch(f"/Users/{jane}", **{DEPARTMENT: "Support"})
    assert "engineers" not in access(sandbox)
    client.bridge.worker().run_once()

    assert access(sandbox) == {
        "staff",
        "supporters",
        "berlin",
        ("AdministratorAccess", DEVELOPMENT),
        ("ReadOnlyAccess", PRODUCTION),
    }
    told = [entry.action for entry in trail(client.bridge.database, user_name=JANE)]
    assert told.count("member-removed") == 1
    assert told.count("revoked") == 0
    assert told.index("member-removed") < len(told) - 1 - told[::-1].index("member-added")


def offboarding(client, sandbox, jane):
    """Disabled, in no group and without assignments."""
    client.patch(f"/Users/{jane}", active=False)
    client.bridge.worker().run_once()

    assert access(sandbox) == set()
    assert sandbox.user(JANE)["active"] is False
    assert client.send("GET", f"/Users/{jane}").get("groups", []) == []


def reported(run, json_of):
    """Each access that the leaver had, when it was asked to go and when it was gone."""
    report = json_of("report", "offboarding", JANE)
    held = {one["access"]: one for one in report["accesses"]}
    assert all(one["gone"]["awsRequests"] for one in held.values())
    assert report["left"]["by"] == "client:hr"
    assert report["disabled"]["awsRequests"]
    assert held["group supporters"]["memberBy"] == "rule:support"


def a_return(client, sandbox, jane):
    """What the rules say then, and not what there was."""
    client.send(
        "PUT",
        f"/Users/{jane}",
        person(JANE, active=True, **{ENTERPRISE: {"department": "Engineering"}}),
    )
    client.bridge.worker().run_once()
    assert access(sandbox) == {"staff", "engineers", ("AdministratorAccess", DEVELOPMENT)}
