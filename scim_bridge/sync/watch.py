"""How does the bridge watch Identity Center? Extraction, drift and adoption, put together."""

from collections.abc import Collection
from dataclasses import dataclass

from scim_bridge.directory.database import Database
from scim_bridge.directory.resources import Resources
from scim_bridge.identity_center.apis import Apis
from scim_bridge.settings import IdentityCenter, Settings
from scim_bridge.sync.adoption import Adoption
from scim_bridge.sync.drift import Drift
from scim_bridge.sync.entitled import Entitlements
from scim_bridge.sync.extraction import Extraction, ExtractionKind
from scim_bridge.sync.marks import Marks
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.reading import Reader
from scim_bridge.sync.record import Recorder
from scim_bridge.sync.schedule import Schedule
from scim_bridge.sync.sightings import Sightings
from scim_bridge.sync.subjects import Subjects

# Of the pace that `[identity_center] calls_per_second` allows, reading takes at most this.
SHARE = 0.5


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
    apis: Apis,
    observations: Observations,
    subjects: Subjects,
    recorder: Recorder,
    marks: Marks,
    access_marks: Marks,
    resources: Resources,
    entitlements: Entitlements,
    center: IdentityCenter,
) -> Watch:
    """Put the parts together. Nothing is called and nothing is read yet."""
    drift = Drift(
        database=database,
        observations=observations,
        subjects=subjects,
        entitlements=entitlements,
        marks=marks,
        access_marks=access_marks,
        resources=resources,
        policy=settings.drift.on_managed,
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
        Reader(apis, calls_per_second=center.calls_per_second * SHARE),
        Sightings(database, observations, recorder),
        margin=settings.extraction.margin,
        after=after,
    )
    return Watch(
        extraction=extraction,
        schedule=Schedule(database, extraction, settings.extraction),
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
