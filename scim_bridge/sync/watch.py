"""How does the bridge watch Identity Center? Extraction, drift and adoption, put together."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from scim_bridge.directory.database import Database
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.takeover import SOURCE
from scim_bridge.directory.write import Write
from scim_bridge.settings import Settings
from scim_bridge.sync import TARGET
from scim_bridge.sync.adoption import Adoption
from scim_bridge.sync.drift import Drift, Policy
from scim_bridge.sync.entitled import Entitlements
from scim_bridge.sync.extraction import SEVERAL, Extraction, ExtractionKind
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.marks import Marks
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.pause import paused
from scim_bridge.sync.reading import Reading
from scim_bridge.sync.record import Recorder
from scim_bridge.sync.schedule import LANES, Schedule
from scim_bridge.sync.sightings import Sightings
from scim_bridge.sync.source import Source, entered
from scim_bridge.sync.subjects import Subjects

# What is read of a connected system.
SYSTEM_LANES: tuple[tuple[ExtractionKind, ...], ...] = (("users", "groups", "memberships"),)


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What reads Identity Center, and what follows from it."""

    extraction: Extraction
    schedule: Schedule
    drift: Drift
    adoption: Adoption
    # What the directory follows. None: Identity Center is no source.
    source: Source | None = None


def watch(
    settings: Settings,
    *,
    database: Database,
    reader: Reading,
    observations: Observations,
    subjects: Subjects,
    recorder: Recorder,
    marks: Marks,
    access_marks: Marks,
    resources: Resources,
    entitlements: Entitlements,
    held: HeldLosses,
    written: Callable[[Write], None],
    grants_access: bool = True,
) -> Watch:
    """Put the parts together. Nothing is called and nothing is read yet.

    `grants_access`: accounts and applications are granted there. Where they are not, it is a
    connected system: what was changed by hand there is never taken into the directory, since its
    attributes may be filled by others. `written`: who is told of what is taken over from there.
    """
    drift = Drift(
        database=database,
        observations=observations,
        subjects=subjects,
        entitlements=entitlements,
        marks=marks,
        access_marks=access_marks,
        resources=resources,
        policy=_policy(settings, grants_access=grants_access),
        followed=lambda: source.keys() if source else frozenset(),
    )

    def adoption(**options: Any) -> Adoption:
        return Adoption(
            database=database,
            observations=observations,
            entitlements=entitlements,
            marks=marks,
            access_marks=access_marks,
            models=resources.models,
            protected=settings.safety.protected,
            **options,
        )

    source: Source | None = None
    # The source is the first Identity Center; the others follow the directory.
    if settings.source.enabled and observations.target == TARGET:
        source = Source(
            database=database,
            observations=observations,
            resources=resources,
            silent=Resources(
                database,
                models=resources.models,
                written=written,
                restore_within=resources.restore_within,
            ),
            adoption=adoption(
                origin=SOURCE,
                written=written,
                created=partial(entered, database, observations.target),
            ),
            drift=drift,
            held=held,
        )

    def after(kinds: Collection[ExtractionKind]) -> None:
        """What an extraction is good for: what failed, or waited for a name, is tried again."""
        if not kinds:
            return
        marks.wake("failed")
        access_marks.wake("failed")
        if "catalogue" in kinds:
            # A grant that waits for a name is pending, with a long pause.
            access_marks.wake("pending")
        if source is not None and not paused(database):
            source.follow(kinds)
        drift.check()

    extraction = Extraction(
        database,
        reader,
        Sightings(database, observations, recorder),
        margin=settings.extraction.margin,
        several=1 if source else SEVERAL,
        after=after,
    )
    return Watch(
        extraction=extraction,
        schedule=Schedule(
            database,
            extraction,
            settings.extraction,
            lanes=LANES if grants_access else SYSTEM_LANES,
        ),
        drift=drift,
        adoption=adoption(written=written),
        source=source,
    )


def _policy(settings: Settings, *, grants_access: bool) -> Policy:
    asked = settings.drift.on_managed
    return "report" if asked == "accept" and not grants_access else asked
