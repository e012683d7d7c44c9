"""A bridge that watches the sandbox by its APIs, and somebody who edits there by boto3."""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import boto3
from sqlalchemy import text

from scim_bridge.directory.entries import record_write
from scim_bridge.identity_center.apis import Apis, connect_apis
from scim_bridge.sandbox.behaviour import (
    ACCESS_KEY,
    IDENTITY_STORE_ID,
    INSTANCE_ARN,
    REGION,
    SECRET_KEY,
)
from scim_bridge.settings import Drift, Extraction, IdentityCenter, Safety, Settings, Source
from scim_bridge.sync.extraction import KINDS, Extracted
from scim_bridge.sync.reading import Reader
from scim_bridge.sync.watch import Watch, watch
from tests.sync.conftest import Directory, Sandbox

# Without what takes a call per principal.
PEOPLE = ("users", "groups", "memberships")


@cache
def _client(service: str, url: str) -> Any:
    """Making one takes longer than many calls."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )


@dataclass(kw_only=True)
class Hand:
    """Somebody who works at Identity Center beside the bridge, with boto3."""

    sandbox: Sandbox
    url: str

    def store(self, operation: str, **asked: Any) -> dict[str, Any]:
        """One call of the Identity Store API."""
        call = getattr(_client("identitystore", self.url), operation)
        return dict(call(IdentityStoreId=IDENTITY_STORE_ID, **asked))

    def sso(self, operation: str, **asked: Any) -> dict[str, Any]:
        """One call of the SSO Admin API."""
        return dict(getattr(_client("sso-admin", self.url), operation)(**asked))

    def edit(self, user: str, path: str, value: Any) -> None:
        operation = {"AttributePath": path, "AttributeValue": value}
        self.store("update_user", UserId=self.sandbox.user(user)["id"], Operations=[operation])

    def join(self, group: str, user: str) -> None:
        member = {"UserId": self.sandbox.user(user)["id"]}
        self.store("create_group_membership", GroupId=self.sandbox.group_id(group), MemberId=member)

    def leave(self, group: str, user: str) -> None:
        asked = {
            "GroupId": self.sandbox.group_id(group),
            "MemberId": {"UserId": self.sandbox.user(user)["id"]},
        }
        found = self.store("get_group_membership_id", **asked)
        self.store("delete_group_membership", MembershipId=found["MembershipId"])

    def delete_user(self, user: str) -> None:
        self.store("delete_user", UserId=self.sandbox.user(user)["id"])

    def permission_set(self, name: str) -> str:
        shown = self.sso("create_permission_set", InstanceArn=INSTANCE_ARN, Name=name)
        return str(shown["PermissionSet"]["PermissionSetArn"])

    def assign(self, kind: str, principal: str, account: str, permission_set: str) -> None:
        self._assignment("create_account_assignment", kind, principal, account, permission_set)

    def unassign(self, kind: str, principal: str, account: str, permission_set: str) -> None:
        self._assignment("delete_account_assignment", kind, principal, account, permission_set)

    def _assignment(
        self, operation: str, kind: str, principal: str, account: str, arn: str
    ) -> None:
        self.sso(
            operation,
            InstanceArn=INSTANCE_ARN,
            TargetType="AWS_ACCOUNT",
            TargetId=account,
            PermissionSetArn=arn,
            PrincipalType=kind.upper(),
            PrincipalId=principal,
        )


@dataclass(kw_only=True)
class Watched:
    """A bridge, what it watches, and who edits there."""

    directory: Directory
    sandbox: Sandbox
    hand: Hand
    apis: Apis
    parts: Watch
    calls_per_second: float

    def extract(self, *kinds: Any, **options: Any) -> dict[str, Extracted]:
        results = self.parts.extraction.run(kinds or PEOPLE, **options)
        return {one.kind: one for one in results}

    def extract_all(self) -> None:
        """Everything, without a failure."""
        endings = {kind: one.ending for kind, one in self.extract(*KINDS).items()}
        assert set(endings.values()) == {"ok"}, endings

    def found(self) -> list[tuple[str, str]]:
        """What differs: the name of whom it is about, and what."""
        return sorted((self.called(one.id), one.what) for one in self.parts.drift.found())

    def called(self, resource_id: str) -> str:
        tables = (("users", "user_name"), ("groups", "display_name"))
        with self.directory.database.reading() as connection:
            for table, column in tables:
                query = f"SELECT {column} FROM {table} WHERE id = :id"  # noqa: S608 - the test's own
                found = connection.scalar(text(query), {"id": resource_id})
                if found:
                    return str(found)
        return resource_id

    def repair(self) -> None:
        self.parts.drift.repair(self.parts.drift.found())
        self.directory.deliver()

    def age_everything(self, seconds: float = 3600.0) -> None:
        """As if what was applied had been applied long ago."""
        with self.directory.database.transaction() as connection:
            for table in (
                "applied",
                "applied_memberships",
                "observed_memberships",
                "applied_assignments",
                "observed_assignments",
                "departures",
            ):
                connection.exec_driver_sql(f"UPDATE {table} SET at = at - {seconds}")  # noqa: S608


def watching(directory: Directory, sandbox: Sandbox, **options: Any) -> Watched:
    """Watch the sandbox for a directory. Options: margin, on_managed, protected."""
    centre = IdentityCenter(
        region=REGION, endpoint_url=sandbox.server.url, calls_per_second=2000, timeout=5
    )
    settings = Settings(
        identity_center=centre,
        extraction=Extraction(margin=options.get("margin", 0.0)),
        drift=Drift(on_managed=options.get("on_managed", "report")),
        safety=Safety(protected=options.get("protected", ())),
        source=Source(enabled=options.get("source", False)),
    )
    apis = connect_apis(centre)
    reader = Reader(apis, calls_per_second=centre.calls_per_second / 2, pauses=(0.0,))
    parts = watch(
        settings,
        database=directory.database,
        reader=reader,
        observations=directory.observations,
        subjects=directory.planning.subjects,
        recorder=directory.reconciler.recorder,
        marks=directory.marks,
        access_marks=directory.access_marks,
        resources=directory.resources,
        entitlements=directory.entitlements,
        held=directory.held,
        written=partial(record_write, directory.database),
    )
    return Watched(
        directory=directory,
        sandbox=sandbox,
        hand=Hand(sandbox=sandbox, url=sandbox.server.url),
        apis=apis,
        parts=parts,
        calls_per_second=centre.calls_per_second,
    )
