"""The whole bridge, for a command that plans or delivers by itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from scim_bridge.app import Bridge, build
from scim_bridge.cli.invocation import opened
from scim_bridge.settings import Settings


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
