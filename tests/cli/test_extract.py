"""`extract`, `drift` and `adopt`, as an operator runs them in front of a sandbox."""

from collections.abc import Iterator

import boto3
import pytest

from scim_bridge.sandbox import SandboxServer
from scim_bridge.sandbox.behaviour import ACCESS_KEY, IDENTITY_STORE_ID, REGION, SECRET_KEY
from tests.cli.operation import Client, Sandbox, client_of, in_front_of

PEOPLE = ("--kind", "users", "--kind", "groups", "--kind", "memberships")
AT_ONCE = "[extraction]\nmargin = 0\n"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def client(sandbox: SandboxServer, folder) -> Iterator[Client]:
    with client_of(in_front_of(sandbox, folder, more=AT_ONCE, auth="sigv4")) as client:
        yield client


def by_hand(sandbox: SandboxServer, operation: str, **asked):
    store = boto3.client(
        "identitystore",
        endpoint_url=sandbox.url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    return getattr(store, operation)(IdentityStoreId=IDENTITY_STORE_ID, **asked)


def make_user(sandbox: SandboxServer, name: str) -> str:
    shown = by_hand(
        sandbox,
        "create_user",
        UserName=name,
        DisplayName=name.title(),
        Name={"GivenName": name.title(), "FamilyName": "Tester"},
    )
    return str(shown["UserId"])


def retitle(sandbox: SandboxServer, name: str, title: str) -> None:
    user = Sandbox(url=sandbox.url).user(name)
    operation = {"AttributePath": "title", "AttributeValue": title}
    by_hand(sandbox, "update_user", UserId=user["id"], Operations=[operation])


def test_everything_is_read_and_counted(run, json_of, client):
    client.add_user("ada")
    told = {one["kind"]: one for one in json_of("extract")["extractions"]}
    assert list(told) == ["users", "groups", "memberships", "catalogue", "assignments"]
    assert {one["outcome"] for one in told.values()} == {"ok"}
    assert told["users"]["counts"]["found"] == 1
    assert "users" in run("extract", *PEOPLE).stdout


def test_what_cannot_be_read_is_said_with_exit_code_1(run, client, sandbox):
    Sandbox(url=sandbox.url).fault("identitystore:ListUsers", times=None, status=403)
    shown = run("extract", "--kind", "users", expect=1).stdout
    assert "failed" in shown


def test_without_a_region_nothing_can_be_read(run, folder, sandbox):
    file = in_front_of(sandbox, folder)
    file.write_text(file.read_text().replace("region =", "# region ="))
    assert "region" in run("extract", expect=1).stderr


def test_status_tells_when_what_was_read(run, json_of, client, sandbox):
    run("extract", *PEOPLE)
    told = {one["kind"]: one for one in json_of("status")["extraction"]}
    assert told["users"]["last_outcome"] == "ok"
    assert told["users"]["stale"] is False
    assert told["assignments"]["age_seconds"] is None
    assert "last read: users" in run("status").stdout
    Sandbox(url=sandbox.url).fault("identitystore:ListUsers", times=None, status=403)
    run("extract", "--kind", "users", expect=1)
    assert "! Reading users from Identity Center: the last reading ended" in run("status").stdout


def test_drift_is_listed_with_exit_code_1_and_put_right(run, json_of, client, sandbox):
    client.add_user("ada", title="Countess")
    run("extract", *PEOPLE)
    assert json_of("drift") == {"drift": [], "repaired": [], "unmanaged": []}
    retitle(sandbox, "ada", "Queen")
    run("extract", *PEOPLE)
    (one,) = json_of("drift", expect=1)["drift"]
    assert (one["name"], one["what"], one["attributes"]) == ("ada", "changed", ["title"])
    assert "ada" in run("drift", expect=1).stdout
    assert "1 reported" in run("status").stdout
    told = json_of("drift", "--repair")
    assert ([one["name"] for one in told["repaired"]], told["drift"]) == (["ada"], [])
    user = Sandbox(url=sandbox.url).user("ada")
    assert user is not None
    assert user["title"] == "Countess"
    assert "Nothing differs" in run("drift").stdout


def test_who_is_not_managed_is_listed_apart(run, client, sandbox):
    make_user(sandbox, "stranger")
    run("extract", *PEOPLE)
    shown = run("drift").stdout
    assert "Not managed by the bridge (1)" in shown
    assert "stranger" in shown


def test_an_adoption_is_proposed_and_then_made(run, json_of, client, sandbox):
    user = make_user(sandbox, "ada")
    group = by_hand(sandbox, "create_group", DisplayName="Staff")["GroupId"]
    by_hand(sandbox, "create_group_membership", GroupId=group, MemberId={"UserId": user})
    proposed = json_of("adopt")
    assert [one["name"] for one in proposed["new"]] == ["ada", "Staff"]
    assert proposed["adopted"] is None
    assert "Nothing was written" in run("adopt").stdout
    assert client.send("GET", "/Users")["totalResults"] == 0
    done = json_of("adopt", "--yes")["adopted"]
    assert done == {"linked": 0, "created": 2, "memberships": 1, "assignments": 0}
    (ada,) = client.send("GET", '/Users?filter=userName eq "ada"')["Resources"]
    assert [one["display"] for one in ada["groups"]] == ["Staff"]
    assert "0 linked, 0 recorded" in run("adopt", "--yes").stdout


def test_nothing_is_adopted_of_what_could_not_be_read(run, client, sandbox):
    make_user(sandbox, "ada")
    Sandbox(url=sandbox.url).fault("identitystore:ListGroups", times=None, status=403)
    assert "nothing is adopted" in run("adopt", "--yes", expect=1).stderr
    assert client.send("GET", "/Users")["totalResults"] == 0


def test_a_source_is_followed_by_the_whole_bridge(run, json_of, sandbox, folder):
    """What only Identity Center has is read over SCIM then; a leaver's page names the source."""
    file = in_front_of(sandbox, folder, more=f"{AT_ONCE}[source]\nenabled = true\n", auth="sigv4")
    for name in ("ada", "bob"):
        make_user(sandbox, f"{name}@example.com")
    with client_of(file) as client:
        assert "2 entered" in run("extract", *PEOPLE).stdout
        found = client.send("GET", "/Users?filter=active eq true")["Resources"]
        assert sorted(one["userName"] for one in found) == ["ada@example.com", "bob@example.com"]
        by_hand(
            sandbox,
            "delete_user",
            UserId=next(
                one["id"] for one in Sandbox(url=sandbox.url).state()["users"]
                if one["userName"] == "ada@example.com"
            ),
        )  # fmt: skip
        assert json_of("extract", *PEOPLE)["source"]["left"] == 0
        assert json_of("extract", *PEOPLE)["source"]["left"] == 1
        found = client.send("GET", "/Users?filter=active eq true")["Resources"]
        assert [one["userName"] for one in found] == ["bob@example.com"]
    page = json_of("report", "offboarding", "ada@example.com")
    assert (page["left"]["by"], page["isComplete"]) == ("source:identity-center", True)
