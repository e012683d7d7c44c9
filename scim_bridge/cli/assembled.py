"""The whole bridge, for a command that plans or delivers by itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from scim_bridge.app import Bridge, build
from scim_bridge.cli.invocation import opened
from scim_bridge.directory import nesting
from scim_bridge.settings import Settings
from scim_bridge.sync.pause import refuse_while_paused


def refuse_delivery(bridge: Bridge) -> None:
    """Raise `OperatorError` while nothing may be delivered: a pause, or nested groups left over."""
    refuse_while_paused(bridge.database)
    nesting.check(bridge.database, bridge.settings.groups)


@contextmanager
def assembled(settings: Settings) -> Iterator[Bridge]:
    """A bridge on a database at this version's schema, closed at the end.

    Raises what `invocation.opened` raises, and `SettingsError` when the settings do not say where
    Identity Center is.
    """
    with opened(settings):
        bridge = build(settings)
    try:
        yield bridge
    finally:
        bridge.close()
