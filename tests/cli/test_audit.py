"""`scim-bridge audit`: reading the trail and checking that it is whole."""

import json
import time

import pytest

from scim_bridge.directory import audit
from scim_bridge.directory.audit import Action
from scim_bridge.directory.seal_key import load_key
from scim_bridge.directory.seals import Sealer
from scim_bridge.settings import Audit


@pytest.fixture
def seal(database):
    """Seal what was recorded, as the worker does."""

    def seal() -> None:
        Sealer(database, load_key(Audit(), database)).seal()

    return seal


@pytest.fixture
def _jane(run, database):
    """A trail with something about a person a day ago, and a client made now."""
    run("db", "upgrade")
    with database.transaction():
        audit.record(
            database,
            action=Action.CREATE,
            kind="user",
            resource_id="2819c223",
            user_name="jane@example.com",
            clock=lambda: time.time() - 86400,
        )
    run("client", "add", "okta")


@pytest.mark.usefixtures("_jane")
def test_the_trail_is_printed_in_order(run):
    """One line for each thing that happened, in words."""
    lines = run("audit").stdout.splitlines()

    assert len(lines) == 2
    assert "jane@example.com" in lines[0]
    assert "operator:ada added client" in lines[1]


@pytest.mark.usefixtures("_jane")
@pytest.mark.parametrize(
    ("options", "actions"),
    [
        (("--user", "Jane@Example.com"), ["create"]),
        (("--since", "1h"), ["client-added"]),
        (("--since", "2020-01-01T00:00:00+02:00"), ["create", "client-added"]),
        (("--since", "2999-01-01"), []),
    ],
)
def test_the_trail_can_be_narrowed(options, actions, run):
    """--user and --since choose; --json gives one object a line."""
    lines = run("audit", *options, "--json").stdout.splitlines()

    assert [json.loads(line)["action"] for line in lines] == actions


def test_a_time_that_is_none_is_not_understood(run):
    """--since says what it takes."""
    assert "2026-11-24T08:30" in run("audit", "--since", "yesterday", expect=2).stderr


@pytest.mark.usefixtures("_jane")
def test_a_whole_trail_verifies(run, json_of, seal):
    """`audit verify` counts sealed and unsealed rows and prints the head to note."""
    seal()
    run("client", "add", "late")
    found = json_of("audit", "verify")

    assert (found["sealed"], found["unsealed"], found["seals"]) == (2, 1, 1)
    assert f"Head: {found['head']}" in run("audit", "verify").stdout
    assert json_of("audit", "verify", "--head", found["head"]) == found


@pytest.mark.usefixtures("_jane")
def test_a_changed_row_is_found(run, seal, database):
    """Tampering is exit code 1 and says what was found."""
    seal()
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'operator:eve' WHERE id = 1")

    assert run("audit", "verify", expect=1).stderr.startswith("error: seal 1 does not fit")


@pytest.mark.usefixtures("_jane")
def test_a_head_that_is_gone_is_found(run, seal):
    """A tail that was cut off shows by the head that was noted before."""
    seal()

    assert "cut off" in run("audit", "verify", "--head", "f" * 64, expect=1).stderr
