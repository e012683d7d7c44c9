"""The storage contract of scim2-server, on the directory."""

from typing import Any

import pytest
from scim2_models import ScimProvider
from scim2_server.testing import ScimStorageContract
from scim2_server.utils import load_default_provider

from scim_bridge.directory.database import Database
from scim_bridge.directory.resources import Resources


class TestResources(ScimStorageContract):
    """The rules every storage follows, cursors included (RFC 7644, RFC 9865)."""

    @pytest.fixture(scope="session")
    @classmethod
    def provider(cls) -> ScimProvider:
        """The default resource types; building their models takes long, so once."""
        return load_default_provider()

    @pytest.fixture
    def storage(self, database: Database, provider: ScimProvider) -> Any:
        models = {str(each.name): provider.model_for(each) for each in provider.resource_types}
        return Resources(database, models=models)
