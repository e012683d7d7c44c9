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


def test_a_rejection_tells_what_is_back_and_what_could_not_be_given_back(
    run, json_of, sandbox, folder
):
    """In words and as JSON, and by its exit code; what is not given back is held as before."""
    file = in_front_of(sandbox, folder, more=FLATTEN)
    file.write_text(file.read_text().replace("brake = false", "brake = true"))
    there = Sandbox(url=sandbox.url)

    def held_set() -> str:
        [one] = json_of("status")["held_sets"]
        return str(one["id"])

    with client_of(file) as client:
        # One more than the brake lets go within an hour.
        ids = [client.add_user(f"p{n:02}@example.com") for n in range(21)]
        inner = client.add_group("inner", *ids)
        client.add_group("outer", inner)
        team = client.add_group("team", *ids)
        run("sync")
        run("unnest", "--reason", "no more")
        run("sync")
        (kept,) = there.members("outer")
        still = [one for one in json_of("access")["holdings"] if one["group"] == "outer"]
        assert [(one["userName"], one["heldIn"]) for one in still] == [(kept, held_set())]

        file.write_text(file.read_text().replace('"flatten"', '"skip"'))
        [one] = json_of("status")["held_sets"]
        assert (one["cannot_be_given_back"], one["reject"]) == (1, None)
        said = run("status").stdout
        assert "--reject" not in said
        assert 'can only stay with [groups] nested = "flatten"' in " ".join(said.split())
        file.write_text(file.read_text().replace('"skip"', '"flatten"'))
        assert one["id"] in str(json_of("status")["held_sets"][0]["reject"])

        said = run("sync", "--reject", held_set()).stdout
        assert f"Rejected: 1 person stays in outer: {kept}" in said
        assert "Group inner is in group outer again, with all who are in it: 21." in said
        assert len(there.members("outer")) == 21
        told = {one["group"]: one for one in json_of("access", kept)["holdings"]}
        assert [one["memberBy"] for one in told.values()] == ["client:hr"] * 3
        assert told["outer"]["givenBackBy"] == "operator:ada"
        assert (told["inner"]["givenBackBy"], told["team"]["givenBackBy"]) == (None, None)
        assert "client:hr, given back by operator:ada" in run("access", kept).stdout

        client.patch(f"/Groups/{team}", members=[])
        client.send("DELETE", f"/Groups/{inner}")
    run("sync")
    result = json_of("sync", "--reject", held_set(), expect=1)

    why = "they were in it through group 'inner', which was deleted"
    assert result["rejected"] == [kept]
    assert {"category": "removal", "group": "outer", "people": [kept], "why": why} in result[
        "not_given_back"
    ]
    assert [there.members(group) for group in ("team", "inner", "outer")] == [{kept}] * 3
    said = " ".join(run("sync", "--reject", held_set(), expect=1).stdout.split())
    assert f"Not given back, and still held, in outer: {kept}. Why: {why}." in said
    assert "still held" in run("audit").stdout
