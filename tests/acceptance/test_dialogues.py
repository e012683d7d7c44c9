"""Real clients against a bridge as it is served: does Identity Center hold what each meant?

The dialogues, and what the clients need of the answers, are those of `tests/scim/test_dialogues`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.acceptance.installation import Bridge, Center, Installation, install
from tests.cli.operation import ENTERPRISE, until
from tests.scim.test_dialogues import DIALOGUES, play

# What the player fills in for ${run}.
RUN = "a1b2c3"

# The attributes that are compared; one that is missing at Identity Center is None.
ATTRIBUTES = ("displayName", "title", "department", "costCenter", "manager", "middleName")


@dataclass(frozen=True, kw_only=True)
class Meant:
    """What Identity Center should hold: who can sign in, and who is in which group.

    People by their userName up to the run.
    """

    users: dict[str, bool]
    groups: dict[str, set[str]] = field(default_factory=dict)
    # Some attributes of some people.
    attributes: dict[str, dict[str, str | None]] = field(default_factory=dict)


MARIT, DIMITRI = "marit.oyelaran", "dimitri.achterberg"
LIGHTHOUSE, KEEPERS = f"Lighthouse {RUN}", f"Lighthouse Keepers {RUN}"
OSKAR, PAULA = "oskar.medina", "paula.achebe"
ANCHORS, WATCH = f"Anchors {RUN}", f"Anchor Watch {RUN}"
SIOBHAN, PADRAIG = "siobhan.nakagawa", "padraig.osei"
NEVE, CIAN = "neve.adeyemi", "cian.ivanova"
SURVEY, BULK = f"Survey ({RUN}) – Cork", f"Bulk {RUN}"
IMPORTED = [f"import{number}" for number in range(1, 6)]

# By dialogue, the name of the step after which it is looked, and what is there then. "" is the end.
MEANT = {
    "okta-oin-patch": {
        "create the user": Meant(
            users={MARIT: True}, attributes={MARIT: {"displayName": "Marit Oyelaran"}}
        ),
        "profile push: the whole user by PUT": Meant(
            users={MARIT: True, DIMITRI: True},
            attributes={MARIT: {"displayName": "Marit Elin Oyelaran", "middleName": "Elin"}},
        ),
        "deactivate, pathless": Meant(users={MARIT: False, DIMITRI: True}),
        "reactivate, pathless": Meant(users={MARIT: True, DIMITRI: True}),
        "group push: add a member": Meant(
            users={MARIT: True, DIMITRI: True}, groups={LIGHTHOUSE: {MARIT}}
        ),
        "group push: remove and add in one request": Meant(
            users={MARIT: True, DIMITRI: True}, groups={LIGHTHOUSE: {DIMITRI}}
        ),
        "group push: replace the whole membership": Meant(
            users={MARIT: True, DIMITRI: True}, groups={LIGHTHOUSE: {MARIT, DIMITRI}}
        ),
        "group push: a rename keeps the members": Meant(
            users={MARIT: True, DIMITRI: True}, groups={KEEPERS: {MARIT, DIMITRI}}
        ),
        "group push: replace with nobody": Meant(
            users={MARIT: True, DIMITRI: True}, groups={KEEPERS: set()}
        ),
        "unassign: deactivate, never DELETE": Meant(
            users={MARIT: True, DIMITRI: False}, groups={KEEPERS: set()}
        ),
        "": Meant(
            users={MARIT: False, DIMITRI: False},
            groups={KEEPERS: set()},
            attributes={MARIT: {"displayName": "Marit Elin Oyelaran"}},
        ),
    },
    "okta-import": {
        "prepare user 5": Meant(
            users=dict.fromkeys(IMPORTED, True),
            attributes={"import3": {"displayName": "Freya Novák"}},
        ),
        "prepare the group": Meant(
            users=dict.fromkeys(IMPORTED, True), groups={f"Import {RUN}": {"import1", "import2"}}
        ),
        "clean up user 1": Meant(
            users={**dict.fromkeys(IMPORTED, True), "import1": False},
            groups={f"Import {RUN}": set()},
        ),
        "": Meant(users=dict.fromkeys(IMPORTED, False), groups={f"Import {RUN}": set()}),
    },
    "pingfederate": {
        "create a second, disabled from the start": Meant(
            users={OSKAR: True, PAULA: False},
            attributes={OSKAR: {"department": "Moorings", "manager": None}},
        ),
        "update: always PUT, never PATCH": Meant(
            users={OSKAR: True, PAULA: False},
            attributes={OSKAR: {"department": "Anchorage", "displayName": "Oskar J. Medina"}},
        ),
        # Paula is a member for the client only, as long as she is disabled.
        "membership: PATCH add": Meant(
            users={OSKAR: True, PAULA: False}, groups={ANCHORS: {OSKAR}}
        ),
        "membership: PUT, with PATCH for groups turned off": Meant(
            users={OSKAR: True, PAULA: False}, groups={ANCHORS: {OSKAR}}
        ),
        "rename by PUT": Meant(users={OSKAR: True, PAULA: False}, groups={WATCH: {OSKAR}}),
        "remove user action: disable": Meant(
            users={OSKAR: False, PAULA: False}, groups={WATCH: set()}
        ),
        "back in scope: enabled": Meant(
            users={OSKAR: True, PAULA: False},
            groups={WATCH: {OSKAR}},
            attributes={OSKAR: {"displayName": "Oskar J. Medina", "department": None}},
        ),
        "delete the group": Meant(users={OSKAR: True, PAULA: False}, groups={WATCH: set()}),
        "": Meant(users={OSKAR: False, PAULA: False}, groups={WATCH: set()}),
    },
    "hr-system-push": {
        "hire": Meant(
            users={SIOBHAN: True},
            attributes={
                SIOBHAN: {"title": "Marine Surveyor", "costCenter": "4400", "department": "Survey"}
            },
        ),
        "job change: PUT with everything": Meant(
            users={SIOBHAN: True, PADRAIG: True},
            attributes={
                SIOBHAN: {
                    "title": "Senior Marine Surveyor", "costCenter": "4410", "manager": PADRAIG,
                }
            },
        ),
        "organisation changes": Meant(
            users={SIOBHAN: True, PADRAIG: True},
            groups={SURVEY: {SIOBHAN, PADRAIG}},
            attributes={SIOBHAN: {"displayName": "Siobhán Nakagawa-Byrne"}},
        ),
        "bulk: two hires and a group that names them": Meant(
            users={SIOBHAN: True, PADRAIG: True, NEVE: True, CIAN: True},
            groups={SURVEY: {SIOBHAN, PADRAIG}, BULK: {NEVE, CIAN}},
        ),
        "bulk: delete the group": Meant(
            users={SIOBHAN: True, PADRAIG: True, NEVE: True, CIAN: True},
            groups={SURVEY: {SIOBHAN, PADRAIG}, BULK: set()},
        ),
        "bulk: remove both again": Meant(
            users={SIOBHAN: True, PADRAIG: True, NEVE: False, CIAN: False},
            groups={SURVEY: {SIOBHAN, PADRAIG}, BULK: set()},
        ),
        "leave of absence": Meant(
            users={SIOBHAN: False, PADRAIG: True, NEVE: False, CIAN: False},
            groups={SURVEY: {PADRAIG}, BULK: set()},
        ),
        "returns": Meant(
            users={SIOBHAN: True, PADRAIG: True, NEVE: False, CIAN: False},
            groups={SURVEY: {SIOBHAN, PADRAIG}, BULK: set()},
        ),
        "terminated": Meant(
            users={SIOBHAN: False, PADRAIG: True, NEVE: False, CIAN: False},
            groups={SURVEY: {PADRAIG}, BULK: set()},
        ),
        "": Meant(
            users={SIOBHAN: False, PADRAIG: False, NEVE: False, CIAN: False},
            groups={SURVEY: set(), BULK: set()},
            attributes={SIOBHAN: {"title": "Senior Marine Surveyor"}},
        ),
    },
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer over HTTP as the player reads it."""

    status_code: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(kw_only=True)
class Client:
    """Sends the steps of a dialogue over HTTP, and after some of them waits for what was meant."""

    bridge: Bridge
    sandbox: Center
    steps: list[dict[str, Any]]
    meant: dict[str, Meant]
    # Who was there before.
    strangers: frozenset[str]
    sent: int = 0

    def send(
        self,
        method: str,
        path: str,
        *,
        data: bytes | None,
        content_type: str,
        headers: Mapping[str, str],
    ) -> Answer:
        sent = {**headers, "Authorization": f"Bearer {self.bridge.token}"}
        if data is not None:
            sent["Content-Type"] = content_type
        address = f"{self.bridge.url}/scim/v2{path}"
        answer = requests.request(method, address, data=data, headers=sent, timeout=30)
        name = self.steps[self.sent]["name"]
        self.sent += 1
        if answer.ok and name in self.meant:
            self.look(name)
        return Answer(status_code=answer.status_code, text=answer.text)

    def look(self, step: str) -> None:
        """Wait until Identity Center holds what was meant after this step."""
        meant = self.meant[step]
        try:
            until(lambda: self._held(meant) == meant, within=30)
        except AssertionError:
            assert self._held(meant) == meant, step

    def _held(self, meant: Meant) -> Meant:
        """What there is, as far as it can be compared with what was meant."""
        users = [u for u in self.sandbox.state()["users"] if u["userName"] not in self.strangers]
        names = {one["id"]: _short(one["userName"]) for one in users}
        found = {_short(one["userName"]): _attributes(one, names) for one in users}
        return Meant(
            users={names[one["id"]]: one["active"] for one in users},
            groups={
                group: {_short(name) for name in members}
                for group, members in self.sandbox.memberships().items()
                if group not in self.strangers
            },
            attributes={
                name: {attribute: found.get(name, {}).get(attribute) for attribute in wanted}
                for name, wanted in meant.attributes.items()
            },
        )


def _short(name: str) -> str:
    return name.partition(f".{RUN}")[0]


def _attributes(user: dict[str, Any], names: dict[str, str]) -> dict[str, str | None]:
    flat = {**user, **user["name"], **user.get(ENTERPRISE, {})}
    manager = (flat.get("manager") or {}).get("value")
    flat["manager"] = names.get(manager, manager)
    return {attribute: flat.get(attribute) for attribute in ATTRIBUTES}


@pytest.fixture(scope="module")
def served(sigv4_center: Center, tmp_path_factory: pytest.TempPathFactory):
    """One bridge for all dialogues, which follow each other on it."""
    installation: Installation = install(
        sigv4_center, tmp_path_factory.mktemp("dialogues") / "bridge"
    )
    with installation.serving() as bridge:
        yield bridge
        installation.settle()
    sigv4_center.reset()


@pytest.mark.parametrize("file", DIALOGUES, ids=lambda file: file.stem)
def test_identity_center_holds_what_the_client_meant(file, served, sigv4_center):
    """After every step that changes something at Identity Center, and at the end."""
    dialogue = json.loads(file.read_text(encoding="utf-8"))
    before = frozenset({*sigv4_center.active(), *sigv4_center.memberships()})
    client = Client(
        bridge=served,
        sandbox=sigv4_center,
        steps=dialogue["steps"],
        meant=MEANT[file.stem],
        strangers=before,
    )
    base = {**dialogue.get("vars", {}), "base": f"{served.url}/scim/v2"}
    play({**dialogue, "vars": base}, client)
    served.arrive()
    client.look("")
    steps = {step["name"] for step in dialogue["steps"]}
    assert client.meant.keys() <= steps | {""}
