"""Whatever comes in between, the sandbox ends as the clients' words say (design, sections 3 and 4).

A long run: `CONVERGENCE_EXAMPLES=2000 pytest tests/sync/test_convergence.py`;
with `CONVERGENCE_SHRINK=1` a failure is made as short as it gets, which takes minutes.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from scim_bridge.directory import tables
from scim_bridge.directory.actor import BRIDGE, acting
from scim_bridge.directory.database import Database
from scim_bridge.errors import Refused
from scim_bridge.sync.marks import Intent
from tests.sync.conftest import GROUP, USER, Directory, Sandbox
from tests.sync.convergence import (
    OUTSIDE,
    STRANGER,
    Act,
    Found,
    Held,
    Hire,
    Model,
    activations,
    acts,
    dissolutions,
    edits,
    foundings,
    hires,
    leaves,
    moves,
    renames,
    replacements,
)
from tests.sync.interruptions import Bridges, Killed, When, around, perform

EXAMPLES = int(os.environ.get("CONVERGENCE_EXAMPLES", "50"))
# At most; an example may be shorter.
STEPS = int(os.environ.get("CONVERGENCE_STEPS", "50"))
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
if "CONVERGENCE_SHRINK" in os.environ:
    PHASES.append(Phase.shrink)
# Until everything rests, after the last fault is mended.
ROUNDS = 8

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# What the sandbox does to a call.
Trouble = dict[str, Any] | None
_faults: list[Trouble] = [{"status": 429}, {"status": 500}, {"status": 401}, {"drop_answer": True}]
REFUSAL: Trouble = {"status": 400}
troubles = st.sampled_from([None, None, None, *_faults, REFUSAL])


class Convergence(RuleBasedStateMachine):
    """Clients write, deliveries fail, processes die, and in the end everything is right."""

    write_via = "scim"
    model_of = Model

    def __init__(
        self,
        *,
        database: Database,
        template: Path,
        sandbox: Sandbox,
        assemble: Callable[..., Directory],
    ) -> None:
        super().__init__()
        self.database = database
        self.template = template
        self.sandbox = sandbox
        self.assemble = assemble
        self.broken = True
        self._fresh()

    def _fresh(self) -> None:
        self.database.close()
        file = self.database.path
        for leftover in file.parent.glob(f"{file.name}*"):
            leftover.unlink()
        shutil.copy(self.template, file)
        requests.post(f"{self.sandbox.server.url}/_sandbox/reset", timeout=5)
        self.sandbox.make_user(STRANGER)
        self.sandbox.make_group(OUTSIDE)

    @initialize(
        strict=st.booleans(),
        restores=st.booleans(),
        quiet=st.sampled_from([0.0, 60.0]),
        first=st.lists(hires, min_size=1, max_size=3),
        group=foundings,
    )
    def begin(
        self, strict: bool, restores: bool, quiet: float, first: list[Hire], group: Found
    ) -> None:
        self.sandbox.behave(strict_disabled=strict)
        # A strict Identity Center does not let an address of a disabled user be cleared.
        self.model = self.model_of(restores=restores, own_addresses=strict)
        self.bridges = Bridges(
            self.database,
            lambda **settings: self.assemble(
                coalesce=quiet,
                restore_within=86400.0 if restores else 0.0,
                write_via=self.write_via,
                **settings,
            ),
        )
        # Changes that were made by a process that was lost before it could write them down.
        self.lost: set[str] = set()
        # Whether a write may have failed, for an operator to try again.
        self.was_refused = False
        self.broken = False
        for act in first:
            self._do(act, within=True)
        self._do(group, within=True)

    # -- What clients do --------------------------------------------------------

    @rule(act=hires, within=st.booleans(), trouble=troubles)
    def somebody_is_hired(self, act: Act, within: bool, trouble: Trouble) -> None:
        self._do(act, within=within, trouble=trouble)

    @rule(act=edits, within=st.booleans(), trouble=troubles)
    def somebody_is_edited(self, act: Act, within: bool, trouble: Trouble) -> None:
        self._do(act, within=within, trouble=trouble)

    @rule(act=activations, within=st.booleans(), trouble=troubles)
    def somebody_is_deactivated_or_returns(self, act: Act, within: bool, trouble: Trouble) -> None:
        self._do(act, within=within, trouble=trouble)

    @rule(act=leaves, within=st.booleans(), trouble=troubles)
    def somebody_leaves(self, act: Act, within: bool, trouble: Trouble) -> None:
        self._do(act, within=within, trouble=trouble)

    @rule(act=foundings, within=st.booleans(), trouble=troubles)
    def a_group_is_founded(self, act: Act, within: bool, trouble: Trouble) -> None:
        self._do(act, within=within, trouble=trouble)

    @rule(act=renames, within=st.booleans(), trouble=troubles)
    def a_group_is_renamed(self, act: Act, within: bool, trouble: Trouble) -> None:
        self._do(act, within=within, trouble=trouble)

    @rule(act=moves, within=st.booleans(), trouble=troubles)
    def members_join_and_go(self, act: Act, within: bool, trouble: Trouble) -> None:
        self._do(act, within=within, trouble=trouble)

    @rule(act=replacements, within=st.booleans(), trouble=troubles)
    def members_are_replaced(self, act: Act, within: bool, trouble: Trouble) -> None:
        self._do(act, within=within, trouble=trouble)

    @rule(act=dissolutions, within=st.booleans(), trouble=troubles)
    def a_group_is_dissolved(self, act: Act, within: bool, trouble: Trouble) -> None:
        self._do(act, within=within, trouble=trouble)

    def _do(self, wished: Act, *, within: bool, trouble: Trouble = None) -> None:
        """Write, and deliver within the request, in trouble or not, or leave it to the worker."""
        act = self.model.fitted(wished)
        if act is None:
            return
        if trouble == REFUSAL:
            self._do_refused(act)
            return
        if trouble is not None:
            self.sandbox.fault(**trouble)
        with self._alert():
            if within:
                self._do_within(act)
            else:
                perform(self.bridges.other, self.model, act)

    def _do_within(self, act: Act) -> None:
        # Whoever came while a lost holder has a lease would only wait in vain.
        self.bridges.other.expire_leases()
        with self._at_the_front() as front:
            perform(front, self.model, act)

    def _do_refused(self, act: Act) -> None:
        """Write something that Identity Center refuses: it is undone, or tried again later."""
        if not self.model.may_be_refused(act):
            return
        self.bridges.calm()
        self.bridges.other.expire_leases()
        self.sandbox.mend()
        self.sandbox.fault(**REFUSAL)
        self.was_refused = True
        before = deepcopy(self.model)
        with self._alert():
            try:
                perform(self.bridges.front, self.model, act)
            except Refused:
                self.model = before.after_refusal(act, self.model)
        self.sandbox.mend()

    # -- What the worker does ---------------------------------------------------

    @rule(place=st.integers(0, 5))
    def the_worker_delivers_one(self, place: int) -> None:
        with self._alert(), self._at_the_front() as front, acting(BRIDGE):
            due = front.marks.due(6)
            lease = front.marks.claim(due[place % len(due)]) if due else None
            if lease is not None:
                front.reconciler.reconcile(lease)

    @rule(which=st.sampled_from(["front", "other"]))
    def a_worker_delivers_everything(self, which: str) -> None:
        with self._alert():
            if which == "other":
                self.bridges.other.deliver()
                return
            with self._at_the_front() as front:
                front.deliver()

    @rule(leases=st.booleans())
    def time_passes(self, leases: bool) -> None:
        """The pauses between tries are over, and perhaps the leases of lost holders too."""
        if leases:
            self.bridges.other.expire_leases()
        self._let_pauses_end()

    def _let_pauses_end(self) -> None:
        for directory in (self.bridges.front, self.bridges.other):
            directory.make_everything_due()
            directory.probe()

    # -- What goes wrong --------------------------------------------------------

    @rule(
        operation=st.sampled_from(
            ["*", "CreateUser", "PatchUser", "CreateGroup", "PatchGroup", "ListUsers", "ListGroups"]
        ),
        fault=st.sampled_from(_faults),
        times=st.integers(1, 3),
        after=st.integers(0, 2),
    )
    def the_sandbox_misbehaves(
        self, operation: str, fault: dict[str, Any], times: int, after: int
    ) -> None:
        self.sandbox.fault(operation, times=times, after=after, **fault)

    @rule()
    def the_sandbox_is_mended(self) -> None:
        self.sandbox.mend()

    @rule(when=st.sampled_from(["before", "after"]))
    def the_process_is_killed_at_its_next_call(self, when: When) -> None:
        def kill(call: Callable[..., Any]) -> Any:
            if when == "after":
                call()
            raise Killed

        self.bridges.next_call = kill

    @rule(number=st.integers(1, 6))
    def the_process_is_killed_at_a_transaction(self, number: int) -> None:
        self.bridges.transactions_left = number

    @rule()
    def the_next_answer_comes_too_late(self) -> None:
        """The call is done when nobody waits for it any more."""

        def late(call: Callable[..., Any]) -> Any:
            known = len(self._requests())
            self.sandbox.fault(delay=0.08)
            try:
                return call(time.monotonic() + 0.04)
            finally:
                self._wait_for_more_than(known)
                self.lost |= {entry["request_id"] for entry in self._requests()[known:]}

        self.bridges.next_call = late

    def _wait_for_more_than(self, known: int) -> None:
        """Wait for the call, unless it was not even sent because this machine was too slow."""
        ends = time.monotonic() + 2.0
        while len(self._requests()) <= known and time.monotonic() < ends:
            time.sleep(0.01)

    @rule(when=st.sampled_from(["before", "after"]), act=acts, delivered=st.booleans())
    def a_client_comes_in_between(self, when: When, act: Act, delivered: bool) -> None:
        """While a call is under way another process takes a write, and delivers what it can."""

        def between() -> None:
            with self.bridges.elsewhere() as other:
                if (fitted := self.model.fitted(act)) is not None:
                    perform(other, self.model, fitted)
                if delivered:
                    other.deliver()

        self.bridges.next_call = around(between, when)

    @rule()
    def a_lease_is_lost_at_the_next_call(self) -> None:
        """The answer takes so long that somebody else has taken over, and done everything."""

        def taken_over() -> None:
            with self.bridges.elsewhere() as other:
                other.expire_leases()
                other.deliver()

        self.bridges.next_attempt = around(taken_over, "after")

    # -- What is done by hand ---------------------------------------------------

    @rule(place=st.integers(0, 11))
    def somebody_is_added_by_hand(self, place: int) -> None:
        """At Identity Center itself, to a group that is as the directory wants it."""
        groups = {**self._resting_groups(), OUTSIDE: OUTSIDE}
        center = Held.read(self.sandbox.state())
        active = sorted(name for name, user in center.users.items() if user["active"])
        pairs = [
            (record, name)
            for record, group in groups.items()
            for name in active
            if name not in center.members[group]
        ]
        if not pairs:
            return
        record, name = pairs[place % len(pairs)]
        with self._faults_set_aside():
            self.sandbox.join(groups[record], name)
        person = self.model.people.get(name)
        sure = person is None or (person.effective and self._rests("user", person.record))
        self.model.by_hand[record, name] = "stays" if sure else "may"

    def _resting_groups(self) -> dict[str, str]:
        live = [team for team in self.model.teams.values() if team.live]
        return {team.record: team.name for team in live if self._rests("group", team.record)}

    def _rests(self, kind: str, record: str) -> bool:
        return self.bridges.other.mark_state(kind, record) == "clear"

    # -- How it ends ------------------------------------------------------------

    @rule()
    def everything_comes_to_rest(self) -> None:
        with self._alert():
            self._rest()
            state = self.sandbox.state()
            assert self.model.differences(state) == []
            self.model.rest(state)

    def teardown(self) -> None:
        if self.broken:
            return
        self._rest()
        assert self.model.differences(self.sandbox.state()) == []
        assert self._unlike_the_model() == []
        self._assert_every_call_is_audited()
        self._assert_nothing_is_left_to_do()

    def _rest(self) -> None:
        self.sandbox.mend()
        self.bridges.calm()
        for _ in range(ROUNDS):
            self.bridges.other.expire_leases()
            self._let_pauses_end()
            if self.was_refused:
                self.bridges.other.decisions.retry()
            self.bridges.other.deliver()
            if self.bridges.other.states() <= {"clear"}:
                return
        assert self._unsettled() == []

    def _unsettled(self) -> list[tuple[str, str, str]]:
        with self.database.reading() as connection:
            rows = connection.execute(
                tables.pending.select().where(tables.pending.c.state != "clear")
            ).all()
        return [(row.kind, row.state, row.last_error) for row in rows]

    def _unlike_the_model(self) -> list[str]:
        """In which ways the directory, as clients read it, is not what they wrote."""
        resources, wrong = self.bridges.other.resources, []
        for name, person in self.model.people.items():
            if person.live:
                user: Any = resources.get(USER, person.record)
                if (user.active, user.title) != (person.active, person.attributes.get("title")):
                    wrong.append(f"{name}: {user.active}, {user.title}")
        for team in self.model.teams.values():
            if team.live:
                group: Any = resources.get(GROUP, team.record)
                members = {member.value for member in group.members or []}
                if members != {self.model.people[name].record for name in team.members}:
                    wrong.append(f"{team.name}: {sorted(members)}")
        return wrong

    def _assert_every_call_is_audited(self) -> None:
        """The trail names each change that the bridge made, and no other (design, section 6)."""
        made = {
            entry["request_id"]
            for entry in self._requests()
            if self._is_write(entry) and entry["status"] < 300 and self._is_the_bridges(entry)
        }
        known = {entry["request_id"] for entry in self._requests() if entry["dropped"]} | self.lost
        audited = {row.target_request_id for row in self.bridges.other.audited("call")}
        assert made - known <= audited
        assert audited <= made

    def _assert_nothing_is_left_to_do(self) -> None:
        """Looking at everything again, and at the sandbox first, changes nothing."""
        for mark in self.bridges.other.marks.marked("clear"):
            self.bridges.other.marks.mark(Intent(key=mark.key, reread=True))
        known = len(self._requests())
        self.bridges.other.deliver()
        later = self._requests()[known:]
        assert [entry for entry in later if self._is_write(entry)] == []
        assert self.bridges.other.states() <= {"clear"}

    # -- The steps of the rules -------------------------------------------------

    @contextmanager
    def _alert(self) -> Iterator[None]:
        """An example that failed is not looked at any more."""
        self.broken = True
        yield
        self.broken = False

    @contextmanager
    def _at_the_front(self) -> Iterator[Directory]:
        """Do something at the front, which may be killed by it."""
        try:
            with self.bridges.at_the_front() as front:
                yield front
        except Killed:
            self.lost |= self._unaudited()
            self.bridges.restart()

    def _unaudited(self) -> set[str]:
        audited = {row.target_request_id for row in self.bridges.other.audited("call")}
        return {entry["request_id"] for entry in self._requests()} - audited

    @contextmanager
    def _faults_set_aside(self) -> Iterator[None]:
        url = f"{self.sandbox.server.url}/_sandbox/faults"
        ordered = requests.get(url, timeout=5).json()["faults"]
        self.sandbox.mend()
        yield
        for fault in ordered:
            self.sandbox.fault(**fault)

    def _requests(self) -> list[dict[str, Any]]:
        # Assignments are another door's: here nobody has any.
        everything = self._everything_asked()
        return [entry for entry in everything if not entry["operation"].startswith("sso:")]

    def _everything_asked(self) -> list[dict[str, Any]]:
        url = f"{self.sandbox.server.url}/_sandbox/requests"
        made: list[dict[str, Any]] = requests.get(url, timeout=5).json()["requests"]
        return made

    def _is_write(self, entry: dict[str, Any]) -> bool:
        return entry["method"] in WRITES

    def _is_the_bridges(self, entry: dict[str, Any]) -> bool:
        return (entry["user_agent"] or "").startswith("scim-bridge/")


@pytest.mark.timeout(300 if EXAMPLES <= 50 else 0)
def test_the_sandbox_ends_as_the_clients_words_say(
    database: Database,
    migrated_file: Path,
    sandbox: Sandbox,
    assemble: Callable[..., Directory],
) -> None:
    """Writes, deliveries, faults, lost leases and crashes in any order end in effective access."""
    run_state_machine_as_test(
        lambda: Convergence(
            database=database, template=migrated_file, sandbox=sandbox, assemble=assemble
        ),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            phases=PHASES,
        ),
    )
