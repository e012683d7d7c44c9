"""`scim-bridge status`: what an operator and a script learn of what has yet to arrive."""

import pytest

from scim_bridge.cli.output import lasting
from scim_bridge.sandbox import SandboxServer
from tests.cli.operation import Sandbox, client_of, in_front_of

KEYS = {
    "pending",
    "failed",
    "held",
    "suppressed",
    "oldest_pending_seconds",
    "overdue_revocations",
    "circuit",
    "cause",
    "access_circuit",
    "access_cause",
    "denied",
    "last_error",
    "paused",
    "held_sets",
    "waiting",
    "targets",
    "connectors",
    "extraction",
    "drift",
    "warned",
    "limits",
    "rules",
}


@pytest.fixture
def sandbox():
    with SandboxServer() as server:
        yield server


def test_a_bridge_with_nothing_to_do_says_so(run, json_of, sandbox, folder):
    """With nothing pending the counts are zero, and the keys are those scripts rely on."""
    in_front_of(sandbox, folder)
    run("db", "upgrade")

    now = json_of("status")

    assert set(now) == KEYS
    assert (now["pending"], now["failed"], now["held"], now["suppressed"]) == (0, 0, 0, 0)
    assert (now["circuit"], now["cause"], now["oldest_pending_seconds"]) == ("closed", None, None)
    assert "Everything has reached Identity Center." in run("status").stdout


def test_what_waits_is_named(run, json_of, sandbox, folder):
    """Each resource that has not arrived is listed by name, kind and state, as many as asked."""
    file = in_front_of(sandbox, folder, more="[delivery]\nwait = 0\n")
    with client_of(file) as client:
        jane = client.add_user("jane@example.com")
        client.add_group("engineers", jane)

    now = json_of("status")
    said = run("status", "--limit", "1").stdout

    assert now["pending"] == 2
    assert now["oldest_pending_seconds"] >= 0
    assert [(one["kind"], one["name"], one["state"]) for one in now["waiting"]] == [
        ("user", "jane@example.com", "pending"),
        ("group", "engineers", "pending"),
    ]
    assert "2 pending" in said
    assert "user jane@example.com" in said
    assert "… and 1 more" in said


def test_what_clients_sent_in_vain_is_counted(run, json_of, sandbox, folder):
    """By client, with the groups in a group that Identity Center has no place for."""
    file = in_front_of(sandbox, folder, more="[delivery]\nwait = 0\n")
    with client_of(file) as client:
        jane = client.add_user("jane@example.com", password="x")
        crew = client.add_group("crew", jane)
        client.add_group("everybody", jane, crew)
        client.add_user("joe@example.com", **{"urn:scim:schemas:extension:acme:1.0:Desk": {"x": 1}})

    said = " ".join(run("status").stdout.split())

    (warned,) = json_of("status")["warned"]
    assert (warned["warnings"], warned["about_nesting"]) == (2, 1)
    assert f"client {warned['client']} sent and was left out: 2, 1 about groups in a group" in said
    assert "See scim-bridge audit --since 24h" in said
    assert run("audit", "--since", "24h").stdout.count("was warned about") == 3


def test_waiting_ends_when_nothing_is_pending_or_the_time_is_over(run, sandbox, folder):
    """--wait makes the exit code tell whether everything arrived; without it, it is 0."""
    file = in_front_of(sandbox, folder, more="[delivery]\nwait = 0\n")
    with client_of(file) as client:
        client.add_user("jane@example.com")

        run("status")
        run("status", "--wait", "0.3", expect=1)
        client.bridge.worker().run_once()
        run("status", "--wait", "10")


def test_the_cause_of_a_closed_door_is_told(run, json_of, sandbox, folder):
    """A token that AWS refuses opens the circuit: status names the cause and who waits for it."""
    file = in_front_of(sandbox, folder, auth="bearer")
    Sandbox(url=sandbox.url).behave(bearer_token="another")
    with client_of(file) as client:
        client.add_user("jane@example.com")

    now = json_of("status")

    assert (now["pending"], now["circuit"]) == (1, "open")
    assert "token" in now["cause"]
    assert now["last_error"]
    assert now["cause"] in " ".join(run("status").stdout.split())


def test_held_sets_are_listed_with_the_people_and_what_to_type(run, json_of, sandbox, folder):
    """A held set shows whom it is about and how to let it pass (design, section 9)."""
    file = in_front_of(sandbox, folder).with_name("scim-bridge.toml")
    file.write_text(file.read_text().replace("brake = false", "brake = true"))
    with client_of(file) as client:
        ids = [client.add_user(f"p{n}@example.com") for n in range(7)]
        for user_id in ids:
            client.patch(f"/Users/{user_id}", active=False)

    now = json_of("status")
    said = run("status").stdout
    [held] = now["held_sets"]

    assert (now["held"], held["category"], held["people"]) == (2, "disable", 2)
    assert held["names"] == ["p5@example.com", "p6@example.com"]
    assert held["approve"] == f"scim-bridge sync --approve {held['id']}"
    assert "p5@example.com and p6@example.com" in said
    assert held["approve"] in said


def test_what_waits_fits_a_terminal(run, sandbox, folder):
    """No line is longer than 80 columns, and what happened is said in words."""
    file = in_front_of(sandbox, folder, auth="bearer")
    Sandbox(url=sandbox.url).behave(bearer_token="another")
    with client_of(file) as client:
        user_id = client.add_user("jane.with.a.rather.long.name@subsidiary.example.com")
        client.patch(f"/Users/{user_id}", active=False)

    said = run("status").stdout

    # A path is never cut, since somebody pastes it.
    assert all(len(line) <= 80 or str(folder) in line for line in said.splitlines())
    assert "pending for" in said


def test_a_database_that_does_not_answer_is_exit_code_1(run, sandbox, folder):
    """Only what could not be looked at is a failure."""
    in_front_of(sandbox, folder)

    said = run("status", expect=1, SCIM_BRIDGE_DATABASE__URL="sqlite:////no/where/x.db")

    assert "there is no database /no/where/x.db" in said.stderr


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1.0, "0 s"),
        (0.4, "0 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7200.0, "2 h"),
        (2e5, "2 d"),
    ],
)
def test_a_length_of_time_is_said_in_one_unit(seconds, words):
    """The unit is the largest of which there are two."""
    assert lasting(seconds) == words


def test_what_iam_does_not_allow_is_named_beside_the_door(run, json_of, sandbox, folder):
    """The leaver is disabled all the same; `/readyz` names the missing action, too."""
    file = in_front_of(sandbox, folder)
    operation = "sso:ListAccountAssignmentsForPrincipal"
    Sandbox(url=sandbox.url).fault(operation, error="AccessDeniedException", times=None)
    with client_of(file) as client:
        jane = client.add_user("jane@example.com")
        client.patch(f"/Users/{jane}", active=False)
        client.bridge.worker().run_once()
        ready = client.http.get("/readyz").json

    now, said = json_of("status"), run("status").stdout

    assert not Sandbox(url=sandbox.url).user("jane@example.com")["active"]
    assert (now["pending"], now["circuit"], now["denied"]) == (1, "closed", [operation])
    assert [one["assignments"] for one in now["waiting"]] == [True]
    assert f"IAM does not allow the bridge {operation}" in " ".join(said.split())
    assert ready["status"] == "degraded"
    assert f"IAM does not allow the bridge {operation}" in ready["causes"]


def test_connectors_are_named_with_what_is_in_their_way(run, json_of, sandbox, folder):
    """A webhook that nobody answers at, and files that were written by command."""
    (folder / "secret").write_text("s3cret")
    (folder / "lake").mkdir()
    more = (
        '[[connector]]\nname = "pager"\ntype = "webhook"\nurl = "http://127.0.0.1:9/x"\n'
        'secret_file = "secret"\n'
        '[[connector]]\nname = "lake"\ntype = "csv"\nfolder = "lake"\n'
    )
    in_front_of(sandbox, folder, more=more)
    run("db", "upgrade")

    assert json_of("snapshot") == {
        "snapshots": {"lake": {"groups": 0, "memberships": 0, "users": 0}}
    }
    now = json_of("status")["connectors"]
    checked = {one["what"]: one for one in json_of("doctor", expect=1)["findings"]}

    assert now["lake"]["last_outcome"] == "ok"
    assert now["pager"]["waiting"] == 0
    assert "Connector lake (csv): last written" in run("status").stdout
    assert checked["connector lake"]["state"] == "ok"
    assert checked["connector pager"]["said"].startswith("the webhook was not reached")
