"""`scim-bridge unnest`: the way back from nested groups."""

import pytest

from scim_bridge.sandbox import SandboxServer
from tests.cli.operation import Sandbox, client_of, in_front_of

FLATTEN = '[groups]\nnested = "flatten"\n'


@pytest.fixture
def sandbox():
    with SandboxServer() as server:
        yield server


def test_the_bridge_does_not_start_with_nested_groups_that_are_to_be_skipped(
    run, json_of, sandbox, folder
):
    """Nobody would stand for the access they give; the command that ends it is named, and works."""
    file = in_front_of(sandbox, folder, more=FLATTEN)
    with client_of(file) as client:
        inner = client.add_group("inner", client.add_user("jane@example.com"))
        client.add_group("outer", inner)
    run("sync")
    there = Sandbox(url=sandbox.url)
    assert there.members("outer") == {"jane@example.com"}
    report = json_of("access", "show", "jane@example.com")["holdings"]
    assert {(one["group"], one["through"]) for one in report} == {
        ("inner", None),
        ("outer", "inner"),
    }

    file.write_text(file.read_text().replace('"flatten"', '"skip"'))
    for command in ("serve", "worker", "sync", "drift --repair"):
        assert "scim-bridge unnest" in run(*command.split(), expect=1).stderr
    (finding,) = [one for one in json_of("doctor", expect=1)["findings"] if one["what"] == "groups"]
    assert (finding["state"], "unnest" in finding["said"]) == ("wrong", True)

    assert "1 nested group was taken out" in run("unnest", "--reason", "no more").stdout
    run("sync")

    assert there.members("outer") == set()
    assert there.members("inner") == {"jane@example.com"}
    assert "0 nested groups" in run("unnest", "--reason", "again").stdout
