"""`scim-bridge rules`: a change of rules is seen before it acts."""

import time

import pytest
import requests

from scim_bridge.directory.catalogue import Catalogue
from scim_bridge.sandbox import Behaviour, SandboxServer
from scim_bridge.sync import TARGET
from tests.cli.operation import Sandbox, client_of, in_front_of

ACCOUNT = "222233334444"


def rules(**titles):
    """A rule for each title: whoever has it gets the group."""
    return "\n".join(
        f'[[rule]]\nname = "{title}"\nwhen = \'title eq "{title}"\'\ngroups = ["{group}"]'
        for title, group in titles.items()
    )


@pytest.fixture
def server():
    with SandboxServer(behaviour=Behaviour(assignment_seconds=0.0)) as server:
        yield server


@pytest.fixture
def sandbox(server):
    return Sandbox(url=server.url)


@pytest.fixture
def file(folder):
    return folder / "rules.toml"


@pytest.fixture
def client(server, folder, file, run):
    """A bridge in front of a sandbox, with the brake on and a rule in force."""
    file.write_text(rules(dev="developers"))
    settings = in_front_of(server, folder, more='[lifecycle]\nrules = "rules.toml"\n')
    settings.write_text(settings.read_text().replace("brake = false", "brake = true"))
    with client_of(settings) as client:
        run("rules", "apply", "--yes")
        yield client


def test_a_changed_file_does_nothing_until_it_is_applied(run, json_of, client, sandbox, file):
    """`diff` says what `apply` then does at the sandbox, change by change and call by call."""
    for number in range(3):
        client.add_user(f"dev{number}@example.com", title="dev")
        client.add_user(f"op{number}@example.com", title="op")
    client.bridge.worker().run_once()

    file.write_text(rules(op="operators") + "\n" + rules(dev="engineers"))
    client.add_user("dev3@example.com", title="dev")
    client.bridge.worker().run_once()
    assert sandbox.members("developers") == {f"dev{number}@example.com" for number in range(4)}
    assert "rules diff" in run("status").stdout
    assert json_of("status")["rules"]["file"] == "changed"
    assert "not in force" in run("rules", "check").stdout
    said = run("rules", "diff").stdout
    assert "4 people lose 4, 7 people gain 7." in said
    assert "Group operators is created." in said

    foreseen = json_of("rules", "diff")
    before = at_the_sandbox(sandbox)
    requests.delete(f"{sandbox.url}/_sandbox/calls", timeout=10)
    run("rules", "apply", expect=1)
    assert json_of("status")["rules"]["file"] == "changed"
    run("rules", "apply", "--yes")
    client.bridge.worker().run_once()

    after = at_the_sandbox(sandbox)
    assert named(foreseen["losses"]) == before - after
    assert named(foreseen["gains"]) == after - before
    # Two groups are created and three change their members: nothing else is called for.
    assert calls(sandbox) == {
        "CreateGroup": {"201": 2},
        "PatchGroup": {"204": 3},
    }
    assert json_of("status")["rules"]["file"] == "applied"
    assert json_of("rules", "diff")["gains"] == []


def test_a_broken_file_leaves_what_was_applied_in_force(run, json_of, client, sandbox, file):
    """And every problem is told, by `check`, `apply` and `status`."""
    file.write_text("[[rule]]\nname = 'x'\n")
    client.add_user("ada@example.com", title="dev")
    client.bridge.worker().run_once()
    assert sandbox.members("developers") == {"ada@example.com"}
    for command in ("check", "diff", "apply"):
        told = run("rules", command, expect=1).stderr
        assert "rules.toml, line 1, rule x: when: is missing" in told
    assert json_of("status")["rules"]["file"] == "broken"
    file.write_text(rules(x="g" * 1025))
    assert "rule x: groups:" in run("rules", "check", expect=1).stderr
    file.write_text("[[rule]]")
    metrics = client.http.get("/metrics").get_data(as_text=True)
    assert 'scim_bridge_rules_file{state="broken"} 1.0' in metrics


def test_the_brake_holds_a_change_of_rules_that_costs_many_people(
    run, json_of, client, sandbox, file
):
    """As it does whoever takes access away (design, section 9); `diff` foretells it."""
    for number in range(22):
        client.add_user(f"p{number}@example.com", title="dev")
    client.bridge.worker().run_once()
    file.write_text("")

    assert json_of("rules", "diff")["held_by_brake"] == 2
    run("rules", "apply", "--yes", "--reason", "a mistake")
    client.bridge.worker().run_once()
    [held] = json_of("status")["held_sets"]
    assert (held["people"], held["category"]) == (2, "removal")
    assert len(sandbox.members("developers")) == 2

    run("sync", "--approve", held["id"])
    assert sandbox.members("developers") == set()


def test_sync_sees_to_what_time_has_ended(run, client, sandbox, file):
    """An operator without a worker has the last days of people end, too."""
    file.write_text(rules(dev="developers") + '\ngrace = "0.1s"\n')
    run("rules", "apply", "--yes")
    ada = client.add_user("ada@example.com", title="dev")
    client.bridge.worker().run_once()
    client.patch(f"/Users/{ada}", title="op")
    assert sandbox.members("developers") == {"ada@example.com"}
    time.sleep(0.1)
    run("sync")
    assert sandbox.members("developers") == set()


def test_a_protected_permission_set_is_refused_by_its_arn_too(run, client, file, folder):
    """Another way to name it is no way around `[safety]` (design, section 9)."""
    client.bridge.watch.schedule.read_now(["catalogue"])
    with client.bridge.database.reading():
        names = Catalogue(client.bridge.database, TARGET).permission_set_names()
    settings = folder / "scim-bridge.toml"
    protected = '[safety]\nprotected_permission_sets = ["Admin*"]'
    settings.write_text(settings.read_text().replace("[safety]", protected))
    [arn] = [arn for arn, name in names.items() if name == "AdministratorAccess"]
    for given, said in ((arn, "is protected"), (f"{arn[:-1]}x", "is not known")):
        file.write_text(
            "[[rule]]\nname = 'x'\nwhen = 'title pr'\n"
            f"assignments = [{{ account = '{ACCOUNT}', permission_set = '{given}' }}]"
        )
        assert said in run("rules", "check", expect=1).stderr


def test_it_is_explained_by_which_rule_somebody_has_what(run, json_of, client):
    """With the values that the rule looks at; and who is not meant, and why not."""
    client.add_user("ada@example.com", title="dev")
    client.add_user("bob@example.com", title="op")
    assert "Rule dev means them (title is 'dev'). It gives group developers." in run(
        "rules", "explain", "ada@example.com"
    ).stdout.replace("\n ", "")
    [told] = json_of("rules", "explain", "bob@example.com")
    assert (told["means"], told["why_not"]) == (False, "its condition does not hold")
    assert "put in by rule dev" in run("explain", "ada@example.com").stdout


def test_what_a_rule_gives_is_refused_to_be_deleted(client):
    """The client is told by which rule, and who can change it."""
    [group] = client.send("GET", '/Groups?filter=displayName eq "developers"')["Resources"]
    answer = client.http.delete(
        f"/scim/v2/Groups/{group['id']}", headers={"Authorization": f"Bearer {client.token}"}
    )
    assert answer.status_code == 403
    assert "Rule dev gives this group" in answer.get_json()["detail"]


def at_the_sandbox(sandbox):
    state = sandbox.state()
    users = {one["id"]: one["userName"] for one in state["users"]}
    groups = {one["id"]: one["displayName"] for one in state["groups"]}
    return {(users[one["userId"]], groups[one["groupId"]]) for one in state["memberships"]}


def named(effects):
    return {(one["user"], one["group"]) for one in effects}


def calls(sandbox):
    """How often each operation was called, by the answer."""
    return requests.get(f"{sandbox.url}/_sandbox/calls", timeout=10).json()
