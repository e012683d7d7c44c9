"""What does a write to the directory want of accounts and applications? Its marks of access.

They are made in the write's transaction, beside those of `scim_bridge.sync.intents`, and delivered
by the worker: AWS takes its time with assignments, and no client waits for it.
"""

from collections.abc import Iterator
from typing import Literal, Protocol

from scim_bridge.directory.write import Write
from scim_bridge.plan.state import TakeAway
from scim_bridge.sync.entitled import Entitlements
from scim_bridge.sync.grants import to_text
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.marks import Intent, Key, Marks

EVERYTHING = TakeAway(everyone=True)


class Entitling(Protocol):
    """Who turns writes into marks of access."""

    @property
    def marks(self) -> Marks: ...

    def written(self, write: Write) -> None: ...

    def leave(self, key: Key) -> None: ...


class NoAccess:
    """Of a target that has no accounts and applications to grant."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks

    def written(self, write: Write) -> None:
        """Nothing is to be granted or taken there."""

    def leave(self, key: Key) -> None:
        """Nothing is to be taken there."""


class AccessIntents:
    """Turns writes into marks of access. Methods join the write's transaction.

    `has_door`: the settings say where the SSO Admin API is. Without it a leaver's assignments
    cannot be asked for, and only what a client or the bridge gave makes a mark.
    """

    def __init__(
        self,
        marks: Marks,
        entitlements: Entitlements,
        held: HeldLosses,
        *,
        has_door: bool,
        when_deleted: Literal["empty", "remove"] = "empty",
    ) -> None:
        self.marks = marks
        self.entitlements = entitlements
        self.held = held
        self.has_door = has_door
        self.when_deleted = when_deleted

    def written(self, write: Write) -> None:
        """Mark what a write changed. Called after the link, if it took one up, has moved."""
        key = Key(kind=write.kind, id=write.id)
        self._release(key, write)
        for intent in self._of(key, write):
            self.marks.mark(intent)

    def leave(self, key: Key) -> None:
        """Mark that all goes that Identity Center reports of a person."""
        for intent in self._left(key):
            self.marks.mark(intent)

    def _of(self, key: Key, write: Write) -> Iterator[Intent]:
        if write.action == "delete":
            yield from self._deleted(key)
        elif write.leaves:
            yield from self._left(key)
        elif write.action == "create" or write.returns:
            yield from self._returned(key, write)
        if write.granted or write.revoked or write.entitlements:
            named = frozenset(map(to_text, write.revoked))
            yield Intent(key=key, urgent=bool(named), take_away=TakeAway(named=named))

    def _left(self, key: Key) -> Iterator[Intent]:
        """A person left: everything goes that Identity Center reports of them."""
        if self.has_door or self._is_concerned(key):
            yield Intent(key=key, urgent=True, take_away=EVERYTHING)

    def _deleted(self, key: Key) -> Iterator[Intent]:
        if key.kind == "user":
            yield from self._left(key)
        elif self.has_door and self._goes(key):
            yield Intent(key=key, urgent=True, take_away=EVERYTHING)
        elif self._is_concerned(key):
            yield Intent(key=key, urgent=True)

    def _goes(self, group: Key) -> bool:
        """Whether a group that was deleted is deleted at the target: its assignments go first."""
        link = self.entitlements.observations.link(group)
        return self.when_deleted == "remove" and link is not None and link.created_here

    def _returned(self, key: Key, write: Write) -> Iterator[Intent]:
        """Nothing is to be taken any more, and what the resource is entitled to comes back."""
        mark = None if write.is_new else self.marks.find(key)
        if (mark is not None and mark.state != "clear") or self._is_entitled(key, write):
            # A new record may have taken an earlier one's place: what that was to lose still goes.
            inherited = mark is not None and mark.take_away.inherited
            yield Intent(key=key, reversal=not (write.is_new or inherited))

    def _is_entitled(self, key: Key, write: Write) -> bool:
        """Whether there are rows of what it is to hold. What is new has those of its write."""
        return bool(write.begun) if write.is_new else self.entitlements.has_rows(key)

    def _is_concerned(self, key: Key) -> bool:
        holder = self.entitlements.holder(key)
        known = holder and (
            self.entitlements.grants.applied(holder) or self.entitlements.grants.requests(holder)
        )
        return bool(known) or self.entitlements.has_rows(key)

    def _release(self, key: Key, write: Write) -> None:
        """What a client gives again is not held any more."""
        for grant in write.granted:
            person, group = (key.id, "") if key.kind == "user" else ("", key.id)
            self.held.release_grant(to_text(grant), person=person, group=group)
