"""How does the bridge watch Identity Center? Extraction, drift and adoption, put together."""

from collections.abc import Collection
from dataclasses import dataclass

from scim_bridge.directory.database import Database
from scim_bridge.directory.resources import Resources
from scim_bridge.settings import Settings
from scim_bridge.sync.adoption import Adoption
from scim_bridge.sync.drift import Drift, Policy
from scim_bridge.sync.entitled import Entitlements
from scim_bridge.sync.extraction import Extraction, ExtractionKind
from scim_bridge.sync.marks import Marks
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.reading import Reading
from scim_bridge.sync.record import Recorder
from scim_bridge.sync.schedule import LANES, Schedule
from scim_bridge.sync.sightings import Sightings
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
    grants_access: bool = True,
) -> Watch:
    """Put the parts together. Nothing is called and nothing is read yet.

    `grants_access`: accounts and applications are granted there. Where they are not, it is a
    connected system: what was changed by hand there is never taken into the directory, since its
    attributes may be filled by others.
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
        drift.check()

    extraction = Extraction(
        database,
        reader,
        Sightings(database, observations, recorder),
        margin=settings.extraction.margin,
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
        adoption=Adoption(
            database=database,
            observations=observations,
            entitlements=entitlements,
            marks=marks,
            access_marks=access_marks,
            models=resources.models,
            protected=settings.safety.protected,
        ),
    )


def _policy(settings: Settings, *, grants_access: bool) -> Policy:
    asked = settings.drift.on_managed
    return "report" if asked == "accept" and not grants_access else asked
