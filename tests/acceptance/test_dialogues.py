"""Real clients against a bridge as it is served: does Identity Center hold what each meant?

The dialogues, with what the clients need of the answers, are those of ``conformance/dialogues``.
What each means at Identity Center is in `tests.acceptance.meant`.
"""

import json
import random
import secrets
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conformance.player import Player
from conformance.result import Outcome
from conformance.target import Target
from conformance.template import filled
from tests.acceptance.installation import Bridge, Center, install
from tests.acceptance.meant import MEANT, RENAMES
from tests.cli.operation import ENTERPRISE, ROOT

Dialogue = dict[str, Any]
Step = dict[str, Any]
State = dict[str, Any]

DIALOGUES: dict[str, Dialogue] = {
    file.stem: json.loads(file.read_text("utf-8"))
    for file in sorted((ROOT / "conformance" / "dialogues").glob("*.json"))
}

# What is compared of a person, besides e-mail, phone and manager.
ATTRIBUTES = (
    "userName", "active", "displayName", "givenName", "middleName", "familyName", "nickName",
    "title", "userType", "department", "division", "organization", "costCenter", "employeeNumber",
    "streetAddress", "locality", "region", "postalCode", "country",
)  # fmt: skip

# Additions to groups go out after a quiet time, which need not be long here. A client that puts a
# group into a group means the people of both.
SETTINGS = """
[delivery]
coalesce = 0.05
[groups]
nested = "flatten"
[users]
username_changes = """

each_dialogue = pytest.mark.parametrize("name", DIALOGUES)


# -- What Identity Center holds ---------------------------------------------


@dataclass(kw_only=True)
class Witness:
    """Follows what a client says, and looks whether Identity Center holds what was meant."""

    sandbox: Center
    # The steps that mean something, in their order.
    ahead: list[tuple[str, Mapping[str, Mapping[str, Any]]]]
    # What should be there now, by the name that a person or group came with.
    meant: dict[str, dict[str, Any]] = field(default_factory=dict)
    # The name that each principal came with, by its id.
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.before = self.sandbox.state()
        self.strangers = {one["id"] for one in (*self.before["users"], *self.before["groups"])}

    def hear(self, step: str, *, refused: bool) -> None:
        """A step was taken. What was refused means nothing."""
        if not self.ahead or self.ahead[0][0] != step:
            return
        _, change = self.ahead.pop(0)
        for name, values in {} if refused else change.items():
            now = {**self.meant.get(name, {}), **values}
            self.meant[name] = {key: value for key, value in now.items() if value is not None}

    def look(self, step: str) -> None:
        """All that was meant is there and nothing else, and nobody who was there has changed."""
        state = self.sandbox.state()
        assert self._held(state) == self.meant, f"after the step: {step}"
        assert _of(self.strangers, state) == _of(self.strangers, self.before), step

    def _held(self, state: State) -> dict[str, dict[str, Any]]:
        users = [one for one in state["users"] if one["id"] not in self.strangers]
        groups = [one for one in state["groups"] if one["id"] not in self.strangers]
        for one in (*users, *groups):
            self.names.setdefault(one["id"], one.get("userName") or one["displayName"])
        return {
            **{self.names[one["id"]]: self._person(one) for one in users},
            **{self.names[one["id"]]: self._group(one, state["memberships"]) for one in groups},
        }

    def _person(self, user: Mapping[str, Any]) -> dict[str, Any]:
        post = user.get(ENTERPRISE, {})
        addresses = user.get("addresses", ())
        flat = {**user, **user["name"], **post, **(addresses[0] if addresses else {})}
        manager = post.get("manager", {}).get("value")
        found = {
            **{attribute: flat.get(attribute) for attribute in ATTRIBUTES},
            "email": _values(user.get("emails", ())),
            "phone": _values(user.get("phoneNumbers", ())),
            "manager": self.names.get(manager, manager),
        }
        return {attribute: value for attribute, value in found.items() if value is not None}

    def _group(
        self, group: Mapping[str, Any], memberships: Sequence[Mapping[str, str]]
    ) -> dict[str, Any]:
        ids = [one["userId"] for one in memberships if one["groupId"] == group["id"]]
        return {
            "displayName": group["displayName"],
            "members": {self.names.get(one, one) for one in ids},
        }


def _of(ids: Set[str], state: State) -> State:
    """What a state says of these principals."""
    return {
        "users": [one for one in state["users"] if one["id"] in ids],
        "groups": [one for one in state["groups"] if one["id"] in ids],
        "memberships": [one for one in state["memberships"] if one["groupId"] in ids],
    }


def _values(entries: Sequence[Mapping[str, str]]) -> str | None:
    return " and ".join(entry["value"] for entry in entries) or None


# -- What a client says -----------------------------------------------------


def play(
    dialogue: Dialogue,
    name: str,
    bridge: Bridge,
    sandbox: Center,
    *,
    refused: Set[str] = frozenset(),
) -> None:
    """Play a dialogue, with names of its own; look at Identity Center after each step but reads."""
    run = secrets.token_hex(4)
    witness = Witness(sandbox=sandbox, ahead=meant_by(name, run))
    with Target(f"{bridge.url}/scim/v2", bridge.token) as target:
        config = target.send("GET", "/ServiceProviderConfig").json
        player = Player(suite="dialogues", target=target, run=run, config=config)
        for step, result in zip(dialogue["steps"], player.play(dialogue), strict=True):
            assert result.outcome is Outcome.passed, (name, step["name"], result)
            witness.hear(step["name"], refused=step["name"] in refused)
            if step["method"] != "GET":
                bridge.arrive()
                witness.look(f"{name}: {step['name']}")


def meant_by(name: str, run: str) -> list[tuple[str, Mapping[str, Mapping[str, Any]]]]:
    """What a dialogue means in this run."""
    return [(step, _in_run(change, run)) for step, change in MEANT[name]]


def _in_run(change: Mapping[str, Mapping[str, Any]], run: str) -> dict[str, dict[str, Any]]:
    filled_in: dict[str, dict[str, Any]] = filled(change, {"run": run})
    for values in filled_in.values():
        if "members" in values:
            values["members"] = set(values["members"])
    return filled_in


# -- Where names do not change ----------------------------------------------


def other_names(dialogue: Dialogue) -> dict[str, str]:
    """The userName that a step gives a known user, by step, where it is not the first one."""
    first: dict[str, str] = {}
    others = {}
    for step in dialogue["steps"]:
        name = _user_name(step.get("body", {}))
        if step["method"] == "POST" and step["path"] == "/Users":
            first |= {f"/Users/${{{variable}}}": name for variable in step.get("capture", {})}
        elif name not in {None, first.get(step["path"])}:
            others[step["name"]] = name
    return others


def _user_name(body: Mapping[str, Any]) -> Any:
    """The userName in the body of a PUT, POST or PATCH."""
    found = [body.get("userName")]
    for operation in body.get("Operations", ()):
        value = operation.get("value")
        if operation.get("path") == "userName":
            found.append(value)
        elif isinstance(value, dict):
            found.append(value.get("userName"))
    return next((name for name in found if name is not None), None)


def look_ups(dialogue: Dialogue) -> set[str]:
    """The steps that look for somebody by another name than the first one."""
    quoted = {name.replace("${", "${q:") for name in other_names(dialogue).values()}
    return {
        step["name"]
        for step in dialogue["steps"]
        if step["method"] == "GET" and any(name in step["path"] for name in quoted)
    }


def keeping_names(dialogue: Dialogue, refused: Set[str]) -> Dialogue:
    """The dialogue with a bridge that refuses these steps: nobody is found by another name."""
    nobody = {"status": [200], "json": {"totalResults": 0}}
    no = {"status": [400], "error": ["mutability"]}
    expected = {
        **dict.fromkeys(look_ups(dialogue), nobody),
        **dict.fromkeys(refused, no),
    }
    steps = [
        {**step, "expect": expected.get(step["name"], step.get("expect", {}))}
        for step in dialogue["steps"]
    ]
    return {**dialogue, "steps": steps}


# -- The tests --------------------------------------------------------------


@contextmanager
def serving(sandbox: Center, folder: Path, username_changes: str) -> Iterator[Bridge]:
    """One bridge for all dialogues, which follow each other on it."""
    installation = install(sandbox, folder / "bridge", more=f'{SETTINGS}"{username_changes}"')
    with installation.serving() as bridge:
        yield bridge
    sandbox.reset()


@pytest.fixture(scope="module")
def renaming(sigv4_center: Center, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge where userNames may change."""
    with serving(sigv4_center, tmp_path_factory.mktemp("renaming"), "allow") as bridge:
        yield bridge


@pytest.fixture(scope="module")
def keeping(bearer_center: Center, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge where userNames stay."""
    with serving(bearer_center, tmp_path_factory.mktemp("keeping"), "refuse") as bridge:
        yield bridge


@pytest.mark.timeout(400)
def test_identity_center_holds_what_each_client_meant(
    renaming: Bridge, sigv4_center: Center
) -> None:
    """After each step that is no read, on one bridge, in any order and twice in a row."""
    for name in in_any_order() + in_any_order():
        play(DIALOGUES[name], name, renaming, sigv4_center)


@pytest.mark.timeout(400)
def test_where_names_stay_a_rename_is_refused_and_everything_else_holds(
    keeping: Bridge, bearer_center: Center
) -> None:
    """The new name is refused and finds nobody; who is taken out is out all the same."""
    for name in in_any_order():
        refused = RENAMES.get(name, set())
        dialogue = keeping_names(DIALOGUES[name], refused)
        play(dialogue, name, keeping, bearer_center, refused=refused)


def in_any_order() -> list[str]:
    """Another order each time; pytest-randomly says the seed."""
    return random.sample(sorted(DIALOGUES), len(DIALOGUES))


def test_every_dialogue_is_played() -> None:
    assert MEANT.keys() == DIALOGUES.keys()
    assert len(DIALOGUES) == 11


@each_dialogue
def test_what_is_meant_follows_the_steps_of_the_dialogue(name: str) -> None:
    """Every step it names is there, and they come in this order."""
    steps = (step["name"] for step in DIALOGUES[name]["steps"])
    assert [step for step, _ in MEANT[name] if step not in steps] == []


@each_dialogue
def test_the_steps_that_rename_are_those_that_carry_another_name(name: str) -> None:
    """Except those that deactivate: they are answered 2xx, and only the name is left out."""
    bodies = {step["name"]: step.get("body", {}) for step in DIALOGUES[name]["steps"]}
    renames = {
        step for step in other_names(DIALOGUES[name]) if bodies[step].get("active") is not False
    }
    assert renames == RENAMES.get(name, set())
    assert bool(look_ups(DIALOGUES[name])) == bool(renames)
