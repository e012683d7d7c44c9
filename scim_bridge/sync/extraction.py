"""Does the bridge know what Identity Center holds? It reads everything again, kind by kind.

Everything of a kind is read first, then written in one transaction. A reading that failed, or that
is suspiciously empty, changes nothing and is reported. And whatever is read, nobody is disabled and
nothing is taken away because of it: `scim_bridge.sync.sightings` decides which news are believed.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, assert_never, get_args

import structlog

from scim_bridge.directory.database import Database
from scim_bridge.errors import TargetError
from scim_bridge.sync import TARGET
from scim_bridge.sync.departures import written
from scim_bridge.sync.journal import forget_runs, journalled
from scim_bridge.sync.reading import HeldGrant, Reading, by_principal
from scim_bridge.sync.sightings import News, Sightings, ids

log = structlog.get_logger(__name__)

ExtractionKind = Literal["users", "groups", "memberships", "catalogue", "assignments"]
# In this order: memberships are read of the groups that are known, assignments of all principals.
KINDS: tuple[ExtractionKind, ...] = get_args(ExtractionKind)

# How an extraction of one kind ended. "empty": too much was missing at once to be believed.
# "partial": a part could not be read; the parts that were, complete in themselves, are written.
Ending = Literal["ok", "failed", "partial", "empty"]

# None of so many that were known, or fewer than half of so many, is not believed.
SEVERAL, MANY = 3, 10

# For how long the journal of extractions is kept, in seconds.
KEEP_RUNS = 30 * 86_400.0

# Told of the kind that is read, how much of it is done and how much there is (0: not known).
Report = Callable[[ExtractionKind, int, int], None]


def _unwatched(_kind: ExtractionKind, _done: int, _total: int) -> None:
    """Nobody looks."""


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What an extraction of one kind came to."""

    kind: ExtractionKind
    ending: Ending
    counts: Mapping[str, int] = field(default_factory=dict)
    # Why it is not ok, in words.
    reason: str | None = None
    seconds: float = 0.0


class _Unbelievable(Exception):
    """Too much is missing at once."""


def run_of(kind: ExtractionKind, target: str) -> str:
    """The name of a kind's readings in the journal."""
    return f"extraction:{kind}" if target == TARGET else f"extraction:{kind}@{target}"


def is_suspicious(*, known: int, found: int, several: int = SEVERAL) -> bool:
    """Whether a complete list shows so little that it is not believed."""
    return (found == 0 and known >= several) or (known >= MANY and found * 2 < known)


class Extraction:
    """Reads one Identity Center. `after` is told of the kinds that were read well.

    `margin`: what was applied less than so many seconds before a reading began is not overwritten
    by it. `several`: an empty list of users is not believed when so many were known.
    """

    def __init__(
        self,
        database: Database,
        reader: Reading,
        sightings: Sightings,
        *,
        margin: float,
        several: int = SEVERAL,
        after: Callable[[frozenset[ExtractionKind]], None] = lambda _: None,
    ) -> None:
        self.database = database
        self.reader = reader
        self.sightings = sightings
        self.margin = margin
        self.several = several
        self.after = after

    def run(
        self,
        kinds: Iterable[ExtractionKind] = KINDS,
        *,
        report: Report = _unwatched,
        believe: bool = False,
    ) -> list[Extracted]:
        """Read these kinds, in the order of `KINDS`. A kind that fails does not stop the others.

        `believe`: an operator has looked, and what is missing is really gone.
        """
        wanted = set(kinds)
        results = [
            self._extract(kind, report=report, believe=believe) for kind in KINDS if kind in wanted
        ]
        self.after(frozenset(one.kind for one in results if one.ending in ("ok", "partial")))
        return results

    def _extract(self, kind: ExtractionKind, *, report: Report, believe: bool) -> Extracted:
        begun = time.monotonic()
        name = run_of(kind, self.sightings.target)
        forget_runs(self.database, name, older_than=KEEP_RUNS)
        with journalled(self.database, name) as run:
            result = self._attempt(kind, partial(report, kind), believe)
            run.outcome = result.ending
            run.counts = {**result.counts, **({"reason": result.reason} if result.reason else {})}
        if result.ending != "ok":
            log.warning("extraction", kind=kind, outcome=result.ending, reason=result.reason)
        return Extracted(
            kind=kind,
            ending=result.ending,
            counts=result.counts,
            reason=result.reason,
            seconds=time.monotonic() - begun,
        )

    def _attempt(
        self, kind: ExtractionKind, report: Callable[[int, int], None], believe: bool
    ) -> Extracted:
        since = self.database.clock() - self.margin
        try:
            match kind:
                case "users" | "groups":
                    return self._principals(kind, report, since, believe)
                case "memberships":
                    return self._memberships(report, since, believe)
                case "catalogue":
                    return self._catalogue(report)
                case "assignments":
                    return self._assignments(report, since, believe)
                case _:
                    assert_never(kind)
        except _Unbelievable as error:
            return Extracted(kind=kind, ending="empty", reason=str(error))
        except TargetError as error:
            return Extracted(kind=kind, ending="failed", reason=str(error))

    # -- One kind -------------------------------------------------------

    def _principals(
        self,
        kind: Literal["users", "groups"],
        report: Callable[[int, int], None],
        since: float,
        believe: bool,
    ) -> Extracted:
        reader, sightings = self.reader, self.sightings
        one: Literal["user", "group"] = "user" if kind == "users" else "group"
        found = reader.users(report) if kind == "users" else reader.groups(report)
        known = sightings.known(one)
        several = self.several if kind == "users" else SEVERAL
        _believable(kind, known=len(known), found=len(found), believe=believe, several=several)
        missing = known - found.keys() - sightings.newer_principals(one, since)
        again = sightings.missing_again(one, ((each,) for each in missing))
        is_there = reader.user_is_there if kind == "users" else reader.group_is_there
        gone = {
            each for each in sorted(missing) if written((each,)) in again and not is_there(each)
        }
        news = sightings.see_principals(
            one,
            different=sightings.different(one, found),
            missing=missing,
            gone=gone,
            since=since,
        )
        return _ok(kind, found=len(found), missing=len(missing) - len(gone), news=news)

    def _memberships(
        self, report: Callable[[int, int], None], since: float, believe: bool
    ) -> Extracted:
        reader, sightings = self.reader, self.sightings
        read = reader.memberships(sightings.known("group"), report)
        known = sightings.known_members(read.groups)
        _believable("memberships", known=len(known), found=len(read.pairs), believe=believe)
        missing = known - read.pairs - sightings.newer_members(since)
        again = sightings.missing_again("membership", missing)
        gone: set[tuple[str, str]] = set()
        for member, groups in _by_member(one for one in missing if written(one) in again).items():
            held = reader.groups_still_holding(member, groups)
            gone.update((group, member) for group in groups if group not in held)
        news = sightings.see_members(read, missing=missing, gone=gone, since=since)
        return _ok(
            "memberships", found=len(read.pairs), missing=len(missing) - len(gone), news=news
        )

    def _assignments(
        self, report: Callable[[int, int], None], since: float, believe: bool
    ) -> Extracted:
        reader, sightings = self.reader, self.sightings
        principals = {("user", one) for one in sightings.known("user")}
        read = reader.grants(
            [*principals, *(("group", one) for one in sightings.known("group"))],  # type: ignore[list-item]
            report,
        )
        known = frozenset(one for one in sightings.known_grants() if read.covers(one))
        _believable("assignments", known=len(known), found=len(read.held), believe=believe)
        missing = known - read.held - sightings.newer_grants(since)
        again = sightings.missing_again("assignment", map(ids, missing))
        gone = self._grants_that_are_gone(one for one in missing if written(ids(one)) in again)
        news = sightings.see_grants(read, missing=missing, gone=gone, since=since)
        return _ok("assignments", found=len(read.held), missing=len(missing) - len(gone), news=news)

    def _grants_that_are_gone(self, grants: Iterable[HeldGrant]) -> set[HeldGrant]:
        gone: set[HeldGrant] = set()
        for (kind, principal), asked in by_principal(grants).items():
            held: frozenset[HeldGrant] = frozenset()
            if any(not one.application for one in asked):
                held |= self.reader.account_grants(kind, principal)
            if any(one.application for one in asked):
                held |= self.reader.application_grants(kind, principal)
            gone |= asked - held
        return gone

    def _catalogue(self, report: Callable[[int, int], None]) -> Extracted:
        read = self.reader.catalogue(report)
        self.sightings.see_catalogue(read)
        parts: Mapping[str, Sequence[Any] | None] = {
            "permission_sets": read.permission_sets,
            "accounts": read.accounts,
            "applications": read.applications,
        }
        return Extracted(
            kind="catalogue",
            ending="partial" if read.problems else "ok",
            counts={name: len(rows) for name, rows in parts.items() if rows is not None},
            reason="; ".join(read.problems) or None,
        )


def _believable(
    kind: str, *, known: int, found: int, believe: bool, several: int = SEVERAL
) -> None:
    if is_suspicious(known=known, found=found, several=several) and not believe:
        raise _Unbelievable(
            f"only {found} of {known} {kind} that were known are shown: nothing was changed. If "
            f"they are really gone: scim-bridge extract --kind {kind} --believe"
        )


def _ok(kind: ExtractionKind, *, found: int, missing: int, news: News) -> Extracted:
    counts = {"found": found, "changed": news.changed, "gone": news.gone, "missing": missing}
    return Extracted(kind=kind, ending="ok", counts=counts)


def _by_member(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for group, member in sorted(pairs):
        found.setdefault(member, []).append(group)
    return found
