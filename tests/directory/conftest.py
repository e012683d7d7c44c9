"""A directory to store resources in."""

import pytest

from scim_bridge.directory.database import Database
from scim_bridge.directory.resources import Resources


@pytest.fixture
def resources(database: Database) -> Resources:
    """An empty directory."""
    return Resources(database)
