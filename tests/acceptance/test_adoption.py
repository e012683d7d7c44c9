"""Adopting a whole Identity Center, and connecting the identity provider it came from.

In CI with few people. In full (2,000 users, 200 groups, 10,000 memberships):
ADOPTION=2000,200,10000 pytest tests/acceptance/test_adoption.py
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config

from scim_bridge.sandbox import SandboxServer
from scim_bridge.sandbox.behaviour import ACCESS_KEY, IDENTITY_STORE_ID, REGION, SECRET_KEY
from tests.cli.operation import Client, client_of, in_front_of

PEOPLE, GROUPS, MEMBERSHIPS = map(int, os.environ.get("ADOPTION", "24,4,72").split(","))
READS = ("Get", "List", "Describe", "IsMember")


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def client(sandbox: SandboxServer, tmp_path: Path) -> Iterator[Client]:
    more = "[extraction]\nmargin = 0\n"
    with client_of(in_front_of(sandbox, tmp_path, more=more, auth="sigv4")) as client:
        yield client


def populate(sandbox: SandboxServer) -> None:
    """People, groups and memberships, made beside the bridge."""
    store = boto3.client(
        "identitystore",
        endpoint_url=sandbox.url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(max_pool_connections=1),
    )
    there = {"IdentityStoreId": IDENTITY_STORE_ID}
    people = [
        store.create_user(
            UserName=f"person{number}@example.com",
            DisplayName=f"Person {number}",
            Name={"GivenName": "Person", "FamilyName": str(number)},
            Emails=[{"Value": f"person{number}@example.com", "Type": "work", "Primary": True}],
            **there,
        )["UserId"]
        for number in range(PEOPLE)
    ]
    groups = [
        store.create_group(DisplayName=f"Group {number}", **there)["GroupId"]
        for number in range(GROUPS)
    ]
    for number in range(MEMBERSHIPS):
        member, group = member_of(number)
        store.create_group_membership(
            GroupId=groups[group], MemberId={"UserId": people[member]}, **there
        )


def member_of(number: int) -> tuple[int, int]:
    """Who is in which group: each pair once."""
    return number % PEOPLE, (number // PEOPLE + number) % GROUPS


def pushed_user(number: int) -> dict[str, Any]:
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": f"person{number}@example.com",
        "externalId": f"idp-{number}",
        "displayName": f"Person {number}",
        "name": {"givenName": "Person", "familyName": str(number)},
        "emails": [{"value": f"person{number}@example.com", "type": "work", "primary": True}],
        "active": True,
    }


def push(client: Client) -> None:
    """Find everybody by filter and PUT them, then the groups with all their members."""
    ids = []
    for number in range(PEOPLE):
        asked = f'/Users?filter=userName eq "person{number}@example.com"'
        (found,) = client.send("GET", asked)["Resources"]
        client.send("PUT", f"/Users/{found['id']}", {**pushed_user(number), "id": found["id"]})
        ids.append(found["id"])
    members: dict[int, list[str]] = {}
    for number in range(MEMBERSHIPS):
        member, group = member_of(number)
        members.setdefault(group, []).append(ids[member])
    for group in range(GROUPS):
        asked = f'/Groups?filter=displayName eq "Group {group}"&excludedAttributes=members'
        (found,) = client.send("GET", asked)["Resources"]
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "id": found["id"],
            "displayName": f"Group {group}",
            "members": [{"value": member} for member in members.get(group, [])],
        }
        client.send("PUT", f"/Groups/{found['id']}", body)
    client.bridge.worker().run_once()


def writes(sandbox: SandboxServer) -> dict[str, Any]:
    """The calls at Identity Center that were no reads."""
    counted = requests.get(f"{sandbox.url}/_sandbox/calls", timeout=10).json()
    return {
        name: times
        for name, times in counted.items()
        if not name.rpartition(":")[2].startswith(READS)
    }


def test_the_full_push_after_an_adoption_writes_nothing(client: Client, sandbox: SandboxServer):
    """Must show 3."""
    assert len({member_of(number) for number in range(MEMBERSHIPS)}) == MEMBERSHIPS
    populate(sandbox)
    requests.delete(f"{sandbox.url}/_sandbox/calls", timeout=10)
    watch = client.bridge.watch
    assert watch is not None
    watch.schedule.read_now()
    done = watch.adoption.adopt(watch.adoption.proposal())
    assert (done.created, done.memberships) == (PEOPLE + GROUPS, MEMBERSHIPS)
    assert writes(sandbox) == {}
    push(client)
    assert writes(sandbox) == {}
    assert client.bridge.overview().in_sync
    assert watch.drift.found() == []
    answer = client.http.post(
        "/scim/v2/Users",
        json=pushed_user(0),
        headers={"Authorization": f"Bearer {client.token}"},
    )
    assert (answer.status_code, answer.get_json()["scimType"]) == (409, "uniqueness")
