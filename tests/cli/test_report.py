"""`scim-bridge report`: what an auditor reads about leavers, joiners and movers."""

import csv
import io

import pytest

from scim_bridge.sandbox import SandboxServer
from scim_bridge.sync.holdings import BY_HAND
from tests.cli.operation import ENTERPRISE, Sandbox, client_of, in_front_of
from tests.cli.test_access import ACCOUNT, GROUP, JANE, Aws


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """jane comes, moves, is given something by hand and leaves, while a group cannot be called."""
    folder = tmp_path_factory.mktemp("story")
    with SandboxServer() as server:
        file = in_front_of(server, folder, auth="sigv4")
        sandbox = Sandbox(url=server.url)
        sandbox.behave(assignment_seconds=0.0)
        with client_of(file, entitlements=True) as client:
            client.bridge.watch.schedule.read_now(["catalogue"])
            jane = client.add_user(JANE)
            for name in ("engineers", "readers"):
                group = client.add_group(name, jane)
                if name == "engineers":
                    client.patch(f"/Groups/{group}", **{f"{GROUP}:accountAssignments": [
                        {"accountId": ACCOUNT, "permissionSet": "ReadOnlyAccess"}]})  # fmt: skip
            client.bridge.worker().run_once()
            client.patch(f"/Users/{jane}", **{f"{ENTERPRISE}:department": "R&D"})
            Aws(server).assign(sandbox.user(JANE)["id"], "Billing")
            client.bridge.watch.schedule.read_now()
            client.patch(f"/Groups/{group}", members=[])
            client.bridge.worker().run_once()
            sandbox.fault("sso:DeleteAccountAssignment", status=503, times=None)
            client.patch(f"/Users/{jane}", active=False)
            client.bridge.worker().run_once()
            yield file, client, sandbox


@pytest.fixture
def settings(story):
    return ("--config", str(story[0]))


def test_an_offboarding_names_each_access_and_what_is_still_there(run, json_of, story, settings):
    """When it was to go, when it was gone and AWS's request; what is left is never told as gone.

    Also what was taken away just before the person left: identity providers begin with it.
    """
    _, client, sandbox = story

    page = json_of(*settings, "report", "offboarding", JANE)

    assert (page["userName"], page["left"]["by"]) == (JANE, "client:hr")
    assert page["left"]["request"]
    assert page["disabled"]["awsRequests"]
    assert page["enabledAtIdentityCenter"] is False
    told = {one["access"]: one for one in page["accesses"]}
    assert set(told) == {
        f"ReadOnlyAccess in account {ACCOUNT} through group engineers",
        "group readers",
        f"Billing in account {ACCOUNT}",
    }
    through = told[f"ReadOnlyAccess in account {ACCOUNT} through group engineers"]
    assert (through["state"], through["origin"]) == ("gone", "client:hr")
    assert len(through["gone"]["awsRequests"]) == 1
    assert through["asked"]["at"] <= through["gone"]["at"]
    before = told["group readers"]
    assert (before["state"], before["asked"]["by"]) == ("gone", "client:hr")
    assert before["asked"]["request"] != page["left"]["request"]
    left = told[f"Billing in account {ACCOUNT}"]
    assert (left["state"], left["loss"], left["gone"]) == ("still there", "pending", None)
    assert (page["isComplete"], page["allGone"]) == (False, None)
    text = run(*settings, "report", "offboarding", JANE).stdout
    assert f"**Billing in account {ACCOUNT}**: still there, its loss is pending" in text

    sandbox.mend()
    client.bridge.access_marks.wake("pending")
    client.bridge.worker().run_once()

    page = json_of(*settings, "report", "offboarding", JANE)
    gone = next(one for one in page["accesses"] if one["permissionSet"] == "Billing")
    assert (gone["state"], gone["origin"]) == ("gone", BY_HAND)
    assert page["isComplete"]
    assert page["allGone"] == gone["gone"]["at"]
    assert "Nothing, as far as" in run(*settings, "report", "offboarding", JANE).stdout


def test_a_period_names_who_came_moved_and_left(run, json_of, settings):
    """One row a change, in Markdown, as JSON and as a sheet that no spreadsheet executes."""
    found = json_of(*settings, "report", "joiners-movers-leavers", "--since", "1d")

    told = {one["what"]: one for one in found}
    assert told["was created"]["who"] == "joiner"
    assert told["was created"]["done"]["awsRequests"]
    assert told["joined group engineers"]["who"] == "joiner"
    assert told["joined group engineers"]["state"] == "done"
    assert told["changed department"]["who"] == "mover"
    assert told["left"]["who"] == "leaver"
    assert told["lost group readers"]["state"] == "done"
    rows = csv.DictReader(
        io.StringIO(
            run(*settings, "report", "joiners-movers-leavers", "--since", "1d", "--csv").stdout
        )
    )
    assert [row["what"] for row in rows] == [one["what"] for one in found]
    text = run(*settings, "report", "joiners-movers-leavers", "--since", "1d").stdout
    assert "## Leavers: 1" in text
    none = json_of(*settings, "report", "joiners-movers-leavers", "--since", "9d", "--until", "8d")
    assert none == []


def test_who_never_left_has_no_page(run, settings, story):
    """Not an empty page, and not a leaver's."""
    story[1].add_user("ada@example.com")

    refused = run(*settings, "report", "offboarding", "ada@example.com", expect=1)

    assert "never left" in refused.stderr
