"""`scim-bridge probe`: it finds out what Identity Center does, and leaves nothing behind.

Nothing on this machine reaches AWS, so the sandbox is asked, with each switch set both ways
(reference/identity-center.md, section 9: what AWS does not document).
"""

import json
from dataclasses import asdict

import pytest
import requests

from scim_bridge.identity_center.probe import QUESTIONS, Probe
from scim_bridge.sandbox import Behaviour, SandboxServer, write_config
from scim_bridge.sandbox.behaviour import OWNER_ACCOUNT, read_behaviour

BOTH_WAYS = {
    "sigv4_on_scim": (True, False),
    "strict_disabled": (True, False),
    "strict_removals": (True, False),
    "add_existing_member": ("ok", "409"),
    "remove_non_member": ("ok", "404"),
    "unknown_member": ("404", "400"),
    "member_filter_path": (True, False),
    "case_sensitive_names": (True, False),
    "unknown_attributes": ("refuse", "ignore"),
    "put_omitted_active": ("keep", "true"),
    "update_user_null_removes": (True, False),
    "extension_key_case": ("camel", "pascal"),
    "principal_listing_includes_inherited": (True, False),
    "create_existing_assignment": ("succeed", "conflict"),
}
ASSIGN = ("--assign", "ReadOnlyAccess", OWNER_ACCOUNT)


@pytest.fixture(scope="module")
def server():
    """An Identity Center on this machine."""
    with SandboxServer() as server:
        yield server


@pytest.fixture
def control(server):
    """Ask the sandbox, or tell it."""

    def ask(method, path, body=None):
        answer = requests.request(method, f"{server.url}/_sandbox/{path}", json=body, timeout=10)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    return ask


@pytest.fixture(autouse=True)
def _in_front(folder, server, control, monkeypatch):
    """Settings that sign, and know a token as well; a sandbox that holds nobody."""
    credentials = write_config(folder / "scim-bridge.toml", base_url=server.url, auth="sigv4")
    assert credentials.exists()
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("PROBE_TOKEN", Behaviour().bearer_token)
    monkeypatch.setenv("SCIM_BRIDGE_IDENTITY_CENTER__BEARER_TOKEN_ENV", "PROBE_TOKEN")
    control("POST", "reset")
    control("DELETE", "faults")
    control("POST", "behaviour", {**asdict(Behaviour()), "assignment_seconds": 0.0})


@pytest.fixture
def nothing_left(control):
    """Whether the sandbox is as it was."""

    def look():
        state = control("GET", "state")
        held = ("users", "groups", "memberships", "assignments", "inProgress")
        return not any(state.get(name) for name in held)

    return look


def test_every_question_is_asked_both_ways():
    """A question without a test would be no proof."""
    assert {question.switch for question in QUESTIONS} == set(BOTH_WAYS)
    for question in QUESTIONS:
        assert set(question.words) == set(BOTH_WAYS[question.switch])


@pytest.mark.parametrize(
    ("switch", "value"),
    [(switch, value) for switch, values in BOTH_WAYS.items() for value in values],
)
def test_it_finds_how_the_sandbox_behaves(
    switch, value, run, control, folder, nothing_left, monkeypatch
):
    """What is found is what was set, says so, and is what a sandbox can be given."""
    control("POST", "behaviour", {switch: value})
    [asked] = [question for question in QUESTIONS if question.switch == switch]
    monkeypatch.setattr("scim_bridge.identity_center.probe.QUESTIONS", (asked,))
    said = run("probe", "--yes", "--write", "found.toml", *ASSIGN).stdout

    assert getattr(read_behaviour(folder / "found.toml"), switch) == value
    assert f"{asked.about}: {asked.words[value]}" in " ".join(said.split())
    assert nothing_left()


@pytest.mark.parametrize("name", ["found.toml", "found.json"])
def test_a_sandbox_behaves_as_was_found(name, run, control, folder, nothing_left):
    """All at once: the file makes a sandbox like the one that was asked."""
    unusual = {
        switch: value
        for switch, (_, value) in BOTH_WAYS.items()
        # A disabled user who cannot be edited cannot be asked what a PUT does.
        if switch != "strict_disabled"
    }
    control("POST", "behaviour", unusual)
    run("probe", "--yes", "--write", name, *ASSIGN)

    found = asdict(read_behaviour(folder / name))
    assert {switch: found[switch] for switch in unusual} == unusual
    assert nothing_left()


def test_it_asks_before_it_writes(run, control, folder):
    """Without --yes and without a yes, nothing is called."""
    control("DELETE", "calls")
    run("probe", expect=1)

    assert control("GET", "calls") == {}


def test_nothing_is_assigned_without_being_told(json_of, control):
    """An assignment may make a role in an account, so both are to be named by the operator."""
    found = {one["switch"]: one for one in json_of("probe", "--yes")["found"]}

    assert found["create_existing_assignment"]["value"] is None
    assert "--assign PERMISSION_SET ACCOUNT" in found["create_existing_assignment"]["said"]
    assert found["add_existing_member"]["value"] == "ok"
    assert "sso:CreateAccountAssignment" not in control("GET", "calls")


def test_without_a_scim_endpoint_the_rest_is_asked(json_of, folder):
    """`write_via = "identity-store"` needs no endpoint."""
    file = folder / "scim-bridge.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("scim_endpoint")]
    file.write_text("\n".join(lines))
    via = {"SCIM_BRIDGE_IDENTITY_CENTER__WRITE_VIA": "identity-store"}
    found = {one["switch"]: one["value"] for one in json_of("probe", "--yes", **via)["found"]}

    assert found["strict_disabled"] is None
    assert found["extension_key_case"] == "camel"


def test_an_answer_that_is_lost_leaves_nothing_behind(json_of, control, nothing_left):
    """What was made by a call without an answer is found by its name and removed."""
    for operation in ("CreateUser", "CreateGroup"):
        control("POST", "faults", {"operation": operation, "drop_answer": True, "times": 2})
    found = json_of("probe", "--yes")

    assert any(one["value"] is None for one in found["found"])
    assert found["left"] == []
    assert nothing_left()


def test_what_was_made_is_removed_after_ctrl_c(run, nothing_left, monkeypatch):
    """An operator who has seen enough is not left with strangers."""
    asked = Probe.unknown_member

    def interrupted(probe):
        asked(probe)
        raise KeyboardInterrupt

    questions = [
        question
        if question.switch != "unknown_member"
        else type(question)(
            switch=question.switch, about=question.about, ask=interrupted, words=question.words
        )
        for question in QUESTIONS
    ]
    monkeypatch.setattr("scim_bridge.identity_center.probe.QUESTIONS", questions)
    assert "What was made is removed" in run("probe", "--yes", expect=1).stderr

    assert nothing_left()


def test_who_was_never_made_is_not_left_behind(run, control, nothing_left):
    """A creation that is refused leaves nothing: no name is told for nothing."""
    control("POST", "faults", {"operation": "CreateGroup", "status": 400, "times": -1})
    run("probe", "--yes")

    assert nothing_left()


def test_what_cannot_be_removed_is_named(run, json_of, control):
    """It is for a person to remove, who must know it."""
    control("POST", "faults", {"operation": "DeleteGroup", "status": 500, "times": -1})
    found = json_of("probe", "--yes", expect=1)

    held = {group["displayName"] for group in control("GET", "state")["groups"]}
    assert held
    assert held <= {one.split()[1] for one in found["left"]}


def test_the_file_is_json_where_it_is_named_so(run, folder):
    """Either form is what `sandbox --behaviour` takes."""
    run("probe", "--yes", "--write", "found.json")

    assert json.loads((folder / "found.json").read_text())["sigv4_on_scim"] is True
