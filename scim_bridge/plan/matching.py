"""Which principals, found at a target that is in use already, are whom the directory knows?"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from scim_bridge.plan.state import Kind

# What somebody is known by: "externalId", "userName", "email" or "displayName", and the value,
# folded where case does not count.
Trait = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Stranger:
    """A principal that nobody in the directory is linked to."""

    kind: Kind
    # The id at the target.
    id: str
    name: str
    traits: tuple[Trait, ...]
    # No client may touch it.
    is_protected: bool = False


@dataclass(frozen=True, kw_only=True)
class Match:
    """A principal that is a user or group of the directory."""

    stranger: Stranger
    # The id in the directory.
    resource: str
    by: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Clash:
    """A principal that is left alone, and why."""

    stranger: Stranger
    why: str


@dataclass(frozen=True, kw_only=True)
class Matching:
    """What was found out about all of them."""

    matches: tuple[Match, ...] = ()
    clashes: tuple[Clash, ...] = ()
    # Nobody in the directory is like them.
    unknown: tuple[Stranger, ...] = ()


def match(
    strangers: Iterable[Stranger],
    *,
    known_by: Mapping[Trait, Collection[str]],
    linked: Collection[str],
    deleted: Collection[str] = (),
) -> Matching:
    """Find for each principal the one resource that it is.

    ``known_by`` names the live resources of the kind by what they are known by, ``linked`` those
    that are another principal already, ``deleted`` the ids of former ones.
    """
    matches: list[Match] = []
    clashes: list[Clash] = []
    unknown: list[Stranger] = []
    for stranger in sorted(strangers, key=lambda one: (one.name, one.id)):
        by: dict[str, list[str]] = {}
        for trait in stranger.traits:
            for resource in known_by.get(trait, ()):
                by.setdefault(resource, []).append(trait[0])
        why = _clash(stranger, by, linked, deleted)
        if why is not None:
            clashes.append(Clash(stranger=stranger, why=why))
        elif by:
            ((resource, traits),) = by.items()
            matches.append(Match(stranger=stranger, resource=resource, by=tuple(traits)))
        else:
            unknown.append(stranger)
    return _without_rivals(matches, clashes, unknown)


def _clash(
    stranger: Stranger,
    by: Mapping[str, list[str]],
    linked: Collection[str],
    deleted: Collection[str],
) -> str | None:
    if stranger.is_protected:
        return "its name is protected ([safety] protected)"
    if any(trait == "externalId" and value in deleted for trait, value in stranger.traits):
        return "it belongs to a record that was deleted"
    if len(by) > 1:
        alike = "; ".join(f"{resource} by {' and '.join(by[resource])}" for resource in sorted(by))
        return f"several in the directory are like it: {alike}"
    taken = [resource for resource in by if resource in linked]
    if taken:
        return f"{taken[0]}, who is like it, is linked to another principal"
    return None


def _without_rivals(
    matches: list[Match], clashes: list[Clash], unknown: list[Stranger]
) -> Matching:
    """Of several principals like one resource, nobody can tell which it is."""
    times = Counter(one.resource for one in matches)
    rivals = [one for one in matches if times[one.resource] > 1]
    clashes += [
        Clash(stranger=one.stranger, why=f"another principal is like {one.resource}, too")
        for one in rivals
    ]
    return Matching(
        matches=tuple(one for one in matches if times[one.resource] == 1),
        clashes=tuple(clashes),
        unknown=tuple(unknown),
    )
