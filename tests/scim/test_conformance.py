"""The whole endpoint, as scim2-tester sees it through what it discovers."""

import pytest
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status, check_server

from tests.scim.conftest import Scim


@pytest.mark.parametrize("endpoint", ["entitling", "renaming"])
def test_scim2_tester_finds_no_error(endpoint: str, request: pytest.FixtureRequest) -> None:
    """Discovery, creation, reading, replacing, patching and deleting, in both username modes."""
    scim: Scim = request.getfixturevalue(endpoint)
    client = WSGISCIMClient(
        scim.app,
        base_url="http://localhost/scim/v2",
        headers={"Authorization": f"Bearer {scim.token}"},
    )

    results = check_server(client)

    assert len(results) > 100
    assert [result.reason for result in results if result.status is not Status.SUCCESS] == []
