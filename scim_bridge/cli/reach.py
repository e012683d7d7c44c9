"""What of AWS does the bridge reach, and is it allowed what it needs?"""

import time
from collections.abc import Iterable, Iterator

from scim_bridge.cli.finding import Finding, State, tried
from scim_bridge.errors import AccessDenied, BridgeError
from scim_bridge.identity_center.api_operations import actions
from scim_bridge.identity_center.api_payloads import Identity
from scim_bridge.identity_center.apis import Apis, connect_apis
from scim_bridge.identity_center.credentials import Keys
from scim_bridge.identity_center.permissions import Trial
from scim_bridge.identity_center.permissions import tried as tried_actions
from scim_bridge.identity_center.transport import Haste
from scim_bridge.settings import Deprovision, IdentityCenter

# Seconds that a clock may be off: to be mentioned, and to be refused by AWS.
NOTABLE_SKEW = 60.0
REFUSED_SKEW = 300.0


def of_skew(seconds: float) -> Finding:
    """What is to be said of a clock that is so far ahead."""
    # The header that is compared tells whole seconds.
    if abs(seconds) < 2:
        return Finding(what="clock", state="ok", said="agrees with AWS's")
    said = f"is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} AWS's"
    if abs(seconds) <= NOTABLE_SKEW:
        return Finding(what="clock", state="ok", said=said)
    state: State = "wrong" if abs(seconds) > REFUSED_SKEW else "warning"
    return Finding(
        what="clock",
        state=state,
        said=f"{said}: AWS refuses signatures that are 5 minutes off; set up time synchronisation",
    )


def apis(settings: IdentityCenter, deprovision: Deprovision) -> Iterator[Finding]:
    """Credentials, instance and permissions at AWS's APIs, one after the other.

    What depends on something that is wrong is left out.
    """
    keys = Keys(settings)
    is_needed = settings.auth == "sigv4" or settings.write_via == "identity-store"
    try:
        keys.frozen()
    except BridgeError as error:
        if is_needed:
            yield Finding(what="aws keys", state="wrong", said=str(error))
        else:
            yield Finding(what="aws keys", state="warning", said=_without_keys(error))
        return
    yield from _with_keys(connect_apis(settings, keys=keys), settings, deprovision)


def _without_keys(error: BridgeError) -> str:
    return (
        f"{error} Without them the bridge moves users, groups and memberships, but reads nothing "
        "back and touches no assignment"
    )


def _with_keys(
    found: Apis, settings: IdentityCenter, deprovision: Deprovision
) -> Iterator[Finding]:
    known: list[Identity] = []

    def who() -> str:
        known.append(found.caller.identity(**_haste(settings)))
        return f"{known[0].arn} in account {known[0].account}"

    caller = tried("caller", who)
    if found.caller.ahead is not None:
        yield of_skew(found.caller.ahead)
    yield caller
    if not known:
        return
    instance = tried("instance", lambda: _instance(found, settings))
    yield instance
    if instance.state != "wrong":
        yield from _permissions(found, settings, deprovision, account=known[0].account)


def _instance(found: Apis, settings: IdentityCenter) -> str:
    """The instance, which is looked for also when the settings name it."""
    haste = _haste(settings)
    arn, store = found.site.instance_arn(**haste), found.site.identity_store_id(**haste)
    try:
        listed = found.site.instances(**haste)
    except AccessDenied:
        # Where the settings name both, the trial of the permission says it.
        return f"{arn} with the identity store {store}, as set"
    if not any(one.arn == arn and one.identity_store_id == store for one in listed):
        shown = ", ".join(f"{one.arn} with {one.identity_store_id}" for one in listed) or "none"
        raise WrongInstance(
            f"{arn} with the identity store {store} is not in {settings.region}, which shows "
            f"{shown}: check identity_center.region, instance_arn and identity_store_id"
        )
    return f"{arn} with the identity store {store}"


class WrongInstance(BridgeError):
    """The region shows other instances than the one the settings name."""


def _permissions(
    found: Apis, settings: IdentityCenter, deprovision: Deprovision, *, account: str
) -> Iterator[Finding]:
    needed = actions(write_via=settings.write_via, cut_sessions=deprovision.cut_sessions)
    trials: list[Trial] = []
    try:
        for trial in tried_actions(found, needed, account=account, **_haste(settings, calls=100)):
            trials.append(trial)
    except BridgeError as error:
        yield Finding(what="permissions", state="wrong", said=str(error))
        return
    yield from _of_trials(trials)


def _of_trials(trials: Iterable[Trial]) -> Iterator[Finding]:
    trials = list(trials)
    denied = [trial for trial in trials if trial.verdict == "denied"]
    untried = [trial for trial in trials if trial.verdict == "untried"]
    for trial in denied:
        yield Finding(what="permission", state="wrong", said=f"{trial.action}: {trial.said}")
    for trial in untried:
        yield Finding(
            what="permission",
            state="ok" if trial.is_expected else "warning",
            said=f"{trial.action} was not tried: {trial.said}",
        )
    allowed = len(trials) - len(denied) - len(untried)
    yield Finding(what="permissions", state="ok", said=f"{allowed} of {len(trials)} are there")


def _haste(settings: IdentityCenter, *, calls: int = 1) -> Haste:
    return {"urgent": False, "deadline": time.monotonic() + settings.timeout * calls}
