"""`plan --calls` tells the very calls that a sync then makes."""

import json
import random
from collections import Counter

import pytest
import requests

from scim_bridge.cli.plan import operation
from scim_bridge.cli.rehearsal import rehearse
from scim_bridge.sandbox import SandboxServer
from scim_bridge.settings import load
from tests.cli.operation import Sandbox, client_of, in_front_of

ENTITLEMENTS = "urn:ietf:params:scim:schemas:extension:scimbridge:2.0:Group"
WRITES = {
    "CreateUser",
    "PatchUser",
    "CreateGroup",
    "PatchGroup",
    "DeleteGroup",
    "sso:CreateAccountAssignment",
    "sso:DeleteAccountAssignment",
}
LATER = "[delivery]\nwait = 0\ncoalesce = 0\n[groups]\ndelete = 'remove'\n"


@pytest.fixture(scope="module")
def server():
    with SandboxServer() as server:
        yield server


class Life:
    """Random pushes of a client, of which some have been delivered."""

    def __init__(self, client, seed: int) -> None:
        self.client, self.random = client, random.Random(seed)
        self.users: list[str] = []
        self.groups: list[str] = []
        self.number = 0

    def go_on(self, steps: int) -> None:
        for _ in range(steps):
            self.random.choice(
                [self.hire, self.hire, self.found, self.rename, self.leave, self.come_back,
                 self.move, self.entitle, self.close, self.deliver]
            )()  # fmt: skip

    def hire(self) -> None:
        self.number += 1
        self.users.append(self.client.add_user(f"p{self.number}@example.com"))

    def found(self) -> None:
        self.number += 1
        self.groups.append(self.client.add_group(f"g{self.number}", *self._some(self.users)))

    def rename(self) -> None:
        for user in self._some(self.users)[:1]:
            title = self.random.choice(["engineer", "manager"])
            self.client.patch(f"/Users/{user}", title=title)

    def leave(self) -> None:
        for user in self._some(self.users)[:1]:
            self.client.patch(f"/Users/{user}", active=False)

    def come_back(self) -> None:
        for user in self._some(self.users)[:1]:
            self.client.patch(f"/Users/{user}", active=True)

    def move(self) -> None:
        for group in self._some(self.groups)[:1]:
            members = [{"value": user} for user in self._some(self.users)]
            self.client.patch(f"/Groups/{group}", members=members)

    def entitle(self) -> None:
        for group in self._some(self.groups)[:1]:
            name = self.random.choice(["ReadOnlyAccess", "Billing"])
            value = [{"accountId": "222233334444", "permissionSet": name}]
            self.client.patch(f"/Groups/{group}", **{f"{ENTITLEMENTS}:accountAssignments": value})

    def close(self) -> None:
        if self.groups and self.random.random() < 0.5:
            group = self.groups.pop()
            self.client.send("DELETE", f"/Groups/{group}")

    def deliver(self) -> None:
        self.client.bridge.worker().run_once()

    def _some(self, ids: list[str]) -> list[str]:
        return self.random.sample(ids, self.random.randint(0, len(ids)))


def made(sandbox: Sandbox) -> Counter:
    """The write calls that the sandbox has counted, whatever they were answered."""
    counted = requests.get(f"{sandbox.url}/_sandbox/calls", timeout=10).json()
    return Counter({name: sum(counted[name].values()) for name in WRITES & counted.keys()})


@pytest.mark.parametrize("seed", range(50))
def test_the_calls_of_the_plan_are_the_calls_of_the_sync(server, tmp_path, run, seed):
    """For fifty different states: of people, groups, memberships and assignments."""
    sandbox = Sandbox(url=server.url)
    requests.post(f"{server.url}/_sandbox/reset", timeout=10)
    file = in_front_of(server, tmp_path, more=LATER, auth="sigv4")
    with client_of(file, entitlements=True) as client:
        client.bridge.watch.schedule.read_now(["catalogue"])
        Life(client, seed).go_on(14)
        requests.delete(f"{server.url}/_sandbox/calls", timeout=10)

        planned = Counter(map(operation, rehearse(load(file, {}), client.bridge.database)))
        assert made(sandbox) == Counter()
        client.bridge.worker().run_once()

    assert made(sandbox) == planned


def test_the_calls_are_printed_and_nothing_is_changed(server, tmp_path, run):
    """As operations of AWS, for people and as JSON; the plan can be made again."""
    requests.post(f"{server.url}/_sandbox/reset", timeout=10)
    file = in_front_of(server, tmp_path, more=LATER, auth="sigv4")
    with client_of(file) as client:
        client.add_group("engineers", client.add_user("jane@example.com"))

    first = json.loads(run("--config", str(file), "plan", "--calls", "--json").stdout)
    said = run("--config", str(file), "plan", "--calls").stdout

    assert [one["operation"] for one in first["calls"]] == [
        "CreateUser", "CreateGroup", "PatchGroup",
    ]  # fmt: skip
    assert said.count("\n") == 3
    assert Sandbox(url=server.url).state()["users"] == []
