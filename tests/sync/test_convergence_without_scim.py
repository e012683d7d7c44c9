"""The same without SCIM: whatever comes in between, nobody holds what they should have lost.

A long run: `CONVERGENCE_EXAMPLES=2000 pytest tests/sync/test_convergence_without_scim.py`.
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from scim_bridge.directory.database import Database
from tests.sync.conftest import Directory, Sandbox
from tests.sync.convergence import Model
from tests.sync.test_convergence import PHASES, STEPS, Convergence, _faults

EXAMPLES = int(os.environ.get("CONVERGENCE_EXAMPLES", "10"))
READS = ("Get", "List", "Describe", "IsMember")


class ModelWithoutScim(Model):
    """Nobody is ever disabled, and nobody created before they are active."""

    def differences(self, state: Mapping[str, Any]) -> list[str]:
        inactive = [name for name, person in self.people.items() if not person.effective]
        users = [
            {**user, "active": user["active"] and user["userName"] not in inactive}
            for user in state["users"]
        ]
        never = {f"{name} is missing" for name in inactive}
        found = super().differences({**state, "users": users})
        disabled = [user["userName"] for user in state["users"] if not user["active"]]
        return [one for one in found if one not in never] + disabled

    def rest(self, state: Mapping[str, Any]) -> None:
        """Whoever is inactive can still be added by hand, and loses that at the next look at them.

        Where SCIM is, they are disabled, and nobody adds them.
        """
        super().rest(state)
        for record, name in self.by_hand:
            if (person := self.people.get(name)) and not person.effective:
                self.by_hand[record, name] = "may"


class ConvergenceWithoutScim(Convergence):
    """Over the Identity Store API: one call for a membership, and no externalId to find."""

    write_via = "identity-store"
    model_of = ModelWithoutScim

    @rule(
        operation=st.sampled_from(
            ["CreateUser", "UpdateUser", "CreateGroup", "CreateGroupMembership",
             "DeleteGroupMembership", "GetUserId", "GetGroupId", "DescribeUser"]
        ),
        fault=st.sampled_from([*_faults, {"error": "AccessDeniedException"}]),
        times=st.integers(1, 2),
    )  # fmt: skip
    def the_api_misbehaves(self, operation: str, fault: dict[str, Any], times: int) -> None:
        self.sandbox.fault(f"identitystore:{operation}", times=times, **fault)

    def _is_write(self, entry: dict[str, Any]) -> bool:
        api, _, name = entry["operation"].partition(":")
        return api == "identitystore" and not name.startswith(READS)

    def _wait_for_more_than(self, known: int) -> None:
        """Each attempt makes several calls, any of which may be the late one."""
        time.sleep(0.12)
        super()._wait_for_more_than(known)

    def _assert_every_call_is_audited(self) -> None:
        """As over SCIM; a membership that is there, or not, already is audited all the same."""
        entries = [one for one in self._requests() if self._is_the_bridges(one)]
        made = {one["request_id"] for one in entries if self._is_write(one) and one["status"] < 300}
        known = {one["request_id"] for one in self._requests() if one["dropped"]} | self.lost
        other = self.bridges.other
        # A change that was done, and could not be looked at, is audited as unanswered; and one that
        # was not even begun, since AWS did not say which store is meant.
        everything = filter(self._is_the_bridges, self._everything_asked())
        asked = {one["request_id"] for one in everything}
        rows = [*other.audited("call"), *other.audited("unanswered")]
        audited = {row.target_request_id for row in rows}
        assert made - known <= audited
        assert audited - {None} <= asked


@pytest.mark.timeout(300 if EXAMPLES <= 50 else 0)
def test_the_sandbox_ends_as_the_clients_words_say_without_scim(
    database: Database,
    migrated_file: Path,
    sandbox: Sandbox,
    assemble: Callable[..., Directory],
) -> None:
    """Writes, faults, lost answers and crashes in any order end in effective access."""
    run_state_machine_as_test(
        lambda: ConvergenceWithoutScim(
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
